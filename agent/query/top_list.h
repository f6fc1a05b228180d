// The greatest of many, in bounded memory: what --sort shows. Holds a rank and a place for each,
// not the thing itself.
#ifndef UT_AGENT_QUERY_TOP_LIST_H
#define UT_AGENT_QUERY_TOP_LIST_H

#include "port/base/err.h"

#include <stdint.h>

enum { UT_TOP_PLACE_LEN = 16, UT_TOP_LIST_MAX = 10000 };

typedef struct {
    uint64_t rank;
    uint64_t came; // of two with one rank the one that came first is greater
    uint8_t place[UT_TOP_PLACE_LEN];
} ut_top_entry;

typedef struct {
    ut_top_entry *entries; // a heap, the least first; sorted by ut_top_list_sort
    uint32_t count;
    uint32_t limit;
    uint64_t seen;
} ut_top_list;

// limit: 1 to UT_TOP_LIST_MAX. UT_ENOMEM.
ut_err ut_top_list_open(ut_top_list *list, uint32_t limit);
void ut_top_list_close(ut_top_list *list);

void ut_top_list_add(ut_top_list *list, uint64_t rank, const uint8_t place[UT_TOP_PLACE_LEN]);

// Puts the greatest first. Nothing may be added any more.
void ut_top_list_sort(ut_top_list *list);

#endif
