// The master key of an encrypted store: where it comes from, and the forms it may have. The keys
// that it opens are in storage/store/keyring.h.
#ifndef UT_AGENT_CONFIG_MASTER_KEY_H
#define UT_AGENT_CONFIG_MASTER_KEY_H

#include "agent/config/config_encryption.h"
#include "port/base/log.h"
#include "storage/crypt/cipher.h"

enum { UT_MASTER_KEY_NAME_MAX = 256, UT_MASTER_KEY_FILE_BYTES_MAX = 1024 };

typedef struct {
    bool given; // false: nothing says that there is a key
    uint8_t bytes[UT_CIPHER_KEY_LEN];
    char name_z[UT_MASTER_KEY_NAME_MAX]; // where it comes from: "/etc/untrace/key"
} ut_master_key;

// Takes the key from where the configuration says. key->given is false when it says nothing. A key
// is 32 bytes as they are, 64 hexadecimal digits, or base64 of 32 bytes; one line end may follow.
// Warns in log (may be NULL) of a key_file that others may read. Faults name the source, what was
// found and what was expected, and never a byte of the key. UT_ENOTFOUND, UT_EPERM, UT_EFORMAT,
// UT_EINVAL, UT_EIO, UT_ENOMEM, UT_ELIMIT.
ut_err ut_master_key_load(const ut_config_encryption *from, const ut_log *log, ut_master_key *key,
                          ut_fault *fault);

// Takes the key from a file; one that is not regular is refused. Errors as above.
ut_err ut_master_key_read(const char *path_z, const ut_log *log, ut_master_key *key,
                          ut_fault *fault);

// The file that UNTRACE_KEY_FILE names, for commands that look at a store without the agent's
// configuration: NULL when it is not set.
const char *ut_master_key_env_file(void);

// Overwrites the key.
void ut_master_key_wipe(ut_master_key *key);

#endif
