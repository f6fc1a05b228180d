// Tests of the encrypted store: what a key opens and what it does not, what can be read in the file
// without it, and new keys. The parts have tests of their own: test_cipher, test_keyring,
// test_block.
#include "storage/store/key.h"
#include "storage/store/keyring.h"
#include "storage/store/block_store.h"
#include "storage/query/query.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { BUDGET = 32 * 1024 * 1024 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);
static const uint64_t hour_ns = UINT64_C(3600000000000);
static const uint8_t key_a[UT_CIPHER_KEY_LEN] = {1};
static const uint8_t key_b[UT_CIPHER_KEY_LEN] = {2};

// ---- helpers ----

static ut_err try_open(ut_engine *engine, const uint8_t *key, ut_store **store, ut_fault *fault)
{
    ut_store_config config = {.bytes_max = BUDGET,
                              .ttl_ms = 3600000,
                              .master_key = key,
                              .master_key_name_z = "/etc/untrace/key"};
    *fault = (ut_fault){0};
    return ut_store_open(engine, &config, store, fault);
}

static ut_store *open_with(ut_engine *engine, const uint8_t *key)
{
    ut_store *store = NULL;
    ut_fault fault;
    if (try_open(engine, key, &store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return store;
}

static void commit_batch_for(ut_store *store, const ut_batch *batch, uint64_t ttl_ms)
{
    ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = ttl_ms, .batch = batch};
    assert_int_equal(ut_store_commit(store, now_ns, &append, 1, NULL, 0), UT_OK);
}

static void commit_batch(ut_store *store, const ut_batch *batch)
{
    commit_batch_for(store, batch, 0);
}

// One block of one trace, of the service "service-N", with root span "root-N".
static void commit_trace_for(ut_store *store, uint32_t trace, uint64_t ttl_ms)
{
    char service_z[32];
    char name_z[32];
    (void)snprintf(service_z, sizeof service_z, "service-%u", trace);
    (void)snprintf(name_z, sizeof name_z, "root-%u", trace);
    ut_test_span spans[2] = {{.trace = trace,
                              .span = 1,
                              .start_ns = now_ns + trace,
                              .name_z = name_z,
                              .service_z = service_z},
                             {.trace = trace, .span = 2, .parent = 1, .start_ns = now_ns + trace}};
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    ut_test_batch(&batch, spans, 2);
    commit_batch_for(store, &batch, ttl_ms);
    ut_batch_free(&batch);
}

static void commit_trace(ut_store *store, uint32_t trace)
{
    commit_trace_for(store, trace, 0);
}

static ut_err read_block(ut_store *store, uint64_t seq, ut_block_info *info)
{
    ut_store_view *view;
    ut_buf payload;
    ut_block block = {0};
    ut_buf_init(&payload, BUDGET);
    assert_int_equal(ut_store_view_open(ut_store_engine(store), &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    ut_err err = ut_store_read_block(view, UT_ORG_DEFAULT, seq, &payload, &block);
    *info = block.info;
    ut_store_view_close(view);
    ut_buf_free(&payload);
    return err;
}

static uint32_t key_of_block(ut_store *store, uint64_t seq)
{
    ut_block_info info;
    assert_int_equal(read_block(store, seq, &info), UT_OK);
    return info.key_id;
}

static void assert_all_readable(ut_store *store, uint32_t blocks)
{
    ut_verify_report report = ut_store_check(ut_store_engine(store));
    assert_int_equal(report.blocks, blocks);
    assert_int_equal(report.problems, 0);
}

static bool holds(const uint8_t *data, size_t len, const char *text_z)
{
    size_t text_len = strlen(text_z);
    for (size_t i = 0; i + text_len <= len; i++) {
        if (memcmp(data + i, text_z, text_len) == 0)
            return true;
    }
    return false;
}

static bool file_holds(const char *dir_z, const char *text_z)
{
    char path_z[UT_TEMP_PATH_MAX + 16];
    (void)snprintf(path_z, sizeof path_z, "%s/store.mdb", dir_z);
    FILE *file = fopen(path_z, "rb");
    assert_non_null(file);
    uint8_t *bytes = malloc(BUDGET);
    size_t len = fread(bytes, 1, BUDGET, file);
    (void)fclose(file);
    bool found = holds(bytes, len, text_z);
    free(bytes);
    return found;
}

// ---- what is in the file ----

// A span with a known text in everything that may carry one.
static void add_telling_span(ut_batch *batch)
{
    size_t begin = batch->resource_bytes.len;
    ut_resource_write_head(&batch->resource_bytes);
    ut_mp_put_map(&batch->resource_bytes, 2);
    ut_mp_put_str(&batch->resource_bytes, UT_BYTES_LIT("service.name"));
    ut_mp_put_str(&batch->resource_bytes, UT_BYTES_LIT("zebraKiosk"));
    ut_mp_put_str(&batch->resource_bytes, UT_BYTES_LIT("resKeyOmega"));
    ut_mp_put_str(&batch->resource_bytes, UT_BYTES_LIT("valueKappaR"));
    ut_resource_write_tail(&batch->resource_bytes, &(ut_resource){0});
    uint32_t resource = ut_batch_end_resource(batch, begin);
    begin = batch->scope_bytes.len;
    ut_scope_write_head(&batch->scope_bytes, &(ut_scope){.name = UT_BYTES_LIT("scopeLambda")});
    ut_mp_put_map(&batch->scope_bytes, 0);
    ut_scope_write_tail(&batch->scope_bytes, &(ut_scope){0});
    uint32_t scope = ut_batch_end_scope(batch, begin, resource);
    ut_span span = {.trace_id = UT_BYTES_LIT("0123456789abcdef"),
                    .span_id = UT_BYTES_LIT("01234567"),
                    .name = UT_BYTES_LIT("spanSigma"),
                    .status_code = 2,
                    .status_message = UT_BYTES_LIT("msgUpsilon"),
                    .trace_state = UT_BYTES_LIT("trstTheta"),
                    .start_ns = now_ns,
                    .end_ns = now_ns + 5};
    ut_buf *out = &batch->span_bytes;
    begin = out->len;
    ut_span_write_head(out, &span);
    ut_mp_put_map(out, 1);
    ut_mp_put_str(out, UT_BYTES_LIT("attrkXi"));
    ut_mp_put_str(out, UT_BYTES_LIT("worthPsi"));
    ut_mp_put_array(out, 0);
    ut_mp_put_array(out, 0);
    ut_span_write_rare(out, &span);
    ut_batch_end_span(batch, begin, scope, &span);
    assert_int_equal(ut_batch_error(batch), UT_OK);
}

static void the_file_tells_no_text_of_spans_and_answers(void **state)
{
    (void)state;
    // Nothing that repeats, which LZ4 would leave out.
    static const char *const texts[] = {"zebraKiosk", "resKeyOmega", "valueKappaR", "scopeLambda",
                                        "spanSigma",  "msgUpsilon",  "trstTheta",   "attrkXi",
                                        "worthPsi",   "reasonRho"};
    for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
        char dir_z[UT_TEMP_PATH_MAX];
        ut_temp_dir_make(dir_z);
        ut_engine_config config = {.dir_z = dir_z, .bytes_max = BUDGET};
        ut_engine *engine;
        ut_fault fault;
        assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_OK);
        ut_store *store = open_with(engine, encrypted == 1 ? key_a : NULL);
        uint32_t dest;
        assert_int_equal(ut_store_add_destination(store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
        ut_batch batch;
        ut_batch_init(&batch, BUDGET);
        add_telling_span(&batch);
        commit_batch(store, &batch);
        ut_batch_free(&batch);
        ut_delivery marks[] = {{.org = UT_ORG_DEFAULT,
                                .dest = dest,
                                .seq = 1,
                                .attempts = 1,
                                .http_status = 503,
                                .reason_z = "reasonRho"},
                               {.org = UT_ORG_DEFAULT,
                                .dest = dest,
                                .seq = 1,
                                .state = UT_DELIVERY_DEAD,
                                .http_status = 400,
                                .reason_z = "reasonRho"}};
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(ut_store_commit(store, now_ns, NULL, 0, &marks[i], 1), UT_OK);
        assert_all_readable(store, 1);
        ut_store_close(store);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            // Without a key each of them is there, so that the search is known to find.
            if (file_holds(dir_z, texts[i]) != (encrypted == 0))
                fail_msg("%s: %s", encrypted == 1 ? "encrypted" : "plain", texts[i]);
        }
        ut_temp_dir_remove(dir_z);
    }
}

// ---- opening ----

static void spans_come_back_after_a_restart_with_the_key(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store *store = open_with(engine, key_a);
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    ut_realistic_batch(5, 2000, now_ns, &batch);
    commit_batch(store, &batch);
    ut_batch_free(&batch);
    ut_engine *copy = ut_engine_memory_clone(engine);
    ut_store_close(store);
    store = open_with(copy, key_a);
    ut_verify_report report = ut_store_check(copy);
    assert_int_equal(report.spans, 2000);
    assert_true(report.blocks >= 4);
    for (uint64_t seq = 1; seq <= ut_store_last_seq(store); seq++)
        assert_int_equal(key_of_block(store, seq), 1);
    ut_store_close(store);
}

static void a_wrong_key_and_none_are_refused_by_name(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_engine *again = ut_engine_memory_clone(engine);
    ut_store *store = open_with(engine, key_a);
    commit_trace(store, 1);
    ut_engine *copies[2] = {ut_engine_memory_clone(engine), ut_engine_memory_clone(engine)};
    ut_store_close(store);
    ut_fault fault;
    assert_int_equal(try_open(copies[0], key_b, &store, &fault), UT_EPERM);
    assert_string_equal(fault.text_z,
                        "the key in /etc/untrace/key is not the one this store was encrypted with");
    assert_int_equal(try_open(copies[1], NULL, &store, &fault), UT_EPERM);
    assert_non_null(strstr(fault.text_z, "the store is encrypted, and no key was given"));
    ut_engine_close(again);
}

static void a_damaged_record_of_keys_is_not_a_wrong_key(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store *store = open_with(engine, key_a);
    ut_engine *copy = ut_engine_memory_clone(engine);
    ut_store_close(store);
    ut_txn *txn;
    ut_key key = ut_key_meta(UT_KEYRING_NAME);
    ut_bytes value;
    uint8_t bytes[512];
    assert_int_equal(ut_engine_begin(copy, true, &txn), UT_OK);
    assert_int_equal(ut_txn_get(txn, ut_key_bytes(&key), &value), UT_OK);
    assert_true(value.len < sizeof bytes);
    memcpy(bytes, value.data, value.len);
    bytes[value.len / 2] ^= 1;
    size_t len = value.len;
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), (ut_bytes){bytes, len}), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_fault fault;
    assert_int_equal(try_open(copy, key_a, &store, &fault), UT_ECORRUPT);
    assert_non_null(strstr(fault.text_z, "damaged"));
}

typedef struct {
    char line_z[512];
} last_line;

static void keep_line(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)level;
    last_line *last = context;
    (void)snprintf(last->line_z, sizeof last->line_z, "%.*s", (int)len, line);
}

static void a_plain_store_is_encrypted_from_the_first_opening_with_a_key(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store *store = open_with(engine, NULL);
    commit_trace(store, 1);
    commit_trace(store, 2);
    ut_engine *copy = ut_engine_memory_clone(engine);
    ut_store_close(store);
    last_line last = {""};
    ut_log log = {.write = keep_line, .context = &last, .level = UT_LOG_DEBUG};
    ut_store_config config = {.bytes_max = BUDGET, .master_key = key_a, .log = &log};
    ut_fault fault;
    assert_int_equal(ut_store_open(copy, &config, &store, &fault), UT_OK);
    assert_non_null(strstr(last.line_z, "encrypted from block 3 on"));
    commit_trace(store, 3);
    assert_int_equal(key_of_block(store, 1), 0);
    assert_int_equal(key_of_block(store, 2), 0);
    assert_int_equal(key_of_block(store, 3), 1);
    assert_all_readable(store, 3);
    copy = ut_engine_memory_clone(copy);
    ut_store_close(store);
    // And says so once only.
    last.line_z[0] = '\0';
    assert_int_equal(ut_store_open(copy, &config, &store, &fault), UT_OK);
    assert_string_equal(last.line_z, "");
    ut_store_close(store);
}

static void turning_encryption_on_survives_every_failing_call(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store *store = open_with(engine, NULL);
    commit_trace(store, 1);
    ut_err err = UT_EIO;
    for (uint64_t n = 1; err != UT_OK; n++) {
        assert_true(n < 100);
        ut_faults faults = {.fail_at = n, .err = UT_EIO};
        ut_engine *inner = ut_engine_memory_clone(engine);
        ut_engine *wrapped = ut_engine_faulty_wrap(inner, &faults);
        ut_store *tried = NULL;
        ut_fault fault;
        err = try_open(wrapped, key_a, &tried, &fault);
        if (err == UT_OK)
            ut_store_close(tried);
        else
            assert_true(err == UT_EIO && fault.text_z[0] != '\0');
    }
    ut_store_close(store);
}

// ---- blocks ----

static void a_block_in_the_place_of_another_does_not_open(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store *store = open_with(engine, key_a);
    commit_trace(store, 1);
    commit_trace(store, 2);
    ut_txn *txn;
    ut_cursor *cursor;
    ut_buf first, second;
    ut_buf_init(&first, BUDGET);
    ut_buf_init(&second, BUDGET);
    assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    assert_int_equal(ut_block_store_get(cursor, UT_ORG_DEFAULT, 1, &first), UT_OK);
    assert_int_equal(ut_block_store_get(cursor, UT_ORG_DEFAULT, 2, &second), UT_OK);
    ut_cursor_close(cursor);
    assert_int_equal(ut_block_store_put(txn, UT_ORG_DEFAULT, 1, ut_buf_bytes(&second), 1000),
                     UT_OK);
    assert_int_equal(ut_block_store_put(txn, UT_ORG_DEFAULT, 2, ut_buf_bytes(&first), 1000), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_block_info info;
    assert_int_equal(read_block(store, 1, &info), UT_ECORRUPT);
    assert_int_equal(read_block(store, 2, &info), UT_ECORRUPT);
    ut_buf_free(&first);
    ut_buf_free(&second);
    ut_store_close(store);
}

// ---- listing ----

typedef struct {
    uint32_t rows;
    uint32_t named; // with the names that the trace was given
} listing;

static ut_err count_row(void *context, const ut_trace_row *row)
{
    listing *list = context;
    list->rows += 1;
    for (uint32_t trace = 1; trace < 10; trace++) {
        uint8_t id[UT_TRACE_ID_LEN];
        char name_z[32];
        char service_z[32];
        ut_test_trace_id(trace, id);
        (void)snprintf(name_z, sizeof name_z, "root-%u", trace);
        (void)snprintf(service_z, sizeof service_z, "service-%u", trace);
        if (memcmp(id, row->trace_id, sizeof id) == 0 &&
            ut_bytes_equal(row->name, ut_bytes_of_z(name_z)) &&
            ut_bytes_equal(row->service, ut_bytes_of_z(service_z)))
            list->named += 1;
    }
    return UT_OK;
}

static listing list_of(ut_store *store)
{
    listing list = {0};
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(ut_store_engine(store), &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_query_traces(view, UT_ORG_DEFAULT, 100, count_row, &list), UT_OK);
    ut_store_view_close(view);
    return list;
}

static void a_listing_names_its_traces_from_their_blocks(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store *store = open_with(engine, NULL);
    commit_trace(store, 1); // its record tells the names
    ut_engine *copy = ut_engine_memory_clone(engine);
    ut_store_close(store);
    store = open_with(copy, key_a);
    for (uint32_t trace = 2; trace < 6; trace++)
        commit_trace(store, trace);
    listing list = list_of(store);
    assert_int_equal(list.rows, 5);
    assert_int_equal(list.named, 5);
    ut_store_close(store);
}

// ---- new keys ----

static void a_data_key_serves_its_number_of_blocks(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store_config config = {.bytes_max = BUDGET, .master_key = key_a, .blocks_per_key = 6};
    ut_store *store;
    ut_fault fault;
    assert_int_equal(ut_store_open(engine, &config, &store, &fault), UT_OK);
    uint32_t last = 0;
    for (uint32_t trace = 1; trace <= 20; trace++) {
        commit_trace(store, trace);
        uint32_t id = key_of_block(store, trace);
        assert_true(id == last || id == last + 1);
        last = id;
    }
    assert_true(last >= 4);
    assert_all_readable(store, 20);
    ut_engine *copy = ut_engine_memory_clone(engine);
    ut_store_close(store);
    store = open_with(copy, key_a);
    assert_all_readable(store, 20);
    ut_store_close(store);
}

static void rekeying_shuts_the_old_key_out_and_keeps_every_block(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_store *store = open_with(engine, key_a);
    ut_fault fault;
    commit_trace(store, 1);
    assert_int_equal(ut_store_rekey(store, key_b, &fault), UT_OK);
    commit_trace(store, 2);
    assert_int_equal(key_of_block(store, 1), 1);
    assert_int_equal(key_of_block(store, 2), 2);
    assert_all_readable(store, 2);
    ut_engine *copies[2] = {ut_engine_memory_clone(engine), ut_engine_memory_clone(engine)};
    ut_store_close(store);
    assert_int_equal(try_open(copies[0], key_a, &store, &fault), UT_EPERM);
    store = open_with(copies[1], key_b);
    commit_trace(store, 3);
    assert_int_equal(key_of_block(store, 3), 2);
    assert_all_readable(store, 3);
    ut_store_close(store);
}

static void a_plain_store_has_no_key_to_change(void **state)
{
    (void)state;
    ut_store *store = open_with(ut_engine_memory_open(BUDGET), NULL);
    ut_fault fault;
    assert_int_equal(ut_store_rekey(store, key_b, &fault), UT_EINVAL);
    assert_non_null(strstr(fault.text_z, "not encrypted"));
    ut_store_close(store);
}

// Opens a copy as after a kill; true when the key opens it and every block can be read.
static bool opens(const ut_engine *engine, const uint8_t *key, uint32_t blocks)
{
    ut_store *store = NULL;
    ut_fault fault;
    if (try_open(ut_engine_memory_clone(engine), key, &store, &fault) != UT_OK)
        return false;
    assert_all_readable(store, blocks);
    ut_store_close(store);
    return true;
}

static void rekeying_that_fails_anywhere_leaves_one_valid_key(void **state)
{
    (void)state;
    for (unsigned in_doubt = 0; in_doubt < 2; in_doubt++) {
        ut_faults faults = {0};
        ut_engine *memory = ut_engine_memory_open(BUDGET);
        ut_store *store = open_with(ut_engine_faulty_wrap(memory, &faults), key_a);
        ut_fault fault;
        uint32_t blocks = 2;
        commit_trace(store, 1);
        commit_trace(store, 2);
        ut_err err = UT_EIO;
        for (uint64_t n = 1; err != UT_OK; n++) {
            assert_true(n < 100);
            faults = (ut_faults){.fail_at = n, .in_doubt = in_doubt == 1, .err = UT_EIO};
            err = ut_store_rekey(store, key_b, &fault);
            faults.fail_at = 0;
            bool old_opens = opens(memory, key_a, blocks);
            bool new_opens = opens(memory, key_b, blocks);
            assert_true(old_opens != new_opens);
            assert_true(err != UT_OK || new_opens);
            if (in_doubt == 0)
                assert_true(err == UT_OK || old_opens);
            // The store goes on, and what it writes can be read by the same key.
            commit_trace(store, ++blocks);
            assert_true(opens(memory, new_opens ? key_b : key_a, blocks));
        }
        assert_true(opens(memory, key_b, blocks));
        ut_store_close(store);
    }
}

// Without knowing that the keys are stored the store would go on with the old data key for blocks
// that count as the new one's, and the old one would be dropped too early.
static void after_a_rekey_in_doubt_every_block_keeps_its_key(void **state)
{
    (void)state;
    ut_err err = UT_EIO;
    unsigned stored = 0;
    for (uint64_t n = 1; err != UT_OK; n++) {
        assert_true(n < 100);
        ut_faults faults = {0};
        ut_fault fault;
        ut_engine *memory = ut_engine_memory_open(BUDGET);
        ut_store *store = open_with(ut_engine_faulty_wrap(memory, &faults), key_a);
        commit_trace(store, 1); // leaves after an hour
        faults = (ut_faults){.fail_at = n, .in_doubt = true, .err = UT_EIO};
        err = ut_store_rekey(store, key_b, &fault);
        faults = (ut_faults){0};
        commit_trace_for(store, 2, UT_STORE_TTL_NONE);
        commit_trace_for(store, 3, UT_STORE_TTL_NONE);
        ut_engine *copies[2] = {ut_engine_memory_clone(memory), ut_engine_memory_clone(memory)};
        ut_store_close(store);
        const bool is_new = try_open(copies[0], key_b, &store, &fault) == UT_OK;
        if (is_new)
            ut_engine_close(copies[1]);
        else
            store = open_with(copies[1], key_a);
        stored += is_new && err != UT_OK;
        bool more = true;
        while (more)
            assert_int_equal(ut_store_sweep(store, now_ns + 3 * hour_ns, &more), UT_OK);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(ut_store_rekey(store, key_a, &fault), UT_OK);
            assert_all_readable(store, 2);
        }
        ut_store_close(store);
    }
    assert_true(stored > 0);
}

// ---- threads ----

enum { READERS = 2, ROUNDS = 24 };

typedef struct {
    ut_store *store;
    _Atomic bool *end;
    uint64_t read;
    ut_err err; // the first that is none of a reader's business
} reader;

// Reads all blocks over and over, the newest first, as a dispatcher does.
static void *read_on(void *context)
{
    reader *r = context;
    ut_store_view *view;
    ut_buf payload;
    ut_buf_init(&payload, BUDGET);
    r->err = ut_store_view_open(ut_store_engine(r->store), &view);
    bool last_round = false;
    while (r->err == UT_OK && !last_round) {
        last_round = atomic_load(r->end);
        r->err = ut_store_view_begin(view);
        for (uint64_t seq = ut_store_last_seq(r->store); seq > 0 && r->err == UT_OK; seq--) {
            ut_block block;
            r->err = ut_store_read_block(view, UT_ORG_DEFAULT, seq, &payload, &block);
            if (r->err == UT_ENOTFOUND)
                r->err = UT_OK; // committed after the view began
            else
                r->read += 1;
        }
        ut_store_view_end(view);
    }
    ut_store_view_close(view);
    ut_buf_free(&payload);
    return NULL;
}

static void readers_open_blocks_while_keys_change(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_engine_config config = {.dir_z = dir_z, .bytes_max = BUDGET};
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_OK);
    ut_store *store = open_with(engine, key_a);
    _Atomic bool end = false;
    reader readers[READERS];
    pthread_t threads[READERS];
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (reader){.store = store, .end = &end};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        commit_trace(store, round);
        assert_int_equal(ut_store_rekey(store, round % 2 == 0 ? key_a : key_b, &fault), UT_OK);
    }
    atomic_store(&end, true);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].err, UT_OK);
        assert_true(readers[i].read >= ROUNDS);
    }
    assert_int_equal(key_of_block(store, ROUNDS), ROUNDS);
    ut_store_close(store);
    ut_temp_dir_remove(dir_z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_tells_no_text_of_spans_and_answers),
        cmocka_unit_test(spans_come_back_after_a_restart_with_the_key),
        cmocka_unit_test(a_wrong_key_and_none_are_refused_by_name),
        cmocka_unit_test(a_damaged_record_of_keys_is_not_a_wrong_key),
        cmocka_unit_test(a_plain_store_is_encrypted_from_the_first_opening_with_a_key),
        cmocka_unit_test(turning_encryption_on_survives_every_failing_call),
        cmocka_unit_test(a_block_in_the_place_of_another_does_not_open),
        cmocka_unit_test(a_listing_names_its_traces_from_their_blocks),
        cmocka_unit_test(a_data_key_serves_its_number_of_blocks),
        cmocka_unit_test(rekeying_shuts_the_old_key_out_and_keeps_every_block),
        cmocka_unit_test(a_plain_store_has_no_key_to_change),
        cmocka_unit_test(rekeying_that_fails_anywhere_leaves_one_valid_key),
        cmocka_unit_test(after_a_rekey_in_doubt_every_block_keeps_its_key),
        cmocka_unit_test(readers_open_blocks_while_keys_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
