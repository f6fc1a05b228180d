// The linker leads each call of malloc and its kin to wrap_ here (--wrap), which counts it.
#include "tests/support/holdings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { DESCRIPTORS_MAX = 1024 };

static _Atomic long blocks; // mutable and global, as the functions it stands in for

void *real_malloc(size_t size) __asm__("__real_malloc");
void *real_calloc(size_t count, size_t size) __asm__("__real_calloc");
void *real_realloc(void *block, size_t size) __asm__("__real_realloc");
void real_free(void *block) __asm__("__real_free");
void *wrap_malloc(size_t size) __asm__("__wrap_malloc");
void *wrap_calloc(size_t count, size_t size) __asm__("__wrap_calloc");
void *wrap_realloc(void *block, size_t size) __asm__("__wrap_realloc");
void wrap_free(void *block) __asm__("__wrap_free");

// Musl's calloc and realloc call malloc and free by the same names, which are not the program's.
static _Thread_local bool inside;

// Ends a call; change: of the number of blocks that the process holds.
static void count(long change)
{
    atomic_fetch_add(&blocks, change);
    inside = false;
}

void *wrap_malloc(size_t size)
{
    if (inside)
        return real_malloc(size);
    inside = true;
    void *block = real_malloc(size);
    count(block != NULL);
    return block;
}

void *wrap_calloc(size_t number, size_t size)
{
    if (inside)
        return real_calloc(number, size);
    inside = true;
    void *block = real_calloc(number, size);
    count(block != NULL);
    return block;
}

void *wrap_realloc(void *old, size_t size)
{
    if (inside)
        return real_realloc(old, size);
    inside = true;
    void *block = real_realloc(old, size);
    count(old == NULL && block != NULL);
    return block;
}

void wrap_free(void *block)
{
    if (inside) {
        real_free(block);
        return;
    }
    inside = true;
    real_free(block);
    count(block != NULL ? -1 : 0);
}

ut_holdings ut_holdings_now(void)
{
    ut_holdings now = {.blocks = atomic_load(&blocks)};
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        now.descriptors += fcntl(fd, F_GETFD) >= 0;
    return now;
}

void ut_holdings_assert_same(const ut_holdings *before)
{
    const ut_holdings now = ut_holdings_now();
    if (now.blocks != before->blocks)
        fail_msg("%ld blocks of memory are left behind", now.blocks - before->blocks);
    if (now.descriptors != before->descriptors)
        fail_msg("%ld descriptors are left open", now.descriptors - before->descriptors);
}

int ut_holdings_set_up(void **state)
{
    ut_holdings *before = malloc(sizeof(*before));
    assert_non_null(before);
    *before = ut_holdings_now();
    *state = before;
    return 0;
}

int ut_holdings_tear_down(void **state)
{
    ut_holdings_assert_same(*state);
    free(*state);
    return 0;
}
