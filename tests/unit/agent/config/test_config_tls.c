// The files of a `tls` section: what they hold is refused with its place and name.
#include "agent/config/config.h"
#include "tests/support/certs.h"
#include "tests/support/temp_dir.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static ut_certs *certs;
static char dir_z[UT_TEMP_PATH_MAX];

static void write_file(const char *name_z, ut_bytes bytes)
{
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(dir_z, name_z, path_z);
    FILE *file = fopen(path_z, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const names_z[] = {"ca.pem",     "server.pem", "server.key",
                                          "client.key", "client.enc", "client.pem"};
    certs = ut_certs_make();
    ut_temp_dir_make(dir_z);
    for (size_t i = 0; i < sizeof names_z / sizeof names_z[0]; i++)
        write_file(names_z[i], ut_certs_get(certs, names_z[i]));
    write_file("text", UT_BYTES_LIT("no PEM at all\n"));
    write_file("cut.pem", ut_bytes_of(ut_certs_get(certs, "server.pem").data, 100));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ut_temp_dir_remove(dir_z);
    ut_certs_free(certs);
    return 0;
}

// told_z NULL: it is taken.
static void expect(const char *text_z, const char *place_z, const char *told_z)
{
    char path_z[UT_TEMP_PATH_MAX];
    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault = {UT_OK, ""};
    write_file("c.yaml", ut_bytes_of_z(text_z));
    ut_temp_path(dir_z, "c.yaml", path_z);
    const ut_err err = ut_config_read(path_z, UT_CONFIG_RUN, config, &fault);
    if (told_z == NULL) {
        if (err != UT_OK)
            fail_msg("%s", fault.text_z);
        ut_config_free(config);
    } else {
        assert_int_not_equal(err, UT_OK);
        const size_t path_len = strlen(path_z);
        if (strncmp(fault.text_z, path_z, path_len) != 0 ||
            strncmp(fault.text_z + path_len, place_z, strlen(place_z)) != 0 ||
            strstr(fault.text_z, told_z) == NULL)
            fail_msg("%s", fault.text_z);
    }
    free(config);
}

#define RECEIVER(files) "receivers:\n  otlp_http:\n    tls: { " files " }\n"
#define DESTINATION(files) \
    "destinations:\n- name: a\n  endpoint: https://h.example\n  tls: { " files " }\n"

static void bad_files_of_a_receiver_are_named_with_their_place(void **state)
{
    (void)state;
    expect(RECEIVER("cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem"), "",
           NULL);
    expect(RECEIVER("cert_file: text, key_file: server.key"), ":3:23: cert_file text, ",
           "the certificate holds no PEM certificate");
    expect(RECEIVER("cert_file: cut.pem, key_file: server.key"), ":3:23: cert_file cut.pem, ",
           "does not parse");
    expect(
        RECEIVER("cert_file: server.pem, key_file: client.key"),
        ":3:23: cert_file server.pem, key_file client.key: ", "does not belong to the certificate");
    expect(RECEIVER("cert_file: client.pem, key_file: client.enc"),
           ":3:23: cert_file client.pem, key_file client.enc: ", "is encrypted");
    expect(RECEIVER("cert_file: server.pem, key_file: server.key, client_ca_file: text"),
           ":3:73: client_ca_file text: ", "the CA file holds no PEM certificate");
}

static void bad_files_of_a_destination_are_named_with_their_place(void **state)
{
    (void)state;
    expect(DESTINATION("ca_file: ca.pem, cert_file: client.pem, key_file: client.key"), "", NULL);
    expect(DESTINATION("ca_file: text"),
           ":4:19: ca_file text: ", "the CA file holds no PEM certificate");
    expect(DESTINATION("ca_file: ca.pem, cert_file: client.pem, key_file: text"),
           ":4:38: cert_file client.pem, key_file text: ", "the private key does not parse");
}

static void who_needs_no_file_looks_into_none(void **state)
{
    (void)state;
    char path_z[UT_TEMP_PATH_MAX];
    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault = {UT_OK, ""};
    write_file("c.yaml", ut_bytes_of_z(RECEIVER("cert_file: text, key_file: text")));
    ut_temp_path(dir_z, "c.yaml", path_z);
    assert_int_equal(ut_config_read(path_z, UT_CONFIG_LOOK, config, &fault), UT_OK);
    ut_config_free(config);
    free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_of_a_receiver_are_named_with_their_place),
        cmocka_unit_test(bad_files_of_a_destination_are_named_with_their_place),
        cmocka_unit_test(who_needs_no_file_looks_into_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
