// Fuzzes the expansion of gzip under a ceiling, and packs the input itself, which must expand to
// the same.
#include "adapters/encoding/gzip.h"

enum { CEILING = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ut_gzip *gzip = ut_gzip_new();
    if (gzip == NULL)
        return 0;
    ut_buf out, packed, again;
    ut_fault fault;
    ut_buf_init(&out, CEILING);
    ut_buf_init(&packed, 2 * CEILING);
    ut_buf_init(&again, CEILING);
    ut_err err = ut_gzip_expand(gzip, ut_bytes_of(data, size), &out, &fault);
    UT_ASSERT(err == UT_OK || err == UT_EFORMAT || err == UT_ELIMIT);
    UT_ASSERT(err == UT_OK || (fault.code == err && fault.text_z[0] != '\0'));
    UT_ASSERT(out.cap <= CEILING);

    // The input as contents: what is compressed expands to the same.
    UT_ASSERT(ut_gzip_compress(gzip, ut_bytes_of(data, size), 1, &packed) == UT_OK);
    UT_ASSERT(ut_gzip_expand(gzip, ut_buf_bytes(&packed), &again, &fault) == UT_OK);
    UT_ASSERT(ut_bytes_equal(ut_buf_bytes(&again), ut_bytes_of(data, size)));
    ut_buf_free(&again);
    ut_buf_free(&packed);
    ut_buf_free(&out);
    ut_gzip_free(gzip);
    return 0;
}
