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

// As UTF-8 would write it, surrogates and what lies above U+10FFFF too. Returns the length.
static size_t write_point(uint8_t bytes[4], uint32_t point)
{
    if (point < 0x80) {
        bytes[0] = (uint8_t)point;
        return 1;
    }
    const size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; point >>= 6)
        bytes[i] = (uint8_t)(0x80 | (point & 0x3F));
    bytes[0] = (uint8_t)((0xF00u >> len & 0xFF) | point);
    return len;
}

static void every_code_point_is_valid_except_the_surrogates(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110800; c++) {
        uint8_t u[4];
        const size_t len = write_point(u, c);
        const bool want = c < 0xD800 || (c > 0xDFFF && c < 0x110000);
        if (ut_utf8_valid(ut_bytes_of(u, len)) != want)
            fail_msg("U+%04X", (unsigned)c);
        if (want && ut_utf8_point(u, len) != c)
            fail_msg("U+%04X is read as another", (unsigned)c);
    }
}

static void unsafe_of_one_and_two_bytes_are_controls_and_two_others(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            const uint8_t bytes[] = {(uint8_t)first, (uint8_t)second};
            const bool c0 = first < 0x20 || first == 0x7f;
            const bool c1 = first == 0xc2 && second >= 0x80 && second <= 0x9f;
            const bool soft_hyphen = first == 0xc2 && second == 0xad;
            const bool letter_mark = first == 0xd8 && second == 0x9c;
            if (ut_utf8_is_unsafe(bytes, 2) != (c0 || c1 || soft_hyphen || letter_mark))
                fail_msg("%02x %02x", first, second);
        }
        const uint8_t alone = (uint8_t)first;
        assert_int_equal(ut_utf8_is_unsafe(&alone, 1), first < 0x20 || first == 0x7f);
    }
}

static void bidi_invisible_and_tag_characters_are_unsafe_and_what_writing_needs_is_not(void **state)
{
    (void)state;
    static const uint32_t unsafe[] = {0x200B,  0x200E,  0x200F,  0x2028, 0x2029, 0x202A,
                                      0x202E,  0x2060,  0x2066,  0x2069, 0xFEFF, 0xE0000,
                                      0xE0001, 0xE007F, 0xE01EF, 0x3164, 0x180E};
    static const uint32_t safe[] = {0x200C, 0x200D, 0x2010,  0x2027,  0x202F,  0x2070,  0xFE0F,
                                    0x0301, 0x65E5, 0x1F600, 0x1F3FB, 0xDFFFF, 0xE1000, 0xA0};
    for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]) + sizeof(safe) / sizeof(safe[0]);
         i++) {
        const size_t unsafe_count = sizeof(unsafe) / sizeof(unsafe[0]);
        const uint32_t point = i < unsafe_count ? unsafe[i] : safe[i - unsafe_count];
        uint8_t bytes[4];
        const size_t len = write_point(bytes, point);
        assert_int_equal(ut_utf8_point(bytes, len), point);
        if (ut_utf8_is_unsafe(bytes, len) != (i < unsafe_count))
            fail_msg("U+%04X", (unsigned)point);
    }
}

static void text_is_made_safe_in_place(void **state)
{
    (void)state;
    char text[] = "a\x1b[1m\xe2\x80\xae"
                  "cod.exe\xff \xe6\x97\xa5\xf3\xa0\x81\x81\xe6";
    const size_t len = ut_utf8_make_safe(text, sizeof(text) - 1);
    text[len] = '\0';
    assert_string_equal(text, "a?[1m?cod.exe? \xe6\x97\xa5??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_told_from_what_only_looks_like_it),
        cmocka_unit_test(every_code_point_is_valid_except_the_surrogates),
        cmocka_unit_test(unsafe_of_one_and_two_bytes_are_controls_and_two_others),
        cmocka_unit_test(
            bidi_invisible_and_tag_characters_are_unsafe_and_what_writing_needs_is_not),
        cmocka_unit_test(text_is_made_safe_in_place),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
