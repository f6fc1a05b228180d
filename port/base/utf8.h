// UTF-8 as it stands in bytes: which of them are characters, and which of those may not reach a
// terminal or a log. Not for how a character looks (char_columns.h).
#ifndef UT_PORT_BASE_UTF8_H
#define UT_PORT_BASE_UTF8_H

#include "port/base/bytes.h"

// Length of the well-formed UTF-8 sequence at the front, 1..4, or 0 when there is none there.
// at: left bytes, at least 1.
size_t ut_utf8_len(const uint8_t *at, size_t left);

// True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms).
bool ut_utf8_valid(ut_bytes text);

// The code point of the well-formed sequence of len bytes, as ut_utf8_len returned it.
uint32_t ut_utf8_point(const uint8_t *at, size_t len);

// Whether what begins at `at` may not be shown to a person as it is, because it steers a terminal
// (C0, DEL, C1), turns text round (bidi controls), ends a line for some programs only (U+2028,
// U+2029), or is not seen at all (zero-width and filling characters, tags). ZWJ, ZWNJ and variation
// selectors U+FE00 to U+FE0F may be shown: writing needs them. left: bytes there, at least 1.
bool ut_utf8_is_unsafe(const uint8_t *at, size_t left);

// Makes text fit for a person in place: each unsafe character, and each byte that is not UTF-8,
// becomes '?'. Returns the length, which is at most len.
size_t ut_utf8_make_safe(char *text, size_t len);

#endif
