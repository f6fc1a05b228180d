// Hex of borrowed bytes; the rest of the module is inline in the header.
#include "port/base/bytes.h"

// The value of each hexadecimal digit plus one; 0 of any other character.
static const uint8_t digit_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

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
    unsigned all = 0; // above 15 after a character that is no digit
    for (size_t i = 0; i < text.len; i += 2) {
        const unsigned high = digit_values[text.data[i]] - 1u;
        const unsigned low = digit_values[text.data[i + 1]] - 1u;
        all |= high | low;
        *out++ = (uint8_t)(high << 4 | low);
    }
    return all <= 15;
}
