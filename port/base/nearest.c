// Distance between words; see nearest.h.
#include "port/base/nearest.h"

#include "port/base/order.h"

#include <string.h>

enum { DISTANCE_MAX = 2 };

static char plain(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return (char)(c == '_' ? '-' : c);
}

// How many characters have to be put in, taken out, replaced or swapped with their neighbour. Both
// words are at most UT_NEAREST_LEN_MAX long.
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    // The row before the last, the last, this one.
    unsigned rows[3][UT_NEAREST_LEN_MAX + 1] = {{0}};
    for (size_t k = 0; k <= b_len; k++)
        rows[1][k] = (unsigned)k;
    for (size_t i = 1; i <= a_len; i++) {
        rows[2][0] = (unsigned)i;
        for (size_t k = 1; k <= b_len; k++) {
            const unsigned changed = rows[1][k - 1] + (plain(a[i - 1]) == plain(b[k - 1]) ? 0 : 1);
            rows[2][k] = ut_min_u32(changed, ut_min_u32(rows[1][k], rows[2][k - 1]) + 1);
            if (i > 1 && k > 1 && plain(a[i - 1]) == plain(b[k - 2]) &&
                plain(a[i - 2]) == plain(b[k - 1]))
                rows[2][k] = ut_min_u32(rows[2][k], rows[0][k - 2] + 1);
        }
        memcpy(rows[0], rows[1], sizeof(rows[0]));
        memcpy(rows[1], rows[2], sizeof(rows[1]));
    }
    return rows[1][b_len];
}

ut_nearest ut_nearest_of(const char *typed, size_t len)
{
    return (ut_nearest){.typed = typed, .len = len, .best = 2 * DISTANCE_MAX + 1};
}

void ut_nearest_try(ut_nearest *search, const char *name_z)
{
    const size_t name_len = strlen(name_z);
    if (search->len < 2 || search->len > UT_NEAREST_LEN_MAX || name_len > UT_NEAREST_LEN_MAX)
        return;
    const unsigned away = distance(search->typed, search->len, name_z, name_len);
    const bool begins =
        search->len < name_len && distance(search->typed, search->len, name_z, search->len) == 0;
    const unsigned score = begins ? 1 : 2 * away;
    // Two changes make any word of three letters out of any other.
    if (score < search->best && (begins || away + 1 < name_len)) {
        search->best = score;
        search->found_z = name_z;
    }
}
