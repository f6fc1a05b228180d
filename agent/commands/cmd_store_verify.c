// `untrace store verify`: recounts a store and lists what does not fit together.
#include "agent/commands/cmd_store.h"

#include "adapters/encoding/json_write.h"
#include "agent/cli/options.h"
#include "agent/cli/progress_bar.h"
#include "agent/cli/term.h"
#include "agent/query/reader.h"
#include "storage/upkeep/verify.h"

#include <stdio.h>

// clang-format off
static const char help[] =
    "usage: untrace store verify [--data-dir DIR | --config FILE] [--json]\n"
    "\n"
    "Reads everything: the checksum of each block, whether every entry of an index\n"
    "has its block and every block its entries, whether the ledger knows of every\n"
    "block, and whether for each destination accepted = delivered + pending + dead +\n"
    "expired + evicted. Prints what does not fit, and changes nothing. Works beside a\n"
    "running agent (it reads in short slices that do not hold it up), after a kill,\n"
    "and on a copy.\n"
    "\n"
    UT_OPTION_HELP_WHERE
    UT_OPTION_HELP_JSON
    "\n"
    "Exit codes: 0 all fits; 1 there are problems; 64 usage; 65 the store cannot be\n"
    "opened, it is damaged or of another version; 66 there is none; 74 disk;\n"
    "77 permission denied.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE, UT_OPTION_ROW_JSON,
                                            UT_OPTION_ROWS_END};

enum {
    EX_PROBLEMS = 1,
    SLICE_WORK = 20000,        // some 20 ms of checks in one view
    PROBLEMS_SHOWN_MAX = 1000, // further ones are only counted
    // The array of JSON: each byte of a text takes six at most, and a text has quotes and a comma.
    PROBLEMS_BYTES_MAX = PROBLEMS_SHOWN_MAX * (6 * UT_VERIFY_TEXT_MAX + 3) + 2,
    LINE_BYTES_MAX = 4096,
};

typedef struct {
    bool json;
    ut_progress_bar bar;
    ut_buf problems;     // JSON: the array of them
    ut_json_writer list; // over problems
    uint64_t count;
} printer;

static void tell(void *context, const char *text_z)
{
    printer *p = context;
    p->count++;
    if (p->count > PROBLEMS_SHOWN_MAX)
        return;
    if (p->json) {
        ut_json_write_text_z(&p->list, NULL, text_z);
        return;
    }
    ut_progress_bar_end(&p->bar);
    ut_buf line;
    ut_buf_init(&line, LINE_BYTES_MAX);
    (void)ut_term_text(&line, ut_bytes_of_z(text_z), UINT32_MAX, false); // names come from records
    (void)printf("%.*s\n", (int)line.len, line.data != NULL ? (const char *)line.data : "");
    ut_buf_free(&line);
}

static void print_json(printer *p, const ut_verify_report *report)
{
    ut_buf out;
    ut_buf_init(&out, PROBLEMS_BYTES_MAX + LINE_BYTES_MAX);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_close(&p->list);
    ut_json_write_object(&json, NULL);
    ut_json_write_bool(&json, "ok", report->problems == 0);
    ut_json_write_uint(&json, "blocks", report->blocks);
    ut_json_write_uint(&json, "spans", report->spans);
    ut_json_write_uint(&json, "traces", report->traces);
    ut_json_write_uint(&json, "deliveries", report->deliveries);
    ut_json_write_uint(&json, "pending", report->pending);
    ut_json_write_uint(&json, "leaving", report->leaving);
    ut_json_write_uint(&json, "problem_count", report->problems);
    ut_buf_add_bytes(ut_json_write_raw(&json, "problems"), ut_buf_bytes(&p->problems));
    ut_json_write_close(&json);
    ut_json_write_line(&json);
    (void)fwrite(out.data, 1, out.len, stdout); // main looks at what became of it
    ut_buf_free(&out);
}

static void print_end(printer *p, const ut_verify_report *report)
{
    if (p->json) {
        print_json(p, report);
        return;
    }
    if (report->problems > PROBLEMS_SHOWN_MAX)
        (void)printf("and %llu more\n",
                     (unsigned long long)(report->problems - PROBLEMS_SHOWN_MAX));
    if (report->problems == 0)
        (void)printf("all fits: %llu blocks, %llu spans, %llu traces, %llu delivery entries\n",
                     (unsigned long long)report->blocks, (unsigned long long)report->spans,
                     (unsigned long long)report->traces, (unsigned long long)report->deliveries);
    else
        (void)printf("%llu problem%s in %llu blocks, %llu spans, %llu traces, %llu delivery "
                     "entries\n",
                     (unsigned long long)report->problems, report->problems == 1 ? "" : "s",
                     (unsigned long long)report->blocks, (unsigned long long)report->spans,
                     (unsigned long long)report->traces, (unsigned long long)report->deliveries);
}

static ut_err verify(ut_reader *reader, printer *p, ut_verifier *verifier)
{
    bool more = true;
    ut_err err = UT_OK;
    while (err == UT_OK && more) {
        err = ut_verifier_step(verifier, reader->view, SLICE_WORK, &more);
        const ut_verify_report *report = ut_verifier_report(verifier);
        ut_progress_bar_draw(&p->bar, report->done, report->total, "checks");
        ut_store_view_end(reader->view);
        if (err == UT_OK && more)
            err = ut_store_view_begin(reader->view);
    }
    ut_progress_bar_end(&p->bar);
    return err;
}

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "store verify", .help_z = help, .rows = option_rows};
    if (!ut_options_read(&options, argc, argv))
        return options.code;
    printer p = {.json = options.json};
    ut_fault fault = {UT_OK, ""};
    ut_reader reader;
    ut_verifier *verifier = NULL;
    ut_err err = ut_reader_open(options.data_dir_z, options.config_z, &reader, &fault);
    if (err != UT_OK)
        return ut_cli_fail(&fault);
    ut_buf_init(&p.problems, PROBLEMS_BYTES_MAX);
    p.list = ut_json_writer_of(&p.problems);
    ut_json_write_array(&p.list, NULL);
    err = ut_verifier_new(tell, &p, &verifier);
    if (err == UT_OK)
        err = verify(&reader, &p, verifier);
    int code = EX_OK;
    if (err == UT_OK) {
        const ut_verify_report *report = ut_verifier_report(verifier);
        print_end(&p, report);
        code = report->problems == 0 ? EX_OK : EX_PROBLEMS;
    } else {
        (void)ut_fault_set(&fault, err, "the store cannot be read: %s", ut_err_text(err));
        code = ut_cli_fail(&fault);
    }
    ut_verifier_free(verifier);
    ut_buf_free(&p.problems);
    ut_reader_close(&reader);
    return code;
}

const ut_command ut_command_store_verify = {
    .name_z = "store verify",
    .run = run,
    .summary_z = "check that everything in the store fits together",
    .help_z = help,
    .options = option_rows,
};
