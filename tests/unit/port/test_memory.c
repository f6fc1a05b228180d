// memcpy, memmove, memset and memcmp of the program that this is linked into: in the static build
// ours, elsewhere the C library's. Areas end at a page that may not be touched, so that one byte
// too many is a crash.
#include "port/base/bytes.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sys/mman.h>

enum { SIZE_EACH_MAX = 1024, AREA = 65536, PAGE = 4096, EDGE = 64 };

// Through volatile pointers, because the compiler knows these functions and would put its own code
// in their place.
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile move)(void *, const void *, size_t) = memmove;
static void *(*volatile set)(void *, int, size_t) = memset;
static int (*volatile compare)(const void *, const void *, size_t) = memcmp;

// AREA bytes between two pages that may not be touched.
static uint8_t *guarded(void)
{
    uint8_t *map = mmap(NULL, AREA + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + PAGE, AREA, PROT_READ | PROT_WRITE), 0);
    return map + PAGE;
}

static void unguard(uint8_t *area)
{
    assert_int_equal(munmap(area - PAGE, AREA + 2 * PAGE), 0);
}

// Volatile, so that these loops stay loops over bytes.
static void fill(volatile uint8_t *at, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(seed + i * 7 + i / 251);
}

static bool same(const volatile uint8_t *a, const volatile uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i])
            return false;
    }
    return true;
}

static const size_t sizes_large[] = {1025, 2047, 2048, 2049, 2050, 2063, 2064,
                                     4096, 8191, 8192, 8193, 8200, 9999, 30000};
enum { SIZES = SIZE_EACH_MAX + 1 + sizeof(sizes_large) / sizeof(sizes_large[0]) };

static size_t size_at(size_t i)
{
    return i <= SIZE_EACH_MAX ? i : sizes_large[i - SIZE_EACH_MAX - 1];
}

static void copy_moves_every_size_at_every_alignment_and_nothing_beside_it(void **state)
{
    (void)state;
    uint8_t *from = guarded();
    uint8_t *to = guarded();
    uint8_t *want = malloc(AREA);
    assert_non_null(want);
    for (size_t i = 0; i < SIZES; i++) {
        size_t len = size_at(i);
        for (size_t k = 0; k < 16 * 4; k++) {
            size_t from_shift = k % 16;
            size_t to_shift = (k / 16 * 5 + k) % 16;
            fill(from, len + 32, (unsigned)(i + k));
            fill(to, len + 2 * EDGE, 77);
            fill(want, len + 2 * EDGE, 77);
            for (volatile size_t b = 0; b < len; b++)
                want[EDGE + to_shift + b] = from[from_shift + b];
            assert_ptr_equal(copy(to + EDGE + to_shift, from + from_shift, len),
                             to + EDGE + to_shift);
            if (!same(to, want, len + 2 * EDGE))
                fail_msg("size %zu, from %zu, to %zu", len, from_shift, to_shift);
        }
    }
    free(want);
    unguard(from);
    unguard(to);
}

static void no_function_touches_a_byte_beyond_either_end(void **state)
{
    (void)state;
    uint8_t *from = guarded();
    uint8_t *to = guarded();
    fill(from, AREA, 3);
    for (size_t i = 0; i < SIZES; i++) {
        size_t len = size_at(i);
        // Any touch beside these areas ends the test with SIGSEGV.
        (void)copy(to, from, len);
        assert_int_equal(compare(to, from, len), 0);
        (void)copy(to + AREA - len, from + AREA - len, len);
        assert_int_equal(compare(to + AREA - len, from + AREA - len, len), 0);
        (void)move(to + AREA - len, from, len);
        assert_true(same(to + AREA - len, from, len));
        (void)set(to, 1, len);
        (void)set(to + AREA - len, 1, len);
    }
    unguard(from);
    unguard(to);
}

static void move_is_right_for_every_size_and_overlap(void **state)
{
    (void)state;
    uint8_t *area = guarded();
    uint8_t *want = malloc(AREA);
    assert_non_null(want);
    static const int shifts[] = {0,   1,    -1,  2,    -2,  3,    -3,  7,    -7,   8,    -8,
                                 15,  -15,  16,  -16,  17,  -17,  31,  -31,  32,   -32,  33,
                                 -33, 63,   -63, 64,   -64, 65,   -65, 100,  -100, 127,  -127,
                                 128, -128, 200, -200, 255, -255, 256, -256, 1000, -1000};
    enum { MIDDLE = 2048 };
    for (size_t i = 0; i < SIZES; i++) {
        size_t len = size_at(i);
        for (size_t k = 0; k < sizeof(shifts) / sizeof(shifts[0]); k++) {
            size_t from = MIDDLE + (i + k) % 16;
            size_t to = (size_t)((ptrdiff_t)from + shifts[k]);
            size_t span = MIDDLE + len + 1024 + EDGE;
            fill(area, span, (unsigned)(i * 3 + k));
            fill(want, span, (unsigned)(i * 3 + k));
            volatile uint8_t *to_want = want + to;
            if (to < from) {
                for (size_t b = 0; b < len; b++)
                    to_want[b] = want[from + b];
            } else {
                for (size_t b = len; b > 0; b--)
                    to_want[b - 1] = want[from + b - 1];
            }
            assert_ptr_equal(move(area + to, area + from, len), area + to);
            if (!same(area, want, span))
                fail_msg("size %zu, moved by %d", len, shifts[k]);
        }
    }
    free(want);
    unguard(area);
}

static void set_writes_every_size_at_every_alignment_and_nothing_beside_it(void **state)
{
    (void)state;
    uint8_t *area = guarded();
    uint8_t *want = malloc(AREA);
    assert_non_null(want);
    for (size_t i = 0; i < SIZES; i++) {
        size_t len = size_at(i);
        for (size_t shift = 0; shift < 16; shift++) {
            int byte = (int)(i * 31 + shift) - 128; // only its low eight bits count
            fill(area, len + 2 * EDGE, 9);
            fill(want, len + 2 * EDGE, 9);
            for (volatile size_t b = 0; b < len; b++)
                want[EDGE + shift + b] = (uint8_t)byte;
            assert_ptr_equal(set(area + EDGE + shift, byte, len), area + EDGE + shift);
            if (!same(area, want, len + 2 * EDGE))
                fail_msg("size %zu, shift %zu", len, shift);
        }
    }
    free(want);
    unguard(area);
}

static void compare_finds_the_first_different_byte_wherever_it_is(void **state)
{
    (void)state;
    uint8_t *a = guarded();
    uint8_t *b = guarded();
    for (size_t len = 0; len <= 300; len++) {
        size_t shift = len % 16;
        uint8_t *left = a + shift;
        uint8_t *right = b + (len * 7) % 16;
        fill(left, len, 5);
        fill(right, len, 5);
        left[len] = 1; // behind the end: must not count
        right[len] = 2;
        assert_int_equal(compare(left, right, len), 0);
        for (size_t at = 0; at < len; at++) {
            uint8_t before = left[at];
            left[at] = 0x7F; // weighed as unsigned bytes: 0x80 is the greater
            right[at] = 0x80;
            if (at + 1 < len) {
                left[len - 1] ^= 0xFF; // a later difference must not win
            }
            if (compare(left, right, len) >= 0 || compare(right, left, len) <= 0)
                fail_msg("size %zu, different at %zu", len, at);
            if (at + 1 < len)
                left[len - 1] ^= 0xFF;
            left[at] = before;
            right[at] = before;
        }
    }
    unguard(a);
    unguard(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_moves_every_size_at_every_alignment_and_nothing_beside_it),
        cmocka_unit_test(no_function_touches_a_byte_beyond_either_end),
        cmocka_unit_test(move_is_right_for_every_size_and_overlap),
        cmocka_unit_test(set_writes_every_size_at_every_alignment_and_nothing_beside_it),
        cmocka_unit_test(compare_finds_the_first_different_byte_wherever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
