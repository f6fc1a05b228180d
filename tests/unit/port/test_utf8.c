// UTF-8 as tables of good and bad bytes, and every code point.
#include "port/base/utf8.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static const char *const utf8_good[] = {
    "",
    "a",
    "\x7f",
    "plain ASCII text of some length",
    "\xc2\x80",
    "\xdf\xbf",
    "\xe0\xa0\x80",
    "\xe1\x80\x80",
    "\xec\xbf\xbf",
    "\xed\x80\x80",
    "\xed\x9f\xbf",
    "\xee\x80\x80",
    "\xef\xbf\xbf",
    "\xf0\x90\x80\x80",
    "\xf1\x80\x80\x80",
    "\xf3\xbf\xbf\xbf",
    "\xf4\x80\x80\x80",
    "\xf4\x8f\xbf\xbf",
};
static const char *const utf8_bad[] = {
    "\x80",
    "\xbf", // continuation alone
    "\xc0\x80",
    "\xc0\xaf",
    "\xc1\xbf",
    "\xe0\x80\x80",
    "\xe0\x9f\xbf",
    "\xf0\x80\x80\x80",
    "\xf0\x8f\xbf\xbf", // overlong
    "\xed\xa0\x80",
    "\xed\xbf\xbf", // surrogates
    "\xf4\x90\x80\x80",
    "\xf5\x80\x80\x80",
    "\xf8\x88\x80\x80\x80",
    "\xfe",
    "\xff", // above U+10FFFF
    "\xc2",
    "\xe1\x80",
    "\xe1",
    "\xf1\x80\x80",
    "\xf1\x80",
    "\xf1", // cut
    "\xc2\x41",
    "\xc2\xc2",
    "\xe1\x80\x41",
    "\xe1\x41\x80",
    "\xf1\x80\x80\x41",
    "\xf1\x80\x41\x80",
    "\xf1\x41\x80\x80",
    "\xe1\x80\xc0",
    "\xf1\x80\x80\xff",
};

// Behind and before ASCII of every length, because eight bytes are looked at together.
static bool valid_in_context(const char *text_z, size_t before, size_t after)
{
    uint8_t joined[64];
    size_t len = strlen(text_z);
    memset(joined, 'a', sizeof(joined));
    memcpy(joined + before, text_z, len);
    uint8_t *exact =
        malloc(before + len + after + 1); // so that a sanitizer sees a read behind the end
    assert_non_null(exact);
    memcpy(exact, joined, before + len + after);
    exact = realloc(exact, before + len + after > 0 ? before + len + after : 1);
    assert_non_null(exact);
    bool valid = ut_utf8_valid(ut_bytes_of(exact, before + len + after));
    free(exact);
    return valid;
}

static void utf8_is_told_from_what_only_looks_like_it(void **state)
{
    (void)state;
    assert_true(ut_utf8_valid(UT_BYTES_NONE));
    assert_true(ut_utf8_valid(UT_BYTES_LIT("a\0b")));
    for (size_t before = 0; before < 18; before++) {
        for (size_t after = 0; after < 10; after++) {
            for (size_t i = 0; i < sizeof(utf8_good) / sizeof(utf8_good[0]); i++) {
                if (!valid_in_context(utf8_good[i], before, after))
                    fail_msg("refused entry %zu of the good ones, %zu before, %zu after", i, before,
                             after);
            }
            for (size_t i = 0; i < sizeof(utf8_bad) / sizeof(utf8_bad[0]); i++) {
                if (valid_in_context(utf8_bad[i], before, after))
                    fail_msg("took entry %zu of the bad ones, %zu before, %zu after", i, before,
                             after);
            }
        }
    }
}

static void every_code_point_is_valid_except_the_surrogates(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110800; c++) {
        uint8_t u[4];
        size_t len = 4;
        if (c < 0x80) {
            u[0] = (uint8_t)c;
            len = 1;
        } else if (c < 0x800) {
            u[0] = (uint8_t)(0xC0 | c >> 6);
            u[1] = (uint8_t)(0x80 | (c & 0x3F));
            len = 2;
        } else if (c < 0x10000) {
            u[0] = (uint8_t)(0xE0 | c >> 12);
            u[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
            u[2] = (uint8_t)(0x80 | (c & 0x3F));
            len = 3;
        } else {
            u[0] = (uint8_t)(0xF0 | c >> 18);
            u[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
            u[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
            u[3] = (uint8_t)(0x80 | (c & 0x3F));
        }
        bool want = c < 0xD800 || (c > 0xDFFF && c < 0x110000);
        if (ut_utf8_valid(ut_bytes_of(u, len)) != want)
            fail_msg("U+%04X", (unsigned)c);
    }
}

static void controls_are_c0_del_and_c1_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            const uint8_t bytes[] = {(uint8_t)first, (uint8_t)second};
            const bool c0 = first < 0x20 || first == 0x7f;
            const bool c1 = first == 0xc2 && second >= 0x80 && second <= 0x9f;
            // The second byte of a character is looked at only where it belongs to it.
            if (first == 0xc2 && second < 0x80)
                continue;
            if (ut_utf8_is_control(bytes, 2) != (c0 || c1))
                fail_msg("%02x %02x", first, second);
        }
        const uint8_t alone = (uint8_t)first;
        assert_int_equal(ut_utf8_is_control(&alone, 1), first < 0x20 || first == 0x7f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_told_from_what_only_looks_like_it),
        cmocka_unit_test(every_code_point_is_valid_except_the_surrogates),
        cmocka_unit_test(controls_are_c0_del_and_c1_and_nothing_else),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
