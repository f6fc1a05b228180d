// The members of a span, piece by piece; see span_json.h.
#include "adapters/plain/span_json.h"

#include "adapters/plain/json_time.h"
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

static void write_events(ut_json_writer *json, const ut_span *span)
{
    ut_json_write_array(json, "events");
    ut_mp_reader reader = ut_mp_reader_of(span->events);
    for (uint32_t left = span->events.len == 0 ? 0 : ut_mp_get_array(&reader), i = 0;
         i < left && reader.err == UT_OK; i++) {
        ut_event event;
        if (ut_event_read(&reader, span->start_ns, &event) != UT_OK)
            break;
        ut_json_write_object(json, NULL);
        ut_json_time(json, "time", event.time_ns);
        ut_json_write_text(json, "name", event.name);
        ut_json_value(ut_json_write_raw(json, "attributes"), event.attributes);
        ut_json_write_close(json);
    }
    ut_json_write_close(json);
}

static void write_links(ut_json_writer *json, const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->links);
    const uint32_t count = span->links.len == 0 ? 0 : ut_mp_get_array(&reader);
    if (count == 0)
        return;
    ut_json_write_array(json, "links");
    for (uint32_t i = 0; i < count && reader.err == UT_OK; i++) {
        ut_link link;
        if (ut_link_read(&reader, &link) != UT_OK)
            break;
        ut_json_write_object(json, NULL);
        ut_json_write_hex(json, "trace_id", link.trace_id);
        ut_json_write_hex(json, "span_id", link.span_id);
        ut_json_value(ut_json_write_raw(json, "attributes"), link.attributes);
        ut_json_write_close(json);
    }
    ut_json_write_close(json);
}

static void write_llm(ut_json_writer *json, const ut_span *span)
{
    ut_llm_call call;
    if (!ut_llm_read(span->attributes, &call))
        return;
    ut_json_write_object(json, "llm");
    ut_json_write_text(json, "model", call.model);
    ut_json_write_text(json, "provider", call.provider);
    ut_json_write_text(json, "operation", call.operation);
    if (call.has_tokens) {
        ut_json_write_uint(json, "input_tokens", call.input_tokens);
        ut_json_write_uint(json, "output_tokens", call.output_tokens);
        ut_json_write_uint(json, "total_tokens", call.total_tokens);
        ut_json_write_uint(json, "cached_tokens", call.cached_tokens);
        ut_json_write_uint(json, "reasoning_tokens", call.reasoning_tokens);
    }
    if (call.has_cost)
        ut_json_write_double(json, "cost_usd", call.cost_usd);
    ut_json_write_close(json);
}

static void write_attributes(ut_json_writer *json, const char *name_z, ut_bytes attributes)
{
    ut_buf *out = ut_json_write_raw(json, name_z);
    if (attributes.len == 0)
        ut_buf_add_z(out, "{}");
    else
        ut_json_value(out, attributes);
}

void ut_span_json(ut_json_writer *json, const ut_span *span, ut_bytes scope_name,
                  ut_bytes resource_attributes)
{
    ut_json_write_hex(json, "trace_id", span->trace_id);
    ut_json_write_hex(json, "span_id", span->span_id);
    if (ut_bytes_all_zero(span->parent_span_id))
        ut_json_write_null(json, "parent_span_id");
    else
        ut_json_write_hex(json, "parent_span_id", span->parent_span_id);
    ut_json_write_text(json, "name", span->name);
    ut_json_write_text(json, "service", ut_span_service(resource_attributes));
    ut_json_write_text(json, "scope", scope_name);
    ut_json_write_text_z(json, "kind", ut_span_kind_z(span->kind));
    ut_json_time(json, "start", span->start_ns);
    ut_json_time(json, "end", span->end_ns);
    ut_json_write_uint(json, "duration_ns", ut_span_duration_ns(span->start_ns, span->end_ns));
    ut_json_write_text_z(json, "status", ut_span_status_z(span->status_code));
    ut_json_write_text(json, "status_message", span->status_message);
    write_attributes(json, "attributes", span->attributes);
    write_attributes(json, "resource", resource_attributes);
    write_events(json, span);
    write_links(json, span);
    write_llm(json, span);
}
