// Tests of storage/store/store_commit over damaged pages of the trace index: spans go in all the
// same.
#include "storage/lmdb/lmdb_page.h"
#include "tests/support/engine_calls.h"
#include "tests/unit/storage/store/store/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    COMMITS = 150,
    TRACES = 40, // of one commit
    AFTER = 80,  // commits to the damaged store
    PAGES_MAX = 64,
};

typedef struct {
    const char *dir_z;
    unsigned lines; // of the log that tell of damage
} damaged;

static void take_line(void *context, ut_log_level level, const char *line, size_t len)
{
    damaged *d = context;
    if (level == UT_LOG_ERROR && memmem(line, len, "are damaged", 11) != NULL)
        d->lines += 1;
}

static ut_store *open_dir(const char *dir_z, const ut_log *log)
{
    ut_engine *engine = ut_test_open_lmdb(dir_z, UT_RIG_BUDGET);
    const ut_store_config config = {.bytes_max = UT_RIG_BUDGET, .log = log};
    ut_store *store = NULL;
    ut_fault fault = {0};
    if (ut_store_open(engine, &config, &store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return store;
}

static ut_err commit(ut_store *store, ut_batch *batch, uint32_t number)
{
    ut_test_span spans[TRACES];
    for (uint32_t i = 0; i < TRACES; i++)
        spans[i] = (ut_test_span){.trace = number * TRACES + i + 1, .span = 1, .start_ns = now_ns};
    ut_batch_reset(batch, SIZE_MAX);
    ut_test_batch(batch, spans, TRACES);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = batch};
    const ut_err err = ut_store_commit(store, now_ns, &append, 1, NULL, 0);
    return err == UT_OK && append.stored != TRACES ? UT_EINVAL : err;
}

// Writes to the damaged store. Exits 7 when each commit worked, and one line told of the damage.
static void use(void *context)
{
    damaged *d = context;
    const ut_log log = {.level = UT_LOG_DEBUG, .write = take_line, .context = d};
    ut_batch batch;
    ut_batch_init(&batch, UT_RIG_BUDGET);
    ut_store *store = open_dir(d->dir_z, &log);
    for (uint32_t i = 0; i < AFTER; i++) {
        bool more;
        const ut_err err = commit(store, &batch, COMMITS + i);
        if (err != UT_OK)
            _exit(100 - (int)err);
        if (i == AFTER / 2)
            (void)ut_store_sweep(store, now_ns, &more); // may meet the damage
    }
    ut_store_close(store);
    _exit(d->lines == 1 ? 7 : (int)(20 + d->lines));
}

// The leaf pages in which only records of the index stand.
static size_t find_pages(const uint8_t *data, size_t len, size_t pages[PAGES_MAX])
{
    size_t count = 0;
    for (size_t number = 2; number < len / PAGE && count < PAGES_MAX; number++) {
        const uint8_t *page = data + number * PAGE;
        const ut_lmdb_page_header head = ut_lmdb_page_head(page);
        if (head.number != number || head.flags != UT_LMDB_PAGE_LEAF ||
            ut_lmdb_page_count(page) == 0)
            continue;
        bool all = true;
        for (unsigned i = 0; i < ut_lmdb_page_count(page); i++) {
            const ut_bytes key = ut_lmdb_page_node(page, i, true).key;
            all = all && key.len > 0 && key.data[0] == UT_KEY_RUN;
        }
        if (all)
            pages[count++] = number;
    }
    return count;
}

static void commits_go_on_behind_damaged_pages_of_the_index(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    ut_batch batch;
    ut_temp_dir_make(dir_z);
    ut_temp_path(dir_z, "store.mdb", path_z);
    ut_batch_init(&batch, UT_RIG_BUDGET);
    ut_store *store = open_dir(dir_z, NULL);
    for (uint32_t i = 0; i < COMMITS; i++)
        assert_int_equal(commit(store, &batch, i), UT_OK);
    ut_store_close(store);
    size_t len;
    size_t pages[PAGES_MAX];
    uint8_t *data = ut_test_read_whole(path_z, &len);
    const size_t count = find_pages(data, len, pages);
    assert_true(count > 3);
    unsigned met = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t kept[PAGE];
        memcpy(kept, data + pages[i] * PAGE, PAGE);
        memset(data + pages[i] * PAGE, 0, PAGE);
        ut_test_write_whole(path_z, data, len);
        damaged d = {.dir_z = dir_z};
        const int code = ut_test_in_child(use, &d);
        if (code != 7 && code != 20) // 20: a page that is free, or that no commit comes to
            fail_msg("page %zu: %d", pages[i], code);
        met += code == 7;
        memcpy(data + pages[i] * PAGE, kept, PAGE);
    }
    assert_true(met > 0);
    free(data);
    ut_batch_free(&batch);
    ut_temp_dir_remove(dir_z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_go_on_behind_damaged_pages_of_the_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
