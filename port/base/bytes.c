// Hex of borrowed bytes; the rest of the module is inline in the header.
#include "port/base/bytes.h"

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void ut_hex_encode(ut_bytes in, char *out_z)
{
    static const char digits[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
                                    '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
    for (size_t i = 0; i < in.len; i++) {
        *out_z++ = digits[in.data[i] >> 4];
        *out_z++ = digits[in.data[i] & 15];
    }
    *out_z = '\0';
}

bool ut_hex_decode(ut_bytes text, uint8_t *out)
{
    if (text.len % 2 != 0)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_digit(text.data[i]);
        int low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        *out++ = (uint8_t)(high << 4 | low);
    }
    return true;
}
