// AES-256-GCM by mbedTLS 3.6, which uses the processor's instructions for AES where it finds them.
// Everything of storage/ that knows this library is in this file.
#include "storage/crypt/cipher.h"

#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>

#include <stdlib.h>

struct ut_cipher {
    mbedtls_gcm_context gcm;
};

ut_err ut_cipher_new(const uint8_t key[UT_CIPHER_KEY_LEN], ut_cipher **out)
{
    ut_cipher *cipher = malloc(sizeof(*cipher));
    if (cipher == NULL)
        return UT_ENOMEM;
    mbedtls_gcm_init(&cipher->gcm);
    // With a known cipher and length of key only memory can be missing.
    if (mbedtls_gcm_setkey(&cipher->gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * UT_CIPHER_KEY_LEN) != 0) {
        ut_cipher_free(cipher);
        return UT_ENOMEM;
    }
    *out = cipher;
    return UT_OK;
}

void ut_cipher_free(ut_cipher *cipher)
{
    if (cipher == NULL)
        return;
    mbedtls_gcm_free(&cipher->gcm); // overwrites what it holds
    free(cipher);
}

ut_err ut_cipher_seal(ut_cipher *cipher, const uint8_t nonce[UT_CIPHER_NONCE_LEN],
                      ut_bytes associated, uint8_t *data, size_t len,
                      uint8_t tag[UT_CIPHER_TAG_LEN])
{
    int result = mbedtls_gcm_crypt_and_tag(&cipher->gcm, MBEDTLS_GCM_ENCRYPT, len, nonce,
                                           UT_CIPHER_NONCE_LEN, associated.data, associated.len,
                                           data, data, UT_CIPHER_TAG_LEN, tag);
    return result == 0 ? UT_OK : UT_ENOMEM;
}

ut_err ut_cipher_open(ut_cipher *cipher, const uint8_t nonce[UT_CIPHER_NONCE_LEN],
                      ut_bytes associated, uint8_t *data, size_t len,
                      const uint8_t tag[UT_CIPHER_TAG_LEN])
{
    int result =
        mbedtls_gcm_auth_decrypt(&cipher->gcm, len, nonce, UT_CIPHER_NONCE_LEN, associated.data,
                                 associated.len, tag, UT_CIPHER_TAG_LEN, data, data);
    return result == 0 ? UT_OK : result == MBEDTLS_ERR_GCM_AUTH_FAILED ? UT_ECORRUPT : UT_ENOMEM;
}

void ut_wipe(void *secret, size_t len)
{
    mbedtls_platform_zeroize(secret, len);
}
