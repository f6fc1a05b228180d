// The contents of a store in numbers: keys and bytes by kind of record, blocks and spans by
// organisation. Reads every key; opens no block. Not for whether it fits together: verify.h.
#ifndef UT_STORAGE_UPKEEP_CENSUS_H
#define UT_STORAGE_UPKEEP_CENSUS_H

#include "storage/store/key.h"
#include "storage/store/store.h"

enum { UT_CENSUS_KINDS = 26, UT_CENSUS_ORGS_MAX = 256 };

typedef struct {
    uint64_t keys;
    uint64_t key_bytes;
    uint64_t value_bytes;
} ut_census_kind;

typedef struct {
    uint32_t org;
    uint64_t blocks;
    uint64_t spans;
    uint64_t traces;
    uint64_t sealed_bytes;       // of its blocks
    uint64_t payload_bytes;      // the same before compression
    uint64_t oldest_received_ns; // of its blocks; 0 without any
    uint64_t newest_received_ns;
} ut_census_org;

// Starts as all zero.
typedef struct {
    ut_census_kind kinds[UT_CENSUS_KINDS]; // by the first byte of the key, less 'A'
    ut_census_kind other;                  // keys of no known kind
    ut_census_org orgs[UT_CENSUS_ORGS_MAX];
    uint32_t org_count;
    bool orgs_cut; // there are more organisations than there is room for

    // Where it stands; private.
    bool begun;
    uint8_t at[UT_KEY_MAX];
    size_t at_len;
} ut_census;

// Counts up to keys_max further records. view: begun; it may be ended and begun again between two
// calls, so that nothing is held for long: what changes meanwhile is counted as it is when it is
// reached. *more: false at the end. UT_ECORRUPT, UT_EIO, UT_ENOMEM.
ut_err ut_census_step(ut_store_view *view, ut_census *census, uint32_t keys_max, bool *more);

#endif
