// The name that a mistyped word most likely means, for "did you mean ...?". Commands, options and
// keys of the configuration are such names.
#ifndef UT_PORT_BASE_NEAREST_H
#define UT_PORT_BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

enum { UT_NEAREST_LEN_MAX = 32 }; // a longer word is near to nothing

// One search. typed is borrowed.
typedef struct {
    const char *typed;
    size_t len;
    unsigned best;
    const char *found_z; // the nearest so far, borrowed; NULL: none is near
} ut_nearest;

ut_nearest ut_nearest_of(const char *typed, size_t len);

// Holds a name against the word. Of names equally near the first one stays. A name that the word
// begins is nearest of all. '-' and '_' are alike, and so are capital and small letters.
void ut_nearest_try(ut_nearest *search, const char *name_z);

#endif
