// One span to one line of CSV.
#include "adapters/plain/csv_row.h"

#include "adapters/encoding/json_write.h"
#include "adapters/plain/json_value.h"
#include "adapters/plain/span_json.h"
#include "port/base/text.h"
#include "port/base/utf8.h"

#include <string.h>

enum { SCRATCH_KEEP_BYTES = 1024 * 1024 };

void ut_csv_head(ut_buf *out)
{
    ut_buf_add_z(out, UT_CSV_COLUMNS "\r\n");
}

static void put_text(ut_buf *out, ut_bytes text, ut_csv_form form)
{
    const bool formula = !form.formulas && text.len > 0 && text.data[0] != 0 &&
                         strchr("=+-@\t\r", text.data[0]) != NULL;
    bool quoted = text.len > 0 && (text.data[0] == ' ' || text.data[text.len - 1] == ' ');
    for (size_t i = 0; i < text.len && !quoted; i++)
        quoted = text.data[i] == '"' || text.data[i] == ',' || text.data[i] == '\r' ||
                 text.data[i] == '\n';
    if (quoted)
        ut_buf_add_byte(out, '"');
    if (formula)
        ut_buf_add_byte(out, '\'');
    for (size_t i = 0; i < text.len;) {
        const size_t len = ut_utf8_len(text.data + i, text.len - i);
        if (len == 0 || text.data[i] == 0) {
            ut_buf_add_z(out, "\xef\xbf\xbd");
            i++;
            continue;
        }
        if (text.data[i] == '"')
            ut_buf_add_byte(out, '"');
        if (form.shown && ut_utf8_is_unsafe(text.data + i, text.len - i))
            ut_buf_add_byte(out, '?');
        else
            ut_buf_add(out, text.data + i, len);
        i += len;
    }
    if (quoted)
        ut_buf_add_byte(out, '"');
}

static void put_hex(ut_buf *out, ut_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        ut_buf_add_byte(out, (uint8_t)digits[bytes.data[i] >> 4]);
        ut_buf_add_byte(out, (uint8_t)digits[bytes.data[i] & 15]);
    }
}

static void events_json(ut_buf *out, const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->events);
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_array(&json, NULL);
    for (uint32_t left = ut_mp_get_array(&reader); left > 0; left--) {
        ut_event event;
        if (ut_event_read(&reader, span->start_ns, &event) != UT_OK) {
            out->err = UT_ECORRUPT;
            return;
        }
        ut_json_write_object(&json, NULL);
        ut_json_write_uint(&json, "time_ns", event.time_ns);
        ut_json_write_text(&json, "name", event.name);
        ut_json_value(ut_json_write_raw(&json, "attributes"), event.attributes);
        ut_json_write_close(&json);
    }
    ut_json_write_close(&json);
}

static void links_json(ut_buf *out, const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->links);
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_array(&json, NULL);
    for (uint32_t left = ut_mp_get_array(&reader); left > 0; left--) {
        ut_link link;
        if (ut_link_read(&reader, &link) != UT_OK) {
            out->err = UT_ECORRUPT;
            return;
        }
        ut_json_write_object(&json, NULL);
        ut_json_write_hex(&json, "trace_id", link.trace_id);
        ut_json_write_hex(&json, "span_id", link.span_id);
        ut_json_value(ut_json_write_raw(&json, "attributes"), link.attributes);
        ut_json_write_close(&json);
    }
    ut_json_write_close(&json);
}

// Ends a field that stands as JSON in scratch.
static void put_scratch(ut_buf *out, ut_buf *scratch, ut_csv_form form)
{
    if (scratch->err != UT_OK && out->err == UT_OK)
        out->err = scratch->err;
    ut_buf_add_byte(out, ',');
    put_text(out, ut_buf_bytes(scratch), form);
    ut_buf_reset(scratch, SCRATCH_KEEP_BYTES);
}

ut_err ut_csv_row(ut_buf *out, ut_buf *scratch, const ut_trace_span *row, ut_csv_form form)
{
    const ut_span *span = &row->span;
    ut_bytes service = UT_BYTES_NONE;
    char start_z[UT_TEXT_SHORT_MAX];

    (void)ut_attributes_find_str(row->resource.attributes, UT_BYTES_LIT("service.name"), &service);
    put_hex(out, span->trace_id);
    ut_buf_add_byte(out, ',');
    put_hex(out, span->span_id);
    ut_buf_add_byte(out, ',');
    put_hex(out, span->parent_span_id);
    ut_buf_add_byte(out, ',');
    put_text(out, service, form);
    ut_buf_add_byte(out, ',');
    put_text(out, span->name, form);
    ut_buf_add_byte(out, ',');
    ut_buf_add_z(out, ut_span_kind_z(span->kind));
    ut_text_time(span->start_ns, start_z);
    ut_buf_printf(out, ",%s,%llu,%llu,%llu,", start_z, (unsigned long long)span->start_ns,
                  (unsigned long long)span->end_ns,
                  (unsigned long long)ut_span_duration_ns(span->start_ns, span->end_ns));
    ut_buf_add_z(out, ut_span_status_z(span->status_code));
    ut_buf_add_byte(out, ',');
    put_text(out, span->status_message, form);
    ut_buf_add_byte(out, ',');
    put_text(out, row->scope.name, form);
    ut_buf_add_byte(out, ',');
    put_text(out, row->scope.version, form);

    ut_buf_reset(scratch, SCRATCH_KEEP_BYTES);
    ut_json_value(scratch, span->attributes);
    put_scratch(out, scratch, form);
    ut_json_value(scratch, row->resource.attributes);
    put_scratch(out, scratch, form);
    events_json(scratch, span);
    put_scratch(out, scratch, form);
    links_json(scratch, span);
    put_scratch(out, scratch, form);
    ut_buf_add_z(out, "\r\n");
    return out->err;
}
