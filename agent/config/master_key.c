// Loading the master key of an encrypted store; see master_key.h.
#include "agent/config/master_key.h"

#include "adapters/encoding/base64.h"
#include "port/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { HEX_LEN = 2 * UT_CIPHER_KEY_LEN, PATH_BYTES_MAX = 4096 };

static bool all_hex(ut_bytes text)
{
    uint8_t ignored[HEX_LEN];
    const bool yes = text.len <= HEX_LEN && ut_hex_decode(text, ignored);
    ut_wipe(ignored, sizeof(ignored));
    return yes;
}

static ut_bytes without_line_end(ut_bytes text)
{
    if (text.len > 0 && text.data[text.len - 1] == '\n')
        text.len -= 1;
    if (text.len > 0 && text.data[text.len - 1] == '\r')
        text.len -= 1;
    return text;
}

static ut_err bad_key(const ut_master_key *key, ut_bytes text, ut_fault *fault)
{
    return ut_fault_set(fault, UT_EFORMAT,
                        "%s holds no key: found %zu %s, expected 32 bytes, 64 hexadecimal digits, "
                        "or base64 of 32 bytes (openssl rand -out FILE 32 makes one)",
                        key->name_z, text.len,
                        text.len > 0 && text.len <= HEX_LEN && all_hex(text) ? "hexadecimal digits"
                                                                             : "bytes");
}

static ut_err parse(ut_bytes whole, ut_master_key *key, ut_fault *fault)
{
    // A key of 32 random bytes may end like a line.
    const ut_bytes text = whole.len == UT_CIPHER_KEY_LEN ? whole : without_line_end(whole);
    if (text.len == UT_CIPHER_KEY_LEN) {
        // Half a key written in digits would pass for a whole one of few different bytes.
        if (all_hex(text))
            return bad_key(key, text, fault);
        memcpy(key->bytes, text.data, sizeof(key->bytes));
        key->given = true;
    } else if (text.len == HEX_LEN) {
        key->given = ut_hex_decode(text, key->bytes);
    } else if (text.len < HEX_LEN) {
        uint8_t bytes[HEX_LEN];
        size_t len = 0;
        if (ut_base64_decode(text, bytes, &len) && len == sizeof(key->bytes)) {
            memcpy(key->bytes, bytes, sizeof(key->bytes));
            key->given = true;
        }
        ut_wipe(bytes, sizeof(bytes));
    }
    return key->given ? UT_OK : bad_key(key, text, fault);
}

static ut_err read_file(const char *path_z, ut_master_key *key, ut_fault *fault)
{
    ut_buf text;
    ut_buf_init(&text, UT_MASTER_KEY_FILE_BYTES_MAX);
    // The memory is taken at once: a buffer that grows would leave a copy of the key behind.
    ut_err err = ut_buf_reserve(&text, UT_MASTER_KEY_FILE_BYTES_MAX) != NULL ? UT_OK : UT_ENOMEM;
    if (err != UT_OK)
        (void)ut_fault_set(fault, err, "cannot read %s: out of memory", path_z);
    if (err == UT_OK)
        err = ut_file_read(path_z, &text, fault);
    if (err == UT_ELIMIT)
        err = ut_fault_set(fault, UT_EFORMAT,
                           "%s holds no key: found more than %d bytes, expected 32 bytes, 64 "
                           "hexadecimal digits, or base64 of 32 bytes",
                           path_z, UT_MASTER_KEY_FILE_BYTES_MAX);
    else if (err == UT_OK)
        err = parse(ut_buf_bytes(&text), key, fault);
    if (text.data != NULL)
        ut_wipe(text.data, text.cap);
    ut_buf_free(&text);
    return err;
}

// Sets the name of the key, cut if need be: a part of it tells enough.
static void name(ut_master_key *key, const char *name_z)
{
    const size_t len = strnlen(name_z, sizeof(key->name_z) - 1);
    memcpy(key->name_z, name_z, len);
    key->name_z[len] = '\0';
}

ut_err ut_master_key_read(const char *path_z, const ut_log *log, ut_master_key *key,
                          ut_fault *fault)
{
    *key = (ut_master_key){.given = false};
    name(key, path_z);
    struct stat status;
    if (stat(path_z, &status) != 0)
        return ut_fault_set(fault, ut_err_of_errno(errno), "cannot read the key in %s: %s", path_z,
                            strerror(errno));
    if (!S_ISREG(status.st_mode))
        return ut_fault_set(fault, UT_EINVAL, "the key in %s cannot be read: it is not a file",
                            path_z);
    if ((status.st_mode & 077) != 0)
        ut_log_write(log, UT_LOG_WARN, "agent",
                     "the key in %s is open to others (mode %03o); chmod 600 it", path_z,
                     (unsigned)status.st_mode & 0777);
    return read_file(path_z, key, fault);
}

static ut_err read_env(const char *variable_z, ut_master_key *key, ut_fault *fault)
{
    const char *text_z = getenv(variable_z);
    (void)snprintf(key->name_z, sizeof(key->name_z), "the environment variable %s", variable_z);
    if (text_z == NULL)
        return ut_fault_set(fault, UT_ENOTFOUND,
                            "storage.encryption: %s is not set, expected the key in it",
                            key->name_z);
    return parse(ut_bytes_of_z(text_z), key, fault);
}

static ut_err read_credential(const char *credential_z, ut_master_key *key, ut_fault *fault)
{
    char path_z[PATH_BYTES_MAX];
    const char *dir_z = getenv("CREDENTIALS_DIRECTORY");
    if (dir_z == NULL)
        return ut_fault_set(
            fault, UT_ENOTFOUND,
            "storage.encryption: found credential %s without CREDENTIALS_DIRECTORY, "
            "expected to be started by systemd with LoadCredential (to read "
            "without it, set UNTRACE_KEY_FILE)",
            credential_z);
    const int written = snprintf(path_z, sizeof(path_z), "%s/%s", dir_z, credential_z);
    if (written < 0 || (size_t)written >= sizeof(path_z))
        return ut_fault_set(fault, UT_EINVAL,
                            "storage.encryption: the path of credential %s is "
                            "too long",
                            credential_z);
    name(key, path_z);
    return read_file(path_z, key, fault);
}

ut_err ut_master_key_load(const ut_config_encryption *from, const ut_log *log, ut_master_key *key,
                          ut_fault *fault)
{
    *key = (ut_master_key){.given = false};
    if (from->key_file_z != NULL)
        return ut_master_key_read(from->key_file_z, log, key, fault);
    if (from->key_env_z != NULL)
        return read_env(from->key_env_z, key, fault);
    if (from->credential_z != NULL)
        return read_credential(from->credential_z, key, fault);
    return UT_OK;
}

const char *ut_master_key_env_file(void)
{
    const char *path_z = getenv("UNTRACE_KEY_FILE");
    return path_z != NULL && path_z[0] != '\0' ? path_z : NULL;
}

void ut_master_key_wipe(ut_master_key *key)
{
    ut_wipe(key->bytes, sizeof(key->bytes));
    key->given = false;
}
