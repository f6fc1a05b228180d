// URLs of destinations: what is taken apart, and what a person is told of the others.
#include "transport/http/url.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static ut_url parse(const char *text_z)
{
    ut_url url;
    ut_fault fault = {0};
    if (ut_url_parse(text_z, &url, &fault) != UT_OK)
        fail_msg("%s: %s", text_z, fault.text_z);
    return url;
}

static void a_url_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text_z;
        bool tls;
        const char *host_z;
        unsigned port;
        const char *path_z;
    } cases[] = {
        {"http://localhost", false, "localhost", 80, "/"},
        {"https://localhost", true, "localhost", 443, "/"},
        {"https://central.example:4318/v1/traces", true, "central.example", 4318, "/v1/traces"},
        {"HTTPS://Central.EXAMPLE/A/b", true, "central.example", 443, "/A/b"},
        {"http://127.0.0.1:1/", false, "127.0.0.1", 1, "/"},
        {"http://[::1]:65535/x", false, "::1", 65535, "/x"},
        {"https://[2001:db8::7]", true, "2001:db8::7", 443, "/"},
        {"http://host?key=1", false, "host", 80, "/?key=1"},
        {"http://host/p?a=b&c=/d:e@f", false, "host", 80, "/p?a=b&c=/d:e@f"},
        {"http://a_b-c.d", false, "a_b-c.d", 80, "/"},
        {"https://Central.Example.:4318/", true, "central.example.", 4318, "/"},
        {"https://XN--Bro-HOA.example", true, "xn--bro-hoa.example", 443, "/"},
        {"http://localhost.", false, "localhost.", 80, "/"},
        {"http://3com.example", false, "3com.example", 80, "/"},
        {"http://10.example", false, "10.example", 80, "/"},
        {"http://host-1", false, "host-1", 80, "/"},
        {"http://0xg", false, "0xg", 80, "/"},
        {"http://[fe80::1%251]", false, "fe80::1%1", 80, "/"},
        {"http://[fe80::1%2]", false, "fe80::1%2", 80, "/"},
        {"http://[fe80::1%25]", false, "fe80::1%25", 80, "/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_url url = parse(cases[i].text_z);
        assert_int_equal(url.tls, cases[i].tls);
        assert_string_equal(url.host_z, cases[i].host_z);
        assert_int_equal(url.port, cases[i].port);
        assert_string_equal(url.path_z, cases[i].path_z);
    }
}

static void a_url_that_is_none_is_explained(void **state)
{
    (void)state;
    static const struct {
        const char *text_z;
        const char *told_z;
    } cases[] = {
        {"", "no scheme"},
        {"localhost:4318", "no scheme"},
        {"//localhost", "no scheme"},
        {"grpc://localhost", "'grpc'"},
        {"http:/localhost", "no scheme"},
        {"http://", "no host"},
        {"http://:80", "no host"},
        {"http:///path", "no host"},
        {"http://host:", "port"},
        {"http://host:0", "port"},
        {"http://host:65536", "port"},
        {"http://host:123456789012345678901", "port"},
        {"http://host:80x", "port"},
        {"http://host:-1", "port"},
        {"http://me:secret@host/", "authorization"},
        {"http://host/a#b", "fragment"},
        {"http://host#b", "fragment"},
        {"http://host/a b", "%20"},
        {"http://host/a\nb", "%0A"},
        {"http://host/\xc3\xa9", "%C3"},
        {"http://ho st/", "0x20"},
        {"http://ho\tst/", "0x09"},
        {"http://b\xc3\xbcro/", "xn--"},
        {"http://[::1", "no end"},
        {"http://[]/", "no end"},
        {"http://[127.0.0.1]/", "IPv6"},
        {"http://[::1]x/", "neither a port nor a path"},
        {"http://[:::::]/", "IPv6"},
        {"http://./", "no host name"},
        {"http://../", "no host name"},
        {"http://.a/", "no host name"},
        {"http://a..b/", "no host name"},
        {"http://a../", "no host name"},
        {"http://127.1/", "'127.1', expected a name or an IPv4 address of four numbers"},
        {"http://2130706433/", "four numbers"},
        {"http://0x7f000001/", "four numbers"},
        {"http://0x7f.1/", "four numbers"},
        {"http://1.2.3.0x/", "four numbers"},
        {"http://1.2.3.256/", "four numbers"},
        {"http://0177.0.0.01/", "four numbers"},
        {"http://1.2.3.4.5/", "four numbers"},
        {"http://127.0.0.1./", "four numbers"},
        {"http://example.1/", "four numbers"},
        {"http://a%2eb/", "0x25"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_url url;
        ut_fault fault = {0};
        assert_int_equal(ut_url_parse(cases[i].text_z, &url, &fault), UT_EFORMAT);
        if (strstr(fault.text_z, cases[i].told_z) == NULL)
            fail_msg("'%s' is explained by: %s", cases[i].text_z, fault.text_z);
        assert_null(strstr(fault.text_z, "secret"));
    }
}

static void a_url_at_its_limits_is_taken_and_beyond_refused(void **state)
{
    (void)state;
    static const size_t host_max = 253;
    static const size_t path_max = UT_URL_MAX - 1;
    char text_z[UT_HOST_MAX + UT_URL_MAX + 32];
    for (size_t over = 0; over < 2; over++) {
        size_t len = (size_t)snprintf(text_z, sizeof text_z, "http://");
        for (size_t i = 0; i < host_max + over; i++)
            text_z[len + i] = i % 64 == 63 ? '.' : 'h'; // labels of 63
        text_z[len + host_max + over] = '\0';
        ut_url url;
        assert_int_equal(ut_url_parse(text_z, &url, NULL), over == 0 ? UT_OK : UT_EFORMAT);

        len = (size_t)snprintf(text_z, sizeof text_z, "http://h/");
        memset(text_z + len, 'p', path_max - 1 + over);
        text_z[len + path_max - 1 + over] = '\0';
        assert_int_equal(ut_url_parse(text_z, &url, NULL), over == 0 ? UT_OK : UT_EFORMAT);
        if (over == 0)
            assert_int_equal(strlen(url.path_z), path_max);
    }
}

static void a_label_at_its_limit_is_taken_and_beyond_refused(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        char text_z[128] = "http://";
        memset(text_z + 7, 'h', 63 + over);
        memcpy(text_z + 7 + 63 + over, ".d", 3);
        ut_url url;
        assert_int_equal(ut_url_parse(text_z, &url, NULL), over == 0 ? UT_OK : UT_EFORMAT);
    }
}

static void a_url_is_shown_without_its_query(void **state)
{
    (void)state;
    static const struct {
        const char *text_z;
        const char *shown_z;
    } rows[] = {
        {"https://central.example/v1/traces?key=secret&a=b",
         "https://central.example:443/v1/traces?***"},
        {"http://[::1]:4318/?secret", "http://[::1]:4318/?***"},
        {"http://host/a/b", "http://host:80/a/b"},
        {"http://host?", "http://host:80/?***"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ut_url url = parse(rows[i].text_z);
        ut_buf out;
        ut_buf_init(&out, 1000);
        ut_url_show(&url, &out);
        ut_buf_add_byte(&out, 0);
        assert_string_equal((const char *)out.data, rows[i].shown_z);
        ut_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(a_url_that_is_none_is_explained),
        cmocka_unit_test(a_label_at_its_limit_is_taken_and_beyond_refused),
        cmocka_unit_test(a_url_is_shown_without_its_query),
        cmocka_unit_test(a_url_at_its_limits_is_taken_and_beyond_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
