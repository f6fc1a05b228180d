// Reads certificates and keys in PEM; see tls_mbedtls_pem.h.
#include "transport/tls/tls_mbedtls_pem.h"

#include <mbedtls/error.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform_util.h>

#include <stdlib.h>

// The parsers of the library want the terminating NUL of a PEM text inside its length. *len counts
// it. NULL without memory.
static unsigned char *copy_pem(ut_bytes pem, size_t *len)
{
    unsigned char *copy = malloc(pem.len + 1);
    if (copy == NULL)
        return NULL;
    if (pem.len > 0)
        memcpy(copy, pem.data, pem.len);
    copy[pem.len] = '\0';
    *len = pem.len + 1;
    return copy;
}

static bool holds(ut_bytes pem, const char *armour_z)
{
    size_t len = strlen(armour_z);
    for (size_t i = 0; i + len <= pem.len; i++) {
        if (memcmp(pem.data + i, armour_z, len) == 0)
            return true;
    }
    return false;
}

ut_err ut_tls_pem_certificates(ut_bytes pem, const char *what_z, mbedtls_x509_crt *out,
                               ut_fault *fault)
{
    if (!holds(pem, "-----BEGIN CERTIFICATE-----"))
        return ut_fault_set(
            fault, UT_ETLS,
            "the %s holds no PEM certificate (expected -----BEGIN CERTIFICATE-----)", what_z);
    size_t len = 0;
    unsigned char *copy = copy_pem(pem, &len);
    if (copy == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory for the %s", what_z);
    int code = mbedtls_x509_crt_parse(out, copy, len);
    free(copy);
    // A positive code counts the certificates that were passed over: systems ship CAs with curves
    // and ages that nobody needs. It is a fault only if nothing is left.
    if (code >= 0 && out->version != 0)
        return UT_OK;
    if (code == MBEDTLS_ERR_X509_ALLOC_FAILED || code == MBEDTLS_ERR_PEM_ALLOC_FAILED)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory for the %s", what_z);
    char text_z[128] = "no certificate in it is usable";
    if (code < 0)
        mbedtls_strerror(code, text_z, sizeof(text_z));
    return ut_fault_set(fault, UT_ETLS, "the %s does not parse: %s", what_z, text_z);
}

ut_err ut_tls_pem_key(ut_bytes pem, ut_tls_random give_random, mbedtls_pk_context *out,
                      ut_fault *fault)
{
    size_t len = 0;
    unsigned char *copy = copy_pem(pem, &len);
    if (copy == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory for the private key");
    int code = mbedtls_pk_parse_key(out, copy, len, NULL, 0, give_random, NULL);
    mbedtls_platform_zeroize(copy, len);
    free(copy);
    switch (code) {
    case 0:
        return UT_OK;
    case MBEDTLS_ERR_PK_PASSWORD_REQUIRED:
    case MBEDTLS_ERR_PK_PASSWORD_MISMATCH:
    case MBEDTLS_ERR_PEM_PASSWORD_REQUIRED:
        return ut_fault_set(fault, UT_ETLS,
                            "the private key is encrypted; give it without a passphrase");
    case MBEDTLS_ERR_PK_ALLOC_FAILED:
        return ut_fault_set(fault, UT_ENOMEM, "out of memory for the private key");
    default: {
        // The library may lack the cipher and not see that it is one: both forms of encrypted keys
        // have this word in their armour.
        if (holds(pem, "ENCRYPTED"))
            return ut_fault_set(fault, UT_ETLS,
                                "the private key is encrypted; give it without a passphrase");
        char text_z[128];
        mbedtls_strerror(code, text_z, sizeof(text_z));
        return ut_fault_set(fault, UT_ETLS, "the private key does not parse: %s", text_z);
    }
    }
}
