// Reading JSON text in one pass, without a document and without memory: for texts that are large,
// of a known shape, and nearly always well-formed. Not for saying what is wrong with a text: a scan
// gives up on what is malformed, nested deeply, or too rare to be worth code, and whoever needs the
// text or the reason all the same reads it with json.h. What a scan accepts, json.h accepts.
//
// The place in the text is passed from call to call, so that it stays in a register. Giving up is
// sticky: scan->failed is set, the place is the end of the text, and every further call gives up
// at once. Loops over members and elements end then, so one check behind many calls is enough.
#ifndef UT_ADAPTERS_ENCODING_JSON_SCAN_H
#define UT_ADAPTERS_ENCODING_JSON_SCAN_H

#include "port/base/bytes.h"

enum { UT_JSON_SKIP_DEPTH_MAX = 48 }; // nesting that ut_json_skip follows

typedef struct {
    const uint8_t *begin;
    const uint8_t *end;
    ut_bytes name; // of the member that ut_json_member found; data NULL: there is none
    size_t values; // read so far, names of members included
    struct ut_json_chunk *chunks; // owned: strings that had to be changed
    uint8_t *room;                // in the newest chunk
    size_t room_len;
    bool failed;
} ut_json_scan;

// text: not empty; borrowed until ut_json_scan_free.
static inline ut_json_scan ut_json_scan_of(ut_bytes text)
{
    return (ut_json_scan){.begin = text.data, .end = text.data + text.len};
}
// Also invalidates the strings that were read.
void ut_json_scan_free(ut_json_scan *scan);

// Returns the end of the text.
const uint8_t *ut_json_give_up(ut_json_scan *scan);

// ---- strings ----

// The top bit of each byte of eight that does not simply stand for itself in a string: quotes,
// backslashes, control characters, and all that is not ASCII. Above the lowest such bit there may
// be wrong ones, since the subtractions borrow.
static inline uint64_t ut_json_special(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    // The quote, 22, changes places with the space, 20: it then follows the control characters.
    const uint64_t low = (eight ^ ones * 2) - ones * 0x21;
    const uint64_t backslash = (eight ^ ones * '\\') - ones;
    return (low | backslash | eight) & (ones * 0x80);
}

// The first byte from `at` on that does not simply stand for itself in a string, or end.
static inline const uint8_t *ut_json_plain_end(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        const uint64_t special = ut_json_special(ut_get_le64(at));
        if (special != 0)
            return at + (__builtin_ctzll(special) >> 3);
        at += 8;
    }
    while (at < end && *at >= ' ' && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

// Reads a string. at: behind the quote that opens it. *text: its characters, in the text itself
// unless there are escapes or other characters than ASCII.
const uint8_t *ut_json_string(ut_json_scan *scan, const uint8_t *at, ut_bytes *text);

// Reads "\u" and its four hexadecimal digits, six bytes. False when they do not stand at `at`.
bool ut_json_unit(const uint8_t *at, const uint8_t *end, uint32_t *unit);

// True of the halves of a surrogate pair: of the first, and of the second. One that stands alone is
// U+FFFD wherever JSON is read, because producers cut texts within a character.
static inline bool ut_json_is_high(uint32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}
static inline bool ut_json_is_low(uint32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

// Room for len bytes that live as long as the strings of the scan; NULL after giving up for want of
// memory.
uint8_t *ut_json_room(ut_json_scan *scan, size_t len);

// ---- numbers and literals ----

// Reads a number. *text: as it stands.
const uint8_t *ut_json_number_text(ut_json_scan *scan, const uint8_t *at, ut_bytes *text);

// Reads up to 19 decimal digits. Returns the first byte that is no digit; also what stands before
// end when there are more digits, or at itself when there is none: check what follows.
const uint8_t *ut_json_digits(const uint8_t *at, const uint8_t *end, uint64_t *value);

// Passes true, false or null.
const uint8_t *ut_json_literal(ut_json_scan *scan, const uint8_t *at, ut_bytes literal);

// ---- containers ----

// Passes the white space from `at` on.
static inline const uint8_t *ut_json_space(const ut_json_scan *scan, const uint8_t *at)
{
    while (at < scan->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

// Passes one character that must be there, as '{' before the first member.
static inline const uint8_t *ut_json_open(ut_json_scan *scan, const uint8_t *at, char c)
{
    return at < scan->end && *at == (uint8_t)c ? at + 1 : ut_json_give_up(scan);
}

// Goes to the value of the next member that is not null; its name is scan->name then. at: behind
// the brace, or behind the last value. Behind the object when there is none.
const uint8_t *ut_json_member(ut_json_scan *scan, const uint8_t *at);

// Goes to the next element. at: behind the bracket, or behind the last element. *more: false when
// there is none; then behind the array.
const uint8_t *ut_json_element(ut_json_scan *scan, const uint8_t *at, bool *more);

// Passes a value of any kind, which is checked as all others.
const uint8_t *ut_json_skip(ut_json_scan *scan, const uint8_t *at);

#endif
