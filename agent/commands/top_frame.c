// Lays out what `untrace top` shows.
#include "agent/commands/top_frame.h"

#include "adapters/encoding/json_write.h"
#include "port/base/order.h"
#include "port/base/text.h"
#include "port/base/time_units.h"
#include "port/base/utf8.h"

#include <stdio.h>
#include <string.h>

enum {
    NAME_COLUMNS_MIN = 12,
    NAME_COLUMNS_MAX = 32,
    NUMBER_COLUMNS = 9, // "1 234 567"
    GAUGE_COLUMNS = 12,
    LABEL_COLUMNS = 6, // "disk  "
    DESTINATIONS_SHOWN_MIN = 3,
    NOTE_COLUMNS = 24,  // "  (of the newest 32 768)"
    STATE_COLUMNS = 16, // "  not configured"
    SERVICE_NUMBERS = 6,
    DESTINATION_NUMBERS = 4,
    HEAD_ROWS = 5,
    FAULT_ROWS_MAX = 3,   // of the reason of one destination
    SCROLL_ROWS = 10,     // of one press of a page key
    NARROW_COLUMNS = 100, // below, what only adorns is left out
    LINE_BYTES_MAX = 4096,
};

typedef struct {
    ut_buf *out;
    ut_buf line;
    const ut_term *term;
    uint32_t rows_left;    // UINT32_MAX: no limit
    uint32_t name_columns; // of the table that is being drawn
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

// Whole numbers in groups of three digits; what is small and not whole with a digit behind the
// point.
static void number_text(double value, char out_z[UT_TEXT_SHORT_MAX])
{
    const bool whole = value < 10 && value == (double)(unsigned)value;
    if (value > 0 && value < 9.95 && !whole) {
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
    put_number(f, (double)count);
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

static void put_title(frame *f, const ut_top_sample *sample)
{
    char time_z[UT_TEXT_SHORT_MAX];
    char up_z[UT_TEXT_SHORT_MAX];
    ut_text_time(sample->wall_ns, time_z);
    time_z[10] = ' ';
    time_z[19] = 0;
    ut_buf_printf(&f->line, "untrace top  %s UTC  ", time_z);
    if (sample->agent) {
        ut_text_age(sample->uptime_ms * UT_NS_PER_MS, up_z);
        ut_buf_printf(&f->line, "agent %s, process %llu, up %s", sample->version_z,
                      (unsigned long long)sample->pid, up_z);
    } else if (sample->agent_fault.code != UT_OK) {
        ut_buf_add_z(&f->line, sample->agent_fault.text_z);
    } else {
        ut_buf_add_z(&f->line, "no agent is running");
    }
    end_line(f, sample->agent ? UT_COLOUR_BOLD : UT_COLOUR_RED);
}

// Which agent it is: of a directory that is too long for the line its end.
static void put_data_dir(frame *f, const char *data_dir_z, const ut_top_sample *sample)
{
    char last_z[UT_TEXT_SHORT_MAX] = "";
    char age_z[UT_TEXT_SHORT_MAX];
    if (sample->received_ns != 0) {
        ut_text_age(age_ns(sample, sample->received_ns), age_z);
        (void)snprintf(last_z, sizeof(last_z), "   last span %.16s ago", age_z);
    }
    const uint32_t taken = LABEL_COLUMNS + (uint32_t)strlen(last_z);
    const uint32_t room = f->term->width > taken + 1 ? f->term->width - taken : 1;
    ut_bytes dir = ut_bytes_of_z(data_dir_z);
    ut_buf_add_z(&f->line, "data  ");
    if (ut_term_columns(dir) > room) {
        ut_buf_add_z(&f->line, "…");
        while (dir.len > 0 && ut_term_columns(dir) > room - 1) {
            const size_t step = ut_utf8_len(dir.data, dir.len);
            dir.data += step == 0 ? 1 : step;
            dir.len -= step == 0 ? 1 : step;
        }
    }
    ut_buf_add_bytes(&f->line, dir);
    ut_buf_add_z(&f->line, last_z);
    end_line(f, UT_COLOUR_NONE);
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

// The columns of the names of a table: a quarter of the screen; where names are longer, what the
// numbers leave free.
static uint32_t name_columns(const frame *f, uint32_t longest, uint32_t numbers)
{
    const uint32_t quarter = f->term->width / 4;
    const uint32_t usual = ut_min_u32(quarter, NAME_COLUMNS_MAX);
    const uint32_t free = f->term->width > numbers ? f->term->width - numbers : 0;
    const uint32_t most = ut_min_u32(longest, free);
    const uint32_t columns = most > usual ? most : usual;
    return columns < NAME_COLUMNS_MIN ? NAME_COLUMNS_MIN : columns;
}

static void put_name(frame *f, const char *name_z)
{
    (void)ut_term_text(&f->line, ut_bytes_of_z(name_z), f->name_columns, true);
    ut_buf_add_byte(&f->line, ' ');
}

static uint32_t fault_columns(const frame *f)
{
    return f->term->width > 2 ? f->term->width - 2 : 1;
}

// The rows that a text takes below its destination; 0: it fits the line of the destination.
static uint32_t fault_rows(const frame *f, const ut_top_destination *destination)
{
    const uint32_t used = f->name_columns + DESTINATION_NUMBERS * (NUMBER_COLUMNS + 1) + 2 +
                          (uint32_t)strlen("failing: ");
    const uint32_t columns = ut_term_columns(ut_bytes_of_z(destination->error_z));
    ut_bytes text = ut_bytes_of_z(destination->error_z);
    uint32_t rows = 0;
    if (!destination->failing || columns == 0 || used + columns <= f->term->width)
        return 0;
    while (text.len > 0 && rows < FAULT_ROWS_MAX) {
        (void)ut_term_take_line(&text, fault_columns(f));
        rows++;
    }
    return rows;
}

static void put_fault(frame *f, const ut_top_destination *destination, uint32_t rows)
{
    ut_bytes text = ut_bytes_of_z(destination->error_z);
    for (uint32_t i = 0; i < rows; i++) {
        ut_buf_add_z(&f->line, "  ");
        ut_buf_add_bytes(&f->line,
                         i + 1 == rows ? text : ut_term_take_line(&text, fault_columns(f)));
        end_line(f, UT_COLOUR_RED);
    }
}

static void put_destination(frame *f, const ut_top_sample *before, const ut_top_sample *sample,
                            const ut_top_destination *destination, uint32_t rows)
{
    char age_z[UT_TEXT_SHORT_MAX] = "-";
    if (destination->oldest_ns != 0)
        ut_text_age(age_ns(sample, destination->oldest_ns), age_z);
    put_name(f, destination->name_z);
    put_number(f, delivered_rate(before, sample, destination));
    ut_buf_add_byte(&f->line, ' ');
    put_count(f, destination->pending);
    ut_buf_printf(&f->line, " %*s ", NUMBER_COLUMNS, age_z);
    put_count(f, destination->dead);
    ut_buf_printf(&f->line, "  %s", state_of(sample, destination));
    if (destination->failing && destination->error_z[0] != 0 && rows == 0)
        ut_buf_printf(&f->line, ": %s", destination->error_z);
    const bool bad = destination->failing || dead_rate(before, sample, destination) > 0;
    end_line(f, bad ? UT_COLOUR_RED : UT_COLOUR_NONE);
    put_fault(f, destination, rows);
}

// Half of what is left of the screen is theirs. Where it is too little for all, the reasons stand
// in the lines, cut, and then destinations are left out.
static void put_destinations(frame *f, const ut_top_sample *before, const ut_top_sample *sample)
{
    const size_t count = sample->destination_count;
    uint32_t longest = 0;
    uint32_t rows = 0;
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        const uint32_t columns = ut_term_columns(ut_bytes_of_z(sample->destinations[i].name_z));
        longest = columns > longest ? columns : longest;
    }
    f->name_columns =
        name_columns(f, longest, DESTINATION_NUMBERS * (NUMBER_COLUMNS + 1) + STATE_COLUMNS);
    for (size_t i = 0; i < count; i++)
        rows += 1 + fault_rows(f, &sample->destinations[i]);
    const uint32_t half = f->rows_left == UINT32_MAX ? UINT32_MAX : f->rows_left / 2;
    const uint32_t most = half < DESTINATIONS_SHOWN_MIN ? DESTINATIONS_SHOWN_MIN : half;
    const size_t shown = count < most ? count : most;
    end_line(f, UT_COLOUR_NONE);
    put_name(f, "destination");
    ut_buf_printf(&f->line, "%*s %*s %*s %*s  state", NUMBER_COLUMNS, "out/s", NUMBER_COLUMNS,
                  "pending", NUMBER_COLUMNS, "oldest", NUMBER_COLUMNS, "dead");
    end_line(f, UT_COLOUR_BOLD);
    for (size_t i = 0; i < shown; i++) {
        const ut_top_destination *destination = &sample->destinations[i];
        put_destination(f, before, sample, destination,
                        rows <= half ? fault_rows(f, destination) : 0);
    }
    if (shown < count) {
        ut_buf_printf(&f->line, "and %zu more", count - shown);
        end_line(f, UT_COLOUR_DIM);
    }
}

// ---- services ----

static const char *service_name(const ut_top_sample *sample, size_t i)
{
    if (sample->services[i].name_z[0] != 0)
        return sample->services[i].name_z;
    return sample->service_count == UT_TOP_SERVICES_MAX ? "(others)" : "(no service.name)";
}

static uint64_t weight(const ut_top_service *service, ut_top_order order)
{
    switch (order) {
    case UT_TOP_BY_RATE:
        return service->new_spans;
    case UT_TOP_BY_ERRORS:
        return service->errors;
    case UT_TOP_BY_MEAN:
        return service->duration_ns / service->spans;
    case UT_TOP_BY_P99:
        return service->p99_ns;
    case UT_TOP_BY_SPANS:
    case UT_TOP_BY_NAME:
    case UT_TOP_ORDERS:
        break;
    }
    return service->spans;
}

static bool comes_before(const ut_top_sample *sample, size_t a, size_t b, ut_top_order order)
{
    if (order == UT_TOP_BY_NAME)
        return strcmp(service_name(sample, a), service_name(sample, b)) < 0;
    return weight(&sample->services[a], order) > weight(&sample->services[b], order);
}

// The places of the services in their order; equal ones stay as they are in the sample.
static void sort_services(const ut_top_sample *sample, ut_top_order order,
                          size_t places[UT_TOP_SERVICES_MAX])
{
    for (size_t i = 0; i < sample->service_count; i++) {
        size_t at = i;
        for (; at > 0 && comes_before(sample, i, places[at - 1], order); at--)
            places[at] = places[at - 1];
        places[at] = i;
    }
}

static void put_service(frame *f, const ut_top_sample *before, const ut_top_sample *sample,
                        size_t i)
{
    const ut_top_service *service = &sample->services[i];
    char mean_z[UT_TEXT_SHORT_MAX];
    char p99_z[UT_TEXT_SHORT_MAX];
    ut_text_duration(service->duration_ns / service->spans, mean_z);
    ut_text_duration(service->p99_ns, p99_z);
    put_name(f, service_name(sample, i));
    put_number(f, service_rate(before, sample, service->new_spans));
    ut_buf_add_byte(&f->line, ' ');
    put_number(f, service_rate(before, sample, service->new_errors));
    ut_buf_add_byte(&f->line, ' ');
    put_count(f, service->spans);
    ut_buf_add_byte(&f->line, ' ');
    put_count(f, service->errors);
    ut_buf_printf(&f->line, " %*s %*s", NUMBER_COLUMNS, mean_z, NUMBER_COLUMNS, p99_z);
    end_line(f, service->new_errors > 0 ? UT_COLOUR_RED : UT_COLOUR_NONE);
}

// The rows of the services from view->first on, and how many are left out below.
static void put_rows(frame *f, const ut_top_sample *before, const ut_top_sample *sample,
                     ut_top_view *view)
{
    size_t places[UT_TOP_SERVICES_MAX];
    const uint32_t count = (uint32_t)sample->service_count;
    sort_services(sample, view->order, places);
    if (view->first + f->rows_left >= count || f->rows_left == UINT32_MAX)
        view->first = count - ut_min_u32(count, f->rows_left); // the last page is a full one
    const bool more = count - view->first > f->rows_left;
    const uint32_t shown = more ? f->rows_left - (f->rows_left > 0) : count - view->first;
    for (uint32_t i = 0; i < shown; i++)
        put_service(f, before, sample, places[view->first + i]);
    if (more) {
        ut_buf_printf(&f->line, "and %u more", (unsigned)(count - view->first - shown));
        end_line(f, UT_COLOUR_DIM);
    }
}

static void put_services(frame *f, const ut_top_sample *before, const ut_top_sample *sample,
                         ut_top_view *view)
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
    uint32_t longest = 0;
    for (size_t i = 0; i < sample->service_count; i++) {
        const uint32_t columns = ut_term_columns(ut_bytes_of_z(service_name(sample, i)));
        longest = columns > longest ? columns : longest;
    }
    f->name_columns = name_columns(f, longest, SERVICE_NUMBERS * (NUMBER_COLUMNS + 1));
    // Where it has no room behind the heads of the columns, the note stands in the line above.
    const uint32_t taken = f->name_columns + SERVICE_NUMBERS * (NUMBER_COLUMNS + 1);
    const bool narrow = taken + NOTE_COLUMNS > f->term->width;
    if (narrow)
        ut_buf_printf(&f->line, "of the newest %s spans:", count_z);
    end_line(f, UT_COLOUR_NONE);
    put_name(f, "service");
    ut_buf_printf(&f->line, "%*s %*s %*s %*s %*s %*s", NUMBER_COLUMNS, "in/s", NUMBER_COLUMNS,
                  "errors/s", NUMBER_COLUMNS, "spans", NUMBER_COLUMNS, "errors", NUMBER_COLUMNS,
                  "mean", NUMBER_COLUMNS, "p99");
    if (!narrow)
        ut_buf_printf(&f->line, "  (of the newest %s)", count_z);
    end_line(f, UT_COLOUR_BOLD);
    put_rows(f, before, sample, view);
}

// ---- keys ----

static const struct {
    char key;
    const char *name_z;
} orders[UT_TOP_ORDERS] = {
    [UT_TOP_BY_SPANS] = {'s', "spans"},   [UT_TOP_BY_RATE] = {'i', "in/s"},
    [UT_TOP_BY_ERRORS] = {'e', "errors"}, [UT_TOP_BY_MEAN] = {'m', "mean"},
    [UT_TOP_BY_P99] = {'p', "p99"},       [UT_TOP_BY_NAME] = {'n', "name"},
};

bool ut_top_view_key(ut_top_view *view, int key)
{
    const uint32_t step = key == UT_SCREEN_PAGE_UP || key == UT_SCREEN_PAGE_DOWN ? SCROLL_ROWS : 1;
    const bool help = view->help;
    view->help = false; // any key ends it
    for (int i = 0; i < UT_TOP_ORDERS; i++) {
        if (orders[i].key == key) {
            view->order = (ut_top_order)i;
            view->first = 0;
            return true;
        }
    }
    switch (key) {
    case '?':
    case 'h':
        view->help = !help;
        return true;
    case UT_SCREEN_UP:
    case UT_SCREEN_PAGE_UP:
    case 'k':
        view->first -= ut_min_u32(view->first, step);
        return true;
    case UT_SCREEN_DOWN:
    case UT_SCREEN_PAGE_DOWN:
    case 'j':
        view->first = ut_min_u32(view->first + step, UT_TOP_SERVICES_MAX);
        return true;
    case UT_SCREEN_HOME:
    case 'g':
        view->first = 0;
        return true;
    default:
        return help;
    }
}

static void put_help(frame *f)
{
    end_line(f, UT_COLOUR_NONE);
    for (int i = 0; i < UT_TOP_ORDERS; i++) {
        ut_buf_printf(&f->line, "%c          sorts services by %s", orders[i].key,
                      orders[i].name_z);
        end_line(f, UT_COLOUR_NONE);
    }
    ut_buf_add_z(&f->line, "up, down   scrolls services; also j, k, page up, page down, home");
    end_line(f, UT_COLOUR_NONE);
    ut_buf_add_z(&f->line, "q          quits; also Ctrl-C");
    end_line(f, UT_COLOUR_NONE);
    ut_buf_add_z(&f->line, "?          this help; any key ends it");
    end_line(f, UT_COLOUR_NONE);
}

void ut_top_frame(ut_buf *out, const ut_term *term, uint32_t rows, const char *data_dir_z,
                  const ut_top_sample *before, const ut_top_sample *sample, ut_top_view *view)
{
    // The line of the keys keeps its place on any screen that has room for more than the head.
    const bool foot = view->live && (rows == 0 || rows > HEAD_ROWS);
    frame f = {.out = out, .term = term, .rows_left = rows == 0 ? UINT32_MAX : rows - foot};
    ut_buf_init(&f.line, LINE_BYTES_MAX);
    put_title(&f, sample);
    put_in(&f, before, sample);
    put_refusals(&f, sample);
    put_out(&f, before, sample);
    put_disk(&f, sample);
    put_data_dir(&f, data_dir_z, sample);
    if (view->help) {
        put_help(&f);
    } else {
        put_destinations(&f, before, sample);
        put_services(&f, before, sample, view);
    }
    if (foot) {
        if (f.rows_left > 0)
            end_line(&f, UT_COLOUR_NONE);
        f.rows_left = 1;
        ut_buf_printf(&f.line, "q quits   ? help   services by %s", orders[view->order].name_z);
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
    ut_json_write_uint(json, "p99_ns", service->p99_ns);
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
    if (sample->received_ns != 0)
        ut_json_write_uint(&json, "last_span_unix_ns", sample->received_ns);
    else
        ut_json_write_null(&json, "last_span_unix_ns");
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
