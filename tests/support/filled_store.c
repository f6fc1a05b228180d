// Appends realistic batches one block at a time and remembers their span ids.
#include "tests/support/filled_store.h"

#include "storage/store/key.h"
#include "storage/store/block_store.h"
#include "storage/store/record.h"
#include "tests/support/random_span.h"

#include <stdlib.h>

enum { BUDGET = 64 * 1024 * 1024, BLOCK_SPANS_MAX = 200 };

static const uint64_t start_ns = UINT64_C(1700000000000000000);

typedef struct {
    uint8_t span_id[UT_SPAN_ID_LEN];
    uint64_t seq;
    uint32_t ordinal;
    size_t place;
} place;

struct ut_filled_store {
    ut_store *store;
    ut_batch batch;
    uint64_t seed;
    place *places; // in order
    place *by_id;  // sorted when sorted is set
    size_t count;
    bool sorted;
};

#define MUST(call) UT_ASSERT((call) == UT_OK)

ut_filled_store *ut_filled_store_open(ut_engine *engine)
{
    ut_filled_store *filled = calloc(1, sizeof *filled);
    UT_ASSERT(filled != NULL);
    filled->places = calloc(UT_FILLED_SPANS_MAX, sizeof *filled->places);
    filled->by_id = calloc(UT_FILLED_SPANS_MAX, sizeof *filled->by_id);
    UT_ASSERT(filled->places != NULL && filled->by_id != NULL);
    ut_store_config config = {.bytes_max = BUDGET};
    MUST(ut_store_open(engine, &config, &filled->store, NULL));
    ut_batch_init(&filled->batch, BUDGET);
    return filled;
}

void ut_filled_store_close(ut_filled_store *filled)
{
    ut_store_close(filled->store);
    ut_batch_free(&filled->batch);
    free(filled->places);
    free(filled->by_id);
    free(filled);
}

ut_store *ut_filled_store_store(ut_filled_store *filled)
{
    return filled->store;
}

ut_engine *ut_filled_store_engine(ut_filled_store *filled)
{
    return ut_store_engine(filled->store);
}

uint32_t ut_filled_store_destination(ut_filled_store *filled, const char *name_z)
{
    uint32_t dest = 0;
    MUST(ut_store_add_destination(filled->store, UT_FILLED_ORG, name_z, &dest));
    return dest;
}

uint64_t ut_filled_store_append(ut_filled_store *filled, uint32_t spans, uint64_t ttl_ms)
{
    UT_ASSERT(spans >= 1 && spans <= BLOCK_SPANS_MAX &&
              filled->count + spans <= UT_FILLED_SPANS_MAX);
    ut_batch_reset(&filled->batch, BUDGET);
    ut_realistic_batch(++filled->seed, spans, start_ns, &filled->batch);
    ut_store_append append = {
        .org = UT_FILLED_ORG,
        .ttl_ms = ttl_ms,
        .batch = &filled->batch,
    };
    uint64_t before = ut_store_last_seq(filled->store);
    MUST(ut_store_commit(filled->store, start_ns, &append, 1, NULL, 0));
    uint64_t seq = ut_store_last_seq(filled->store);
    UT_ASSERT(seq == before + 1 && append.stored == spans);
    for (uint32_t i = 0; i < spans; i++) {
        place *p = &filled->places[filled->count];
        memcpy(p->span_id, ut_batch_spans(&filled->batch)[i].span_id, UT_SPAN_ID_LEN);
        p->seq = seq;
        p->ordinal = i;
        p->place = filled->count++;
    }
    filled->sorted = false;
    return seq;
}

uint64_t ut_filled_store_last_seq(const ut_filled_store *filled)
{
    return ut_store_last_seq(filled->store);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(((const place *)a)->span_id, ((const place *)b)->span_id, UT_SPAN_ID_LEN);
}

size_t ut_filled_store_find(const ut_filled_store *filled, const uint8_t span_id[UT_SPAN_ID_LEN])
{
    // Sorted behind the caller's back: the answers stay the same.
    ut_filled_store *mutable = (ut_filled_store *)(uintptr_t)filled;
    if (!filled->sorted) {
        memcpy(mutable->by_id, filled->places, filled->count * sizeof *filled->places);
        qsort(mutable->by_id, filled->count, sizeof *filled->by_id, compare_ids);
        mutable->sorted = true;
    }
    place key = {.seq = 0};
    memcpy(key.span_id, span_id, UT_SPAN_ID_LEN);
    const place *found =
        bsearch(&key, filled->by_id, filled->count, sizeof *filled->by_id, compare_ids);
    return found != NULL ? found->place : SIZE_MAX;
}

uint64_t ut_filled_store_seq_of(const ut_filled_store *filled, size_t at)
{
    return filled->places[at].seq;
}

uint32_t ut_filled_store_ordinal_of(const ut_filled_store *filled, size_t at)
{
    return filled->places[at].ordinal;
}

size_t ut_filled_store_count(const ut_filled_store *filled)
{
    return filled->count;
}

void ut_filled_store_mark(ut_filled_store *filled, const ut_delivery *mark)
{
    MUST(ut_store_commit(filled->store, start_ns, NULL, 0, mark, 1));
}

bool ut_filled_store_entry(ut_filled_store *filled, uint32_t dest, uint64_t seq, ut_delivery *entry)
{
    ut_engine *engine = ut_store_engine(filled->store);
    ut_txn *txn = NULL;
    MUST(engine->class->begin(engine, false, &txn));
    ut_key key = ut_key_delivery(UT_FILLED_ORG, dest, seq);
    ut_bytes value;
    ut_err err = engine->class->get(txn, ut_key_bytes(&key), &value);
    if (err == UT_OK)
        MUST(ut_record_read_delivery(value, entry));
    engine->class->abort(txn);
    return err == UT_OK;
}

ut_store_destination_counts ut_filled_store_counts(ut_filled_store *filled, uint32_t dest)
{
    ut_store_destination rows[UT_STORE_DESTINATIONS_MAX];
    size_t count = ut_store_get_destinations(filled->store, rows, UT_STORE_DESTINATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].dest == dest)
            return rows[i].counts;
    }
    ut_panic(__FILE__, __LINE__, "a destination of ours");
}

void ut_filled_store_sweep(ut_filled_store *filled, uint64_t now_ns)
{
    bool more = true;
    while (more)
        MUST(ut_store_sweep(filled->store, now_ns, &more));
}

void ut_filled_store_damage(ut_filled_store *filled, uint64_t seq)
{
    ut_engine *engine = ut_store_engine(filled->store);
    ut_txn *txn = NULL;
    MUST(engine->class->begin(engine, true, &txn));
    ut_key key = ut_key_piece(UT_FILLED_ORG, seq, UT_BLOCK_STORE_SEALED_FROM);
    ut_bytes value;
    MUST(engine->class->get(txn, ut_key_bytes(&key), &value));
    uint8_t *copy = malloc(value.len);
    UT_ASSERT(copy != NULL);
    memcpy(copy, value.data, value.len);
    copy[value.len / 2] ^= 0x55;
    MUST(engine->class->put(txn, ut_key_bytes(&key), ut_bytes_of(copy, value.len)));
    MUST(engine->class->commit(txn));
    free(copy);
}
