// Random spans and filters of few words; see random_filter.h.
#include "tests/support/random_filter.h"

#include <stdio.h>

enum { WORDS = 12, KEYS = 10, TRACES = 40 };

static const char *const words_z[WORDS] = {"checkout", "cart",  "GET",    "POST",   "true", "5",
                                           "5.0",      "-7.25", "edge-1", "edge-2", "",     "1e3"};
static const char *const keys_z[KEYS] = {
    "service.name", "http.method", "host.name",      "user.id", "retries",
    "db.system",    "peer",        "exception.type", "library", "never"};

static bool one_in(ut_random *random, uint32_t n)
{
    return ut_random_below(random, n) == 0;
}

static ut_bytes word(ut_random *random)
{
    return ut_bytes_of_z(words_z[ut_random_below(random, WORDS)]);
}

static void put_value(ut_random *random, ut_buf *out, unsigned depth)
{
    static const double reals[] = {5, 5.0, -7.25, 1000, 0.5};
    switch (ut_random_below(random, depth > 0 ? 9 : 8)) {
    case 0:
        ut_mp_put_bool(out, one_in(random, 2));
        break;
    case 1:
        ut_mp_put_int(out, (int64_t)ut_random_below(random, 12) - 6);
        break;
    case 2:
        ut_mp_put_double(out, reals[ut_random_below(random, 5)]);
        break;
    case 3:
        if (one_in(random, 2))
            ut_mp_put_nil(out);
        else
            ut_mp_put_bin(out, word(random));
        break;
    case 8: {
        uint32_t count = ut_random_below(random, 4);
        ut_mp_put_array(out, count);
        for (uint32_t i = 0; i < count; i++)
            put_value(random, out, depth - 1);
        break;
    }
    default:
        ut_mp_put_str(out, word(random));
        break;
    }
}

// One in `unique_in` batches gives one key values of its own, as ids of users are.
static void put_attributes(ut_random *random, ut_buf *out, uint32_t first_key, bool unique)
{
    uint32_t count = ut_random_below(random, 4);
    ut_mp_put_map(out, count + unique);
    for (uint32_t i = 0; i < count; i++) {
        // The last key stands nowhere.
        uint32_t key = first_key + ut_random_below(random, KEYS - 1 - first_key);
        ut_mp_put_str(out, ut_bytes_of_z(keys_z[key]));
        put_value(random, out, 2);
    }
    if (unique) {
        char text_z[24];
        int len = snprintf(text_z, sizeof text_z, "u%llu",
                           (unsigned long long)(ut_random_next(random) >> 20));
        ut_mp_put_str(out, UT_BYTES_LIT("user.id"));
        ut_mp_put_str(out, ut_bytes_of(text_z, (size_t)len));
    }
}

static void put_events(ut_random *random, ut_buf *out, uint64_t start_ns)
{
    uint32_t count = one_in(random, 4) ? 1 + ut_random_below(random, 2) : 0;
    ut_mp_put_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        ut_event event = {.time_ns = start_ns, .name = UT_BYTES_LIT("event")};
        ut_event_write_head(out, start_ns, &event);
        put_attributes(random, out, 1, false);
        ut_event_write_tail(out, &event);
    }
}

static uint32_t add_scope(ut_random *random, ut_batch *batch)
{
    ut_buf *out = &batch->resource_bytes;
    size_t begin = out->len;
    ut_resource resource = {0};
    ut_resource_write_head(out);
    if (one_in(random, 3)) {
        put_attributes(random, out, 0, false); // perhaps without a service, or with a strange one
    } else {
        ut_mp_put_map(out, 2);
        ut_mp_put_str(out, UT_BYTES_LIT("service.name"));
        ut_mp_put_str(out, word(random));
        ut_mp_put_str(out, UT_BYTES_LIT("host.name"));
        put_value(random, out, 1);
    }
    ut_resource_write_tail(out, &resource);
    uint32_t index = ut_batch_end_resource(batch, begin);
    out = &batch->scope_bytes;
    begin = out->len;
    ut_scope scope = {.name = UT_BYTES_LIT("test")};
    ut_scope_write_head(out, &scope);
    put_attributes(random, out, 1, false);
    ut_scope_write_tail(out, &scope);
    return ut_batch_end_scope(batch, begin, index);
}

void ut_random_words_batch(ut_random *random, uint32_t spans, ut_batch *batch)
{
    uint32_t scopes[3];
    uint32_t scope_count = 1 + ut_random_below(random, 3);
    for (uint32_t i = 0; i < scope_count; i++)
        scopes[i] = add_scope(random, batch);
    bool unique = one_in(random, 4);
    for (uint32_t i = 0; i < spans; i++) {
        uint8_t trace_id[UT_TRACE_ID_LEN] = {(uint8_t)(1 + ut_random_below(random, TRACES))};
        uint8_t ids[2 * UT_SPAN_ID_LEN];
        ut_put_be64(ids, ut_random_next(random) | 1);
        ut_put_be64(ids + UT_SPAN_ID_LEN, one_in(random, 8) ? 0 : ut_random_next(random));
        uint64_t start_ns = ut_random_below(random, 1000);
        ut_span span = {
            .trace_id = {trace_id, sizeof trace_id},
            .span_id = {ids, UT_SPAN_ID_LEN},
            .parent_span_id = {ids + UT_SPAN_ID_LEN, one_in(random, 4) ? 0 : UT_SPAN_ID_LEN},
            .name = word(random),
            .kind = (int32_t)ut_random_below(random, 6),
            .start_ns = start_ns,
            .end_ns = one_in(random, 10) ? start_ns / 2 : start_ns + ut_random_below(random, 100),
            .status_code = one_in(random, 20)  ? 9
                           : one_in(random, 3) ? UT_STATUS_ERROR
                                               : 0,
            .status_message = one_in(random, 3) ? word(random) : UT_BYTES_NONE,
        };
        ut_buf *out = &batch->span_bytes;
        size_t begin = out->len;
        ut_span_write_head(out, &span);
        put_attributes(random, out, 1, unique);
        put_events(random, out, start_ns);
        ut_mp_put_array(out, 0);
        ut_span_write_rare(out, &span);
        ut_batch_end_span(batch, begin, scopes[ut_random_below(random, scope_count)], &span);
    }
}

static ut_filter_term term(ut_random *random)
{
    static const char *const patterns_z[] = {"*", "c*", "?", "5*", "*t"};
    static const char *const numbers_z[] = {"5", "5.0", "-7.25", "1e3", "0", "1000"};
    static const uint8_t places[] = {UT_FILTER_IN_ANY,
                                     UT_FILTER_IN_ANY,
                                     UT_FILTER_IN_SPAN,
                                     UT_FILTER_IN_RESOURCE,
                                     UT_FILTER_IN_EVENT,
                                     UT_FILTER_IN_SCOPE,
                                     UT_FILTER_IN_SPAN | UT_FILTER_IN_EVENT};
    ut_filter_term made = {
        .places = places[ut_random_below(random, sizeof places)],
        .op = (ut_filter_op)ut_random_below(random, UT_FILTER_GREATER_EQUAL + 1),
        .key = ut_bytes_of_z(keys_z[ut_random_below(random, KEYS)]),
        .text = word(random),
    };
    if (one_in(random, 8))
        made.or_key = ut_bytes_of_z(keys_z[ut_random_below(random, KEYS)]);
    if (one_in(random, 3))
        made.op = UT_FILTER_EQUALS;
    if (made.op == UT_FILTER_GLOB)
        made.text = ut_bytes_of_z(patterns_z[ut_random_below(random, 5)]);
    if (made.op >= UT_FILTER_LESS || (made.op == UT_FILTER_EQUALS && one_in(random, 3)))
        made.text = ut_bytes_of_z(numbers_z[ut_random_below(random, 6)]);
    return made;
}

ut_filter ut_random_words_filter(ut_random *random)
{
    ut_filter filter = ut_filter_all();
    uint32_t conditions = 1 + ut_random_below(random, 3);
    for (uint32_t i = 0; i < conditions; i++) {
        switch (ut_random_below(random, 12)) {
        case 0:
            filter.service = one_in(random, 4) ? UT_BYTES_LIT("c*") : word(random);
            break;
        case 1:
            filter.name = one_in(random, 4) ? UT_BYTES_LIT("?ET") : word(random);
            break;
        case 2:
            filter.statuses = (uint8_t)(1 + ut_random_below(random, 7));
            break;
        case 3:
            filter.start_ns = ut_random_below(random, 1100);
            break;
        case 4:
            filter.end_ns = ut_random_below(random, 1100);
            break;
        case 5:
            if (one_in(random, 2)) {
                filter.duration_min_ns = ut_random_below(random, 100);
            } else {
                filter.kinds = 1 + ut_random_below(random, 63);
            }
            break;
        case 6:
            if (one_in(random, 2))
                filter.message = UT_BYTES_LIT("e");
            else
                filter.roots_only = true;
            break;
        case 7:
            filter.by_trace = true;
            filter.trace_id[0] = (uint8_t)(1 + ut_random_below(random, TRACES + 1));
            break;
        case 8:
            filter.service = word(random);
            filter.statuses = 1 << UT_STATUS_ERROR;
            break;
        default:
            filter.terms[filter.term_count++] = term(random);
            break;
        }
    }
    return filter;
}

static void print(const char *name_z, ut_bytes text)
{
    if (text.len > 0)
        (void)fprintf(stderr, " %s \"%.*s\"", name_z, (int)text.len, (const char *)text.data);
}

void ut_filter_print(const ut_filter *filter)
{
    (void)fprintf(stderr, "filter:");
    if (filter->by_trace)
        (void)fprintf(stderr, " trace %u", filter->trace_id[0]);
    (void)fprintf(stderr, " start %llu end %llu kinds %u statuses %u duration %llu roots %d",
                  (unsigned long long)filter->start_ns, (unsigned long long)filter->end_ns,
                  (unsigned)filter->kinds, filter->statuses,
                  (unsigned long long)filter->duration_min_ns, filter->roots_only);
    print("service", filter->service);
    print("name", filter->name);
    print("message", filter->message);
    for (uint32_t i = 0; i < filter->term_count; i++) {
        (void)fprintf(stderr, " places %u op %d", filter->terms[i].places, filter->terms[i].op);
        print("key", filter->terms[i].key);
        print("text", filter->terms[i].text);
    }
    (void)fprintf(stderr, "\n");
}
