// Which spans are wanted: one object whose conditions all have to hold. What is asked for on the
// command line, and later by the API, becomes one of these. Pure functions; not for finding the
// spans (query.h).
#ifndef UT_STORAGE_SPAN_FILTER_H
#define UT_STORAGE_SPAN_FILTER_H

#include "storage/span/span.h"

enum {
    UT_FILTER_TERMS_MAX = 16,
    UT_FILTER_TEXT_MAX = 1024,              // bytes of a pattern or a text; longer is UT_ELIMIT
    UT_FILTER_GLOB_TRIES = 16,              // of a pattern, for each byte of the text
    UT_FILTER_GLOB_EXACT = 2 * 1024 * 1024, // tries that every pattern has
};

typedef enum {
    UT_FILTER_EXISTS,
    UT_FILTER_EQUALS,
    UT_FILTER_NOT_EQUALS, // the attribute is there, and is something else
    UT_FILTER_GLOB,       // * any bytes, ? one character; the whole value, case matters
    UT_FILTER_LESS,       // numbers only; a value that is none does not match
    UT_FILTER_LESS_EQUAL,
    UT_FILTER_GREATER,
    UT_FILTER_GREATER_EQUAL,
} ut_filter_op;

// Where an attribute may stand.
enum {
    UT_FILTER_IN_SPAN = 1,
    UT_FILTER_IN_RESOURCE = 2,
    UT_FILTER_IN_EVENT = 4,
    UT_FILTER_IN_SCOPE = 8,
    UT_FILTER_IN_ANY = 15,
};

// One condition on an attribute. It holds when any attribute of that key meets it, in any of the
// places.
//
// Numbers are equal as numbers (5.0 is 5), text as it is written (the text "5.0" is not "5"); true
// and false are those words. <, <=, > and >= take text that reads as a number for one. An array
// meets a condition when any of its elements does (UT_FILTER_NOT_EQUALS: when none of them is
// equal). Bytes, key-value lists and empty values are there, and are something else than any text.
typedef struct {
    uint8_t places; // UT_FILTER_IN_*
    ut_filter_op op;
    ut_bytes key;
    ut_bytes or_key; // an attribute of this key may meet it as well; empty: none
    ut_bytes text;   // the value to compare with; numbers in decimal
} ut_filter_term;

// Texts are borrowed as long as the filter is used. All zero, with end_ns and duration_max_ns
// UINT64_MAX: everything (ut_filter_all).
typedef struct {
    bool by_trace;
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint64_t start_ns; // the span began at or after
    uint64_t end_ns;   // and before
    ut_bytes since;    // start_ns as it was asked for ("1h"), for cursors; empty where it was not
    ut_bytes until;    // end_ns likewise
    ut_bytes service;  // service.name: a glob where it holds * or ?, else exact; empty: any
    ut_bytes name;     // of the span; a glob, exact or any, as service
    uint32_t kinds;    // bit n: OTLP's span kind n; 0: any
    uint8_t statuses;  // bit n: ut_status_code n; 0: any
    uint64_t duration_min_ns;
    uint64_t duration_max_ns;
    ut_bytes message; // is part of the status message; ASCII letters in any case
    bool roots_only;  // without a parent
    bool llm_only;    // calls of a language model, in any of the spellings of llm.h
    ut_filter_term terms[UT_FILTER_TERMS_MAX];
    uint32_t term_count;
} ut_filter;

ut_filter ut_filter_all(void);

// UT_ELIMIT: a text is too long, or there are too many terms. UT_EINVAL: a number is expected.
ut_err ut_filter_check(const ut_filter *filter, ut_fault *fault);

// Reads "KEY=VALUE", "KEY!=VALUE", "KEY~GLOB", "KEY<N", "KEY<=N", "KEY>N", "KEY>=N" or "KEY" (is
// there). KEY may begin with "span:", "resource:", "event:" or "scope:" to say where
// ("resource:host.name=a"); without, anywhere. Borrows text. UT_EFORMAT with what was expected.
ut_err ut_filter_term_read(ut_bytes text, ut_filter_term *term, ut_fault *fault);

// True when all conditions hold. The filter has been checked.
bool ut_filter_match(const ut_filter *filter, const ut_span *span, const ut_scope *scope,
                     const ut_resource *resource);

// The same in steps, for many spans under one resource and scope: what they decide is decided once.
typedef struct {
    bool possible; // false: no span under them matches
    uint32_t met;  // bit n: term n holds already
} ut_filter_place;

ut_filter_place ut_filter_at_resource(const ut_filter *filter, const ut_resource *resource);
ut_filter_place ut_filter_at_scope(const ut_filter *filter, ut_filter_place at_resource,
                                   const ut_scope *scope);
bool ut_filter_match_span(const ut_filter *filter, ut_filter_place at_scope, const ut_span *span);

// True when text, a service or a name of a filter, is a pattern.
bool ut_filter_is_glob(ut_bytes text);

// True when pattern fits the whole of text: * is any bytes, ? is one UTF-8 sequence (a byte that is
// in none counts as one). Patterns that nearly fit everywhere are given up, as not fitting, after
// UT_FILTER_GLOB_TRIES tries for each byte of text, and never before UT_FILTER_GLOB_EXACT of them:
// so the answer is exact for texts up to 1 KiB, and for longer ones unless a part of the pattern
// begins alike in most places.
bool ut_filter_glob(ut_bytes pattern, ut_bytes text);

// A number as a condition states it: digits with sign, fraction and exponent, and nothing else.
typedef struct {
    bool whole; // integer is the number; else real
    int64_t integer;
    double real;
} ut_filter_number;

bool ut_filter_number_read(ut_bytes text, ut_filter_number *number);

#endif
