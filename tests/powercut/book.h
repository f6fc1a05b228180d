// What a store has acknowledged, and what destinations have answered: the book that a store is held
// against after a power cut. Not for what is done to the store: workload.h.
#ifndef UT_TESTS_POWERCUT_BOOK_H
#define UT_TESTS_POWERCUT_BOOK_H

#include "storage/store/store.h"

enum {
    UT_BOOK_DESTINATIONS = 3,
    UT_BOOK_SERVICES = 2,
    UT_BOOK_SPANS_MAX = 24, // of one trace
};

// A trace is sent in one request. Bits stand for its spans.
typedef struct {
    uint32_t spans;
    uint32_t filler_max;  // bytes
    uint32_t expiry_hour; // UINT32_MAX: never
    uint64_t received_ns;
    unsigned service;
    bool acknowledged;
    bool under_way; // its commit has begun and was not answered
    bool shown;     // under way when the process was killed, and there afterwards
    uint32_t answered[UT_BOOK_DESTINATIONS]; // spans that the destination has taken or refused
    uint32_t marked[UT_BOOK_DESTINATIONS];   // spans whose mark was committed
    uint32_t found;                          // by the inspection that is under way
} ut_book_trace;

// Spans of a trace whose mark is on its way.
typedef struct {
    uint32_t trace;
    uint32_t dest; // 0..UT_BOOK_DESTINATIONS-1
    uint32_t spans;
} ut_book_mark;

typedef void (*ut_book_tell)(void *context, const char *text_z);

typedef struct {
    bool evicts;           // the budget removes what is old
    bool evicts_in_order;  // strictly the oldest first; nothing else removes
    ut_book_trace *traces; // number n is traces[n - 1]
    uint32_t count;
    uint32_t cap;
    uint32_t *slots; // numbers of traces by their ids, 0: free
    uint32_t slot_count;
    ut_book_mark *marks;
    size_t mark_count;
    size_t mark_cap;
    uint64_t clock_ns;
    uint64_t stored;                       // spans, in all acknowledged commits
    uint64_t cleaned_ns[UT_BOOK_SERVICES]; // of what was received before, all may be gone
    uint64_t noted;                        // place of the reader "poller": seq and ordinal
    uint64_t noting;
    ut_store_counts counts; // after the last change that was answered
    bool changing;          // a change has begun and was not answered
    bool unsafe;            // the process was killed: what the store shows may not be safe yet
    uint64_t problems;
    ut_book_tell tell;
    void *tell_context;
} ut_book;

void ut_book_init(ut_book *book, ut_book_tell tell, void *context);
void ut_book_free(ut_book *book);

// Writes a new trace into the book, and returns its number. Its spans follow from it.
uint32_t ut_book_add(ut_book *book, const ut_book_trace *trace);
void ut_book_make(const ut_book *book, uint32_t number, ut_batch *batch);
// The number of a trace by its id, 0: there is none.
uint32_t ut_book_find(const ut_book *book, ut_bytes trace_id);
// The bit of a span of the trace, 0: it has none of this id.
uint32_t ut_book_span_bit(const ut_book *book, uint32_t number, ut_bytes span_id);

void ut_book_add_mark(ut_book *book, ut_book_mark mark);
void ut_book_begin(ut_book *book); // a change of the store begins
// The change was answered: what was under way is acknowledged. with_marks: so are the marks.
void ut_book_end(ut_book *book, const ut_store *store, bool with_marks);

// Holds a store that was just opened against the book, counts and tells the problems, and writes
// into the book what has become of the change that was under way. Where the book is unsafe, that
// change stays under way until the next one is answered.
void ut_book_inspect(ut_book *book, ut_store *store);
void ut_book_problem(ut_book *book, const char *format_z, ...)
    __attribute__((format(printf, 2, 3)));

#endif
