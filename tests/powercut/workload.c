// Lives of a store; see workload.h.
#include "tests/powercut/workload.h"

#include "storage/upkeep/operation.h"
#include "tests/powercut/data_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REQUESTS_MAX = 8,
    MARKS_MAX = 64, // that wait for a commit
    DELIVERED_MAX = 6,
    SCAN_MAX = 64,
    SWEEPS_MAX = 64, // of one pause
    BATCH_BYTES_MAX = 8 * 1024 * 1024,
    BLOCKS_A_KEY = 16, // so that there are several
    MIB = 1024 * 1024,
};

static const uint64_t start_ns = UINT64_C(1800000000) * 1000000000;
static const uint64_t hour_ns = UINT64_C(3600) * 1000000000;
static const uint64_t minute_ns = UINT64_C(60) * 1000000000;

#define STEP(name, weight) [UT_STEP_##name] = (weight)

const ut_scenario ut_scenarios[UT_SCENARIOS] = {
    {.name_z = "plain",
     .steps = 60,
     .bytes_max = 16 * MIB,
     .requests = 4,
     .traces = 4,
     .spans = 12,
     .filler = 300,
     .weights = {STEP(COMMIT, 60), STEP(DELIVER, 25), STEP(MARK, 8), STEP(SWEEP, 5),
                 STEP(NOTE, 5)}},
    // The making of a store, and its first commits.
    {.name_z = "first",
     .steps = 3,
     .bytes_max = 16 * MIB,
     .requests = 2,
     .traces = 2,
     .spans = 3,
     .filler = 100,
     .weights = {STEP(COMMIT, 60), STEP(MARK, 5), STEP(NOTE, 5)}},
    {.name_z = "evict",
     .steps = 100,
     .bytes_max = 4 * MIB,
     .requests = 3,
     .traces = 4,
     .spans = 16,
     .filler = 3000,
     .weights = {STEP(COMMIT, 60), STEP(DELIVER, 20), STEP(MARK, 5), STEP(SWEEP, 10),
                 STEP(NOTE, 3)}},
    {.name_z = "evict-oldest",
     .steps = 100,
     .bytes_max = 4 * MIB,
     .requests = 3,
     .traces = 4,
     .spans = 16,
     .filler = 3000,
     .evicts_in_order = true,
     .weights = {STEP(COMMIT, 60), STEP(DELIVER, 20), STEP(MARK, 5), STEP(SWEEP, 10)}},
    {.name_z = "expiry",
     .steps = 80,
     .bytes_max = 16 * MIB,
     .requests = 3,
     .traces = 3,
     .spans = 12,
     .filler = 800,
     .ttl_hours = 3,
     .weights = {STEP(COMMIT, 50), STEP(DELIVER, 10), STEP(MARK, 5), STEP(TIME, 30),
                 STEP(SWEEP, 5)}},
    {.name_z = "encrypted",
     .steps = 60,
     .bytes_max = 16 * MIB,
     .requests = 3,
     .traces = 3,
     .spans = 12,
     .filler = 300,
     .ttl_hours = 24,
     .encrypted = true,
     .weights = {STEP(COMMIT, 50), STEP(DELIVER, 10), STEP(TIME, 5), STEP(REKEY, 6),
                 STEP(RESTART, 4), STEP(COMPACT, 10)}},
    {.name_z = "compact",
     .steps = 90,
     .bytes_max = 16 * MIB,
     .requests = 4,
     .traces = 3,
     .spans = 16,
     .filler = 1500,
     .ttl_hours = 3,
     .weights = {STEP(COMMIT, 40), STEP(DELIVER, 5), STEP(TIME, 10), STEP(COMPACT, 45)}},
    {.name_z = "cleanup",
     .steps = 80,
     .bytes_max = 16 * MIB,
     .requests = 4,
     .traces = 4,
     .spans = 8,
     .filler = 500,
     .weights = {STEP(COMMIT, 50), STEP(DELIVER, 15), STEP(MARK, 5), STEP(TIME, 5),
                 STEP(CLEAN_SERVICE, 20), STEP(CLEAN_AGE, 6), STEP(COMPACT, 4)}},
    {.name_z = "restart",
     .steps = 50,
     .bytes_max = 8 * MIB,
     .requests = 2,
     .traces = 3,
     .spans = 8,
     .filler = 500,
     .ttl_hours = 6,
     .weights = {STEP(COMMIT, 40), STEP(MARK, 10), STEP(TIME, 5), STEP(COMPACT, 15),
                 STEP(RESTART, 25)}},
    // What an edge device sends: an index of traces is merged step by step.
    {.name_z = "small",
     .steps = 1200,
     .bytes_max = 8 * MIB,
     .requests = 1,
     .traces = 3,
     .spans = 2,
     .filler = 60,
     .ttl_hours = 48,
     .weights = {STEP(COMMIT, 70), STEP(DELIVER, 5), STEP(TIME, 3), STEP(SWEEP, 25),
                 STEP(RESTART, 1)}},
};

static const char *const step_names_z[UT_STEPS] = {
    "opening", "commit",  "delivery",       "marks",      "time",  "sweep",
    "cursor",  "cleanup", "cleanup by age", "compaction", "rekey", "restart"};

const char *ut_step_name(ut_step step)
{
    return step_names_z[step];
}

// What a life has, and what the end of its process takes.
typedef struct {
    ut_workload *workload;
    ut_store *store;
    ut_store_view *view;
    ut_operation *operation;
    ut_batch batches[REQUESTS_MAX];
    ut_delivery marks[MARKS_MAX];
    uint32_t mark_count;
    uint64_t read[UT_BOOK_DESTINATIONS]; // the last block that a destination was sent
    ut_buf payload;
} life;

static unsigned below(life *l, uint32_t bound)
{
    return ut_random_below(&l->workload->random, bound);
}

static bool went_well(life *l, ut_err err, const char *text_z)
{
    if (err != UT_OK)
        ut_book_problem(&l->workload->book, "%s: %s: %s", ut_step_name(l->workload->step),
                        ut_err_text(err), text_z);
    return err == UT_OK;
}

static ut_book *begin_change(life *l)
{
    ut_book_begin(&l->workload->book);
    return &l->workload->book;
}

// ---- opening and closing ----

static void make_key(uint32_t number, uint8_t key[UT_CIPHER_KEY_LEN])
{
    ut_random random = {number};
    for (unsigned i = 0; i < UT_CIPHER_KEY_LEN; i++)
        key[i] = (uint8_t)ut_random_next(&random);
}

static ut_err open_with_key(life *l, uint32_t number, ut_fault *fault)
{
    const ut_workload *w = l->workload;
    const ut_scenario *s = w->scenario;
    uint8_t key[UT_CIPHER_KEY_LEN];
    const ut_engine_config engine_config = {.dir_z = w->dir_z, .bytes_max = s->bytes_max};
    const ut_store_config config = {
        .bytes_max = s->bytes_max,
        .evict_oldest = s->evicts_in_order,
        .master_key = s->encrypted ? key : NULL,
        .master_key_name_z = "key",
        .blocks_per_key = BLOCKS_A_KEY,
    };
    ut_engine *engine = NULL;
    make_key(number, key);
    ut_err err = ut_data_place_make(w->dir_z, fault);
    if (err == UT_OK)
        err = ut_engine_lmdb_open(&engine_config, &engine, fault);
    if (err == UT_OK)
        err = ut_store_open(engine, &config, &l->store, fault);
    return err;
}

static bool open_store(life *l)
{
    ut_workload *w = l->workload;
    ut_fault fault = {0};
    w->step = UT_STEP_OPEN;
    w->key_open = w->key;
    ut_err err = open_with_key(l, w->key_open, &fault);
    if (err == UT_EPERM && w->rekeying)
        err = open_with_key(l, ++w->key_open, &fault);
    if (!w->book.unsafe) {
        w->key = w->key_open;
        w->rekeying = false;
    }
    return went_well(l, err, fault.text_z);
}

static void begin_work(life *l)
{
    for (unsigned i = 0; i < UT_BOOK_DESTINATIONS; i++) {
        uint32_t dest = 0;
        const char name_z[2] = {(char)('a' + i), '\0'};
        (void)went_well(l, ut_store_add_destination(l->store, UT_ORG_DEFAULT, name_z, &dest),
                        "destination");
        UT_ASSERT(dest == i + 1);
        l->read[i] = 0;
    }
    UT_ASSERT(ut_store_view_open(ut_store_engine(l->store), &l->view) == UT_OK);
}

static void close_store(life *l)
{
    if (l->operation != NULL)
        l->operation->class->free(l->operation);
    if (l->view != NULL)
        ut_store_view_close(l->view);
    ut_store_close(l->store); // takes NULL
    l->operation = NULL;
    l->view = NULL;
    l->store = NULL;
    l->mark_count = 0; // what was not committed is answered again
    l->workload->book.mark_count = 0;
}

// ---- commits ----

// Sends again what was there before for sure. 0: nothing is.
static uint32_t choose_again(life *l)
{
    const ut_book *book = &l->workload->book;
    if (book->count == 0 || book->evicts || below(l, 8) != 0)
        return 0;
    const uint32_t number = 1 + below(l, book->count);
    const ut_book_trace *trace = &book->traces[number - 1];
    const bool there = trace->acknowledged && trace->expiry_hour > book->clock_ns / hour_ns + 1 &&
                       trace->received_ns >= book->cleaned_ns[trace->service];
    return there ? number : 0;
}

// The number of a trace that was sent and is not there: its sender sends it again. 0: none is left.
static uint32_t choose_lost(const ut_book *book, uint32_t from)
{
    for (uint32_t i = from; i < book->count; i++) {
        if (!book->traces[i].acknowledged && !book->traces[i].under_way)
            return i + 1;
    }
    return 0;
}

static uint32_t new_trace(life *l, uint64_t ttl_hours)
{
    const ut_scenario *s = l->workload->scenario;
    const uint64_t now_ns = l->workload->book.clock_ns;
    const uint64_t end_hour = (now_ns + ttl_hours * hour_ns + hour_ns - 1) / hour_ns;
    const ut_book_trace trace = {
        .spans = 1 + below(l, s->spans),
        .filler_max = s->filler,
        .expiry_hour = ttl_hours != 0 ? (uint32_t)end_hour : UINT32_MAX,
        .received_ns = now_ns,
        .service = below(l, UT_BOOK_SERVICES),
    };
    return ut_book_add(&l->workload->book, &trace);
}

// Fills one request; returns the spans in it that are new to the store.
static uint32_t fill_request(life *l, ut_batch *batch, ut_store_append *append)
{
    ut_book *book = &l->workload->book;
    const ut_scenario *s = l->workload->scenario;
    const uint64_t ttl_hours = s->ttl_hours != 0 ? 1 + below(l, s->ttl_hours) : 0;
    const uint32_t traces = 1 + below(l, s->traces);
    uint32_t fresh = 0;
    uint32_t lost = choose_lost(book, 0);
    ut_batch_reset(batch, BATCH_BYTES_MAX);
    for (uint32_t i = 0; i < traces; i++) {
        uint32_t number = lost != 0 ? lost : choose_again(l);
        if (number == 0)
            number = new_trace(l, ttl_hours);
        ut_book_trace *trace = &book->traces[number - 1];
        if (number == lost) { // it comes now, with this request's life
            const uint64_t end_ns = book->clock_ns + ttl_hours * hour_ns + hour_ns - 1;
            trace->received_ns = book->clock_ns;
            trace->expiry_hour = ttl_hours != 0 ? (uint32_t)(end_ns / hour_ns) : UINT32_MAX;
            lost = choose_lost(book, lost);
        }
        if (!trace->acknowledged && !trace->under_way) {
            trace->under_way = true;
            fresh += trace->spans;
        }
        ut_book_make(book, number, batch);
    }
    *append = (ut_store_append){
        .org = UT_ORG_DEFAULT,
        .ttl_ms = ttl_hours != 0 ? ttl_hours * 3600000 : UT_STORE_TTL_NONE,
        .batch = batch,
    };
    return fresh;
}

static void commit(life *l, uint32_t requests)
{
    ut_store_append appends[REQUESTS_MAX];
    uint32_t fresh = 0;
    uint32_t stored = 0;
    for (uint32_t i = 0; i < requests; i++)
        fresh += fill_request(l, &l->batches[i], &appends[i]);
    ut_book *book = begin_change(l);
    const ut_err err =
        ut_store_commit(l->store, book->clock_ns, appends, requests, l->marks, l->mark_count);
    if (!went_well(l, err, "commit"))
        return;
    ut_book_end(book, l->store, true);
    l->workload->key = l->workload->key_open;
    l->workload->rekeying = false;
    for (uint32_t i = 0; i < requests; i++)
        stored += appends[i].stored;
    if (stored != fresh)
        ut_book_problem(book, "a commit stored %u spans, %u were new", stored, fresh);
    l->mark_count = 0;
}

// ---- delivery ----

// The destination takes the spans of a block, or refuses them: it has answered.
static ut_err answer(life *l, uint32_t dest, uint64_t seq)
{
    ut_book *book = &l->workload->book;
    ut_block block;
    ut_block_cursor cursor;
    bool more = false;
    ut_err err = ut_store_read_block(l->view, UT_ORG_DEFAULT, seq, &l->payload, &block);
    if (err != UT_OK)
        return err;
    ut_block_walk(&block, &cursor);
    while ((err = ut_block_next_group(&cursor, &more)) == UT_OK && more) {
        ut_span span;
        while ((err = ut_block_next_span(&cursor, &span, &more)) == UT_OK && more) {
            const uint32_t number = ut_book_find(book, span.trace_id);
            UT_ASSERT(number != 0);
            const uint32_t bit = ut_book_span_bit(book, number, span.span_id);
            book->traces[number - 1].answered[dest] |= bit;
            ut_book_add_mark(book, (ut_book_mark){number, dest, bit});
        }
    }
    return err;
}

static ut_delivery make_mark(life *l, const ut_delivery *sent)
{
    static const uint16_t first[] = {0};
    ut_delivery mark = *sent;
    mark.attempts += 1;
    mark.updated_ns = l->workload->book.clock_ns;
    mark.state = UT_DELIVERY_DELIVERED;
    const unsigned dice = below(l, 8);
    if (dice == 0) {
        mark.state = UT_DELIVERY_DEAD;
        mark.spans_dead = mark.spans;
        mark.http_status = 400;
        (void)snprintf(mark.reason_z, sizeof(mark.reason_z), "refused"); // fits
    } else if (dice == 1 && mark.spans > 1) {
        mark.spans_dead = 1;
        mark.dead_ordinals = first;
    }
    return mark;
}

static void deliver(life *l)
{
    const uint32_t dest = below(l, UT_BOOK_DESTINATIONS);
    const uint32_t blocks = 1 + below(l, DELIVERED_MAX);
    if (!went_well(l, ut_store_view_begin(l->view), "view"))
        return;
    for (uint32_t i = 0; i < blocks && l->mark_count < MARKS_MAX; i++) {
        ut_delivery sent = {0};
        ut_err err = ut_store_next_pending(l->view, UT_ORG_DEFAULT, dest + 1, l->read[dest],
                                           SCAN_MAX, &sent);
        if (err == UT_EAGAIN)
            l->read[dest] = sent.seq;
        if (err == UT_OK) {
            l->read[dest] = sent.seq;
            err = answer(l, dest, sent.seq);
        }
        if (err == UT_ENOTFOUND || err == UT_EAGAIN)
            break;
        if (!went_well(l, err, "delivery"))
            break;
        l->marks[l->mark_count++] = make_mark(l, &sent);
    }
    ut_store_view_end(l->view);
}

// ---- the other steps ----

static void sweep(life *l, uint32_t calls)
{
    bool more = true;
    for (uint32_t i = 0; i < calls && more; i++) {
        ut_book *book = begin_change(l);
        if (!went_well(l, ut_store_sweep(l->store, book->clock_ns, &more), "sweep"))
            return;
        ut_book_end(book, l->store, false);
    }
}

static void note_cursor(life *l)
{
    const uint64_t last = ut_store_last_seq(l->store);
    if (last == 0)
        return;
    const uint32_t ordinal = below(l, UT_BLOCK_SPANS_MAX);
    ut_book *book = begin_change(l);
    book->noting = last * UT_BLOCK_SPANS_MAX + ordinal;
    if (!went_well(l, ut_store_set_consumer(l->store, UT_ORG_DEFAULT, "poller", last, ordinal),
                   "cursor"))
        return;
    book->noted = book->noting;
    ut_book_end(book, l->store, false);
}

static void begin_cleanup(life *l, bool by_service)
{
    ut_book *book = &l->workload->book;
    const uint64_t age_ns = (1 + below(l, by_service ? 120 : 600)) * minute_ns;
    ut_cleanup_options options = {.org = UT_ORG_DEFAULT, .older_than_ns = book->clock_ns - age_ns};
    if (by_service)
        (void)snprintf(options.service_z, sizeof(options.service_z), "shop"); // fits
    for (unsigned i = 0; i < (by_service ? 1 : UT_BOOK_SERVICES); i++) {
        if (options.older_than_ns > book->cleaned_ns[i])
            book->cleaned_ns[i] = options.older_than_ns;
    }
    (void)went_well(l, ut_cleanup_new(&options, &l->operation), "cleanup");
}

// One slice of a long operation, which is begun where none is.
static void operate(life *l)
{
    bool more = false;
    ut_fault fault = {0};
    if (l->mark_count > 0) // a cleanup may give their blocks new numbers
        commit(l, 0);
    if (l->operation == NULL) {
        if (l->workload->step == UT_STEP_COMPACT)
            (void)went_well(l, ut_compaction_new(&l->operation), "compaction");
        else
            begin_cleanup(l, l->workload->step == UT_STEP_CLEAN_SERVICE);
    }
    ut_book *book = begin_change(l);
    const ut_err err = ut_operation_step(l->operation, l->store, book->clock_ns, &more, &fault);
    if (err != UT_EAGAIN && !went_well(l, err, fault.text_z))
        return;
    ut_book_end(book, l->store, false);
    if (more || err == UT_EAGAIN)
        return;
    l->operation->class->free(l->operation);
    l->operation = NULL;
}

static void rekey(life *l)
{
    uint8_t key[UT_CIPHER_KEY_LEN];
    ut_fault fault = {0};
    make_key(l->workload->key_open + 1, key);
    ut_book *book = begin_change(l);
    l->workload->rekeying = true;
    if (!went_well(l, ut_store_rekey(l->store, key, &fault), fault.text_z))
        return;
    l->workload->key = ++l->workload->key_open;
    l->workload->rekeying = false;
    ut_book_end(book, l->store, false);
}

static void restart(life *l)
{
    close_store(l);
    if (open_store(l))
        begin_work(l);
}

// ---- a life ----

static ut_step choose_step(life *l)
{
    const uint16_t *weights = l->workload->scenario->weights;
    uint32_t sum = 0;
    for (unsigned i = 0; i < UT_STEPS; i++)
        sum += weights[i];
    uint32_t left = below(l, sum);
    for (unsigned i = 0; i < UT_STEPS; i++) {
        if (left < weights[i])
            return (ut_step)i;
        left -= weights[i];
    }
    return UT_STEP_COMMIT;
}

static void take_step(life *l, ut_step step)
{
    ut_workload *w = l->workload;
    w->step = step;
    w->steps_begun += 1;
    switch (step) {
    case UT_STEP_COMMIT:
        w->book.clock_ns += below(l, 60) * UINT64_C(1000000000);
        commit(l, 1 + below(l, w->scenario->requests));
        break;
    case UT_STEP_DELIVER:
        deliver(l);
        break;
    case UT_STEP_MARK:
        deliver(l);
        commit(l, 0);
        break;
    case UT_STEP_TIME:
        w->book.clock_ns += below(l, 90) * minute_ns;
        sweep(l, 1);
        break;
    case UT_STEP_SWEEP:
        sweep(l, SWEEPS_MAX);
        break;
    case UT_STEP_NOTE:
        note_cursor(l);
        break;
    case UT_STEP_CLEAN_SERVICE:
    case UT_STEP_CLEAN_AGE:
    case UT_STEP_COMPACT:
        operate(l);
        break;
    case UT_STEP_REKEY:
        rekey(l);
        break;
    case UT_STEP_OPEN:
    case UT_STEP_RESTART:
    case UT_STEPS:
        restart(l);
        break;
    }
}

void ut_workload_live(ut_workload *workload, uint32_t steps)
{
    life *l = calloc(1, sizeof(*l));
    UT_ASSERT(l != NULL);
    ut_book *book = &workload->book;
    l->workload = workload;
    book->evicts = workload->scenario->bytes_max < 8 * MIB;
    book->evicts_in_order = workload->scenario->evicts_in_order;
    if (book->clock_ns == 0)
        book->clock_ns = start_ns;
    for (unsigned i = 0; i < REQUESTS_MAX; i++)
        ut_batch_init(&l->batches[i], BATCH_BYTES_MAX);
    ut_buf_init(&l->payload, UT_BLOCK_PAYLOAD_MAX);
    if (open_store(l)) {
        ut_book_inspect(book, l->store);
        begin_work(l);
    }
    for (uint32_t i = 0; i < steps && book->problems == 0; i++)
        take_step(l, i == 0 ? UT_STEP_COMMIT : choose_step(l));
    close_store(l);
    if (book->problems == 0 && open_store(l))
        ut_book_inspect(book, l->store);
    close_store(l);
    for (unsigned i = 0; i < REQUESTS_MAX; i++)
        ut_batch_free(&l->batches[i]);
    ut_buf_free(&l->payload);
    free(l);
}
