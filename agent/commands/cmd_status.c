// `untrace status`: whether an agent runs and how it is, on one screen; for people, and as a health
// check by its exit code.
#include "agent/commands/command.h"
#include "agent/cli/local_time.h"
#include "agent/cli/options.h"
#include "agent/cli/term.h"
#include "agent/commands/top_sample.h"
#include "agent/config/config_find.h"
#include "adapters/encoding/json_write.h"
#include "port/base/text.h"
#include "port/base/time_units.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// clang-format off
static const char help[] =
    "usage: untrace status [--data-dir DIR | --config FILE] [--json]\n"
    "\n"
    "Says on one screen whether an agent runs, since when and with which\n"
    "configuration, when it took the last span, how much of the disk is in use, what\n"
    "it refused, and for each destination what waits, since when, and why it fails.\n"
    "Where no agent runs, what the store says.\n"
    "\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_JSON
    "\n"
    "Exit codes, for health checks: 0 it runs; 1 it runs, and a destination fails;\n"
    "69 it does not run; 64 usage; 75 it does not answer; 77 it runs as another user;\n"
    "78 configuration.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE, UT_OPTION_ROW_JSON,
                                            UT_OPTION_ROWS_END};

enum {
    OUT_MAX = 256 * 1024,
    LABEL_COLUMNS = 16,
    EXIT_FAILING = 1,
};

static bool fails(const ut_top_sample *sample)
{
    for (size_t i = 0; i < sample->destination_count; i++) {
        if (sample->destinations[i].failing)
            return true;
    }
    return false;
}

static int exit_code(const ut_top_sample *sample)
{
    if (sample->agent)
        return fails(sample) ? EXIT_FAILING : EX_OK;
    return sample->agent_fault.code != UT_OK ? ut_exit_code(sample->agent_fault.code)
                                             : EX_UNAVAILABLE;
}

static uint64_t age_ns(const ut_top_sample *sample, uint64_t since_ns)
{
    return since_ns > sample->wall_ns ? 0 : sample->wall_ns - since_ns;
}

static uint64_t spans_held(const ut_top_sample *sample)
{
    const ut_store_counts *counts = &sample->counts;
    return counts->spans_stored - counts->spans_expired - counts->spans_evicted;
}

// ---- for people ----

typedef struct {
    ut_buf *out;
    const ut_term *term;
    const ut_top_sample *sample;
} page;

// Writes a label and a text, which is broken between words where the terminal ends. A text of the
// agent's or of a destination's is made harmless.
static void put_line(const page *p, const char *label_z, const char *text_z, ut_colour colour)
{
    const uint32_t room =
        p->term->width > 2 * LABEL_COLUMNS ? p->term->width - LABEL_COLUMNS : LABEL_COLUMNS;
    ut_bytes text = ut_bytes_of_z(text_z);
    (void)ut_term_text(p->out, ut_bytes_of_z(label_z), LABEL_COLUMNS, true);
    do {
        const ut_bytes line = ut_term_take_line(&text, room);
        ut_term_colour(p->term, p->out, colour);
        (void)ut_term_text(p->out, line, room, false);
        ut_term_colour(p->term, p->out, UT_COLOUR_NONE);
        ut_buf_add_byte(p->out, '\n');
        if (text.len > 0)
            ut_term_repeat(p->out, " ", LABEL_COLUMNS);
    } while (text.len > 0);
}

// The text of a line, made piece by piece; too long a one is cut.
typedef struct {
    char text_z[2 * UT_FAULT_TEXT_MAX + UT_TOP_PATH_MAX];
    size_t len;
} words;

__attribute__((format(printf, 2, 3))) static void add(words *w, const char *format_z, ...)
{
    const size_t room = sizeof(w->text_z) - w->len;
    va_list args;
    va_start(args, format_z);
    const int len = vsnprintf(w->text_z + w->len, room, format_z, args);
    va_end(args);
    if (len > 0)
        w->len += (size_t)len < room ? (size_t)len : room - 1;
}

static void put_agent(const page *p)
{
    const ut_top_sample *sample = p->sample;
    words w = {.len = 0};
    if (!sample->agent) {
        add(&w, "%s",
            sample->agent_fault.code != UT_OK ? sample->agent_fault.text_z : "not running");
        put_line(p, "agent", w.text_z, UT_COLOUR_RED);
        return;
    }
    char up_z[UT_TEXT_SHORT_MAX];
    char since_z[UT_TEXT_SHORT_MAX];
    ut_text_age(sample->uptime_ms * UT_NS_PER_MS, up_z);
    ut_local_time(sample->wall_ns - sample->uptime_ms * UT_NS_PER_MS, since_z);
    add(&w, "%s, running for %s (since %s), process %llu", sample->version_z, up_z, since_z,
        (unsigned long long)sample->pid);
    put_line(p, "agent", w.text_z, UT_COLOUR_GREEN);
    put_line(p, "configuration", sample->config_z[0] != '\0' ? sample->config_z : "built in",
             UT_COLOUR_NONE);
}

static void put_network(const page *p)
{
    const ut_top_sample *sample = p->sample;
    words w = {.len = 0};
    if (!sample->agent)
        return;
    if (sample->listen_z[0] != '\0')
        add(&w, "%s, %llu connection%s, %llu request%s so far", sample->listen_z,
            (unsigned long long)sample->connections, sample->connections == 1 ? "" : "s",
            (unsigned long long)sample->requests, sample->requests == 1 ? "" : "s");
    put_line(p, "otlp_http", w.len > 0 ? w.text_z : "off", UT_COLOUR_NONE);
}

// What was refused since the start, by kind.
static void put_refusals(const page *p, const char *label_z, bool spans)
{
    const ut_top_sample *sample = p->sample;
    words w = {.len = 0};
    for (size_t i = 0; i < sample->refusal_count; i++) {
        if (sample->refusals[i].spans == spans)
            add(&w, "%s%llu %s", w.len > 0 ? ", " : "",
                (unsigned long long)sample->refusals[i].count, sample->refusals[i].name_z);
    }
    if (w.len > 0)
        put_line(p, label_z, w.text_z, UT_COLOUR_CYAN);
}

static void put_store(const page *p)
{
    const ut_top_sample *sample = p->sample;
    char one_z[UT_TEXT_SHORT_MAX];
    char two_z[UT_TEXT_SHORT_MAX];
    if (!sample->store)
        put_line(p, "store", sample->store_fault.text_z, UT_COLOUR_RED);
    if (!sample->store && !sample->agent)
        return;
    if (sample->received_ns != 0) {
        words w = {.len = 0};
        ut_text_age(age_ns(sample, sample->received_ns), one_z);
        add(&w, "%s ago", one_z);
        put_line(p, "last span", w.text_z, UT_COLOUR_NONE);
    }
    words spans = {.len = 0};
    ut_text_grouped(spans_held(sample), one_z);
    add(&spans, "%s", one_z);
    ut_text_grouped(sample->counts.spans_expired, one_z);
    ut_text_grouped(sample->counts.spans_evicted, two_z);
    add(&spans, "; %s expired and %s evicted since the store was made", one_z, two_z);
    put_line(p, "spans", spans.text_z, UT_COLOUR_NONE);
    words disk = {.len = 0};
    ut_text_size(sample->bytes_used, one_z);
    ut_text_size(sample->bytes_max, two_z);
    add(&disk, "%s of %s", one_z, two_z);
    put_line(p, "disk", disk.text_z, UT_COLOUR_NONE);
}

static void put_destination(const page *p, const ut_top_destination *destination, bool first)
{
    words w = {.len = 0};
    char text_z[UT_TEXT_SHORT_MAX];
    add(&w, "%s: %s", destination->name_z,
        !destination->active       ? "not configured any more"
        : destination->failing     ? "FAILING"
        : !p->sample->agent        ? "no agent runs"
        : destination->pending > 0 ? "under way"
                                   : "up to date");
    if (destination->pending > 0) {
        ut_text_grouped(destination->pending, text_z);
        add(&w, ", %s span%s", text_z, destination->pending == 1 ? " waits" : "s wait");
    }
    if (destination->oldest_ns != 0) {
        ut_text_age(age_ns(p->sample, destination->oldest_ns), text_z);
        add(&w, ", the oldest for %s", text_z);
    }
    if (destination->dead > 0) {
        ut_text_grouped(destination->dead, text_z);
        add(&w, ", %s dead", text_z);
    }
    put_line(p, first ? "destinations" : "", w.text_z,
             destination->failing ? UT_COLOUR_RED : UT_COLOUR_NONE);
    if (destination->failing && destination->error_z[0] != '\0')
        put_line(p, "", destination->error_z, UT_COLOUR_RED);
}

static void print_text(const page *p, const char *dir_z)
{
    const ut_top_sample *sample = p->sample;
    put_agent(p);
    put_line(p, "data directory", dir_z, UT_COLOUR_NONE);
    put_network(p);
    put_store(p);
    put_refusals(p, "refused", false);
    put_refusals(p, "spans rejected", true);
    for (size_t i = 0; i < sample->destination_count; i++)
        put_destination(p, &sample->destinations[i], i == 0);
    if (sample->destination_count == 0 && (sample->agent || sample->store))
        put_line(p, "destinations", "none", UT_COLOUR_NONE);
}

// ---- for programs ----

static void write_time(ut_json_writer *json, const char *name_z, uint64_t ns)
{
    if (ns != 0)
        ut_json_write_uint(json, name_z, ns);
    else
        ut_json_write_null(json, name_z);
}

static void write_text(ut_json_writer *json, const char *name_z, const char *text_z)
{
    if (text_z[0] != '\0')
        ut_json_write_text_z(json, name_z, text_z);
    else
        ut_json_write_null(json, name_z);
}

static void write_refusals(ut_json_writer *json, const ut_top_sample *sample, const char *name_z,
                           bool spans)
{
    ut_json_write_object(json, name_z);
    for (size_t i = 0; i < sample->refusal_count; i++) {
        if (sample->refusals[i].spans == spans)
            ut_json_write_uint(json, sample->refusals[i].name_z, sample->refusals[i].count);
    }
    ut_json_write_close(json);
}

static void write_agent(ut_json_writer *json, const ut_top_sample *sample)
{
    ut_json_write_bool(json, "running", sample->agent);
    if (!sample->agent) {
        write_text(json, "error",
                   sample->agent_fault.code != UT_OK ? sample->agent_fault.text_z : "");
        return;
    }
    ut_json_write_bool(json, "failing", fails(sample));
    ut_json_write_text_z(json, "version", sample->version_z);
    ut_json_write_uint(json, "pid", sample->pid);
    ut_json_write_uint(json, "uptime_ms", sample->uptime_ms);
    write_text(json, "config", sample->config_z);
    write_text(json, "otlp_http", sample->listen_z);
    ut_json_write_uint(json, "connections", sample->connections);
    ut_json_write_uint(json, "requests", sample->requests);
    write_refusals(json, sample, "refused_by", false);
    write_refusals(json, sample, "rejected_by", true);
}

static void write_store(ut_json_writer *json, const ut_top_sample *sample)
{
    write_text(json, "store_error", sample->store ? "" : sample->store_fault.text_z);
    if (!sample->store && !sample->agent)
        return;
    write_time(json, "last_span_unix_ns", sample->received_ns);
    ut_json_write_uint(json, "spans", spans_held(sample));
    ut_json_write_uint(json, "spans_expired", sample->counts.spans_expired);
    ut_json_write_uint(json, "spans_evicted", sample->counts.spans_evicted);
    ut_json_write_uint(json, "bytes_used", sample->bytes_used);
    ut_json_write_uint(json, "bytes_max", sample->bytes_max);
}

static void print_json(ut_buf *out, const ut_top_sample *sample, const char *dir_z)
{
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    ut_json_write_uint(&json, "time_unix_ns", sample->wall_ns);
    ut_json_write_text_z(&json, "data_dir", dir_z);
    write_agent(&json, sample);
    write_store(&json, sample);
    ut_json_write_array(&json, "destinations");
    for (size_t i = 0; i < sample->destination_count; i++) {
        const ut_top_destination *destination = &sample->destinations[i];
        ut_json_write_object(&json, NULL);
        ut_json_write_text_z(&json, "name", destination->name_z);
        ut_json_write_bool(&json, "active", destination->active);
        ut_json_write_bool(&json, "failing", destination->failing);
        ut_json_write_uint(&json, "delivered", destination->delivered);
        ut_json_write_uint(&json, "pending", destination->pending);
        ut_json_write_uint(&json, "dead", destination->dead);
        write_time(&json, "oldest_pending_unix_ns", destination->oldest_ns);
        write_text(&json, "last_error", destination->error_z);
        ut_json_write_close(&json);
    }
    ut_json_write_close(&json);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
}

// ---- the command ----

static int show(const ut_top_sample *sample, const char *dir_z, bool as_json)
{
    const ut_term term = ut_term_stdout();
    ut_buf out;
    ut_buf_init(&out, OUT_MAX);
    if (as_json)
        print_json(&out, sample, dir_z);
    else
        print_text(&(page){&out, &term, sample}, dir_z);
    const int code = out.err == UT_OK ? exit_code(sample) : EX_OSERR;
    if (out.err == UT_OK)
        (void)fwrite(out.data, 1, out.len, stdout); // main looks at what became of it
    ut_buf_free(&out);
    return code;
}

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "status", .help_z = help, .rows = option_rows};
    char *found_z = NULL;
    ut_fault fault = {UT_OK, ""};
    if (!ut_options_read(&options, argc, argv))
        return options.code;
    if (options.data_dir_z == NULL &&
        ut_config_find_data_dir(options.config_z, &found_z, &fault) != UT_OK) {
        (void)ut_cli_fail(&fault);
        return fault.code == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
    }
    ut_top_sample *sample = calloc(1, sizeof(*sample));
    int code = EX_OSERR;
    if (sample != NULL) {
        ut_top_source source = {
            .data_dir_z = options.data_dir_z != NULL ? options.data_dir_z : found_z,
            .reader_dir_z = options.data_dir_z,
            .config_z = options.config_z,
            .brief = true,
        };
        ut_top_read(&source, NULL, sample);
        code = show(sample, source.data_dir_z, options.json);
        ut_top_source_close(&source);
    }
    free(sample);
    free(found_z);
    return code;
}

const ut_command ut_command_status = {
    .name_z = "status",
    .run = run,
    .summary_z = "whether the agent runs, and how it is",
    .help_z = help,
    .options = option_rows,
};
