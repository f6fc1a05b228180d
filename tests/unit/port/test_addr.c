// Numeric addresses as text, both ways.
#include "port/port.h"

#include <stdio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

typedef struct {
    const char *text_z;
    const char *back_z; // NULL: the same
    ut_addr_family family;
    bool loopback;
} row;

static void addresses_are_read_and_written_back(void **state)
{
    (void)state;
    static const row table[] = {
        {"127.0.0.1:4318", NULL, UT_ADDR_IP4, true},
        {"127.255.0.9:1", NULL, UT_ADDR_IP4, true},
        {"0.0.0.0:0", NULL, UT_ADDR_IP4, false},
        {"128.0.0.1:80", NULL, UT_ADDR_IP4, false},
        {"255.255.255.255:65535", NULL, UT_ADDR_IP4, false},
        {"[::1]:4318", NULL, UT_ADDR_IP6, true},
        {"[::]:4318", NULL, UT_ADDR_IP6, false},
        {"[::2]:4318", NULL, UT_ADDR_IP6, false},
        {"[2001:DB8:0:0:0:0:0:1]:443", "[2001:db8::1]:443", UT_ADDR_IP6, false},
        {"[::ffff:127.0.0.1]:9", NULL, UT_ADDR_IP6, true},
        {"[::ffff:10.0.0.1]:9", NULL, UT_ADDR_IP6, false},
        {"[fe80::1%7]:9", NULL, UT_ADDR_IP6, false},
        {"[fe80::1%4294967295]:9", NULL, UT_ADDR_IP6, false},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535", UT_ADDR_IP6, false},
        {"unix:/run/untrace.sock", NULL, UT_ADDR_UNIX, true},
        {"unix:relative.sock", NULL, UT_ADDR_UNIX, true},
        {"unix:80", NULL, UT_ADDR_UNIX, true},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        ut_addr addr;
        char text_z[UT_ADDR_TEXT_MAX];
        if (ut_addr_parse(ut_bytes_of_z(table[i].text_z), &addr) != UT_OK)
            fail_msg("refused %s", table[i].text_z);
        ut_addr_text(&addr, text_z);
        assert_string_equal(text_z, table[i].back_z != NULL ? table[i].back_z : table[i].text_z);
        assert_int_equal(addr.family, table[i].family);
        assert_int_equal(ut_addr_is_loopback(&addr), table[i].loopback);
    }
}

static void the_parts_stand_where_the_header_says(void **state)
{
    (void)state;
    ut_addr addr;
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("10.1.2.3:258"), &addr), UT_OK);
    assert_memory_equal(addr.ip, "\x0a\x01\x02\x03", 4);
    assert_int_equal(addr.port, 258);
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("[fe80::102%3]:443"), &addr), UT_OK);
    assert_memory_equal(addr.ip, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\1\2", 16);
    assert_int_equal(addr.zone, 3);
    assert_int_equal(addr.port, 443);
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("[fe80::1%lo]:443"), &addr), UT_OK);
    assert_true(addr.zone > 0);
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("unix:/a"), &addr), UT_OK);
    assert_string_equal(addr.path_z, "/a");
    assert_int_equal(addr.port, 0);
}

static void what_is_not_a_numeric_address_is_refused(void **state)
{
    (void)state;
    static const char *const table[] = {
        "",
        ":",
        ":80",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1:http",
        "127.0.0.1: 80",
        "127.0.0.1:80 ",
        " 127.0.0.1:80",
        "127.1:80",
        "127.0.0.256:80",
        "127.0.0.1.1:80",
        "0x7f.0.0.1:80",
        "localhost:80",
        "example.com:443",
        "*:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1]:",
        "[::1]:99999",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[127.0.0.1]:80",
        "[::1%]:80",
        "[::1%0]:80",
        "[::1%nosuchinterface0]:80",
        "[::1%4294967296]:80",
        "[::1%4294967297]:80",
        "[:::1]:80",
        "[1:2:3:4:5:6:7]:80",
        "[1:2:3:4:5:6:7:8:9]:80",
        "[::g]:80",
        "[[::1]]:80",
        "unix:",
        "UNIX:/a",
        "http://127.0.0.1:80",
        "[::1111111111111111111111111111111111111111111111111111111111111111]:80",
        "[::1%aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]:1",
        "111111111111111111111111111111111111111111111111:1",
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        ut_addr addr = {.port = 7};
        if (ut_addr_parse(ut_bytes_of_z(table[i]), &addr) != UT_EFORMAT)
            fail_msg("took \"%s\"", table[i]);
        assert_int_equal(addr.port, 7);
    }
    ut_addr addr;
    assert_int_equal(ut_addr_parse(UT_BYTES_NONE, &addr), UT_EFORMAT);
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1\0:80"), &addr), UT_EFORMAT);
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("unix:/a\0b"), &addr), UT_EFORMAT);
}

static void paths_are_taken_up_to_their_limit(void **state)
{
    (void)state;
    char text_z[UT_ADDR_PATH_MAX + 8];
    char back_z[UT_ADDR_TEXT_MAX];
    memset(text_z, 'p', sizeof(text_z));
    memcpy(text_z, "unix:", 5);
    ut_addr addr;
    text_z[5 + UT_ADDR_PATH_MAX] = '\0';
    assert_int_equal(ut_addr_parse(ut_bytes_of_z(text_z), &addr), UT_EFORMAT);
    text_z[5 + UT_ADDR_PATH_MAX - 1] = '\0';
    assert_int_equal(ut_addr_parse(ut_bytes_of_z(text_z), &addr), UT_OK);
    ut_addr_text(&addr, back_z);
    assert_string_equal(back_z, text_z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written_back),
        cmocka_unit_test(the_parts_stand_where_the_header_says),
        cmocka_unit_test(what_is_not_a_numeric_address_is_refused),
        cmocka_unit_test(paths_are_taken_up_to_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
