// Authenticated encryption: AES-256 in Galois/Counter Mode (NIST SP 800-38D) with nonces of 96 bits
// and tags of 128. One file per library implements it (cipher_mbedtls.c). Not for keys and where
// they come from: keyring.h.
#ifndef UT_STORAGE_CRYPT_CIPHER_H
#define UT_STORAGE_CRYPT_CIPHER_H

#include "port/base/bytes.h"
#include "port/base/err.h"

enum { UT_CIPHER_KEY_LEN = 32, UT_CIPHER_NONCE_LEN = 12, UT_CIPHER_TAG_LEN = 16 };

typedef struct ut_cipher ut_cipher; // one thread at a time

// Makes the key ready for use; it is copied. UT_ENOMEM.
ut_err ut_cipher_new(const uint8_t key[UT_CIPHER_KEY_LEN], ut_cipher **cipher);
void ut_cipher_free(ut_cipher *cipher); // overwrites the key; NULL is ignored

// Encrypts data in place and writes the tag over it and the associated bytes. The caller sees to it
// that no nonce is used twice with a key. UT_ENOMEM.
ut_err ut_cipher_seal(ut_cipher *cipher, const uint8_t nonce[UT_CIPHER_NONCE_LEN],
                      ut_bytes associated, uint8_t *data, size_t len,
                      uint8_t tag[UT_CIPHER_TAG_LEN]);

// Decrypts data in place. UT_ECORRUPT: a bit of data, tag, nonce or associated bytes differs, or it
// is another key; data is then of no use. UT_ENOMEM.
ut_err ut_cipher_open(ut_cipher *cipher, const uint8_t nonce[UT_CIPHER_NONCE_LEN],
                      ut_bytes associated, uint8_t *data, size_t len,
                      const uint8_t tag[UT_CIPHER_TAG_LEN]);

// Overwrites bytes that held a secret, in a way that no compiler leaves out.
void ut_wipe(void *secret, size_t len);

#endif
