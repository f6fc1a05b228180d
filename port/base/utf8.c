// Well-formed UTF-8 and control characters in it; see utf8.h.
#include "port/base/utf8.h"

#include <string.h>

size_t ut_utf8_len(const uint8_t *at, size_t left)
{
    const uint8_t lead = at[0];
    if (lead < 0x80)
        return 1;
    // The second byte alone tells overlong forms, surrogates and what lies above U+10FFFF
    // (Unicode, table 3-7).
    size_t len = 0;
    uint8_t second_min = 0x80;
    uint8_t second_max = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        len = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        len = 3;
        if (lead == 0xE0)
            second_min = 0xA0;
        else if (lead == 0xED)
            second_max = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        len = 4;
        if (lead == 0xF0)
            second_min = 0x90;
        else if (lead == 0xF4)
            second_max = 0x8F;
    }
    if (len == 0 || len > left || at[1] < second_min || at[1] > second_max)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    }
    return len;
}

bool ut_utf8_valid(ut_bytes text)
{
    const uint8_t *at = text.data;
    size_t left = text.len;
    while (left > 0) {
        // Span texts are ASCII nearly always: eight bytes at a time.
        while (left >= 8) {
            uint64_t eight;
            memcpy(&eight, at, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) != 0)
                break;
            at += 8;
            left -= 8;
        }
        if (left == 0)
            break;
        const size_t len = ut_utf8_len(at, left);
        if (len == 0)
            return false;
        at += len;
        left -= len;
    }
    return true;
}

bool ut_utf8_is_control(const uint8_t *at, size_t left)
{
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && left > 1 && at[1] < 0xa0);
}
