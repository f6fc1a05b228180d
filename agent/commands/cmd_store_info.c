// `untrace store info`: prints what a store consists of (store_facts.h).
#include "agent/commands/cmd_store.h"

#include "adapters/encoding/json_write.h"
#include "adapters/plain/json_time.h"
#include "agent/cli/options.h"
#include "agent/cli/table.h"
#include "agent/commands/store_facts.h"
#include "port/base/text.h"

#include <stdio.h>

// clang-format off
static const char help[] =
    "usage: untrace store info [--data-dir DIR | --config FILE] [--json]\n"
    "\n"
    "Shows what a store holds: its budget and its file, spans, traces and blocks, the\n"
    "oldest and the newest, keys and bytes of each kind of record, and what each\n"
    "destination has. Reads every key, in short slices that do not hold up a running\n"
    "agent; works after a kill and on a copy.\n"
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
    OUT_MAX = 1024 * 1024,
};

typedef struct {
    uint8_t kind;
    const char *name_z;
} kind_name;

static const kind_name kind_names[] = {
    {UT_KEY_BLOCK, "blocks of spans"},
    {UT_KEY_SUMMARY, "block summaries"},
    {UT_KEY_RUN, "index of traces"},
    {UT_KEY_TRACE, "old entries of traces"},
    {UT_KEY_ROOT, "old root spans"},
    {UT_KEY_EXPIRY, "expiry"},
    {UT_KEY_DELIVERY, "deliveries"},
    {UT_KEY_DEAD, "dead letters"},
    {UT_KEY_DESTINATION, "destinations"},
    {UT_KEY_CONSUMER, "cursors of readers"},
    {UT_KEY_ORG, "organisations"},
    {UT_KEY_API_KEY, "keys"},
    {UT_KEY_META, "meta"},
};
enum { KIND_NAMES = sizeof(kind_names) / sizeof(kind_names[0]) };

// ---- for programs ----

static void write_org(ut_json_writer *json, const ut_census_org *org)
{
    ut_json_write_uint(json, "spans", org->spans);
    ut_json_write_uint(json, "traces", org->traces);
    ut_json_write_uint(json, "blocks", org->blocks);
    ut_json_write_uint(json, "sealed_bytes", org->sealed_bytes);
    ut_json_write_uint(json, "payload_bytes", org->payload_bytes);
    ut_json_time(json, "oldest_received", org->oldest_received_ns);
    ut_json_time(json, "newest_received", org->newest_received_ns);
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

static void print_json(const ut_store_facts *facts, ut_buf *out)
{
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    ut_json_write_text_z(&json, "data_dir", facts->dir_z);
    if (facts->agent_pid != 0)
        ut_json_write_uint(&json, "agent_pid", facts->agent_pid);
    else
        ut_json_write_null(&json, "agent_pid");
    ut_json_write_uint(&json, "bytes_max", facts->room.bytes_max);
    ut_json_write_uint(&json, "bytes_used", facts->room.bytes_used);
    ut_json_write_uint(&json, "bytes_file", facts->room.bytes_file);
    ut_json_write_uint(&json, "data_keys", facts->data_keys);
    write_org(&json, &facts->all);
    ut_json_write_object(&json, "since_made");
    ut_json_write_uint(&json, "spans_stored", facts->counts.spans_stored);
    ut_json_write_uint(&json, "spans_duplicate", facts->counts.spans_duplicate);
    ut_json_write_uint(&json, "spans_expired", facts->counts.spans_expired);
    ut_json_write_uint(&json, "spans_evicted", facts->counts.spans_evicted);
    ut_json_write_uint(&json, "blocks_stored", facts->counts.blocks_stored);
    ut_json_write_uint(&json, "blocks_removed", facts->counts.blocks_removed);
    ut_json_write_close(&json);
    write_kinds(&json, &facts->census);
    ut_json_write_array(&json, "organisations");
    for (uint32_t i = 0; i < facts->census.org_count; i++) {
        ut_json_write_object(&json, NULL);
        ut_json_write_uint(&json, "org", facts->census.orgs[i].org);
        write_org(&json, &facts->census.orgs[i]);
        ut_json_write_close(&json);
    }
    ut_json_write_close(&json);
    ut_json_write_array(&json, "destinations");
    for (size_t i = 0; i < facts->destination_count; i++)
        write_destination(&json, &facts->destinations[i]);
    ut_json_write_close(&json);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
}

// ---- for people ----

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

static void print_kinds(const ut_store_facts *facts, const ut_term *term, ut_buf *out)
{
    text_head(term, out, "records                        keys         keys of      values of");
    for (size_t i = 0; i <= KIND_NAMES; i++) {
        const bool last = i == KIND_NAMES;
        const ut_census_kind *kind =
            last ? &facts->census.other : &facts->census.kinds[kind_names[i].kind - 'A'];
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

static void print_orgs(const ut_store_facts *facts, const ut_term *term, ut_buf *out)
{
    text_head(term, out, "organisation         spans       traces      blocks     size    oldest");
    for (uint32_t i = 0; i < facts->census.org_count; i++) {
        const ut_census_org *org = &facts->census.orgs[i];
        char size_z[UT_TEXT_SHORT_MAX];
        char time_z[UT_TEXT_SHORT_MAX] = "-";
        ut_text_size(org->sealed_bytes, size_z);
        if (org->oldest_received_ns != 0)
            ut_text_time(org->oldest_received_ns, time_z);
        ut_buf_printf(out, "%-12u %13llu %12llu %11llu %9s  %s\n", org->org,
                      (unsigned long long)org->spans, (unsigned long long)org->traces,
                      (unsigned long long)org->blocks, size_z, time_z);
    }
    if (facts->census.orgs_cut)
        ut_buf_printf(out, "(only the first %d organisations)\n", (int)UT_CENSUS_ORGS_MAX);
}

static const ut_table_column destination_columns[] = {
    {.head_z = "destination (spans)", .cut = true},
    {.head_z = "accepted", .right = true},
    {.head_z = "delivered", .right = true},
    {.head_z = "pending", .right = true},
    {.head_z = "dead", .right = true},
    {.head_z = "expired", .right = true},
    {.head_z = "evicted", .right = true},
};

// The table fits itself to the terminal. A destination that is not configured any more stands in
// brackets.
static ut_err print_destinations(const ut_store_facts *facts)
{
    ut_table table;
    bool gone = false;
    ut_err err = UT_OK;
    ut_table_init(&table, destination_columns,
                  sizeof(destination_columns) / sizeof(destination_columns[0]));
    for (size_t i = 0; i < facts->destination_count && err == UT_OK; i++) {
        const ut_store_destination *row = &facts->destinations[i];
        const ut_store_destination_counts *counts = &row->counts;
        char name_z[UT_STORE_NAME_MAX + 3];
        (void)snprintf(name_z, sizeof(name_z), row->active ? "%s" : "(%s)", row->name_z);
        gone = gone || !row->active;
        ut_table_cell_z(&table, name_z, UT_COLOUR_NONE);
        ut_table_number(&table, counts->accepted, UT_COLOUR_NONE);
        ut_table_number(&table, counts->delivered, UT_COLOUR_NONE);
        ut_table_number(&table, ut_store_pending(counts), UT_COLOUR_NONE);
        ut_table_number(&table, counts->dead, UT_COLOUR_NONE);
        ut_table_number(&table, counts->expired, UT_COLOUR_NONE);
        ut_table_number(&table, counts->evicted, UT_COLOUR_NONE);
        err = ut_table_end_row(&table);
    }
    if (err == UT_OK)
        err = ut_table_flush(&table);
    ut_table_free(&table);
    if (err == UT_OK && gone)
        (void)printf("(in brackets: not configured any more)\n");
    return err;
}

static void print_directory(const ut_store_facts *facts, ut_buf *out)
{
    const ut_engine_room *room = &facts->room;
    char one_z[UT_TEXT_SHORT_MAX];
    char two_z[UT_TEXT_SHORT_MAX];
    text_line(out, "data directory");
    (void)ut_term_text(out, ut_bytes_of_z(facts->dir_z), UINT32_MAX, false);
    ut_buf_add_byte(out, '\n');
    text_line(out, "agent");
    if (facts->agent_pid != 0)
        ut_buf_printf(out, "running, process %llu\n", (unsigned long long)facts->agent_pid);
    else
        ut_buf_add_z(out, "not running\n");
    text_line(out, "budget");
    ut_text_size(room->bytes_max, one_z);
    ut_buf_printf(out, "%s\n", one_z);
    text_line(out, "file");
    ut_text_size(room->bytes_file, one_z);
    ut_text_size(room->bytes_file > room->bytes_used ? room->bytes_file - room->bytes_used : 0,
                 two_z);
    ut_buf_printf(out, "%s, %s of it free\n", one_z, two_z);
    text_line(out, "encryption");
    if (facts->data_keys > 0)
        ut_buf_printf(out, "on, %u data key%s\n", (unsigned)facts->data_keys,
                      facts->data_keys == 1 ? "" : "s");
    else
        ut_buf_add_z(out, "off\n");
}

static void print_spans(const ut_store_facts *facts, ut_buf *out)
{
    const ut_census_org *all = &facts->all;
    const ut_store_counts *counts = &facts->counts;
    char one_z[UT_TEXT_SHORT_MAX];
    char two_z[UT_TEXT_SHORT_MAX];
    text_line(out, "spans");
    ut_buf_printf(out, "%llu in %llu traces, %llu blocks\n", (unsigned long long)all->spans,
                  (unsigned long long)all->traces, (unsigned long long)all->blocks);
    text_line(out, "blocks of");
    ut_text_size(all->sealed_bytes, one_z);
    ut_text_size(all->payload_bytes, two_z);
    ut_buf_printf(out, "%s, %s before compression\n", one_z, two_z);
    text_time(out, "oldest", all->oldest_received_ns);
    text_time(out, "newest", all->newest_received_ns);
    text_line(out, "since it began");
    ut_buf_printf(
        out, "%llu spans stored, %llu duplicates, %llu expired, %llu evicted\n",
        (unsigned long long)counts->spans_stored, (unsigned long long)counts->spans_duplicate,
        (unsigned long long)counts->spans_expired, (unsigned long long)counts->spans_evicted);
}

static void print_text(const ut_store_facts *facts, ut_buf *out)
{
    const ut_term term = ut_term_stdout();
    print_directory(facts, out);
    print_spans(facts, out);
    print_kinds(facts, &term, out);
    if (facts->census.org_count > 1) // of the only one all stands above
        print_orgs(facts, &term, out);
    if (facts->destination_count > 0)
        ut_buf_add_byte(out, '\n');
}

// ---- the command ----

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "store info", .help_z = help, .rows = option_rows};
    if (!ut_options_read(&options, argc, argv))
        return options.code;
    ut_store_facts *facts = NULL;
    ut_fault fault;
    if (ut_store_facts_read(options.data_dir_z, options.config_z, &facts, &fault) != UT_OK)
        return ut_cli_fail(&fault);
    ut_buf out;
    ut_buf_init(&out, OUT_MAX);
    if (options.json)
        print_json(facts, &out);
    else
        print_text(facts, &out);
    int code = out.err == UT_OK ? EX_OK : EX_OSERR;
    if (code == EX_OK)
        (void)fwrite(out.data, 1, out.len, stdout); // main looks at what became of it
    if (code == EX_OK && !options.json && print_destinations(facts) == UT_ENOMEM)
        code = EX_OSERR;
    ut_buf_free(&out);
    ut_store_facts_free(facts);
    return code;
}

const ut_command ut_command_store_info = {
    .name_z = "store info",
    .run = run,
    .summary_z = "what the store holds",
    .help_z = help,
    .options = option_rows,
};
