// The master key: its forms and sources, and the faults of a wrong one.
#include "agent/config/master_key.h"

#include "tests/support/temp_dir.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <setjmp.h>
#include <cmocka.h>

#define HEX_KEY    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1EFF"
#define BASE64_KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8="

static const uint8_t expected[UT_CIPHER_KEY_LEN] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                    11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                    22, 23, 24, 25, 26, 27, 28, 29, 30, 255};

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    char line_z[512]; // the last that was logged
    ut_log log;
} fixture;

static void keep_line(void *context, ut_log_level level, const char *line, size_t len)
{
    fixture *f = context;
    (void)snprintf(f->line_z, sizeof(f->line_z), "%s %.*s", ut_log_level_name(level), (int)len,
                   line);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    ut_temp_dir_make(f->dir_z);
    ut_temp_path(f->dir_z, "key", f->path_z);
    f->log = (ut_log){.level = UT_LOG_DEBUG, .write = keep_line, .context = f};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

static ut_err read_bytes(fixture *f, const void *bytes, size_t len, ut_master_key *key,
                         ut_fault *fault)
{
    FILE *file = fopen(f->path_z, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(f->path_z, 0600), 0);
    const ut_config_encryption from = {.key_file_z = f->path_z};
    *fault = (ut_fault){UT_OK, ""};
    return ut_master_key_load(&from, &f->log, key, fault);
}

static void assert_key(fixture *f, const void *bytes, size_t len)
{
    ut_master_key key;
    ut_fault fault;
    if (read_bytes(f, bytes, len, &key, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_true(key.given);
    assert_memory_equal(key.bytes, expected, sizeof(expected));
    assert_string_equal(key.name_z, f->path_z);
    assert_string_equal(f->line_z, "");
    ut_master_key_wipe(&key);
    for (size_t i = 0; i < sizeof(key.bytes); i++)
        assert_int_equal(key.bytes[i], 0);
}

static void a_key_is_32_bytes_or_hex_or_base64(void **state)
{
    fixture *f = *state;
    uint8_t with_end[sizeof(expected) + 1];
    memcpy(with_end, expected, sizeof(expected));
    with_end[sizeof(expected)] = '\n';
    assert_key(f, expected, sizeof(expected));
    assert_key(f, with_end, sizeof(with_end));
    static const char *const texts[] = {
        HEX_KEY,    HEX_KEY "\n",    HEX_KEY "\r\n",
        BASE64_KEY, BASE64_KEY "\n", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_key(f, texts[i], strlen(texts[i]));
}

static void random_bytes_may_end_like_a_line(void **state)
{
    fixture *f = *state;
    uint8_t bytes[UT_CIPHER_KEY_LEN];
    memset(bytes, 0xee, sizeof(bytes));
    bytes[31] = '\n';
    ut_master_key key;
    ut_fault fault;
    assert_int_equal(read_bytes(f, bytes, sizeof(bytes), &key, &fault), UT_OK);
    assert_memory_equal(key.bytes, bytes, sizeof(bytes));
}

static void what_is_no_key_is_refused_without_telling_it(void **state)
{
    fixture *f = *state;
    static const char secret_z[] = "tops3cret";
    static char large[UT_MASTER_KEY_FILE_BYTES_MAX + 1];
    memset(large, 'k', sizeof(large));
    const struct {
        const char *text_z;
        const char *found_z;
    } rows[] = {
        {"", "found 0 bytes"},
        {"\n", "found 0 bytes"},
        {secret_z, "found 9 bytes"},
        {HEX_KEY "\n\n", "found 65 bytes"},
        {HEX_KEY "00", "found 66 bytes"},
        {"g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1EFF", "found 64 bytes"},
        {"000102030405060708090a0b0c0d0e0f", "found 32 hexadecimal digits"},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd", "found 40 bytes"},
    };
    ut_master_key key;
    ut_fault fault;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(read_bytes(f, rows[i].text_z, strlen(rows[i].text_z), &key, &fault),
                         UT_EFORMAT);
        assert_false(key.given);
        if (strstr(fault.text_z, rows[i].found_z) == NULL)
            fail_msg("said \"%s\"", fault.text_z);
        assert_non_null(strstr(fault.text_z, f->path_z));
        assert_non_null(strstr(fault.text_z, "expected 32 bytes"));
        assert_null(strstr(fault.text_z, secret_z));
    }
    assert_int_equal(read_bytes(f, large, sizeof(large), &key, &fault), UT_EFORMAT);
    assert_null(strstr(fault.text_z, "kkk"));
}

static void a_file_that_others_may_read_is_warned_of(void **state)
{
    fixture *f = *state;
    ut_master_key key;
    ut_fault fault;
    assert_int_equal(read_bytes(f, expected, sizeof(expected), &key, &fault), UT_OK);
    assert_int_equal(chmod(f->path_z, 0640), 0);
    assert_int_equal(ut_master_key_read(f->path_z, &f->log, &key, &fault), UT_OK);
    assert_non_null(strstr(f->line_z, "warn agent: the key in "));
    assert_non_null(strstr(f->line_z, "mode 640"));
}

static void a_file_that_is_not_there_or_none_is_named(void **state)
{
    fixture *f = *state;
    ut_master_key key;
    ut_fault fault;
    assert_int_equal(ut_master_key_read("/nowhere/key", NULL, &key, &fault), UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, "/nowhere/key"));
    assert_int_equal(ut_master_key_read(f->dir_z, NULL, &key, &fault), UT_EINVAL);
    // A pipe would hold up its reader.
    assert_int_equal(mkfifo(f->path_z, 0600), 0);
    assert_int_equal(ut_master_key_read(f->path_z, NULL, &key, &fault), UT_EINVAL);
}

static void a_key_may_come_from_the_environment(void **state)
{
    (void)state;
    char variable[] = "UT_TEST_KEY";
    const ut_config_encryption from = {.key_env_z = variable};
    ut_master_key key;
    ut_fault fault;
    assert_int_equal(unsetenv(variable), 0);
    assert_int_equal(ut_master_key_load(&from, NULL, &key, &fault), UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, "UT_TEST_KEY is not set"));
    assert_int_equal(setenv(variable, HEX_KEY, 1), 0);
    assert_int_equal(ut_master_key_load(&from, NULL, &key, &fault), UT_OK);
    assert_memory_equal(key.bytes, expected, sizeof(expected));
    assert_string_equal(key.name_z, "the environment variable UT_TEST_KEY");
    assert_int_equal(setenv(variable, "not a key", 1), 0);
    assert_int_equal(ut_master_key_load(&from, NULL, &key, &fault), UT_EFORMAT);
    assert_null(strstr(fault.text_z, "not a key"));
}

static void a_key_may_be_a_credential(void **state)
{
    fixture *f = *state;
    char credential[] = "key";
    const ut_config_encryption from = {.credential_z = credential};
    ut_master_key key;
    ut_fault fault;
    assert_int_equal(read_bytes(f, expected, sizeof(expected), &key, &fault), UT_OK);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_int_equal(ut_master_key_load(&from, NULL, &key, &fault), UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, "LoadCredential"));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", f->dir_z, 1), 0);
    assert_int_equal(ut_master_key_load(&from, NULL, &key, &fault), UT_OK);
    assert_memory_equal(key.bytes, expected, sizeof(expected));
    assert_string_equal(key.name_z, f->path_z);
}

static void no_source_means_no_key(void **state)
{
    (void)state;
    const ut_config_encryption from = {.key_file_z = NULL};
    ut_master_key key;
    ut_fault fault;
    assert_int_equal(ut_master_key_load(&from, NULL, &key, &fault), UT_OK);
    assert_false(key.given);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_32_bytes_or_hex_or_base64),
        TEST(random_bytes_may_end_like_a_line),
        TEST(what_is_no_key_is_refused_without_telling_it),
        TEST(a_file_that_others_may_read_is_warned_of),
        TEST(a_file_that_is_not_there_or_none_is_named),
        TEST(a_key_may_come_from_the_environment),
        TEST(a_key_may_be_a_credential),
        TEST(no_source_means_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
