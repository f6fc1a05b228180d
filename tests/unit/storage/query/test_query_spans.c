// Tests of storage/query/query_spans and query_cursor: what a search finds, in which order, and
// where it goes on while data comes and goes.
#include "storage/crypt/cipher.h"
#include "storage/store/key.h"
#include "storage/store/block_store.h"
#include "storage/query/query.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_filter.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { BUDGET = 64 * 1024 * 1024, SEEN_MAX = 20000 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);
static const uint64_t hour_ns = UINT64_C(3600000000000);

typedef struct {
    ut_engine *engine;
    ut_store *store;
    ut_store_view *view;
    ut_batch batch;
    uint64_t clock_ns;
    ut_faults faults;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->engine = ut_engine_faulty_wrap(ut_engine_memory_open(BUDGET), &f->faults);
    // Small blocks: 64 spans, 16 KiB.
    ut_store_config config = {.bytes_max = UT_STORE_BYTES_MIN};
    ut_fault fault = {0};
    if (ut_store_open(f->engine, &config, &f->store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_store_view_open(f->engine, &f->view), UT_OK);
    ut_batch_init(&f->batch, BUDGET);
    f->clock_ns = now_ns;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_store_view_close(f->view);
    ut_store_close(f->store);
    ut_batch_free(&f->batch);
    free(f);
    return 0;
}

static void commit(fixture *f, uint64_t ttl_ms)
{
    ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = ttl_ms, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, f->clock_ns++, &append, 1, NULL, 0), UT_OK);
    assert_int_equal(append.stored, f->batch.span_count);
}

static void store_words(fixture *f, ut_random *random, uint32_t spans, uint64_t ttl_ms)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_random_words_batch(random, spans, &f->batch);
    commit(f, ttl_ms);
}

static void store_spans(fixture *f, const ut_test_span *spans, size_t count)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, count);
    commit(f, 0);
}

// ---- what was seen ----

typedef struct {
    uint32_t count;
    uint32_t stop_at; // 0: never
    const ut_filter *only;
    struct {
        uint64_t id;
        uint64_t seq;
        uint32_t ordinal;
    } spans[SEEN_MAX];
} seen;

static ut_err take(void *context, const ut_trace_span *row)
{
    seen *s = context;
    // By the plain rule, one by one.
    if (s->only != NULL && !ut_filter_match(s->only, &row->span, &row->scope, &row->resource))
        return UT_OK;
    assert_true(s->count < SEEN_MAX);
    s->spans[s->count].id = ut_get_be64(row->span.span_id.data);
    s->spans[s->count].seq = row->seq;
    s->spans[s->count].ordinal = row->ordinal;
    s->count += 1;
    return s->stop_at != 0 && s->count >= s->stop_at ? UT_ENOTFOUND : UT_OK;
}

// Searches to the end, call by call, each with a view of its own.
static void search_all(fixture *f, const ut_search *search, ut_search_work *work, seen *s)
{
    ut_query_cursor cursor = {0};
    bool more = true;
    s->count = 0;
    for (unsigned calls = 0; more; calls++) {
        uint32_t before = s->count;
        assert_true(calls < SEEN_MAX);
        assert_int_equal(ut_store_view_begin(f->view), UT_OK);
        assert_int_equal(
            ut_query_spans(f->view, search, &cursor, work, &more, (ut_trace_span_visitor){take, s}),
            UT_OK);
        ut_store_view_end(f->view);
        assert_true(search->spans_max == 0 || s->count - before <= search->spans_max);
    }
}

static void assert_same(const seen *a, const seen *b, const ut_filter *filter)
{
    bool same =
        a->count == b->count && memcmp(a->spans, b->spans, a->count * sizeof a->spans[0]) == 0;
    if (!same)
        ut_filter_print(filter);
    assert_int_equal(a->count, b->count);
    assert_true(same);
}

// ---- the searches ----

// Also that no block which holds a match is passed: all spans are held against the filter one by
// one.
static void a_search_finds_what_matches_and_nothing_else(void **state)
{
    fixture *f = *state;
    static seen all;
    static seen found;
    static seen expected;
    ut_random random = {5};
    for (unsigned i = 0; i < 60; i++)
        store_words(f, &random, 1 + ut_random_below(&random, 100), 0);
    uint64_t matched = 0;
    ut_search_work work = {0};
    for (unsigned i = 0; i < 3000; i++) {
        ut_filter everything = ut_filter_all();
        ut_filter filter = ut_random_words_filter(&random);
        ut_fault fault;
        assert_int_equal(ut_filter_check(&filter, &fault), UT_OK);
        ut_search search = {.org = UT_ORG_DEFAULT, .filter = &everything, .oldest_first = true};
        all.only = &filter;
        ut_search_work ignored = {0};
        search_all(f, &search, &ignored, &all);
        search.filter = &filter;
        search.spans_max = ut_random_below(&random, 3) == 0 ? 1 + ut_random_below(&random, 90) : 0;
        search.blocks_max = ut_random_below(&random, 2) == 0 ? 1 + ut_random_below(&random, 9) : 0;
        search_all(f, &search, &work, &found);
        assert_same(&all, &found, &filter);
        search.oldest_first = false;
        search_all(f, &search, &work, &found);
        expected = all;
        for (uint32_t k = 0; k < all.count; k++)
            expected.spans[k] = all.spans[all.count - 1 - k];
        assert_same(&expected, &found, &filter);
        matched += all.count;
    }
    assert_true(matched > 100000);
    assert_true(work.blocks_pruned > 10000);
    assert_int_equal(work.blocks_damaged, 0);
}

// The filters of blocks have another seed from the moment on when the store is encrypted.
static void a_store_that_became_encrypted_hides_nothing(void **state)
{
    (void)state;
    static const uint8_t keys[2][UT_CIPHER_KEY_LEN] = {{1}, {2}};
    static seen all;
    static seen found;
    fixture f = {.clock_ns = now_ns};
    ut_random random = {21};
    ut_fault fault = {0};
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store_config config = {.bytes_max = UT_STORE_BYTES_MIN};
    assert_int_equal(ut_store_open(engine, &config, &f.store, &fault), UT_OK);
    ut_batch_init(&f.batch, BUDGET);
    for (unsigned i = 0; i < 20; i++)
        store_words(&f, &random, 1 + ut_random_below(&random, 60), 0);
    f.engine = ut_engine_memory_clone(engine);
    ut_store_close(f.store);
    config.master_key = keys[0];
    config.master_key_name_z = "a key";
    assert_int_equal(ut_store_open(f.engine, &config, &f.store, &fault), UT_OK);
    assert_int_equal(ut_store_view_open(f.engine, &f.view), UT_OK);
    for (unsigned i = 0; i < 40; i++) {
        if (i == 20)
            assert_int_equal(ut_store_rekey(f.store, keys[1], &fault), UT_OK);
        store_words(&f, &random, 1 + ut_random_below(&random, 60), 0);
    }
    ut_search_work work = {0};
    for (unsigned i = 0; i < 500; i++) {
        ut_filter everything = ut_filter_all();
        ut_filter filter = ut_random_words_filter(&random);
        ut_search search = {.org = UT_ORG_DEFAULT, .filter = &everything, .oldest_first = true};
        ut_search_work ignored = {0};
        all.only = &filter;
        search_all(&f, &search, &ignored, &all);
        search.filter = &filter;
        search_all(&f, &search, &work, &found);
        assert_same(&all, &found, &filter);
    }
    assert_true(work.blocks_pruned > 5000);
    ut_store_view_close(f.view);
    ut_store_close(f.store);
    ut_batch_free(&f.batch);
}

static void more_is_false_at_the_end_and_only_there(void **state)
{
    fixture *f = *state;
    ut_test_span spans[200];
    for (uint32_t i = 0; i < 200; i++)
        spans[i] = (ut_test_span){.trace = i / 10, .span = i + 1, .start_ns = i};
    store_spans(f, spans, 200); // four blocks
    static seen s;
    for (unsigned direction = 0; direction < 2; direction++) {
        ut_filter filter = ut_filter_all();
        ut_search search = {.org = UT_ORG_DEFAULT,
                            .filter = &filter,
                            .oldest_first = direction == 1,
                            .spans_max = 100};
        ut_query_cursor cursor = {0};
        ut_search_work work = {0};
        bool more;
        s.count = 0;
        assert_int_equal(ut_store_view_begin(f->view), UT_OK);
        assert_int_equal(ut_query_spans(f->view, &search, &cursor, &work, &more,
                                        (ut_trace_span_visitor){take, &s}),
                         UT_OK);
        assert_true(more);
        assert_int_equal(s.count, 100);
        assert_int_equal(ut_query_spans(f->view, &search, &cursor, &work, &more,
                                        (ut_trace_span_visitor){take, &s}),
                         UT_OK);
        assert_false(more);
        assert_int_equal(s.count, 200);
        assert_int_equal(work.spans_visited, 200);
        assert_int_equal(ut_query_spans(f->view, &search, &cursor, &work, &more,
                                        (ut_trace_span_visitor){take, &s}),
                         UT_OK);
        assert_false(more);
        assert_int_equal(s.count, 200);
        // A block a call.
        search.blocks_max = 1;
        cursor.begun = false;
        work = (ut_search_work){0};
        for (unsigned calls = 1; calls <= 4; calls++) {
            assert_int_equal(ut_query_spans(f->view, &search, &cursor, &work, &more,
                                            (ut_trace_span_visitor){take, &s}),
                             UT_OK);
            assert_int_equal(work.blocks_read, calls);
            assert_int_equal(more, calls < 4);
        }
        assert_int_equal(s.count, 400);
        ut_store_view_end(f->view);
    }
}

static void an_empty_store_has_nothing_and_the_cursor_stays(void **state)
{
    fixture *f = *state;
    static seen s;
    ut_filter filter = ut_filter_all();
    ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter, .oldest_first = true};
    ut_query_cursor cursor = {0};
    ut_search_work work = {0};
    bool more = true;
    s.count = 0;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ut_store_view_begin(f->view), UT_OK);
        assert_int_equal(ut_query_spans(f->view, &search, &cursor, &work, &more,
                                        (ut_trace_span_visitor){take, &s}),
                         UT_OK);
        ut_store_view_end(f->view);
        assert_false(more);
        assert_false(cursor.begun);
        search.oldest_first = false;
        filter.by_trace = true;
    }
    // What comes later is seen from there.
    filter.by_trace = false;
    search.oldest_first = true;
    store_spans(f, &(ut_test_span){.trace = 1, .span = 1}, 1);
    search_all(f, &search, &work, &s);
    assert_int_equal(s.count, 1);
    search.org = 2;
    search_all(f, &search, &work, &s);
    assert_int_equal(s.count, 0);
}

static void a_visitor_ends_the_search_behind_what_it_was_given(void **state)
{
    fixture *f = *state;
    static seen s;
    ut_test_span spans[150];
    for (uint32_t i = 0; i < 150; i++)
        spans[i] = (ut_test_span){.trace = 7, .span = i + 1, .start_ns = i};
    store_spans(f, spans, 150);
    for (unsigned kind = 0; kind < 4; kind++) {
        ut_filter filter = ut_filter_all();
        ut_search search = {
            .org = UT_ORG_DEFAULT, .filter = &filter, .oldest_first = (kind & 1) != 0};
        filter.by_trace = (kind & 2) != 0;
        ut_test_trace_id(7, filter.trace_id);
        ut_query_cursor cursor = {0};
        ut_search_work work = {0};
        bool more;
        s = (seen){.stop_at = 70};
        assert_int_equal(ut_store_view_begin(f->view), UT_OK);
        assert_int_equal(ut_query_spans(f->view, &search, &cursor, &work, &more,
                                        (ut_trace_span_visitor){take, &s}),
                         UT_ENOTFOUND);
        assert_true(more);
        s.stop_at = 0;
        assert_int_equal(ut_query_spans(f->view, &search, &cursor, &work, &more,
                                        (ut_trace_span_visitor){take, &s}),
                         UT_OK);
        ut_store_view_end(f->view);
        assert_false(more);
        assert_int_equal(s.count, 150);
        for (uint32_t i = 1; i < 150; i++) {
            bool rises = s.spans[i].seq > s.spans[i - 1].seq ||
                         (s.spans[i].seq == s.spans[i - 1].seq &&
                          s.spans[i].ordinal > s.spans[i - 1].ordinal);
            assert_int_equal(rises, search.oldest_first);
        }
    }
}

// ---- damage ----

static void put(fixture *f, const ut_key *key, ut_bytes value)
{
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
    assert_int_equal(value.len > 0 ? ut_txn_put(txn, ut_key_bytes(key), value)
                                   : ut_txn_del(txn, ut_key_bytes(key)),
                     UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
}

static void damaged_and_leaving_blocks_are_passed(void **state)
{
    fixture *f = *state;
    static seen s;
    for (uint32_t i = 1; i <= 6; i++)
        store_spans(f, &(ut_test_span){.trace = 1, .span = i, .start_ns = i}, 1);
    ut_key key = ut_key_piece(UT_ORG_DEFAULT, 2, UT_BLOCK_STORE_SEALED_FROM);
    put(f, &key, UT_BYTES_LIT("this is no block"));
    key = ut_key_summary(UT_ORG_DEFAULT, 4); // its removal was begun
    put(f, &key, UT_BYTES_NONE);
    key = ut_key_piece(UT_ORG_DEFAULT, 4, UT_BLOCK_STORE_SEALED_FROM);
    put(f, &key, UT_BYTES_NONE);
    key = ut_key_summary(UT_ORG_DEFAULT, 5); // says nothing, so the block does
    put(f, &key, UT_BYTES_LIT("no summary"));
    for (unsigned kind = 0; kind < 4; kind++) {
        ut_filter filter = ut_filter_all();
        filter.by_trace = (kind & 2) != 0;
        ut_test_trace_id(1, filter.trace_id);
        filter.start_ns = 3;
        ut_search search = {
            .org = UT_ORG_DEFAULT, .filter = &filter, .oldest_first = (kind & 1) != 0};
        ut_search_work work = {0};
        search_all(f, &search, &work, &s);
        assert_int_equal(s.count, 3);
        assert_int_equal(work.blocks_damaged, filter.by_trace ? 1 : 0);
        filter.start_ns = 0;
        work = (ut_search_work){0};
        search_all(f, &search, &work, &s);
        assert_int_equal(s.count, 4);
        assert_int_equal(work.blocks_damaged, 1);
    }
}

// Each call of the engine fails in turn. What was visited until then stays so: going on from the
// cursor gives the rest.
static void a_search_that_cannot_read_says_so_and_can_go_on(void **state)
{
    fixture *f = *state;
    static seen s;
    ut_test_span spans[200];
    for (uint32_t i = 0; i < 200; i++)
        spans[i] = (ut_test_span){.trace = 7, .span = i + 1, .start_ns = i};
    store_spans(f, spans, 200);
    f->faults.err = UT_EIO;
    for (unsigned kind = 0; kind < 4; kind++) {
        ut_filter filter = ut_filter_all();
        filter.by_trace = (kind & 2) != 0;
        ut_test_trace_id(7, filter.trace_id);
        ut_search search = {
            .org = UT_ORG_DEFAULT, .filter = &filter, .oldest_first = (kind & 1) != 0};
        unsigned failed = 0;
        ut_err err = UT_EIO;
        for (uint64_t nth = 1; err != UT_OK; nth++) {
            ut_query_cursor cursor = {0};
            ut_search_work work = {0};
            bool more;
            assert_true(nth < 1000);
            s = (seen){0};
            assert_int_equal(ut_store_view_begin(f->view), UT_OK);
            f->faults.fail_at = f->faults.calls + nth;
            err = ut_query_spans(f->view, &search, &cursor, &work, &more,
                                 (ut_trace_span_visitor){take, &s});
            f->faults.fail_at = 0;
            assert_true(err == UT_OK || (err == UT_EIO && more));
            failed += err != UT_OK;
            if (err != UT_OK)
                assert_int_equal(ut_query_spans(f->view, &search, &cursor, &work, &more,
                                                (ut_trace_span_visitor){take, &s}),
                                 UT_OK);
            ut_store_view_end(f->view);
            assert_false(more);
            assert_int_equal(s.count, 200);
            assert_int_equal(work.blocks_damaged, 0);
        }
        assert_true(failed > 4);
    }
}

// ---- while data comes and goes ----

// Every span that is there from the first call to the last is seen once, no span is seen twice.
static ut_err read_cursor(const char *text_z, const ut_search *search, ut_query_cursor *cursor)
{
    uint64_t start_ns;
    uint64_t end_ns;
    return ut_query_cursor_read(ut_bytes_of_z(text_z), search, cursor, &start_ns, &end_ns);
}

static void a_search_sees_what_stays_exactly_once(void **state)
{
    fixture *f = *state;
    ut_random random = {99};
    static seen before;
    static seen after;
    static seen found;
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 8; i++)
            store_words(f, &random, 1 + ut_random_below(&random, 150),
                        (1 + ut_random_below(&random, 5)) * UINT64_C(3600000));
        ut_filter everything = ut_filter_all();
        ut_filter filter = round % 3 == 0 ? everything : ut_random_words_filter(&random);
        ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter};
        ut_search_work work = {0};
        search_all(f, &search, &work, &before);
        search.oldest_first = round % 2 == 0;
        search.spans_max = 1 + ut_random_below(&random, 60);
        search.blocks_max = 1 + ut_random_below(&random, 4);
        ut_query_cursor cursor = {0};
        bool more = true;
        found.count = 0;
        for (unsigned calls = 0; more; calls++) {
            // By way of its text, as a person hands it back.
            char text_z[UT_QUERY_CURSOR_TEXT_MAX];
            ut_query_cursor_write(&cursor, &search, text_z);
            assert_int_equal(read_cursor(text_z, &search, &cursor), UT_OK);
            assert_int_equal(ut_store_view_begin(f->view), UT_OK);
            assert_int_equal(ut_query_spans(f->view, &search, &cursor, &work, &more,
                                            (ut_trace_span_visitor){take, &found}),
                             UT_OK);
            ut_store_view_end(f->view);
            if (calls < 20 && ut_random_below(&random, 2) == 0)
                store_words(f, &random, 1 + ut_random_below(&random, 80), 3600000);
            if (ut_random_below(&random, 4) == 0) {
                bool due = true;
                f->clock_ns += hour_ns / 4;
                while (due)
                    assert_int_equal(ut_store_sweep(f->store, f->clock_ns, &due), UT_OK);
            }
        }
        search.oldest_first = false;
        search.spans_max = search.blocks_max = 0;
        search_all(f, &search, &work, &after);
        for (uint32_t i = 0; i < found.count; i++) {
            for (uint32_t k = 0; k < i; k++)
                assert_true(found.spans[i].id != found.spans[k].id);
        }
        for (uint32_t i = 0; i < before.count; i++) {
            bool stayed = false;
            bool was_found = false;
            for (uint32_t k = 0; k < after.count && !stayed; k++)
                stayed = after.spans[k].id == before.spans[i].id;
            for (uint32_t k = 0; k < found.count && !was_found; k++)
                was_found = found.spans[k].id == before.spans[i].id;
            assert_true(was_found || !stayed);
        }
    }
}

// ---- the text of a cursor ----

static void a_cursor_goes_on_with_its_own_question_only(void **state)
{
    (void)state;
    ut_filter filter = ut_filter_all();
    ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter};
    static const ut_query_cursor cursors[] = {
        {.begun = false},
        {.begun = true, .seq = 1, .ordinal = 0},
        {.begun = true, .seq = UINT64_MAX, .ordinal = UT_BLOCK_SPANS_MAX - 1},
    };
    char text_z[UT_QUERY_CURSOR_TEXT_MAX];
    ut_query_cursor back;
    for (unsigned i = 0; i < 3; i++) {
        ut_query_cursor_write(&cursors[i], &search, text_z);
        assert_true(strspn(text_z, "0123456789abcdefghijklmnopqrstuvwxyz_-") == strlen(text_z));
        assert_int_equal(read_cursor(text_z, &search, &back), UT_OK);
        assert_int_equal(back.begun, cursors[i].begun);
        assert_true(back.seq == cursors[i].seq);
        assert_int_equal(back.ordinal, cursors[i].ordinal);
    }
    ut_filter_term exists = {.places = UT_FILTER_IN_ANY, .key = UT_BYTES_LIT("a")};
    ut_filter_term other = exists;
    other.key = UT_BYTES_LIT("b");
    for (unsigned i = 0; i < 17; i++) {
        ut_filter changed = filter;
        ut_search question = {.org = UT_ORG_DEFAULT, .filter = &changed};
        switch (i) {
        case 0:
            question.org = 2;
            break;
        case 1:
            question.oldest_first = true;
            break;
        case 2:
            changed.by_trace = true;
            break;
        case 3:
            changed.since = UT_BYTES_LIT("1h");
            break;
        case 4:
            changed.until = UT_BYTES_LIT("1h");
            break;
        case 5:
            changed.service = UT_BYTES_LIT("a");
            break;
        case 6:
            changed.name = UT_BYTES_LIT("a");
            break;
        case 7:
            changed.kinds = 1;
            break;
        case 8:
            changed.statuses = 1;
            break;
        case 9:
            changed.duration_min_ns = 1;
            break;
        case 10:
            changed.duration_max_ns = 1;
            break;
        case 11:
            changed.message = UT_BYTES_LIT("a");
            break;
        case 12:
            changed.roots_only = true;
            break;
        case 13:
            changed.llm_only = true;
            break;
        case 14:
            changed.terms[changed.term_count++] = exists;
            break;
        case 15:
            changed.terms[changed.term_count++] = other;
            break;
        default:
            changed.terms[changed.term_count++] = (ut_filter_term){.key = exists.key};
            break;
        }
        assert_int_equal(read_cursor(text_z, &question, &back), UT_EINVAL);
        char own_z[UT_QUERY_CURSOR_TEXT_MAX];
        ut_query_cursor_write(&cursors[1], &question, own_z);
        assert_int_equal(read_cursor(own_z, &question, &back), UT_OK);
        assert_int_equal(read_cursor(own_z, &search, &back), UT_EINVAL);
    }
    for (size_t i = 0; text_z[i] != '\0'; i++) {
        char kept = text_z[i];
        text_z[i] = kept == '0' ? '1' : '0';
        assert_int_equal(read_cursor(text_z, &search, &back), UT_EFORMAT);
        text_z[i] = kept;
    }
    static const char *const wrong[] = {"", "x", "12", "zz",
                                        "0000000000000000000000000000000000000000"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(read_cursor(wrong[i], &search, &back), UT_EFORMAT);
    // More on a page is the same question.
    search.spans_max = 5;
    search.blocks_max = 5;
    assert_int_equal(read_cursor(text_z, &search, &back), UT_OK);
}

// "An hour ago" is another time when the next page is asked for.
static void a_cursor_brings_the_times_of_its_first_page(void **state)
{
    (void)state;
    ut_filter first = ut_filter_all();
    first.start_ns = 1000;
    first.end_ns = 9000;
    first.since = UT_BYTES_LIT("1h");
    first.until = UT_BYTES_LIT("0s");
    ut_search search = {.filter = &first};
    const ut_query_cursor cursor = {.begun = true, .seq = 3, .ordinal = 4};
    char text_z[UT_QUERY_CURSOR_TEXT_MAX];
    ut_query_cursor_write(&cursor, &search, text_z);
    ut_filter later = first;
    later.start_ns += 77;
    later.end_ns += 77;
    search.filter = &later;
    ut_query_cursor back;
    assert_int_equal(
        ut_query_cursor_read(ut_bytes_of_z(text_z), &search, &back, &later.start_ns, &later.end_ns),
        UT_OK);
    assert_true(back.begun && back.seq == 3 && back.ordinal == 4);
    assert_true(later.start_ns == 1000 && later.end_ns == 9000);
    later.since = UT_BYTES_LIT("2h");
    assert_int_equal(read_cursor(text_z, &search, &back), UT_EINVAL);
    later.since = UT_BYTES_NONE;
    assert_int_equal(read_cursor(text_z, &search, &back), UT_EINVAL);
}

static void a_cursor_of_an_earlier_version_is_told_from_nonsense(void **state)
{
    (void)state;
    ut_filter filter = ut_filter_all();
    const ut_search search = {.filter = &filter};
    ut_query_cursor back;
    assert_int_equal(read_cursor("0000000000000b25000000074a59d12402eff349", &search, &back),
                     UT_EVERSION);
    assert_int_equal(read_cursor("0000000000000b26000000074a59d12402eff349", &search, &back),
                     UT_EFORMAT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_search_finds_what_matches_and_nothing_else),
        cmocka_unit_test(a_store_that_became_encrypted_hides_nothing),
        TEST(more_is_false_at_the_end_and_only_there),
        TEST(an_empty_store_has_nothing_and_the_cursor_stays),
        TEST(a_visitor_ends_the_search_behind_what_it_was_given),
        TEST(damaged_and_leaving_blocks_are_passed),
        TEST(a_search_that_cannot_read_says_so_and_can_go_on),
        TEST(a_search_sees_what_stays_exactly_once),
        cmocka_unit_test(a_cursor_goes_on_with_its_own_question_only),
        cmocka_unit_test(a_cursor_brings_the_times_of_its_first_page),
        cmocka_unit_test(a_cursor_of_an_earlier_version_is_told_from_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
