// One HTTP/1.1 connection as a step machine: name, address, TLS, request, answer. Not for deciding
// what an answer means (outcome.h) or when to try again (exporter.c).
#include "transport/http/http_client.h"

#include "transport/http/http_reader.h"
#include "transport/http/retry_after.h"

#include <stdlib.h>

enum {
    READ_BYTES = 4096,      // answers are short
    RESOLVE_AGAIN_MS = 50,  // when the resolver has too much to do
    CONNECT_MS_MIN = 250,   // for one address, however many there are
    KEEP_HEAD_BYTES = 4096, // memory of a request head that an idle connection keeps
};

typedef enum {
    STATE_CLOSED,
    STATE_RESOLVING,
    STATE_CONNECTING,
    STATE_SHAKING, // the TLS handshake
    STATE_OPEN,
} client_state;

struct ut_http_client {
    ut_http_client_config config;
    client_state state;
    bool busy; // a request is under way
    ut_http_request request;
    ut_buf head;
    size_t sent;      // of head and body together
    bool send_broken; // the peer takes no more, but may have answered
    bool kept;        // the connection has carried a request before
    bool retried;     // this request is on its second connection
    bool anew;        // the next look-up of the name is not to be answered from memory
    uint64_t deadline_ms;
    uint64_t connect_deadline_ms;
    uint64_t idle_deadline_ms;
    uint64_t age_deadline_ms; // no request begins on the connection after it
    uint32_t ticket;
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t addr_count;
    size_t addr_next; // the one to try after the current
    ut_stream stream;
    uint32_t interest; // that the poller knows
    ut_http_reader reader;
    uint8_t in[READ_BYTES];
};

ut_err ut_http_client_new(const ut_http_client_config *config, ut_http_client **client)
{
    ut_http_client *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return UT_ENOMEM;
    made->config = *config;
    made->stream.sock = UT_SOCK_NONE;
    ut_buf_init(&made->head, UT_HTTP_REQUEST_HEAD_MAX);
    ut_http_reader_init(&made->reader);
    *client = made;
    return UT_OK;
}

// Leaves nothing open. polite: the TLS peer is told first, if it takes the word without waiting.
static void close_connection(ut_http_client *client, bool polite)
{
    if (client->state == STATE_RESOLVING)
        ut_resolver_cancel(client->config.resolver, client->ticket);
    if (client->stream.sock != UT_SOCK_NONE) {
        uint32_t want = 0;
        if (polite && client->stream.tls != NULL)
            (void)ut_tls_shutdown(client->stream.tls,
                                  &want); // the close that follows says the same
        ut_poller_forget(client->config.poller, client->stream.sock);
    }
    ut_stream_close(&client->stream);
    client->state = STATE_CLOSED;
    client->interest = 0;
    client->kept = false;
}

void ut_http_client_free(ut_http_client *client)
{
    if (client == NULL)
        return;
    close_connection(client, true);
    ut_http_reader_free(&client->reader);
    ut_buf_free(&client->head);
    free(client);
}

// ---- the head of a request ----

static bool same_name(const char *a_z, const char *lower_z)
{
    for (; *a_z != '\0'; a_z++, lower_z++) {
        if ((*a_z >= 'A' && *a_z <= 'Z' ? (char)(*a_z - 'A' + 'a') : *a_z) != *lower_z)
            return false;
    }
    return *lower_z == '\0';
}

bool ut_http_header_allowed(const ut_header *header)
{
    static const char *const ours_z[] = {
        "content-length",   "transfer-encoding", "connection", "content-type", "content-encoding",
        "expect",           "upgrade",           "te",         "trailer",      "keep-alive",
        "proxy-connection",
    };
    for (size_t i = 0; i < sizeof(ours_z) / sizeof(ours_z[0]); i++) {
        if (same_name(header->name_z, ours_z[i]))
            return false;
    }
    if (header->name_z[0] == '\0')
        return false;
    for (const char *c = header->name_z; *c != '\0'; c++) {
        bool token = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("!#$%&'*+-.^_`|~", *c) != NULL;
        if (!token)
            return false;
    }
    for (const char *c = header->value_z; *c != '\0'; c++) {
        if (((uint8_t)*c < 0x20 && *c != '\t') || *c == 0x7f)
            return false;
    }
    return true;
}

static bool has_header(const ut_http_request *request, const char *lower_z)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (same_name(request->headers[i].name_z, lower_z))
            return true;
    }
    return false;
}

static void add_field(ut_buf *head, const char *name_z, const char *value_z)
{
    ut_buf_add_z(head, name_z);
    ut_buf_add_z(head, ": ");
    ut_buf_add_z(head, value_z);
    ut_buf_add_z(head, "\r\n");
}

static void add_host(ut_buf *head, const ut_url *url)
{
    bool ip6 = strchr(url->host_z, ':') != NULL;
    // A zone means nothing to the peer. Servers hold this against the name in TLS, which has no dot
    // at the end.
    size_t len = strcspn(url->host_z, "%");
    if (len > 1 && url->host_z[len - 1] == '.')
        len--;
    ut_buf_add_z(head, ip6 ? "Host: [" : "Host: ");
    ut_buf_add(head, url->host_z, len);
    ut_buf_add_z(head, ip6 ? "]" : "");
    if (url->port != (url->tls ? 443 : 80))
        ut_buf_printf(head, ":%u", (unsigned)url->port);
    ut_buf_add_z(head, "\r\n");
}

static void write_head(ut_http_client *client)
{
    const ut_http_request *request = &client->request;
    ut_buf *head = &client->head;
    ut_buf_reset(head, KEEP_HEAD_BYTES);
    ut_buf_add_z(head, request->method_z);
    ut_buf_add_z(head, " ");
    ut_buf_add_z(head, client->config.url->path_z);
    ut_buf_add_z(head, " HTTP/1.1\r\n");
    if (!has_header(request, "host"))
        add_host(head, client->config.url);
    if (request->user_agent_z != NULL && !has_header(request, "user-agent"))
        add_field(head, "User-Agent", request->user_agent_z);
    if (!has_header(request, "accept-encoding"))
        add_field(head, "Accept-Encoding", "gzip");
    if (request->content_type_z != NULL)
        add_field(head, "Content-Type", request->content_type_z);
    if (request->content_encoding_z != NULL)
        add_field(head, "Content-Encoding", request->content_encoding_z);
    ut_buf_printf(head, "Content-Length: %lu\r\n", (unsigned long)request->body.len);
    for (size_t i = 0; i < request->header_count; i++)
        add_field(head, request->headers[i].name_z, request->headers[i].value_z);
    ut_buf_add_z(head, "\r\n");
}

// A connection without a request has nothing to read: whatever comes ends it, except what TLS keeps
// for itself. True when it is still good.
static bool check_idle(ut_http_client *client)
{
    uint32_t want = 0;
    size_t n = 0;
    if (ut_stream_read(&client->stream, client->in, sizeof(client->in), &n, &want) == UT_EAGAIN)
        return true;
    close_connection(client, false);
    return false;
}

void ut_http_client_start(ut_http_client *client, const ut_http_request *request, uint64_t now_ms)
{
    UT_ASSERT(!client->busy);
    client->request = *request;
    client->busy = true;
    client->sent = 0;
    client->send_broken = false;
    client->retried = false;
    client->deadline_ms = now_ms + client->config.timeout_ms;
    ut_http_reader_reset(&client->reader);
    write_head(client); // an error in it is found by the first step
    // Costs a system call, and saves the request from being sent into a connection that the peer
    // has closed, or being taken for answered by what the peer said before it.
    if (client->state == STATE_OPEN && check_idle(client) && now_ms >= client->age_deadline_ms)
        close_connection(client, true);
}

void ut_http_client_renew(ut_http_client *client)
{
    UT_ASSERT(!client->busy);
    client->anew = true;
    close_connection(client, true);
}

// ---- the states ----
// Each returns UT_OK when the machine has moved on, UT_EAGAIN when it must wait, or why it failed.

// Tells the poller what to wait for. UT_ENOMEM only.
static ut_err watch(ut_http_client *client, uint32_t interest)
{
    if (interest == client->interest)
        return UT_OK;
    ut_err err =
        ut_poller_watch(client->config.poller, client->stream.sock, interest, client->config.tag);
    if (err == UT_OK)
        client->interest = interest;
    return err;
}

static ut_err wait_for(ut_http_client *client, uint32_t interest, ut_fault *fault)
{
    ut_err err = watch(client, interest);
    return err == UT_OK ? UT_EAGAIN
                        : ut_fault_set(fault, UT_ECONNECT, "the connection cannot be watched: %s",
                                       ut_err_text(err));
}

static ut_err start_resolving(ut_http_client *client, ut_fault *fault)
{
    const ut_url *url = client->config.url;
    ut_err err =
        ut_resolver_start(client->config.resolver, url->host_z, client->anew, &client->ticket);
    if (err == UT_ELIMIT)
        return UT_EAGAIN; // comes again
    if (err != UT_OK)
        return ut_fault_set(fault, UT_ERESOLVE, "%s cannot be looked up: %s", url->host_z,
                            ut_err_text(err));
    client->state = STATE_RESOLVING;
    return UT_OK;
}

// Starts on the next address. why: what happened to the one before; stays when there is none left.
static ut_err connect_next(ut_http_client *client, uint64_t now_ms, ut_fault *why)
{
    while (client->addr_next < client->addr_count) {
        const ut_addr *addr = &client->addrs[client->addr_next];
        uint64_t left = client->addr_count - client->addr_next;
        uint64_t share_ms = (client->deadline_ms - now_ms) / left;
        client->addr_next++;
        ut_err err = ut_sock_connect(addr, &client->stream.sock);
        if (err == UT_OK && watch(client, UT_WRITABLE) == UT_OK) {
            if (share_ms > UT_HTTP_CONNECT_MS_MAX)
                share_ms = UT_HTTP_CONNECT_MS_MAX;
            if (share_ms < CONNECT_MS_MIN)
                share_ms = CONNECT_MS_MIN;
            client->connect_deadline_ms = now_ms + share_ms;
            client->age_deadline_ms = now_ms + UT_HTTP_AGE_MS_MAX;
            client->state = STATE_CONNECTING;
            return UT_OK;
        }
        close_connection(client, false);
        char text_z[UT_ADDR_TEXT_MAX];
        ut_addr_text(addr, text_z);
        (void)ut_fault_set(why, UT_ECONNECT, "cannot connect to %s: %s", text_z,
                           err == UT_OK ? "it cannot be watched" : ut_err_text(err));
    }
    return why->code == UT_OK ? ut_fault_set(why, UT_ECONNECT, "there is no address to connect to")
                              : UT_ECONNECT;
}

static ut_err resolve(ut_http_client *client, uint64_t now_ms, ut_fault *fault)
{
    ut_err err = ut_resolver_take(client->config.resolver, client->ticket, client->config.url->port,
                                  client->addrs, &client->addr_count, fault);
    if (err == UT_EAGAIN)
        return UT_EAGAIN;
    client->state = STATE_CLOSED; // the ticket has ended
    if (err != UT_OK)
        return err;
    client->anew = false;
    client->addr_next = 0;
    return connect_next(client, now_ms, fault);
}

static ut_err finish_connecting(ut_http_client *client, uint64_t now_ms, ut_fault *fault)
{
    ut_fault reason = {.code = UT_OK};
    ut_err err = ut_sock_connect_result(client->stream.sock, &reason);
    if (err == UT_EAGAIN) {
        if (now_ms < client->connect_deadline_ms)
            return UT_EAGAIN;
        (void)ut_fault_set(&reason, UT_ETIMEOUT, "no answer");
    } else if (err == UT_OK) {
        if (client->config.tls == NULL) {
            client->state = STATE_OPEN;
            return UT_OK;
        }
        err = ut_tls_open(client->config.tls, client->stream.sock, client->config.url->host_z,
                          &client->stream.tls);
        client->state = STATE_SHAKING;
        return err == UT_OK ? UT_OK
                            : ut_fault_set(fault, err, "TLS cannot start: %s", ut_err_text(err));
    }
    char text_z[UT_ADDR_TEXT_MAX];
    ut_addr_text(&client->addrs[client->addr_next - 1], text_z);
    close_connection(client, false);
    (void)ut_fault_set(fault, UT_ECONNECT, "cannot connect to %s: %s", text_z, reason.text_z);
    return connect_next(client, now_ms, fault);
}

static ut_err shake(ut_http_client *client, ut_fault *fault)
{
    uint32_t want = 0;
    ut_err err = ut_tls_handshake(client->stream.tls, &want, fault);
    if (err == UT_EAGAIN)
        return wait_for(client, want, fault);
    if (err == UT_OK)
        client->state = STATE_OPEN;
    return err;
}

static size_t bytes_to_send(const ut_http_client *client)
{
    return client->head.len + client->request.body.len - client->sent;
}

// Sends what the socket takes. UT_OK: all is sent, or nothing more can be; UT_EAGAIN sets *want.
static ut_err send_request(ut_http_client *client, uint32_t *want)
{
    while (!client->send_broken && bytes_to_send(client) > 0) {
        ut_bytes parts[2] = {ut_buf_bytes(&client->head), client->request.body};
        size_t skip = client->sent;
        for (size_t i = 0; i < 2; i++) {
            size_t part_skip = skip < parts[i].len ? skip : parts[i].len;
            if (part_skip > 0) {
                parts[i].data += part_skip;
                parts[i].len -= part_skip;
            }
            skip -= part_skip;
        }
        size_t n = 0;
        ut_err err = ut_stream_write(&client->stream, parts, 2, &n, want);
        if (err == UT_EAGAIN)
            return UT_EAGAIN;
        if (err != UT_OK)
            client->send_broken = true; // an answer may wait all the same: 413 comes so
        else
            client->sent += n;
    }
    return UT_OK;
}

// No byte of an answer has come over a new connection. TLS servers often end one that begins with
// HTTP without a word.
static ut_err ended_without_answer(const ut_http_client *client, const char *how_z, ut_fault *fault)
{
    const bool guess = client->stream.tls == NULL && !client->kept;
    return ut_fault_set(fault, UT_ECLOSED, "%s without an answer%s", how_z,
                        guess ? "; is it a TLS port (https)?" : "");
}

static ut_err broken(ut_http_client *client, ut_err err, ut_fault *fault)
{
    if (err == UT_ETLS && client->stream.tls != NULL) {
        ut_tls_explain(client->stream.tls, fault);
        return UT_ETLS;
    }
    if (err == UT_EIO && bytes_to_send(client) == 0 && !ut_http_reader_begun(&client->reader))
        return ended_without_answer(client, "the connection broke", fault);
    if (err == UT_EIO)
        return ut_fault_set(fault, UT_ECLOSED, "the connection broke %s",
                            bytes_to_send(client) > 0 ? "while the request was sent"
                                                      : "before the answer was complete");
    return ut_fault_set(fault, err, "the connection failed: %s", ut_err_text(err));
}

// Reads what has come. UT_OK: the answer is whole.
static ut_err read_answer(ut_http_client *client, uint32_t *want, ut_fault *fault)
{
    for (;;) {
        size_t n = 0;
        ut_err err = ut_stream_read(&client->stream, client->in, sizeof(client->in), &n, want);
        if (err == UT_EAGAIN)
            return UT_EAGAIN;
        if (err == UT_ECLOSED && !ut_http_reader_begun(&client->reader))
            return ended_without_answer(client, "the peer closed the connection", fault);
        if (err == UT_ECLOSED)
            return ut_http_reader_finish(&client->reader, fault);
        if (err != UT_OK)
            return broken(client, err, fault);
        err = ut_http_reader_feed(&client->reader, ut_bytes_of(client->in, n), fault);
        if (err != UT_EAGAIN)
            return err;
    }
}

static void end_request(ut_http_client *client, uint64_t now_ms)
{
    client->busy = false;
    bool more = client->stream.tls != NULL && ut_tls_pending(client->stream.tls);
    if (client->reader.keep_alive && bytes_to_send(client) == 0 && !more &&
        watch(client, UT_READABLE) == UT_OK) {
        client->kept = true;
        client->idle_deadline_ms = now_ms + UT_HTTP_IDLE_MS_MAX;
    } else {
        close_connection(client, true);
    }
}

static ut_err exchange(ut_http_client *client, uint64_t now_ms, uint64_t wall_ns,
                       ut_http_answer *answer, ut_fault *fault)
{
    uint32_t write_want = 0;
    uint32_t read_want = 0;
    ut_err sending = send_request(client, &write_want);
    ut_err err = read_answer(client, &read_want, fault);
    if (err == UT_EAGAIN)
        return wait_for(client, read_want | (sending == UT_EAGAIN ? write_want : 0), fault);
    if (err != UT_OK)
        return err;

    const ut_http_reader *reader = &client->reader;
    if (bytes_to_send(client) > 0 && reader->status < 300)
        return ut_fault_set(fault, UT_EPROTO, "the peer answered %d before it had read the request",
                            reader->status);
    *answer = (ut_http_answer){
        .status = reader->status,
        .retry_after_ms = ut_retry_after_ms(ut_bytes_of_z(reader->retry_after_z),
                                            ut_bytes_of_z(reader->date_z), wall_ns),
        .content_type = ut_bytes_of_z(reader->content_type_z),
        .body = reader->body,
    };
    end_request(client, now_ms);
    return UT_OK;
}

// A server may close a kept connection at the very moment at which we use it again. That is
// nobody's fault, and the request goes once more, on a new connection.
static bool may_retry(const ut_http_client *client, ut_err err)
{
    return err == UT_ECLOSED && client->state == STATE_OPEN && client->kept && !client->retried &&
           !ut_http_reader_begun(&client->reader);
}

static ut_err timeout_fault(const ut_http_client *client, ut_fault *fault)
{
    static const char *const doing_z[] = {
        [STATE_CLOSED] = "looking up the host name", [STATE_RESOLVING] = "looking up the host name",
        [STATE_CONNECTING] = "connecting",           [STATE_SHAKING] = "the TLS handshake",
        [STATE_OPEN] = "waiting for the answer",
    };
    const char *what_z = client->state == STATE_OPEN && bytes_to_send(client) > 0
                             ? "sending the request"
                             : doing_z[client->state];
    return ut_fault_set(fault, UT_ETIMEOUT, "timed out after %lu ms while %s",
                        (unsigned long)client->config.timeout_ms, what_z);
}

ut_err ut_http_client_step(ut_http_client *client, uint64_t now_ms, uint64_t wall_ns,
                           uint64_t *next_ms, ut_http_answer *answer, ut_fault *fault)
{
    *next_ms = UINT64_MAX;
    if (!client->busy) {
        if (client->state != STATE_OPEN || !check_idle(client))
            return UT_EAGAIN;
        if (now_ms < client->idle_deadline_ms)
            *next_ms = client->idle_deadline_ms;
        else
            close_connection(client, true);
        return UT_EAGAIN;
    }
    ut_fault why = {.code = UT_OK};
    ut_err err = UT_OK;
    while (client->busy) {
        if (client->head.err != UT_OK) {
            err = ut_fault_set(&why, UT_ENOMEM, "the head of the request is not made: %s",
                               ut_err_text(client->head.err));
        } else if (now_ms >= client->deadline_ms) {
            err = timeout_fault(client, &why);
        } else {
            switch (client->state) {
            case STATE_CLOSED:
                err = start_resolving(client, &why);
                break;
            case STATE_RESOLVING:
                err = resolve(client, now_ms, &why);
                break;
            case STATE_CONNECTING:
                err = finish_connecting(client, now_ms, &why);
                break;
            case STATE_SHAKING:
                err = shake(client, &why);
                break;
            case STATE_OPEN:
                err = exchange(client, now_ms, wall_ns, answer, &why);
                break;
            }
        }
        if (err == UT_EAGAIN) {
            *next_ms = client->deadline_ms;
            if (client->state == STATE_CONNECTING && client->connect_deadline_ms < *next_ms)
                *next_ms = client->connect_deadline_ms;
            if (client->state == STATE_CLOSED && now_ms + RESOLVE_AGAIN_MS < *next_ms)
                *next_ms = now_ms + RESOLVE_AGAIN_MS;
            return UT_EAGAIN;
        }
        if (err == UT_OK)
            continue;
        bool again = may_retry(client, err);
        close_connection(client, false);
        if (!again) {
            client->busy = false;
            client->anew = true;
            if (fault != NULL)
                *fault = why;
            return err;
        }
        client->retried = true;
        client->sent = 0;
        client->send_broken = false;
        ut_http_reader_reset(&client->reader);
    }
    if (client->state == STATE_OPEN)
        *next_ms = client->idle_deadline_ms;
    return UT_OK;
}

bool ut_http_client_busy(const ut_http_client *client)
{
    return client->busy;
}

bool ut_http_client_connected(const ut_http_client *client)
{
    return client->state == STATE_OPEN;
}

bool ut_http_client_resolving(const ut_http_client *client)
{
    return client->state == STATE_RESOLVING;
}
