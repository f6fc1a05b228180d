// Marks (what became of a block at a destination) that wait for their commit, with copies of all
// that they point to. Not shared between threads by itself: store_thread.c holds its lock around
// it.
#ifndef UT_AGENT_THREADS_MARK_LIST_H
#define UT_AGENT_THREADS_MARK_LIST_H

#include "storage/store/store.h"

typedef struct {
    ut_delivery *items; // in the order in which they came; valid until the list is changed
    size_t count;
    size_t count_max;
    size_t tries;        // of them, marks of failed tries, which leave their block pending
    uint16_t **ordinals; // of each item: the copy that its dead_ordinals points to; or NULL
} ut_mark_list;

// A list of at most count_max marks. UT_ENOMEM; ut_mark_list_free is due in either case.
ut_err ut_mark_list_init(ut_mark_list *list, size_t count_max);
void ut_mark_list_free(ut_mark_list *list); // a list of zeros too

// A copy of a mark that no list owns yet, so that it can be made before a lock is taken.
typedef struct {
    ut_delivery item;
    uint16_t *ordinals; // or NULL
} ut_mark_copy;

// UT_ENOMEM: there is no copy.
ut_err ut_mark_copy_make(ut_mark_copy *copy, const ut_delivery *mark);
void ut_mark_copy_drop(ut_mark_copy *copy); // one that no list took

// The mark takes the place of that of a failed try of the same block, if the list has one: a
// destination that is away fills no list. False: the list is full, and the copy stays the caller's.
bool ut_mark_list_add(ut_mark_list *list, const ut_mark_copy *copy);
void ut_mark_list_drop_first(ut_mark_list *list, size_t count);
void ut_mark_list_clear(ut_mark_list *list);

#endif
