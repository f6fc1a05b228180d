// The secret of the trace index; see index_secret.h.
#include "storage/store/index_secret.h"

#include "port/port.h"
#include "storage/span/msgpack.h"
#include "storage/store/key.h"
#include "storage/store/record.h"

enum {
    FIELDS = 3,
    VERSION = 1,
    MEMORY_KEEP = 64 * 1024,
};

ut_err ut_index_secret_read(ut_txn *txn, ut_index_secret *secret)
{
    const ut_key key = ut_key_meta(UT_INDEX_SECRET_NAME);
    ut_bytes value;
    const ut_err err = ut_txn_get(txn, ut_key_bytes(&key), &value);
    if (err != UT_OK)
        return err;
    ut_mp_reader reader = ut_mp_reader_of(value);
    const uint32_t count = ut_mp_get_array(&reader);
    const uint64_t version = ut_mp_get_uint(&reader);
    const ut_bytes bytes = ut_mp_get_bin(&reader);
    secret->from_seq = ut_mp_get_uint(&reader);
    if (reader.err != UT_OK || count < FIELDS || version != VERSION ||
        bytes.len != sizeof(secret->bytes) || secret->from_seq == 0)
        return UT_ECORRUPT;
    memcpy(secret->bytes, bytes.data, sizeof(secret->bytes));
    return UT_OK;
}

// The number of the next block; 1 in a store without counters.
static ut_err read_next_seq(ut_txn *txn, uint64_t *next_seq)
{
    const ut_key key = ut_key_meta(UT_RECORD_STATE_NAME);
    ut_bytes value;
    ut_record_state state = {.next_seq = 1};
    ut_err err = ut_txn_get(txn, ut_key_bytes(&key), &value);
    if (err == UT_OK)
        err = ut_record_read_state(value, &state);
    *next_seq = state.next_seq;
    return err == UT_ENOTFOUND ? UT_OK : err;
}

ut_err ut_index_secret_make(ut_txn *txn, ut_buf *value, ut_index_secret *secret)
{
    ut_err err = read_next_seq(txn, &secret->from_seq);
    if (err == UT_OK)
        err = ut_random(secret->bytes, sizeof(secret->bytes));
    if (err != UT_OK)
        return err;
    ut_buf_reset(value, MEMORY_KEEP);
    ut_mp_put_array(value, FIELDS);
    ut_mp_put_uint(value, VERSION);
    ut_mp_put_bin(value, ut_bytes_of(secret->bytes, sizeof(secret->bytes)));
    ut_mp_put_uint(value, secret->from_seq);
    if (value->err != UT_OK)
        return value->err;
    const ut_key key = ut_key_meta(UT_INDEX_SECRET_NAME);
    return ut_txn_put(txn, ut_key_bytes(&key), ut_buf_bytes(value));
}

// A key of its own for each use.
static ut_siphash_key derive(const ut_index_secret *secret, uint64_t use)
{
    const ut_siphash_key base = ut_siphash_key_of(secret->bytes);
    return (ut_siphash_key){
        .k0 = ut_siphash_with(base, UT_BYTES_LIT("k0"), use),
        .k1 = ut_siphash_with(base, UT_BYTES_LIT("k1"), use),
    };
}

ut_siphash_key ut_index_filter_key(const ut_index_secret *secret)
{
    return derive(secret, UINT64_MAX);
}

ut_siphash_key ut_index_digest_key(const ut_index_secret *secret, uint64_t filter_seed)
{
    return derive(secret, filter_seed);
}
