// The configuration for those who need a part of it: secrets and files of the agent are left alone,
// mistakes are found all the same. Also what the environment says instead of the file, and what
// names of files are relative to.
#include "agent/config/config_find.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

typedef struct {
    char dir_z[40];
    char path_z[64];
    ut_config config;
    ut_fault fault;
} fixture;

static int set_up(void **state)
{
    static const char *const variables[] = {
        "UNTRACE_DATA_DIR",  "UNTRACE_LISTEN", "UNTRACE_MAX_SIZE", "UNTRACE_TTL",
        "UNTRACE_LOG_LEVEL", "UNTRACE_CONFIG", "STATE_DIRECTORY",  "UT_TEST_NONE"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        assert_int_equal(unsetenv(variables[i]), 0);
    fixture *f = calloc(1, sizeof(*f));
    memcpy(f->dir_z, "/tmp/untrace-use-XXXXXX", 24);
    assert_non_null(mkdtemp(f->dir_z));
    (void)snprintf(f->path_z, sizeof(f->path_z), "%s/untrace.yaml", f->dir_z);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    (void)unlink(f->path_z);
    assert_int_equal(rmdir(f->dir_z), 0);
    free(f);
    return 0;
}

static ut_err read_for(fixture *f, ut_config_use use, const char *text_z)
{
    FILE *file = fopen(f->path_z, "w");
    assert_non_null(file);
    assert_true(fputs(text_z, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return ut_config_find(f->path_z, use, &f->config, &f->fault);
}

static void accept(fixture *f, ut_config_use use, const char *text_z)
{
    if (read_for(f, use, text_z) != UT_OK)
        fail_msg("refused: %s", f->fault.text_z);
}

static void refuse(fixture *f, ut_config_use use, const char *text_z, const char *expected_z)
{
    assert_int_not_equal(read_for(f, use, text_z), UT_OK);
    if (strstr(f->fault.text_z, expected_z) == NULL)
        fail_msg("said \"%s\", expected it to hold \"%s\"", f->fault.text_z, expected_z);
}

// What an agent has and a shell beside it has not: secrets, files, names.
static const char of_the_agent[] =
    "data_dir: /var/lib/x\n"
    "log: { level: \"${env:UT_TEST_NONE}\" }\n"
    "stop_timeout: ${env:UT_TEST_NONE}\n"
    "receivers:\n"
    "  otlp_http:\n"
    "    listen: \"${env:UT_TEST_NONE}:4318\"\n"
    "    max_memory: ${env:UT_TEST_NONE:-1KiB}\n"
    "    tls: { cert_file: nowhere.pem, key_file: /nowhere/key.pem }\n"
    "destinations:\n"
    "  - name: central\n"
    "    endpoint: https://central.example\n"
    "    headers: { authorization: \"Bearer ${env:UT_TEST_NONE}\", x-a: b }\n"
    "  - name: ${env:UT_TEST_NONE}\n"
    "    endpoint: ${env:UT_TEST_NONE}\n"
    "    headers: { \"${env:UT_TEST_NONE}\": b }\n"
    "  - name: third\n"
    "    endpoint: https://b\n"
    "    tls: { ca_file: nowhere.pem, cert_file: \"${env:UT_TEST_NONE}\", key_file: x }\n"
    "    batch: { max_spans: \"${env:UT_TEST_NONE}\" }\n";

static void a_reader_needs_no_secret_and_no_file_of_the_agent(void **state)
{
    fixture *f = *state;
    for (ut_config_use use = UT_CONFIG_LOOK; use < UT_CONFIG_RUN; use++) {
        accept(f, use, of_the_agent);
        assert_string_equal(f->config.data_dir_z, "/var/lib/x");
        ut_config_free(&f->config);
    }
    refuse(f, UT_CONFIG_RUN, of_the_agent, "the environment has no UT_TEST_NONE");
}

static void the_rest_of_storage_is_for_those_who_write(void **state)
{
    fixture *f = *state;
    static const char text[] =
        "data_dir: /x\n"
        "storage:\n"
        "  ttl: ${env:UT_TEST_NONE}\n"
        "  rules: [ { match: { a: \"${env:UT_TEST_NONE}\" }, ttl: 1d },"
        " { match: { b: c }, ttl: \"${env:UT_TEST_NONE}\" }, { match: { b: c }, ttl: 1d } ]\n"
        "  encryption: { key_file: key }\n";
    accept(f, UT_CONFIG_LOOK, text);
    char key_z[64];
    (void)snprintf(key_z, sizeof(key_z), "%s/key", f->dir_z);
    assert_string_equal(f->config.storage.encryption.key_file_z, key_z);
    assert_int_equal(f->config.storage.rules.count, 1);
    ut_config_free(&f->config);
    refuse(f, UT_CONFIG_STORE, text, ":3:8: found ${env:UT_TEST_NONE}");
}

static void a_reader_has_the_prices_of_models(void **state)
{
    fixture *f = *state;
    accept(f, UT_CONFIG_LOOK,
           "data_dir: /x\n"
           "llm:\n"
           "  prices:\n"
           "    - { model: \"gpt-*\", input: 2.50, output: 10, cached: 0 }\n"
           "    - { model: b, input: \"${env:UT_TEST_NONE}\", output: 1 }\n"
           "    - { model: c, input: 1, output: 0.5 }\n");
    const ut_llm_prices *prices = &f->config.llm_prices;
    assert_int_equal(prices->count, 2);
    assert_string_equal(prices->items[0].model_z, "gpt-*");
    assert_true(prices->items[0].input_usd > 2.49 && prices->items[0].input_usd < 2.51);
    assert_true(prices->items[0].cached_usd < 0.01);
    assert_true(prices->items[1].cached_usd > 0.99);
    ut_config_free(&f->config);
    refuse(f, UT_CONFIG_LOOK, "llm: { prices: [ { model: a, input: 1 } ] }\n",
           "found a price without output");
    refuse(f, UT_CONFIG_LOOK, "llm: { prices: [ { model: a, input: x, output: 1 } ] }\n",
           "found \"x\", expected dollars for a million tokens");
    refuse(f, UT_CONFIG_LOOK, "llm: { prices: [ { model: a, input: -1, output: 1 } ] }\n",
           "found \"-1\", expected dollars");
    refuse(f, UT_CONFIG_LOOK, "llm: { prices: { a: 1 } }\n", "a list of prices");
    refuse(f, UT_CONFIG_LOOK, "llm: { price: [] }\n", ":1:8: ");
}

static void a_reader_takes_its_own_values_from_the_environment(void **state)
{
    fixture *f = *state;
    assert_int_equal(setenv("UT_TEST_TOKEN", "/srv", 1), 0);
    accept(f, UT_CONFIG_LOOK,
           "data_dir: ${env:UT_TEST_TOKEN}/x\n"
           "storage: { encryption: { key_file: \"${env:UT_TEST_TOKEN}/k\" } }\n");
    assert_string_equal(f->config.data_dir_z, "/srv/x");
    assert_string_equal(f->config.storage.encryption.key_file_z, "/srv/k");
    ut_config_free(&f->config);
    refuse(f, UT_CONFIG_LOOK, "data_dir: ${env:UT_TEST_NONE}\n", "has no UT_TEST_NONE");
}

static void a_reader_finds_mistakes_all_the_same(void **state)
{
    fixture *f = *state;
    static const char *const wrong[][2] = {
        {"storge: {}\n", "storge"},
        {"storage: { max_size: big }\n", "big"},
        {"receivers: { otlp_http: { listen: \"x:y\" } }\n", "x:y"},
        {"destinations:\n  - { name: a, endpoint: \"${env:A}\", heders: {} }\n", "heders"},
        {"destinations:\n  - { name: a, endpoint: ftp://a }\n", "ftp"},
        {"destinations:\n  - { name: a, endpoint: \"${HOME}\" }\n", "${env:NAME}"},
        {"destinations:\n  - { name: a, endpoint: http://a, timeout: 5, headers: "
         "{ a: \"${env:A}\" } }\n",
         "found \"5\""},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        refuse(f, UT_CONFIG_LOOK, wrong[i][0], wrong[i][1]);
}

static void names_of_files_are_relative_to_the_file(void **state)
{
    fixture *f = *state;
    char expected_z[80];
    accept(f, UT_CONFIG_RUN,
           "data_dir: data\n"
           "storage: { encryption: { key_file: sub/key } }\n"
           "receivers: { otlp_http: { listen: \"unix:in.sock\" } }\n");
    (void)snprintf(expected_z, sizeof(expected_z), "%s/data", f->dir_z);
    assert_string_equal(f->config.data_dir_z, expected_z);
    (void)snprintf(expected_z, sizeof(expected_z), "%s/sub/key", f->dir_z);
    assert_string_equal(f->config.storage.encryption.key_file_z, expected_z);
    (void)snprintf(expected_z, sizeof(expected_z), "%s/in.sock", f->dir_z);
    assert_string_equal(f->config.receivers.otlp_http.listen.path_z, expected_z);
    ut_config_free(&f->config);
    char pem_z[80];
    (void)snprintf(pem_z, sizeof(pem_z), "cannot read %s/a.pem", f->dir_z);
    refuse(f, UT_CONFIG_RUN, "receivers: { otlp_http: { tls: { cert_file: a.pem } } }\n", pem_z);
}

static void the_environment_stands_above_the_file(void **state)
{
    fixture *f = *state;
    assert_int_equal(setenv("UNTRACE_DATA_DIR", "/srv/x", 1), 0);
    assert_int_equal(setenv("UNTRACE_LISTEN", "0.0.0.0:4400", 1), 0);
    assert_int_equal(setenv("UNTRACE_MAX_SIZE", "8MiB", 1), 0);
    assert_int_equal(setenv("UNTRACE_TTL", "2d", 1), 0);
    assert_int_equal(setenv("UNTRACE_LOG_LEVEL", "debug", 1), 0);
    accept(f, UT_CONFIG_RUN, "data_dir: /y\nstorage: { max_size: 1GiB, ttl: 1d }\n");
    char listen_z[UT_ADDR_TEXT_MAX];
    ut_addr_text(&f->config.receivers.otlp_http.listen, listen_z);
    assert_string_equal(listen_z, "0.0.0.0:4400");
    assert_string_equal(f->config.data_dir_z, "/srv/x");
    assert_int_equal(f->config.storage.bytes_max, 8 * 1024 * 1024);
    assert_int_equal(f->config.storage.ttl_ms, 2 * 86400 * 1000);
    assert_int_equal(f->config.log_level, UT_LOG_DEBUG);
    ut_config_free(&f->config);
    // Empty is as unset, and what is not needed is not looked at.
    assert_int_equal(setenv("UNTRACE_DATA_DIR", "", 1), 0);
    assert_int_equal(setenv("UNTRACE_LISTEN", "nonsense", 1), 0);
    accept(f, UT_CONFIG_LOOK, "data_dir: /y\n");
    assert_string_equal(f->config.data_dir_z, "/y");
    ut_config_free(&f->config);
    refuse(f, UT_CONFIG_RUN, "data_dir: /y\n", "UNTRACE_LISTEN: found \"nonsense\", expected ");
    assert_true(strncmp(f->fault.text_z, "UNTRACE_LISTEN: ", 16) == 0);
}

static void a_listen_option_is_read_like_the_key(void **state)
{
    fixture *f = *state;
    accept(f, UT_CONFIG_RUN, "");
    assert_int_equal(ut_config_set_listen("--listen", "[::]:0", &f->config, &f->fault), UT_OK);
    assert_int_equal(f->config.receivers.otlp_http.listen.family, UT_ADDR_IP6);
    assert_int_equal(ut_config_set_listen("--listen", "a:1", &f->config, &f->fault), UT_EFORMAT);
    assert_true(strncmp(f->fault.text_z, "--listen: found \"a:1\"", 21) == 0);
    ut_config_free(&f->config);
}

static void an_address_that_can_mean_one_thing_is_taken(void **state)
{
    fixture *f = *state;
    static const char *const good[][2] = {
        {"4318", "127.0.0.1:4318"},     {"localhost:4318", "127.0.0.1:4318"},
        {"LocalHost:1", "127.0.0.1:1"}, {":4318", "0.0.0.0:4318"},
        {"[::1]:4318", "[::1]:4318"},   {"0", "127.0.0.1:0"},
    };
    static const char *const wrong[][2] = {
        {"99999", "port of 0 to 65535"},
        {"127.0.0.1:99999", "a port of 0 to 65535 behind the last colon"},
        {"localhost:http", "a port of 0 to 65535"},
        {":99999", "a port of 0 to 65535"},
        {"localhost", "ADDRESS:PORT"},
        {"127.0.0.1", "ADDRESS:PORT"},
        {"[::1]", "ADDRESS:PORT"},
        {"::1:4318", "an IPv6 address in brackets"},
        {"edge.local:4318", "names are not looked up"},
        {"*:4318", "0.0.0.0: all of this machine"},
        {"http://127.0.0.1:4318", "numeric address"},
        {"unix:", "the path of a socket"},
        {"", "found nothing"},
    };
    accept(f, UT_CONFIG_RUN, "");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char listen_z[UT_ADDR_TEXT_MAX];
        assert_int_equal(ut_config_set_listen("x", good[i][0], &f->config, &f->fault), UT_OK);
        ut_addr_text(&f->config.receivers.otlp_http.listen, listen_z);
        assert_string_equal(listen_z, good[i][1]);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_not_equal(ut_config_set_listen("x", wrong[i][0], &f->config, &f->fault), UT_OK);
        if (strstr(f->fault.text_z, wrong[i][1]) == NULL)
            fail_msg("said \"%s\", expected it to hold \"%s\"", f->fault.text_z, wrong[i][1]);
    }
    ut_config_free(&f->config);
}

static void the_state_directory_of_a_service_is_its_data_directory(void **state)
{
    fixture *f = *state;
    assert_int_equal(setenv("STATE_DIRECTORY", "/var/lib/private/a:/var/lib/b", 1), 0);
    accept(f, UT_CONFIG_LOOK, "");
    assert_string_equal(f->config.data_dir_z, "/var/lib/private/a");
    ut_config_free(&f->config);
    accept(f, UT_CONFIG_LOOK, "data_dir: /y\n");
    assert_string_equal(f->config.data_dir_z, "/y");
    ut_config_free(&f->config);
    char *dir_z = NULL;
    assert_int_equal(ut_config_find_data_dir(f->path_z, &dir_z, &f->fault), UT_OK);
    assert_string_equal(dir_z, "/y");
    free(dir_z);
}

static void an_empty_variable_names_no_file(void **state)
{
    (void)state;
    const char *const found_z = ut_config_find_path(NULL);
    assert_int_equal(setenv("UNTRACE_CONFIG", "", 1), 0);
    assert_ptr_equal(ut_config_find_path(NULL), found_z);
    assert_string_equal(ut_config_find_path(""), "");
    assert_int_equal(setenv("UNTRACE_CONFIG", "/a/b", 1), 0);
    assert_string_equal(ut_config_find_path(NULL), "/a/b");
    assert_string_equal(ut_config_find_path("c"), "c");
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FILE(a_reader_needs_no_secret_and_no_file_of_the_agent),
        WITH_FILE(a_reader_has_the_prices_of_models),
        WITH_FILE(the_rest_of_storage_is_for_those_who_write),
        WITH_FILE(a_reader_takes_its_own_values_from_the_environment),
        WITH_FILE(a_reader_finds_mistakes_all_the_same),
        WITH_FILE(names_of_files_are_relative_to_the_file),
        WITH_FILE(the_environment_stands_above_the_file),
        WITH_FILE(a_listen_option_is_read_like_the_key),
        WITH_FILE(an_address_that_can_mean_one_thing_is_taken),
        WITH_FILE(the_state_directory_of_a_service_is_its_data_directory),
        WITH_FILE(an_empty_variable_names_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
