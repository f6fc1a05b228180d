// The client of tests of servers; see wire.h.
#include "tests/support/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { INBOX_BYTES = 16 * 1024 * 1024 };

void ut_wire_patience(uint64_t begin_ms, const char *what_z)
{
    if (ut_clock_mono_ms() - begin_ms > UT_WIRE_PATIENCE_MS)
        fail_msg("%s never happened", what_z);
}

void ut_wire_open(ut_wire *wire, const ut_addr *addr, void (*turn)(void *context), void *context)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    *wire = (ut_wire){.sock = UT_SOCK_NONE, .turn = turn, .context = context};
    wire->inbox = malloc(INBOX_BYTES);
    assert_non_null(wire->inbox);
    assert_int_equal(ut_sock_connect(addr, &wire->sock), UT_OK);
    while (ut_sock_connect_result(wire->sock, NULL) == UT_EAGAIN) {
        ut_wire_patience(begin_ms, "the connection");
        turn(context);
    }
}

void ut_wire_close(ut_wire *wire)
{
    ut_sock_close(wire->sock);
    free(wire->inbox);
    *wire = (ut_wire){.sock = UT_SOCK_NONE};
}

void ut_wire_read(ut_wire *wire)
{
    while (!wire->eof) {
        size_t n = 0;
        assert_true(wire->len < INBOX_BYTES);
        const ut_err err =
            ut_sock_read(wire->sock, wire->inbox + wire->len, INBOX_BYTES - wire->len, &n);
        if (err == UT_EAGAIN)
            return;
        if (err != UT_OK)
            wire->eof = true;
        else
            wire->len += n;
    }
}

bool ut_wire_send(ut_wire *wire, const void *data, size_t len)
{
    ut_bytes rest = ut_bytes_of(data, len);
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (rest.len > 0) {
        size_t n = 0;
        const ut_err err = ut_sock_write(wire->sock, &rest, 1, &n);
        if (err == UT_OK) {
            rest.data += n;
            rest.len -= n;
        } else if (err != UT_EAGAIN) {
            return false;
        }
        if (rest.len > 0)
            wire->turn(wire->context);
        ut_wire_patience(begin_ms, "the end of sending");
    }
    return true;
}

void ut_wire_send_z(ut_wire *wire, const char *text_z)
{
    assert_true(ut_wire_send(wire, text_z, strlen(text_z)));
}

// The next answer in the inbox. One without Content-Length has no body.
static bool next_answer(ut_wire *wire, bool without_body, ut_wire_answer *answer)
{
    const uint8_t *begin = wire->inbox + wire->taken;
    const uint8_t *end = memmem(begin, wire->len - wire->taken, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    const size_t head_len = (size_t)(end - begin) + 4;
    assert_true(head_len < sizeof answer->head_z);
    memcpy(answer->head_z, begin, head_len);
    answer->head_z[head_len] = '\0';
    assert_int_equal(sscanf(answer->head_z, "HTTP/1.1 %d ", &answer->status), 1);
    size_t len = 0;
    const char *field = strstr(answer->head_z, "Content-Length: ");
    if (field != NULL && !without_body)
        len = (size_t)strtoul(field + 16, NULL, 10);
    if (wire->len - wire->taken < head_len + len)
        return false;
    answer->body = ut_bytes_of(begin + head_len, len);
    wire->taken += head_len + len;
    return true;
}

void ut_wire_take(ut_wire *wire, bool without_body, ut_wire_answer *answer)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (;;) {
        ut_wire_read(wire);
        if (next_answer(wire, without_body, answer))
            return;
        if (wire->eof)
            fail_msg("the connection ended without an answer; got \"%.*s\"", (int)wire->len,
                     (const char *)wire->inbox);
        wire->turn(wire->context);
        ut_wire_patience(begin_ms, "an answer");
    }
}

void ut_wire_wait_eof(ut_wire *wire)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (!wire->eof) {
        ut_wire_read(wire);
        wire->turn(wire->context);
        ut_wire_patience(begin_ms, "the end of the connection");
    }
}
