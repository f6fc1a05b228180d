// Lays out what `untrace top` shows.
#include "agent/commands/top_frame.h"

#include "adapters/encoding/json_write.h"
#include "port/base/text.h"

#include <stdio.h>

enum {
    NAME_COLUMNS_MIN = 12,
    NAME_COLUMNS_MAX = 32,
    NUMBER_COLUMNS = 9, // "1 234 567"
    GAUGE_COLUMNS = 12,
    DESTINATIONS_SHOWN_MIN = 3,
    HEAD_ROWS = 4,
    NARROW_COLUMNS = 100, // below, what only adorns is left out
    LINE_BYTES_MAX = 4096,
};

typedef struct {
    ut_buf *out;
    ut_buf line;
    const ut_term *term;
    uint32_t rows_left; // UINT32_MAX: no limit
} frame;

// ---- numbers ----

static const ut_top_destination *find_destination(const ut_top_sample *sample, const char *name_z)
{
    for (size_t i = 0; sample != NULL && i < sample->destination_count; i++) {
        if (strcmp(sample->destinations[i].name_z, name_z) == 0)
            return &sample->destinations[i];
    }
    return NULL;
}

// How much a counter moves in a second; a counter that was set back counts from zero.
static double rate(const ut_top_sample *before, const ut_top_sample *sample, uint64_t was,
                   uint64_t is)
{
    if (before == NULL || sample->at_ms <= before->at_ms)
        return 0;
    const uint64_t moved = is >= was ? is - was : is;
    return (double)moved * 1000.0 / (double)(sample->at_ms - before->at_ms);
}

static double stored_rate(const ut_top_sample *before, const ut_top_sample *sample)
{
    return before == NULL
               ? 0
               : rate(before, sample, before->counts.spans_stored, sample->counts.spans_stored);
}

// Of a service: what came of it among the spans that were read, scaled to all that came.
static double service_rate(const ut_top_sample *before, const ut_top_sample *sample, uint64_t spans)
{
    return sample->new_spans == 0
               ? 0
               : stored_rate(before, sample) * (double)spans / (double)sample->new_spans;
}

static double delivered_rate(const ut_top_sample *before, const ut_top_sample *sample,
                             const ut_top_destination *destination)
{
    const ut_top_destination *was = find_destination(before, destination->name_z);
    return was == NULL ? 0 : rate(before, sample, was->delivered, destination->delivered);
}

static double dead_rate(const ut_top_sample *before, const ut_top_sample *sample,
                        const ut_top_destination *destination)
{
    const ut_top_destination *was = find_destination(before, destination->name_z);
    return was == NULL ? 0 : rate(before, sample, was->dead, destination->dead);
}

static uint64_t age_ns(const ut_top_sample *sample, uint64_t since_ns)
{
    return since_ns == 0 || since_ns > sample->wall_ns ? 0 : sample->wall_ns - since_ns;
}

// Whole numbers in groups of three digits; what is small with a digit behind the point.
static void number_text(double value, char out_z[UT_TEXT_SHORT_MAX])
{
    if (value > 0 && value < 9.95) {
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%.1f", value);
        return;
    }
    ut_text_grouped((uint64_t)(value < 1e18 ? value + 0.5 : 1e18), out_z);
}

// ---- lines ----

static void put_number(frame *f, double value)
{
    char text_z[UT_TEXT_SHORT_MAX];
    number_text(value, text_z);
    ut_buf_printf(&f->line, "%*s", NUMBER_COLUMNS, text_z);
}

static void put_count(frame *f, uint64_t count)
{
    char text_z[UT_TEXT_SHORT_MAX];
    number_text(count < 10 ? 0 : (double)count, text_z);
    if (count < 10)
        (void)snprintf(text_z, sizeof(text_z), "%u", (unsigned)count);
    ut_buf_printf(&f->line, "%*s", NUMBER_COLUMNS, text_z);
}

// A label and a number, for the head: "queue 12".
static void put_fact(frame *f, double value, const char *what_z)
{
    char text_z[UT_TEXT_SHORT_MAX];
    number_text(value, text_z);
    ut_buf_printf(&f->line, "%s %s", text_z, what_z);
}

// Ends the line: cuts it to the width, and colours all of it.
static void end_line(frame *f, ut_colour colour)
{
    if (f->rows_left > 0) {
        if (f->rows_left != UINT32_MAX)
            f->rows_left--;
        if (colour != UT_COLOUR_NONE)
            ut_term_colour(f->term, f->out, colour);
        (void)ut_term_text(f->out, ut_buf_bytes(&f->line), f->term->width, false);
        if (colour != UT_COLOUR_NONE)
            ut_term_colour(f->term, f->out, UT_COLOUR_NONE);
        ut_buf_add_byte(f->out, '\n');
    }
    ut_buf_reset(&f->line, LINE_BYTES_MAX);
}

static void put_title(frame *f, const char *data_dir_z, const ut_top_sample *sample)
{
    char time_z[UT_TEXT_SHORT_MAX];
    char up_z[UT_TEXT_SHORT_MAX];
    ut_text_time(sample->wall_ns, time_z);
    time_z[10] = ' ';
    time_z[19] = 0;
    ut_buf_printf(&f->line, "untrace top  %s UTC  ", time_z);
    if (sample->agent) {
        ut_text_duration(sample->uptime_ms * 1000000, up_z);
        ut_buf_printf(&f->line, "agent %s, process %llu, up %s  ", sample->version_z,
                      (unsigned long long)sample->pid, up_z);
    } else if (sample->agent_fault.code != UT_OK) {
        ut_buf_printf(&f->line, "%s  ", sample->agent_fault.text_z);
    } else {
        ut_buf_add_z(&f->line, "no agent is running  ");
    }
    ut_buf_add_z(&f->line, data_dir_z);
    end_line(f, sample->agent ? UT_COLOUR_BOLD : UT_COLOUR_RED);
}

static void put_in(frame *f, const ut_top_sample *before, const ut_top_sample *sample)
{
    ut_buf_add_z(&f->line, "in    ");
    put_fact(f, stored_rate(before, sample), "spans/s");
    if (sample->agent) {
        ut_buf_add_z(&f->line, "   ");
        put_fact(f, before == NULL ? 0 : rate(before, sample, before->requests, sample->requests),
                 "requests/s   ");
        put_fact(f, before == NULL ? 0 : rate(before, sample, before->refused, sample->refused),
                 "refused/s   ");
        ut_buf_printf(&f->line, "%llu connections   queue %llu",
                      (unsigned long long)sample->connections, (unsigned long long)sample->queue);
    }
    end_line(f, UT_COLOUR_NONE);
}

// What was refused since the start, in a line that is there only where something was.
static void put_refusals(frame *f, const ut_top_sample *sample)
{
    if (sample->refused == 0 && sample->rejected == 0)
        return;
    const char *before_z = "      refused: ";
    for (size_t i = 0; i < sample->refusal_count; i++) {
        const ut_top_refusal *refusal = &sample->refusals[i];
        if (refusal->spans && (i == 0 || !sample->refusals[i - 1].spans))
            before_z = i == 0 ? "      spans rejected: " : "   spans rejected: ";
        ut_buf_printf(&f->line, "%s%llu %s", before_z, (unsigned long long)refusal->count,
                      refusal->name_z);
        before_z = ", ";
    }
    end_line(f, UT_COLOUR_CYAN);
}

static void put_out(frame *f, const ut_top_sample *before, const ut_top_sample *sample)
{
    double delivered = 0;
    uint64_t pending = 0;
    uint64_t dead = 0;
    uint64_t oldest_ns = 0;
    for (size_t i = 0; i < sample->destination_count; i++) {
        const ut_top_destination *destination = &sample->destinations[i];
        delivered += delivered_rate(before, sample, destination);
        pending += destination->pending;
        dead += destination->dead;
        if (destination->oldest_ns != 0 && (oldest_ns == 0 || destination->oldest_ns < oldest_ns))
            oldest_ns = destination->oldest_ns;
    }
    ut_buf_add_z(&f->line, "out   ");
    put_fact(f, delivered, "spans/s   ");
    put_fact(f, (double)pending, "pending");
    if (oldest_ns != 0) {
        char age_z[UT_TEXT_SHORT_MAX];
        ut_text_duration(age_ns(sample, oldest_ns), age_z);
        ut_buf_printf(&f->line, ", the oldest for %s", age_z);
    }
    ut_buf_add_z(&f->line, "   ");
    put_fact(f, (double)dead, "dead");
    end_line(f, UT_COLOUR_NONE);
}

static void put_disk(frame *f, const ut_top_sample *sample)
{
    char used_z[UT_TEXT_SHORT_MAX];
    char max_z[UT_TEXT_SHORT_MAX];
    const ut_store_counts *counts = &sample->counts;
    if (!sample->store && !sample->agent) {
        ut_buf_printf(&f->line, "store %s", sample->store_fault.text_z);
        end_line(f, UT_COLOUR_RED);
        return;
    }
    const double share =
        sample->bytes_max == 0 ? 0 : (double)sample->bytes_used / (double)sample->bytes_max;
    const int full = (int)((share > 1 ? 1 : share) * GAUGE_COLUMNS + 0.5);
    ut_text_size(sample->bytes_used, used_z);
    ut_text_size(sample->bytes_max, max_z);
    const bool narrow = f->term->width < NARROW_COLUMNS;
    ut_buf_add_z(&f->line, narrow ? "disk  " : "disk  [");
    for (int i = 0; i < GAUGE_COLUMNS && !narrow; i++)
        ut_buf_add_byte(&f->line, i < full ? '#' : '-');
    ut_buf_printf(&f->line, narrow ? "%s of %s  " : "] %s of %s   ", used_z, max_z);
    put_fact(f, (double)(counts->spans_stored - counts->spans_expired - counts->spans_evicted),
             narrow ? "spans  " : "spans   ");
    put_fact(f, (double)counts->spans_expired, narrow ? "expired  " : "expired   ");
    put_fact(f, (double)counts->spans_evicted, narrow ? "evicted  " : "evicted   ");
    put_fact(f, (double)counts->spans_duplicate, "duplicates");
    end_line(f, UT_COLOUR_NONE);
}

static const char *state_of(const ut_top_sample *sample, const ut_top_destination *destination)
{
    if (!destination->active)
        return "not configured";
    if (!sample->agent)
        return "no agent";
    return destination->failing ? "failing" : "ok";
}

static uint32_t name_columns(const frame *f)
{
    const uint32_t room = f->term->width / 4;
    return room < NAME_COLUMNS_MIN ? NAME_COLUMNS_MIN
                                   : (room > NAME_COLUMNS_MAX ? NAME_COLUMNS_MAX : room);
}

static void put_name(frame *f, const char *name_z)
{
    (void)ut_term_text(&f->line, ut_bytes_of_z(name_z), name_columns(f), true);
    ut_buf_add_byte(&f->line, ' ');
}

static void put_destination(frame *f, const ut_top_sample *before, const ut_top_sample *sample,
                            const ut_top_destination *destination)
{
    char age_z[UT_TEXT_SHORT_MAX] = "-";
    if (destination->oldest_ns != 0)
        ut_text_duration(age_ns(sample, destination->oldest_ns), age_z);
    put_name(f, destination->name_z);
    put_number(f, delivered_rate(before, sample, destination));
    ut_buf_add_byte(&f->line, ' ');
    put_count(f, destination->pending);
    ut_buf_printf(&f->line, " %*s ", NUMBER_COLUMNS, age_z);
    put_count(f, destination->dead);
    ut_buf_printf(&f->line, "  %s", state_of(sample, destination));
    if (destination->failing && destination->error_z[0] != 0)
        ut_buf_printf(&f->line, ": %s", destination->error_z);
    const bool bad = destination->failing || dead_rate(before, sample, destination) > 0;
    end_line(f, bad ? UT_COLOUR_RED : UT_COLOUR_NONE);
}

static void put_destinations(frame *f, const ut_top_sample *before, const ut_top_sample *sample)
{
    size_t shown = sample->destination_count;
    if (shown == 0)
        return;
    if (f->rows_left != UINT32_MAX && shown > f->rows_left / 2)
        shown =
            f->rows_left / 2 < DESTINATIONS_SHOWN_MIN ? DESTINATIONS_SHOWN_MIN : f->rows_left / 2;
    if (shown > sample->destination_count)
        shown = sample->destination_count;
    end_line(f, UT_COLOUR_NONE);
    put_name(f, "destination");
    ut_buf_printf(&f->line, "%*s %*s %*s %*s  state", NUMBER_COLUMNS, "out/s", NUMBER_COLUMNS,
                  "pending", NUMBER_COLUMNS, "oldest", NUMBER_COLUMNS, "dead");
    end_line(f, UT_COLOUR_BOLD);
    for (size_t i = 0; i < shown; i++)
        put_destination(f, before, sample, &sample->destinations[i]);
    if (shown < sample->destination_count) {
        ut_buf_printf(&f->line, "and %zu more", sample->destination_count - shown);
        end_line(f, UT_COLOUR_DIM);
    }
}

static const char *service_name(const ut_top_sample *sample, size_t i)
{
    if (sample->services[i].name_z[0] != 0)
        return sample->services[i].name_z;
    return sample->service_count == UT_TOP_SERVICES_MAX ? "(others)" : "(no service.name)";
}

static void put_service(frame *f, const ut_top_sample *before, const ut_top_sample *sample,
                        size_t i)
{
    const ut_top_service *service = &sample->services[i];
    char mean_z[UT_TEXT_SHORT_MAX];
    ut_text_duration(service->duration_ns / service->spans, mean_z);
    put_name(f, service_name(sample, i));
    put_number(f, service_rate(before, sample, service->new_spans));
    ut_buf_add_byte(&f->line, ' ');
    put_number(f, service_rate(before, sample, service->new_errors));
    ut_buf_add_byte(&f->line, ' ');
    put_count(f, service->spans);
    ut_buf_add_byte(&f->line, ' ');
    put_count(f, service->errors);
    ut_buf_printf(&f->line, " %*s", NUMBER_COLUMNS, mean_z);
    end_line(f, service->new_errors > 0 ? UT_COLOUR_RED : UT_COLOUR_NONE);
}

static void put_services(frame *f, const ut_top_sample *before, const ut_top_sample *sample)
{
    if (!sample->store) {
        if (sample->agent) {
            end_line(f, UT_COLOUR_NONE);
            ut_buf_printf(&f->line, "store %s", sample->store_fault.text_z);
            end_line(f, UT_COLOUR_RED);
        }
        return;
    }
    char count_z[UT_TEXT_SHORT_MAX];
    number_text((double)sample->recent_spans, count_z);
    const bool narrow = f->term->width < NARROW_COLUMNS; // the note stands in the line above then
    if (narrow)
        ut_buf_printf(&f->line, "of the newest %s spans:", count_z);
    end_line(f, UT_COLOUR_NONE);
    put_name(f, "service");
    ut_buf_printf(&f->line, "%*s %*s %*s %*s %*s", NUMBER_COLUMNS, "in/s", NUMBER_COLUMNS,
                  "errors/s", NUMBER_COLUMNS, "spans", NUMBER_COLUMNS, "errors", NUMBER_COLUMNS,
                  "mean");
    if (!narrow)
        ut_buf_printf(&f->line, "  (of the newest %s)", count_z);
    end_line(f, UT_COLOUR_BOLD);
    for (size_t i = 0; i < sample->service_count && f->rows_left > 0; i++)
        put_service(f, before, sample, i);
}

void ut_top_frame(ut_buf *out, const ut_term *term, uint32_t rows, const char *data_dir_z,
                  const ut_top_sample *before, const ut_top_sample *sample, bool keys)
{
    // The line of the keys keeps its place on any screen that has room for more than the head.
    const bool foot = keys && (rows == 0 || rows > HEAD_ROWS);
    frame f = {.out = out, .term = term, .rows_left = rows == 0 ? UINT32_MAX : rows - foot};
    ut_buf_init(&f.line, LINE_BYTES_MAX);
    put_title(&f, data_dir_z, sample);
    put_in(&f, before, sample);
    put_refusals(&f, sample);
    put_out(&f, before, sample);
    put_disk(&f, sample);
    put_destinations(&f, before, sample);
    put_services(&f, before, sample);
    if (foot) {
        if (f.rows_left > 0)
            end_line(&f, UT_COLOUR_NONE);
        f.rows_left = 1;
        ut_buf_add_z(&f.line, "q quits");
        end_line(&f, UT_COLOUR_DIM);
    }
    ut_buf_free(&f.line);
}

// ---- JSON ----

static void write_rate(ut_json_writer *json, const char *name_z, double value)
{
    ut_buf_printf(ut_json_write_raw(json, name_z), "%.3f", value);
}

static void write_refusals(ut_json_writer *json, const ut_top_sample *sample, const char *name_z,
                           uint64_t sum, const char *parts_z, bool spans)
{
    ut_json_write_uint(json, name_z, sum);
    ut_json_write_object(json, parts_z);
    for (size_t i = 0; i < sample->refusal_count; i++) {
        if (sample->refusals[i].spans == spans)
            ut_json_write_uint(json, sample->refusals[i].name_z, sample->refusals[i].count);
    }
    ut_json_write_close(json);
}

static void write_agent(ut_json_writer *json, const ut_top_sample *before,
                        const ut_top_sample *sample)
{
    if (!sample->agent) {
        ut_json_write_null(json, "agent");
        if (sample->agent_fault.code != UT_OK)
            ut_json_write_text_z(json, "agent_error", sample->agent_fault.text_z);
        return;
    }
    ut_json_write_object(json, "agent");
    ut_json_write_text_z(json, "version", sample->version_z);
    ut_json_write_uint(json, "pid", sample->pid);
    ut_json_write_uint(json, "uptime_ms", sample->uptime_ms);
    ut_json_write_uint(json, "connections", sample->connections);
    ut_json_write_uint(json, "queue", sample->queue);
    write_rate(json, "requests_per_s",
               before == NULL ? 0 : rate(before, sample, before->requests, sample->requests));
    write_rate(json, "refused_per_s",
               before == NULL ? 0 : rate(before, sample, before->refused, sample->refused));
    write_refusals(json, sample, "refused", sample->refused, "refused_by", false);
    write_refusals(json, sample, "rejected", sample->rejected, "rejected_by", true);
    ut_json_write_close(json);
}

static void write_store(ut_json_writer *json, const ut_top_sample *sample)
{
    const ut_store_counts *counts = &sample->counts;
    ut_json_write_object(json, "store");
    ut_json_write_uint(json, "bytes_max", sample->bytes_max);
    ut_json_write_uint(json, "bytes_used", sample->bytes_used);
    ut_json_write_uint(json, "bytes_file", sample->bytes_file);
    ut_json_write_uint(json, "spans",
                       counts->spans_stored - counts->spans_expired - counts->spans_evicted);
    ut_json_write_uint(json, "spans_stored", counts->spans_stored);
    ut_json_write_uint(json, "spans_duplicate", counts->spans_duplicate);
    ut_json_write_uint(json, "spans_expired", counts->spans_expired);
    ut_json_write_uint(json, "spans_evicted", counts->spans_evicted);
    ut_json_write_close(json);
    if (!sample->store)
        ut_json_write_text_z(json, "store_error", sample->store_fault.text_z);
}

static void write_destination(ut_json_writer *json, const ut_top_sample *before,
                              const ut_top_sample *sample, const ut_top_destination *destination)
{
    ut_json_write_object(json, NULL);
    ut_json_write_text_z(json, "name", destination->name_z);
    ut_json_write_bool(json, "active", destination->active);
    ut_json_write_bool(json, "failing", destination->failing);
    write_rate(json, "out_per_s", delivered_rate(before, sample, destination));
    write_rate(json, "dead_per_s", dead_rate(before, sample, destination));
    ut_json_write_uint(json, "delivered", destination->delivered);
    ut_json_write_uint(json, "pending", destination->pending);
    ut_json_write_uint(json, "dead", destination->dead);
    ut_json_write_uint(json, "oldest_pending_ms", age_ns(sample, destination->oldest_ns) / 1000000);
    ut_json_write_text_z(json, "last_error", destination->error_z);
    ut_json_write_close(json);
}

static void write_service(ut_json_writer *json, const ut_top_sample *before,
                          const ut_top_sample *sample, size_t i)
{
    const ut_top_service *service = &sample->services[i];
    ut_json_write_object(json, NULL);
    ut_json_write_text_z(json, "name", service->name_z);
    write_rate(json, "in_per_s", service_rate(before, sample, service->new_spans));
    write_rate(json, "errors_per_s", service_rate(before, sample, service->new_errors));
    ut_json_write_uint(json, "recent_spans", service->spans);
    ut_json_write_uint(json, "recent_errors", service->errors);
    ut_json_write_uint(json, "mean_ns", service->duration_ns / service->spans);
    ut_json_write_close(json);
}

void ut_top_json(ut_buf *out, const char *data_dir_z, const ut_top_sample *before,
                 const ut_top_sample *sample)
{
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    char time_z[UT_TEXT_SHORT_MAX];
    ut_text_time(sample->wall_ns, time_z);
    ut_json_write_text_z(&json, "time", time_z);
    ut_json_write_uint(&json, "time_unix_ns", sample->wall_ns);
    ut_json_write_text_z(&json, "data_dir", data_dir_z);
    ut_json_write_uint(&json, "interval_ms", before == NULL ? 0 : sample->at_ms - before->at_ms);
    write_agent(&json, before, sample);
    write_rate(&json, "in_per_s", stored_rate(before, sample));
    write_store(&json, sample);
    ut_json_write_array(&json, "destinations");
    for (size_t i = 0; i < sample->destination_count; i++)
        write_destination(&json, before, sample, &sample->destinations[i]);
    ut_json_write_close(&json);
    ut_json_write_uint(&json, "recent_spans", sample->recent_spans);
    ut_json_write_array(&json, "services");
    for (size_t i = 0; i < sample->service_count; i++)
        write_service(&json, before, sample, i);
    ut_json_write_close(&json);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
}
