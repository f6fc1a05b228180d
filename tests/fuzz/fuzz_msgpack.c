// Fuzzes the MessagePack reader: a recursive walk by the single readers must agree with ut_mp_skip
// on every input, and what the walk wrote again must be the same values. Not for records:
// fuzz_block reads those.
#include "storage/span/msgpack.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Copies one value; depth: containers that may still be opened. Errors stay in the reader.
static void copy_value(ut_mp_reader *reader, ut_buf *out, unsigned depth)
{
    switch (ut_mp_peek(reader)) {
    case UT_MP_NIL:
        ut_mp_get_nil(reader);
        ut_mp_put_nil(out);
        break;
    case UT_MP_BOOL:
        ut_mp_put_bool(out, ut_mp_get_bool(reader));
        break;
    case UT_MP_UINT:
        ut_mp_put_uint(out, ut_mp_get_uint(reader));
        break;
    case UT_MP_INT:
        ut_mp_put_int(out, ut_mp_get_int(reader));
        break;
    case UT_MP_DOUBLE:
        ut_mp_put_double(out, ut_mp_get_double(reader));
        break;
    case UT_MP_STR:
        ut_mp_put_str(out, ut_mp_get_str(reader));
        break;
    case UT_MP_BIN:
        ut_mp_put_bin(out, ut_mp_get_bin(reader));
        break;
    case UT_MP_ARRAY:
    case UT_MP_MAP: {
        bool map = ut_mp_peek(reader) == UT_MP_MAP;
        uint32_t count = map ? ut_mp_get_map(reader) : ut_mp_get_array(reader);
        if (depth == 0) {
            reader->err = UT_EFORMAT;
            reader->at = reader->end;
            return;
        }
        if (map)
            ut_mp_put_map(out, count);
        else
            ut_mp_put_array(out, count);
        for (uint32_t left = map ? count * 2 : count; left > 0 && reader->err == UT_OK; left--)
            copy_value(reader, out, depth - 1);
        break;
    }
    case UT_MP_INVALID:
        (void)ut_mp_skip(reader); // sets the error
        UT_ASSERT(reader->err == UT_EFORMAT);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ut_bytes input = ut_bytes_of(data, size);
    ut_buf once, twice;
    ut_buf_init(&once, 16 * size + 16);
    ut_buf_init(&twice, 16 * size + 16);

    ut_mp_reader skipper = ut_mp_reader_of(input);
    ut_bytes raw = ut_mp_skip(&skipper);
    ut_mp_reader reader = ut_mp_reader_of(input);
    copy_value(&reader, &once, UT_MP_DEPTH_MAX);
    UT_ASSERT(reader.err == skipper.err);
    UT_ASSERT(reader.at == skipper.at);

    if (reader.err == UT_OK) {
        UT_ASSERT(raw.data == input.data && raw.data + raw.len == reader.at);
        UT_ASSERT(once.err == UT_OK && once.len <= 16 * size);
        // The copy is the shortest form, so that a copy of it is equal byte by byte.
        reader = ut_mp_reader_of(ut_buf_bytes(&once));
        copy_value(&reader, &twice, UT_MP_DEPTH_MAX);
        UT_ASSERT(reader.err == UT_OK && reader.at == reader.end);
        UT_ASSERT(ut_bytes_equal(ut_buf_bytes(&once), ut_buf_bytes(&twice)));
    } else {
        UT_ASSERT(raw.len == 0);
    }
    ut_buf_free(&once);
    ut_buf_free(&twice);
    return 0;
}
