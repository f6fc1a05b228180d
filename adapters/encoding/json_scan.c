// Reading JSON text in one pass; see json_scan.h.
#include "adapters/encoding/json_scan.h"

#include "port/base/utf8.h"

#include <stdlib.h>

// Functions through which few bytes of a request pass: built for size.
#define RARE __attribute__((cold))

enum {
    CHUNK_BYTES = 4096,
    LONG_BYTES =
        CHUNK_BYTES / 4, // a longer string gets a chunk of its own, so that little is wasted
};

struct ut_json_chunk {
    struct ut_json_chunk *next;
    uint8_t bytes[];
};

void ut_json_scan_free(ut_json_scan *scan)
{
    while (scan->chunks != NULL) {
        struct ut_json_chunk *next = scan->chunks->next;
        free(scan->chunks);
        scan->chunks = next;
    }
    scan->room_len = 0;
}

RARE const uint8_t *ut_json_give_up(ut_json_scan *scan)
{
    scan->failed = true;
    scan->name = UT_BYTES_NONE;
    return scan->end;
}

// ---- strings ----

RARE uint8_t *ut_json_room(ut_json_scan *scan, size_t len)
{
    uint8_t *found = scan->room;
    if (len > scan->room_len) {
        const size_t bytes = len > LONG_BYTES ? len : CHUNK_BYTES;
        struct ut_json_chunk *chunk = malloc(sizeof(*chunk) + bytes);
        if (chunk == NULL) {
            (void)ut_json_give_up(scan); // its result says no more than NULL
            return NULL;
        }
        chunk->next = scan->chunks;
        scan->chunks = chunk;
        if (len > LONG_BYTES)
            return chunk->bytes;
        found = chunk->bytes;
        scan->room_len = bytes;
    }
    scan->room = found + len;
    scan->room_len -= len;
    return found;
}

bool ut_json_unit(const uint8_t *at, const uint8_t *end, uint32_t *unit)
{
    uint8_t bytes[2];
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u' ||
        !ut_hex_decode(ut_bytes_of(at + 2, 4), bytes))
        return false;
    *unit = (uint32_t)bytes[0] << 8 | bytes[1];
    return true;
}

static uint8_t *put_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (uint8_t)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (uint8_t)(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *to++ = (uint8_t)(0xE0 | c >> 12);
        } else {
            *to++ = (uint8_t)(0xF0 | c >> 18);
            *to++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
        }
        *to++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    }
    *to++ = (uint8_t)(0x80 | (c & 0x3F));
    return to;
}

// Reads "\u" and its digits: a character, or the two halves of a surrogate pair.
static const uint8_t *unescape_unicode(ut_json_scan *scan, const uint8_t *at, uint8_t **to)
{
    uint32_t c;
    uint32_t low;
    if (!ut_json_unit(at, scan->end, &c))
        return ut_json_give_up(scan);
    at += 6;
    if (ut_json_is_high(c) && ut_json_unit(at, scan->end, &low) && ut_json_is_low(low)) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    } else if (ut_json_is_high(c) || ut_json_is_low(c)) {
        c = 0xFFFD;
    }
    *to = put_utf8(*to, c);
    return at;
}

// Reads what follows a backslash.
static const uint8_t *unescape(ut_json_scan *scan, const uint8_t *at, uint8_t **to)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (at == scan->end)
        return ut_json_give_up(scan);
    if (*at == 'u')
        return unescape_unicode(scan, at - 1, to);
    for (size_t i = 0; i < sizeof(names) - 1; i++) {
        if (*at == (uint8_t)names[i]) {
            *(*to)++ = (uint8_t)values[i];
            return at + 1;
        }
    }
    return ut_json_give_up(scan);
}

// The quote that closes a string, or the end of the text. at: within the string.
static const uint8_t *quote_behind(const uint8_t *at, const uint8_t *end)
{
    for (; at < end && *at != '"'; at = ut_json_plain_end(at, end))
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    return at;
}

// The rest of ut_json_string for a string that is not plain: at is the first byte that is not.
RARE static const uint8_t *string_rest(ut_json_scan *scan, const uint8_t *begin, const uint8_t *at,
                                       ut_bytes *text)
{
    *text = UT_BYTES_NONE;
    if (at == scan->end)
        return ut_json_give_up(scan);
    // No escape is shorter than what it stands for.
    uint8_t *const copy = ut_json_room(scan, (size_t)(quote_behind(at, scan->end) - begin));
    if (copy == NULL)
        return scan->end;
    uint8_t *to = copy;
    for (const uint8_t *from = begin;; from = at, at = ut_json_plain_end(at, scan->end)) {
        memcpy(to, from, (size_t)(at - from));
        to += at - from;
        if (at == scan->end)
            return ut_json_give_up(scan);
        if (*at == '"')
            break;
        if (*at == '\\') {
            at = unescape(scan, at + 1, &to);
            continue;
        }
        const size_t len = *at < ' ' ? 0 : ut_utf8_len(at, (size_t)(scan->end - at));
        if (len == 0)
            return ut_json_give_up(scan);
        memcpy(to, at, len);
        to += len;
        at += len;
    }
    *text = ut_bytes_of(copy, (size_t)(to - copy));
    return at + 1;
}

const uint8_t *ut_json_string(ut_json_scan *scan, const uint8_t *at, ut_bytes *text)
{
    const uint8_t *end = ut_json_plain_end(at, scan->end);
    if (end == scan->end || *end != '"')
        return string_rest(scan, at, end, text);
    *text = (ut_bytes){at, (size_t)(end - at)};
    return end + 1;
}

// ---- numbers and literals ----

static bool is_digit(const ut_json_scan *scan, const uint8_t *at)
{
    return at < scan->end && *at >= '0' && *at <= '9';
}

// Passes digits, of which there must be one.
static const uint8_t *pass_digits(ut_json_scan *scan, const uint8_t *at)
{
    if (!is_digit(scan, at))
        return ut_json_give_up(scan);
    while (is_digit(scan, at))
        at++;
    return at;
}

RARE const uint8_t *ut_json_number_text(ut_json_scan *scan, const uint8_t *at, ut_bytes *text)
{
    const uint8_t *begin = at;
    if (at < scan->end && *at == '-')
        at++;
    // No digit follows a zero that comes first.
    at = at < scan->end && *at == '0' ? at + 1 : pass_digits(scan, at);
    if (at < scan->end && *at == '.')
        at = pass_digits(scan, at + 1);
    if (at < scan->end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < scan->end && (*at == '+' || *at == '-'))
            at++;
        at = pass_digits(scan, at);
    }
    *text = ut_bytes_of(begin, (size_t)(at - begin));
    return at;
}

// Whether all eight bytes are decimal digits.
static bool are_digits(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    return ((eight & ones * 0xF0) | ((eight + ones * 6) & ones * 0xF0) >> 4) == ones * 0x33;
}

// The number that eight decimal digits stand for: pairs are joined, then fours, then all.
static uint32_t join_digits(uint64_t eight)
{
    eight &= UINT64_C(0x0F0F0F0F0F0F0F0F);
    eight = (eight * 10 + (eight >> 8)) & UINT64_C(0x00FF00FF00FF00FF);
    eight = (eight * 100 + (eight >> 16)) & UINT64_C(0x0000FFFF0000FFFF);
    return (uint32_t)(eight * 10000 + (eight >> 32));
}

const uint8_t *ut_json_digits(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    const uint8_t *last = end - at > 19 ? at + 19 : end;
    uint64_t number = 0;
    while (last - at >= 8) {
        const uint64_t eight = ut_get_le64(at);
        if (!are_digits(eight))
            break;
        number = number * 100000000 + join_digits(eight);
        at += 8;
    }
    for (; at < last && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    *value = number;
    return at;
}

RARE const uint8_t *ut_json_literal(ut_json_scan *scan, const uint8_t *at, ut_bytes literal)
{
    if ((size_t)(scan->end - at) < literal.len || memcmp(at, literal.data, literal.len) != 0)
        return ut_json_give_up(scan);
    return at + literal.len;
}

// ---- containers ----

RARE const uint8_t *ut_json_member(ut_json_scan *scan, const uint8_t *at)
{
    bool first = at[-1] == '{'; // no value ends so
    for (;;) {
        at = ut_json_space(scan, at);
        if (at == scan->end)
            return ut_json_give_up(scan);
        if (*at == '}') {
            scan->name = UT_BYTES_NONE;
            return at + 1;
        }
        if (!first)
            at = ut_json_space(scan, ut_json_open(scan, at, ','));
        first = false;
        at = ut_json_open(scan, at, '"');
        at = ut_json_space(scan, ut_json_string(scan, at, &scan->name));
        at = ut_json_space(scan, ut_json_open(scan, at, ':'));
        if (at == scan->end)
            return ut_json_give_up(scan);
        scan->values += 2;
        if (*at != 'n')
            return at;
        at = ut_json_literal(scan, at, UT_BYTES_LIT("null"));
    }
}

const uint8_t *ut_json_element(ut_json_scan *scan, const uint8_t *at, bool *more)
{
    const bool first = at[-1] == '['; // no value ends so
    *more = false;
    at = ut_json_space(scan, at);
    if (at == scan->end)
        return ut_json_give_up(scan);
    if (*at == ']')
        return at + 1;
    if (!first)
        at = ut_json_space(scan, ut_json_open(scan, at, ','));
    *more = at < scan->end; // behind a comma a bracket is no value, and is given up as one
    scan->values += 1;
    return *more ? at : ut_json_give_up(scan);
}

static const uint8_t *skip_scalar(ut_json_scan *scan, const uint8_t *at)
{
    ut_bytes text;
    switch (at < scan->end ? *at : 0) {
    case '"':
        return ut_json_string(scan, at + 1, &text);
    case 't':
        return ut_json_literal(scan, at, UT_BYTES_LIT("true"));
    case 'f':
        return ut_json_literal(scan, at, UT_BYTES_LIT("false"));
    case 'n':
        return ut_json_literal(scan, at, UT_BYTES_LIT("null"));
    default:
        return ut_json_number_text(scan, at, &text);
    }
}

RARE const uint8_t *ut_json_skip(ut_json_scan *scan, const uint8_t *at)
{
    uint64_t objects = 0; // a bit a level, the innermost lowest: it is an object, and no array
    unsigned depth = 0;
    do {
        if (at < scan->end && (*at == '{' || *at == '[')) {
            if (depth++ == UT_JSON_SKIP_DEPTH_MAX)
                return ut_json_give_up(scan);
            objects = objects << 1 | (*at == '{');
            at++;
        } else {
            at = skip_scalar(scan, at);
        }
        bool more = false;
        while (depth > 0 && !more && !scan->failed) {
            if ((objects & 1) != 0) {
                at = ut_json_member(scan, at);
                more = scan->name.data != NULL;
            } else {
                at = ut_json_element(scan, at, &more);
            }
            if (!more) {
                objects >>= 1;
                depth--;
            }
        }
    } while (depth > 0 && !scan->failed);
    return at;
}
