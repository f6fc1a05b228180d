// `untrace store info`: what a store consists of.
#include "agent/commands/cmd_store.h"

#include "adapters/encoding/json.h"
#include "adapters/encoding/json_write.h"
#include "agent/cli/options.h"
#include "agent/config/config_find.h"
#include "agent/control/control_client.h"
#include "agent/cli/progress_bar.h"
#include "agent/cli/term.h"
#include "agent/query/reader.h"
#include "port/base/text.h"
#include "storage/upkeep/census.h"

#include <stdio.h>
#include <stdlib.h>

// clang-format off
static const char help[] =
    "usage: untrace store info [--data-dir DIR | --config FILE] [--json]\n"
    "\n"
    "Shows what a store holds: its budget and its file, spans, traces and blocks, the\n"
    "oldest and the newest, keys and bytes of each kind of record, and what each\n"
    "organisation and each destination has. Reads every key, in short slices that do\n"
    "not hold up a running agent; works after a kill and on a copy.\n"
    "\n"
    UT_OPTION_HELP_WHERE
    "      --json              one JSON object; times are nanoseconds since 1970,\n"
    "                          sizes are bytes\n"
    "\n"
    "The budget is that of the agent that wrote the store last. Pages that became\n"
    "free stay in the file and are used again; `untrace store compact` gives them\n"
    "back to the disk.\n"
    "\n"
    "Exit codes: 0; 64 usage; 65 the store is damaged (`untrace store verify` says\n"
    "where) or of another version; 66 there is none; 74 disk; 77 permission denied.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE, UT_OPTION_ROW_JSON,
                                            UT_OPTION_ROWS_END};

enum {
    SLICE_KEYS = 20000, // read in one view
    OUT_MAX = 1024 * 1024,
    ASK_MS = 2000, // what an agent may take to say that it is there
    NAME_COLUMNS = 24,
};

typedef struct {
    uint8_t kind;
    const char *name_z;
} kind_name;

static const kind_name kind_names[] = {
    {UT_KEY_BLOCK, "blocks of spans"},
    {UT_KEY_SUMMARY, "block summaries"},
    {UT_KEY_TRACE, "entries of traces"},
    {UT_KEY_ROOT, "root spans"},
    {UT_KEY_EXPIRY, "expiry"},
    {UT_KEY_DELIVERY, "deliveries"},
    {UT_KEY_DEAD, "dead letters"},
    {UT_KEY_DESTINATION, "destinations"},
    {UT_KEY_CONSUMER, "cursors of readers"},
    {UT_KEY_ORG, "organisations"},
    {UT_KEY_API_KEY, "keys"},
    {UT_KEY_META, "meta"},
};
enum { KIND_NAMES = sizeof kind_names / sizeof kind_names[0] };

typedef struct {
    const char *dir_z;
    uint64_t agent_pid; // 0: none is running
    ut_engine_room room;
    uint32_t data_keys; // 0: the store is not encrypted
    ut_store_counts counts;
    ut_store_destination destinations[UT_STORE_DESTINATIONS_MAX];
    size_t destination_count;
    ut_census census;
    ut_census_org all;
} facts;

// The process id of the agent that runs on the directory, 0 when none answers.
static uint64_t find_agent(const char *dir_z)
{
    ut_control_client *client = NULL;
    ut_bytes body = UT_BYTES_NONE;
    uint64_t pid = 0;
    if (ut_control_client_open(dir_z, &client, NULL) != UT_OK)
        return 0;
    ut_json json;
    if (ut_control_client_ask(client, "GET", "/status", UT_BYTES_NONE, ASK_MS, &body, NULL) ==
            UT_OK &&
        ut_json_read(&json, body, NULL) == UT_OK) {
        pid = ut_control_uint(yyjson_doc_get_root(json.doc), "pid");
        ut_json_free(&json);
    }
    ut_control_client_close(client);
    return pid;
}

// ---- for programs ----

static void write_org(ut_json_writer *json, const ut_census_org *org)
{
    ut_json_write_uint(json, "spans", org->spans);
    ut_json_write_uint(json, "traces", org->traces);
    ut_json_write_uint(json, "blocks", org->blocks);
    ut_json_write_uint(json, "sealed_bytes", org->sealed_bytes);
    ut_json_write_uint(json, "payload_bytes", org->payload_bytes);
    ut_json_write_uint(json, "oldest_received_ns", org->oldest_received_ns);
    ut_json_write_uint(json, "newest_received_ns", org->newest_received_ns);
}

static void write_kind(ut_json_writer *json, const char *letter_z, const char *name_z,
                       const ut_census_kind *kind)
{
    ut_json_write_object(json, NULL);
    ut_json_write_text_z(json, "kind", letter_z);
    ut_json_write_text_z(json, "name", name_z);
    ut_json_write_uint(json, "keys", kind->keys);
    ut_json_write_uint(json, "key_bytes", kind->key_bytes);
    ut_json_write_uint(json, "value_bytes", kind->value_bytes);
    ut_json_write_close(json);
}

static void write_kinds(ut_json_writer *json, const ut_census *census)
{
    ut_json_write_array(json, "key_spaces");
    for (size_t i = 0; i < KIND_NAMES; i++) {
        const char letter_z[2] = {(char)kind_names[i].kind, '\0'};
        write_kind(json, letter_z, kind_names[i].name_z, &census->kinds[kind_names[i].kind - 'A']);
    }
    if (census->other.keys > 0)
        write_kind(json, "", "others", &census->other);
    ut_json_write_close(json);
}

static void write_destination(ut_json_writer *json, const ut_store_destination *row)
{
    ut_json_write_object(json, NULL);
    ut_json_write_uint(json, "org", row->org);
    ut_json_write_text_z(json, "name", row->name_z);
    ut_json_write_bool(json, "active", row->active);
    ut_json_write_uint(json, "accepted", row->counts.accepted);
    ut_json_write_uint(json, "delivered", row->counts.delivered);
    ut_json_write_uint(json, "pending", ut_store_pending(&row->counts));
    ut_json_write_uint(json, "dead", row->counts.dead);
    ut_json_write_uint(json, "expired", row->counts.expired);
    ut_json_write_uint(json, "evicted", row->counts.evicted);
    ut_json_write_close(json);
}

static void print_json(const facts *f, ut_buf *out)
{
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    ut_json_write_text_z(&json, "data_dir", f->dir_z);
    if (f->agent_pid != 0)
        ut_json_write_uint(&json, "agent_pid", f->agent_pid);
    else
        ut_json_write_null(&json, "agent_pid");
    ut_json_write_uint(&json, "bytes_max", f->room.bytes_max);
    ut_json_write_uint(&json, "bytes_used", f->room.bytes_used);
    ut_json_write_uint(&json, "bytes_file", f->room.bytes_file);
    ut_json_write_uint(&json, "data_keys", f->data_keys);
    write_org(&json, &f->all);
    ut_json_write_object(&json, "since_made");
    ut_json_write_uint(&json, "spans_stored", f->counts.spans_stored);
    ut_json_write_uint(&json, "spans_duplicate", f->counts.spans_duplicate);
    ut_json_write_uint(&json, "spans_expired", f->counts.spans_expired);
    ut_json_write_uint(&json, "spans_evicted", f->counts.spans_evicted);
    ut_json_write_uint(&json, "blocks_stored", f->counts.blocks_stored);
    ut_json_write_uint(&json, "blocks_removed", f->counts.blocks_removed);
    ut_json_write_close(&json);
    write_kinds(&json, &f->census);
    ut_json_write_array(&json, "organisations");
    for (uint32_t i = 0; i < f->census.org_count; i++) {
        ut_json_write_object(&json, NULL);
        ut_json_write_uint(&json, "org", f->census.orgs[i].org);
        write_org(&json, &f->census.orgs[i]);
        ut_json_write_close(&json);
    }
    ut_json_write_close(&json);
    ut_json_write_array(&json, "destinations");
    for (size_t i = 0; i < f->destination_count; i++)
        write_destination(&json, &f->destinations[i]);
    ut_json_write_close(&json);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
}

// ---- for people

static void text_line(ut_buf *out, const char *name_z)
{
    ut_buf_printf(out, "%-16s", name_z);
}

static void text_head(const ut_term *term, ut_buf *out, const char *text_z)
{
    ut_buf_add_byte(out, '\n');
    ut_term_colour(term, out, UT_COLOUR_BOLD);
    ut_buf_add_z(out, text_z);
    ut_term_colour(term, out, UT_COLOUR_NONE);
    ut_buf_add_byte(out, '\n');
}

static void text_time(ut_buf *out, const char *name_z, uint64_t ns)
{
    char time_z[UT_TEXT_SHORT_MAX] = "-";
    if (ns != 0)
        ut_text_time(ns, time_z);
    text_line(out, name_z);
    ut_buf_printf(out, "%s\n", time_z);
}

static void print_kinds(const facts *f, const ut_term *term, ut_buf *out)
{
    text_head(term, out, "records                        keys         keys of      values of");
    for (size_t i = 0; i <= KIND_NAMES; i++) {
        const bool last = i == KIND_NAMES;
        const ut_census_kind *kind =
            last ? &f->census.other : &f->census.kinds[kind_names[i].kind - 'A'];
        char keys_z[UT_TEXT_SHORT_MAX];
        char values_z[UT_TEXT_SHORT_MAX];
        if (kind->keys == 0)
            continue;
        ut_text_size(kind->key_bytes, keys_z);
        ut_text_size(kind->value_bytes, values_z);
        ut_buf_printf(out, "%c %-20s %12llu %15s %14s\n", last ? '?' : kind_names[i].kind,
                      last ? "others" : kind_names[i].name_z, (unsigned long long)kind->keys,
                      keys_z, values_z);
    }
}

static void print_orgs(const facts *f, const ut_term *term, ut_buf *out)
{
    text_head(term, out, "organisation         spans       traces      blocks     size    oldest");
    for (uint32_t i = 0; i < f->census.org_count; i++) {
        const ut_census_org *org = &f->census.orgs[i];
        char size_z[UT_TEXT_SHORT_MAX];
        char time_z[UT_TEXT_SHORT_MAX] = "-";
        ut_text_size(org->sealed_bytes, size_z);
        if (org->oldest_received_ns != 0)
            ut_text_time(org->oldest_received_ns, time_z);
        ut_buf_printf(out, "%-12u %13llu %12llu %11llu %9s  %s\n", org->org,
                      (unsigned long long)org->spans, (unsigned long long)org->traces,
                      (unsigned long long)org->blocks, size_z, time_z);
    }
    if (f->census.orgs_cut)
        ut_buf_printf(out, "(only the first %d organisations)\n", (int)UT_CENSUS_ORGS_MAX);
}

static void print_destinations(const facts *f, const ut_term *term, ut_buf *out)
{
    text_head(term, out,
              "destination (spans)          accepted    delivered      pending         dead"
              "      expired      evicted");
    for (size_t i = 0; i < f->destination_count; i++) {
        const ut_store_destination *row = &f->destinations[i];
        const ut_store_destination_counts *counts = &row->counts;
        (void)ut_term_text(out, ut_bytes_of_z(row->name_z), NAME_COLUMNS, true);
        ut_buf_printf(out, " %12llu %12llu %12llu %12llu %12llu %12llu%s\n",
                      (unsigned long long)counts->accepted, (unsigned long long)counts->delivered,
                      (unsigned long long)ut_store_pending(counts),
                      (unsigned long long)counts->dead, (unsigned long long)counts->expired,
                      (unsigned long long)counts->evicted,
                      row->active ? "" : "  not configured any more");
    }
}

static void print_text(const facts *f, ut_buf *out)
{
    const ut_term term = ut_term_stdout();
    char one_z[UT_TEXT_SHORT_MAX];
    char two_z[UT_TEXT_SHORT_MAX];
    text_line(out, "data directory");
    (void)ut_term_text(out, ut_bytes_of_z(f->dir_z), UINT32_MAX, false);
    ut_buf_add_byte(out, '\n');
    text_line(out, "agent");
    if (f->agent_pid != 0)
        ut_buf_printf(out, "running, process %llu\n", (unsigned long long)f->agent_pid);
    else
        ut_buf_add_z(out, "not running\n");
    text_line(out, "budget");
    ut_text_size(f->room.bytes_max, one_z);
    ut_buf_printf(out, "%s\n", one_z);
    text_line(out, "file");
    ut_text_size(f->room.bytes_file, one_z);
    ut_text_size(f->room.bytes_file > f->room.bytes_used ? f->room.bytes_file - f->room.bytes_used
                                                         : 0,
                 two_z);
    ut_buf_printf(out, "%s, %s of it free\n", one_z, two_z);
    text_line(out, "encryption");
    if (f->data_keys > 0)
        ut_buf_printf(out, "on, %u data key%s\n", (unsigned)f->data_keys,
                      f->data_keys == 1 ? "" : "s");
    else
        ut_buf_add_z(out, "off\n");
    text_line(out, "spans");
    ut_buf_printf(out, "%llu in %llu traces, %llu blocks\n", (unsigned long long)f->all.spans,
                  (unsigned long long)f->all.traces, (unsigned long long)f->all.blocks);
    text_line(out, "blocks of");
    ut_text_size(f->all.sealed_bytes, one_z);
    ut_text_size(f->all.payload_bytes, two_z);
    ut_buf_printf(out, "%s, %s before compression\n", one_z, two_z);
    text_time(out, "oldest", f->all.oldest_received_ns);
    text_time(out, "newest", f->all.newest_received_ns);
    text_line(out, "since it began");
    ut_buf_printf(
        out, "%llu spans stored, %llu duplicates, %llu expired, %llu evicted\n",
        (unsigned long long)f->counts.spans_stored, (unsigned long long)f->counts.spans_duplicate,
        (unsigned long long)f->counts.spans_expired, (unsigned long long)f->counts.spans_evicted);
    print_kinds(f, &term, out);
    if (f->census.org_count > 0)
        print_orgs(f, &term, out);
    if (f->destination_count > 0)
        print_destinations(f, &term, out);
}

// ---- the command

static void add_up(facts *f)
{
    for (uint32_t i = 0; i < f->census.org_count; i++) {
        const ut_census_org *org = &f->census.orgs[i];
        if (org->blocks > 0 &&
            (f->all.blocks == 0 || org->oldest_received_ns < f->all.oldest_received_ns))
            f->all.oldest_received_ns = org->oldest_received_ns;
        if (org->newest_received_ns > f->all.newest_received_ns)
            f->all.newest_received_ns = org->newest_received_ns;
        f->all.blocks += org->blocks;
        f->all.spans += org->spans;
        f->all.traces += org->traces;
        f->all.sealed_bytes += org->sealed_bytes;
        f->all.payload_bytes += org->payload_bytes;
    }
}

static ut_err read_facts(ut_reader *reader, facts *f)
{
    ut_engine *engine = ut_store_engine(reader->store);
    ut_progress_bar bar = {.begun = false};
    uint64_t keys = 0;
    bool more = true;
    ut_store_get_counts(reader->store, &f->counts);
    f->data_keys = ut_store_data_keys(reader->store);
    f->destination_count =
        ut_store_get_destinations(reader->store, f->destinations, UT_STORE_DESTINATIONS_MAX);
    ut_err err = engine->class->room(engine, &f->room);
    while (err == UT_OK && more) {
        err = ut_census_step(reader->view, &f->census, SLICE_KEYS, &more);
        ut_store_view_end(reader->view);
        if (err == UT_OK && more)
            err = ut_store_view_begin(reader->view);
        keys += SLICE_KEYS;
        if (more)
            ut_progress_bar_draw(&bar, keys, 0, "keys");
    }
    ut_progress_bar_end(&bar);
    add_up(f);
    return err;
}

static int show(const ut_options *options)
{
    const char *const data_dir_z = options->data_dir_z;
    ut_fault fault = {UT_OK, ""};
    ut_config config;
    bool config_read = false;
    ut_reader reader;
    ut_buf out;
    ut_buf_init(&out, OUT_MAX);
    facts *f = calloc(1, sizeof *f);
    if (f == NULL)
        return EX_OSERR;
    f->dir_z = data_dir_z;
    ut_err err = ut_reader_open(data_dir_z, options->config_z, &reader, &fault);
    const bool opened = err == UT_OK;
    if (err == UT_OK && data_dir_z == NULL) {
        err = ut_config_find(options->config_z, &config, &fault);
        config_read = err == UT_OK;
        f->dir_z = config_read ? config.data_dir_z : "";
    }
    if (err == UT_OK) {
        f->agent_pid = find_agent(f->dir_z);
        err = read_facts(&reader, f);
        if (err != UT_OK)
            (void)ut_fault_set(&fault, err, "%s: the store cannot be read: %s%s", f->dir_z,
                               ut_err_text(err),
                               err == UT_ECORRUPT ? "; `untrace store verify` says where" : "");
    }
    int code = EX_OK;
    if (err == UT_OK) {
        if (options->json)
            print_json(f, &out);
        else
            print_text(f, &out);
        if (out.err == UT_OK)
            (void)fwrite(out.data, 1, out.len, stdout); // main looks at what became of it
        else
            code = EX_OSERR;
    } else {
        code = ut_cli_fail(&fault);
    }
    if (opened)
        ut_reader_close(&reader);
    if (config_read)
        ut_config_free(&config);
    ut_buf_free(&out);
    free(f);
    return code;
}

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "store info", .help_z = help, .rows = option_rows};
    if (!ut_options_read(&options, argc, argv))
        return options.code;
    return show(&options);
}

const ut_command ut_command_store_info = {
    .name_z = "store info",
    .run = run,
    .summary_z = "what the store holds",
    .help_z = help,
    .options = option_rows,
};
