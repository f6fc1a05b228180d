// The key space: how every key of the store is written and read (docs/FORMAT.md). The first byte
// says what a key is; integers are big-endian, so that order in the tree is order in time. Only
// key.h and key.c know at which offset of a key something stands. Pure functions.
#ifndef UT_STORAGE_STORE_KEY_H
#define UT_STORAGE_STORE_KEY_H

#include "storage/span/span.h"

enum {
    UT_KEY_META = 'M',
    UT_KEY_ORG = 'O',
    UT_KEY_DESTINATION = 'P',
    UT_KEY_BLOCK = 'B',
    UT_KEY_TRACE = 'T',
    UT_KEY_ROOT = 'R',
    UT_KEY_SUMMARY = 'Z',
    UT_KEY_DELIVERY = 'D',
    UT_KEY_DEAD = 'L',
    UT_KEY_EXPIRY = 'X',
    UT_KEY_CONSUMER = 'C',
    UT_KEY_RUN = 'I',
    UT_KEY_API_KEY = 'K', // set aside, like UT_KEY_ORG; no record has it yet
    UT_KEY_MAX = 64,      // the longest key, in bytes
};

typedef struct {
    uint8_t data[UT_KEY_MAX];
    size_t len;
} ut_key;

static inline ut_bytes ut_key_bytes(const ut_key *key)
{
    return (ut_bytes){key->data, key->len};
}

// org and dest are numbers given at first use and never reused; the names stand in O and P records.
// M name
ut_key ut_key_meta(const char *name_z);
// O org
ut_key ut_key_org(uint32_t org);
// P org dest
ut_key ut_key_destination(uint32_t org, uint32_t dest);
// B org seq piece, the key of one piece of a block (block_store.h). piece: below
// UT_KEY_PIECES_MAX; pieces of a block are neighbours, in the order of their numbers.
ut_key ut_key_piece(uint32_t org, uint64_t seq, uint32_t piece);
// T org trace seq
ut_key ut_key_trace(uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq);
// T org trace seq part, the key of a further part of an entry. part 0: the entry itself, whose key
// ends with seq. An entry and its parts are neighbours.
ut_key ut_key_trace_part(uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq,
                         uint8_t part);
// R org seen trace. seen: the wall clock of the commit that brought the record, not the start of
// the span. So the records of one commit are neighbours in the tree; by start they were strewn over
// the pages of the last second, and a commit of 400 spans wrote 40 pages more.
ut_key ut_key_root(uint32_t org, uint64_t seen_ns, const uint8_t trace_id[UT_TRACE_ID_LEN]);
// Z org seq
ut_key ut_key_summary(uint32_t org, uint64_t seq);
// D org dest seq
ut_key ut_key_delivery(uint32_t org, uint32_t dest, uint64_t seq);
// L org dest seq
ut_key ut_key_dead(uint32_t org, uint32_t dest, uint64_t seq);
// X hour org seq
ut_key ut_key_expiry(uint32_t hour, uint32_t org, uint64_t seq);

// I org 0 run: the head of a run of the trace index (trace_run.h). run: from 1 up.
ut_key ut_key_run(uint32_t org, uint64_t run);
// I org kind run trace seq: a slice of a run. trace, seq: of the first posting in it.
typedef enum { UT_KEY_RUN_FILTER = 1, UT_KEY_RUN_POSTINGS = 2 } ut_key_run_slice;
ut_key ut_key_slice(uint32_t org, ut_key_run_slice kind, uint64_t run,
                    const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq);

// C org name. name: 1..UT_STORE_CONSUMER_NAME_MAX bytes.
ut_key ut_key_consumer(uint32_t org, ut_bytes name);

// The first `len` bytes of a key, for prefix scans. len <= key.len.
ut_key ut_key_prefix(ut_key key, size_t len);
enum {
    UT_KEY_PREFIX_ORG = 5,        // kind and org
    UT_KEY_PREFIX_TRACE = 21,     // T org trace
    UT_KEY_PREFIX_RUN = 14,       // I org kind run
    UT_KEY_PREFIX_DESTINATION = 9 // D/L org dest
};
enum {
    UT_KEY_PIECES_MAX = 65536,
};

static inline bool ut_key_begins_with(ut_bytes key, const ut_key *prefix)
{
    return key.len >= prefix->len && memcmp(key.data, prefix->data, prefix->len) == 0;
}

// Readers; false when the bytes are not such a key.
bool ut_key_read_destination(ut_bytes key, uint32_t *org, uint32_t *dest);
bool ut_key_read_summary(ut_bytes key, uint32_t *org, uint64_t *seq);
bool ut_key_read_piece(ut_bytes key, uint32_t *org, uint64_t *seq, uint32_t *piece);
bool ut_key_read_trace(ut_bytes key, uint32_t *org, uint8_t trace_id[UT_TRACE_ID_LEN],
                       uint64_t *seq);
// The key of an entry or of a further part of one.
bool ut_key_read_entry(ut_bytes key, uint32_t *org, uint8_t trace_id[UT_TRACE_ID_LEN],
                       uint64_t *seq);
bool ut_key_read_root(ut_bytes key, uint32_t *org, uint64_t *seen_ns,
                      uint8_t trace_id[UT_TRACE_ID_LEN]);
bool ut_key_read_delivery(ut_bytes key, uint32_t *org, uint32_t *dest, uint64_t *seq); // D and L
bool ut_key_read_run(ut_bytes key, uint32_t *org, uint64_t *run);
// trace_id: borrowed from key.
bool ut_key_read_slice(ut_bytes key, uint32_t *org, ut_key_run_slice *kind, uint64_t *run,
                       const uint8_t **trace_id, uint64_t *seq);
bool ut_key_read_consumer(ut_bytes key, uint32_t *org, ut_bytes *name); // borrowed from key
bool ut_key_read_expiry(ut_bytes key, uint32_t *hour, uint32_t *org, uint64_t *seq);

#endif
