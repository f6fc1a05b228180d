// A store with realistic spans in it, for tests of what delivers them: it knows which span stands
// where, and keeps the marks that it is given.
#ifndef UT_TESTS_SUPPORT_FILLED_STORE_H
#define UT_TESTS_SUPPORT_FILLED_STORE_H

#include "storage/store/store.h"

typedef struct ut_filled_store ut_filled_store;

enum { UT_FILLED_ORG = UT_ORG_DEFAULT, UT_FILLED_SPANS_MAX = 100000 };

// Takes over engine. Stops the program when anything fails, as all functions here do.
ut_filled_store *ut_filled_store_open(ut_engine *engine);
void ut_filled_store_close(ut_filled_store *filled);

ut_engine *ut_filled_store_engine(ut_filled_store *filled);
ut_store *ut_filled_store_store(ut_filled_store *filled);
uint32_t ut_filled_store_destination(ut_filled_store *filled, const char *name_z);

// Appends one block of `spans` spans (1..200) that live for ttl_ms (0: for ever), and returns its
// number.
uint64_t ut_filled_store_append(ut_filled_store *filled, uint32_t spans, uint64_t ttl_ms);
uint64_t ut_filled_store_last_seq(const ut_filled_store *filled);

// Where a span stands: its place in the order of all spans, or SIZE_MAX when it is none of ours.
size_t ut_filled_store_find(const ut_filled_store *filled, const uint8_t span_id[UT_SPAN_ID_LEN]);
uint64_t ut_filled_store_seq_of(const ut_filled_store *filled, size_t place);
uint32_t ut_filled_store_ordinal_of(const ut_filled_store *filled, size_t place);
size_t ut_filled_store_count(const ut_filled_store *filled);

// Writes a mark at once.
void ut_filled_store_mark(ut_filled_store *filled, const ut_delivery *mark);

// The ledger entry of a block. False when there is none.
bool ut_filled_store_entry(ut_filled_store *filled, uint32_t dest, uint64_t seq,
                           ut_delivery *entry);
ut_store_destination_counts ut_filled_store_counts(ut_filled_store *filled, uint32_t dest);

// Removes what has expired at now_ns.
void ut_filled_store_sweep(ut_filled_store *filled, uint64_t now_ns);
// Overwrites the bytes of a block.
void ut_filled_store_damage(ut_filled_store *filled, uint64_t seq);

#endif
