// A list of marks in two arrays; see mark_list.h.
#include "agent/threads/mark_list.h"

#include <stdlib.h>
#include <string.h>

static void free_ordinals(ut_mark_list *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list->ordinals[i]);
}

ut_err ut_mark_list_init(ut_mark_list *list, size_t count_max)
{
    *list = (ut_mark_list){.count_max = count_max};
    list->items = malloc(count_max * sizeof(*list->items));
    list->ordinals = malloc(count_max * sizeof(*list->ordinals));
    return list->items != NULL && list->ordinals != NULL ? UT_OK : UT_ENOMEM;
}

void ut_mark_list_free(ut_mark_list *list)
{
    ut_mark_list_clear(list);
    free(list->items);
    free(list->ordinals);
}

ut_err ut_mark_copy_make(ut_mark_copy *copy, const ut_delivery *mark)
{
    *copy = (ut_mark_copy){.item = *mark};
    copy->item.dead_ordinals = NULL;
    if (mark->dead_ordinals == NULL || mark->spans_dead == 0)
        return UT_OK;
    const size_t size = mark->spans_dead * sizeof(*copy->ordinals);
    copy->ordinals = malloc(size);
    if (copy->ordinals == NULL)
        return UT_ENOMEM;
    memcpy(copy->ordinals, mark->dead_ordinals, size);
    copy->item.dead_ordinals = copy->ordinals;
    return UT_OK;
}

void ut_mark_copy_drop(ut_mark_copy *copy)
{
    free(copy->ordinals);
    copy->ordinals = NULL;
}

static bool is_try(const ut_delivery *mark)
{
    return mark->state == UT_DELIVERY_PENDING;
}

static size_t count_tries(const ut_mark_list *list, size_t count)
{
    size_t tries = 0;
    for (size_t i = 0; i < count; i++)
        tries += is_try(&list->items[i]) ? 1 : 0;
    return tries;
}

// The index of the mark of a failed try of the same block; list->count: there is none.
static size_t find_try(const ut_mark_list *list, const ut_delivery *mark)
{
    size_t i = list->tries > 0 ? 0 : list->count;
    for (; i < list->count; i++) {
        const ut_delivery *item = &list->items[i];
        if (item->seq == mark->seq && item->dest == mark->dest && item->org == mark->org &&
            is_try(item))
            break;
    }
    return i;
}

bool ut_mark_list_add(ut_mark_list *list, const ut_mark_copy *copy)
{
    const size_t at = find_try(list, &copy->item);
    if (at == list->count_max)
        return false;
    if (at == list->count)
        list->count++;
    else
        list->tries--; // such a mark has no ordinals
    list->items[at] = copy->item;
    list->ordinals[at] = copy->ordinals;
    list->tries += is_try(&copy->item) ? 1 : 0;
    return true;
}

void ut_mark_list_drop_first(ut_mark_list *list, size_t count)
{
    free_ordinals(list, count);
    list->tries -= count_tries(list, count);
    list->count -= count;
    memmove(list->items, list->items + count, list->count * sizeof(*list->items));
    memmove(list->ordinals, list->ordinals + count, list->count * sizeof(*list->ordinals));
}

void ut_mark_list_clear(ut_mark_list *list)
{
    free_ordinals(list, list->count);
    list->count = 0;
    list->tries = 0;
}
