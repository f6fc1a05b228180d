// The callbacks of llhttp, what a head must be, and bodies.
#include "transport/http/http_request.h"

#include <ctype.h>
#include <stdio.h>

enum { CHUNK_OVERHEAD_FACTOR = 8 }; // bytes of chunk framing that a byte of body may cost

// ---- callbacks of llhttp ----

static int fail(ut_http_request_parser *parser, int status, const char *reason_z)
{
    parser->fail_status = status;
    parser->fail_z = reason_z;
    return HPE_USER;
}

static int on_message_begin(llhttp_t *llhttp)
{
    ut_http_request_parser *parser = llhttp->data;
    parser->head = ut_http_pool_take_head(parser->pool);
    if (parser->head == NULL) {
        (void)fail(parser, 503, "out of memory");
        return -1;
    }
    parser->phase = UT_HTTP_PHASE_HEAD;
    parser->in_value = false;
    parser->head_bytes = 0;
    parser->protocol_len = 0;
    return 0;
}

static int on_protocol(llhttp_t *llhttp, const char *at, size_t len)
{
    static const char expected[] = "HTTP";
    ut_http_request_parser *parser = llhttp->data;
    if (len > sizeof(expected) - 1 - parser->protocol_len ||
        memcmp(at, expected + parser->protocol_len, len) != 0)
        return fail(parser, 400, "this port speaks HTTP only");
    parser->protocol_len += (uint32_t)len;
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    ut_http_request_parser *parser = llhttp->data;
    ut_http_raw_head *head = parser->head;
    ut_buf_add(&head->bytes, at, len);
    head->target_len += (uint32_t)len;
    if (head->target_len > UT_HTTP_SERVER_TARGET_MAX || head->bytes.err != UT_OK)
        return fail(parser, 414, "the request target is too long");
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    ut_http_request_parser *parser = llhttp->data;
    ut_http_raw_head *head = parser->head;
    if (parser->phase != UT_HTTP_PHASE_HEAD)
        return 0; // a trailer, of no use here; its bytes count as framing
    if (head->field_count == 0 || parser->in_value) {
        if (head->field_count == UT_HTTP_SERVER_FIELDS_MAX)
            return fail(parser, 431, "too many header fields");
        parser->in_value = false;
        head->fields[head->field_count++] =
            (ut_http_raw_field){.name_at = (uint32_t)head->bytes.len};
    }
    ut_buf_add(&head->bytes, at, len);
    head->fields[head->field_count - 1].name_len += (uint32_t)len;
    head->fields[head->field_count - 1].value_at = (uint32_t)head->bytes.len;
    return head->bytes.err == UT_OK ? 0 : fail(parser, 431, "the header fields are too long");
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    ut_http_request_parser *parser = llhttp->data;
    ut_http_raw_head *head = parser->head;
    if (parser->phase != UT_HTTP_PHASE_HEAD)
        return 0;
    parser->in_value = true;
    ut_buf_add(&head->bytes, at, len);
    head->fields[head->field_count - 1].value_len += (uint32_t)len;
    return head->bytes.err == UT_OK ? 0 : fail(parser, 431, "the header fields are too long");
}

// Also called for a field with an empty value, which on_header_value may not see.
static int on_header_value_complete(llhttp_t *llhttp)
{
    ut_http_request_parser *parser = llhttp->data;
    if (parser->phase == UT_HTTP_PHASE_HEAD)
        parser->in_value = true;
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    ut_http_request_parser *parser = llhttp->data;
    parser->reached = UT_HTTP_REQUEST_HEAD;
    return HPE_PAUSED; // the owner is told outside of llhttp
}

static int on_message_complete(llhttp_t *llhttp)
{
    ut_http_request_parser *parser = llhttp->data;
    parser->reached = UT_HTTP_REQUEST_MESSAGE;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    ut_http_request_parser *parser = llhttp->data;
    ut_http_pool *pool = parser->pool;
    parser->body_got += len;
    if (parser->discarding) {
        // What becomes of the request is known. A length was looked at before; chunks have none.
        const bool on = !parser->chunked || parser->body_got <= UT_HTTP_SERVER_DISCARD_MAX;
        return on ? 0 : fail(parser, 413, "the body of a refused request is too long");
    }
    if (parser->body_got > pool->body_bytes_max)
        return fail(parser, 413, "the body is larger than this receiver takes");
    if (!parser->chunked && len == parser->content_length) {
        parser->borrowed = ut_bytes_of(at, len);
        return 0;
    }
    const uint64_t length = parser->chunked ? UINT64_MAX : parser->content_length;
    if (ut_http_pool_reserve_body(pool, &parser->body, len, length)) {
        ut_buf_add(&parser->body.bytes, at, len);
        return 0;
    }
    if (pool->memory > parser->body.charged)
        (void)fail(parser, 503, "the memory for requests is used up");
    else // it has all of it, and waiting would not help
        (void)fail(parser, 413, "the body is larger than the memory for requests");
    ut_http_request_release(parser);
    if (parser->chunked || ut_http_request_body_left(parser) > UT_HTTP_SERVER_DISCARD_MAX)
        return HPE_USER;
    parser->discarding = true;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_protocol = on_protocol,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

// ---- events ----

static ut_http_request_event refuse(ut_http_met *met, int status, const char *reason_z)
{
    met->status = status;
    met->foreign = UT_HTTP_FOREIGN_OTHER;
    (void)snprintf(met->reason_z, sizeof(met->reason_z), "%s", reason_z); // ours, and all fit
    return UT_HTTP_REQUEST_REFUSED;
}

// The status to refuse a head with that llhttp let pass; 0: the head is good.
static int check_head(const llhttp_t *llhttp, const ut_http_head *head, const char **reason_z)
{
    const bool http10 = llhttp->http_minor == 0;
    ut_bytes value = UT_BYTES_NONE;
    if (llhttp->http_major != 1) {
        *reason_z = "this server speaks HTTP/1.1";
        return 505;
    }
    const size_t hosts = ut_http_head_find(head, "host", &value);
    if (hosts > 1 || (hosts == 0 && !http10)) {
        *reason_z = "a request has exactly one Host field";
        return 400;
    }
    // Two ways to tell where a body ends are how requests are smuggled past a proxy.
    const size_t codings = ut_http_head_find(head, "transfer-encoding", &value);
    if (codings == 0)
        return 0;
    if (http10 || codings > 1 || (llhttp->flags & F_CONTENT_LENGTH) != 0) {
        *reason_z = "Transfer-Encoding stands alone, once, in HTTP/1.1";
        return 400;
    }
    if (!ut_bytes_equal_fold(value, UT_BYTES_LIT("chunked"))) {
        *reason_z = "the only transfer coding taken is chunked";
        return 501;
    }
    return 0;
}

static ut_http_request_event head_complete(ut_http_request_parser *parser, ut_http_met *met)
{
    llhttp_t *llhttp = &parser->llhttp;
    met->head.method_z = llhttp_method_name((llhttp_method_t)llhttp->method);
    ut_http_raw_head_view(parser->head, met->fields, &met->head);
    const char *reason_z = NULL;
    const int status = check_head(llhttp, &met->head, &reason_z);
    if (status != 0)
        return refuse(met, status, reason_z);
    llhttp->upgrade = 0; // an offer to speak something else may be ignored (RFC 9110, 7.8)
    parser->phase = UT_HTTP_PHASE_BODY;
    parser->behind_head = true;
    parser->http10 = llhttp->http_minor == 0;
    parser->keep_alive = llhttp_should_keep_alive(llhttp) != 0;
    parser->chunked = (llhttp->flags & F_CHUNKED) != 0;
    parser->content_length = (llhttp->flags & F_CONTENT_LENGTH) != 0 ? llhttp->content_length : 0;
    parser->discarding = false;
    parser->body_got = 0;
    parser->overhead = 0;
    return UT_HTTP_REQUEST_HEAD;
}

static ut_http_request_event message_complete(ut_http_request_parser *parser, ut_http_met *met)
{
    parser->phase = UT_HTTP_PHASE_IDLE;
    parser->discarding = false;
    met->body = parser->borrowed.len > 0 ? parser->borrowed : ut_buf_bytes(&parser->body.bytes);
    // The body goes when the owner is done with it, and a handler may need the room for what it
    // makes of it.
    ut_http_pool_discharge_body(parser->pool, &parser->body);
    return UT_HTTP_REQUEST_MESSAGE;
}

// llhttp stopped in front of `at`; end: of the bytes.
static ut_http_request_event parse_failed(const ut_http_request_parser *parser, llhttp_errno_t err,
                                          const uint8_t *at, const uint8_t *end, ut_http_met *met)
{
    const llhttp_t *llhttp = &parser->llhttp;
    // llhttp calls a fault behind the version by the same name.
    const bool version_known = llhttp->http_major == 1 && llhttp->http_minor <= 1;
    if (parser->fail_status != 0)
        return refuse(met, parser->fail_status, parser->fail_z);
    if ((err == HPE_INVALID_VERSION && !version_known) || err == HPE_PAUSED_H2_UPGRADE) {
        (void)refuse(met, 505, "this server speaks HTTP/1.1");
        if (llhttp->http_major == 2)
            met->foreign = UT_HTTP_FOREIGN_HTTP2;
        return UT_HTTP_REQUEST_REFUSED;
    }
    // A TLS record of a handshake (RFC 8446, section 5.1) where a request should begin.
    if (err == HPE_INVALID_METHOD && parser->head_bytes == 0 && at < end && *at == 0x16) {
        (void)refuse(met, 400, "this is TLS, and this port is plain HTTP: write http://");
        met->foreign = UT_HTTP_FOREIGN_TLS;
        return UT_HTTP_REQUEST_REFUSED;
    }
    if (err == HPE_INVALID_METHOD && at < end && (isalpha(*at) || *at == ' ' || *at == '-'))
        return refuse(met, 501, "this method is not known here");
    // llhttp's reasons are texts of its own, nothing from the peer.
    const char *reason_z = llhttp_get_error_reason(llhttp);
    met->status = 400;
    met->foreign = UT_HTTP_FOREIGN_OTHER;
    (void)snprintf(met->reason_z, sizeof(met->reason_z), "this is not HTTP/1.1: %s",
                   reason_z != NULL ? reason_z : "unknown"); // cut is fine
    return UT_HTTP_REQUEST_REFUSED;
}

// Counts the bytes of one run of llhttp against what heads and chunk framing may cost.
static void count_bytes(ut_http_request_parser *parser, size_t used, uint64_t body_before)
{
    const uint32_t max = parser->pool->header_bytes_max;
    if (parser->phase == UT_HTTP_PHASE_HEAD) {
        parser->head_bytes =
            used <= max - parser->head_bytes ? parser->head_bytes + (uint32_t)used : max + 1;
        if (parser->head_bytes > max && parser->fail_status == 0)
            (void)fail(parser, 431, "request line and header fields are too long");
    } else if (parser->phase == UT_HTTP_PHASE_BODY && parser->chunked) {
        parser->overhead += used - (size_t)(parser->body_got - body_before);
        if (parser->overhead > max + CHUNK_OVERHEAD_FACTOR * parser->body_got &&
            parser->fail_status == 0)
            (void)fail(parser, 400, "the chunks carry more framing than body");
    }
}

// Runs llhttp up to the next event. MORE: a callback noted what was reached, or nothing was.
static ut_http_request_event run(ut_http_request_parser *parser, ut_bytes *bytes, ut_http_met *met)
{
    const uint64_t body_before = parser->body_got;
    const uint8_t *end = bytes->data + bytes->len;
    parser->behind_head = false;
    parser->fail_status = 0;
    const llhttp_errno_t err =
        llhttp_execute(&parser->llhttp, (const char *)bytes->data, bytes->len);
    const bool good = err == HPE_OK || err == HPE_PAUSED;
    size_t used = bytes->len;
    if (err != HPE_OK)
        used = (size_t)((const uint8_t *)llhttp_get_error_pos(&parser->llhttp) - bytes->data);
    if (good)
        count_bytes(parser, used, body_before);
    if (!good || (parser->fail_status != 0 && !parser->discarding))
        return parse_failed(parser, err, bytes->data + used, end, met);
    *bytes = ut_bytes_of(bytes->data + used, bytes->len - used);
    if (err == HPE_PAUSED)
        llhttp_resume(&parser->llhttp);
    if (parser->fail_status == 0)
        return UT_HTTP_REQUEST_MORE;
    (void)refuse(met, parser->fail_status, parser->fail_z);
    return UT_HTTP_REQUEST_BODY_REFUSED;
}

ut_http_request_event ut_http_request_parse(ut_http_request_parser *parser, ut_bytes *bytes,
                                            ut_http_met *met)
{
    if (parser->reached == UT_HTTP_REQUEST_MORE) {
        if (bytes->len == 0 && !parser->behind_head)
            return UT_HTTP_REQUEST_MORE;
        const ut_http_request_event event = run(parser, bytes, met);
        if (event != UT_HTTP_REQUEST_MORE)
            return event; // the milestone behind it is told by the next call
    }
    const ut_http_request_event reached = parser->reached;
    parser->reached = UT_HTTP_REQUEST_MORE;
    if (reached == UT_HTTP_REQUEST_HEAD)
        return head_complete(parser, met);
    if (reached == UT_HTTP_REQUEST_MESSAGE)
        return message_complete(parser, met);
    return UT_HTTP_REQUEST_MORE;
}

// ---- life ----

void ut_http_request_init(ut_http_request_parser *parser, ut_http_pool *pool)
{
    memset(parser, 0, sizeof(*parser));
    parser->pool = pool;
    ut_http_pool_init_body(pool, &parser->body);
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
}

void ut_http_request_release(ut_http_request_parser *parser)
{
    if (parser->head != NULL)
        ut_http_pool_give_head(parser->pool, parser->head);
    parser->head = NULL;
    parser->borrowed = UT_BYTES_NONE;
    ut_http_pool_give_body(parser->pool, &parser->body);
}

void ut_http_request_discard(ut_http_request_parser *parser)
{
    parser->discarding = true;
}
