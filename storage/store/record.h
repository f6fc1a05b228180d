// The values of the store's index records, from and to bytes (docs/FORMAT.md, "Keys and index
// records"). Pure functions. All are MessagePack arrays; a reader accepts longer ones and passes
// the rest, so that later versions can append. Not for blocks and spans (block.h, span.h), and not
// for keys (key.h).
#ifndef UT_STORAGE_STORE_RECORD_H
#define UT_STORAGE_STORE_RECORD_H

#include "storage/store/age_clock.h"
#include "storage/store/store.h"

enum {
    UT_RECORD_NAME_MAX = 128, // bytes of a span's name in a root record; longer ones are cut
    UT_RECORD_SERVICE_MAX = 64,
};

// ---- M version, M state ----

#define UT_RECORD_VERSION_NAME "version"
#define UT_RECORD_STATE_NAME   "state"

// Counters of the store since it was made.
typedef struct {
    uint64_t next_seq; // of the next block; starts at 1
    ut_store_counts counts;
    ut_age_clock clock; // all zeros in stores of earlier versions
} ut_record_state;

void ut_record_write_version(ut_buf *out, uint32_t version);
// UT_EVERSION when a newer program wrote it, *version is then set. UT_ECORRUPT.
ut_err ut_record_read_version(ut_bytes value, uint64_t *version);
void ut_record_write_state(ut_buf *out, const ut_record_state *state);
ut_err ut_record_read_state(ut_bytes value, ut_record_state *state); // UT_ECORRUPT

// ---- P org dest ----

void ut_record_write_destination(ut_buf *out, const ut_store_destination *destination);
// Does not know the number, which stands in the key. UT_ECORRUPT.
ut_err ut_record_read_destination(ut_bytes value, ut_store_destination *destination);

// ---- T org trace seq [part] ----

// The spans of one trace in one block, or a part of them. The entry of a trace that stands first
// names the key of its root record (root_seen_ns), so that a trace has exactly one.
typedef struct {
    uint8_t status;     // worst of the spans
    bool has_root;      // one of the spans has no parent
    bool has_root_key;  // root_seen_ns is set
    bool root_known;    // the root record tells of a real root span, not of a stand-in
    uint64_t start_ns;  // earliest start
    uint64_t length_ns; // to the latest end
    uint32_t count;
    ut_bytes ordinals; // count variable-length differences; ordinal_list.h
    ut_bytes span_ids; // count * UT_SPAN_ID_LEN
    uint64_t root_seen_ns;
} ut_record_trace;

void ut_record_write_trace(ut_buf *out, const ut_record_trace *trace);
ut_err ut_record_read_trace(ut_bytes value,
                            ut_record_trace *trace); // borrowed from value. UT_ECORRUPT

// ---- R org seen trace ----

typedef struct {
    uint64_t seq; // where the span stands
    uint32_t ordinal;
    bool has_root; // false: the earliest span known when the trace began stands in
    uint64_t start_ns;
    uint64_t duration_ns;
    uint8_t status;
    bool names_hidden; // service and name are not here: they stand in the block alone
    ut_bytes service;
    ut_bytes name;
} ut_record_root;

void ut_record_write_root(ut_buf *out, const ut_record_root *root); // cuts service and name
void ut_record_cut_names(ut_record_root *root); // to their greatest lengths, as in a record
ut_err ut_record_read_root(ut_bytes value, ut_record_root *root); // borrowed. UT_ECORRUPT

// ---- Z org seq ----

typedef struct {
    uint32_t span_count;
    uint32_t payload_len;
    uint32_t sealed_len;
    uint32_t expiry_hour;
    uint64_t received_ns;
    uint64_t start_ns;        // earliest start
    uint64_t end_ns;          // latest end
    uint32_t status_count[3]; // by ut_status_code
    // Of records that a later version wrote: UINT64_MAX and empty where they are not there.
    uint64_t latest_start_ns; // not less than start_ns
    ut_bytes bloom;           // bloom.h; empty: nothing is known
} ut_record_summary;

void ut_record_write_summary(ut_buf *out, const ut_record_summary *summary);
ut_err ut_record_read_summary(ut_bytes value,
                              ut_record_summary *summary); // borrowed. UT_ECORRUPT

// ---- D org dest seq ----

// Of delivery, org, dest, seq and dead_ordinals are not in the value. A fresh entry takes 3 to 5
// bytes.
void ut_record_write_delivery(ut_buf *out, const ut_delivery *delivery);
ut_err ut_record_read_delivery(ut_bytes value, ut_delivery *delivery); // UT_ECORRUPT

// ---- C org name ----

typedef struct {
    uint64_t seq; // of the last span that was dealt with; not 0
    uint32_t ordinal;
} ut_record_consumer;

void ut_record_write_consumer(ut_buf *out, const ut_record_consumer *consumer);
ut_err ut_record_read_consumer(ut_bytes value, ut_record_consumer *consumer); // UT_ECORRUPT

// ---- L org dest seq ----

// The mark's dead_ordinals (NULL: all spans), time, status and reason.
void ut_record_write_dead(ut_buf *out, const ut_delivery *mark);

#endif
