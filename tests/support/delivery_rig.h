// The dispatcher with a real store, real sockets and scripted servers; its clock is the test's, so
// that hours of back-off pass at once and no test depends on how fast the machine is.
#ifndef UT_TESTS_SUPPORT_DELIVERY_RIG_H
#define UT_TESTS_SUPPORT_DELIVERY_RIG_H

#include "tests/support/engine_memory.h"
#include "tests/support/filled_store.h"
#include "tests/support/holdings.h"
#include "tests/support/peer.h"
#include "transport/deliver/dispatcher.h"

enum {
    UT_DELIVERY_RIG_DEADLINE_MS = 60000, // a test that waits longer is broken
    UT_DELIVERY_RIG_BUDGET = 64 * 1024 * 1024,
    UT_DELIVERY_RIG_REQUESTS_MAX = 4096,
    UT_DELIVERY_RIG_DESTINATIONS_MAX = 4,
    UT_DELIVERY_RIG_LOG_BYTES_MAX = 64 * 1024,
};

#define UT_DELIVERY_RIG_SECOND_NS     UINT64_C(1000000000)
#define UT_DELIVERY_RIG_WALL_BEGIN_NS (UINT64_C(1700000000) * UT_DELIVERY_RIG_SECOND_NS)

// What came in one request.
typedef struct {
    uint32_t spans;
    size_t bytes;   // of the body as sent
    size_t first;   // the place of its first span
    uint64_t at_ms; // the test's clock when it was answered
    int status;
} ut_delivery_rig_request;

typedef struct ut_delivery_rig_server ut_delivery_rig_server;
typedef struct ut_delivery_rig ut_delivery_rig;

struct ut_delivery_rig_server {
    ut_delivery_rig *rig;
    ut_peer *peer;
    uint32_t *times; // how often each span was taken, by place
    ut_delivery_rig_request requests[UT_DELIVERY_RIG_REQUESTS_MAX];
    int count;
    char head_z[2048]; // of the last request
    // Fills answer; the default takes everything with 200.
    void (*script)(ut_delivery_rig_server *s, const ut_delivery_rig_request *request,
                   const size_t *places, ut_peer_answer *answer);
    // Read by scripts.
    int first_n;        // requests at the beginning that are special
    uint32_t spans_max; // in one request
    size_t bad[4];      // places of spans
    size_t bad_count;
    const char *fields_z;
    int status;
    _Atomic int broken; // while set, 503
};

struct ut_delivery_rig {
    ut_filled_store *store;
    ut_faults faults;
    ut_poller *poller;
    ut_resolver *resolver;
    ut_dispatcher *dispatcher;
    ut_log log;
    char log_z[UT_DELIVERY_RIG_LOG_BYTES_MAX];
    _Atomic uint64_t now_ms;
    ut_delivery_rig_server servers[UT_DELIVERY_RIG_DESTINATIONS_MAX];
    ut_destination_config destinations[UT_DELIVERY_RIG_DESTINATIONS_MAX];
    size_t count;
    int refuse_marks; // number of next marks that are refused
    uint64_t marks;
    uint64_t marks_refused;
    bool hold_marks; // none is taken
};

// A test that leaves nothing behind, or fails; of a group that begins with ut_delivery_rig_warm_up,
// which makes what the libraries keep for the life of the process.
#define UT_DELIVERY_RIG_TEST(name) UT_HOLDINGS_TEST(name)
int ut_delivery_rig_warm_up(void **state);

// ---- making one ----

ut_delivery_rig *ut_delivery_rig_make(void); // with a store in memory
ut_delivery_rig *ut_delivery_rig_make_with(ut_engine *engine);
// Adds a destination with a server of its own, with settings that suit most tests. tls: NULL:
// plain.
ut_delivery_rig_server *ut_delivery_rig_add_server(ut_delivery_rig *rig, ut_tls_context *tls);
// Makes a dispatcher for the destinations, which knows what is in the store.
void ut_delivery_rig_start(ut_delivery_rig *rig);
void ut_delivery_rig_drop(ut_delivery_rig *rig);

// ---- running ----

uint64_t ut_delivery_rig_wall_ns(const ut_delivery_rig *rig);
// One step. Returns when the dispatcher wants the next one.
uint64_t ut_delivery_rig_step(ut_delivery_rig *rig);
// Waits a moment of real time for the sockets.
size_t ut_delivery_rig_await_sockets(ut_delivery_rig *rig, uint64_t ms);

typedef bool (*ut_delivery_rig_condition)(ut_delivery_rig *rig);

// Steps until the condition holds. While a request is under way the clock stands still, and real
// time passes for the sockets; else the clock jumps to when the dispatcher wants to go on, but not
// past until_ms. False when the clock has come to until_ms.
bool ut_delivery_rig_run_until(ut_delivery_rig *rig, ut_delivery_rig_condition done,
                               uint64_t until_ms);
// Until no span is pending.
void ut_delivery_rig_run_to_the_end(ut_delivery_rig *rig);

// ---- looking ----

void ut_delivery_rig_expect_each_once(const ut_delivery_rig *rig,
                                      const ut_delivery_rig_server *server);
ut_delivery ut_delivery_rig_entry(ut_delivery_rig *rig, size_t destination, uint64_t seq);
ut_dispatcher_status ut_delivery_rig_status(ut_delivery_rig *rig, size_t destination);
int ut_delivery_rig_log_lines(const ut_delivery_rig *rig, const char *with_z);

// ---- conditions and scripts that several tests use ----

bool ut_delivery_rig_settled(ut_delivery_rig *rig); // no span is pending
bool ut_delivery_rig_has_failed_once(ut_delivery_rig *rig);

// Counts spans as taken by the server, which it does itself when it answers with 2xx.
void ut_delivery_rig_take(ut_delivery_rig_server *server, const size_t *places, uint32_t spans);

// fields_z: each with its CRLF. message_z: of an OTLP status; NULL: an empty body.
void ut_delivery_rig_answer(ut_peer_answer *answer, int status, const char *fields_z,
                            const char *message_z);

#define UT_DELIVERY_RIG_SCRIPT(name)                                                  \
    void name(ut_delivery_rig_server *server, const ut_delivery_rig_request *request, \
              const size_t *places, ut_peer_answer *answer)
// The first first_n requests get status and fields_z.
UT_DELIVERY_RIG_SCRIPT(ut_delivery_rig_fail_first);
// A request with a span of bad gets 400.
UT_DELIVERY_RIG_SCRIPT(ut_delivery_rig_fail_bad_spans);
// A request with more than spans_max spans gets 413.
UT_DELIVERY_RIG_SCRIPT(ut_delivery_rig_take_few);

#endif
