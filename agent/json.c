// JSON output of the command line.
#include "agent/json.h"

#include "port/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void ut_json_string(ut_buf *out, ut_bytes text)
{
    ut_buf_add_byte(out, '"');
    for (size_t i = 0; i < text.len;) {
        const uint8_t byte = text.data[i];
        if (byte == '"' || byte == '\\') {
            ut_buf_add_byte(out, '\\');
            ut_buf_add_byte(out, byte);
            i++;
        } else if (byte < 0x20 || byte == 0x7f) {
            ut_buf_printf(out, "\\u%04x", byte);
            i++;
        } else {
            const size_t len = ut_text_utf8_len(text.data + i, text.len - i);
            if (len == 0)
                ut_buf_add_z(out, "\xef\xbf\xbd");
            else
                ut_buf_add(out, text.data + i, len);
            i += len == 0 ? 1 : len;
        }
    }
    ut_buf_add_byte(out, '"');
}

void ut_json_hex(ut_buf *out, ut_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    ut_buf_add_byte(out, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        ut_buf_add_byte(out, (uint8_t)digits[bytes.data[i] >> 4]);
        ut_buf_add_byte(out, (uint8_t)digits[bytes.data[i] & 15]);
    }
    ut_buf_add_byte(out, '"');
}

// The shortest of three precisions that reads back as the same number.
static void add_double(ut_buf *out, double value)
{
    if (!isfinite(value)) {
        ut_buf_add_z(out, "null");
        return;
    }
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof(text), "%.*g", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    ut_buf_add_z(out, text);
}

static void add_value(ut_buf *out, ut_mp_reader *reader, int depth)
{
    switch (ut_mp_peek(reader)) {
    case UT_MP_BOOL:
        ut_buf_add_z(out, ut_mp_get_bool(reader) ? "true" : "false");
        return;
    case UT_MP_UINT:
        ut_buf_printf(out, "%llu", (unsigned long long)ut_mp_get_uint(reader));
        return;
    case UT_MP_INT:
        ut_buf_printf(out, "%lld", (long long)ut_mp_get_int(reader));
        return;
    case UT_MP_DOUBLE:
        add_double(out, ut_mp_get_double(reader));
        return;
    case UT_MP_STR:
        ut_json_string(out, ut_mp_get_str(reader));
        return;
    case UT_MP_BIN:
        ut_json_hex(out, ut_mp_get_bin(reader));
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
            ut_json_string(out, ut_mp_get_str(reader));
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
