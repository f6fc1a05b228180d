// A queue whose items carry their own link: first in, first out, without memory of its own. Not for
// items that leave from any place in the middle (those need two links) and not shared between
// threads.
#ifndef UT_PORT_BASE_LIST_H
#define UT_PORT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

// UT_LIST_DEFINE(ut_job_list, ut_store_job, next) defines a type ut_job_list of ut_store_job that
// are linked by their field `next`, and its functions:
//
//   bool ut_job_list_empty(const list *)
//   void ut_job_list_push(list *, item *)           behind the last
//   void ut_job_list_push_front(list *, item *)     before the first
//   item *ut_job_list_pop(list *)                   the first; NULL: the list is empty
//   item *ut_job_list_pop_behind(list *, item *)    the one behind an item of the list (NULL: the
//                                                   first); NULL: there is none
//   void ut_job_list_append(list *, list *other)    all of other, in its order; other is then empty
//
// A list of zeros is empty. An item is in one list at most by the same field; its link is NULL
// after it was taken out. Anybody may read the fields of a list and walk along it; only these
// functions change it.
#define UT_LIST_DEFINE(list_type, item_type, link)                                         \
    typedef struct {                                                                       \
        item_type *first;                                                                  \
        item_type *last;                                                                   \
        size_t count;                                                                      \
    } list_type;                                                                           \
                                                                                           \
    UT_LIST_FUNCTION bool list_type##_empty(const list_type *list)                         \
    {                                                                                      \
        return list->first == NULL;                                                        \
    }                                                                                      \
                                                                                           \
    UT_LIST_FUNCTION void list_type##_push(list_type *list, item_type *item)               \
    {                                                                                      \
        item->link = NULL;                                                                 \
        if (list->last != NULL)                                                            \
            list->last->link = item;                                                       \
        else                                                                               \
            list->first = item;                                                            \
        list->last = item;                                                                 \
        list->count++;                                                                     \
    }                                                                                      \
                                                                                           \
    UT_LIST_FUNCTION void list_type##_push_front(list_type *list, item_type *item)         \
    {                                                                                      \
        item->link = list->first;                                                          \
        list->first = item;                                                                \
        if (list->last == NULL)                                                            \
            list->last = item;                                                             \
        list->count++;                                                                     \
    }                                                                                      \
                                                                                           \
    UT_LIST_FUNCTION item_type *list_type##_pop_behind(list_type *list, item_type *before) \
    {                                                                                      \
        item_type **at = before != NULL ? &before->link : &list->first;                    \
        item_type *item = *at;                                                             \
        if (item == NULL)                                                                  \
            return NULL;                                                                   \
        *at = item->link;                                                                  \
        if (list->last == item)                                                            \
            list->last = before;                                                           \
        item->link = NULL;                                                                 \
        list->count--;                                                                     \
        return item;                                                                       \
    }                                                                                      \
                                                                                           \
    UT_LIST_FUNCTION item_type *list_type##_pop(list_type *list)                           \
    {                                                                                      \
        return list_type##_pop_behind(list, NULL);                                         \
    }                                                                                      \
                                                                                           \
    UT_LIST_FUNCTION void list_type##_append(list_type *list, list_type *other)            \
    {                                                                                      \
        if (other->first == NULL)                                                          \
            return;                                                                        \
        if (list->last != NULL)                                                            \
            list->last->link = other->first;                                               \
        else                                                                               \
            list->first = other->first;                                                    \
        list->last = other->last;                                                          \
        list->count += other->count;                                                       \
        *other = (list_type){0};                                                           \
    }                                                                                      \
    _Static_assert(1, "takes the semicolon behind the macro")

// No list needs all of them.
#define UT_LIST_FUNCTION static inline __attribute__((unused))

#endif
