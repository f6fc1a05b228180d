// Recounts a store: every record is held against those that it belongs with, every counter against
// what it counts. Reads only. Not for repairing.
//
// A recount takes as long as reading everything takes, and a view that is held for so long would
// keep an agent from using its free pages again. So it is done in steps, each of them in a view of
// its own: every single check looks at records of one view only. What can only be held together as
// a whole (counters against the sum of all summaries and of the ledger) is read in one step, which
// passes the blocks and traces by: a few hundred bytes a block.
#ifndef UT_STORAGE_UPKEEP_VERIFY_H
#define UT_STORAGE_UPKEEP_VERIFY_H

#include "storage/store/store.h"

enum { UT_VERIFY_TEXT_MAX = 200 };

typedef struct {
    uint64_t blocks;
    uint64_t spans;
    uint64_t traces;
    uint64_t deliveries;
    uint64_t pending; // spans, over all destinations
    uint64_t leaving; // blocks whose removal has begun
    uint64_t problems;
    uint64_t done; // how far it is, of total; no unit
    uint64_t total;
} ut_verify_report;

// Called for each contradiction with one sentence, valid during the call.
typedef void (*ut_verify_tell)(void *context, const char *text_z);

typedef struct ut_verifier ut_verifier;

// UT_ENOMEM.
ut_err ut_verifier_new(ut_verify_tell tell, void *context, ut_verifier **verifier);
void ut_verifier_free(ut_verifier *verifier); // NULL is ignored

// Goes on for about work_max checks of single records. view: begun; between two calls it may be
// ended and begun again. *more: false when all is checked. UT_OK also when there are problems, and
// when pages are damaged: the report counts them. UT_EIO, UT_ENOMEM.
ut_err ut_verifier_step(ut_verifier *verifier, ut_store_view *view, uint32_t work_max, bool *more);

// The findings so far; valid until the verifier is freed.
const ut_verify_report *ut_verifier_report(const ut_verifier *verifier);

// All of it in one view.
ut_err ut_store_verify(ut_store_view *view, ut_verify_report *report, ut_verify_tell tell,
                       void *context);

#endif
