// A heap of the greatest; see top_list.h.
#include "agent/query/top_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

ut_err ut_top_list_open(ut_top_list *list, uint32_t limit)
{
    UT_ASSERT(limit > 0 && limit <= UT_TOP_LIST_MAX);
    *list = (ut_top_list){.limit = limit};
    list->entries = calloc(limit, sizeof(*list->entries));
    return list->entries == NULL ? UT_ENOMEM : UT_OK;
}

void ut_top_list_close(ut_top_list *list)
{
    free(list->entries);
    list->entries = NULL;
}

static bool is_less(const ut_top_entry *a, const ut_top_entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->came > b->came;
}

static void swap(ut_top_entry *a, ut_top_entry *b)
{
    const ut_top_entry kept = *a;
    *a = *b;
    *b = kept;
}

static void sink(ut_top_list *list)
{
    for (uint32_t at = 0;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child < list->count && child <= 2 * at + 2; child++) {
            if (is_less(&list->entries[child], &list->entries[least]))
                least = child;
        }
        if (least == at)
            return;
        swap(&list->entries[at], &list->entries[least]);
        at = least;
    }
}

void ut_top_list_add(ut_top_list *list, uint64_t rank, const uint8_t place[UT_TOP_PLACE_LEN])
{
    ut_top_entry added = {.rank = rank, .came = list->seen++};
    memcpy(added.place, place, UT_TOP_PLACE_LEN);
    if (list->count == list->limit) {
        if (is_less(&added, &list->entries[0]))
            return;
        list->entries[0] = added;
        sink(list);
        return;
    }
    uint32_t at = list->count++;
    list->entries[at] = added;
    for (; at > 0 && is_less(&list->entries[at], &list->entries[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&list->entries[at], &list->entries[(at - 1) / 2]);
}

static int compare(const void *a, const void *b)
{
    return is_less(a, b) ? 1 : is_less(b, a) ? -1 : 0;
}

void ut_top_list_sort(ut_top_list *list)
{
    if (list->count > 1)
        qsort(list->entries, list->count, sizeof(*list->entries), compare);
}
