// The configuration: defaults, every key, and what each wrong line gets.
#include "agent/config/config.h"

#include "storage/store/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static ut_err read_text(const char *text_z, ut_config *config, ut_fault *fault)
{
    char path[] = "/tmp/untrace-config-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text_z, strlen(text_z)), (ssize_t)strlen(text_z));
    assert_int_equal(close(file), 0);
    const ut_err err = ut_config_read(path, UT_CONFIG_RUN, config, fault);
    assert_int_equal(unlink(path), 0);
    // The path is a temporary one: what follows it is what the tests look at.
    if (err != UT_OK && strncmp(fault->text_z, path, strlen(path)) == 0)
        memmove(fault->text_z, fault->text_z + strlen(path),
                strlen(fault->text_z + strlen(path)) + 1);
    return err;
}

static void refuse(const char *text_z, const char *expected_z)
{
    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault = {UT_OK, ""};
    assert_int_not_equal(read_text(text_z, config, &fault), UT_OK);
    if (strstr(fault.text_z, expected_z) == NULL)
        fail_msg("said \"%s\", expected it to hold \"%s\"", fault.text_z, expected_z);
    free(config);
}

static ut_config *accept(const char *text_z)
{
    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault = {UT_OK, ""};
    if (read_text(text_z, config, &fault) != UT_OK)
        fail_msg("refused: %s", fault.text_z);
    return config;
}

static void release(ut_config *config)
{
    ut_config_free(config);
    free(config);
}

static void an_empty_file_means_the_defaults(void **state)
{
    (void)state;
    ut_config *config = accept("# nothing\n");
    char listen[UT_ADDR_TEXT_MAX];
    ut_addr_text(&config->receivers.otlp_http.listen, listen);
    assert_string_equal(listen, "127.0.0.1:4318");
    assert_int_equal(config->storage.bytes_max, 256 * 1024 * 1024);
    assert_int_equal(config->storage.ttl_ms, 30ULL * 86400 * 1000);
    assert_int_equal(config->destinations.count, 0);
    assert_int_equal(config->storage.spans_max, 0);
    assert_false(config->storage.evict_oldest);
    assert_int_equal(config->storage.rules.count, 0);
    assert_null(config->storage.encryption.key_file_z);
    assert_null(config->storage.encryption.key_env_z);
    assert_null(config->storage.encryption.credential_z);
    release(config);
}

static void every_key_is_read(void **state)
{
    (void)state;
    assert_int_equal(setenv("UT_TEST_TOKEN", "s3cret", 1), 0);
    ut_config *config =
        accept("data_dir: /tmp/x\n"
               "log: { level: debug, format: json }\n"
               "stop_timeout: 3s\n"
               "receivers:\n"
               "  otlp_http:\n"
               "    listen: \"[::1]:0\"\n"
               "    max_body_size: 1MiB\n"
               "    max_memory: 8MiB\n"
               "    max_connections: 7\n"
               "    max_header_size: 8KiB\n"
               "    header_timeout: 1s\n"
               "    body_timeout: 2s\n"
               "    idle_timeout: 3s\n"
               "storage: { max_size: 16MiB, ttl: 36h, commit_delay: 1s }\n"
               "destinations:\n"
               "  - name: central\n"
               "    provider: otlp\n"
               "    endpoint: http://example:1234/base/\n"
               "    headers: { authorization: \"Bearer ${env:UT_TEST_TOKEN}\", x-a: "
               "\"${env:UT_TEST_NONE:-dflt} $$\" }\n"
               "    encoding: json\n"
               "    compression: none\n"
               "    connections: 4\n"
               "    timeout: 7s\n"
               "    batch: { max_spans: 10, max_bytes: 64KiB, max_delay: 20ms }\n"
               "    retry: { initial: 2s, max: 9s, multiplier: 1.5, max_attempts: 5 }\n");
    assert_string_equal(config->data_dir_z, "/tmp/x");
    assert_int_equal(config->log_level, UT_LOG_DEBUG);
    assert_int_equal(config->log_format, UT_LOG_JSON);
    assert_non_null(config->path_z);
    assert_int_equal(config->stop_timeout_ms, 3000);
    assert_int_equal(config->receivers.otlp_http.body_bytes_max, 1024 * 1024);
    assert_int_equal(config->receivers.otlp_http.connections_max, 7);
    assert_int_equal(config->receivers.otlp_http.body_timeout_ms, 2000);
    assert_int_equal(config->storage.ttl_ms, 36ULL * 3600 * 1000);
    assert_int_equal(config->storage.commit_delay_ms, 1000);
    assert_int_equal(config->destinations.count, 1);
    const ut_destination_config *destination = &config->destinations.items[0];
    assert_string_equal(destination->url.host_z, "example");
    assert_int_equal(destination->url.port, 1234);
    assert_string_equal(destination->url.path_z, "/base/v1/traces");
    assert_int_equal(destination->header_count, 2);
    assert_string_equal(destination->headers[0].value_z, "Bearer s3cret");
    assert_string_equal(destination->headers[1].value_z, "dflt $");
    assert_ptr_equal(destination->encoder, &ut_otlp_json_encoder);
    assert_false(destination->gzip);
    assert_int_equal(destination->batch_spans_max, 10);
    assert_int_equal(destination->retry_attempts_max, 5);
    release(config);
}

static void a_wrong_line_is_named_with_what_was_found_and_expected(void **state)
{
    (void)state;
    refuse("data_dir: /x\nstorge: {}\n",
           ":2:1: found \"storge\", expected a key of the configuration; did you mean storage?");
    refuse("storage: { max-size: 8MiB }\n", "expected a key of storage; did you mean max_size?");
    refuse("colour: red\n", "expected a key of the configuration: data_dir");
    refuse("data_dir: ~/traces\n", ":1:11: found \"~/traces\", expected a path without ~");
    refuse("storage: { max_size: big }\n", ":1:22: found \"big\", expected a size such as");
    refuse("storage: { max_size: 1MiB }\n",
           ":1:22: found \"1MiB\", expected a size of at least 4MiB");
    refuse("storage: { ttl: 30 }\n", "found \"30\", expected a duration with its unit");
    refuse(
        "storage: { durability: commit }\n",
        "durability\", which is no key any more: each commit is synced before it is answered, as "
        "\"commit\" said. Leave it out");
    refuse("storage: { durability: interval }\n", "for fewer syncs set storage.commit_delay");
    refuse("storage: { sync_interval: 1s }\n", "For fewer syncs set storage.commit_delay");
    refuse("storage: { commit_delay: 1001ms }\n",
           ":1:26: found \"1001ms\", expected a duration of 0 to 1s: each request waits that much");
    refuse("storage: { commit_delay: 300 }\n", "expected a duration with its unit");
    refuse("storage: [a]\n", ":1:10: found a list, expected a mapping (storage)");
    refuse("storage: { ttl: 1d, ttl: 2d }\n",
           ":1:21: found \"ttl\" a second time, first in line 1");
    refuse("receivers: { otlp_http: { listen: localhost } }\n",
           "found \"localhost\", expected ADDRESS:PORT such as");
    refuse("receivers: { otlp_http: { max_memory: 1MiB } }\n",
           "found max_memory below max_body_size");
    refuse("receivers: { otlp_http: { tls: { cert_file: /nowhere/a.pem } } }\n", "/nowhere/a.pem");
    refuse("destinations: { name: x }\n", "found a mapping, expected a list of destinations");
    refuse("destinations:\n  - endpoint: http://a\n", ":2:5: found a destination without name");
    refuse("destinations:\n  - name: a\n", "found the destination a without endpoint");
    refuse("destinations:\n  - { name: a, endpoint: ftp://a }\n", ":2:26: ");
    refuse("destinations:\n  - { name: \"a b\", endpoint: http://a }\n",
           "found \"a b\", expected a name of");
    refuse(
        "destinations:\n  - { name: a, endpoint: http://a }\n  - { name: a, endpoint: http://b }\n",
        ":3:5: found a second destination with the name a");
    refuse("destinations:\n  - { name: a, endpoint: http://a, tls: { insecure: true } }\n",
           "found tls for an http:// endpoint");
    refuse("destinations:\n  - { name: a, endpoint: http://a, retry: { initial: 9s, max: 1s } }\n",
           "found max 1000 ms below initial 9000 ms");
    refuse("destinations:\n  - { name: a, endpoint: http://a, headers: { host: b } }\n",
           "found \"host\", expected a header");
    refuse("destinations:\n  - { name: a, endpoint: http://a, headers: { \"x\": \"a\\nb\" } }\n",
           "control character");
    refuse("a: [1, 2\n", ":2:1: ");
    refuse("data_dir: /x\n---\ndata_dir: /y\n", "found a second document");
    refuse("storage:\n\tttl: 1d\n", ":2:1: found a tab, expected spaces");
    refuse("storage:\n  ttl:\t1d\n\tmax_size: 8MiB\n", ":3:1: found a tab");
    static const char quote[] = "found ${...} without quotes within { } or [ ]";
    refuse("destinations:\n  - { name: a, headers: { a: Bearer ${env:NOPE} } }\n", quote);
    refuse("storage: { ttl: ${env:NOPE}, max_size: 8MiB }\n", quote);
    refuse("storage: { ttl: ${env:NOPE} }\n", quote);
    refuse("storage: {\n  ttl: ${env:NOPE},\n  max_size: 8MiB }\n", quote);
    refuse("a: [\"${env:NOPE}\", b\n", ":2:1: did not find expected");
    refuse("- a\n", ":1:1: found a list, expected a mapping");
}

static bool is_text(ut_bytes bytes, const char *text_z)
{
    return ut_bytes_equal(bytes, ut_bytes_of_z(text_z));
}

static void the_rules_of_retention_are_read(void **state)
{
    (void)state;
    ut_config *config = accept("storage:\n"
                               "  max_spans: 1000\n"
                               "  evict: oldest\n"
                               "  rules:\n"
                               "    - { match: { service.name: checkout, http.route: \"/pay*\", "
                               "status: error }, ttl: 7d }\n"
                               "    - { match: { retries: 3 }, ttl: 0 }\n");
    assert_int_equal(config->storage.spans_max, 1000);
    assert_true(config->storage.evict_oldest);
    assert_int_equal(config->storage.rules.count, 2);
    const ut_rule *rule = &config->storage.rules.items[0];
    assert_int_equal(rule->ttl_ms, 7ULL * 86400 * 1000);
    assert_int_equal(rule->condition_count, 3);
    assert_true(is_text(rule->conditions[0].key, "service.name"));
    assert_true(is_text(rule->conditions[0].value, "checkout"));
    assert_true(is_text(rule->conditions[1].value, "/pay*"));
    assert_false(rule->conditions[1].by_status);
    assert_true(rule->conditions[2].by_status);
    assert_int_equal(rule->conditions[2].status, UT_STATUS_ERROR);
    assert_int_equal(config->storage.rules.items[1].ttl_ms, 0);
    release(config);
}

static void the_key_comes_from_exactly_one_place(void **state)
{
    (void)state;
    ut_config *config = accept("storage: { encryption: { key_file: /etc/untrace/key } }\n");
    assert_string_equal(config->storage.encryption.key_file_z, "/etc/untrace/key");
    release(config);
    config = accept("storage: { encryption: { key_env: UNTRACE_KEY } }\n");
    assert_string_equal(config->storage.encryption.key_env_z, "UNTRACE_KEY");
    release(config);
    config = accept("storage: { encryption: { credential: untrace-key } }\n");
    assert_string_equal(config->storage.encryption.credential_z, "untrace-key");
    release(config);
    refuse("storage: { encryption: {} }\n", ":1:24: found encryption with no key");
    refuse("storage: { encryption: { key_file: a, key_env: B } }\n",
           "found encryption with more than one key, expected exactly one of");
    refuse("storage: { encryption: { credential: ../a } }\n", "found a credential with a slash");
    refuse("storage: { encryption: { key: a } }\n", "found \"key\", expected a key of encryption");
}

static void a_wrong_rule_is_named_with_what_was_expected(void **state)
{
    (void)state;
    refuse("storage: { max_spans: many }\n", "found \"many\", expected a whole number");
    refuse("storage: { evict: newest }\n", "found \"newest\", expected delivered_first or oldest");
    refuse("storage: { rules: { ttl: 1d } }\n", "found a mapping, expected a list of rules");
    refuse("storage: { rules: [ { ttl: 1d } ] }\n", "found a rule without match");
    refuse("storage: { rules: [ { match: { a: b } } ] }\n", "found a rule without ttl");
    refuse("storage: { rules: [ { match: {}, ttl: 1d } ] }\n",
           "found a mapping, expected a mapping of attributes to values");
    refuse("storage: { rules: [ { match: [a], ttl: 1d } ] }\n",
           "found a list, expected a mapping of attributes to values");
    refuse("storage: { rules: [ { match: { status: broken }, ttl: 1d } ] }\n",
           "found \"broken\", expected a status: unset, ok or error");
    refuse("storage: { rules: [ { match: { a: \"\" }, ttl: 1d } ] }\n",
           "found nothing, expected a value");
    refuse("storage: { rules: [ { match: { a: b, a: c }, ttl: 1d } ] }\n",
           "found \"a\", expected each key at most once in a rule");
    refuse("storage: { rules: [ { match: { a: b }, ttl: 7 } ] }\n",
           "found \"7\", expected a duration with its unit");
    refuse("storage: { rules: [ { match: { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1 }, "
           "ttl: 7d } ] }\n",
           "found more than 8 conditions in a rule");
    ut_buf text;
    ut_buf_init(&text, 64 * 1024);
    ut_buf_add_z(&text, "storage: { rules: [");
    for (int i = 0; i <= UT_RULES_MAX; i++)
        ut_buf_printf(&text, "{ match: { a: x%d }, ttl: 1d }, ", i);
    ut_buf_add_z(&text, "] }\n");
    ut_buf_add_byte(&text, 0);
    assert_int_equal(text.err, UT_OK);
    refuse((const char *)text.data, "found more than 64 rules");
    ut_buf_reset(&text, SIZE_MAX);
    ut_buf_add_z(&text, "storage: { rules: [ { ttl: 1d, match: { a: ");
    for (int i = 0; i <= UT_RULE_TEXT_MAX; i++)
        ut_buf_add_byte(&text, 'x');
    ut_buf_add_z(&text, " } } ] }\n");
    ut_buf_add_byte(&text, 0);
    refuse((const char *)text.data, "found a condition of more than 256 bytes");
    ut_buf_free(&text);
}

static void a_missing_environment_variable_is_named_and_its_neighbours_are_not(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("UT_TEST_NONE"), 0);
    refuse("data_dir: ${env:UT_TEST_NONE}\n", "the environment has no UT_TEST_NONE");
    refuse("data_dir: ${UT_TEST_NONE}\n", "expected ${env:NAME}");
    refuse("data_dir: ${env:UT_TEST_NONE\n", "expected ${env:NAME}");
}

static void a_fault_never_shows_what_the_environment_holds(void **state)
{
    (void)state;
    assert_int_equal(setenv("UT_TEST_TOKEN", "s3cret", 1), 0);
    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault;
    assert_int_not_equal(read_text("storage: { ttl: \"${env:UT_TEST_TOKEN}\" }\n", config, &fault),
                         UT_OK);
    assert_null(strstr(fault.text_z, "s3cret"));
    free(config);
}

static void the_endpoint_gets_the_path_of_the_signal_once(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"http://a", "/v1/traces"},         {"http://a/", "/v1/traces"},
        {"http://a/x", "/x/v1/traces"},     {"http://a/v1/traces", "/v1/traces"},
        {"http://a/in?key=1", "/in?key=1"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        ut_url url;
        ut_fault fault;
        assert_int_equal(ut_config_endpoint(table[i][0], &url, &fault), UT_OK);
        assert_string_equal(url.path_z, table[i][1]);
    }
}

static void aliases_that_multiply_end_in_a_fault(void **state)
{
    (void)state;
    refuse("a: &a [x, x]\nb: &b [*a, *a]\ndata_dir: *b\n", ":1:1: found \"a\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_means_the_defaults),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(a_wrong_line_is_named_with_what_was_found_and_expected),
        cmocka_unit_test(the_rules_of_retention_are_read),
        cmocka_unit_test(the_key_comes_from_exactly_one_place),
        cmocka_unit_test(a_wrong_rule_is_named_with_what_was_expected),
        cmocka_unit_test(a_missing_environment_variable_is_named_and_its_neighbours_are_not),
        cmocka_unit_test(a_fault_never_shows_what_the_environment_holds),
        cmocka_unit_test(the_endpoint_gets_the_path_of_the_signal_once),
        cmocka_unit_test(aliases_that_multiply_end_in_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
