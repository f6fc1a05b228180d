// Groups of spans in a hash table, each with its counters; see stats.h. Not for choosing the spans.
#include "storage/query/stats.h"

#include "port/base/text.h"
#include "port/base/time_units.h"
#include "storage/query/histogram.h"
#include "storage/span/llm.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SLOTS_MIN = 64,
    HOUR_LABEL_LEN = 13, // of "2026-11-20T18:40:00.123Z"
};

typedef struct {
    ut_stats_row row; // its percentiles are made when they are asked for
    ut_histogram durations;
    uint64_t hash;
    uint8_t text[]; // of the labels
} group;

// What tells a group from others.
typedef struct {
    ut_bytes of[UT_STATS_LABELS_MAX];
    uint32_t count;
} labels;

struct ut_stats {
    ut_stats_key keys[UT_STATS_KEYS_MAX]; // their attributes are in attribute_text
    uint32_t key_count;                   // 0: all in one group
    group *last;                          // of the span before: runs of one label are common
    uint64_t hour;                        // of the start of the span before
    char hour_z[UT_TEXT_SHORT_MAX];       // as text; empty: none yet
    const ut_llm_prices *prices;          // NULL: none
    group **groups;                       // in the order in which they came
    uint32_t count;
    uint32_t capacity;
    group **slots; // open addressing; a power of two, at most half full
    uint32_t slot_count;
    group *all;
    group *other; // NULL until needed
    ut_stats_row *rows;
    uint8_t attribute_text[];
};

static ut_bytes cut(ut_bytes label)
{
    if (label.len <= UT_STATS_LABEL_MAX)
        return label;
    size_t len = UT_STATS_LABEL_MAX;
    while (len > UT_STATS_LABEL_MAX - 4 && (label.data[len] & 0xc0) == 0x80)
        len--; // not inside a character
    return ut_bytes_of(label.data, len);
}

static group *make_group(const labels *from, uint64_t hash)
{
    size_t len = 0;
    for (uint32_t i = 0; i < from->count; i++)
        len += from->of[i].len;
    group *made = calloc(1, sizeof(*made) + len);
    if (made == NULL)
        return NULL;
    uint8_t *at = made->text;
    for (uint32_t i = 0; i < from->count; i++) {
        if (from->of[i].len > 0)
            memcpy(at, from->of[i].data, from->of[i].len);
        made->row.labels[i] = ut_bytes_of(at, from->of[i].len);
        at += from->of[i].len;
    }
    made->hash = hash;
    return made;
}

static void free_group(group *from)
{
    if (from == NULL)
        return;
    ut_histogram_free(&from->durations);
    free(from);
}

ut_err ut_stats_new(ut_stats_by by, ut_bytes attribute, ut_stats **stats)
{
    const ut_stats_key key = {by, attribute};
    return ut_stats_new_keys(&key, by == UT_STATS_BY_NOTHING ? 0 : 1, stats);
}

ut_err ut_stats_new_keys(const ut_stats_key *keys, uint32_t count, ut_stats **stats)
{
    const labels none = {.count = 0};
    size_t text_len = 0;
    UT_ASSERT(count <= UT_STATS_KEYS_MAX);
    uint32_t errors = 0;
    for (uint32_t i = 0; i < count; i++)
        errors += keys[i].by == UT_STATS_BY_ERROR ? 1 : 0;
    UT_ASSERT(count + errors <= UT_STATS_LABELS_MAX);
    for (uint32_t i = 0; i < count; i++)
        text_len += keys[i].attribute.len;
    ut_stats *made = calloc(1, sizeof(*made) + text_len);
    if (made == NULL)
        return UT_ENOMEM;
    uint8_t *at = made->attribute_text;
    for (uint32_t i = 0; i < count; i++) {
        const ut_bytes attribute = keys[i].attribute;
        if (attribute.len > 0)
            memcpy(at, attribute.data, attribute.len);
        made->keys[i] = (ut_stats_key){keys[i].by, ut_bytes_of(at, attribute.len)};
        at += attribute.len;
    }
    made->key_count = count;
    made->all = make_group(&none, 0);
    made->slots = calloc(SLOTS_MIN, sizeof(group *));
    made->slot_count = SLOTS_MIN;
    if (made->all == NULL || made->slots == NULL) {
        ut_stats_free(made);
        return UT_ENOMEM;
    }
    *stats = made;
    return UT_OK;
}

void ut_stats_set_prices(ut_stats *stats, const ut_llm_prices *prices)
{
    stats->prices = prices;
}

void ut_stats_free(ut_stats *stats)
{
    if (stats == NULL)
        return;
    for (uint32_t i = 0; i < stats->count; i++)
        free_group(stats->groups[i]);
    free_group(stats->all);
    free_group(stats->other);
    free(stats->groups);
    free(stats->slots);
    free(stats->rows);
    free(stats);
}

// ---- finding the group of a label ----

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

static uint64_t add_to_hash(uint64_t hash, ut_bytes label)
{
    hash = mix(hash, label.len);
    size_t at = 0;
    for (; label.len - at >= 8; at += 8)
        hash = mix(hash, ut_get_le64(label.data + at));
    uint64_t rest = 0;
    for (; at < label.len; at++)
        rest = rest << 8 | label.data[at];
    return mix(hash, rest);
}

static bool is_group(const group *of, const labels *wanted)
{
    uint32_t i = 0;
    while (i < wanted->count && ut_bytes_equal(of->row.labels[i], wanted->of[i]))
        i++;
    return i == wanted->count;
}

// The slot that holds the group, or the empty one where it belongs.
static group **find_slot(const ut_stats *stats, uint64_t hash, const labels *wanted)
{
    const uint32_t mask = stats->slot_count - 1;
    for (uint32_t at = (uint32_t)hash & mask;; at = (at + 1) & mask) {
        group **slot = &stats->slots[at];
        if (*slot == NULL || ((*slot)->hash == hash && is_group(*slot, wanted)))
            return slot;
    }
}

static bool double_slots(ut_stats *stats)
{
    const uint32_t wanted = 2 * stats->slot_count;
    group **slots = calloc(wanted, sizeof(group *));
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < stats->count; i++) {
        uint32_t at = (uint32_t)stats->groups[i]->hash & (wanted - 1);
        while (slots[at] != NULL)
            at = (at + 1) & (wanted - 1);
        slots[at] = stats->groups[i];
    }
    free(stats->slots);
    stats->slots = slots;
    stats->slot_count = wanted;
    return true;
}

// Room for one more group in groups, and in rows for that one and "(other)".
static bool reserve_group(ut_stats *stats)
{
    if (stats->count < stats->capacity)
        return true;
    const uint32_t wanted = stats->capacity == 0 ? 32 : 2 * stats->capacity;
    group **groups = realloc(stats->groups, wanted * sizeof(group *));
    if (groups == NULL)
        return false;
    stats->groups = groups;
    ut_stats_row *rows = realloc(stats->rows, (wanted + 1) * sizeof(*rows));
    if (rows == NULL)
        return false;
    stats->rows = rows;
    stats->capacity = wanted;
    return true;
}

static group *find_other(ut_stats *stats)
{
    const labels name = {.of = {UT_BYTES_LIT("(other)")}, .count = 1};
    if (stats->other == NULL) {
        stats->other = make_group(&name, 0);
        if (stats->other != NULL)
            stats->other->row.other = true;
    }
    return stats->other;
}

// NULL: out of memory.
static group *find_group(ut_stats *stats, labels *wanted)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < wanted->count; i++)
        wanted->of[i] = cut(wanted->of[i]);
    if (stats->last != NULL && is_group(stats->last, wanted))
        return stats->last;
    for (uint32_t i = 0; i < wanted->count; i++)
        hash = add_to_hash(hash, wanted->of[i]);
    group **slot = find_slot(stats, hash, wanted);
    if (*slot == NULL) {
        if (stats->count >= UT_STATS_GROUPS_MAX)
            return find_other(stats);
        if (!reserve_group(stats))
            return NULL;
        if (2 * (stats->count + 1) > stats->slot_count) {
            if (!double_slots(stats))
                return NULL;
            slot = find_slot(stats, hash, wanted);
        }
        group *made = make_group(wanted, hash);
        if (made == NULL)
            return NULL;
        *slot = made;
        stats->groups[stats->count++] = made;
    }
    stats->last = *slot;
    return *slot;
}

// ---- labels ----

static ut_bytes status_label(int32_t code)
{
    return code == UT_STATUS_ERROR ? UT_BYTES_LIT("error")
           : code == UT_STATUS_OK  ? UT_BYTES_LIT("ok")
                                   : UT_BYTES_LIT("unset");
}

static ut_bytes kind_label(int32_t kind)
{
    static const char *const names[] = {"unspecified", "internal", "server",
                                        "client",      "producer", "consumer"};
    const bool known = kind >= 0 && kind < (int32_t)(sizeof(names) / sizeof(names[0]));
    return ut_bytes_of_z(names[known ? kind : 0]);
}

// The value of the first attribute with that key as text: strings as they are, others into text_z.
// False when there is none.
static bool find_value(ut_bytes attributes, ut_bytes key, char text_z[UT_TEXT_SHORT_MAX],
                       ut_bytes *value)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    uint32_t left = attributes.len == 0 ? 0 : ut_mp_get_map(&reader);
    for (;; left--) {
        if (left == 0 || reader.err != UT_OK)
            return false;
        if (ut_bytes_equal(ut_mp_get_str(&reader), key))
            break;
        (void)ut_mp_skip(&reader); // an error stays in the reader
    }
    const ut_mp_type type = ut_mp_peek(&reader);
    if (type == UT_MP_STR) {
        *value = ut_mp_get_str(&reader);
        return reader.err == UT_OK;
    }
    text_z[0] = '\0';
    if (type == UT_MP_BOOL)
        (void)snprintf(text_z, UT_TEXT_SHORT_MAX, "%s", ut_mp_get_bool(&reader) ? "true" : "false");
    else if (type == UT_MP_UINT)
        (void)snprintf(text_z, UT_TEXT_SHORT_MAX, "%llu",
                       (unsigned long long)ut_mp_get_uint(&reader));
    else if (type == UT_MP_INT)
        (void)snprintf(text_z, UT_TEXT_SHORT_MAX, "%lld", (long long)ut_mp_get_int(&reader));
    else if (type == UT_MP_DOUBLE)
        (void)snprintf(text_z, UT_TEXT_SHORT_MAX, "%.15g", ut_mp_get_double(&reader));
    else if (type == UT_MP_BIN)
        (void)snprintf(text_z, UT_TEXT_SHORT_MAX, "(bytes)");
    else if (type == UT_MP_ARRAY || type == UT_MP_MAP)
        (void)snprintf(text_z, UT_TEXT_SHORT_MAX, "%s", type == UT_MP_ARRAY ? "(list)" : "(map)");
    *value = ut_bytes_of_z(text_z);
    return reader.err == UT_OK;
}

static ut_bytes attribute_label(ut_bytes key, const ut_trace_span *span,
                                char text_z[UT_TEXT_SHORT_MAX])
{
    ut_bytes value = UT_BYTES_NONE;
    if (!find_value(span->span.attributes, key, text_z, &value) &&
        !find_value(span->resource.attributes, key, text_z, &value))
        value = UT_BYTES_NONE;
    return value;
}

static ut_bytes hour_label(ut_stats *stats, uint64_t start_ns)
{
    const uint64_t hour = start_ns / UT_NS_PER_HOUR;
    if (stats->hour != hour || stats->hour_z[0] == 0)
        ut_text_time(start_ns, stats->hour_z);
    stats->hour = hour;
    return ut_bytes_of(stats->hour_z, HOUR_LABEL_LEN);
}

static ut_bytes service_label(const ut_trace_span *span)
{
    ut_bytes service = UT_BYTES_NONE;
    (void)ut_attributes_find_str(span->resource.attributes, UT_BYTES_LIT("service.name"),
                                 &service); // absent: empty
    return service;
}

// Adds the label of a key, or its labels. text_z: room for one that is made. False: the key leaves
// the span out.
static bool add_label(ut_stats *stats, const ut_stats_key *key, const ut_trace_span *span,
                      const ut_llm_call *call, char text_z[UT_TEXT_SHORT_MAX], labels *to)
{
    const ut_span *from = &span->span;
    ut_bytes label;
    switch (key->by) {
    case UT_STATS_BY_NOTHING:
    default:
        return true;
    case UT_STATS_BY_NAME:
        label = from->name;
        break;
    case UT_STATS_BY_SERVICE:
        label = service_label(span);
        break;
    case UT_STATS_BY_STATUS:
        label = status_label(from->status_code);
        break;
    case UT_STATS_BY_KIND:
        label = kind_label(from->kind);
        break;
    case UT_STATS_BY_ATTRIBUTE:
        label = attribute_label(key->attribute, span, text_z);
        break;
    case UT_STATS_BY_HOUR:
        label = hour_label(stats, from->start_ns);
        break;
    case UT_STATS_BY_MODEL:
        if (call == NULL)
            return false;
        label = call->model;
        break;
    case UT_STATS_BY_ERROR:
        if (from->status_code != UT_STATUS_ERROR)
            return false;
        to->of[to->count++] = from->name;
        label = from->status_message;
        break;
    }
    to->of[to->count++] = label;
    return true;
}

// ---- counting ----

static uint64_t add_up(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

// call: NULL where the span is none.
static ut_err count_span(group *to, const ut_span *span, uint64_t duration_ns,
                         const ut_llm_call *call)
{
    ut_stats_row *row = &to->row;
    if (row->count == 0 || duration_ns < row->duration_min_ns)
        row->duration_min_ns = duration_ns;
    if (duration_ns > row->duration_max_ns)
        row->duration_max_ns = duration_ns;
    if (row->count == 0 || span->start_ns < row->first_start_ns)
        row->first_start_ns = span->start_ns;
    if (row->count == 0 || span->start_ns >= row->last_start_ns) {
        row->last_start_ns = span->start_ns;
        if (span->trace_id.len == UT_TRACE_ID_LEN)
            memcpy(row->last_trace_id, span->trace_id.data, UT_TRACE_ID_LEN);
    }
    row->count++;
    row->errors += span->status_code == UT_STATUS_ERROR;
    row->duration_sum_ns = add_up(row->duration_sum_ns, duration_ns);
    if (call != NULL) {
        row->input_tokens = add_up(row->input_tokens, call->input_tokens);
        row->output_tokens = add_up(row->output_tokens, call->output_tokens);
        row->total_tokens = add_up(row->total_tokens, call->total_tokens);
        row->cached_tokens = add_up(row->cached_tokens, call->cached_tokens);
        row->reasoning_tokens = add_up(row->reasoning_tokens, call->reasoning_tokens);
        row->call_count++;
        row->token_count += call->has_tokens;
        row->cost_usd += call->cost_usd;
        row->cost_count += call->has_cost;
    }
    return ut_histogram_add(&to->durations, duration_ns);
}

ut_err ut_stats_add(void *context, const ut_trace_span *span)
{
    ut_stats *stats = context;
    const ut_span *from = &span->span;
    const uint64_t duration_ns = from->end_ns > from->start_ns ? from->end_ns - from->start_ns : 0;
    ut_llm_call call;
    const ut_llm_call *counted = ut_llm_read(from->attributes, &call) ? &call : NULL;
    ut_llm_price_call(stats->prices, &call);
    ut_err err = count_span(stats->all, from, duration_ns, counted);
    if (err != UT_OK)
        return err;

    char texts[UT_STATS_KEYS_MAX][UT_TEXT_SHORT_MAX];
    labels wanted = {.count = 0};
    for (uint32_t i = 0; i < stats->key_count; i++) {
        if (!add_label(stats, &stats->keys[i], span, counted, texts[i], &wanted))
            return UT_OK;
    }
    if (wanted.count == 0)
        return UT_OK;
    group *to = find_group(stats, &wanted);
    return to == NULL ? UT_ENOMEM : count_span(to, from, duration_ns, counted);
}

// ---- rows ----

static uint64_t percentile(const group *of, uint32_t parts)
{
    const uint64_t value = ut_histogram_quantile(&of->durations, parts, 100);
    return value < of->row.duration_min_ns   ? of->row.duration_min_ns
           : value > of->row.duration_max_ns ? of->row.duration_max_ns
                                             : value;
}

static ut_stats_row finish(const group *of)
{
    ut_stats_row row = of->row;
    row.p50_ns = percentile(of, 50);
    row.p90_ns = percentile(of, 90);
    row.p99_ns = percentile(of, 99);
    return row;
}

static double rank_of(const ut_stats_row *row, ut_stats_sort sort)
{
    const double count = row->count == 0 ? 1 : (double)row->count;
    switch (sort) {
    case UT_STATS_SORT_USUAL:
    case UT_STATS_SORT_COUNT:
        return (double)row->count;
    case UT_STATS_SORT_ERRORS:
        return (double)row->errors;
    case UT_STATS_SORT_RATE:
        return (double)row->errors / count;
    case UT_STATS_SORT_MEAN:
        return (double)row->duration_sum_ns / count;
    case UT_STATS_SORT_P50:
        return (double)row->p50_ns;
    case UT_STATS_SORT_P90:
        return (double)row->p90_ns;
    case UT_STATS_SORT_P99:
        return (double)row->p99_ns;
    case UT_STATS_SORT_MAX:
        return (double)row->duration_max_ns;
    case UT_STATS_SORT_TOKENS:
        return (double)row->total_tokens;
    case UT_STATS_SORT_COST:
        return row->cost_usd;
    case UT_STATS_SORT_LABEL:
        break;
    }
    return 0;
}

// The usual rank of a group by hour or status only, which come in their own order.
static double usual_rank(ut_stats_by by, const ut_stats_row *row)
{
    if (by == UT_STATS_BY_HOUR)
        return 0; // by the label
    return ut_bytes_equal(row->labels[0], status_label(UT_STATUS_UNSET)) ? 2
           : ut_bytes_equal(row->labels[0], status_label(UT_STATUS_OK))  ? 1
                                                                         : 0;
}

static int compare_rows(const void *a, const void *b)
{
    const ut_stats_row *left = a;
    const ut_stats_row *right = b;
    if (left->rank > right->rank || left->rank < right->rank)
        return left->rank > right->rank ? -1 : 1;
    int by_label = 0;
    for (uint32_t i = 0; i < UT_STATS_LABELS_MAX && by_label == 0; i++)
        by_label = ut_bytes_compare(left->labels[i], right->labels[i]);
    return by_label;
}

const ut_stats_row *ut_stats_rows(ut_stats *stats, ut_stats_sort sort, uint32_t *count,
                                  ut_stats_row *total)
{
    *total = finish(stats->all);
    *count = 0;
    if (stats->key_count == 0) {
        *count = total->count > 0;
        stats->all->row.p50_ns = total->p50_ns;
        stats->all->row.p90_ns = total->p90_ns;
        stats->all->row.p99_ns = total->p99_ns;
        return &stats->all->row;
    }
    const ut_stats_by by = stats->keys[0].by;
    const bool in_order = sort == UT_STATS_SORT_USUAL && stats->key_count == 1 &&
                          (by == UT_STATS_BY_HOUR || by == UT_STATS_BY_STATUS);
    for (uint32_t i = 0; i < stats->count; i++) {
        ut_stats_row *row = &stats->rows[i];
        *row = finish(stats->groups[i]);
        row->rank = in_order ? usual_rank(by, row) : rank_of(row, sort);
    }
    *count = stats->count;
    if (*count > 1)
        qsort(stats->rows, *count, sizeof(*stats->rows), compare_rows);
    if (stats->other != NULL)
        stats->rows[(*count)++] = finish(stats->other);
    return stats->rows;
}
