// The HTTP server with a handler that echoes, over real sockets on loopback, driven on one thread
// with a clock that a test can put forward. Each test leaves nothing behind, or fails.
//
// The handler answers by the path: /now echoes the body, /big answers with UT_ECHO_BIG bytes,
// /early answers 404 before the body, /later waits for the test.
#ifndef UT_TESTS_SUPPORT_ECHO_SERVER_H
#define UT_TESTS_SUPPORT_ECHO_SERVER_H

#include "tests/support/holdings.h"
#include "tests/support/wire.h"
#include "transport/http/http_server.h"

enum {
    UT_ECHO_PENDING_MAX = 256,
    UT_ECHO_BODY_MAX = 64 * 1024,
    UT_ECHO_BIG = 12 * 1024 * 1024, // more than sockets hold, less than the inbox of a wire
    // Long, because real time passes too, on a busy machine: only the skew moves the clock so far.
    UT_ECHO_HEAD_MS = 30000,
    UT_ECHO_BODY_MS = 60000,
    UT_ECHO_IDLE_MS = 150000,
    UT_ECHO_SLACK_MS = 15000, // may pass unseen
};

typedef struct {
    ut_holdings before; // the test
    ut_poller *poller;
    ut_http_server *server;
    ut_http_server_config config;
    ut_addr addr;
    uint64_t skew_ms; // how far the clock is put forward
    size_t waits;     // of the poller
    // What the handler saw.
    size_t heads;
    size_t bodies;
    size_t refusals;
    int refused_status;
    char method_z[16];
    char path_z[64];
    char query_z[64];
    uint8_t body[UT_ECHO_BODY_MAX * 4];
    size_t body_len;
    ut_http_exchange *pending[UT_ECHO_PENDING_MAX]; // for /later
    size_t pending_count;
} ut_echo;

#define UT_ECHO_TEST(name) cmocka_unit_test_setup_teardown(name, ut_echo_set_up, ut_echo_tear_down)
int ut_echo_set_up(void **state);
int ut_echo_tear_down(void **state); // answers what is pending
// Closes the server and opens it again, by a config that the test may have changed.
void ut_echo_reopen(ut_echo *echo);

uint64_t ut_echo_now(const ut_echo *echo);
// One round of the loop; waits for events a moment at the most.
void ut_echo_pump(ut_echo *echo);
// Rounds until nothing is ready any more.
void ut_echo_settle(ut_echo *echo);
void ut_echo_reply(ut_echo *echo, ut_http_exchange *exchange, int status, ut_bytes body);

ut_wire ut_echo_connect(ut_echo *echo);
ut_wire_answer ut_echo_take(ut_wire *wire);
void ut_echo_await_connections(ut_echo *echo, uint32_t count);
void ut_echo_await_bodies(ut_echo *echo, size_t count);

// The server has closed the connection at the time that is now, not later.
void ut_echo_assert_closed(ut_echo *echo, ut_wire *wire);
// The answer says that the connection ends, or does not.
void ut_echo_assert_closes(const ut_wire_answer *answer);
void ut_echo_assert_stays(const ut_wire_answer *answer);
void ut_echo_assert_body(const ut_wire_answer *answer, const char *body_z);
// The server counts no memory for requests.
void ut_echo_assert_memory_free(ut_echo *echo);

#endif
