// Pages of an LMDB file, made by hand and by LMDB: each rule that a page must keep is broken alone.
#include "storage/lmdb/lmdb_page.h"

#include "storage/engine.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PAGE = 4096,
    GUARD =
        64 * 1024 + PAGE, // bytes behind a page that nobody may touch: any place leads into them
    NUMBER = 7,           // of the page made by hand
    LAST_PAGE = 20,       // of its file
    NODES_MAX = 8,
    AT_FLAGS = sizeof(size_t) + 2, // in the header of a page
    AT_LOWER = sizeof(size_t) + 4,
    AT_UPPER = sizeof(size_t) + 6,
};

// What a node made by hand holds.
typedef struct {
    ut_bytes key;
    ut_bytes value; // of a leaf
    size_t child;   // of a branch; of a leaf: the first overflow page, 0: none
} content;

typedef struct {
    _Alignas(8) uint8_t data[PAGE];
    size_t places[NODES_MAX];
    bool leaf;
    bool numbers;
} made_page;

// ---- making ----

static void put_word(uint8_t *at, size_t word)
{
    const uint16_t short_word = (uint16_t)word;
    memcpy(at, &short_word, sizeof short_word);
}

// The nodes stand from the end of the page downwards, as LMDB places them.
static void make(made_page *page, bool leaf, const content *contents, unsigned count)
{
    const size_t number = NUMBER;
    size_t upper = PAGE;
    memset(page, 0, sizeof *page);
    page->leaf = leaf;
    memcpy(page->data, &number, sizeof number);
    for (unsigned i = 0; i < count; i++) {
        const content *c = &contents[i];
        const size_t value_len = c->child == 0 ? c->value.len : leaf ? sizeof(size_t) : 0;
        upper -= (UT_LMDB_NODE_HEADER_LEN + c->key.len + value_len + 1) & ~(size_t)1;
        uint8_t *node = page->data + upper;
        page->places[i] = upper;
        put_word(page->data + UT_LMDB_PAGE_HEADER_LEN + 2 * i, upper);
        put_word(node + 6, c->key.len);
        if (c->key.len > 0)
            memcpy(node + UT_LMDB_NODE_HEADER_LEN, c->key.data, c->key.len);
        const uint32_t low = (uint32_t)(leaf ? c->value.len : c->child);
        memcpy(node, &low, sizeof low);
        if (!leaf)
            continue;
        uint8_t *value = node + UT_LMDB_NODE_HEADER_LEN + c->key.len;
        if (c->child != 0) {
            put_word(node + 4, UT_LMDB_NODE_BIG);
            memcpy(value, &c->child, sizeof c->child);
        } else if (c->value.len > 0) {
            memcpy(value, c->value.data, c->value.len);
        }
    }
    put_word(page->data + AT_FLAGS, leaf ? UT_LMDB_PAGE_LEAF : UT_LMDB_PAGE_BRANCH);
    put_word(page->data + AT_LOWER, UT_LMDB_PAGE_HEADER_LEN + 2 * count);
    put_word(page->data + AT_UPPER, upper);
}

#define LIT(text) ((ut_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static void make_leaf(made_page *page)
{
    const content contents[] = {
        {.key = LIT("apple"), .value = LIT("red")},
        {.key = LIT("apples"), .value = LIT("")},
        {.key = LIT("pear"), .value = {NULL, 9000}, .child = 12},
    };
    make(page, true, contents, 3);
}

static void make_branch(made_page *page)
{
    const content contents[] = {
        {.key = LIT(""), .child = 3},
        {.key = LIT("m"), .child = 2},
        {.key = LIT("t"), .child = LAST_PAGE},
    };
    make(page, false, contents, 3);
}

static void make_numbers(made_page *page, const size_t keys[2])
{
    const content contents[] = {
        {.key = {(const uint8_t *)&keys[0], sizeof keys[0]}, .value = LIT("12345678")},
        {.key = {(const uint8_t *)&keys[1], sizeof keys[1]}, .value = LIT("")},
    };
    make(page, true, contents, 2);
    page->numbers = true;
}

// A copy of len bytes that ends where memory ends, so that reading or writing further is a crash.
static uint8_t *guarded(const void *data, size_t len)
{
    uint8_t *area =
        mmap(NULL, PAGE + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(area != MAP_FAILED && len <= PAGE);
    assert_int_equal(mprotect(area + PAGE, GUARD, PROT_NONE), 0);
    return memcpy(area + PAGE - len, data, len);
}

static void unguard(uint8_t *copy, size_t len)
{
    assert_int_equal(munmap(copy + len - PAGE, PAGE + GUARD), 0);
}

static bool check(const made_page *page)
{
    static const uint8_t zeros[PAGE];
    uint8_t *copy = guarded(page->data, PAGE);
    uint8_t *scratch = guarded(zeros, PAGE);
    const bool good = ut_lmdb_page_check(copy, PAGE, NUMBER, LAST_PAGE, page->leaf, page->numbers,
                                         (uint16_t *)(void *)scratch);
    unguard(copy, PAGE);
    unguard(scratch, PAGE);
    return good;
}

// Sets a word of a copy of the page; true when the copy still makes sense.
static bool check_with(const made_page *page, size_t at, size_t word)
{
    made_page copy = *page;
    put_word(copy.data + at, word);
    return check(&copy);
}

// ---- the head of a page ----

static void pages_made_by_hand_make_sense(void **state)
{
    (void)state;
    made_page page;
    make_leaf(&page);
    assert_true(check(&page));
    make_branch(&page);
    assert_true(check(&page));
    make_numbers(&page, (const size_t[2]){255, 256});
    assert_true(check(&page));
}

static void a_page_stands_at_its_number_only(void **state)
{
    (void)state;
    made_page page;
    make_leaf(&page);
    assert_true(check_with(&page, 0, NUMBER));
    assert_false(check_with(&page, 0, NUMBER + 1));
}

static void a_page_is_of_the_kind_that_its_level_asks_for(void **state)
{
    (void)state;
    static const unsigned others[] = {0, UT_LMDB_PAGE_BRANCH, UT_LMDB_PAGE_OVERFLOW,
                                      UT_LMDB_PAGE_META, UT_LMDB_PAGE_LEAF | UT_LMDB_PAGE_BRANCH,
                                      // of LMDB's own: dirty, and a leaf of keys of one length
                                      UT_LMDB_PAGE_LEAF | 0x10, UT_LMDB_PAGE_LEAF | 0x20};
    made_page page;
    make_leaf(&page);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(check_with(&page, AT_FLAGS, others[i]));
    make_branch(&page);
    assert_false(check_with(&page, AT_FLAGS, UT_LMDB_PAGE_LEAF));
}

static void the_bounds_of_the_free_space_fit_the_page(void **state)
{
    (void)state;
    made_page page;
    make_leaf(&page);
    assert_false(check_with(&page, AT_LOWER, UT_LMDB_PAGE_HEADER_LEN - 2));
    assert_false(check_with(&page, AT_LOWER, UT_LMDB_PAGE_HEADER_LEN + 7)); // three and a half
    assert_false(check_with(&page, AT_LOWER, 0xfffe));
    assert_false(check_with(&page, AT_UPPER, UT_LMDB_PAGE_HEADER_LEN + 4)); // below the places
    assert_false(check_with(&page, AT_UPPER, PAGE + 2));
    // A page so full that the last node begins on its own place, which says 18 as its length does.
    const size_t place = UT_LMDB_PAGE_HEADER_LEN + 2;
    static const uint8_t bytes[PAGE];
    const size_t rest = PAGE - place - ((UT_LMDB_NODE_HEADER_LEN + 1 + place + 1) & ~(size_t)1);
    const content contents[] = {
        {.key = LIT("a"), .value = {bytes, rest - UT_LMDB_NODE_HEADER_LEN - 1}},
        {.key = LIT("b"), .value = {bytes, place}},
    };
    make(&page, true, contents, 2);
    assert_int_equal(page.places[1], place);
    assert_false(check(&page));
}

static void a_leaf_has_a_node_and_a_branch_two(void **state)
{
    (void)state;
    const content contents[] = {{.key = LIT("a"), .child = 3}, {.key = LIT("b"), .child = 4}};
    made_page page;
    make(&page, true, contents, 0);
    assert_false(check(&page));
    make(&page, true, contents, 1);
    assert_true(check(&page));
    make(&page, false, contents, 1);
    assert_false(check(&page));
    make(&page, false, contents, 2);
    assert_true(check(&page));
}

// ---- nodes ----

static void the_place_of_a_node_is_even_and_among_the_nodes(void **state)
{
    (void)state;
    made_page page;
    make_leaf(&page);
    const size_t first = UT_LMDB_PAGE_HEADER_LEN;
    assert_false(check_with(&page, first, page.places[0] + 1));
    // A node of an odd length, moved by the byte that was left of it.
    const content pair[] = {{.key = LIT("b")}, {.key = LIT("c")}};
    made_page moved;
    make(&moved, true, pair, 2);
    memmove(moved.data + moved.places[1] + 1, moved.data + moved.places[1],
            UT_LMDB_NODE_HEADER_LEN + 1);
    assert_false(check_with(&moved, first + 2, moved.places[1] + 1));
    assert_false(check_with(&page, first, page.places[2] - 2)); // the free space
    assert_false(check_with(&page, first, 0));
    assert_false(check_with(&page, first, PAGE - UT_LMDB_NODE_HEADER_LEN + 2));
    assert_false(check_with(&page, first, PAGE));
    assert_false(check_with(&page, first, 0xfffe));
}

static void a_key_has_a_length_that_fits(void **state)
{
    (void)state;
    static const uint8_t bytes[UT_LMDB_KEY_MAX + 1] = {'a'};
    const content longest = {.key = {bytes, UT_LMDB_KEY_MAX}};
    const content too_long = {.key = {bytes, UT_LMDB_KEY_MAX + 1}};
    made_page page;
    make(&page, true, &longest, 1);
    assert_true(check(&page));
    make(&page, true, &too_long, 1);
    assert_false(check(&page));
    make_leaf(&page);
    // The node at the end of the page: its key would end behind the page, and so would a number.
    assert_false(check_with(&page, page.places[0] + 6, 10));
    put_word(page.data + page.places[0] + 4, UT_LMDB_NODE_BIG);
    assert_false(check_with(&page, page.places[0] + 6, 10));
    make_branch(&page);
    assert_false(check_with(&page, page.places[0] + 6, 10));
}

static void a_value_fits_the_page(void **state)
{
    (void)state;
    made_page page;
    make_leaf(&page);
    const size_t at = page.places[0];
    assert_true(check_with(&page, at, 3));
    assert_false(check_with(&page, at, 4));
    assert_false(check_with(&page, at + 2, 1)); // 64 KiB more
}

static void a_node_of_a_leaf_has_no_flag_but_that_of_overflow_pages(void **state)
{
    (void)state;
    made_page page;
    make_leaf(&page);
    for (unsigned bit = 1; bit < 16; bit++) // sub-trees and duplicates are among them
        assert_false(check_with(&page, page.places[1] + 4, (size_t)1 << bit));
    // At the end of the page there is no room for the number of an overflow page.
    assert_false(check_with(&page, page.places[0] + 4, UT_LMDB_NODE_BIG));
}

static void a_large_value_is_in_the_file(void **state)
{
    (void)state;
    static const struct {
        size_t first;
        bool good;
    } cases[] = {{2, true},         {LAST_PAGE, true},      {0, false},
                 {1, false},        {LAST_PAGE + 1, false}, {SIZE_MAX, false},
                 {NUMBER + 1, true}};
    made_page page;
    make_leaf(&page);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        made_page copy = page;
        memcpy(copy.data + page.places[2] + UT_LMDB_NODE_HEADER_LEN + 4, &cases[i].first,
               sizeof(size_t));
        assert_int_equal(check(&copy), cases[i].good);
    }
}

static void a_child_is_in_the_file(void **state)
{
    (void)state;
    made_page page;
    make_branch(&page);
    const size_t at = page.places[1];
    assert_true(check_with(&page, at, 2));
    assert_true(check_with(&page, at, LAST_PAGE));
    assert_false(check_with(&page, at, 0));
    assert_false(check_with(&page, at, 1)); // the meta pages
    assert_false(check_with(&page, at, LAST_PAGE + 1));
    assert_false(check_with(&page, at + 2, 1));
    if (sizeof(size_t) > 4)
        assert_false(check_with(&page, at + 4, 1)); // the upper half of the number
}

static void nodes_stand_side_by_side(void **state)
{
    (void)state;
    made_page page;
    make_leaf(&page);
    // A gap before the first node, and one where the last node is left out of the places.
    assert_false(check_with(&page, AT_UPPER, page.places[2] - 2));
    assert_false(check_with(&page, AT_LOWER, UT_LMDB_PAGE_HEADER_LEN + 4));
    // Two places of one node.
    const content same[] = {{.key = LIT("a")}, {.key = LIT("b")}};
    make(&page, true, same, 2);
    assert_true(check(&page));
    assert_false(check_with(&page, UT_LMDB_PAGE_HEADER_LEN, page.places[1]));
    // A node that goes on into the next one.
    const content pair[] = {{.key = LIT("ab"), .value = LIT("xy")}, {.key = LIT("b")}};
    make(&page, true, pair, 2);
    assert_true(check(&page));
    assert_false(check_with(&page, page.places[1], 2));
    // A node within another, which reaches to the end of the page.
    static const uint8_t inner[] = {0, 0, 0, 0, 0, 0, 1, 0, 'b', 0};
    const content outer[] = {{.key = LIT("a"), .value = {inner, sizeof inner}}, {.key = LIT("c")}};
    make(&page, true, outer, 1);
    const size_t within = page.places[0] + UT_LMDB_NODE_HEADER_LEN + 1;
    memmove(page.data + within + 1, page.data + within, PAGE - within - 1);
    put_word(page.data + UT_LMDB_PAGE_HEADER_LEN + 2, within + 1);
    assert_false(check_with(&page, AT_LOWER, UT_LMDB_PAGE_HEADER_LEN + 4));
    // A gap at the end of the page.
    make(&page, true, pair, 2);
    assert_false(check_with(&page, page.places[0], 0));
    // The order on the page is free.
    made_page swapped;
    const content falling[] = {{.key = LIT("b")}, {.key = LIT("a")}};
    make(&swapped, true, falling, 2);
    put_word(swapped.data + UT_LMDB_PAGE_HEADER_LEN, swapped.places[1]);
    put_word(swapped.data + UT_LMDB_PAGE_HEADER_LEN + 2, swapped.places[0]);
    assert_true(check(&swapped));
}

// ---- keys ----

static bool check_keys(bool leaf, ut_bytes a, ut_bytes b, ut_bytes c)
{
    const content contents[] = {
        {.key = a, .child = 3}, {.key = b, .child = 4}, {.key = c, .child = 5}};
    made_page page;
    make(&page, leaf, contents, 3);
    return check(&page);
}

static void keys_rise(void **state)
{
    (void)state;
    assert_true(check_keys(true, LIT("a"), LIT("ab"), LIT("b")));
    assert_false(check_keys(true, LIT("a"), LIT("a"), LIT("b")));
    assert_false(check_keys(true, LIT("a"), LIT("c"), LIT("b")));
    assert_false(check_keys(true, LIT("ab"), LIT("a"), LIT("b")));
    assert_true(check_keys(true, LIT("a"), LIT("\x7f"), LIT("\x80"))); // bytes have no sign
    assert_false(check_keys(false, LIT(""), LIT("b"), LIT("a")));
    assert_false(check_keys(false, LIT(""), LIT("b"), LIT("b")));
}

static void only_the_first_key_of_a_branch_page_may_be_empty(void **state)
{
    (void)state;
    assert_false(check_keys(true, LIT(""), LIT("b"), LIT("c")));
    assert_true(check_keys(false, LIT(""), LIT("b"), LIT("c")));
    assert_false(check_keys(false, LIT(""), LIT(""), LIT("c")));
    // It stands for every lower key, so its own bytes say nothing.
    assert_true(check_keys(false, LIT("z"), LIT("b"), LIT("c")));
}

static void numbers_rise_as_numbers(void **state)
{
    (void)state;
    made_page page;
    make_numbers(&page, (const size_t[2]){1, 256});
    assert_true(check(&page));
    make_numbers(&page, (const size_t[2]){256, 1});
    assert_false(check(&page));
    make_numbers(&page, (const size_t[2]){256, 256});
    assert_false(check(&page));
    const content shorter[] = {{.key = LIT("\1\0"), .value = LIT("\0\0\0\0")},
                               {.key = LIT("\2\0"), .value = LIT("\0\0\0\0")}};
    make(&page, true, shorter, 2);
    assert_true(check(&page));
    page.numbers = true;
    assert_false(check(&page));
}

// ---- overflow pages ----

static bool check_overflow(size_t number, unsigned flags, uint32_t pages, size_t value_len)
{
    _Alignas(8) uint8_t page[PAGE] = {0};
    memcpy(page, &number, sizeof number);
    put_word(page + AT_FLAGS, flags);
    memcpy(page + AT_LOWER, &pages, sizeof pages);
    return ut_lmdb_overflow_check(page, PAGE, NUMBER, LAST_PAGE, value_len);
}

static void overflow_pages_hold_their_value_within_the_file(void **state)
{
    (void)state;
    const size_t one_page = PAGE - UT_LMDB_PAGE_HEADER_LEN;
    const uint32_t pages_max = LAST_PAGE - NUMBER + 1;
    assert_true(check_overflow(NUMBER, UT_LMDB_PAGE_OVERFLOW, 1, one_page));
    assert_true(check_overflow(NUMBER, UT_LMDB_PAGE_OVERFLOW, 2, one_page + 1));
    assert_true(check_overflow(NUMBER, UT_LMDB_PAGE_OVERFLOW, 3, 1)); // more than it needs
    assert_true(check_overflow(NUMBER, UT_LMDB_PAGE_OVERFLOW, pages_max, one_page));

    assert_false(check_overflow(NUMBER + 1, UT_LMDB_PAGE_OVERFLOW, 1, one_page));
    assert_false(check_overflow(NUMBER, UT_LMDB_PAGE_LEAF, 1, one_page));
    assert_false(check_overflow(NUMBER, UT_LMDB_PAGE_OVERFLOW | 0x10, 1, one_page));
    assert_false(check_overflow(NUMBER, UT_LMDB_PAGE_OVERFLOW, 1, one_page + 1));
    assert_false(check_overflow(NUMBER, UT_LMDB_PAGE_OVERFLOW, pages_max + 1, one_page));
    assert_false(check_overflow(NUMBER, UT_LMDB_PAGE_OVERFLOW, UINT32_MAX, one_page));
    assert_false(check_overflow(NUMBER, UT_LMDB_PAGE_OVERFLOW, 0, one_page));
}

// ---- reading, and counts ----

static void nodes_are_read_as_they_were_written(void **state)
{
    (void)state;
    made_page page;
    make_leaf(&page);
    assert_int_equal(ut_lmdb_page_head(page.data).number, NUMBER);
    assert_int_equal(ut_lmdb_page_count(page.data), 3);
    ut_lmdb_node node = ut_lmdb_page_node(page.data, 0, true);
    assert_true(ut_bytes_equal(node.key, LIT("apple")));
    assert_int_equal(node.child, 0);
    assert_int_equal(node.value_len, 3);
    assert_memory_equal(node.value, "red", 3);
    node = ut_lmdb_page_node(page.data, 2, true);
    assert_true(ut_bytes_equal(node.key, LIT("pear")));
    assert_int_equal(node.child, 12);
    assert_int_equal(node.value_len, 9000);
    make_branch(&page);
    node = ut_lmdb_page_node(page.data, 2, false);
    assert_true(ut_bytes_equal(node.key, LIT("t")));
    assert_int_equal(node.child, LAST_PAGE);
    if (sizeof(size_t) > 4) { // a page number of 48 bits: its upper half stands in the flags
        put_word(page.data + page.places[2] + 4, 1);
        assert_int_equal(ut_lmdb_page_node(page.data, 2, false).child,
                         (uint64_t)1 << 32 | LAST_PAGE);
    }
}

static void pages_used_are_no_more_than_the_file_has(void **state)
{
    (void)state;
    const ut_lmdb_tree none = {0};
    const ut_lmdb_tree some = {.branch_pages = 1, .leaf_pages = 5, .overflow_pages = 4};
    assert_int_equal(ut_lmdb_pages_used(&none, &none, 1), 2);
    assert_int_equal(ut_lmdb_pages_used(&some, &none, LAST_PAGE), 12);
    assert_int_equal(ut_lmdb_pages_used(&some, &some, 21), 22);
    assert_int_equal(ut_lmdb_pages_used(&some, &some, 20), SIZE_MAX);
    assert_int_equal(ut_lmdb_pages_used(&none, &none, 0), SIZE_MAX);
    const ut_lmdb_tree huge = {.leaf_pages = SIZE_MAX, .overflow_pages = 1};
    assert_int_equal(ut_lmdb_pages_used(&huge, &none, LAST_PAGE), SIZE_MAX);
    assert_int_equal(ut_lmdb_pages_used(&none, &huge, LAST_PAGE), SIZE_MAX);
}

// ---- a file that LMDB wrote ----

typedef struct {
    uint8_t *data;
    size_t last_page;
    size_t branch_pages;
    size_t leaf_pages;
    size_t overflow_pages;
    size_t entries;
} walked;

static void walk(walked *file, size_t number, unsigned level, bool numbers)
{
    uint16_t scratch[PAGE / 2];
    const uint8_t *page = file->data + number * PAGE;
    const bool leaf = level == 1;
    assert_true(ut_lmdb_page_check(page, PAGE, number, file->last_page, leaf, numbers, scratch));
    assert_false(ut_lmdb_page_check(page, PAGE, number, file->last_page, !leaf, numbers, scratch));
    file->branch_pages += !leaf;
    file->leaf_pages += leaf;
    for (unsigned i = 0; i < ut_lmdb_page_count(page); i++) {
        const ut_lmdb_node node = ut_lmdb_page_node(page, i, leaf);
        if (!leaf) {
            walk(file, node.child, level - 1, numbers);
            continue;
        }
        file->entries += 1;
        if (node.child == 0)
            continue;
        const uint8_t *first = file->data + node.child * PAGE;
        assert_true(
            ut_lmdb_overflow_check(first, PAGE, node.child, file->last_page, node.value_len));
        file->overflow_pages += (node.value_len + UT_LMDB_PAGE_HEADER_LEN + PAGE - 1) / PAGE;
    }
}

// Writes records of many lengths, some over others and some away, in several transactions.
static void write_records(const char *dir_z)
{
    static uint8_t value[3 * PAGE];
    const ut_engine_config config = {.dir_z = dir_z, .bytes_max = 16 * 1024 * 1024};
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_OK);
    for (unsigned round = 0; round < 10; round++) {
        ut_txn *txn = NULL;
        assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
        for (unsigned i = 0; i < 500; i++) {
            char key_z[UT_ENGINE_KEY_MAX];
            const unsigned key = (i * 7 + round * 131) % 1500;
            const int len = snprintf(key_z, sizeof key_z, "%04u%.*s", key, (int)(key % 40),
                                     "........................................");
            const ut_bytes bytes = {(const uint8_t *)key_z, (size_t)len};
            const ut_err err =
                i % 5 == 4 ? ut_txn_del(txn, bytes)
                           : ut_txn_put(txn, bytes,
                                        (ut_bytes){value, i % 97 == 0 ? sizeof value : i % 300});
            assert_true(err == UT_OK || err == UT_ENOTFOUND);
        }
        assert_int_equal(ut_txn_commit(txn), UT_OK);
    }
    ut_engine_close(engine);
}

static void all_pages_that_lmdb_writes_make_sense(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_temp_path(dir_z, "store.mdb", path_z);
    write_records(dir_z);
    FILE *file = fopen(path_z, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const size_t len = (size_t)ftell(file);
    rewind(file);
    walked tree = {.data = malloc(len)};
    assert_non_null(tree.data);
    assert_int_equal(fread(tree.data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    ut_temp_dir_remove(dir_z);

    ut_lmdb_meta metas[2];
    for (size_t i = 0; i < 2; i++)
        memcpy(&metas[i], tree.data + i * PAGE + UT_LMDB_PAGE_HEADER_LEN, sizeof metas[i]);
    const ut_lmdb_meta *meta = &metas[metas[1].txn_id > metas[0].txn_id];
    tree.last_page = meta->last_page;
    assert_true(meta->main_tree.depth > 1);
    walk(&tree, meta->main_tree.root, meta->main_tree.depth, false);
    assert_int_equal(tree.entries, meta->main_tree.entries);
    assert_int_equal(tree.branch_pages, meta->main_tree.branch_pages);
    assert_int_equal(tree.leaf_pages, meta->main_tree.leaf_pages);
    assert_int_equal(tree.overflow_pages, meta->main_tree.overflow_pages);
    assert_true(tree.overflow_pages > 0);
    const size_t entries = tree.entries;
    walk(&tree, meta->free_tree.root, meta->free_tree.depth, true);
    assert_int_equal(tree.entries - entries, meta->free_tree.entries);
    assert_true(meta->free_tree.entries > 0);
    assert_int_not_equal(ut_lmdb_pages_used(&meta->main_tree, &meta->free_tree, meta->last_page),
                         SIZE_MAX);
    free(tree.data);
}

#define WITH(test) cmocka_unit_test(test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(pages_made_by_hand_make_sense),
        WITH(a_page_stands_at_its_number_only),
        WITH(a_page_is_of_the_kind_that_its_level_asks_for),
        WITH(the_bounds_of_the_free_space_fit_the_page),
        WITH(a_leaf_has_a_node_and_a_branch_two),
        WITH(the_place_of_a_node_is_even_and_among_the_nodes),
        WITH(a_key_has_a_length_that_fits),
        WITH(a_value_fits_the_page),
        WITH(a_node_of_a_leaf_has_no_flag_but_that_of_overflow_pages),
        WITH(a_large_value_is_in_the_file),
        WITH(a_child_is_in_the_file),
        WITH(nodes_stand_side_by_side),
        WITH(keys_rise),
        WITH(only_the_first_key_of_a_branch_page_may_be_empty),
        WITH(numbers_rise_as_numbers),
        WITH(overflow_pages_hold_their_value_within_the_file),
        WITH(nodes_are_read_as_they_were_written),
        WITH(pages_used_are_no_more_than_the_file_has),
        WITH(all_pages_that_lmdb_writes_make_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
