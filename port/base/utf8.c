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

uint32_t ut_utf8_point(const uint8_t *at, size_t len)
{
    if (len < 2)
        return at[0];
    uint32_t point = at[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++)
        point = point << 6 | (at[i] & 0x3Fu);
    return point;
}

bool ut_utf8_is_unsafe(const uint8_t *at, size_t left)
{
    static const struct {
        uint32_t first;
        uint32_t last;
    } ranges[] = {
        {0x80, 0x9F},       // C1
        {0xAD, 0xAD},       // soft hyphen
        {0x61C, 0x61C},     // Arabic letter mark
        {0x115F, 0x1160},   // Hangul fillers
        {0x180E, 0x180E},   // Mongolian vowel separator
        {0x200B, 0x200B},   // zero width space
        {0x200E, 0x200F},   // left-to-right and right-to-left marks
        {0x2028, 0x202E},   // line and paragraph separators, embeddings and overrides
        {0x2060, 0x206F},   // word joiner, invisible operators, isolates
        {0x3164, 0x3164},   // Hangul filler
        {0xFEFF, 0xFEFF},   // byte order mark
        {0xFFA0, 0xFFA0},   // half-width Hangul filler
        {0xFFF0, 0xFFFB},   // interlinear annotations
        {0x1D173, 0x1D17A}, // beams and slurs
        {0xE0000, 0xE0FFF}, // tags, variation selectors that nothing but hiding text uses
    };
    if (at[0] < 0x80)
        return at[0] < 0x20 || at[0] == 0x7F;
    const size_t len = ut_utf8_len(at, left);
    if (len == 0)
        return false;
    const uint32_t point = ut_utf8_point(at, len);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]) && point >= ranges[i].first; i++) {
        if (point <= ranges[i].last)
            return true;
    }
    return false;
}

size_t ut_utf8_make_safe(char *text, size_t len)
{
    const uint8_t *from = (const uint8_t *)text;
    size_t to = 0;
    for (size_t at = 0; at < len;) {
        const size_t here = ut_utf8_len(from + at, len - at);
        if (here == 0 || ut_utf8_is_unsafe(from + at, len - at)) {
            text[to++] = '?';
            at += here == 0 ? 1 : here;
            continue;
        }
        memmove(text + to, text + at, here);
        to += here;
        at += here;
    }
    return to;
}
