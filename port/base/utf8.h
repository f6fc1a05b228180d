// UTF-8 as it stands in bytes: which of them are characters, and which of those are not for a
// terminal. Not for what a character means.
#ifndef UT_PORT_BASE_UTF8_H
#define UT_PORT_BASE_UTF8_H

#include "port/base/bytes.h"

// Length of the well-formed UTF-8 sequence at the front, 1..4, or 0 when there is none there.
// at: left bytes, at least 1.
size_t ut_utf8_len(const uint8_t *at, size_t left);

// True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms).
bool ut_utf8_valid(ut_bytes text);

// Whether a character that could steer a terminal begins at `at`: C0, DEL, or C1, which UTF-8
// writes as c2 80..9f. left: bytes there, at least 1.
bool ut_utf8_is_control(const uint8_t *at, size_t left);

#endif
