// What a start warns of: settings that are allowed and may not be meant.
#include "agent/process/start_warnings.h"
#include "tests/support/temp_dir.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static char told_z[4096];

static void keep(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)context;
    assert_int_equal(level, UT_LOG_WARN);
    const size_t used = strlen(told_z);
    (void)snprintf(told_z + used, sizeof(told_z) - used, "%.*s\n", (int)len, line);
}

// The warnings of a configuration.
static const char *warnings_of(const char *text_z)
{
    char dir_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_temp_path(dir_z, "c.yaml", path_z);
    FILE *file = fopen(path_z, "w");
    assert_non_null(file);
    assert_true(fputs(text_z, file) >= 0);
    assert_int_equal(fclose(file), 0);
    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault = {UT_OK, ""};
    if (ut_config_read(path_z, UT_CONFIG_RUN, config, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    const ut_log log = {.level = UT_LOG_DEBUG, .write = keep};
    told_z[0] = '\0';
    ut_warn_of_config(config, &log);
    ut_config_free(config);
    free(config);
    ut_temp_dir_remove(dir_z);
    return told_z;
}

#define DESTINATION(endpoint, value)                        \
    "destinations:\n- name: central\n  endpoint: " endpoint \
    "\n  headers: { authorization: \"" value "\" }\n"

static void good_settings_are_not_warned_of(void **state)
{
    (void)state;
    assert_string_equal(warnings_of(DESTINATION("http://h.example:4318", "Bearer abc")), "");
    assert_string_equal(warnings_of(DESTINATION("http://h.example", "pa$$WORD ${env:NO:-x} 5$ $5")),
                        "");
}

static void the_port_of_grpc_is_warned_of(void **state)
{
    (void)state;
    assert_non_null(strstr(warnings_of(DESTINATION("http://h.example:4317", "x")),
                           "destination central is at port 4317, where gRPC is spoken"));
}

static void a_variable_that_is_not_replaced_is_warned_of_with_its_place(void **state)
{
    (void)state;
    assert_non_null(
        strstr(warnings_of(DESTINATION("http://h.example", "Bearer $TOKEN")),
               "c.yaml:4:29: $TOKEN is not replaced; ${env:TOKEN} is, and $$ is one $"));
    assert_non_null(strstr(warnings_of("data_dir: /tmp/$HOME/x\n"),
                           "c.yaml:1:11: a $ with a name behind it is not replaced"));
}

static void a_warning_repeats_no_secret(void **state)
{
    (void)state;
    static const char *const values_z[] = {"pa$sWORD", "Bearer $ecret", "x$SECRET", "$SECRETs"};
    for (size_t i = 0; i < sizeof values_z / sizeof values_z[0]; i++) {
        char text_z[256];
        (void)snprintf(text_z, sizeof(text_z), DESTINATION("http://h.example", "%s"), values_z[i]);
        const char *warning_z = warnings_of(text_z);
        assert_non_null(strstr(warning_z, "a $ with a name behind it is not replaced"));
        assert_null(strstr(warning_z, "sWORD"));
        assert_null(strstr(warning_z, "ecret"));
        assert_null(strstr(warning_z, "SECRET"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_settings_are_not_warned_of),
        cmocka_unit_test(the_port_of_grpc_is_warned_of),
        cmocka_unit_test(a_variable_that_is_not_replaced_is_warned_of_with_its_place),
        cmocka_unit_test(a_warning_repeats_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
