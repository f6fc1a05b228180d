// Keys of the store to bytes and back; see key.h.
// Not for values: record.h and block_store.h.
#include "storage/store/key.h"

enum {
    ORG_LEN = 4,
    DEST_LEN = 4,
    SEQ_LEN = 8,
    PIECE_LEN = 2,
    PART_LEN = 1,
    HOUR_LEN = 4,
    TIME_LEN = 8,
    RUN_HEAD = 0, // the kind of the head of a run, beside those of its slices
};

static ut_key begin(uint8_t kind)
{
    ut_key key;
    memset(&key, 0, sizeof(key));
    key.data[0] = kind;
    key.len = 1;
    return key;
}

static void add_u32(ut_key *key, uint32_t value)
{
    ut_put_be32(key->data + key->len, value);
    key->len += 4;
}

static void add_u64(ut_key *key, uint64_t value)
{
    ut_put_be64(key->data + key->len, value);
    key->len += 8;
}

static void add_trace_id(ut_key *key, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    memcpy(key->data + key->len, trace_id, UT_TRACE_ID_LEN);
    key->len += UT_TRACE_ID_LEN;
}

ut_key ut_key_meta(const char *name_z)
{
    ut_key key = begin(UT_KEY_META);
    size_t len = strlen(name_z);
    UT_ASSERT(len > 0 && len < UT_KEY_MAX);
    memcpy(key.data + 1, name_z, len);
    key.len += len;
    return key;
}

ut_key ut_key_org(uint32_t org)
{
    ut_key key = begin(UT_KEY_ORG);
    add_u32(&key, org);
    return key;
}

ut_key ut_key_destination(uint32_t org, uint32_t dest)
{
    ut_key key = begin(UT_KEY_DESTINATION);
    add_u32(&key, org);
    add_u32(&key, dest);
    return key;
}

static ut_key org_seq(uint8_t kind, uint32_t org, uint64_t seq)
{
    ut_key key = begin(kind);
    add_u32(&key, org);
    add_u64(&key, seq);
    return key;
}

static ut_key org_dest_seq(uint8_t kind, uint32_t org, uint32_t dest, uint64_t seq)
{
    ut_key key = begin(kind);
    add_u32(&key, org);
    add_u32(&key, dest);
    add_u64(&key, seq);
    return key;
}

ut_key ut_key_piece(uint32_t org, uint64_t seq, uint32_t piece)
{
    UT_ASSERT(piece < UT_KEY_PIECES_MAX);
    ut_key key = org_seq(UT_KEY_BLOCK, org, seq);
    key.data[key.len++] = (uint8_t)(piece >> 8);
    key.data[key.len++] = (uint8_t)piece;
    return key;
}

ut_key ut_key_trace(uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq)
{
    ut_key key = begin(UT_KEY_TRACE);
    add_u32(&key, org);
    add_trace_id(&key, trace_id);
    add_u64(&key, seq);
    return key;
}

ut_key ut_key_trace_part(uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq,
                         uint8_t part)
{
    ut_key key = ut_key_trace(org, trace_id, seq);
    if (part > 0)
        key.data[key.len++] = part;
    return key;
}

ut_key ut_key_root(uint32_t org, uint64_t seen_ns, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    ut_key key = begin(UT_KEY_ROOT);
    add_u32(&key, org);
    add_u64(&key, seen_ns);
    add_trace_id(&key, trace_id);
    return key;
}

ut_key ut_key_run(uint32_t org, uint64_t run)
{
    ut_key key = begin(UT_KEY_RUN);
    add_u32(&key, org);
    key.data[key.len++] = RUN_HEAD;
    add_u64(&key, run);
    return key;
}

ut_key ut_key_slice(uint32_t org, ut_key_run_slice kind, uint64_t run,
                    const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq)
{
    ut_key key = begin(UT_KEY_RUN);
    add_u32(&key, org);
    key.data[key.len++] = (uint8_t)kind;
    add_u64(&key, run);
    add_trace_id(&key, trace_id);
    add_u64(&key, seq);
    return key;
}

ut_key ut_key_summary(uint32_t org, uint64_t seq)
{
    return org_seq(UT_KEY_SUMMARY, org, seq);
}

ut_key ut_key_delivery(uint32_t org, uint32_t dest, uint64_t seq)
{
    return org_dest_seq(UT_KEY_DELIVERY, org, dest, seq);
}

ut_key ut_key_dead(uint32_t org, uint32_t dest, uint64_t seq)
{
    return org_dest_seq(UT_KEY_DEAD, org, dest, seq);
}

ut_key ut_key_expiry(uint32_t hour, uint32_t org, uint64_t seq)
{
    ut_key key = begin(UT_KEY_EXPIRY);
    add_u32(&key, hour);
    add_u32(&key, org);
    add_u64(&key, seq);
    return key;
}

ut_key ut_key_consumer(uint32_t org, ut_bytes name)
{
    ut_key key = begin(UT_KEY_CONSUMER);
    add_u32(&key, org);
    UT_ASSERT(name.len > 0 && name.len <= UT_KEY_MAX - key.len);
    memcpy(key.data + key.len, name.data, name.len);
    key.len += name.len;
    return key;
}

ut_key ut_key_prefix(ut_key key, size_t len)
{
    UT_ASSERT(len <= key.len);
    memset(key.data + len, 0, sizeof(key.data) - len);
    key.len = len;
    return key;
}

bool ut_key_read_destination(ut_bytes key, uint32_t *org, uint32_t *dest)
{
    if (key.len != 1 + ORG_LEN + DEST_LEN || key.data[0] != UT_KEY_DESTINATION)
        return false;
    *org = ut_get_be32(key.data + 1);
    *dest = ut_get_be32(key.data + 1 + ORG_LEN);
    return true;
}

bool ut_key_read_summary(ut_bytes key, uint32_t *org, uint64_t *seq)
{
    if (key.len != 1 + ORG_LEN + SEQ_LEN || key.data[0] != UT_KEY_SUMMARY)
        return false;
    *org = ut_get_be32(key.data + 1);
    *seq = ut_get_be64(key.data + 1 + ORG_LEN);
    return true;
}

bool ut_key_read_piece(ut_bytes key, uint32_t *org, uint64_t *seq, uint32_t *piece)
{
    if (key.len != 1 + ORG_LEN + SEQ_LEN + PIECE_LEN || key.data[0] != UT_KEY_BLOCK)
        return false;
    const uint8_t *number = key.data + 1 + ORG_LEN + SEQ_LEN;
    *org = ut_get_be32(key.data + 1);
    *seq = ut_get_be64(key.data + 1 + ORG_LEN);
    *piece = (uint32_t)number[0] << 8 | number[1];
    return true;
}

bool ut_key_read_trace(ut_bytes key, uint32_t *org, uint8_t trace_id[UT_TRACE_ID_LEN],
                       uint64_t *seq)
{
    if (key.len != 1 + ORG_LEN + UT_TRACE_ID_LEN + SEQ_LEN || key.data[0] != UT_KEY_TRACE)
        return false;
    *org = ut_get_be32(key.data + 1);
    memcpy(trace_id, key.data + 1 + ORG_LEN, UT_TRACE_ID_LEN);
    *seq = ut_get_be64(key.data + 1 + ORG_LEN + UT_TRACE_ID_LEN);
    return true;
}

bool ut_key_read_entry(ut_bytes key, uint32_t *org, uint8_t trace_id[UT_TRACE_ID_LEN],
                       uint64_t *seq)
{
    static const size_t first_len = 1 + ORG_LEN + UT_TRACE_ID_LEN + SEQ_LEN;
    if (key.len == first_len + PART_LEN)
        key.len = first_len;
    return ut_key_read_trace(key, org, trace_id, seq);
}

bool ut_key_read_root(ut_bytes key, uint32_t *org, uint64_t *seen_ns,
                      uint8_t trace_id[UT_TRACE_ID_LEN])
{
    if (key.len != 1 + ORG_LEN + TIME_LEN + UT_TRACE_ID_LEN || key.data[0] != UT_KEY_ROOT)
        return false;
    *org = ut_get_be32(key.data + 1);
    *seen_ns = ut_get_be64(key.data + 1 + ORG_LEN);
    memcpy(trace_id, key.data + 1 + ORG_LEN + TIME_LEN, UT_TRACE_ID_LEN);
    return true;
}

bool ut_key_read_run(ut_bytes key, uint32_t *org, uint64_t *run)
{
    if (key.len != UT_KEY_PREFIX_RUN || key.data[0] != UT_KEY_RUN ||
        key.data[1 + ORG_LEN] != RUN_HEAD)
        return false;
    *org = ut_get_be32(key.data + 1);
    *run = ut_get_be64(key.data + 1 + ORG_LEN + 1);
    return true;
}

bool ut_key_read_slice(ut_bytes key, uint32_t *org, ut_key_run_slice *kind, uint64_t *run,
                       const uint8_t **trace_id, uint64_t *seq)
{
    if (key.len != UT_KEY_PREFIX_RUN + UT_TRACE_ID_LEN + SEQ_LEN || key.data[0] != UT_KEY_RUN)
        return false;
    const uint8_t found = key.data[1 + ORG_LEN];
    if (found != UT_KEY_RUN_FILTER && found != UT_KEY_RUN_POSTINGS)
        return false;
    *org = ut_get_be32(key.data + 1);
    *kind = (ut_key_run_slice)found;
    *run = ut_get_be64(key.data + 1 + ORG_LEN + 1);
    *trace_id = key.data + UT_KEY_PREFIX_RUN;
    *seq = ut_get_be64(key.data + UT_KEY_PREFIX_RUN + UT_TRACE_ID_LEN);
    return true;
}

bool ut_key_read_delivery(ut_bytes key, uint32_t *org, uint32_t *dest, uint64_t *seq)
{
    if (key.len != 1 + ORG_LEN + DEST_LEN + SEQ_LEN ||
        (key.data[0] != UT_KEY_DELIVERY && key.data[0] != UT_KEY_DEAD))
        return false;
    *org = ut_get_be32(key.data + 1);
    *dest = ut_get_be32(key.data + 1 + ORG_LEN);
    *seq = ut_get_be64(key.data + 1 + ORG_LEN + DEST_LEN);
    return true;
}

bool ut_key_read_consumer(ut_bytes key, uint32_t *org, ut_bytes *name)
{
    if (key.len <= 1 + ORG_LEN || key.data[0] != UT_KEY_CONSUMER)
        return false;
    *org = ut_get_be32(key.data + 1);
    *name = (ut_bytes){key.data + 1 + ORG_LEN, key.len - 1 - ORG_LEN};
    return true;
}

bool ut_key_read_expiry(ut_bytes key, uint32_t *hour, uint32_t *org, uint64_t *seq)
{
    if (key.len != 1 + HOUR_LEN + ORG_LEN + SEQ_LEN || key.data[0] != UT_KEY_EXPIRY)
        return false;
    *hour = ut_get_be32(key.data + 1);
    *org = ut_get_be32(key.data + 1 + HOUR_LEN);
    *seq = ut_get_be64(key.data + 1 + HOUR_LEN + ORG_LEN);
    return true;
}
