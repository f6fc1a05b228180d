// MessagePack values as plain JSON, for the command line.
#include "adapters/plain/json_value.h"

#include "adapters/encoding/json_write.h"

#include <math.h>

// JSON has no number for infinity or not-a-number.
static void add_double(ut_buf *out, double value)
{
    if (isfinite(value))
        ut_json_put_double(out, value);
    else
        ut_buf_add_z(out, "null");
}

static void add_value(ut_buf *out, ut_mp_reader *reader, int depth)
{
    switch (ut_mp_peek(reader)) {
    case UT_MP_BOOL:
        ut_buf_add_z(out, ut_mp_get_bool(reader) ? "true" : "false");
        return;
    case UT_MP_UINT:
        ut_json_put_uint(out, ut_mp_get_uint(reader));
        return;
    case UT_MP_INT:
        ut_json_put_int(out, ut_mp_get_int(reader));
        return;
    case UT_MP_DOUBLE:
        add_double(out, ut_mp_get_double(reader));
        return;
    case UT_MP_STR:
        ut_json_put_string(out, ut_mp_get_str(reader));
        return;
    case UT_MP_BIN:
        ut_json_put_hex(out, ut_mp_get_bin(reader));
        return;
    case UT_MP_ARRAY:
        if (depth == 0)
            break;
        ut_buf_add_byte(out, '[');
        for (uint32_t left = ut_mp_get_array(reader), i = 0; i < left && reader->err == UT_OK;
             i++) {
            if (i > 0)
                ut_buf_add_byte(out, ',');
            add_value(out, reader, depth - 1);
        }
        ut_buf_add_byte(out, ']');
        return;
    case UT_MP_MAP:
        if (depth == 0)
            break;
        ut_buf_add_byte(out, '{');
        for (uint32_t left = ut_mp_get_map(reader), i = 0; i < left && reader->err == UT_OK; i++) {
            if (i > 0)
                ut_buf_add_byte(out, ',');
            ut_json_put_string(out, ut_mp_get_str(reader));
            ut_buf_add_byte(out, ':');
            add_value(out, reader, depth - 1);
        }
        ut_buf_add_byte(out, '}');
        return;
    case UT_MP_NIL:
    case UT_MP_INVALID:
        break;
    }
    (void)ut_mp_skip(reader); // nil, too deep, or not a value
    ut_buf_add_z(out, "null");
}

void ut_json_value(ut_buf *out, ut_bytes value)
{
    ut_mp_reader reader = ut_mp_reader_of(value);
    add_value(out, &reader, UT_VALUE_DEPTH_MAX + 2); // the map of attributes is one level more
}
