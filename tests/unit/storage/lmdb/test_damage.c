// Bits that flip in the pages of a real store: whatever is done with it then ends with UT_OK or an
// error, never with a crash or without an end, and what was not hit is served. Each round is a
// process of its own.
#include "storage/lmdb/lmdb_page.h"
#include "storage/upkeep/operation.h"
#include "storage/query/query.h"
#include "storage/upkeep/verify.h"
#include "tests/support/filled_store.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BUDGET = 16 * 1024 * 1024,
    PAGE = 4096,
    BLOCKS = 60,
    ROUNDS = 100, // for each kind of page
    ROUND_SECONDS_MAX = 60,
    SEARCHES_MAX = 100000,
};

static const uint64_t far_ns = UINT64_C(4000000000) * 1000000000;

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    uint8_t *data; // of the healthy file
    size_t len;
    uint8_t trace_id[UT_TRACE_ID_LEN];
} fixture;

static ut_err open_engine(const char *dir_z, bool read_only, ut_engine **engine, ut_fault *fault)
{
    ut_engine_config config = {
        .dir_z = dir_z, .bytes_max = read_only ? 0 : BUDGET, .read_only = read_only};
    return ut_engine_lmdb_open(&config, engine, fault);
}

static void write_whole(const char *path_z, const uint8_t *data, size_t len)
{
    FILE *file = fopen(path_z, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static ut_err first_trace(void *context, const ut_trace_row *row)
{
    memcpy(context, row->trace_id, UT_TRACE_ID_LEN);
    return UT_OK;
}

// A store as it is after some time: with free pages, with lists of them, and a value of many pages.
static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    ut_temp_dir_make(f->dir_z);
    ut_temp_path(f->dir_z, "store.mdb", f->path_z);
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    assert_int_equal(open_engine(f->dir_z, false, &engine, &fault), UT_OK);
    ut_filled_store *filled = ut_filled_store_open(engine);
    (void)ut_filled_store_destination(filled, "central");
    for (unsigned i = 0; i < BLOCKS; i++)
        (void)ut_filled_store_append(filled, 100, i % 4 == 0 ? 3600000 : 0);
    ut_filled_store_sweep(filled, far_ns);
    static const uint8_t large[9 * PAGE] = {1};
    ut_txn *txn = NULL;
    assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("\xff large"), (ut_bytes){large, sizeof large}),
                     UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_store_view *view = NULL;
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_query_traces(view, UT_ORG_DEFAULT, 1, first_trace, f->trace_id), UT_OK);
    ut_store_view_close(view);
    ut_filled_store_close(filled);
    FILE *file = fopen(f->path_z, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    f->len = (size_t)ftell(file);
    rewind(file);
    f->data = malloc(f->len);
    assert_int_equal(fread(f->data, 1, f->len, file), f->len);
    (void)fclose(file);
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

// ---- what is done with a damaged store ----

static void tell_nobody(void *context, const char *text_z)
{
    (void)text_z;
    *(unsigned *)context += 1;
}

static ut_err count_row(void *context, const ut_trace_row *row)
{
    (void)row;
    *(unsigned *)context += 1;
    return UT_OK;
}

static ut_err count_span(void *context, const ut_trace_span *span)
{
    (void)span;
    *(unsigned *)context += 1;
    return UT_OK;
}

static void note(ut_err err, unsigned *errors)
{
    if (err != UT_OK && err != UT_ENOTFOUND)
        *errors += 1;
}

static void read_all(ut_engine *engine, bool reverse, unsigned *errors)
{
    static const uint8_t ends[2][1] = {{0}, {0xff}};
    ut_txn *txn = NULL;
    ut_cursor *cursor = NULL;
    ut_bytes key;
    ut_bytes value;
    unsigned sum = 0;
    ut_err err = ut_engine_begin(engine, false, &txn);
    if (err == UT_OK) {
        err = ut_txn_cursor(txn, &cursor);
        if (err == UT_OK)
            err = engine->class->seek(cursor, (ut_bytes){ends[reverse], 1}, reverse, &key, &value);
        while (err == UT_OK) {
            for (size_t i = 0; i < key.len; i++)
                sum += key.data[i];
            for (size_t i = 0; i < value.len; i++)
                sum += value.data[i];
            err = engine->class->step(cursor, reverse, &key, &value);
        }
        ut_txn_abort(txn);
    }
    __asm__ volatile("" : : "r"(sum)); // the bytes are to be read
    note(err, errors);
}

static void ask(ut_engine *engine, const fixture *f, unsigned *errors)
{
    ut_store_view *view = NULL;
    ut_verify_report report = {0};
    unsigned count = 0;
    uint32_t damaged = 0;
    if (ut_store_view_open(engine, &view) != UT_OK)
        _exit(1);
    ut_err err = ut_store_view_begin(view);
    note(err, errors);
    if (err == UT_OK) {
        note(ut_query_traces(view, UT_ORG_DEFAULT, 1000, count_row, &count), errors);
        note(ut_store_view_begin(view), errors);
        note(ut_query_trace(view, UT_ORG_DEFAULT, f->trace_id, &damaged, count_span, &count),
             errors);
        ut_filter filter = ut_filter_all();
        ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter};
        for (unsigned oldest = 0; oldest < 2; oldest++) {
            ut_query_cursor cursor = {0};
            ut_search_work work = {0};
            bool more = true;
            search.oldest_first = oldest == 1;
            err = UT_OK;
            for (unsigned i = 0; more && err == UT_OK && i < SEARCHES_MAX; i++) {
                err = ut_store_view_begin(view);
                if (err == UT_OK)
                    err = ut_query_spans(view, &search, &cursor, &work, &more, count_span, &count);
            }
            if (err == UT_OK && more)
                _exit(2); // without an end
            note(err, errors);
            *errors += work.blocks_damaged > 0;
        }
        err = ut_store_view_begin(view);
        if (err == UT_OK)
            err = ut_store_verify(view, &report, tell_nobody, &count);
        note(err, errors);
        *errors += report.problems > 0;
    }
    ut_store_view_close(view);
}

static void change(ut_engine *engine, unsigned *errors)
{
    ut_store *store = NULL;
    ut_fault fault = {0};
    ut_store_config config = {.bytes_max = BUDGET};
    ut_err err = ut_store_open(engine, &config, &store, &fault);
    note(err, errors);
    if (err != UT_OK) {
        if (fault.text_z[0] == '\0')
            _exit(3);
        return;
    }
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    for (unsigned i = 0; i < 3; i++) {
        ut_batch_reset(&batch, BUDGET);
        ut_realistic_batch(1000 + i, 100, 1, &batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = 3600000, .batch = &batch};
        note(ut_store_commit(store, UINT64_C(1700000000000000000), &append, 1, NULL, 0), errors);
    }
    bool more = true;
    for (unsigned i = 0; more && i < 1000; i++) {
        err = ut_store_sweep(store, far_ns, &more);
        if (err != UT_OK)
            break;
    }
    note(err, errors);
    // Every record goes, so that pages are merged.
    ut_txn *txn = NULL;
    for (unsigned i = 0; i < 200 && ut_engine_begin(engine, true, &txn) == UT_OK; i++) {
        ut_cursor *cursor = NULL;
        ut_bytes key;
        ut_bytes value;
        static const uint8_t zero[1] = {0};
        err = ut_txn_cursor(txn, &cursor);
        for (unsigned k = 0; k < 50 && err == UT_OK; k++) {
            err = ut_cursor_seek(cursor, (ut_bytes){zero, 1}, &key, &value);
            uint8_t copy[UT_ENGINE_KEY_MAX];
            if (err == UT_OK && key.len <= sizeof copy) {
                memcpy(copy, key.data, key.len);
                err = ut_txn_del(txn, (ut_bytes){copy, key.len});
            }
        }
        if (err != UT_OK) {
            ut_txn_abort(txn);
            break;
        }
        err = ut_txn_commit(txn);
    }
    note(err, errors);
    ut_operation *operation = NULL;
    if (ut_compaction_new(&operation) != UT_OK)
        _exit(1);
    more = true;
    err = UT_OK;
    while (more && err == UT_OK)
        err = ut_operation_step(operation, store, 1, &more, &fault);
    note(err, errors);
    operation->class->free(operation);
    ut_batch_free(&batch);
    ut_store_close(store);
}

// Ends with 0 when there was no error, with 7 when there were some.
static void use_all(const fixture *f)
{
    unsigned errors = 0;
    for (unsigned read_only = 2; read_only-- > 0;) {
        ut_engine *engine = NULL;
        ut_fault fault = {0};
        ut_err err = open_engine(f->dir_z, read_only == 1, &engine, &fault);
        if (err != UT_OK) {
            if (strstr(fault.text_z, f->dir_z) == NULL)
                _exit(3);
            errors += 1;
            continue;
        }
        read_all(engine, false, &errors);
        read_all(engine, true, &errors);
        ask(engine, f, &errors);
        if (read_only == 1)
            engine->class->close(engine);
        else
            change(engine, &errors);
    }
    _exit(errors > 0 ? 7 : 0);
}

static int in_child(const fixture *f, void (*job)(const fixture *f))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL); // the engine takes them anew
        (void)signal(SIGBUS, SIG_DFL);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)alarm(ROUND_SECONDS_MAX);
        job(f);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// ---- the pages ----

typedef enum { META, BRANCH, LEAF, OVERFLOW, FREE_LIST, KINDS } kind;

// Notes what kind of page each one is that stands in a tree.
static void note_kinds(const fixture *f, size_t page, unsigned level, bool lists, kind *kinds)
{
    const uint8_t *at = f->data + page * PAGE;
    assert_int_equal(ut_lmdb_page_head(at).number, page);
    kinds[page] = lists ? FREE_LIST : level == 1 ? LEAF : BRANCH;
    for (unsigned i = 0; i < ut_lmdb_page_count(at); i++) {
        ut_lmdb_node node = ut_lmdb_page_node(at, i, level == 1);
        if (level > 1)
            note_kinds(f, node.child, level - 1, lists, kinds);
        else if (node.child != 0)
            kinds[node.child] = lists ? FREE_LIST : OVERFLOW;
    }
}

static kind *kinds_of(const fixture *f)
{
    ut_lmdb_meta metas[2];
    memcpy(&metas[0], f->data + UT_LMDB_PAGE_HEADER_LEN, sizeof metas[0]);
    memcpy(&metas[1], f->data + PAGE + UT_LMDB_PAGE_HEADER_LEN, sizeof metas[1]);
    const ut_lmdb_meta *meta = &metas[metas[1].txn_id > metas[0].txn_id];
    kind *kinds = malloc(f->len / PAGE * sizeof *kinds);
    assert_non_null(kinds);
    for (size_t page = 0; page < f->len / PAGE; page++)
        kinds[page] = page < 2 ? META : KINDS;
    note_kinds(f, meta->main_tree.root, meta->main_tree.depth, false, kinds);
    note_kinds(f, meta->free_tree.root, meta->free_tree.depth, true, kinds);
    return kinds;
}

static void damage(uint8_t *page, ut_random *random)
{
    unsigned count = 1 + ut_random_below(random, 4);
    for (unsigned i = 0; i < count; i++) {
        // Half of it where it hurts: header, places of nodes, heads of nodes.
        unsigned at = ut_random_below(random, PAGE);
        unsigned how = ut_random_below(random, 4);
        if (how == 0) {
            at = ut_random_below(random, UT_LMDB_PAGE_HEADER_LEN + 64);
        } else if (how == 1) {
            uint16_t place;
            memcpy(&place, page + UT_LMDB_PAGE_HEADER_LEN + 2 * ut_random_below(random, 20), 2);
            at = (place % PAGE + ut_random_below(random, UT_LMDB_NODE_HEADER_LEN)) % PAGE;
        }
        if (ut_random_below(random, 2) == 0)
            page[at] ^= (uint8_t)(1 << ut_random_below(random, 8));
        else
            page[at] = (uint8_t)ut_random_next(random);
    }
}

static void whatever_flips_in(const fixture *f, kind wanted, unsigned rounds)
{
    // For a long run: more rounds of other damage.
    const char *times_z = getenv("UT_DAMAGE_TIMES");
    unsigned times = times_z != NULL ? (unsigned)strtoul(times_z, NULL, 10) : 1;
    ut_random random = {wanted + 1000 * times};
    rounds *= times;
    uint8_t *copy = malloc(f->len);
    assert_non_null(copy);
    size_t *pages = calloc(f->len / PAGE, sizeof *pages);
    assert_non_null(pages);
    unsigned count = 0;
    kind *kinds = kinds_of(f);
    for (size_t page = 0; page < f->len / PAGE; page++) {
        if (kinds[page] == wanted)
            pages[count++] = page;
    }
    free(kinds);
    assert_true(count > 0);
    unsigned noticed = 0;
    for (unsigned round = 0; round < rounds; round++) {
        memcpy(copy, f->data, f->len);
        uint64_t seed = random.state;
        size_t page = pages[ut_random_below(&random, count)];
        damage(copy + page * PAGE, &random);
        write_whole(f->path_z, copy, f->len);
        int code = in_child(f, use_all);
        if (code != 0 && code != 7)
            fail_msg("round %u, page %zu, seed %llu: the child ended with %d", round, page,
                     (unsigned long long)seed, code);
        noticed += code == 7;
    }
    free(copy);
    free(pages);
    print_message("%u pages, %u of %u rounds noticed\n", count, noticed, rounds);
}

static void flipped_bits_in_meta_pages_are_survived(void **state)
{
    whatever_flips_in(*state, META, ROUNDS);
}
static void flipped_bits_in_branch_pages_are_survived(void **state)
{
    whatever_flips_in(*state, BRANCH, ROUNDS);
}
static void flipped_bits_in_leaf_pages_are_survived(void **state)
{
    whatever_flips_in(*state, LEAF, 2 * ROUNDS);
}
static void flipped_bits_in_overflow_pages_are_survived(void **state)
{
    whatever_flips_in(*state, OVERFLOW, ROUNDS / 4);
}
static void flipped_bits_in_lists_of_free_pages_are_survived(void **state)
{
    whatever_flips_in(*state, FREE_LIST, ROUNDS);
}

static void a_healthy_store_gives_no_error(void **state)
{
    const fixture *f = *state;
    write_whole(f->path_z, f->data, f->len);
    assert_int_equal(in_child(f, use_all), 0);
}

static void a_cut_file_is_survived(void **state)
{
    const fixture *f = *state;
    ut_random random = {77};
    for (unsigned round = 0; round < 30; round++) {
        write_whole(f->path_z, f->data, ut_random_below(&random, (uint32_t)f->len));
        int code = in_child(f, use_all);
        assert_int_equal(code, 7);
    }
}

// A wrong count of pages would be a store without room for ever.
static void impossible_counts_of_pages_are_damage(void **state)
{
    const fixture *f = *state;
    static const size_t trees[] = {offsetof(ut_lmdb_meta, free_tree),
                                   offsetof(ut_lmdb_meta, main_tree)};
    static const size_t counts[] = {offsetof(ut_lmdb_tree, branch_pages),
                                    offsetof(ut_lmdb_tree, leaf_pages),
                                    offsetof(ut_lmdb_tree, overflow_pages)};
    static const unsigned bytes[] = {2, 3, 7}; // of a count; the file has no 2^23 pages
    uint8_t *data = malloc(f->len);
    assert_non_null(data);
    for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++)
        for (size_t j = 0; j < sizeof counts / sizeof counts[0]; j++)
            for (size_t k = 0; k < sizeof bytes / sizeof bytes[0]; k++) {
                size_t at = UT_LMDB_PAGE_HEADER_LEN + trees[i] + counts[j] + bytes[k];
                memcpy(data, f->data, f->len);
                data[at] ^= 0x80;
                data[PAGE + at] ^= 0x80;
                write_whole(f->path_z, data, f->len);
                for (unsigned read_only = 0; read_only < 2; read_only++) {
                    ut_engine *engine = NULL;
                    ut_fault fault = {0};
                    assert_int_equal(open_engine(f->dir_z, read_only, &engine, &fault),
                                     UT_ECORRUPT);
                    assert_non_null(strstr(fault.text_z, "pages in use"));
                }
            }
    free(data);
}

// While the store is open, too: its room is then not told.
static void counts_of_pages_that_flip_in_an_open_store_are_damage(void **state)
{
    const fixture *f = *state;
    size_t at = UT_LMDB_PAGE_HEADER_LEN + offsetof(ut_lmdb_meta, main_tree) +
                offsetof(ut_lmdb_tree, branch_pages) + 3;
    write_whole(f->path_z, f->data, f->len);
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    ut_engine_room room = {0};
    assert_int_equal(open_engine(f->dir_z, true, &engine, &fault), UT_OK);
    assert_int_equal(engine->class->room(engine, &room), UT_OK);
    FILE *file = fopen(f->path_z, "r+b");
    assert_non_null(file);
    for (size_t page = 0; page < 2; page++) {
        assert_int_equal(fseek(file, (long)(page * PAGE + at), SEEK_SET), 0);
        assert_int_equal(fputc(f->data[page * PAGE + at] ^ 0x80, file),
                         f->data[page * PAGE + at] ^ 0x80);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(engine->class->room(engine, &room), UT_ECORRUPT);
    engine->class->close(engine);
}

// With nobody else there, LMDB makes its lock file anew.
static void a_damaged_lock_file_is_made_anew(void **state)
{
    const fixture *f = *state;
    ut_random random = {78};
    char lock_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb-lock", lock_z);
    for (unsigned round = 0; round < 20; round++) {
        static uint8_t lock[20000];
        for (size_t i = 0; i < sizeof lock; i++)
            lock[i] = (uint8_t)ut_random_next(&random);
        write_whole(f->path_z, f->data, f->len);
        write_whole(lock_z, lock, 1 + ut_random_below(&random, sizeof lock));
        assert_int_equal(in_child(f, use_all), 0);
    }
}

// A page of nodes with rising numbers for keys, side by side. leaf: each has an empty list.
static void craft_page(uint8_t *page, size_t number, unsigned nodes, size_t child, bool leaf)
{
    const size_t node_len = UT_LMDB_NODE_HEADER_LEN + sizeof(size_t) * (leaf ? 2 : 1);
    uint16_t words[4] = {0, leaf ? UT_LMDB_PAGE_LEAF : UT_LMDB_PAGE_BRANCH,
                         (uint16_t)(UT_LMDB_PAGE_HEADER_LEN + 2 * nodes),
                         (uint16_t)(PAGE - node_len * nodes)};
    memset(page, 0, PAGE);
    memcpy(page, &number, sizeof number);
    memcpy(page + sizeof number, words, sizeof words);
    for (unsigned i = 0; i < nodes; i++) {
        uint16_t place = (uint16_t)(PAGE - node_len * (i + 1));
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

static void open_and_write(const fixture *f)
{
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    ut_txn *txn = NULL;
    ut_err err = open_engine(f->dir_z, false, &engine, &fault);
    if (err == UT_OK)
        err = ut_engine_begin(engine, true, &txn);
    _exit(err == UT_ECORRUPT ? 7 : 1);
}

// Each level leads to the next one from many places: followed all, there were 60 to the 30th.
static void lists_of_free_pages_that_meet_again_are_given_up(void **state)
{
    enum { LEVELS = 30, NODES = 60 };
    const fixture *f = *state;
    size_t pages = f->len / PAGE;
    uint8_t *copy = calloc(pages + LEVELS, PAGE);
    assert_non_null(copy);
    for (unsigned cut = 0; cut < 2; cut++) {
        memcpy(copy, f->data, f->len);
        for (unsigned i = 0; i < LEVELS; i++)
            craft_page(copy + (pages + i) * PAGE, pages + i, NODES, pages + i + 1, i + 1 == LEVELS);
        for (unsigned i = 0; i < 2; i++) {
            ut_lmdb_meta meta;
            memcpy(&meta, copy + i * PAGE + UT_LMDB_PAGE_HEADER_LEN, sizeof meta);
            meta.free_tree.root = pages;
            meta.free_tree.depth = LEVELS;
            meta.last_page = pages + LEVELS - 1 + cut;
            memcpy(copy + i * PAGE + UT_LMDB_PAGE_HEADER_LEN, &meta, sizeof meta);
        }
        write_whole(f->path_z, copy, (pages + LEVELS) * PAGE);
        assert_int_equal(in_child(f, open_and_write), 7);
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
