// Whether a destination can work, as far as that is seen before anything is sent. The configuration
// knows lines and columns and checks first; this is what the dispatcher relies on.
#include "transport/deliver/destination.h"

#include "transport/http/http_client.h"

ut_err ut_destination_check(const ut_destination_config *d, ut_fault *fault)
{
    if (d->connections < 1 || d->connections > UT_DESTINATION_CONNECTIONS_MAX)
        return ut_fault_set(fault, UT_EINVAL,
                            "destination %s: found %u connections, expected 1 to %d", d->name_z,
                            (unsigned)d->connections, UT_DESTINATION_CONNECTIONS_MAX);
    if (d->batch_spans_max < 1 || d->batch_bytes_max < 1 || d->timeout_ms < 1)
        return ut_fault_set(fault, UT_EINVAL,
                            "destination %s: batch sizes and timeout must be above 0", d->name_z);
    if (!(d->retry_multiplier >= 1) || d->retry_max_ms < d->retry_initial_ms)
        return ut_fault_set(fault, UT_EINVAL,
                            "destination %s: expected a retry multiplier of at least 1 and a "
                            "maximum that is not below the initial wait",
                            d->name_z);
    if (d->gzip && (d->gzip_level < 1 || d->gzip_level > 9))
        return ut_fault_set(fault, UT_EINVAL,
                            "destination %s: found gzip level %d, expected 1 to 9", d->name_z,
                            d->gzip_level);
    if (d->header_count > UT_DESTINATION_HEADERS_MAX)
        return ut_fault_set(fault, UT_EINVAL, "destination %s: more than %d headers", d->name_z,
                            UT_DESTINATION_HEADERS_MAX);
    size_t bytes = 0;
    for (size_t i = 0; i < d->header_count; i++) {
        if (!ut_http_header_allowed(&d->headers[i]))
            return ut_fault_set(fault, UT_EINVAL,
                                "destination %s: header %lu cannot be sent: its name is not one, "
                                "its value holds a control character, or the agent writes this "
                                "header itself",
                                d->name_z, (unsigned long)i + 1);
        bytes += strlen(d->headers[i].name_z) + strlen(d->headers[i].value_z) + 4;
    }
    if (bytes > UT_HTTP_REQUEST_HEAD_MAX / 2)
        return ut_fault_set(fault, UT_EINVAL, "destination %s: the headers take more than %d bytes",
                            d->name_z, UT_HTTP_REQUEST_HEAD_MAX / 2);
    return UT_OK;
}
