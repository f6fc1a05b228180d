// Filling a filter for questions that are asked often; see filter_preset.h.
#include "storage/span/filter_preset.h"

#include "port/base/time_units.h"

void ut_filter_recent_failures(ut_filter *filter, uint64_t now_ns, uint64_t hours)
{
    filter->statuses = 1 << UT_STATUS_ERROR;
    filter->start_ns = hours < now_ns / UT_NS_PER_HOUR ? now_ns - hours * UT_NS_PER_HOUR : 0;
}

static ut_err add_term(ut_filter *filter, const ut_filter_term *term)
{
    if (filter->term_count >= UT_FILTER_TERMS_MAX)
        return UT_ELIMIT;
    filter->terms[filter->term_count++] = *term;
    return UT_OK;
}

ut_err ut_filter_by_error_type(ut_filter *filter, ut_bytes type)
{
    const ut_filter_term term = {.places = UT_FILTER_IN_SPAN | UT_FILTER_IN_EVENT,
                                 .op = ut_filter_is_glob(type) ? UT_FILTER_GLOB : UT_FILTER_EQUALS,
                                 .key = UT_BYTES_LIT("error.type"),
                                 .or_key = UT_BYTES_LIT("exception.type"),
                                 .text = type};
    return add_term(filter, &term);
}

ut_err ut_filter_by_attribute(ut_filter *filter, ut_bytes key, ut_bytes value)
{
    const ut_filter_term term = {.places = UT_FILTER_IN_ANY,
                                 .op = value.len == 0 ? UT_FILTER_EXISTS : UT_FILTER_EQUALS,
                                 .key = key,
                                 .text = value};
    return add_term(filter, &term);
}
