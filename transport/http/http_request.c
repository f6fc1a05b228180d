// From bytes to requests: the parser's callbacks, what a head must be, bodies and their memory.
// Sockets and answers are http_conn.c's.
#include "transport/http/http_conn.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BODY_FIRST = 64 * 1024,    // a body buffer is at most so large, or twice what has arrived
    CHUNK_OVERHEAD_FACTOR = 8, // bytes of chunk framing that a byte of body may cost
};

size_t ut_http_head_find(const ut_http_head *head, const char *name_z, ut_bytes *value)
{
    const ut_bytes name = ut_bytes_of_z(name_z);
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        const ut_http_field *field = &head->fields[i];
        if (!ut_bytes_equal_fold(field->name, name))
            continue;
        if (count++ == 0)
            *value = field->value;
    }
    return count;
}

// ---- memory

static ut_http_waiting *waiting_take(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    ut_http_waiting *x = server->spare_exchanges;
    if (x != NULL) {
        server->spare_exchanges = x->next;
        server->spare_exchange_count--;
    } else {
        x = calloc(1, sizeof *x);
        if (x == NULL)
            return NULL;
        ut_buf_init(&x->body, UT_HTTP_OUT_BYTES_MAX);
    }
    x->base.note = 0;
    x->conn = c;
    x->next = NULL;
    x->answered = false;
    x->without_body = false;
    x->http10 = false;
    x->closes = false;
    if (c->last != NULL)
        c->last->next = x;
    else
        c->first = x;
    c->last = x;
    c->exchange_count++;
    server->under_way++;
    return x;
}

void ut_http_waiting_give(ut_http_server *server, ut_http_waiting *x)
{
    server->under_way--;
    if (server->spare_exchange_count >= UT_HTTP_SPARE_EXCHANGES_MAX) {
        ut_buf_free(&x->body);
        free(x);
        return;
    }
    ut_buf_reset(&x->body, UT_HTTP_SPARE_REPLY_BYTES_MAX);
    x->next = server->spare_exchanges;
    server->spare_exchanges = x;
    server->spare_exchange_count++;
}

static ut_http_raw_head *head_take(ut_http_server *server)
{
    ut_http_raw_head *h = server->spare_heads;
    if (h != NULL) {
        server->spare_heads = h->next;
        server->spare_head_count--;
    } else {
        h = malloc(sizeof *h);
        if (h == NULL)
            return NULL;
        ut_buf_init(&h->bytes, server->config.header_bytes_max);
    }
    h->target_len = 0;
    h->field_count = 0;
    h->in_value = false;
    return h;
}

void ut_http_request_drop_head(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    ut_http_raw_head *h = c->head;
    c->head = NULL;
    if (h == NULL)
        return;
    ut_buf_reset(&h->bytes, UT_HTTP_SPARE_HEAD_BYTES_MAX);
    if (server->spare_head_count >= UT_HTTP_SPARE_HEADS_MAX) {
        ut_buf_free(&h->bytes);
        free(h);
        return;
    }
    h->next = server->spare_heads;
    server->spare_heads = h;
    server->spare_head_count++;
}

void ut_http_request_drop_body(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    ut_http_server_discharge(server, c->body_charged);
    c->body_charged = 0;
    c->borrowed = UT_BYTES_NONE;
    if (c->body.cap == 0) {
        c->body.err = UT_OK;
        return;
    }
    if (server->spare_body_count < UT_HTTP_SPARE_BODIES_MAX &&
        c->body.cap <= UT_HTTP_SPARE_BODY_BYTES_MAX) {
        ut_buf_reset(&c->body, UT_HTTP_SPARE_BODY_BYTES_MAX);
        server->spare_bodies[server->spare_body_count++] = c->body;
        ut_buf_init(&c->body, (size_t)server->config.body_bytes_max);
        return;
    }
    ut_buf_free(&c->body);
}

// Room for len more bytes of the body: what its length promises, but never more than twice what has
// come (or BODY_FIRST), so that a promise alone costs nothing.
static bool body_reserve(ut_http_conn *c, size_t len)
{
    ut_http_server *server = c->end.server;
    if (c->body.cap == 0 && server->spare_body_count > 0)
        c->body = server->spare_bodies[--server->spare_body_count];
    const size_t need = c->body.len + len;
    size_t room = 2 * need > BODY_FIRST ? 2 * need : BODY_FIRST;
    if (!c->chunked && room > c->content_length)
        room = (size_t)c->content_length;
    if (room > server->config.body_bytes_max)
        room = (size_t)server->config.body_bytes_max;
    if (need > c->body.cap && ut_buf_reserve(&c->body, room - c->body.len) == NULL)
        return false;
    if (c->body.cap > c->body_charged) {
        if (!ut_http_server_charge(server, c->body.cap - c->body_charged))
            return false;
        c->body_charged = c->body.cap;
    }
    return true;
}

void ut_http_request_trim(ut_http_server *server)
{
    while (server->spare_body_count > 0)
        ut_buf_free(&server->spare_bodies[--server->spare_body_count]);
    while (server->spare_heads != NULL) {
        ut_http_raw_head *h = server->spare_heads;
        server->spare_heads = h->next;
        ut_buf_free(&h->bytes);
        free(h);
    }
    server->spare_head_count = 0;
    while (server->spare_exchanges != NULL) {
        ut_http_waiting *x = server->spare_exchanges;
        server->spare_exchanges = x->next;
        ut_buf_free(&x->body);
        free(x);
    }
    server->spare_exchange_count = 0;
    ut_buf_free(&server->scratch);
}

// ---- callbacks of the parser

static int parser_fail(ut_http_conn *c, int status, const char *reason_z)
{
    c->fail_status = status;
    c->fail_z = reason_z;
    return HPE_USER;
}

static int on_message_begin(llhttp_t *parser)
{
    ut_http_conn *c = parser->data;
    c->head = head_take(c->end.server);
    if (c->head == NULL) {
        (void)parser_fail(c, 503, "out of memory");
        return -1;
    }
    c->phase = UT_HTTP_PHASE_HEAD;
    c->head_bytes = 0;
    c->protocol_len = 0;
    return 0;
}

static int on_protocol(llhttp_t *parser, const char *at, size_t len)
{
    static const char expected[] = "HTTP";
    ut_http_conn *c = parser->data;
    if (len > sizeof expected - 1 - c->protocol_len ||
        memcmp(at, expected + c->protocol_len, len) != 0)
        return parser_fail(c, 400, "this port speaks HTTP only");
    c->protocol_len += (uint32_t)len;
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    ut_http_conn *c = parser->data;
    ut_http_raw_head *h = c->head;
    ut_buf_add(&h->bytes, at, len);
    h->target_len += (uint32_t)len;
    if (h->target_len > UT_HTTP_SERVER_TARGET_MAX || h->bytes.err != UT_OK)
        return parser_fail(c, 414, "the request target is too long");
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    ut_http_conn *c = parser->data;
    ut_http_raw_head *h = c->head;
    if (c->phase != UT_HTTP_PHASE_HEAD)
        return 0; // a trailer, of no use here; its bytes count as framing
    if (h->field_count == 0 || h->in_value) {
        if (h->field_count == UT_HTTP_SERVER_FIELDS_MAX)
            return parser_fail(c, 431, "too many header fields");
        h->in_value = false;
        h->fields[h->field_count].name_at = (uint32_t)h->bytes.len;
        h->fields[h->field_count].name_len = 0;
        h->fields[h->field_count].value_len = 0;
        h->field_count++;
    }
    ut_buf_add(&h->bytes, at, len);
    h->fields[h->field_count - 1].name_len += (uint32_t)len;
    h->fields[h->field_count - 1].value_at = (uint32_t)h->bytes.len;
    return h->bytes.err == UT_OK ? 0 : parser_fail(c, 431, "the header fields are too long");
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    ut_http_conn *c = parser->data;
    ut_http_raw_head *h = c->head;
    if (c->phase != UT_HTTP_PHASE_HEAD)
        return 0;
    h->in_value = true;
    ut_buf_add(&h->bytes, at, len);
    h->fields[h->field_count - 1].value_len += (uint32_t)len;
    return h->bytes.err == UT_OK ? 0 : parser_fail(c, 431, "the header fields are too long");
}

// Also called for a field with an empty value, which on_header_value may not see.
static int on_header_value_complete(llhttp_t *parser)
{
    ut_http_conn *c = parser->data;
    if (c->phase == UT_HTTP_PHASE_HEAD)
        c->head->in_value = true;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    ut_http_conn *c = parser->data;
    c->reached = UT_HTTP_MILESTONE_HEAD;
    return HPE_PAUSED; // the handler is asked outside of the parser
}

static int on_message_complete(llhttp_t *parser)
{
    ut_http_conn *c = parser->data;
    c->reached = UT_HTTP_MILESTONE_MESSAGE;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    ut_http_conn *c = parser->data;
    ut_http_server *server = c->end.server;
    c->body_got += len;
    c->progress += len;
    c->continue_due = false; // the client did not wait
    if (c->discarding)
        return 0;
    if (c->body_got > server->config.body_bytes_max)
        return parser_fail(c, 413, "the body is larger than this receiver takes");
    if (!c->chunked && len == c->content_length) {
        c->borrowed = ut_bytes_of(at, len);
        return 0;
    }
    if (body_reserve(c, len)) {
        ut_buf_add(&c->body, at, len);
        return 0;
    }
    if (server->memory > c->body_charged)
        (void)parser_fail(c, 503, "the memory for requests is used up");
    else // it has all of it, and waiting would not help
        (void)parser_fail(c, 413, "the body is larger than the memory for requests");
    ut_http_request_drop_body(c);
    if (c->chunked || c->content_length - c->body_got > UT_HTTP_SERVER_DISCARD_MAX)
        return HPE_USER;
    c->discarding = true; // the rest is short: the connection can go on behind it
    return 0;
}

void ut_http_request_settings(llhttp_settings_t *settings)
{
    llhttp_settings_init(settings);
    settings->on_message_begin = on_message_begin;
    settings->on_protocol = on_protocol;
    settings->on_url = on_url;
    settings->on_header_field = on_header_field;
    settings->on_header_value = on_header_value;
    settings->on_header_value_complete = on_header_value_complete;
    settings->on_headers_complete = on_headers_complete;
    settings->on_body = on_body;
    settings->on_message_complete = on_message_complete;
}

// ---- messages

static void reply_text(ut_http_waiting *x, int status, const char *text_z)
{
    ut_http_server *server = x->conn->end.server;
    char line[160];
    size_t len = strlen(text_z);
    if (len > sizeof line - 1)
        len = sizeof line - 1;
    memcpy(line, text_z, len);
    line[len] = '\n';
    const ut_http_reply reply = {
        .status = status,
        .content_type_z = "text/plain; charset=utf-8",
        .body = ut_bytes_of(line, len + 1),
        .retry_after_s = status == 503 ? 1 : 0,
    };
    ut_http_server_reply(server, &x->base, &reply);
}

// Answers what is being received with an error of ours. A request whose head the handler has taken
// gets its answer from there, in the form that its clients read.
void ut_http_request_refuse(ut_http_conn *c, int status, const char *reason_z)
{
    ut_http_server *server = c->end.server;
    ut_http_waiting *x = c->current;
    server->refused++;
    if (x != NULL) {
        server->config.handler.on_refuse(server->config.handler.context, &x->base, status,
                                         reason_z);
        UT_ASSERT(x->answered);
        c->current = NULL;
        return;
    }
    if (c->phase == UT_HTTP_PHASE_BODY)
        return; // it has its answer already
    x = waiting_take(c);
    if (x == NULL) {
        ut_http_conn_end(c);
        return;
    }
    reply_text(x, status, reason_z);
}

// After an answer that came before the body.
static void skip_body(ut_http_conn *c)
{
    const uint64_t rest = c->content_length - c->body_got;
    if (c->chunked || rest > UT_HTTP_SERVER_DISCARD_MAX || (c->expects_continue && rest > 0))
        ut_http_conn_stop(c);
    else
        c->discarding = true;
}

static ut_bytes part_of(const ut_http_raw_head *h, uint32_t at, uint32_t len)
{
    return ut_bytes_of(h->bytes.data + at, len);
}

// The target in origin form, or in absolute form, which proxies use (RFC 9112, section 3.2).
static void split_target(ut_bytes target, ut_http_head *out)
{
    size_t begin = 0;
    if (target.len > 7 && ut_bytes_begins_fold(target, UT_BYTES_LIT("http://")))
        begin = 7;
    else if (target.len > 8 && ut_bytes_begins_fold(target, UT_BYTES_LIT("https://")))
        begin = 8;
    if (begin > 0) {
        while (begin < target.len && target.data[begin] != '/' && target.data[begin] != '?')
            begin++;
    }
    size_t end = begin;
    while (end < target.len && target.data[end] != '?')
        end++;
    out->path = end > begin ? ut_bytes_of(target.data + begin, end - begin) : UT_BYTES_LIT("/");
    out->query =
        end < target.len ? ut_bytes_of(target.data + end + 1, target.len - end - 1) : UT_BYTES_NONE;
}

// What is wrong with the head of a message that the parser let pass; 0: nothing.
static int check_head(const ut_http_conn *c, const ut_http_head *h, const char **reason_z)
{
    const llhttp_t *parser = &c->parser;
    const bool http10 = parser->http_minor == 0;
    ut_bytes value = UT_BYTES_NONE;
    if (parser->http_major != 1) {
        *reason_z = "this server speaks HTTP/1.1";
        return 505;
    }
    const size_t hosts = ut_http_head_find(h, "host", &value);
    if (hosts > 1 || (hosts == 0 && !http10)) {
        *reason_z = "a request has exactly one Host field";
        return 400;
    }
    // Two ways to tell where a body ends are how requests are smuggled past a proxy.
    const size_t codings = ut_http_head_find(h, "transfer-encoding", &value);
    if (codings == 0)
        return 0;
    if (http10 || codings > 1 || (parser->flags & F_CONTENT_LENGTH) != 0) {
        *reason_z = "Transfer-Encoding stands alone, once, in HTTP/1.1";
        return 400;
    }
    if (!ut_bytes_equal_fold(value, UT_BYTES_LIT("chunked"))) {
        *reason_z = "the only transfer coding taken is chunked";
        return 501;
    }
    return 0;
}

static void head_done(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    const llhttp_t *parser = &c->parser;
    const ut_http_raw_head *h = c->head;
    ut_http_field fields[UT_HTTP_SERVER_FIELDS_MAX];
    ut_http_head view = {
        .method_z = llhttp_method_name((llhttp_method_t)parser->method),
        .fields = fields,
        .field_count = h->field_count,
    };
    for (uint32_t i = 0; i < h->field_count; i++) {
        fields[i].name = part_of(h, h->fields[i].name_at, h->fields[i].name_len);
        fields[i].value = part_of(h, h->fields[i].value_at, h->fields[i].value_len);
    }
    split_target(part_of(h, 0, h->target_len), &view);

    const char *reason_z = NULL;
    const int status = check_head(c, &view, &reason_z);
    if (status != 0) {
        ut_http_request_refuse(c, status, reason_z);
        ut_http_conn_stop(c);
        return;
    }
    ut_http_waiting *x = waiting_take(c);
    if (x == NULL) {
        ut_http_conn_end(c);
        return;
    }
    c->phase = UT_HTTP_PHASE_BODY;
    c->parser.upgrade = 0; // an offer to speak something else may be ignored (RFC 9110, 7.8)
    c->current = x;
    c->keep_alive = llhttp_should_keep_alive(parser) != 0;
    c->chunked = (parser->flags & F_CHUNKED) != 0;
    c->content_length = (parser->flags & F_CONTENT_LENGTH) != 0 ? parser->content_length : 0;
    c->body_got = 0;
    c->overhead = 0;
    c->progress = 0;
    c->discarding = false;
    c->expects_continue = false;
    c->continue_due = false;
    x->http10 = parser->http_minor == 0;
    x->without_body = parser->method == HTTP_HEAD;
    x->closes = !c->keep_alive;
    server->requests++;
    server->busy_ms = server->now_ms;
    ut_http_conn_set_timer(c, UT_HTTP_TIMER_BODY, true);

    ut_bytes expect = UT_BYTES_NONE;
    const bool expects = !x->http10 && ut_http_head_find(&view, "expect", &expect) > 0;
    if (expects)
        c->expects_continue = true;
    const bool understood = ut_bytes_equal_fold(expect, UT_BYTES_LIT("100-continue"));
    server->config.handler.on_head(server->config.handler.context, &x->base, &view);
    ut_http_request_drop_head(c);
    if (x->answered) {
        c->current = NULL;
        skip_body(c);
    } else if (expects && !understood) {
        ut_http_request_refuse(c, 417, "the only expectation taken is 100-continue");
        skip_body(c);
    } else if (c->content_length > server->config.body_bytes_max) {
        ut_http_request_refuse(c, 413, "the body is larger than this receiver takes");
        skip_body(c);
    } else if (expects && (c->chunked || c->content_length > 0)) {
        c->continue_due = true;
        ut_http_conn_mark_dirty(c);
    }
}

static void message_done(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    ut_http_waiting *x = c->current;
    c->current = NULL;
    c->phase = UT_HTTP_PHASE_IDLE;
    c->requests++;
    c->continue_due = false;
    c->discarding = false;
    if (x != NULL) {
        const ut_bytes body = c->borrowed.len > 0 ? c->borrowed : ut_buf_bytes(&c->body);
        // It goes when the handler is done with it, and the handler may need the room for what it
        // makes of it.
        ut_http_server_discharge(server, c->body_charged);
        c->body_charged = 0;
        server->config.handler.on_body(server->config.handler.context, &x->base, body);
    }
    ut_http_request_drop_body(c);
    if (!c->keep_alive || server->stopping)
        ut_http_conn_stop(c);
}

// Takes a request that will never be complete out of the line of answers.
void ut_http_request_drop(ut_http_conn *c)
{
    ut_http_waiting *gone = c->current;
    c->current = NULL;
    if (gone == NULL)
        return;
    UT_ASSERT(c->last == gone);
    ut_http_waiting *before = NULL;
    for (ut_http_waiting *x = c->first; x != gone; x = x->next)
        before = x;
    c->last = before;
    if (before != NULL)
        before->next = NULL;
    else
        c->first = NULL;
    c->exchange_count--;
    ut_http_waiting_give(c->end.server, gone);
}

static void parse_failed(ut_http_conn *c, llhttp_errno_t err, const uint8_t *at, const uint8_t *end)
{
    // The parser calls a fault behind the version by the same name.
    const bool version_known = c->parser.http_major == 1 && c->parser.http_minor <= 1;
    if (c->fail_status != 0) {
        ut_http_request_refuse(c, c->fail_status, c->fail_z);
    } else if ((err == HPE_INVALID_VERSION && !version_known) || err == HPE_PAUSED_H2_UPGRADE) {
        ut_http_request_refuse(c, 505, "this server speaks HTTP/1.1");
    } else if (err == HPE_INVALID_METHOD && at < end &&
               (isalpha(*at) || *at == ' ' || *at == '-')) {
        ut_http_request_refuse(c, 501, "this method is not known here");
    } else {
        // The parser's reasons are texts of its own, nothing from the peer.
        const char *reason_z = llhttp_get_error_reason(&c->parser);
        char text_z[128];
        (void)snprintf(text_z, sizeof text_z, "this is not HTTP/1.1: %s",
                       reason_z != NULL ? reason_z : "unknown");
        ut_http_request_refuse(c, 400, text_z);
    }
    ut_http_conn_stop(c);
}

// The bytes of one run of the parser, against what heads and chunk framing may cost.
static void count_bytes(ut_http_conn *c, size_t used, uint64_t body_before)
{
    const uint32_t max = c->end.server->config.header_bytes_max;
    if (c->phase == UT_HTTP_PHASE_HEAD) {
        c->head_bytes = used <= max - c->head_bytes ? c->head_bytes + (uint32_t)used : max + 1;
        if (c->head_bytes > max && c->fail_status == 0)
            (void)parser_fail(c, 431, "request line and header fields are too long");
    } else if (c->phase == UT_HTTP_PHASE_BODY && c->chunked) {
        c->overhead += used - (size_t)(c->body_got - body_before);
        if (c->overhead > max + CHUNK_OVERHEAD_FACTOR * c->body_got && c->fail_status == 0)
            (void)parser_fail(c, 400, "the chunks carry more framing than body");
    }
}

static void hold(ut_http_conn *c, const uint8_t *data, size_t len)
{
    ut_buf_add(&c->held, data, len);
    if (c->held.err != UT_OK || !ut_http_server_charge(c->end.server, c->held.cap)) {
        ut_buf_free(&c->held);
        ut_http_conn_end(c); // nothing of it has been promised anything yet
    }
}

void ut_http_request_feed(ut_http_conn *c, const uint8_t *data, size_t len)
{
    bool again = len > 0;
    while (again && c->state == UT_HTTP_CONN_OPEN) {
        if (c->phase == UT_HTTP_PHASE_IDLE && c->exchange_count >= UT_HTTP_SERVER_PIPELINE_MAX) {
            hold(c, data, len);
            return;
        }
        const uint64_t body_before = c->body_got;
        c->reached = UT_HTTP_MILESTONE_NONE;
        c->fail_status = 0;
        const llhttp_errno_t err = llhttp_execute(&c->parser, (const char *)data, len);
        size_t used = len;
        if (err != HPE_OK)
            used = (size_t)((const uint8_t *)llhttp_get_error_pos(&c->parser) - data);
        if (err == HPE_OK || err == HPE_PAUSED)
            count_bytes(c, used, body_before);
        if ((err != HPE_OK && err != HPE_PAUSED) || (c->fail_status != 0 && !c->discarding)) {
            parse_failed(c, err, data + used, data + len);
            return;
        }
        if (c->fail_status != 0)
            ut_http_request_refuse(c, c->fail_status, c->fail_z); // and go on behind the body
        data += used;
        len -= used;
        again = len > 0;
        if (err == HPE_PAUSED)
            llhttp_resume(&c->parser);
        if (c->reached == UT_HTTP_MILESTONE_HEAD) {
            head_done(c);
            again = true; // a request without a body is complete now
        } else if (c->reached == UT_HTTP_MILESTONE_MESSAGE) {
            message_done(c);
        }
    }
}
