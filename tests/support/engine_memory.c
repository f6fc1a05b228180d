// The engine in memory and the faulty wrapper; see engine_memory.h.
#include "tests/support/engine_memory.h"

#include "port/base/buf.h"

#include <pthread.h>
#include <stdlib.h>

// ---- records and tables ----

enum { RECORD_OVERHEAD = 32, CHANGES_MIN = 64 };

typedef struct {
    unsigned users; // tables that hold it
    size_t key_len;
    size_t value_len;
    uint8_t bytes[]; // key, then value
} record;

typedef struct {
    unsigned users;
    size_t count;
    size_t cap;
    uint64_t bytes;
    record **records; // in the order of keys
} table;

typedef struct {
    ut_engine base;
    uint64_t bytes_max;
    pthread_mutex_t mutex;
    table *newest;
    bool writing;
} memory_engine;

typedef struct memory_cursor memory_cursor;

typedef struct {
    ut_txn base;
    table *table; // readers: shared; the writer: its own
    bool write;
    ut_err failed;
    uint8_t *lent; // the copy that get handed out, dead at the next get or write
    memory_cursor *cursors;
} memory_txn;

struct memory_cursor {
    ut_cursor base;
    memory_cursor *next;
    size_t at;
    bool placed;
    uint8_t *lent_key; // copies handed out, dead when the cursor is used or the transaction writes
    uint8_t *lent_value;
};

static void *must(void *memory)
{
    UT_ASSERT(memory != NULL);
    return memory;
}

static record *record_new(ut_bytes key, ut_bytes value)
{
    record *made = must(malloc(sizeof *made + key.len + value.len));
    *made = (record){.users = 1, .key_len = key.len, .value_len = value.len};
    memcpy(made->bytes, key.data, key.len);
    if (value.len > 0)
        memcpy(made->bytes + key.len, value.data, value.len);
    return made;
}

static void record_drop(record *old)
{
    if (__atomic_sub_fetch(&old->users, 1, __ATOMIC_ACQ_REL) == 0)
        free(old);
}

static uint64_t record_bytes(const record *r)
{
    return r->key_len + r->value_len + RECORD_OVERHEAD;
}

static table *table_copy(const table *from)
{
    table *made = must(calloc(1, sizeof *made));
    made->users = 1;
    made->count = from->count;
    made->cap = from->count + CHANGES_MIN;
    made->bytes = from->bytes;
    made->records = must(malloc(made->cap * sizeof(record *)));
    for (size_t i = 0; i < from->count; i++) {
        made->records[i] = from->records[i];
        __atomic_add_fetch(&made->records[i]->users, 1, __ATOMIC_RELAXED);
    }
    return made;
}

static void table_drop(table *old)
{
    old->users -= 1;
    if (old->users > 0)
        return;
    for (size_t i = 0; i < old->count; i++)
        record_drop(old->records[i]);
    free(old->records);
    free(old);
}

static int compare(const record *r, ut_bytes key)
{
    size_t len = r->key_len < key.len ? r->key_len : key.len;
    int order = memcmp(r->bytes, key.data, len);
    return order != 0 ? order : (r->key_len > key.len) - (r->key_len < key.len);
}

// The place of the first record that is not before key.
static size_t table_find(const table *t, ut_bytes key, bool *found)
{
    size_t low = 0;
    size_t high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(t->records[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < t->count && compare(t->records[low], key) == 0;
    return low;
}

// ---- the class ----

static void lend_back_get(memory_txn *txn)
{
    free(txn->lent);
    txn->lent = NULL;
}

static void lend_back_cursor(memory_cursor *cursor)
{
    free(cursor->lent_key);
    free(cursor->lent_value);
    cursor->lent_key = NULL;
    cursor->lent_value = NULL;
}

// Before a write: whoever still uses what was lent is found by the sanitizer.
static void lend_back_all(memory_txn *txn)
{
    lend_back_get(txn);
    for (memory_cursor *cursor = txn->cursors; cursor != NULL; cursor = cursor->next)
        lend_back_cursor(cursor);
}

static ut_bytes lend(uint8_t **slot, const uint8_t *data, size_t len)
{
    *slot = must(malloc(len > 0 ? len : 1));
    if (len > 0)
        memcpy(*slot, data, len);
    return (ut_bytes){*slot, len};
}

static void memory_close(ut_engine *base)
{
    memory_engine *engine = (memory_engine *)base;
    // A transaction that a failed test left open keeps its table; the sanitizer then tells.
    table_drop(engine->newest);
    (void)pthread_mutex_destroy(&engine->mutex);
    free(engine);
}

static ut_err memory_begin(ut_engine *base, bool write, ut_txn **out)
{
    memory_engine *engine = (memory_engine *)base;
    memory_txn *txn = must(calloc(1, sizeof *txn));
    txn->base.engine = base;
    txn->write = write;
    (void)pthread_mutex_lock(&engine->mutex);
    UT_ASSERT(!write || !engine->writing);
    if (write) {
        engine->writing = true;
        txn->table = table_copy(engine->newest);
    } else {
        txn->table = engine->newest;
        txn->table->users += 1;
    }
    (void)pthread_mutex_unlock(&engine->mutex);
    *out = &txn->base;
    return UT_OK;
}

static void memory_end(memory_txn *txn, bool keep)
{
    memory_engine *engine = (memory_engine *)txn->base.engine;
    lend_back_all(txn);
    while (txn->cursors != NULL) {
        memory_cursor *cursor = txn->cursors;
        txn->cursors = cursor->next;
        free(cursor);
    }
    (void)pthread_mutex_lock(&engine->mutex);
    if (txn->write)
        engine->writing = false;
    if (keep) {
        table_drop(engine->newest);
        engine->newest = txn->table;
    } else {
        table_drop(txn->table);
    }
    (void)pthread_mutex_unlock(&engine->mutex);
    free(txn);
}

static void memory_abort(ut_txn *base)
{
    memory_end((memory_txn *)base, false);
}

static ut_err memory_commit(ut_txn *base)
{
    memory_txn *txn = (memory_txn *)base;
    ut_err err = txn->write ? txn->failed : UT_EINVAL;
    memory_end(txn, err == UT_OK);
    return err;
}

static ut_err memory_get(ut_txn *base, ut_bytes key, ut_bytes *value)
{
    memory_txn *txn = (memory_txn *)base;
    lend_back_get(txn);
    bool found;
    size_t at = table_find(txn->table, key, &found);
    if (!found)
        return UT_ENOTFOUND;
    const record *r = txn->table->records[at];
    *value = lend(&txn->lent, r->bytes + r->key_len, r->value_len);
    return UT_OK;
}

static ut_err memory_put(ut_txn *base, ut_bytes key, ut_bytes value)
{
    memory_txn *txn = (memory_txn *)base;
    const memory_engine *engine = (const memory_engine *)base->engine;
    UT_ASSERT(txn->write && key.len >= 1 && key.len <= UT_ENGINE_KEY_MAX);
    if (txn->failed != UT_OK)
        return txn->failed;
    record *made = record_new(key, value);
    lend_back_all(txn); // after the copy
    table *t = txn->table;
    bool found;
    size_t at = table_find(t, key, &found);
    uint64_t bytes = t->bytes + record_bytes(made) - (found ? record_bytes(t->records[at]) : 0);
    if (bytes > engine->bytes_max) {
        record_drop(made);
        txn->failed = UT_EFULL;
        return UT_EFULL;
    }
    t->bytes = bytes;
    if (found) {
        record_drop(t->records[at]);
        t->records[at] = made;
        return UT_OK;
    }
    if (t->count == t->cap) {
        t->cap *= 2;
        t->records = must(realloc(t->records, t->cap * sizeof(record *)));
    }
    memmove(t->records + at + 1, t->records + at, (t->count - at) * sizeof(record *));
    t->records[at] = made;
    t->count += 1;
    for (memory_cursor *cursor = txn->cursors; cursor != NULL; cursor = cursor->next)
        cursor->placed = false;
    return UT_OK;
}

static ut_err memory_del(ut_txn *base, ut_bytes key)
{
    memory_txn *txn = (memory_txn *)base;
    UT_ASSERT(txn->write);
    if (txn->failed != UT_OK)
        return txn->failed;
    table *t = txn->table;
    bool found;
    size_t at = table_find(t, key, &found);
    lend_back_all(txn);
    if (!found)
        return UT_ENOTFOUND;
    t->bytes -= record_bytes(t->records[at]);
    record_drop(t->records[at]);
    t->count -= 1;
    memmove(t->records + at, t->records + at + 1, (t->count - at) * sizeof(record *));
    for (memory_cursor *cursor = txn->cursors; cursor != NULL; cursor = cursor->next)
        cursor->placed = false;
    return UT_OK;
}

static ut_err memory_cursor_open(ut_txn *base, ut_cursor **out)
{
    memory_txn *txn = (memory_txn *)base;
    memory_cursor *cursor = must(calloc(1, sizeof *cursor));
    cursor->base.txn = base;
    cursor->next = txn->cursors;
    txn->cursors = cursor;
    *out = &cursor->base;
    return UT_OK;
}

static void memory_cursor_close(ut_cursor *base)
{
    memory_txn *txn = (memory_txn *)base->txn;
    lend_back_cursor((memory_cursor *)base);
    for (memory_cursor **at = &txn->cursors; *at != NULL; at = &(*at)->next) {
        if (&(*at)->base == base) {
            *at = (*at)->next;
            break;
        }
    }
    free(base);
}

static ut_err give(memory_cursor *cursor, ut_bytes *found_key, ut_bytes *value)
{
    const memory_txn *txn = (const memory_txn *)cursor->base.txn;
    lend_back_cursor(cursor);
    const record *r = txn->table->records[cursor->at];
    *found_key = lend(&cursor->lent_key, r->bytes, r->key_len);
    *value = lend(&cursor->lent_value, r->bytes + r->key_len, r->value_len);
    cursor->placed = true;
    return UT_OK;
}

static ut_err memory_seek(ut_cursor *base, ut_bytes key, bool reverse, ut_bytes *found_key,
                          ut_bytes *value)
{
    memory_cursor *cursor = (memory_cursor *)base;
    const table *t = ((memory_txn *)base->txn)->table;
    bool found;
    size_t at = table_find(t, key, &found);
    if (reverse && !found) {
        if (at == 0)
            return UT_ENOTFOUND;
        at -= 1;
    }
    if (at == t->count)
        return UT_ENOTFOUND;
    cursor->at = at;
    return give(cursor, found_key, value);
}

static ut_err memory_step(ut_cursor *base, bool reverse, ut_bytes *found_key, ut_bytes *value)
{
    memory_cursor *cursor = (memory_cursor *)base;
    const table *t = ((memory_txn *)base->txn)->table;
    UT_ASSERT(cursor->placed); // a write ended the position: the caller has to seek again
    if (reverse ? cursor->at == 0 : cursor->at + 1 >= t->count)
        return UT_ENOTFOUND;
    cursor->at = reverse ? cursor->at - 1 : cursor->at + 1;
    return give(cursor, found_key, value);
}

static ut_err memory_room(ut_engine *base, ut_engine_room *room)
{
    const memory_engine *engine = (const memory_engine *)base;
    *room = (ut_engine_room){
        .bytes_max = engine->bytes_max,
        .bytes_used = engine->newest->bytes,
        .bytes_ready = engine->bytes_max - engine->newest->bytes,
        .bytes_file = engine->newest->bytes,
        .write_reserve = 1024,
        .touch_bytes = RECORD_OVERHEAD,
        .page_bytes = 64,
    };
    return UT_OK;
}

static const ut_engine_class memory_class = {
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .abort = memory_abort,
    .get = memory_get,
    .put = memory_put,
    .del = memory_del,
    .cursor_open = memory_cursor_open,
    .cursor_close = memory_cursor_close,
    .seek = memory_seek,
    .step = memory_step,
    .room = memory_room,
};

ut_engine *ut_engine_memory_open(uint64_t bytes_max)
{
    memory_engine *engine = must(calloc(1, sizeof *engine));
    engine->base.class = &memory_class;
    engine->base.value_bytes_best = 1000; // small, so that values in pieces are common
    engine->base.value_bytes_long = 8000;
    engine->bytes_max = bytes_max;
    UT_ASSERT(pthread_mutex_init(&engine->mutex, NULL) == 0);
    table empty = {0};
    engine->newest = table_copy(&empty);
    return &engine->base;
}

ut_engine *ut_engine_memory_clone(const ut_engine *base)
{
    const memory_engine *from = (const memory_engine *)base;
    UT_ASSERT(base->class == &memory_class);
    memory_engine *engine = (memory_engine *)ut_engine_memory_open(from->bytes_max);
    table_drop(engine->newest);
    engine->newest = table_copy(from->newest);
    return &engine->base;
}

// ---- faults ----

typedef struct {
    ut_engine base;
    ut_engine *inner;
    ut_faults *faults;
} faulty_engine;

typedef struct faulty_cursor faulty_cursor;

typedef struct {
    ut_txn base;
    ut_txn *inner;
    ut_err failed;
    faulty_cursor *cursors;
} faulty_txn;

struct faulty_cursor {
    ut_cursor base;
    ut_cursor *inner;
    faulty_cursor *next;
};

// True when this call is to fail.
static bool strike(ut_engine *base)
{
    ut_faults *faults = ((faulty_engine *)base)->faults;
    uint64_t call = __atomic_add_fetch(&faults->calls, 1, __ATOMIC_RELAXED);
    return faults->fail_at != 0 &&
           (call == faults->fail_at || (faults->fail_after && call > faults->fail_at));
}

static ut_err struck(const ut_engine *base)
{
    return ((const faulty_engine *)base)->faults->err;
}

static ut_engine *inner_of(ut_engine *base)
{
    return ((faulty_engine *)base)->inner;
}

static void faulty_close(ut_engine *base)
{
    ut_engine *inner = inner_of(base);
    ut_engine_close(inner);
    free(base);
}

static ut_err faulty_begin(ut_engine *base, bool write, ut_txn **out)
{
    if (strike(base))
        return struck(base);
    ut_txn *inner;
    ut_err err = ut_engine_begin(inner_of(base), write, &inner);
    if (err != UT_OK)
        return err;
    faulty_txn *txn = must(calloc(1, sizeof *txn));
    txn->base.engine = base;
    txn->inner = inner;
    *out = &txn->base;
    return UT_OK;
}

static void faulty_end(faulty_txn *txn)
{
    while (txn->cursors != NULL) {
        faulty_cursor *cursor = txn->cursors;
        txn->cursors = cursor->next;
        free(cursor);
    }
    free(txn);
}

static void faulty_abort(ut_txn *base)
{
    ut_txn_abort(((faulty_txn *)base)->inner);
    faulty_end((faulty_txn *)base);
}

static ut_err faulty_commit(ut_txn *base)
{
    faulty_txn *txn = (faulty_txn *)base;
    ut_err err = txn->failed;
    bool stores = true;
    if (strike(base->engine)) {
        err = struck(base->engine);
        stores = ((const faulty_engine *)base->engine)->faults->in_doubt;
    }
    if (err != UT_OK && (txn->failed != UT_OK || !stores)) {
        faulty_abort(base);
        return err;
    }
    ut_err inner_err = ut_txn_commit(txn->inner);
    faulty_end(txn);
    return err != UT_OK ? err : inner_err;
}

static ut_err faulty_get(ut_txn *base, ut_bytes key, ut_bytes *value)
{
    return strike(base->engine) ? struck(base->engine)
                                : ut_txn_get(((faulty_txn *)base)->inner, key, value);
}

static ut_err faulty_put(ut_txn *base, ut_bytes key, ut_bytes value)
{
    faulty_txn *txn = (faulty_txn *)base;
    if (txn->failed == UT_OK && strike(base->engine))
        txn->failed = struck(base->engine);
    return txn->failed != UT_OK ? txn->failed : ut_txn_put(txn->inner, key, value);
}

static ut_err faulty_del(ut_txn *base, ut_bytes key)
{
    faulty_txn *txn = (faulty_txn *)base;
    if (txn->failed == UT_OK && strike(base->engine))
        txn->failed = struck(base->engine);
    return txn->failed != UT_OK ? txn->failed : ut_txn_del(txn->inner, key);
}

static ut_err faulty_cursor_open(ut_txn *base, ut_cursor **out)
{
    if (strike(base->engine))
        return struck(base->engine);
    ut_cursor *inner;
    ut_err err = ut_txn_cursor(((faulty_txn *)base)->inner, &inner);
    if (err != UT_OK)
        return err;
    faulty_cursor *cursor = must(calloc(1, sizeof *cursor));
    cursor->base.txn = base;
    cursor->inner = inner;
    cursor->next = ((faulty_txn *)base)->cursors;
    ((faulty_txn *)base)->cursors = cursor;
    *out = &cursor->base;
    return UT_OK;
}

static void faulty_cursor_close(ut_cursor *base)
{
    faulty_txn *txn = (faulty_txn *)base->txn;
    for (faulty_cursor **at = &txn->cursors; *at != NULL; at = &(*at)->next) {
        if (&(*at)->base == base) {
            *at = (*at)->next;
            break;
        }
    }
    ut_cursor_close(((faulty_cursor *)base)->inner);
    free(base);
}

static ut_err faulty_seek(ut_cursor *base, ut_bytes key, bool reverse, ut_bytes *found_key,
                          ut_bytes *value)
{
    ut_cursor *inner = ((faulty_cursor *)base)->inner;
    return strike(base->txn->engine)
               ? struck(base->txn->engine)
               : inner->txn->engine->class->seek(inner, key, reverse, found_key, value);
}

static ut_err faulty_step(ut_cursor *base, bool reverse, ut_bytes *found_key, ut_bytes *value)
{
    ut_cursor *inner = ((faulty_cursor *)base)->inner;
    return strike(base->txn->engine)
               ? struck(base->txn->engine)
               : inner->txn->engine->class->step(inner, reverse, found_key, value);
}

static ut_err faulty_room(ut_engine *base, ut_engine_room *room)
{
    ut_engine *inner = inner_of(base);
    return strike(base) ? struck(base) : ut_engine_get_room(inner, room);
}

static ut_err faulty_compact(ut_engine *base, ut_engine_compaction *progress, ut_fault *fault)
{
    ut_engine *inner = inner_of(base);
    if (inner->class->compact == NULL)
        return ut_fault_set(fault, UT_EINVAL, "the engine within cannot compact");
    if (!strike(base))
        return ut_engine_compact(inner, progress, fault);
    ut_engine_compact_stop(inner);
    return ut_fault_set(fault, struck(base), "a fault on demand");
}

static void faulty_compact_stop(ut_engine *base)
{
    ut_engine *inner = inner_of(base);
    if (inner->class->compact_stop != NULL)
        ut_engine_compact_stop(inner);
}

static const ut_engine_class faulty_class = {
    .close = faulty_close,
    .begin = faulty_begin,
    .commit = faulty_commit,
    .abort = faulty_abort,
    .get = faulty_get,
    .put = faulty_put,
    .del = faulty_del,
    .cursor_open = faulty_cursor_open,
    .cursor_close = faulty_cursor_close,
    .seek = faulty_seek,
    .step = faulty_step,
    .room = faulty_room,
    .compact = faulty_compact,
    .compact_stop = faulty_compact_stop,
};

ut_engine *ut_engine_faulty_wrap(ut_engine *inner, ut_faults *faults)
{
    faulty_engine *engine = must(calloc(1, sizeof *engine));
    engine->base.class = &faulty_class;
    engine->base.value_bytes_best = inner->value_bytes_best;
    engine->base.value_bytes_long = inner->value_bytes_long;
    engine->inner = inner;
    engine->faults = faults;
    return &engine->base;
}

void ut_engine_dump(ut_engine *engine, uint8_t **data, size_t *len)
{
    ut_buf out;
    ut_buf_init(&out, SIZE_MAX / 4);
    ut_txn *txn;
    ut_cursor *cursor;
    UT_ASSERT(ut_engine_begin(engine, false, &txn) == UT_OK);
    UT_ASSERT(ut_txn_cursor(txn, &cursor) == UT_OK);
    ut_bytes key;
    ut_bytes value;
    static const uint8_t first[1] = {0};
    for (ut_err err = ut_cursor_seek(cursor, (ut_bytes){first, 1}, &key, &value);
         err != UT_ENOTFOUND; err = ut_cursor_next(cursor, &key, &value)) {
        UT_ASSERT(err == UT_OK);
        uint8_t lengths[8];
        ut_put_be32(lengths, (uint32_t)key.len);
        ut_put_be32(lengths + 4, (uint32_t)value.len);
        ut_buf_add(&out, lengths, sizeof lengths);
        ut_buf_add_bytes(&out, key);
        ut_buf_add_bytes(&out, value);
    }
    ut_txn_abort(txn);
    UT_ASSERT(out.err == UT_OK);
    *data = out.data;
    *len = out.len;
}
