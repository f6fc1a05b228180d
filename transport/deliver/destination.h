// A destination as it is configured: where, how, how much, how often again.
#ifndef UT_TRANSPORT_DELIVER_DESTINATION_H
#define UT_TRANSPORT_DELIVER_DESTINATION_H

#include "adapters/otlp/otlp.h"
#include "transport/http/http_client.h"

enum {
    UT_DESTINATION_HEADERS_MAX = 32,
    UT_DESTINATION_CONNECTIONS_MAX = 16,
};

// Filled from the configuration; every pointer is owned by whoever filled it and outlives the
// dispatcher.
typedef struct {
    const char *name_z;
    uint32_t org;
    uint32_t dest; // number in the ledger
    // Whole: for the provider otlp, "/v1/traces" is already appended to the configured path.
    ut_url url;
    ut_header headers[UT_DESTINATION_HEADERS_MAX];
    size_t header_count;
    const ut_otlp_encoder *encoder;
    bool gzip;
    int gzip_level; // 1..9

    bool insecure;
    ut_bytes ca_pem; // empty: the system's store was not found and none was given
    bool ca_system;  // ca_pem is the system's list: it takes long to read, and is no one's mistake
    ut_bytes cert_pem;
    ut_bytes key_pem;

    // Batches in flight at once, each on its own connection; 1..UT_DESTINATION_CONNECTIONS_MAX.
    uint32_t connections;
    // A batch is sent when it reaches one of these, or when its oldest block has waited so long.
    uint32_t batch_spans_max;
    uint32_t batch_bytes_max; // encoded, before compression; a single span may pass it
    uint32_t batch_delay_ms_max;

    uint32_t retry_initial_ms; // back-off: full jitter over initial * multiplier^n, at most max
    uint32_t retry_max_ms;
    double retry_multiplier;
    uint32_t retry_attempts_max; // 0: until the data expires
    uint32_t timeout_ms;         // of one request, from connect to the end of the answer
} ut_destination_config;

// UT_EINVAL with a fault that names the destination: a number outside its range, a header that
// cannot be sent. Does not read the certificates.
ut_err ut_destination_check(const ut_destination_config *destination, ut_fault *fault);

#endif
