// MessagePack values as plain JSON, for the command line.
#include "adapters/plain/json_value.h"

#include "adapters/encoding/json_write.h"

#include <math.h>

// JSON has no number for infinity or not-a-number.
static void write_double(ut_json_writer *json, double value)
{
    if (isfinite(value))
        ut_json_write_double(json, NULL, value);
    else
        ut_json_write_null(json, NULL);
}

// depth: arrays and maps that may still be nested.
static void write_value(ut_json_writer *json, ut_mp_reader *reader, int depth)
{
    switch (ut_mp_peek(reader)) {
    case UT_MP_BOOL:
        ut_json_write_bool(json, NULL, ut_mp_get_bool(reader));
        return;
    case UT_MP_UINT:
        ut_json_write_uint(json, NULL, ut_mp_get_uint(reader));
        return;
    case UT_MP_INT:
        ut_json_write_int(json, NULL, ut_mp_get_int(reader));
        return;
    case UT_MP_DOUBLE:
        write_double(json, ut_mp_get_double(reader));
        return;
    case UT_MP_STR:
        ut_json_write_text(json, NULL, ut_mp_get_str(reader));
        return;
    case UT_MP_BIN:
        ut_json_write_hex(json, NULL, ut_mp_get_bin(reader));
        return;
    case UT_MP_ARRAY:
        if (depth == 0)
            break;
        ut_json_write_array(json, NULL);
        for (uint32_t left = ut_mp_get_array(reader); left > 0 && reader->err == UT_OK; left--)
            write_value(json, reader, depth - 1);
        ut_json_write_close(json);
        return;
    case UT_MP_MAP:
        if (depth == 0)
            break;
        ut_json_write_object(json, NULL);
        for (uint32_t left = ut_mp_get_map(reader); left > 0 && reader->err == UT_OK; left--) {
            ut_json_write_key(json, ut_mp_get_str(reader));
            write_value(json, reader, depth - 1);
        }
        ut_json_write_close(json);
        return;
    case UT_MP_NIL:
    case UT_MP_INVALID:
        break;
    }
    (void)ut_mp_skip(reader); // nil, too deep, or not a value
    ut_json_write_null(json, NULL);
}

void ut_json_value(ut_buf *out, ut_bytes value)
{
    ut_mp_reader reader = ut_mp_reader_of(value);
    ut_json_writer json = ut_json_writer_of(out);
    write_value(&json, &reader, UT_VALUE_DEPTH_MAX + 2); // the map of attributes is one level more
}
