// The OTLP/HTTP receiver of a test: a store on disk behind a gate, its thread, requests to it, and
// checks of its answers. Every function fails the test when something else does not work.
#ifndef UT_TESTS_SUPPORT_RECEIVER_RIG_H
#define UT_TESTS_SUPPORT_RECEIVER_RIG_H

#include "adapters/encoding/gzip.h"
#include "adapters/otlp/otlp.h"
#include "agent/receive/receiver_otlp_http.h"
#include "tests/support/certs.h"
#include "tests/support/engine_gate.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wire.h"

enum {
    UT_RIG_BODY_MAX = 1024 * 1024, // that the receiver takes
    UT_RIG_BUF_MAX = 64 * 1024 * 1024,
};

typedef struct {
    ut_poller *poller;
    ut_engine *engine;
    ut_engine_gate *gate;
    ut_store *store;
    ut_store_thread *thread;
    bool joined;
    ut_receiver_config limits; // for ut_rig_open_receiver
    ut_receiver_otlp_http *receiver;
    ut_addr addr;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_buf body;
    ut_buf packed;
    ut_gzip *gzip;
    ut_certs *certs;    // NULL, or freed in the end
    ut_store_job *jobs; // of the test's own; freed in the end
    ut_log log;
    char log_z[16 * 1024]; // what the receiver has logged, line by line
} ut_receiver_rig;

// A test's set-up and tear-down: *state is the rig, with a receiver that listens.
int ut_rig_set_up(void **state);
int ut_rig_tear_down(void **state);

// Opens the receiver with rig->limits; the one before must be closed.
void ut_rig_open_receiver(ut_receiver_rig *rig);

// One round of the network thread; context is the rig.
void ut_rig_round(void *context);

// Ends the store thread, so that the test may look into the store, and returns its counters.
ut_store_counts ut_rig_counts(ut_receiver_rig *rig);

// ---- requests and answers ----

ut_wire ut_rig_wire(ut_receiver_rig *rig); // a connection to the receiver

// Sends a POST to /v1/traces with these header fields, each ended by CR LF.
void ut_rig_send(ut_wire *wire, const char *fields_z, ut_bytes body);
ut_wire_answer ut_rig_take(ut_wire *wire); // waits for an answer
ut_wire_answer ut_rig_ask(ut_wire *wire, const char *fields_z, ut_bytes body);

// Content-Type for the encoding.
const char *ut_rig_fields(const ut_otlp_encoder *encoder);

// A request of that many made-up spans, in rig->body; packed with gzip, in rig->packed.
ut_bytes ut_rig_body(ut_receiver_rig *rig, uint64_t seed, uint32_t spans,
                     const ut_otlp_encoder *encoder);
ut_bytes ut_rig_pack(ut_receiver_rig *rig, ut_bytes body);

// ---- what an answer has to be ----

void ut_rig_assert_has(const ut_wire_answer *answer, const char *line_z); // in its head
void ut_rig_assert_success(const ut_wire_answer *answer, const ut_otlp_encoder *encoder);

// A google.rpc.Status in the encoding of the request, with that code, and text in its message.
void ut_rig_assert_status(const ut_wire_answer *answer, int status, int code,
                          const ut_otlp_encoder *encoder, const char *text_z);
// The same with 503, Retry-After, and a connection that stays.
void ut_rig_assert_unavailable(const ut_wire_answer *answer, int code,
                               const ut_otlp_encoder *encoder, const char *text_z);

extern const ut_otlp_encoder *const ut_rig_encoders[2]; // protobuf, JSON

#endif
