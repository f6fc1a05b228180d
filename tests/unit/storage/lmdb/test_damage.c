// Bits that flip in the pages of a real store: every use of it then ends with UT_OK or an error,
// and never crashes or goes on for ever; loss is noticed; spans whose pages were not hit are
// served. Each round is a process of its own.
#include "storage/lmdb/lmdb_page.h"
#include "storage/store/block_traces.h"
#include "storage/store/key.h"
#include "tests/support/damaged_store.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 100 }; // for each kind of page

static int set_up(void **state)
{
    *state = ut_damaged_store_new();
    return 0;
}

static int tear_down(void **state)
{
    ut_damaged_store_free(*state);
    return 0;
}

// ---- the pages ----

typedef enum { META, BRANCH, LEAF, OVERFLOW, FREE_LIST, KINDS } kind;

// A page of the healthy file, and the blocks that a reader may miss without it. A reader comes to a
// key by the keys beside it, so those of the neighbouring pages count too.
typedef struct {
    kind kind;
    bool needed_by_block[UT_DAMAGED_BLOCKS]; // a piece or the summary of blocks[i] stands here
    bool needed_by_trace[UT_DAMAGED_BLOCKS]; // the trace of blocks[i] is found by way of it
} page_note;

typedef struct {
    const ut_damaged_store *damaged;
    page_note *notes;
    ut_bytes key_before; // of the main tree; borrowed from damaged->data
    size_t page_before;  // where it stands; 0: there is none
} page_walk;

// Notes that key is found by way of page.
static void note_need(const page_walk *walk, size_t page, ut_bytes key)
{
    page_note *note = &walk->notes[page];
    uint32_t org;
    uint32_t piece = 0;
    uint64_t seq = 0;
    const bool summary = ut_key_read_summary(key, &org, &seq);
    if (summary || ut_key_read_piece(key, &org, &seq, &piece)) {
        assert_true(seq >= 1 && seq <= UT_DAMAGED_BLOCKS);
        note->needed_by_block[seq - 1] = true;
    }
    // Whatever trace is looked for, the blocks behind the last run are asked one by one.
    if (summary || piece >= UT_BLOCK_TRACES_FROM || key.data[0] == UT_KEY_META ||
        key.data[0] == UT_KEY_RUN)
        memset(note->needed_by_trace, true, sizeof note->needed_by_trace);
}

static void note_leaf(page_walk *walk, size_t page)
{
    const uint8_t *at = walk->damaged->data + page * UT_DAMAGED_PAGE;
    for (unsigned i = 0; i < ut_lmdb_page_count(at); i++) {
        const ut_lmdb_node node = ut_lmdb_page_node(at, i, true);
        note_need(walk, page, node.key);
        if (walk->page_before != 0) {
            note_need(walk, page, walk->key_before);
            note_need(walk, walk->page_before, node.key);
        }
        if (node.child != 0) {
            walk->notes[node.child].kind = OVERFLOW;
            note_need(walk, node.child, node.key);
        }
        walk->key_before = node.key;
        walk->page_before = page;
    }
}

static void note_tree(page_walk *walk, size_t page, unsigned level, bool lists)
{
    const uint8_t *at = walk->damaged->data + page * UT_DAMAGED_PAGE;
    page_note *note = &walk->notes[page];
    assert_int_equal(ut_lmdb_page_head(at).number, page);
    note->kind = lists ? FREE_LIST : level == 1 ? LEAF : BRANCH;
    if (level == 1 && !lists) {
        note_leaf(walk, page);
        return;
    }
    for (unsigned i = 0; i < ut_lmdb_page_count(at); i++) {
        const ut_lmdb_node node = ut_lmdb_page_node(at, i, level == 1);
        if (level > 1)
            note_tree(walk, node.child, level - 1, lists);
        else if (node.child != 0)
            walk->notes[node.child].kind = FREE_LIST;
    }
    if (!lists) { // everything may be below it
        memset(note->needed_by_block, true, sizeof note->needed_by_block);
        memset(note->needed_by_trace, true, sizeof note->needed_by_trace);
    }
}

static page_note *note_pages(const ut_damaged_store *damaged)
{
    ut_lmdb_meta metas[2];
    memcpy(&metas[0], damaged->data + UT_LMDB_PAGE_HEADER_LEN, sizeof metas[0]);
    memcpy(&metas[1], damaged->data + UT_DAMAGED_PAGE + UT_LMDB_PAGE_HEADER_LEN, sizeof metas[1]);
    const ut_lmdb_meta *meta = &metas[metas[1].txn_id > metas[0].txn_id];
    page_note *notes = calloc(damaged->len / UT_DAMAGED_PAGE, sizeof *notes);
    assert_non_null(notes);
    for (size_t page = 0; page < damaged->len / UT_DAMAGED_PAGE; page++)
        notes[page].kind = page < 2 ? META : KINDS;
    page_walk walk = {.damaged = damaged, .notes = notes};
    note_tree(&walk, meta->main_tree.root, meta->main_tree.depth, false);
    note_tree(&walk, meta->free_tree.root, meta->free_tree.depth, true);
    return notes;
}

static void damage(uint8_t *page, ut_random *random)
{
    unsigned count = 1 + ut_random_below(random, 4);
    for (unsigned i = 0; i < count; i++) {
        // Half of it where it hurts: header, places of nodes, heads of nodes.
        unsigned at = ut_random_below(random, UT_DAMAGED_PAGE);
        unsigned how = ut_random_below(random, 4);
        if (how == 0) {
            at = ut_random_below(random, UT_LMDB_PAGE_HEADER_LEN + 64);
        } else if (how == 1) {
            uint16_t place;
            memcpy(&place, page + UT_LMDB_PAGE_HEADER_LEN + 2 * ut_random_below(random, 20), 2);
            at = (place % UT_DAMAGED_PAGE + ut_random_below(random, UT_LMDB_NODE_HEADER_LEN)) %
                 UT_DAMAGED_PAGE;
        }
        if (ut_random_below(random, 2) == 0)
            page[at] ^= (uint8_t)(1 << ut_random_below(random, 8));
        else
            page[at] = (uint8_t)ut_random_next(random);
    }
}

// ---- what was served ----

// page: the one that was hit, NULL: none was.
static bool all_that_was_not_hit(const ut_damaged_store *damaged, const ut_damaged_answers *a,
                                 const page_note *page)
{
    for (unsigned i = 0; i < UT_DAMAGED_BLOCKS; i++) {
        const bool block_hit = page != NULL && page->needed_by_block[i];
        const bool trace_hit = block_hit || (page != NULL && page->needed_by_trace[i]);
        if (damaged->blocks[i].left &&
            ((!a->block_whole[i] && !block_hit) || (!a->trace_whole[i] && !trace_hit)))
            return false;
    }
    return true;
}

static bool everything(const ut_damaged_store *damaged, const ut_damaged_answers *a)
{
    return all_that_was_not_hit(damaged, a, NULL) && a->traces_listed == damaged->traces &&
           a->spans[0] == UT_DAMAGED_BLOCKS_LEFT * UT_DAMAGED_SPANS &&
           a->spans[1] == UT_DAMAGED_BLOCKS_LEFT * UT_DAMAGED_SPANS;
}

// The fault of the answers of one opening; NULL: there is none.
static const char *fault_of(const ut_damaged_store *damaged, const ut_damaged_answers *a,
                            const page_note *page)
{
    if (!a->opened)
        return page->kind == LEAF || page->kind == OVERFLOW ? "a page of records stopped the start"
                                                            : NULL;
    if (a->strangers > 0)
        return "spans that are not in the store";
    if (a->errors == 0 && !everything(damaged, a))
        return "a loss that was not noticed";
    if (!all_that_was_not_hit(damaged, a, page))
        return "spans whose pages were not hit are missing";
    return NULL;
}

static unsigned blocks_served(const ut_damaged_answers *a)
{
    unsigned count = 0;
    for (unsigned i = 0; i < UT_DAMAGED_BLOCKS; i++)
        count += a->block_whole[i];
    return count;
}

static void expect_everything(const ut_damaged_store *damaged)
{
    assert_int_equal(ut_damaged_store_use(damaged), 0);
    for (unsigned read_only = 0; read_only < 2; read_only++) {
        assert_true(damaged->answers[read_only].opened);
        assert_int_equal(damaged->answers[read_only].strangers, 0);
        assert_true(everything(damaged, &damaged->answers[read_only]));
    }
}

// Damages pages of one kind. At least one round must be noticed, and nine rounds of ten must serve
// at least blocks_min blocks whole.
static void flip_bits_in(const ut_damaged_store *damaged, kind wanted, unsigned rounds,
                         unsigned blocks_min)
{
#ifdef __SANITIZE_THREAD__
    // Its own code looks at an address before ours does, and no handler can leave it when a damaged
    // length makes it a wild one. There is one thread here, so nothing is lost.
    skip();
#endif
    // For a long run: more rounds of other damage.
    const char *times_z = getenv("UT_DAMAGE_TIMES");
    unsigned times = times_z != NULL ? (unsigned)strtoul(times_z, NULL, 10) : 1;
    ut_random random = {wanted + 1000 * times};
    rounds *= times;
    uint8_t *copy = malloc(damaged->len);
    assert_non_null(copy);
    size_t *pages = calloc(damaged->len / UT_DAMAGED_PAGE, sizeof *pages);
    assert_non_null(pages);
    unsigned count = 0;
    page_note *notes = note_pages(damaged);
    for (size_t page = 0; page < damaged->len / UT_DAMAGED_PAGE; page++) {
        if (notes[page].kind == wanted)
            pages[count++] = page;
    }
    assert_true(count > 0);
    unsigned noticed = 0;
    unsigned served = 0;
    for (unsigned round = 0; round < rounds; round++) {
        memcpy(copy, damaged->data, damaged->len);
        uint64_t seed = random.state;
        size_t page = pages[ut_random_below(&random, count)];
        damage(copy + page * UT_DAMAGED_PAGE, &random);
        ut_damaged_store_write(damaged, copy, damaged->len);
        int code = ut_damaged_store_use(damaged);
        if (code != 0 && code != 7)
            fail_msg("round %u, page %zu, seed %llu: the child ended with %d", round, page,
                     (unsigned long long)seed, code);
        for (unsigned read_only = 0; read_only < 2; read_only++) {
            const char *fault_z = fault_of(damaged, &damaged->answers[read_only], &notes[page]);
            if (fault_z != NULL)
                fail_msg("round %u, page %zu, seed %llu, read-only %u: %s", round, page,
                         (unsigned long long)seed, read_only, fault_z);
        }
        noticed += code == 7;
        served += blocks_served(&damaged->answers[0]) >= blocks_min;
    }
    free(copy);
    free(pages);
    free(notes);
    print_message("%u pages, %u of %u rounds noticed, %u served at least %u blocks\n", count,
                  noticed, rounds, served, blocks_min);
    assert_true(noticed > 0);
    assert_true(served >= rounds - rounds / 10);
}

static void flipped_bits_in_meta_pages_are_survived(void **state)
{
    flip_bits_in(*state, META, ROUNDS, 0);
}
static void flipped_bits_in_branch_pages_are_survived(void **state)
{
    flip_bits_in(*state, BRANCH, ROUNDS, 0);
}
static void flipped_bits_in_leaf_pages_are_survived(void **state)
{
    flip_bits_in(*state, LEAF, 2 * ROUNDS, UT_DAMAGED_BLOCKS_LEFT - 2);
}
static void flipped_bits_in_overflow_pages_are_survived(void **state)
{
    flip_bits_in(*state, OVERFLOW, ROUNDS / 4, UT_DAMAGED_BLOCKS_LEFT - 1);
}
static void flipped_bits_in_lists_of_free_pages_are_survived(void **state)
{
    flip_bits_in(*state, FREE_LIST, ROUNDS, 0);
}

static void a_healthy_store_gives_no_error(void **state)
{
    const ut_damaged_store *damaged = *state;
    ut_damaged_store_write(damaged, damaged->data, damaged->len);
    expect_everything(damaged);
}

static void a_cut_file_is_survived(void **state)
{
    const ut_damaged_store *damaged = *state;
    ut_random random = {77};
    for (unsigned round = 0; round < 30; round++) {
        ut_damaged_store_write(damaged, damaged->data,
                               ut_random_below(&random, (uint32_t)damaged->len));
        int code = ut_damaged_store_use(damaged);
        assert_int_equal(code, 7);
    }
}

// A wrong count of pages would be a store without room for ever.
static void impossible_counts_of_pages_are_damage(void **state)
{
    const ut_damaged_store *damaged = *state;
    static const size_t trees[] = {offsetof(ut_lmdb_meta, free_tree),
                                   offsetof(ut_lmdb_meta, main_tree)};
    static const size_t counts[] = {offsetof(ut_lmdb_tree, branch_pages),
                                    offsetof(ut_lmdb_tree, leaf_pages),
                                    offsetof(ut_lmdb_tree, overflow_pages)};
    // Bytes of a count; the file has no 2^23 pages.
    static const size_t bytes[] = {2, 3, sizeof(size_t) - 1};
    uint8_t *data = malloc(damaged->len);
    assert_non_null(data);
    for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++)
        for (size_t j = 0; j < sizeof counts / sizeof counts[0]; j++)
            for (size_t k = 0; k < sizeof bytes / sizeof bytes[0]; k++) {
                size_t at = UT_LMDB_PAGE_HEADER_LEN + trees[i] + counts[j] + bytes[k];
                memcpy(data, damaged->data, damaged->len);
                data[at] ^= 0x80;
                data[UT_DAMAGED_PAGE + at] ^= 0x80;
                ut_damaged_store_write(damaged, data, damaged->len);
                for (unsigned read_only = 0; read_only < 2; read_only++) {
                    ut_engine *engine = NULL;
                    ut_fault fault = {0};
                    assert_int_equal(ut_damaged_store_open(damaged, read_only, &engine, &fault),
                                     UT_ECORRUPT);
                    assert_non_null(strstr(fault.text_z, "pages in use"));
                }
            }
    free(data);
}

// While the store is open, too: its room is then not told.
static void counts_of_pages_that_flip_in_an_open_store_are_damage(void **state)
{
    const ut_damaged_store *damaged = *state;
    size_t at = UT_LMDB_PAGE_HEADER_LEN + offsetof(ut_lmdb_meta, main_tree) +
                offsetof(ut_lmdb_tree, branch_pages) + 3;
    ut_damaged_store_write(damaged, damaged->data, damaged->len);
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    ut_engine_room room = {0};
    assert_int_equal(ut_damaged_store_open(damaged, true, &engine, &fault), UT_OK);
    assert_int_equal(ut_engine_get_room(engine, &room), UT_OK);
    FILE *file = fopen(damaged->path_z, "r+b");
    assert_non_null(file);
    for (size_t page = 0; page < 2; page++) {
        assert_int_equal(fseek(file, (long)(page * UT_DAMAGED_PAGE + at), SEEK_SET), 0);
        assert_int_equal(fputc(damaged->data[page * UT_DAMAGED_PAGE + at] ^ 0x80, file),
                         damaged->data[page * UT_DAMAGED_PAGE + at] ^ 0x80);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(ut_engine_get_room(engine, &room), UT_ECORRUPT);
    ut_engine_close(engine);
}

// With nobody else there, LMDB makes its lock file anew.
static void a_damaged_lock_file_is_made_anew(void **state)
{
    const ut_damaged_store *damaged = *state;
    ut_random random = {78};
    char lock_z[UT_TEMP_PATH_MAX];
    ut_temp_path(damaged->dir_z, "store.mdb-lock", lock_z);
    for (unsigned round = 0; round < 20; round++) {
        static uint8_t lock[20000];
        for (size_t i = 0; i < sizeof lock; i++)
            lock[i] = (uint8_t)ut_random_next(&random);
        ut_damaged_store_write(damaged, damaged->data, damaged->len);
        FILE *file = fopen(lock_z, "wb");
        assert_non_null(file);
        const size_t len = 1 + ut_random_below(&random, sizeof lock);
        assert_int_equal(fwrite(lock, 1, len, file), len);
        assert_int_equal(fclose(file), 0);
        expect_everything(damaged);
    }
}

// A page of nodes with rising numbers for keys, side by side. leaf: each has an empty list.
static void craft_page(uint8_t *page, size_t number, unsigned nodes, size_t child, bool leaf)
{
    const size_t node_len = UT_LMDB_NODE_HEADER_LEN + sizeof(size_t) * (leaf ? 2 : 1);
    uint16_t words[4] = {0, leaf ? UT_LMDB_PAGE_LEAF : UT_LMDB_PAGE_BRANCH,
                         (uint16_t)(UT_LMDB_PAGE_HEADER_LEN + 2 * nodes),
                         (uint16_t)(UT_DAMAGED_PAGE - node_len * nodes)};
    memset(page, 0, UT_DAMAGED_PAGE);
    memcpy(page, &number, sizeof number);
    memcpy(page + sizeof number, words, sizeof words);
    for (unsigned i = 0; i < nodes; i++) {
        uint16_t place = (uint16_t)(UT_DAMAGED_PAGE - node_len * (i + 1));
        uint8_t *node = page + place;
        size_t key = i + 1;
        uint32_t low = leaf ? sizeof(size_t) : (uint32_t)child;
        uint16_t heads[2] = {0, sizeof key};
        memcpy(page + UT_LMDB_PAGE_HEADER_LEN + 2 * i, &place, sizeof place);
        memcpy(node, &low, sizeof low);
        memcpy(node + 4, heads, sizeof heads);
        memcpy(node + UT_LMDB_NODE_HEADER_LEN, &key, sizeof key);
    }
}

static void open_and_write(const ut_damaged_store *damaged)
{
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    ut_txn *txn = NULL;
    ut_err err = ut_damaged_store_open(damaged, false, &engine, &fault);
    if (err == UT_OK)
        err = ut_engine_begin(engine, true, &txn);
    _exit(err == UT_ECORRUPT ? 7 : 1);
}

// Each level leads to the next one from many places: followed all, there were 60 to the 30th.
static void lists_of_free_pages_that_meet_again_are_given_up(void **state)
{
    enum { LEVELS = 30, NODES = 60 };
    const ut_damaged_store *damaged = *state;
    size_t pages = damaged->len / UT_DAMAGED_PAGE;
    uint8_t *copy = calloc(pages + LEVELS, UT_DAMAGED_PAGE);
    assert_non_null(copy);
    for (unsigned cut = 0; cut < 2; cut++) {
        memcpy(copy, damaged->data, damaged->len);
        for (unsigned i = 0; i < LEVELS; i++)
            craft_page(copy + (pages + i) * UT_DAMAGED_PAGE, pages + i, NODES, pages + i + 1,
                       i + 1 == LEVELS);
        for (unsigned i = 0; i < 2; i++) {
            ut_lmdb_meta meta;
            memcpy(&meta, copy + i * UT_DAMAGED_PAGE + UT_LMDB_PAGE_HEADER_LEN, sizeof meta);
            meta.free_tree.root = pages;
            meta.free_tree.depth = LEVELS;
            meta.last_page = pages + LEVELS - 1 + cut;
            memcpy(copy + i * UT_DAMAGED_PAGE + UT_LMDB_PAGE_HEADER_LEN, &meta, sizeof meta);
        }
        ut_damaged_store_write(damaged, copy, (pages + LEVELS) * UT_DAMAGED_PAGE);
        assert_int_equal(ut_damaged_store_run(damaged, open_and_write), 7);
    }
    free(copy);
}

#define WITH(test) cmocka_unit_test(test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_healthy_store_gives_no_error),
        WITH(flipped_bits_in_meta_pages_are_survived),
        WITH(flipped_bits_in_branch_pages_are_survived),
        WITH(flipped_bits_in_leaf_pages_are_survived),
        WITH(flipped_bits_in_overflow_pages_are_survived),
        WITH(flipped_bits_in_lists_of_free_pages_are_survived),
        WITH(lists_of_free_pages_that_meet_again_are_given_up),
        WITH(a_cut_file_is_survived),
        WITH(impossible_counts_of_pages_are_damage),
        WITH(counts_of_pages_that_flip_in_an_open_store_are_damage),
        WITH(a_damaged_lock_file_is_made_anew),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
