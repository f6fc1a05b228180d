// Questions that are asked often, as conditions added to a filter. Not for anything a filter could
// not say.
#ifndef UT_STORAGE_SPAN_FILTER_PRESET_H
#define UT_STORAGE_SPAN_FILTER_PRESET_H

#include "storage/span/filter.h"

// Spans that failed, and began at most `hours` before now_ns; the end is as it was.
void ut_filter_recent_failures(ut_filter *filter, uint64_t now_ns, uint64_t hours);

// Spans of that type of error: their attribute "error.type", or "exception.type" in one of their
// events (OpenTelemetry's conventions for errors and for exceptions). A pattern where it holds * or
// ?. Borrows type. UT_ELIMIT: the filter has UT_FILTER_TERMS_MAX conditions.
ut_err ut_filter_by_error_type(ut_filter *filter, ut_bytes type);

// Spans with that attribute anywhere, of that value as ut_filter_term says; any value where it is
// empty. Borrows both. UT_ELIMIT, as above.
ut_err ut_filter_by_attribute(ut_filter *filter, ut_bytes key, ut_bytes value);

#endif
