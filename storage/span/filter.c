// Holding spans against a filter; see filter.h.
// Not for reading conditions from text (filter_term.c), and not for finding spans (query_spans.c).
#include "storage/span/filter.h"

#include "port/base/utf8.h"
#include "storage/span/llm.h"

#include <stdio.h>

enum {
    NESTING_MAX = UT_VALUE_DEPTH_MAX + 1, // arrays in arrays that a condition follows
    NUMBER_TEXT_MAX = 32,
    KIND_LAST = 5, // consumer
};

ut_filter ut_filter_all(void)
{
    return (ut_filter){.end_ns = UINT64_MAX, .duration_max_ns = UINT64_MAX};
}

// ---- text ----

// Passes one character. left: at least 1.
static size_t character(const uint8_t *at, size_t left)
{
    size_t len = ut_utf8_len(at, left);
    return len > 0 ? len : 1;
}

bool ut_filter_is_glob(ut_bytes text)
{
    return text.len > 0 &&
           (memchr(text.data, '*', text.len) != NULL || memchr(text.data, '?', text.len) != NULL);
}

bool ut_filter_glob(ut_bytes pattern, ut_bytes text)
{
    // Only the last * need be tried with more: what stands before it has found its first place, and
    // a later one would leave less for the rest.
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; // behind the last *
    size_t from = 0;        // where what follows it is tried
    uint64_t tried = 0;     // bytes of text that did not fit what follows it
    const uint64_t tried_max = text.len > UT_FILTER_GLOB_EXACT / UT_FILTER_GLOB_TRIES
                                   ? (uint64_t)text.len * UT_FILTER_GLOB_TRIES
                                   : UT_FILTER_GLOB_EXACT;
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            p += 1;
            star = p;
            from = t;
        } else if (p < pattern.len && pattern.data[p] == '?') {
            p += 1;
            t += character(text.data + t, text.len - t);
        } else if (p < pattern.len && pattern.data[p] == text.data[t]) {
            p += 1;
            t += 1;
        } else if (star != SIZE_MAX) {
            tried += t - from + 1;
            if (tried > tried_max)
                return false;
            from += character(text.data + from, text.len - from);
            t = from;
            p = star;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*')
        p += 1;
    return p == pattern.len;
}

static bool fits(ut_bytes wanted, ut_bytes text)
{
    if (wanted.len == 0)
        return true;
    return ut_filter_is_glob(wanted) ? ut_filter_glob(wanted, text) : ut_bytes_equal(wanted, text);
}

// True when part stands somewhere in text, ASCII letters in any case.
static bool contains(ut_bytes text, ut_bytes part)
{
    for (size_t at = 0; at + part.len <= text.len; at++) {
        if (ut_bytes_equal_fold(ut_bytes_of(text.data + at, part.len), part))
            return true;
    }
    return false;
}

// ---- values ----

// A value that a condition can be held against.
typedef struct {
    bool is_number;
    ut_filter_number number;
    ut_bytes text; // as written; of a number only when the condition needs it
    char buffer[NUMBER_TEXT_MAX];
} scalar;

// compare() of an integer and a decimal, exactly: not every large integer is a decimal.
static int compare_mixed(int64_t whole, double real)
{
    const double limit = 9223372036854775808.0; // behind the largest integer
    if (real != real)
        return 2;
    if (real >= limit)
        return -1;
    if (real < -limit)
        return 1;
    int64_t part = (int64_t)real;
    if (whole != part)
        return whole < part ? -1 : 1;
    double rest = real - (double)part;
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

// -1, 0, 1; 2 when one of them is not a number.
static int compare(const ut_filter_number *a, const ut_filter_number *b)
{
    if (a->whole && b->whole)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    if (a->whole)
        return compare_mixed(a->integer, b->real);
    if (b->whole) {
        int order = compare_mixed(b->integer, a->real);
        return order == 2 ? 2 : -order;
    }
    return a->real < b->real ? -1 : a->real > b->real ? 1 : a->real == b->real ? 0 : 2;
}

static void print_number(scalar *value)
{
    int len = 0;
    if (value->number.whole) {
        len = snprintf(value->buffer, sizeof(value->buffer), "%lld",
                       (long long)value->number.integer);
    } else {
        // The shortest of these that is still the same number.
        for (int digits = 15; digits <= 17; digits++) {
            ut_filter_number again;
            len =
                snprintf(value->buffer, sizeof(value->buffer), "%.*g", digits, value->number.real);
            if (len > 0 && ut_filter_number_read(ut_bytes_of(value->buffer, (size_t)len), &again) &&
                compare(&again, &value->number) == 0)
                break;
        }
    }
    value->text = ut_bytes_of(value->buffer, len > 0 ? (size_t)len : 0);
}

static bool equals(const scalar *value, ut_bytes text)
{
    if (!value->is_number)
        return ut_bytes_equal(value->text, text);
    ut_filter_number wanted;
    return ut_filter_number_read(text, &wanted) && compare(&value->number, &wanted) == 0;
}

static bool holds(scalar *value, ut_filter_op op, ut_bytes text)
{
    if (op == UT_FILTER_EQUALS)
        return equals(value, text);
    if (op == UT_FILTER_GLOB) {
        if (value->is_number)
            print_number(value);
        return ut_filter_glob(text, value->text);
    }
    ut_filter_number wanted;
    if (!ut_filter_number_read(text, &wanted))
        return false;
    if (!value->is_number && !ut_filter_number_read(value->text, &value->number))
        return false;
    int order = compare(&value->number, &wanted);
    switch (op) {
    case UT_FILTER_LESS:
        return order == -1;
    case UT_FILTER_LESS_EQUAL:
        return order == -1 || order == 0;
    case UT_FILTER_GREATER:
        return order == 1;
    case UT_FILTER_GREATER_EQUAL:
        return order == 1 || order == 0;
    default:
        return false;
    }
}

// Takes the next value off the reader. True when it, or an element of it, meets the condition; op
// is neither EXISTS nor NOT_EQUALS.
static bool value_holds(ut_mp_reader *reader, ut_filter_op op, ut_bytes text)
{
    uint32_t left[NESTING_MAX] = {1}; // elements still to come in each array around this value
    unsigned depth = 0;
    bool met = false;
    while (reader->err == UT_OK) {
        while (left[depth] == 0) {
            if (depth == 0)
                return met;
            depth -= 1;
        }
        left[depth] -= 1;
        scalar value = {.is_number = false};
        switch (ut_mp_peek(reader)) {
        case UT_MP_STR:
            value.text = ut_mp_get_str(reader);
            break;
        case UT_MP_BOOL:
            value.text = ut_mp_get_bool(reader) ? UT_BYTES_LIT("true") : UT_BYTES_LIT("false");
            break;
        case UT_MP_UINT: {
            uint64_t number = ut_mp_get_uint(reader);
            value.is_number = true;
            value.number = (ut_filter_number){
                .whole = number <= INT64_MAX, .integer = (int64_t)number, .real = (double)number};
            break;
        }
        case UT_MP_INT:
            value.is_number = true;
            value.number = (ut_filter_number){.whole = true, .integer = ut_mp_get_int(reader)};
            break;
        case UT_MP_DOUBLE:
            value.is_number = true;
            value.number = (ut_filter_number){.real = ut_mp_get_double(reader)};
            break;
        case UT_MP_ARRAY:
            if (depth + 1 < NESTING_MAX) {
                depth += 1;
                left[depth] = ut_mp_get_array(reader);
            } else {
                (void)ut_mp_skip(reader); // its error stays in the reader
            }
            continue;
        default:
            (void)ut_mp_skip(reader);
            continue;
        }
        met = met || (reader->err == UT_OK && holds(&value, op, text));
    }
    return met;
}

// True when an attribute of the map meets the term. What is damaged meets nothing.
static bool map_holds(ut_bytes attributes, const ut_filter_term *term)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    uint32_t pairs = ut_mp_get_map(&reader);
    for (; pairs > 0 && reader.err == UT_OK; pairs--) {
        ut_bytes key = ut_mp_get_str(&reader);
        if (reader.err != UT_OK)
            break;
        if (!ut_bytes_equal(key, term->key) &&
            (term->or_key.len == 0 || !ut_bytes_equal(key, term->or_key))) {
            (void)ut_mp_skip(&reader);
            continue;
        }
        if (term->op == UT_FILTER_EXISTS)
            return true;
        bool negated = term->op == UT_FILTER_NOT_EQUALS;
        bool met = value_holds(&reader, negated ? UT_FILTER_EQUALS : term->op, term->text);
        if (reader.err == UT_OK && met != negated)
            return true;
    }
    return false;
}

static bool events_hold(ut_bytes events, const ut_filter_term *term)
{
    ut_mp_reader reader = ut_mp_reader_of(events);
    uint32_t count = ut_mp_get_array(&reader);
    for (; count > 0; count--) {
        ut_event event;
        if (ut_event_read(&reader, 0, &event) != UT_OK)
            return false;
        if (map_holds(event.attributes, term))
            return true;
    }
    return false;
}

// ---- a span ----

// The terms that hold by attributes of one of the places, and that all terms which can hold only in
// these and earlier places do.
static ut_filter_place hold_terms(const ut_filter *filter, ut_filter_place before, uint8_t place,
                                  uint8_t places_so_far, ut_bytes attributes)
{
    ut_filter_place at = before;
    for (uint32_t i = 0; i < filter->term_count && at.possible; i++) {
        const ut_filter_term *term = &filter->terms[i];
        uint32_t bit = UINT32_C(1) << i;
        if ((at.met & bit) == 0 && (term->places & place) != 0 && map_holds(attributes, term))
            at.met |= bit;
        if ((at.met & bit) == 0 && (term->places & ~places_so_far) == 0)
            at.possible = false;
    }
    return at;
}

ut_filter_place ut_filter_at_resource(const ut_filter *filter, const ut_resource *resource)
{
    ut_filter_place at = {.possible = true};
    if (filter->service.len > 0) {
        ut_bytes service;
        at.possible =
            ut_attributes_find_str(resource->attributes, UT_BYTES_LIT("service.name"), &service) &&
            fits(filter->service, service);
    }
    return hold_terms(filter, at, UT_FILTER_IN_RESOURCE, UT_FILTER_IN_RESOURCE,
                      resource->attributes);
}

ut_filter_place ut_filter_at_scope(const ut_filter *filter, ut_filter_place at_resource,
                                   const ut_scope *scope)
{
    return hold_terms(filter, at_resource, UT_FILTER_IN_SCOPE,
                      UT_FILTER_IN_RESOURCE | UT_FILTER_IN_SCOPE, scope->attributes);
}

// Tells whether the span meets the conditions on numbers, without a look at texts and attributes.
static bool match_numbers(const ut_filter *filter, const ut_span *span)
{
    // Codes that OTLP does not have count as unset, as in the summaries of blocks.
    int32_t status = span->status_code;
    if (status < UT_STATUS_UNSET || status > UT_STATUS_ERROR)
        status = UT_STATUS_UNSET;
    if (filter->statuses != 0 && (filter->statuses & 1 << status) == 0)
        return false;
    if (span->start_ns < filter->start_ns || span->start_ns >= filter->end_ns)
        // The last instant there is has nothing behind it that could end the range.
        return filter->end_ns == UINT64_MAX && span->start_ns == UINT64_MAX &&
               filter->start_ns <= span->start_ns;
    return true;
}

static bool match_shape(const ut_filter *filter, const ut_span *span)
{
    // Kinds that OTLP does not have count as unspecified, which is how they are shown.
    const int32_t kind = span->kind < 0 || span->kind > KIND_LAST ? 0 : span->kind;
    if (filter->kinds != 0 && (filter->kinds & UINT32_C(1) << kind) == 0)
        return false;
    uint64_t duration = span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;
    if (duration < filter->duration_min_ns || duration > filter->duration_max_ns)
        return false;
    if (filter->roots_only && !ut_bytes_all_zero(span->parent_span_id))
        return false;
    return !filter->by_trace ||
           ut_bytes_equal((ut_bytes){filter->trace_id, UT_TRACE_ID_LEN}, span->trace_id);
}

bool ut_filter_match_span(const ut_filter *filter, ut_filter_place at_scope, const ut_span *span)
{
    if (!at_scope.possible || !match_numbers(filter, span) || !match_shape(filter, span))
        return false;
    if (!fits(filter->name, span->name))
        return false;
    if (filter->message.len > 0 && !contains(span->status_message, filter->message))
        return false;
    ut_filter_place at = hold_terms(filter, at_scope, UT_FILTER_IN_SPAN,
                                    UT_FILTER_IN_ANY & ~UT_FILTER_IN_EVENT, span->attributes);
    if (!at.possible)
        return false;
    ut_llm_call call;
    if (filter->llm_only && !ut_llm_read(span->attributes, &call))
        return false;
    for (uint32_t i = 0; i < filter->term_count; i++) {
        if ((at.met & UINT32_C(1) << i) == 0 && !events_hold(span->events, &filter->terms[i]))
            return false;
    }
    return true;
}

bool ut_filter_match(const ut_filter *filter, const ut_span *span, const ut_scope *scope,
                     const ut_resource *resource)
{
    ut_filter_place at = ut_filter_at_resource(filter, resource);
    at = ut_filter_at_scope(filter, at, scope);
    return ut_filter_match_span(filter, at, span);
}
