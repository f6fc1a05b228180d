// Stores that a program of format version 1 or 2 left behind, opened and used by this one: nothing
// is rewritten at the start, everything is served, old and new spans of a trace are one trace, and
// what leaves takes its old records along. The files are made by tests/old_stores/make.
#include "adapters/encoding/gzip.h"
#include "storage/query/query.h"
#include "storage/store/key.h"
#include "storage/store/store_core.h"
#include "storage/upkeep/census.h"
#include "storage/upkeep/operation.h"
#include "tests/old_stores/old_spans.h"
#include "tests/support/engine_calls.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ROWS_MAX = 64,
    NAME_MAX = 32,
    STEPS_MAX = 10000,
    OLD_PAGE = 4096, // of the files
    OLD_TRACES = UT_OLD_LONG + UT_OLD_MANY,
    OLD_SPANS = 2 + 2 + 3 + 1 + 2 + 2 + UT_OLD_MANY + UT_OLD_LONG_SPANS,
    OLD_ENTRIES = OLD_TRACES + 2 + 1, // and further parts of that of UT_OLD_LONG
    EXPIRING_SPANS = 2 + 2,           // of blocks 5 and 6
    LATER_HOURS = 3,
};

static const uint64_t hour_ns = UINT64_C(3600000000000);

typedef struct {
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint32_t span_count;
    uint8_t status;
    bool has_root;
    char name_z[NAME_MAX];
    char service_z[NAME_MAX];
} row;

typedef struct {
    bool encrypted;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_store *store;
    row rows[ROWS_MAX]; // of the listing that was read last
    uint32_t row_count;
} fixture;

// ---- opening ----

// LMDB has pages, words and byte order of the machine that made the file.
static bool is_machine_of_files(void)
{
    const uint16_t one = 1;
    uint8_t low;
    memcpy(&low, &one, 1);
    return low == 1 && sizeof(void *) == 8 && sysconf(_SC_PAGESIZE) == OLD_PAGE;
}

static void unpack(const fixture *f)
{
    char path_z[UT_TEMP_PATH_MAX];
    size_t len;
    ut_fault fault = {0};
    ut_buf file;
    ut_gzip *gzip = ut_gzip_new();
    assert_non_null(gzip);
    uint8_t *packed = ut_test_read_whole(
        f->encrypted ? "tests/old_stores/format2.mdb.gz" : "tests/old_stores/format1.mdb.gz", &len);
    ut_buf_init(&file, UT_OLD_BUDGET);
    if (ut_gzip_expand(gzip, ut_bytes_of(packed, len), &file, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    ut_test_write_whole(path_z, file.data, file.len);
    ut_buf_free(&file);
    free(packed);
    ut_gzip_free(gzip);
}

static void open_with(fixture *f, const ut_store_config *wanted, bool read_only)
{
    ut_store_config config = *wanted;
    ut_engine *engine;
    ut_fault fault = {0};
    uint32_t dest;
    config.bytes_max = UT_OLD_BUDGET;
    config.master_key = f->encrypted ? ut_old_key : NULL;
    config.master_key_name_z = "key";
    if (ut_test_try_lmdb(f->dir_z, UT_OLD_BUDGET, read_only, &engine, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    if (ut_store_open(engine, &config, &f->store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    if (!read_only)
        assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "peer", &dest), UT_OK);
}

static int set_up(void **state, bool encrypted)
{
    const ut_store_config config = {0};
    fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!is_machine_of_files())
        return 0;
    f->encrypted = encrypted;
    ut_temp_dir_make(f->dir_z);
    unpack(f);
    open_with(f, &config, false);
    return 0;
}

static int set_up_format1(void **state)
{
    return set_up(state, false);
}

static int set_up_format2(void **state)
{
    return set_up(state, true);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_store_close(f->store);
    if (f->dir_z[0] != '\0')
        ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

static void reopen(fixture *f, const ut_store_config *config, bool read_only)
{
    ut_store_close(f->store);
    f->store = NULL;
    open_with(f, config, read_only);
}

// The fixture, on a machine that can read its file.
static fixture *fixture_of(void **state)
{
    if (!is_machine_of_files()) {
        print_message("the old files are of a machine of another kind\n");
        skip();
    }
    return *state;
}

// ---- what is there ----

static ut_store_view *begin_view(const fixture *f)
{
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(ut_store_engine(f->store), &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    return view;
}

// The recount finds no problem, and the census as many traces.
static ut_verify_report check(const fixture *f)
{
    static ut_census census;
    ut_store_view *view = begin_view(f);
    bool more = true;
    census = (ut_census){0};
    while (more)
        assert_int_equal(ut_census_step(view, &census, 7, &more), UT_OK);
    ut_store_view_close(view);
    const ut_verify_report report = ut_store_check(ut_store_engine(f->store));
    assert_int_equal(census.orgs[0].traces, report.traces);
    return report;
}

static unsigned count_records(const fixture *f, uint8_t kind)
{
    ut_txn *txn = ut_test_begin(ut_store_engine(f->store), false);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    unsigned count = 0;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    for (ut_err err = ut_cursor_seek(cursor, ut_bytes_of(&kind, 1), &key, &value);
         err == UT_OK && key.data[0] == kind; err = ut_cursor_next(cursor, &key, &value))
        count += 1;
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
    return count;
}

static void copy_text(char text_z[NAME_MAX], ut_bytes from)
{
    assert_true(from.len < NAME_MAX);
    if (from.len > 0)
        memcpy(text_z, from.data, from.len);
    text_z[from.len] = '\0';
}

static ut_err take_row(void *context, const ut_trace_row *from)
{
    fixture *f = context;
    assert_true(f->row_count < ROWS_MAX);
    row *to = &f->rows[f->row_count++];
    *to = (row){.span_count = from->span_count, .status = from->status, .has_root = from->has_root};
    memcpy(to->trace_id, from->trace_id, UT_TRACE_ID_LEN);
    copy_text(to->name_z, from->name);
    copy_text(to->service_z, from->service);
    return UT_OK;
}

static void list(fixture *f)
{
    ut_store_view *view = begin_view(f);
    f->row_count = 0;
    assert_int_equal(ut_query_traces(view, UT_ORG_DEFAULT, ROWS_MAX, take_row, f), UT_OK);
    ut_store_view_close(view);
}

// The one row of a trace in the listing; NULL: it has none.
static const row *find_row(const fixture *f, uint32_t trace)
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    const row *found = NULL;
    ut_test_trace_id(trace, trace_id);
    for (uint32_t i = 0; i < f->row_count; i++) {
        if (memcmp(f->rows[i].trace_id, trace_id, UT_TRACE_ID_LEN) != 0)
            continue;
        assert_null(found);
        found = &f->rows[i];
    }
    return found;
}

static void assert_row(fixture *f, uint32_t trace, uint32_t span_count, bool has_root,
                       const char *name_z)
{
    list(f);
    const row *found = find_row(f, trace);
    assert_non_null(found);
    assert_int_equal(found->span_count, span_count);
    assert_int_equal(found->has_root, has_root);
    assert_string_equal(found->name_z, name_z);
}

typedef struct {
    const ut_test_span *spans;
    bool *seen;
    uint32_t count;
    uint32_t others;
} sought;

static ut_err seek_span(void *context, const ut_trace_span *found)
{
    sought *s = context;
    uint8_t span_id[UT_SPAN_ID_LEN];
    for (uint32_t i = 0; i < s->count; i++) {
        ut_test_span_id(s->spans[i].trace, s->spans[i].span, span_id);
        if (memcmp(span_id, found->span.span_id.data, UT_SPAN_ID_LEN) != 0)
            continue;
        assert_false(s->seen[i]);
        s->seen[i] = true;
        assert_true(ut_bytes_equal(found->span.name, ut_bytes_of_z(s->spans[i].name_z)));
        assert_int_equal(found->span.start_ns, s->spans[i].start_ns);
        return UT_OK;
    }
    s->others += 1;
    return UT_OK;
}

// The spans of a trace: those at `spans`, and `others` more.
static void assert_trace(const fixture *f, uint32_t trace, const ut_test_span *spans,
                         uint32_t count, uint32_t others)
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint32_t damaged;
    bool seen[UT_OLD_SPANS_MAX] = {false};
    sought s = {.spans = spans, .seen = seen, .count = count};
    ut_store_view *view = begin_view(f);
    ut_test_trace_id(trace, trace_id);
    const ut_err err = ut_query_trace(view, UT_ORG_DEFAULT, trace_id, &damaged, seek_span, &s);
    ut_store_view_close(view);
    assert_int_equal(err, count + others > 0 ? UT_OK : UT_ENOTFOUND);
    assert_int_equal(damaged, 0);
    for (uint32_t i = 0; i < count; i++)
        assert_true(seen[i]);
    assert_int_equal(s.others, others);
}

// The trace that a short id stands for.
static ut_err resolve(const fixture *f, uint32_t trace, int digits, uint8_t found[UT_TRACE_ID_LEN])
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    char text_z[2 * UT_TRACE_ID_LEN + 1];
    ut_test_trace_id(trace, trace_id);
    for (size_t i = 0; i < UT_TRACE_ID_LEN; i++)
        (void)snprintf(text_z + 2 * i, 3, "%02x", trace_id[i]);
    text_z[digits] = '\0';
    ut_store_view *view = begin_view(f);
    const ut_err err = ut_query_resolve_trace(view, UT_ORG_DEFAULT, text_z, found);
    ut_store_view_close(view);
    return err;
}

static void assert_resolves(const fixture *f, uint32_t trace)
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint8_t found[UT_TRACE_ID_LEN];
    ut_test_trace_id(trace, trace_id);
    for (int digits = 12; digits <= 2 * UT_TRACE_ID_LEN; digits += 5) {
        assert_int_equal(resolve(f, trace, digits, found), UT_OK);
        assert_memory_equal(found, trace_id, UT_TRACE_ID_LEN);
    }
}

// All spans of the file, each in its trace, but those of blocks that have expired.
static void assert_all_served(fixture *f, bool expired)
{
    static ut_test_span all[UT_OLD_COMMITS * UT_OLD_SPANS_MAX];
    static ut_test_span of_trace[UT_OLD_SPANS_MAX];
    uint32_t count = 0;
    for (uint32_t commit = 0; commit < UT_OLD_COMMITS; commit++) {
        uint64_t ttl_ms;
        const uint32_t more = ut_old_commit(commit, all + count, &ttl_ms);
        count += expired && ttl_ms != 0 ? 0 : more;
    }
    list(f);
    for (uint32_t trace = 1; trace < UT_OLD_MANY_FROM + UT_OLD_MANY; trace++) {
        uint32_t own = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (all[i].trace == trace)
                of_trace[own++] = all[i];
        }
        assert_trace(f, trace, of_trace, own, 0);
        if (own > 0)
            assert_resolves(f, trace);
        const row *found = find_row(f, trace);
        assert_int_equal(found != NULL ? found->span_count : 0, own);
        if (found != NULL)
            assert_string_equal(found->service_z, of_trace[0].service_z);
    }
}

// ---- what is done ----

static ut_store_append commit_at(fixture *f, const ut_test_span *spans, uint32_t count,
                                 uint64_t now_ns)
{
    ut_batch batch;
    ut_batch_init(&batch, UT_OLD_BUDGET);
    ut_test_batch(&batch, spans, count);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    ut_batch_free(&batch);
    return append;
}

static ut_store_append commit(fixture *f, const ut_test_span *spans, uint32_t count)
{
    return commit_at(f, spans, count, ut_old_now_ns);
}

static void sweep(fixture *f, uint64_t now_ns)
{
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_true(i < STEPS_MAX);
        assert_int_equal(ut_store_sweep(f->store, now_ns, &more), UT_OK);
        (void)check(f);
    }
}

static void operate(fixture *f, ut_operation *operation)
{
    ut_fault fault = {0};
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_true(i < STEPS_MAX);
        if (ut_operation_step(operation, f->store, ut_old_now_ns, &more, &fault) != UT_OK)
            fail_msg("%s", fault.text_z);
        (void)check(f);
    }
    operation->class->free(operation);
}

static void clean_up(fixture *f, const char *service_z, uint64_t older_than_ns)
{
    ut_cleanup_options options = {.org = UT_ORG_DEFAULT, .older_than_ns = older_than_ns};
    ut_operation *operation;
    (void)snprintf(options.service_z, sizeof options.service_z, "%s", service_z);
    assert_int_equal(ut_cleanup_new(&options, &operation), UT_OK);
    operate(f, operation);
}

// Commits of new traces until no old block is left, in a ring.
static void evict_old_blocks(fixture *f)
{
    const ut_store_config config = {.spans_max = 32};
    reopen(f, &config, false);
    for (uint32_t i = 0; i < 64; i++) {
        const ut_test_span span = ut_old_span(1000 + i, 1, 0, "new");
        (void)commit(f, &span, 1);
        (void)check(f);
    }
    sweep(f, ut_old_now_ns);
}

// ---- claims ----

static void an_old_store_opens_and_serves_all_it_has(void **state)
{
    fixture *f = fixture_of(state);
    const ut_verify_report report = check(f);
    assert_int_equal(report.blocks, UT_OLD_COMMITS);
    assert_int_equal(report.spans, OLD_SPANS);
    assert_int_equal(report.traces, OLD_TRACES);
    assert_all_served(f, false);
    assert_int_equal(f->row_count, OLD_TRACES);
    assert_row(f, UT_OLD_LATE, 5, true, "late root");
    assert_row(f, UT_OLD_ROOTLESS, 2, false, "orphan");
    assert_int_equal(find_row(f, UT_OLD_ROOTLESS)->status, UT_STATUS_ERROR);
    // Nothing is rewritten for the new version but its number and the secret of the index.
    assert_int_equal(count_records(f, UT_KEY_ROOT), OLD_TRACES);
    assert_int_equal(count_records(f, UT_KEY_RUN), 0);
    assert_true(count_records(f, UT_KEY_TRACE) > OLD_ENTRIES);
    assert_string_equal(find_row(f, UT_OLD_BESIDE)->service_z, "beside");
}

static void an_old_store_is_read_without_being_written(void **state)
{
    fixture *f = fixture_of(state);
    const ut_store_config config = {.keep_destinations = true};
    ut_store_close(f->store);
    f->store = NULL;
    unpack(f);
    open_with(f, &config, true);
    assert_int_equal(check(f).traces, OLD_TRACES);
    assert_all_served(f, false);
}

// What cannot be opened is left as it was: an earlier program goes on with it.
static void a_store_whose_key_does_not_fit_keeps_its_version(void **state)
{
    static const uint8_t other_key[UT_CIPHER_KEY_LEN] = {1};
    fixture *f = fixture_of(state);
    ut_engine *engine;
    ut_store *store;
    ut_fault fault = {0};
    ut_txn *txn;
    ut_bytes value;
    const ut_store_config config = {
        .bytes_max = UT_OLD_BUDGET, .master_key = other_key, .master_key_name_z = "key"};
    const ut_key version = ut_key_meta(UT_RECORD_VERSION_NAME);
    ut_store_close(f->store);
    f->store = NULL;
    unpack(f);
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_OLD_BUDGET, false, &engine, &fault), UT_OK);
    assert_int_equal(ut_store_open(engine, &config, &store, &fault), UT_EPERM);
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_OLD_BUDGET, true, &engine, &fault), UT_OK);
    assert_int_equal(ut_engine_begin(engine, false, &txn), UT_OK);
    assert_int_equal(ut_txn_get(txn, ut_key_bytes(&version), &value), UT_OK);
    assert_int_equal(value.data[value.len - 1], 2);
    ut_txn_abort(txn);
    ut_engine_close(engine);
}

static void spans_sent_again_are_duplicates(void **state)
{
    fixture *f = fixture_of(state);
    static ut_test_span spans[UT_OLD_SPANS_MAX];
    for (uint32_t i = 0; i < UT_OLD_COMMITS; i++) {
        uint64_t ttl_ms;
        const uint32_t count = ut_old_commit(i, spans, &ttl_ms);
        const ut_store_append append = commit(f, spans, count);
        assert_int_equal(append.stored, 0);
        assert_int_equal(append.duplicates, count);
    }
    assert_int_equal(check(f).blocks, UT_OLD_COMMITS);
}

static void new_spans_join_their_old_trace(void **state)
{
    fixture *f = fixture_of(state);
    const ut_test_span children[] = {ut_old_span(UT_OLD_ROOTLESS, 4, 1, "later"),
                                     ut_old_span(UT_OLD_LATE, 6, 1, "later")};
    const ut_test_span known[] = {ut_old_span(UT_OLD_ROOTLESS, 2, 1, "orphan"),
                                  ut_old_span(UT_OLD_ROOTLESS, 3, 1, "orphan too"), children[0],
                                  ut_old_span(UT_OLD_ROOTLESS, 1, 0, "root at last")};
    assert_int_equal(commit(f, children, 2).stored, 2);
    assert_int_equal(check(f).traces, OLD_TRACES);
    assert_trace(f, UT_OLD_ROOTLESS, known, 3, 0);
    assert_row(f, UT_OLD_ROOTLESS, 3, false, "orphan");
    assert_row(f, UT_OLD_LATE, 6, true, "late root");
    // The root takes the place of the span that stood in for it.
    assert_int_equal(commit(f, &known[3], 1).stored, 1);
    assert_int_equal(check(f).traces, OLD_TRACES);
    assert_trace(f, UT_OLD_ROOTLESS, known, 4, 0);
    assert_row(f, UT_OLD_ROOTLESS, 4, true, "root at last");
    assert_int_equal(f->row_count, OLD_TRACES);
    assert_resolves(f, UT_OLD_ROOTLESS);
    assert_int_equal(commit(f, known, 4).duplicates, 4);
}

static void blocks_that_expire_take_their_old_records_along(void **state)
{
    fixture *f = fixture_of(state);
    const unsigned entries = count_records(f, UT_KEY_TRACE);
    sweep(f, ut_old_now_ns + LATER_HOURS * hour_ns);
    const ut_verify_report report = check(f);
    assert_int_equal(report.blocks, UT_OLD_COMMITS - 2);
    assert_int_equal(report.spans, OLD_SPANS - EXPIRING_SPANS);
    assert_all_served(f, true);
    assert_int_equal(f->row_count, OLD_TRACES - 1); // UT_OLD_SHORT
    assert_int_equal(count_records(f, UT_KEY_TRACE), entries - 3);
    assert_int_equal(count_records(f, UT_KEY_ROOT), OLD_TRACES - 1);
}

static void evicted_old_blocks_leave_no_record_behind(void **state)
{
    fixture *f = fixture_of(state);
    // Spans of this version keep two of the old traces; the first has a head in an old block.
    const ut_test_span kept[] = {ut_old_span(UT_OLD_LATE, 6, 1, "later"),
                                 ut_old_span(UT_OLD_ROOTLESS, 1, 0, "root at last")};
    assert_int_equal(commit(f, kept, 2).stored, 2);
    const ut_store_config config = {.spans_max = 42};
    reopen(f, &config, false);
    for (uint32_t i = 0; i < 40; i++) {
        const ut_test_span span = ut_old_span(1000 + i, 1, 0, "new");
        (void)commit(f, &span, 1);
        (void)check(f);
    }
    sweep(f, ut_old_now_ns);
    assert_int_equal(count_records(f, UT_KEY_TRACE), 0);
    assert_int_equal(count_records(f, UT_KEY_ROOT), 0);
    assert_trace(f, UT_OLD_LATE, &kept[0], 1, 0);
    assert_trace(f, UT_OLD_ROOTLESS, &kept[1], 1, 0);
    assert_row(f, UT_OLD_LATE, 1, false, "later");
    assert_row(f, UT_OLD_ROOTLESS, 1, true, "root at last");
    assert_int_equal(f->row_count, 42);
    assert_int_equal(check(f).traces, 42);
}

static void old_spans_that_have_left_are_new_when_they_come_again(void **state)
{
    fixture *f = fixture_of(state);
    static ut_test_span spans[UT_OLD_SPANS_MAX];
    uint64_t ttl_ms;
    evict_old_blocks(f);
    assert_int_equal(count_records(f, UT_KEY_TRACE), 0);
    assert_int_equal(count_records(f, UT_KEY_ROOT), 0);
    const uint32_t count = ut_old_commit(2, spans, &ttl_ms);
    assert_int_equal(commit(f, spans, count).stored, count);
    assert_row(f, UT_OLD_LATE, 2, true, "late root");
    (void)check(f);
    assert_false(f->store->index.has_legacy); // no look-up asks for old entries any more
}

static void a_cleanup_by_service_takes_spans_out_of_old_blocks(void **state)
{
    fixture *f = fixture_of(state);
    ut_test_span more = ut_old_span(UT_OLD_ROOTLESS, 1, 0, "root at last");
    more.service_z = "new";
    assert_int_equal(commit(f, &more, 1).stored, 1);
    clean_up(f, "old", UINT64_MAX);
    clean_up(f, "beside", UINT64_MAX);
    assert_int_equal(count_records(f, UT_KEY_TRACE), 0);
    assert_int_equal(count_records(f, UT_KEY_ROOT), 0);
    assert_row(f, UT_OLD_ROOTLESS, 1, true, "root at last");
    assert_int_equal(f->row_count, 1);
    assert_int_equal(check(f).spans, 1);
}

static void a_cleanup_writes_the_rest_of_an_old_block_anew(void **state)
{
    fixture *f = fixture_of(state);
    clean_up(f, "beside", UINT64_MAX);
    const ut_verify_report report = check(f);
    assert_int_equal(report.blocks, UT_OLD_COMMITS);
    assert_int_equal(report.spans, OLD_SPANS - 1);
    assert_int_equal(report.traces, OLD_TRACES - 1);
    assert_trace(f, UT_OLD_BESIDE, NULL, 0, 0);
    assert_row(f, UT_OLD_LATE, 5, true, "late root");
    assert_int_equal(f->row_count, OLD_TRACES - 1);
    // Its spans are known by their digests now.
    const ut_test_span again = ut_old_span(UT_OLD_LATE, 1, 0, "late root");
    assert_int_equal(commit(f, &again, 1).duplicates, 1);
}

static void a_row_tells_of_stored_spans_only(void **state)
{
    fixture *f = fixture_of(state);
    clean_up(f, "", ut_old_now_ns + UINT64_C(3500000000)); // blocks 1 to 4
    assert_int_equal(check(f).blocks, UT_OLD_COMMITS - 4);
    // The root records of a plain store have names, too, and they outlive the block.
    assert_row(f, UT_OLD_LATE, 1, false, "last");
    assert_row(f, UT_OLD_ROOTLESS, 1, false, "orphan too");
    const ut_test_span root = ut_old_span(UT_OLD_ROOTLESS, 1, 0, "root at last");
    assert_int_equal(commit(f, &root, 1).stored, 1);
    assert_row(f, UT_OLD_ROOTLESS, 2, true, "root at last");
    (void)check(f);
}

static void a_compaction_keeps_all_of_an_old_store(void **state)
{
    fixture *f = fixture_of(state);
    const ut_test_span more = ut_old_span(UT_OLD_LATE, 6, 1, "later");
    const ut_store_config config = {0};
    ut_operation *operation;
    assert_int_equal(ut_compaction_new(&operation), UT_OK);
    operate(f, operation);
    assert_all_served(f, false);
    assert_int_equal(commit(f, &more, 1).stored, 1);
    reopen(f, &config, false);
    assert_row(f, UT_OLD_LATE, 6, true, "late root");
    assert_int_equal(check(f).traces, OLD_TRACES);
}

// ---- all of them, with each format ----

#define OF_BOTH(name)                                              \
    {#name " (format 1)", name, set_up_format1, tear_down, NULL},  \
    {                                                              \
#name " (format 2)", name, set_up_format2, tear_down, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_BOTH(an_old_store_opens_and_serves_all_it_has),
        OF_BOTH(an_old_store_is_read_without_being_written),
        cmocka_unit_test_setup_teardown(a_store_whose_key_does_not_fit_keeps_its_version,
                                        set_up_format2, tear_down),
        OF_BOTH(spans_sent_again_are_duplicates),
        OF_BOTH(new_spans_join_their_old_trace),
        OF_BOTH(blocks_that_expire_take_their_old_records_along),
        OF_BOTH(evicted_old_blocks_leave_no_record_behind),
        OF_BOTH(old_spans_that_have_left_are_new_when_they_come_again),
        OF_BOTH(a_cleanup_by_service_takes_spans_out_of_old_blocks),
        OF_BOTH(a_cleanup_writes_the_rest_of_an_old_block_anew),
        OF_BOTH(a_row_tells_of_stored_spans_only),
        OF_BOTH(a_compaction_keeps_all_of_an_old_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
