// Protobuf's wire format; see protobuf.h.
// Not for what the fields mean.
#include "adapters/encoding/protobuf.h"

#include "port/base/utf8.h"

#include <inttypes.h>
#include <stdio.h>

// ---- reading ----

const uint8_t *ut_pb_read_long_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        uint8_t byte = *at++;
        // The tenth byte holds the last of 64 bits; higher bits are dropped, as other parsers do.
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = bits;
            return at;
        }
    }
    return NULL;
}

static const uint8_t *read_tag(const uint8_t *at, const uint8_t *end, uint32_t *tag)
{
    uint64_t value;
    at = ut_pb_read_varint(at, end, &value);
    if (at == NULL || value > UINT32_MAX || UT_PB_NUMBER(value) == 0)
        return NULL;
    *tag = (uint32_t)value;
    return at;
}

// Passes the value behind a tag that opens no group.
static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end, ut_pb_wire wire)
{
    uint64_t value;
    switch (wire) {
    case UT_PB_VARINT:
        return ut_pb_read_varint(at, end, &value);
    case UT_PB_I64:
        return end - at >= 8 ? at + 8 : NULL;
    case UT_PB_I32:
        return end - at >= 4 ? at + 4 : NULL;
    case UT_PB_LEN:
        at = ut_pb_read_varint(at, end, &value);
        return at != NULL && value <= (uint64_t)(end - at) ? at + value : NULL;
    default:
        return NULL;
    }
}

// Passes a group up to and with its end tag.
static const uint8_t *skip_group(const uint8_t *at, const uint8_t *end, uint32_t number)
{
    uint32_t open[UT_PB_GROUP_DEPTH_MAX];
    size_t depth = 0;
    open[depth++] = number;
    while (depth > 0) {
        uint32_t tag;
        at = read_tag(at, end, &tag);
        if (at == NULL)
            return NULL;
        switch (UT_PB_WIRE(tag)) {
        case UT_PB_GROUP:
            if (depth == UT_PB_GROUP_DEPTH_MAX)
                return NULL;
            open[depth++] = UT_PB_NUMBER(tag);
            break;
        case UT_PB_GROUP_END:
            if (open[--depth] != UT_PB_NUMBER(tag))
                return NULL;
            break;
        default:
            at = skip_value(at, end, UT_PB_WIRE(tag));
            if (at == NULL)
                return NULL;
            break;
        }
    }
    return at;
}

const uint8_t *ut_pb_read_any_field(const uint8_t *at, const uint8_t *end, ut_pb_field *field)
{
    field->value = 0;
    field->bytes = UT_BYTES_NONE;
    at = read_tag(at, end, &field->tag);
    if (at == NULL)
        return NULL;
    const uint8_t *next;
    uint64_t len;
    switch (UT_PB_WIRE(field->tag)) {
    case UT_PB_VARINT:
        return ut_pb_read_varint(at, end, &field->value);
    case UT_PB_I64:
        if (end - at < 8)
            return NULL;
        field->value = ut_get_le64(at);
        return at + 8;
    case UT_PB_I32:
        if (end - at < 4)
            return NULL;
        field->value = ut_get_le32(at);
        return at + 4;
    case UT_PB_LEN:
        at = ut_pb_read_varint(at, end, &len);
        if (at == NULL || len > (uint64_t)(end - at))
            return NULL;
        field->bytes = (ut_bytes){at, (size_t)len};
        return at + len;
    case UT_PB_GROUP:
        next = skip_group(at, end, UT_PB_NUMBER(field->tag));
        if (next != NULL)
            field->bytes = (ut_bytes){at, (size_t)(next - at)};
        return next;
    default:
        return NULL;
    }
}

void ut_pb_explain(const uint8_t *at, const uint8_t *end, char reason_z[UT_PB_REASON_MAX])
{
    uint64_t tag;
    uint64_t value;
    const uint8_t *next = ut_pb_read_varint(at, end, &tag);
    const char *text_z = "a group that does not end, or is nested too deep";
    if (next == NULL) {
        text_z = end - at < UT_PB_VARINT_LEN_MAX ? "the bytes end within a tag"
                                                 : "a tag of more than 10 bytes";
    } else if (tag > UINT32_MAX || tag >> 3 == 0) {
        (void)snprintf(reason_z, UT_PB_REASON_MAX, "field number %" PRIu64 " is not valid",
                       tag >> 3);
        return;
    } else if ((tag & 7) == UT_PB_VARINT ||
               ((tag & 7) == UT_PB_LEN && ut_pb_read_varint(next, end, &value) == NULL)) {
        text_z = end - next < UT_PB_VARINT_LEN_MAX ? "the bytes end within a varint"
                                                   : "a varint of more than 10 bytes";
    } else if ((tag & 7) == UT_PB_LEN) {
        (void)snprintf(reason_z, UT_PB_REASON_MAX, "length %" PRIu64 " runs past the end", value);
        return;
    } else if ((tag & 7) == UT_PB_I64 || (tag & 7) == UT_PB_I32) {
        text_z = "the bytes end within a fixed-width value";
    } else if ((tag & 7) == UT_PB_GROUP_END) {
        text_z = "the end of a group that was not opened";
    } else if ((tag & 7) != UT_PB_GROUP) {
        (void)snprintf(reason_z, UT_PB_REASON_MAX, "wire type %u does not exist",
                       (unsigned)(tag & 7));
        return;
    }
    (void)snprintf(reason_z, UT_PB_REASON_MAX, "%s", text_z);
}

// ---- writing ----

void ut_pb_put_varint(ut_buf *buf, uint32_t number, uint64_t value)
{
    uint8_t *at = ut_buf_reserve(buf, UT_PB_TAG_LEN_MAX + UT_PB_VARINT_LEN_MAX);
    if (at == NULL)
        return;
    uint8_t *end = ut_pb_write_varint(at, UT_PB_TAG(number, UT_PB_VARINT));
    end = ut_pb_write_varint(end, value);
    buf->len += (size_t)(end - at);
}

void ut_pb_put_i64(ut_buf *buf, uint32_t number, uint64_t value)
{
    uint8_t *at = ut_buf_reserve(buf, UT_PB_TAG_LEN_MAX + 8);
    if (at == NULL)
        return;
    uint8_t *end = ut_pb_write_varint(at, UT_PB_TAG(number, UT_PB_I64));
    ut_put_le64(end, value);
    buf->len += (size_t)(end + 8 - at);
}

void ut_pb_put_i32(ut_buf *buf, uint32_t number, uint32_t value)
{
    uint8_t *at = ut_buf_reserve(buf, UT_PB_TAG_LEN_MAX + 4);
    if (at == NULL)
        return;
    uint8_t *end = ut_pb_write_varint(at, UT_PB_TAG(number, UT_PB_I32));
    ut_put_le32(end, value);
    buf->len += (size_t)(end + 4 - at);
}

void ut_pb_put_bytes(ut_buf *buf, uint32_t number, ut_bytes bytes)
{
    uint8_t *at = ut_buf_reserve(buf, UT_PB_TAG_LEN_MAX + UT_PB_VARINT_LEN_MAX + bytes.len);
    if (at == NULL)
        return;
    uint8_t *end = ut_pb_write_varint(at, UT_PB_TAG(number, UT_PB_LEN));
    end = ut_pb_write_varint(end, bytes.len);
    if (bytes.len > 0)
        memcpy(end, bytes.data, bytes.len);
    buf->len += (size_t)(end - at) + bytes.len;
}

void ut_pb_put_text(ut_buf *buf, uint32_t number, ut_bytes text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    if (ut_utf8_valid(text)) {
        ut_pb_put_bytes(buf, number, text);
        return;
    }
    const ut_pb_slot slot = ut_pb_open(buf, number, text.len);
    for (size_t i = 0; i < text.len;) {
        const size_t len = ut_utf8_len(text.data + i, text.len - i);
        if (len > 0)
            ut_buf_add(buf, text.data + i, len);
        else
            ut_buf_add(buf, replacement, sizeof(replacement) - 1);
        i += len > 0 ? len : 1;
    }
    ut_pb_close(buf, slot);
}

ut_pb_slot ut_pb_open(ut_buf *buf, uint32_t number, size_t len_guess)
{
    ut_pb_slot slot = {0, ut_pb_varint_len(len_guess)};
    uint8_t *at = ut_buf_reserve(buf, UT_PB_TAG_LEN_MAX + slot.width);
    if (at != NULL) {
        uint8_t *end = ut_pb_write_varint(at, UT_PB_TAG(number, UT_PB_LEN));
        buf->len += (size_t)(end - at) + slot.width;
    }
    slot.content = buf->len;
    return slot;
}

void ut_pb_close(ut_buf *buf, ut_pb_slot slot)
{
    if (buf->err != UT_OK)
        return; // the slot may not have been written
    UT_ASSERT(slot.content >= slot.width && slot.content <= buf->len);
    size_t len = buf->len - slot.content;
    size_t width = ut_pb_varint_len(len);
    if (width != slot.width) {
        if (width > slot.width && ut_buf_reserve(buf, width - slot.width) == NULL)
            return;
        memmove(buf->data + slot.content - slot.width + width, buf->data + slot.content, len);
        buf->len = slot.content - slot.width + width + len;
    }
    (void)ut_pb_write_varint(buf->data + slot.content - slot.width, len);
}
