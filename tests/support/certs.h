// Certificates for tests, made when a test starts by the openssl program. None is kept in the tree.
#ifndef UT_TESTS_SUPPORT_CERTS_H
#define UT_TESTS_SUPPORT_CERTS_H

#include "port/base/buf.h"

// Names of the PEM files; each certificate NAME.pem has its key in NAME.key.
//   ca        the CA that signed all below except stray
//   server    for localhost, 127.0.0.1 and ::1 (ECDSA)
//   rsa       the same with RSA
//   other     for other.example and *.example.net
//   numeric   has "127.0.0.1" only as a DNS name
//   common    has "localhost" only as its common name
//   mail      the same, with a subjectAltName of a mail address
//   expired   for localhost, expired
//   future    for localhost, not valid yet
//   client    for a client
//   stray     signed by itself
// Also client.enc (the key of client, encrypted).
typedef struct ut_certs ut_certs;

// Stops the program when openssl is missing or fails.
ut_certs *ut_certs_make(void);
void ut_certs_free(ut_certs *certs);

// The bytes of a file, as "ca.pem"; they live as long as certs.
ut_bytes ut_certs_get(ut_certs *certs, const char *file_z);

#endif
