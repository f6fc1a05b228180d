// A client that sends what a test tells it to, byte for byte, and takes HTTP answers apart; for
// tests that drive a server on their own thread. Anything unexpected fails the test.
#ifndef UT_TESTS_SUPPORT_WIRE_H
#define UT_TESTS_SUPPORT_WIRE_H

#include "port/port.h"

enum { UT_WIRE_PATIENCE_MS = 20000, UT_WIRE_HEAD_MAX = 1024 };

// turn: lets the server do what it can, and waits a moment at the most.
typedef struct {
    ut_sock sock;
    void (*turn)(void *context);
    void *context;
    uint8_t *inbox; // all that has come
    size_t len;
    size_t taken; // of it, by ut_wire_answer_take
    bool eof;     // the server has closed, or reset, the connection
} ut_wire;

typedef struct {
    int status;
    char head_z[UT_WIRE_HEAD_MAX];
    ut_bytes body; // borrowed until ut_wire_close
} ut_wire_answer;

void ut_wire_open(ut_wire *wire, const ut_addr *addr, void (*turn)(void *context), void *context);
void ut_wire_close(ut_wire *wire);

// False: the server has reset the connection.
bool ut_wire_send(ut_wire *wire, const void *data, size_t len);
void ut_wire_send_z(ut_wire *wire, const char *text_z);

// Takes what is there, without waiting.
void ut_wire_read(ut_wire *wire);
// Waits for the next answer. without_body: it answers HEAD.
void ut_wire_take(ut_wire *wire, bool without_body, ut_wire_answer *answer);
// Waits until the server has closed the connection.
void ut_wire_wait_eof(ut_wire *wire);

// Fails the test when begin_ms is too long ago.
void ut_wire_patience(uint64_t begin_ms, const char *what_z);

#endif
