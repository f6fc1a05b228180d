// Recounts a store: every record is held against those that it belongs with, every counter against
// what it counts. Reads only, in one view; takes as long as reading everything takes. Not for
// repairing.
#ifndef UT_STORAGE_VERIFY_H
#define UT_STORAGE_VERIFY_H

#include "storage/store.h"

enum { UT_VERIFY_TEXT_MAX = 200 };

typedef struct {
    uint64_t blocks;
    uint64_t spans;
    uint64_t traces;
    uint64_t deliveries;
    uint64_t pending; // spans, over all destinations
    uint64_t leaving; // blocks whose removal has begun
    uint64_t problems;
} ut_verify_report;

// Called for each contradiction with one sentence, valid during the call.
typedef void (*ut_verify_tell)(void *context, const char *text_z);

// view: begun. UT_OK also when there are problems: report->problems counts them. Errors of the
// engine, UT_ENOMEM.
ut_err ut_store_verify(ut_store_view *view, ut_verify_report *report, ut_verify_tell tell,
                       void *context);

#endif
