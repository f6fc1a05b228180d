// Tests of storage/query/query_spans over damaged pages: a search goes on behind them.
#include "storage/lmdb/lmdb_page.h"
#include "storage/query/query.h"
#include "storage/store/key.h"
#include "tests/support/engine_calls.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 4096,
    BUDGET = 16 * 1024 * 1024,
    BLOCKS = 120,
    SPANS = 20, // of each block
    SLICES_MAX = 1000,
};

static const uint64_t now_ns = UINT64_C(1700000000000000000);

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    uint8_t *data;
    size_t len;
} fixture;

typedef struct {
    unsigned seen[BLOCKS + 1]; // spans of each block
    unsigned spans;
    uint64_t damaged;
    ut_err err;
} findings;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    ut_batch batch;
    ut_fault fault = {0};
    ut_store *store = NULL;
    ut_temp_dir_make(f->dir_z);
    ut_temp_path(f->dir_z, "store.mdb", f->path_z);
    ut_batch_init(&batch, BUDGET);
    const ut_store_config config = {.bytes_max = BUDGET};
    assert_int_equal(ut_store_open(ut_test_open_lmdb(f->dir_z, BUDGET), &config, &store, &fault),
                     UT_OK);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        ut_test_span spans[SPANS];
        for (uint32_t k = 0; k < SPANS; k++)
            spans[k] = (ut_test_span){
                .trace = i + 1, .span = k + 1, .start_ns = now_ns, .filler = i % 3 * 200};
        ut_batch_reset(&batch, SIZE_MAX);
        ut_test_batch(&batch, spans, SPANS);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
        assert_int_equal(ut_store_commit(store, now_ns, &append, 1, NULL, 0), UT_OK);
    }
    ut_store_close(store);
    ut_batch_free(&batch);
    f->data = ut_test_read_whole(f->path_z, &f->len);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_temp_dir_remove(f->dir_z);
    free(f->data);
    free(f);
    return 0;
}

static ut_err count_span(void *context, const ut_trace_span *span)
{
    findings *found = context;
    assert_true(span->seq >= 1 && span->seq <= BLOCKS);
    found->seen[span->seq] += 1;
    found->spans += 1;
    return UT_OK;
}

// Searches all spans in slices of a few blocks.
static findings search_all(const fixture *f, bool oldest_first)
{
    findings found = {.err = UT_OK};
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    ut_store_view *view = NULL;
    const ut_filter filter = ut_filter_all();
    const ut_search search = {
        .org = UT_ORG_DEFAULT, .filter = &filter, .oldest_first = oldest_first, .blocks_max = 7};
    ut_query_cursor cursor = {.begun = false};
    ut_search_work work = {0};
    bool more = true;
    assert_int_equal(ut_test_try_lmdb(f->dir_z, BUDGET, true, &engine, &fault), UT_OK);
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    for (unsigned i = 0; more && found.err == UT_OK; i++) {
        assert_true(i < SLICES_MAX);
        found.err = ut_store_view_begin(view);
        if (found.err == UT_OK)
            found.err = ut_query_spans(view, &search, &cursor, &work, &more,
                                       (ut_trace_span_visitor){count_span, &found});
        ut_store_view_end(view);
    }
    found.damaged = work.blocks_damaged;
    ut_store_view_close(view);
    ut_engine_close(engine);
    return found;
}

// True for a leaf page with records of this kind alone.
static bool is_leaf_of(const fixture *f, size_t number, uint8_t kind)
{
    const uint8_t *page = f->data + number * PAGE;
    const ut_lmdb_page_header head = ut_lmdb_page_head(page);
    if (head.number != number || head.flags != UT_LMDB_PAGE_LEAF || ut_lmdb_page_count(page) == 0)
        return false;
    for (unsigned i = 0; i < ut_lmdb_page_count(page); i++) {
        const ut_bytes key = ut_lmdb_page_node(page, i, true).key;
        if (key.len == 0 || key.data[0] != kind)
            return false;
    }
    return true;
}

// Searches both ways with each page of a kind overwritten in turn, and calls look with what was
// found. Returns how many pages there were.
static unsigned with_each_page(const fixture *f, uint8_t kind, void (*look)(const findings *found))
{
    unsigned pages = 0;
    for (size_t number = 2; number < f->len / PAGE; number++) {
        if (!is_leaf_of(f, number, kind))
            continue;
        uint8_t kept[PAGE];
        memcpy(kept, f->data + number * PAGE, PAGE);
        memset(f->data + number * PAGE, 0, PAGE);
        ut_test_write_whole(f->path_z, f->data, f->len);
        for (unsigned oldest_first = 0; oldest_first < 2; oldest_first++) {
            const findings found = search_all(f, oldest_first == 1);
            look(&found);
        }
        memcpy(f->data + number * PAGE, kept, PAGE);
        pages += 1;
    }
    return pages;
}

static void assert_whole(const findings *found)
{
    assert_int_equal(found->err, UT_OK);
    for (unsigned seq = 1; seq <= BLOCKS; seq++)
        assert_int_equal(found->seen[seq], SPANS);
}

static void blocks_are_read_without_summaries_that_are_damaged(void **state)
{
    assert_true(with_each_page(*state, UT_KEY_SUMMARY, assert_whole) > 2);
}

// The page may be free, or hold blocks of which each is missing as a whole.
static void assert_few_missing(const findings *found)
{
    unsigned missing = 0;
    assert_int_equal(found->err, UT_OK);
    for (unsigned seq = 1; seq <= BLOCKS; seq++) {
        assert_true(found->seen[seq] == SPANS || found->seen[seq] == 0);
        missing += found->seen[seq] == 0;
    }
    assert_int_equal(missing, found->damaged);
    assert_true(missing <= BLOCKS / 4);
}

static void blocks_that_cannot_be_read_are_passed_and_counted(void **state)
{
    assert_true(with_each_page(*state, UT_KEY_BLOCK, assert_few_missing) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_are_read_without_summaries_that_are_damaged, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(blocks_that_cannot_be_read_are_passed_and_counted, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
