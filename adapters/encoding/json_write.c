// Writing JSON; see json_write.h.
#include "adapters/encoding/json_write.h"

#include "adapters/encoding/base64.h"
#include "port/base/utf8.h"

#include <yyjson.h>

#include <math.h>

// ---- single values ----

static void put_escape(ut_buf *out, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *at = ut_buf_reserve(out, 6);
    if (at == NULL)
        return;
    at[0] = '\\';
    size_t len = 2;
    switch (c) {
    case '"':
    case '\\':
        at[1] = c;
        break;
    case '\n':
        at[1] = 'n';
        break;
    case '\r':
        at[1] = 'r';
        break;
    case '\t':
        at[1] = 't';
        break;
    default:
        memcpy(at + 1, "u00", 3);
        at[4] = (uint8_t)digits[c >> 4];
        at[5] = (uint8_t)digits[c & 15];
        len = 6;
        break;
    }
    out->len += len;
}

// A character as its UTF-16, which any reader of JSON turns back.
static void put_point(ut_buf *out, uint32_t point)
{
    if (point < 0x10000)
        ut_buf_printf(out, "\\u%04x", (unsigned)point);
    else
        ut_buf_printf(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((point - 0x10000) >> 10)),
                      (unsigned)(0xdc00 + (point & 0x3ff)));
}

// True when none of eight bytes is a quote, a backslash, a control character or above 0x7e.
static bool all_plain(const uint8_t *at)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t highs = 0x8080808080808080u;
    uint64_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    uint64_t quote = bytes ^ ones * '"';
    uint64_t slash = bytes ^ ones * '\\';
    // A high bit that stays marks a byte; borrows mark only bytes behind one that is marked
    // rightly.
    uint64_t marked =
        (bytes - ones * 0x20) | (quote - ones) | (slash - ones) | bytes | (bytes + ones);
    return (marked & highs) == 0;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void ut_json_put_string(ut_buf *out, ut_bytes text)
{
    if (text.len == 0) {
        ut_buf_add_z(out, "\"\"");
        return;
    }
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.len;
    ut_buf_add_byte(out, '"');
    while (at < end) {
        const uint8_t *run = at;
        while (end - at >= 8 && all_plain(at))
            at += 8;
        while (at < end && is_plain(*at))
            at++;
        ut_buf_add(out, run, (size_t)(at - run));
        if (at == end)
            break;
        if (*at < 0x80) {
            put_escape(out, *at++);
            continue;
        }
        size_t len = ut_utf8_len(at, (size_t)(end - at));
        if (len > 0 && ut_utf8_is_unsafe(at, len))
            put_point(out, ut_utf8_point(at, len)); // JSON is read on terminals, too
        else if (len > 0)
            ut_buf_add(out, at, len);
        else
            ut_buf_add(out, "\xef\xbf\xbd", 3);
        at += len > 0 ? len : 1;
    }
    ut_buf_add_byte(out, '"');
}

void ut_json_put_hex(ut_buf *out, ut_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    if (bytes.len > SIZE_MAX / 2 - 1) { // the text would not fit a size
        if (out->err == UT_OK)
            out->err = UT_ELIMIT;
        return;
    }
    uint8_t *at = ut_buf_reserve(out, bytes.len * 2 + 2);
    if (at == NULL)
        return;
    *at++ = '"';
    for (size_t i = 0; i < bytes.len; i++) {
        *at++ = (uint8_t)digits[bytes.data[i] >> 4];
        *at++ = (uint8_t)digits[bytes.data[i] & 15];
    }
    *at = '"';
    out->len += bytes.len * 2 + 2;
}

void ut_json_put_base64(ut_buf *out, ut_bytes bytes)
{
    ut_buf_add_byte(out, '"');
    ut_base64_encode(bytes, out);
    ut_buf_add_byte(out, '"');
}

void ut_json_put_uint(ut_buf *out, uint64_t value)
{
    uint8_t text[20];
    size_t begin = sizeof(text);
    do {
        text[--begin] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    ut_buf_add(out, text + begin, sizeof(text) - begin);
}

void ut_json_put_int(ut_buf *out, int64_t value)
{
    if (value < 0)
        ut_buf_add_byte(out, '-');
    ut_json_put_uint(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void ut_json_put_double(ut_buf *out, double value)
{
    if (isnan(value)) {
        ut_buf_add_z(out, "\"NaN\"");
        return;
    }
    if (isinf(value)) {
        ut_buf_add_z(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    // yyjson's writer is independent of the locale and exact; its memory stands on the stack.
    max_align_t memory[512 / sizeof(max_align_t)];
    yyjson_alc pool;
    yyjson_val number = {0};
    size_t len = 0;
    (void)yyjson_set_real(&number, value); // fails only for containers
    char *text = NULL;
    if (yyjson_alc_pool_init(&pool, memory, sizeof(memory)))
        text = yyjson_val_write_opts(&number, YYJSON_WRITE_NOFLAG, &pool, &len, NULL);
    UT_ASSERT(text != NULL);
    ut_buf_add(out, text, len);
}

// ---- a writer of objects and arrays ----

static bool get_bit(const uint64_t *words, uint32_t level)
{
    return (words[level / 64] >> (level % 64) & 1) != 0;
}

static void set_bit(uint64_t *words, uint32_t level, bool value)
{
    const uint64_t bit = UINT64_C(1) << (level % 64);
    if (value)
        words[level / 64] |= bit;
    else
        words[level / 64] &= ~bit;
}

ut_json_writer ut_json_writer_of(ut_buf *out)
{
    return (ut_json_writer){.out = out};
}

static bool in_object(const ut_json_writer *json)
{
    return json->depth > 0 && get_bit(json->objects, json->depth - 1);
}

static void put_comma(ut_json_writer *json)
{
    if (json->depth == 0)
        return;
    if (get_bit(json->filled, json->depth - 1))
        ut_buf_add_byte(json->out, ',');
    set_bit(json->filled, json->depth - 1, true);
}

void ut_json_write_key(ut_json_writer *json, ut_bytes name)
{
    UT_ASSERT(in_object(json) && !json->named);
    put_comma(json);
    ut_json_put_string(json->out, name);
    ut_buf_add_byte(json->out, ':');
    json->named = true;
}

ut_buf *ut_json_write_raw(ut_json_writer *json, const char *name_z)
{
    if (name_z != NULL)
        ut_json_write_key(json, ut_bytes_of_z(name_z));
    UT_ASSERT(json->named == in_object(json));
    if (!json->named)
        put_comma(json);
    json->named = false;
    return json->out;
}

static void open_level(ut_json_writer *json, const char *name_z, bool object)
{
    ut_buf_add_byte(ut_json_write_raw(json, name_z), object ? '{' : '[');
    UT_ASSERT(json->depth < UT_JSON_WRITE_DEPTH_MAX);
    set_bit(json->objects, json->depth, object);
    set_bit(json->filled, json->depth, false);
    json->depth++;
}

void ut_json_write_object(ut_json_writer *json, const char *name_z)
{
    open_level(json, name_z, true);
}

void ut_json_write_array(ut_json_writer *json, const char *name_z)
{
    open_level(json, name_z, false);
}

void ut_json_write_close(ut_json_writer *json)
{
    UT_ASSERT(json->depth > 0 && !json->named);
    ut_buf_add_byte(json->out, in_object(json) ? '}' : ']');
    json->depth--;
}

void ut_json_write_line(ut_json_writer *json)
{
    UT_ASSERT(json->depth == 0);
    ut_buf_add_byte(json->out, '\n');
}

void ut_json_write_text(ut_json_writer *json, const char *name_z, ut_bytes text)
{
    ut_json_put_string(ut_json_write_raw(json, name_z), text);
}

void ut_json_write_text_z(ut_json_writer *json, const char *name_z, const char *text_z)
{
    ut_json_put_string(ut_json_write_raw(json, name_z), ut_bytes_of_z(text_z));
}

void ut_json_write_hex(ut_json_writer *json, const char *name_z, ut_bytes bytes)
{
    ut_json_put_hex(ut_json_write_raw(json, name_z), bytes);
}

void ut_json_write_uint(ut_json_writer *json, const char *name_z, uint64_t value)
{
    ut_json_put_uint(ut_json_write_raw(json, name_z), value);
}

void ut_json_write_int(ut_json_writer *json, const char *name_z, int64_t value)
{
    ut_json_put_int(ut_json_write_raw(json, name_z), value);
}

void ut_json_write_double(ut_json_writer *json, const char *name_z, double value)
{
    ut_json_put_double(ut_json_write_raw(json, name_z), value);
}

void ut_json_write_bool(ut_json_writer *json, const char *name_z, bool value)
{
    ut_buf_add_z(ut_json_write_raw(json, name_z), value ? "true" : "false");
}

void ut_json_write_null(ut_json_writer *json, const char *name_z)
{
    ut_buf_add_z(ut_json_write_raw(json, name_z), "null");
}
