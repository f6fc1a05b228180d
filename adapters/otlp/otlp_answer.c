// The answers of an OTLP/HTTP server, both ways: ExportTraceServiceResponse and google.rpc.Status.
// Not for status codes and retries: receivers and transport/ decide those.
#include "adapters/otlp/otlp.h"

#include "adapters/encoding/json.h"
#include "adapters/encoding/json_write.h"
#include "adapters/otlp/otlp_fields.h"
#include "adapters/encoding/protobuf.h"
#include "port/base/utf8.h"

#include <inttypes.h>
#include <stdio.h>

// ---- writing ----

static void put_text(ut_buf *out, uint32_t number, const char *text_z)
{
    if (text_z[0] != '\0')
        ut_pb_put_text(out, number, ut_bytes_of_z(text_z));
}

void ut_otlp_response_write(ut_otlp_encoding encoding, int64_t rejected, const char *reason_z,
                            ut_buf *out)
{
    bool full = rejected == 0 && reason_z[0] == '\0';
    if (encoding == UT_OTLP_PROTOBUF) {
        if (full)
            return;
        ut_pb_slot slot = ut_pb_open(out, UT_RESPONSE_PARTIAL_SUCCESS, strlen(reason_z));
        if (rejected != 0)
            ut_pb_put_varint(out, UT_PARTIAL_REJECTED, (uint64_t)rejected);
        put_text(out, UT_PARTIAL_MESSAGE, reason_z);
        ut_pb_close(out, slot);
        return;
    }
    if (full) {
        ut_buf_add_z(out, "{}");
        return;
    }
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    ut_json_write_object(&json, "partialSuccess");
    ut_buf_printf(ut_json_write_raw(&json, "rejectedSpans"), "\"%lld\"", (long long)rejected);
    ut_json_write_text_z(&json, "errorMessage", reason_z);
    ut_json_write_close(&json);
    ut_json_write_close(&json);
}

void ut_otlp_status_write(ut_otlp_encoding encoding, int32_t code, const char *message_z,
                          ut_buf *out)
{
    if (encoding == UT_OTLP_PROTOBUF) {
        if (code != 0)
            ut_pb_put_varint(out, UT_RPC_STATUS_CODE, (uint64_t)(int64_t)code);
        put_text(out, UT_RPC_STATUS_MESSAGE, message_z);
        return;
    }
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    ut_json_write_int(&json, "code", code);
    ut_json_write_text_z(&json, "message", message_z);
    ut_json_write_close(&json);
}

// ---- reading ----

// Copies text into message_z: runs of white space and control characters become one space, what is
// not UTF-8 or may not be shown a question mark, and a cut never splits a character.
static void copy_clean(ut_bytes text, char *message_z, size_t cap)
{
    size_t used = 0;
    bool gap = false;
    if (cap == 0)
        return;
    for (size_t i = 0; i < text.len;) {
        size_t len = ut_utf8_len(text.data + i, text.len - i);
        bool control = text.data[i] <= 0x20 || text.data[i] == 0x7f ||
                       (len == 2 && text.data[i] == 0xc2 && text.data[i + 1] < 0xa0);
        if (control) {
            gap = used > 0;
            i += len > 0 ? len : 1;
            continue;
        }
        const bool shown = len > 0 && !ut_utf8_is_unsafe(text.data + i, text.len - i);
        const size_t need = (shown ? len : 1) + (gap ? 1 : 0);
        if (need > cap - 1 - used)
            break;
        if (gap)
            message_z[used++] = ' ';
        gap = false;
        if (shown)
            memcpy(message_z + used, text.data + i, len);
        else
            message_z[used] = '?';
        used += shown ? len : 1;
        i += len > 0 ? len : 1;
    }
    message_z[used] = '\0';
}

static bool is_member(yyjson_val *name, const char *name_z)
{
    return yyjson_equals_str(name, name_z);
}

// The members of object called a_z or b_z (the name in the proto file, which some servers write);
// NULL when absent.
static yyjson_val *member(yyjson_val *object, const char *a_z, const char *b_z)
{
    yyjson_val *found = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    while ((name = yyjson_obj_iter_next(&members)) != NULL) {
        if (is_member(name, a_z) || is_member(name, b_z))
            found = yyjson_obj_iter_get_val(name);
    }
    return found;
}

static ut_bytes text_of(yyjson_val *value)
{
    if (yyjson_is_str(value))
        return ut_bytes_of(yyjson_get_str(value), yyjson_get_len(value));
    if (yyjson_is_raw(value))
        return ut_bytes_of(yyjson_get_raw(value), yyjson_get_len(value));
    return UT_BYTES_NONE;
}

static void read_json_response(ut_bytes body, int64_t *rejected, char *message_z, size_t cap)
{
    ut_json json;
    if (ut_json_read(&json, body, NULL) != UT_OK)
        return;
    yyjson_val *partial =
        member(yyjson_doc_get_root(json.doc), "partialSuccess", "partial_success");
    bool negative;
    uint64_t magnitude;
    ut_bytes count = text_of(member(partial, "rejectedSpans", "rejected_spans"));
    if (count.len > 0 && ut_json_integer(count, &negative, &magnitude) == UT_JSON_NUMBER_OK &&
        !negative && magnitude <= INT64_MAX)
        *rejected = (int64_t)magnitude;
    copy_clean(text_of(member(partial, "errorMessage", "error_message")), message_z, cap);
    ut_json_free(&json);
}

// Reads fields 1 (varint) and 2 (string) of a message, which is how both answers begin. False when
// it does not decode, or has a field that neither knows.
static bool read_pair(ut_bytes message, uint64_t *number, ut_bytes *text)
{
    *number = 0;
    *text = UT_BYTES_NONE;
    if (message.len == 0)
        return true;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        if (field.tag == UT_PB_TAG(1, UT_PB_VARINT))
            *number = field.value;
        else if (field.tag == UT_PB_TAG(2, UT_PB_LEN))
            *text = field.bytes;
        else if (field.tag != UT_PB_TAG(UT_RPC_STATUS_DETAILS, UT_PB_LEN))
            return false;
    }
    return !ut_pb_failed(&walk);
}

static void read_protobuf_response(ut_bytes body, int64_t *rejected, char *message_z, size_t cap)
{
    int64_t found = 0;
    ut_bytes message = UT_BYTES_NONE;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(body);
    while (ut_pb_next_of(&walk, UT_PB_TAG(UT_RESPONSE_PARTIAL_SUCCESS, UT_PB_LEN), &field)) {
        uint64_t number;
        ut_bytes text;
        if (!read_pair(field.bytes, &number, &text))
            return;
        if (number != 0 && number <= INT64_MAX)
            found = (int64_t)number;
        if (text.len > 0)
            message = text;
    }
    if (ut_pb_failed(&walk))
        return;
    *rejected = found;
    copy_clean(message, message_z, cap);
}

static bool looks_like_json(ut_bytes body)
{
    for (size_t i = 0; i < body.len; i++) {
        uint8_t c = body.data[i];
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            return c == '{';
    }
    return false;
}

void ut_otlp_response_read(ut_otlp_encoding encoding, ut_bytes body, int64_t *rejected,
                           char *message_z, size_t cap)
{
    *rejected = 0;
    if (cap > 0)
        message_z[0] = '\0';
    if (body.len == 0)
        return;
    // Some providers answer JSON to protobuf. A brace would begin a group, which no answer has;
    // white space before it might be a tag, and is not looked through.
    if (encoding == UT_OTLP_JSON || body.data[0] == '{')
        read_json_response(body, rejected, message_z, cap);
    else
        read_protobuf_response(body, rejected, message_z, cap);
}

bool ut_otlp_is_status(ut_bytes body)
{
    uint64_t code;
    ut_bytes text;
    return looks_like_json(body) || read_pair(body, &code, &text);
}

void ut_otlp_status_read(ut_bytes body, char *message_z, size_t cap)
{
    uint64_t code;
    ut_bytes text;
    if (cap > 0)
        message_z[0] = '\0';
    if (body.len == 0 || cap == 0)
        return;
    if (looks_like_json(body)) {
        ut_json json;
        if (ut_json_read(&json, body, NULL) == UT_OK) {
            yyjson_val *message = member(yyjson_doc_get_root(json.doc), "message", "error");
            if (yyjson_is_obj(message)) // {"error": {"message": ...}}
                message = member(message, "message", "message");
            copy_clean(text_of(message), message_z, cap);
            ut_json_free(&json);
            if (message_z[0] != '\0')
                return;
        }
        copy_clean(body, message_z, cap);
        return;
    }
    if (!read_pair(body, &code, &text)) {
        copy_clean(body, message_z, cap);
        return;
    }
    copy_clean(text, message_z, cap);
    if (message_z[0] == '\0' && code != 0)
        (void)snprintf(message_z, cap, "gRPC status %" PRIu64, code);
}
