// Base64; see base64.h.
#include "adapters/encoding/base64.h"

void ut_base64_encode(ut_bytes in, ut_buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (in.len > SIZE_MAX / 2) { // the text would not fit a size
        if (out->err == UT_OK)
            out->err = UT_ELIMIT;
        return;
    }
    size_t len = (in.len + 2) / 3 * 4;
    uint8_t *at = ut_buf_reserve(out, len);
    if (at == NULL)
        return;
    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = in.len - i;
        uint32_t bits = (uint32_t)in.data[i] << 16 |
                        (left > 1 ? (uint32_t)in.data[i + 1] << 8 : 0u) |
                        (left > 2 ? in.data[i + 2] : 0u);
        at[0] = (uint8_t)digits[bits >> 18];
        at[1] = (uint8_t)digits[bits >> 12 & 63];
        at[2] = left > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=';
        at[3] = left > 2 ? (uint8_t)digits[bits & 63] : '=';
        at += 4;
    }
    out->len += len;
}

// The value of a digit, 0..63; 64 for any other character.
static uint32_t digit_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return 64;
}

bool ut_base64_decode(ut_bytes text, uint8_t *out, size_t *out_len)
{
    size_t len = text.len;
    if (len % 4 == 0) {
        for (int i = 0; i < 2 && len > 0 && text.data[len - 1] == '='; i++)
            len--;
    }
    if (len % 4 == 1)
        return false;
    uint32_t bits = 0;
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t value = digit_value(text.data[i]);
        if (value == 64)
            return false;
        bits = bits << 6 | value;
        // A byte is complete with every digit but the first of four.
        if (i % 4 != 0)
            out[count++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    *out_len = count;
    return true;
}
