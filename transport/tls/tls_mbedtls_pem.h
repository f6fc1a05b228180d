// Certificates and private keys in PEM (RFC 7468), read for mbedTLS. For tls_mbedtls.c only.
#ifndef UT_TRANSPORT_TLS_TLS_MBEDTLS_PEM_H
#define UT_TRANSPORT_TLS_TLS_MBEDTLS_PEM_H

#include "port/base/bytes.h"
#include "port/base/err.h"

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

// Random bytes, as the library takes them: 0, or one of its codes.
typedef int (*ut_tls_random)(void *context, unsigned char *out, size_t len);

// Adds the certificates of pem to out, which the caller has initialised and frees. what_z: the noun
// for faults. UT_ETLS: none of them is usable; UT_ENOMEM.
ut_err ut_tls_pem_certificates(ut_bytes pem, const char *what_z, mbedtls_x509_crt *out,
                               ut_fault *fault);

// Reads one private key into out, which the caller has initialised and frees. Copies of it are
// wiped. UT_ETLS: it does not parse, or is encrypted; UT_ENOMEM. Faults repeat nothing of the key.
ut_err ut_tls_pem_key(ut_bytes pem, ut_tls_random give_random, mbedtls_pk_context *out,
                      ut_fault *fault);

#endif
