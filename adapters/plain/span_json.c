// The JSON object of a span, piece by piece; see span_json.h.
#include "adapters/plain/span_json.h"

#include "adapters/encoding/json_write.h"
#include "adapters/plain/json_value.h"
#include "storage/span/llm.h"

const char *ut_span_kind_z(int32_t kind)
{
    static const char *const names[] = {"unspecified", "internal", "server",
                                        "client",      "producer", "consumer"};
    return kind >= 0 && kind < (int32_t)(sizeof(names) / sizeof(names[0])) ? names[kind] : names[0];
}

const char *ut_span_status_z(int32_t status)
{
    return status == UT_STATUS_ERROR ? "error" : status == UT_STATUS_OK ? "ok" : "unset";
}

static void add_events(ut_buf *out, const ut_span *span)
{
    ut_buf_add_z(out, ",\"events\":[");
    ut_mp_reader reader = ut_mp_reader_of(span->events);
    for (uint32_t left = span->events.len == 0 ? 0 : ut_mp_get_array(&reader), i = 0;
         i < left && reader.err == UT_OK; i++) {
        ut_event event;
        if (ut_event_read(&reader, span->start_ns, &event) != UT_OK)
            break;
        ut_buf_printf(out, "%s{\"time_ns\":%llu,\"name\":", i == 0 ? "" : ",",
                      (unsigned long long)event.time_ns);
        ut_json_put_string(out, event.name);
        ut_buf_add_z(out, ",\"attributes\":");
        ut_json_value(out, event.attributes);
        ut_buf_add_byte(out, '}');
    }
    ut_buf_add_byte(out, ']');
}

static void add_links(ut_buf *out, const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->links);
    const uint32_t count = span->links.len == 0 ? 0 : ut_mp_get_array(&reader);
    if (count == 0)
        return;
    ut_buf_add_z(out, ",\"links\":[");
    for (uint32_t i = 0; i < count && reader.err == UT_OK; i++) {
        ut_link link;
        if (ut_link_read(&reader, &link) != UT_OK)
            break;
        ut_buf_add_z(out, i == 0 ? "{\"trace_id\":" : ",{\"trace_id\":");
        ut_json_put_hex(out, link.trace_id);
        ut_buf_add_z(out, ",\"span_id\":");
        ut_json_put_hex(out, link.span_id);
        ut_buf_add_z(out, ",\"attributes\":");
        ut_json_value(out, link.attributes);
        ut_buf_add_byte(out, '}');
    }
    ut_buf_add_byte(out, ']');
}

static void add_llm(ut_buf *out, const ut_span *span)
{
    ut_llm_call call;
    if (!ut_llm_read(span->attributes, &call))
        return;
    ut_buf_add_z(out, ",\"llm\":{\"model\":");
    ut_json_put_string(out, call.model);
    ut_buf_add_z(out, ",\"provider\":");
    ut_json_put_string(out, call.provider);
    ut_buf_add_z(out, ",\"operation\":");
    ut_json_put_string(out, call.operation);
    if (call.has_tokens)
        ut_buf_printf(out,
                      ",\"input_tokens\":%llu,\"output_tokens\":%llu,\"total_tokens\":%llu,"
                      "\"cached_tokens\":%llu,\"reasoning_tokens\":%llu",
                      (unsigned long long)call.input_tokens, (unsigned long long)call.output_tokens,
                      (unsigned long long)call.total_tokens, (unsigned long long)call.cached_tokens,
                      (unsigned long long)call.reasoning_tokens);
    if (call.has_cost) {
        ut_buf_add_z(out, ",\"cost_usd\":");
        ut_json_put_double(out, call.cost_usd);
    }
    ut_buf_add_byte(out, '}');
}

static void add_attributes(ut_buf *out, const char *name_z, ut_bytes attributes)
{
    ut_buf_add_z(out, name_z);
    if (attributes.len == 0)
        ut_buf_add_z(out, "{}");
    else
        ut_json_value(out, attributes);
}

void ut_span_json(ut_buf *out, const ut_span *span, ut_bytes scope_name,
                  ut_bytes resource_attributes)
{
    ut_buf_add_z(out, "\"trace_id\":");
    ut_json_put_hex(out, span->trace_id);
    ut_buf_add_z(out, ",\"span_id\":");
    ut_json_put_hex(out, span->span_id);
    ut_buf_add_z(out, ",\"parent_span_id\":");
    if (ut_bytes_all_zero(span->parent_span_id))
        ut_buf_add_z(out, "null");
    else
        ut_json_put_hex(out, span->parent_span_id);
    ut_buf_add_z(out, ",\"name\":");
    ut_json_put_string(out, span->name);
    ut_buf_add_z(out, ",\"service\":");
    ut_json_put_string(out, ut_span_service(resource_attributes));
    ut_buf_add_z(out, ",\"scope\":");
    ut_json_put_string(out, scope_name);
    ut_buf_printf(
        out,
        ",\"kind\":\"%s\",\"start_ns\":%llu,\"end_ns\":%llu,\"duration_ns\":%llu,\"status\":\"%s\""
        ",\"status_message\":",
        ut_span_kind_z(span->kind), (unsigned long long)span->start_ns,
        (unsigned long long)span->end_ns,
        (unsigned long long)ut_span_duration_ns(span->start_ns, span->end_ns),
        ut_span_status_z(span->status_code));
    ut_json_put_string(out, span->status_message);
    add_attributes(out, ",\"attributes\":", span->attributes);
    add_attributes(out, ",\"resource\":", resource_attributes);
    add_events(out, span);
    add_links(out, span);
    add_llm(out, span);
}
