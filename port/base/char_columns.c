// Columns of a character, by binary search; see char_columns.h.
#include "port/base/char_columns.h"

#include "port/base/char_columns_table.h"

#include <stdbool.h>
#include <stddef.h>

static bool has(const ut_char_range *ranges, size_t count, uint16_t low)
{
    size_t from = 0;
    while (count > 0) {
        const size_t half = count / 2;
        if (ranges[from + half].last < low) {
            from += half + 1;
            count -= half + 1;
        } else if (ranges[from + half].first > low) {
            count = half;
        } else {
            return true;
        }
    }
    return false;
}

uint32_t ut_char_columns(uint32_t point)
{
    enum {
        WIDE_0 = sizeof(wide_0) / sizeof(wide_0[0]),
        WIDE_1 = sizeof(wide_1) / sizeof(wide_1[0]),
        NONE_0 = sizeof(none_0) / sizeof(none_0[0]),
        NONE_1 = sizeof(none_1) / sizeof(none_1[0]),
        MARKS_BEGIN = 0x300,
    };
    const uint16_t low = (uint16_t)point;
    if (point < MARKS_BEGIN)
        return 1;
    switch (point >> 16) {
    case 0:
        return has(wide_0, WIDE_0, low) ? 2 : has(none_0, NONE_0, low) ? 0 : 1;
    case 1:
        return has(wide_1, WIDE_1, low) ? 2 : has(none_1, NONE_1, low) ? 0 : 1;
    case 2:
    case 3:
        return 2; // ideographs, also those to come (UAX #11)
    default:
        return 1;
    }
}
