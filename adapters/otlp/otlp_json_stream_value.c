// Members and values of OTLP JSON in one pass; see otlp_json_stream_value.h.
#include "adapters/otlp/otlp_json_stream_value.h"

#include "adapters/encoding/base64.h"
#include "adapters/encoding/json.h"
#include "adapters/otlp/otlp.h"
#include "adapters/otlp/otlp_json_member.h"

// ---- members ----

// Whether name, and nothing else, stands at `at` up to the colon. at: UT_OTLP_NAME_ROOM + 8 bytes.
static inline bool is_there(const uint8_t *at, const ut_otlp_name_text *name)
{
    const uint8_t *text = (const uint8_t *)name->text_z;
    size_t len = name->len;
    for (; len > 8; len -= 8, at += 8, text += 8) {
        if (ut_get_le64(at) != ut_get_le64(text))
            return false;
    }
    const uint64_t differs = ut_get_le64(at) ^ ut_get_le64(text);
    return differs << (64 - 8 * len) == 0 && at[len] == '"' && at[len + 1] == ':';
}

// Goes to the next member without white space whose name is the one that followed last time: a
// producer writes its members in one order. NULL: it is another.
static inline const uint8_t *next_as_before(ut_otlp_stream *stream, const uint8_t *at,
                                            ut_otlp_stream_members *of)
{
    enum { LOOK = 2 + UT_OTLP_NAME_ROOM + 8 };
    const unsigned guess = stream->follows[of->found];
    if (stream->scan.end - at < LOOK || guess == UT_NAME_UNKNOWN)
        return NULL;
    if (at[-1] != '{' && *at++ != ',')
        return NULL;
    const ut_otlp_name_text *name = &ut_otlp_name_texts[guess];
    if (*at != '"' || !is_there(at + 1, name))
        return NULL;
    at += 1 + name->len + 2;
    if (*at <= ' ' || *at == 'n')
        return NULL;
    of->found = guess;
    stream->scan.values += 2;
    return at;
}

// Of a repeated member the last one counts elsewhere; here it is given up.
bool ut_otlp_stream_next(ut_otlp_stream *stream, const uint8_t **at, ut_otlp_stream_members *of)
{
    if (*at < stream->scan.end && **at == '}') {
        *at += 1;
        return false;
    }
    const uint8_t *value = next_as_before(stream, *at, of);
    if (value == NULL) {
        *at = ut_json_member(&stream->scan, *at);
        if (stream->scan.name.data == NULL)
            return false;
        const ut_otlp_name found = ut_otlp_name_of(stream->scan.name);
        stream->follows[of->found] = (uint8_t)found;
        of->found = found;
    } else {
        *at = value;
    }
    if ((of->seen & UT_NAME_BIT(of->found) & ~UT_NAME_BIT(UT_NAME_UNKNOWN)) != 0)
        *at = ut_json_give_up(&stream->scan);
    of->seen |= UT_NAME_BIT(of->found);
    return true;
}

// ---- single values ----

const uint8_t *ut_otlp_stream_text(ut_otlp_stream *stream, const uint8_t *at, ut_bytes *text)
{
    return ut_json_string(&stream->scan, ut_json_open(&stream->scan, at, '"'), text);
}

// The text of a number, or with text_too of a string. *quoted: it is a string.
static const uint8_t *get_number_text(ut_otlp_stream *stream, const uint8_t *at, bool text_too,
                                      ut_bytes *text, bool *quoted)
{
    *quoted = text_too && at < stream->scan.end && *at == '"';
    return *quoted ? ut_json_string(&stream->scan, at + 1, text)
                   : ut_json_number_text(&stream->scan, at, text);
}

// An integer from min to max; *bits: its two's complement.
static const uint8_t *get_integer(ut_otlp_stream *stream, const uint8_t *at, int64_t min,
                                  uint64_t max, bool text_too, uint64_t *bits)
{
    ut_bytes text = UT_BYTES_NONE;
    bool quoted;
    bool negative;
    uint64_t magnitude;
    at = get_number_text(stream, at, text_too, &text, &quoted);
    if (text.len == 0 || ut_json_integer(text, &negative, &magnitude) != UT_JSON_NUMBER_OK ||
        magnitude > (negative ? 0 - (uint64_t)min : max))
        return ut_json_give_up(&stream->scan);
    *bits = negative ? 0 - magnitude : magnitude;
    return at;
}

const uint8_t *ut_otlp_stream_time(ut_otlp_stream *stream, const uint8_t *at, uint64_t *ns)
{
    const uint8_t *end = stream->scan.end;
    if (at < end && *at == '"') {
        const uint8_t *behind = ut_json_digits(at + 1, end, ns);
        if (behind < end && *behind == '"' && behind > at + 1)
            return behind + 1;
    }
    return get_integer(stream, at, 0, UINT64_MAX, true, ns);
}

const uint8_t *ut_otlp_stream_u32(ut_otlp_stream *stream, const uint8_t *at, uint32_t *number)
{
    uint64_t bits = 0;
    at = get_integer(stream, at, 0, UINT32_MAX, true, &bits);
    *number = (uint32_t)bits;
    return at;
}

const uint8_t *ut_otlp_stream_enum(ut_otlp_stream *stream, const uint8_t *at, int32_t *number)
{
    uint64_t bits = 0;
    at = get_integer(stream, at, INT32_MIN, INT32_MAX, false, &bits);
    *number = (int32_t)(uint32_t)bits;
    return at;
}

const uint8_t *ut_otlp_stream_id(ut_otlp_stream *stream, const uint8_t *at, uint8_t *room,
                                 size_t len, ut_bytes *id)
{
    if ((size_t)(stream->scan.end - at) < 2 * len + 2 || *at != '"')
        return ut_json_give_up(&stream->scan);
    at += 1;
    if (*at == '"')
        return at + 1;
    if (at[2 * len] != '"' || !ut_hex_decode(ut_bytes_of(at, 2 * len), room))
        return ut_json_give_up(&stream->scan);
    *id = ut_bytes_of(room, len);
    return at + 2 * len + 1;
}

// ---- attribute values ----

static const uint8_t *put_value(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at,
                                unsigned depth);

enum {
    LOOK = 32, // bytes looked at without asking for the end
    SHORT_ROOM = 2 + UT_MP_SHORT_STR_MAX + UT_COPY_STEP, // of a short text in a record
};

// The end of a value of a frequent form, behind which a pair ends: }}. Two bytes more can be read.
// NULL: something else follows.
static inline const uint8_t *end_of_pair(const uint8_t *at, const uint8_t *end)
{
    return end - at >= 4 && at[0] == '}' && at[1] == '}' ? at + 2 : NULL;
}

// Writes {"key":"...","value":{"stringValue":"..."}}, or one with an integer, where it has no white
// space and nothing else: nearly all attributes are such. Returns the place behind it, of which two
// bytes more can be read; NULL: it has another form, and nothing was written.
//
// A function of its own, because within its loop there are not enough registers for it.
__attribute__((noinline)) static const uint8_t *put_short_pair(ut_otlp_stream *stream, ut_buf *out,
                                                               const uint8_t *at)
{
    const uint8_t *const end = stream->scan.end;
    if (end - at < LOOK || memcmp(at, "{\"key\":\"", 8) != 0)
        return NULL;
    const uint8_t *const key = at + 8;
    const uint8_t *const key_end = ut_json_plain_end(key, end);
    const size_t key_len = (size_t)(key_end - key);
    if (end - key_end < LOOK || key_len > UT_MP_SHORT_STR_MAX ||
        memcmp(key_end, "\",\"value\":{\"", 12) != 0)
        return NULL;
    uint8_t *const to = ut_buf_reserve(out, (size_t)2 * SHORT_ROOM);
    if (to == NULL)
        return NULL;
    uint8_t *behind = ut_mp_write_short_str(to, key, key_len, end);
    at = key_end + 12;
    if (memcmp(at, "stringValue\":\"", 14) == 0) {
        const uint8_t *const text = at + 14;
        at = ut_json_plain_end(text, end);
        const size_t len = (size_t)(at - text);
        if (at == end || *at != '"' || (at = end_of_pair(at + 1, end)) == NULL)
            return NULL;
        if (len <= UT_MP_SHORT_STR_MAX)
            behind = ut_mp_write_short_str(behind, text, len, end);
        out->len += (size_t)(behind - to);
        if (len > UT_MP_SHORT_STR_MAX)
            ut_mp_put_str(out, ut_bytes_of(text, len));
        return at;
    }
    if (memcmp(at, "intValue\":", 10) == 0) {
        const bool quoted = at[10] == '"';
        const uint8_t *const digits = at + 10 + quoted;
        uint64_t number;
        at = ut_json_digits(digits, end, &number);
        if (at == digits || number > INT64_MAX || (!quoted && *digits == '0' && at > digits + 1))
            return NULL; // too large, negative, no integer, or a zero in front
        if (quoted && (at == end || *at++ != '"'))
            return NULL;
        at = end_of_pair(at, end);
        if (at == NULL)
            return NULL;
        out->len += (size_t)(behind - to);
        ut_mp_put_uint(out, number);
        return at;
    }
    return NULL;
}

// Any KeyValue whose key comes first.
static const uint8_t *put_any_pair(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at,
                                   unsigned depth)
{
    ut_bytes key = UT_BYTES_NONE;
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_PAIR};
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        if (of.found == UT_NAME_KEY && (of.seen & UT_NAME_BIT(UT_NAME_VALUE)) == 0) {
            at = ut_otlp_stream_text(stream, at, &key);
            ut_mp_put_str(out, key);
        } else if (of.found == UT_NAME_VALUE && (of.seen & UT_NAME_BIT(UT_NAME_KEY)) != 0) {
            at = put_value(stream, out, at, depth);
        } else if (of.found == UT_NAME_KEY || of.found == UT_NAME_VALUE) {
            at = ut_json_give_up(&stream->scan);
        } else {
            at = ut_json_skip(&stream->scan, at);
        }
    }
    if ((of.seen & UT_NAME_BIT(UT_NAME_KEY)) == 0)
        ut_mp_put_str(out, key);
    if ((of.seen & UT_NAME_BIT(UT_NAME_VALUE)) == 0)
        ut_mp_put_nil(out);
    return at;
}

const uint8_t *ut_otlp_stream_put_pairs(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at,
                                        unsigned depth)
{
    const size_t head = out->len;
    uint32_t count = 0;
    bool more;
    ut_mp_put_map(out, 0);
    at = ut_json_open(&stream->scan, at, '[');
    for (;;) {
        at = ut_json_element(&stream->scan, at, &more);
        if (!more)
            break;
        const uint8_t *behind;
        while ((behind = put_short_pair(stream, out, at)) != NULL && *behind == ',' &&
               behind[1] == '{') {
            stream->scan.values += 7;
            at = behind + 1;
            count++;
        }
        if (behind != NULL)
            stream->scan.values += 6;
        at = behind != NULL ? behind : put_any_pair(stream, out, at, depth);
        count++;
    }
    ut_mp_set_count(out, head, count);
    return at;
}

static const uint8_t *put_elements(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at,
                                   unsigned depth)
{
    const size_t head = out->len;
    uint32_t count = 0;
    bool more;
    ut_mp_put_array(out, 0);
    at = ut_json_open(&stream->scan, at, '[');
    for (;;) {
        at = ut_json_element(&stream->scan, at, &more);
        if (!more)
            break;
        if (*at == 'n') { // null is an empty value
            at = ut_json_literal(&stream->scan, at, UT_BYTES_LIT("null"));
            ut_mp_put_nil(out);
        } else {
            at = put_value(stream, out, at, depth);
        }
        count++;
    }
    ut_mp_set_count(out, head, count);
    return at;
}

// {"values": [...]} of an array or a list of pairs.
static const uint8_t *put_list(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at, bool pairs,
                               unsigned depth)
{
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_OTHER};
    if (depth == UT_OTLP_DEPTH_MAX)
        return ut_json_give_up(&stream->scan);
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        if (of.found != UT_NAME_VALUES)
            at = ut_json_skip(&stream->scan, at);
        else if (pairs)
            at = ut_otlp_stream_put_pairs(stream, out, at, depth + 1);
        else
            at = put_elements(stream, out, at, depth + 1);
    }
    if ((of.seen & UT_NAME_BIT(UT_NAME_VALUES)) == 0)
        (pairs ? ut_mp_put_map : ut_mp_put_array)(out, 0);
    return at;
}

static const uint8_t *put_double(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at)
{
    ut_bytes text = UT_BYTES_NONE;
    bool quoted;
    double number = 0;
    at = get_number_text(stream, at, true, &text, &quoted);
    if (ut_otlp_double(text, quoted, &number) != UT_JSON_NUMBER_OK)
        return ut_json_give_up(&stream->scan);
    ut_mp_put_double(out, number);
    return at;
}

static const uint8_t *put_bytes(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at)
{
    ut_bytes text = UT_BYTES_NONE;
    size_t len = 0;
    at = ut_otlp_stream_text(stream, at, &text);
    uint8_t *bytes = ut_json_room(&stream->scan, ut_base64_decoded_max(text.len));
    if (bytes != NULL && !ut_base64_decode(text, bytes, &len))
        return ut_json_give_up(&stream->scan);
    ut_mp_put_bin(out, ut_bytes_of(bytes, len));
    return at;
}

static const uint8_t *put_bool(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at)
{
    const bool value = at < stream->scan.end && *at == 't';
    ut_mp_put_bool(out, value);
    return ut_json_literal(&stream->scan, at, value ? UT_BYTES_LIT("true") : UT_BYTES_LIT("false"));
}

// Of several variants the last one counts elsewhere; here they are given up.
static const uint8_t *put_value(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at,
                                unsigned depth)
{
    const uint64_t variants = UT_NAME_BIT(UT_NAME_STRING_VALUE) | UT_NAME_BIT(UT_NAME_BOOL_VALUE) |
                              UT_NAME_BIT(UT_NAME_INT_VALUE) | UT_NAME_BIT(UT_NAME_DOUBLE_VALUE) |
                              UT_NAME_BIT(UT_NAME_ARRAY_VALUE) | UT_NAME_BIT(UT_NAME_KVLIST_VALUE) |
                              UT_NAME_BIT(UT_NAME_BYTES_VALUE);
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_VALUE};
    ut_bytes text = UT_BYTES_NONE;
    uint64_t bits = 0;
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        if ((variants & UT_NAME_BIT(of.found)) != 0 &&
            (variants & of.seen) != UT_NAME_BIT(of.found))
            at = ut_json_give_up(&stream->scan);
        switch (of.found) {
        case UT_NAME_STRING_VALUE:
            at = ut_otlp_stream_text(stream, at, &text);
            ut_mp_put_str(out, text);
            break;
        case UT_NAME_BOOL_VALUE:
            at = put_bool(stream, out, at);
            break;
        case UT_NAME_INT_VALUE:
            at = get_integer(stream, at, INT64_MIN, INT64_MAX, true, &bits);
            ut_mp_put_int(out, (int64_t)bits);
            break;
        case UT_NAME_DOUBLE_VALUE:
            at = put_double(stream, out, at);
            break;
        case UT_NAME_ARRAY_VALUE:
        case UT_NAME_KVLIST_VALUE:
            at = put_list(stream, out, at, of.found == UT_NAME_KVLIST_VALUE, depth);
            break;
        case UT_NAME_BYTES_VALUE:
            at = put_bytes(stream, out, at);
            break;
        default:
            at = ut_json_skip(&stream->scan, at);
            break;
        }
    }
    if ((variants & of.seen) == 0)
        ut_mp_put_nil(out);
    return at;
}

void ut_otlp_stream_put_attributes(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at)
{
    if (at == NULL)
        ut_mp_put_map(out, 0);
    else
        (void)ut_otlp_stream_put_pairs(stream, out, at, 0); // where it ends is known
}
