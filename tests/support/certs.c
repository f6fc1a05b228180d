// Runs openssl in a temporary directory and reads what it made.
#include "tests/support/certs.h"

#include "port/port.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILES_MAX = 40, PEM_BYTES_MAX = 64 * 1024 };

struct ut_certs {
    char dir_z[UT_TEMP_PATH_MAX];
    size_t count;
    char name_z[FILES_MAX][32];
    ut_buf bytes[FILES_MAX];
};

// In the order of the header. "sign NAME DAYS EXTENSIONS" makes a key and a certificate of it.
static const char script_z[] =
    "set -e\n"
    "exec >log 2>&1\n"
    "ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n"
    "openssl req -x509 $ec -keyout ca.key -out ca.pem -days 30 -subj '/CN=Test CA'\n"
    "openssl req -x509 $ec -keyout stray.key -out stray.pem -days 30 -subj /CN=localhost "
    "-addext subjectAltName=DNS:localhost,IP:127.0.0.1\n"
    "request() { openssl req -new ${2:-$ec} -keyout $1.key -out $1.csr -subj /CN=${3:-$1}; }\n"
    "sign() {\n"
    "  request $1 \"$4\" $5\n"
    "  printf '%s\\n' \"$3\" >$1.ext\n"
    "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $2 "
    "-extfile $1.ext -out $1.pem\n"
    "}\n"
    "here=subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n"
    "sign server 30 $here\n"
    "sign rsa 30 $here '-newkey rsa:2048 -nodes'\n"
    "sign other 30 'subjectAltName=DNS:other.example,DNS:*.example.net'\n"
    "sign numeric 30 subjectAltName=DNS:127.0.0.1,DNS:*.0.0.1\n"
    "sign common 30 keyUsage=digitalSignature '' localhost\n"
    "sign mail 30 subjectAltName=email:a@localhost '' localhost\n"
    "sign client 30 extendedKeyUsage=clientAuth\n"
    "openssl ec -in client.key -aes128 -passout pass:secret -out client.enc\n"
    // `openssl ca` is the one command of OpenSSL 3.0 that takes dates.
    "dated() {\n"
    "  request $1\n"
    "  printf '%s\\n' $here >$1.ext\n"
    "  : >index; echo 01 >serial\n"
    "  printf '[ca]\\ndefault_ca=a\\n[a]\\ndatabase=index\\nserial=serial\\nnew_certs_dir=.\\n"
    "default_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' >ca.cnf\n"
    "  openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in $1.csr -out $1.pem "
    "-startdate $2 -enddate $3 -extfile $1.ext -notext\n"
    "}\n"
    "dated expired 20200101000000Z 20210203040500Z\n"
    "dated future 20900101000000Z 20910101000000Z\n";

static _Noreturn void die(const char *what_z, const char *why_z)
{
    (void)fprintf(stderr, "tests/support/certs: %s: %s\n", what_z, why_z);
    abort();
}

ut_certs *ut_certs_make(void)
{
    ut_certs *certs = calloc(1, sizeof *certs);
    if (certs == NULL)
        die("calloc", "out of memory");
    ut_temp_dir_make(certs->dir_z);
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(certs->dir_z, "make", path_z);
    FILE *file = fopen(path_z, "w");
    if (file == NULL || fputs(script_z, file) < 0 || fclose(file) != 0)
        die(path_z, "cannot be written");
    char command_z[UT_TEMP_PATH_MAX + 64];
    (void)snprintf(command_z, sizeof command_z, "cd '%s' && sh ./make || { cat log >&2; exit 1; }",
                   certs->dir_z);
    if (system(command_z) != 0)
        die("openssl", "failed; is it installed?");
    return certs;
}

void ut_certs_free(ut_certs *certs)
{
    for (size_t i = 0; i < certs->count; i++)
        ut_buf_free(&certs->bytes[i]);
    ut_temp_dir_remove(certs->dir_z);
    free(certs);
}

ut_bytes ut_certs_get(ut_certs *certs, const char *file_z)
{
    for (size_t i = 0; i < certs->count; i++) {
        if (strcmp(certs->name_z[i], file_z) == 0)
            return ut_buf_bytes(&certs->bytes[i]);
    }
    if (certs->count == FILES_MAX)
        die(file_z, "too many files");
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(certs->dir_z, file_z, path_z);
    ut_buf *bytes = &certs->bytes[certs->count];
    ut_buf_init(bytes, PEM_BYTES_MAX);
    ut_fault fault = {.code = UT_OK};
    if (ut_file_read(path_z, bytes, &fault) != UT_OK)
        die(path_z, fault.text_z);
    (void)snprintf(certs->name_z[certs->count], sizeof certs->name_z[0], "%s", file_z);
    certs->count++;
    return ut_buf_bytes(bytes);
}
