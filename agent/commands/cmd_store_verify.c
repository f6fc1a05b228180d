// `untrace store verify`: recounts a store and lists what does not fit together.
#include "agent/commands/cmd_store.h"

#include "adapters/encoding/json_write.h"
#include "agent/cli/cli.h"
#include "agent/cli/progress_bar.h"
#include "agent/cli/term.h"
#include "agent/query/reader.h"
#include "storage/upkeep/verify.h"

#include <stdio.h>

static const char help[] =
    "usage: untrace store verify [--data-dir DIR | --config FILE] [--json]\n"
    "\n"
    "Reads everything: the checksum of each block, whether every entry of an index has its block "
    "and "
    "every\n"
    "block its entries, whether the ledger knows of every block, and whether for each destination\n"
    "accepted = delivered + pending + dead + expired + evicted. Prints what does not fit, and "
    "changes nothing.\n"
    "Works beside a running agent (it reads in short slices that do not hold it up), after a kill, "
    "and on a copy.\n"
    "\n"
    "  -d, --data-dir DIR  where the agent keeps its data (default: as the configuration says)\n"
    "  -c, --config FILE   configuration to take the data directory from\n"
    "      --json          one JSON object\n"
    "\n"
    "Exit codes: 0 all fits; 1 there are problems; 64 usage; 65 the store cannot be opened, it is "
    "damaged or\n"
    "of another version; 66 there is none; 74 disk; 77 permission denied.\n";

static const struct option options[] = {{"data-dir", required_argument, NULL, 'd'},
                                        {"config", required_argument, NULL, 'c'},
                                        {"json", no_argument, NULL, UT_STORE_OPTION_JSON},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

enum {
    EX_PROBLEMS = 1,
    SLICE_WORK = 20000,        // some 20 ms of checks in one view
    PROBLEMS_SHOWN_MAX = 1000, // further ones are only counted
    OUT_MAX = 1024 * 1024,
};

typedef struct {
    bool json;
    ut_progress_bar bar;
    ut_buf problems; // JSON: the elements of the list
    uint64_t count;
} printer;

static void tell(void *context, const char *text_z)
{
    printer *p = context;
    p->count++;
    if (p->count > PROBLEMS_SHOWN_MAX)
        return;
    if (p->json) {
        if (p->count > 1)
            ut_buf_add_byte(&p->problems, ',');
        ut_json_put_string(&p->problems, ut_bytes_of_z(text_z));
        return;
    }
    ut_progress_bar_end(&p->bar);
    ut_buf line;
    ut_buf_init(&line, OUT_MAX);
    (void)ut_term_text(&line, ut_bytes_of_z(text_z), UINT32_MAX, false); // names come from records
    (void)printf("%.*s\n", (int)line.len, line.data != NULL ? (const char *)line.data : "");
    ut_buf_free(&line);
}

static void print_end(const printer *p, const ut_verify_report *report)
{
    if (p->json) {
        (void)printf(
            "{\"ok\":%s,\"blocks\":%llu,\"spans\":%llu,\"traces\":%llu,\"deliveries\":%llu,"
            "\"pending\":%llu,\"leaving\":%llu,\"problem_count\":%llu,\"problems\":[%.*s]}\n",
            report->problems == 0 ? "true" : "false", (unsigned long long)report->blocks,
            (unsigned long long)report->spans, (unsigned long long)report->traces,
            (unsigned long long)report->deliveries, (unsigned long long)report->pending,
            (unsigned long long)report->leaving, (unsigned long long)report->problems,
            (int)p->problems.len, p->problems.data != NULL ? (const char *)p->problems.data : "");
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
    printer p = {.json = false};
    const char *data_dir_z = NULL;
    const char *config_z = NULL;
    for (int option; (option = getopt_long(argc, argv, ":d:c:h", options, NULL)) != -1;) {
        if (option == 'd') {
            data_dir_z = optarg;
        } else if (option == 'c') {
            config_z = optarg;
        } else if (option == UT_STORE_OPTION_JSON) {
            p.json = true;
        } else if (option == 'h') {
            (void)fputs(help, stdout);
            return EX_OK;
        } else {
            return ut_cli_bad_option("store verify", option, argv);
        }
    }
    if (optind < argc)
        return ut_cli_usage("store verify", "\"%s\" is one word too many", argv[optind]);

    ut_fault fault = {UT_OK, ""};
    ut_reader reader;
    ut_verifier *verifier = NULL;
    ut_err err = ut_reader_open(data_dir_z, config_z, &reader, &fault);
    if (err != UT_OK)
        return ut_cli_fail(&fault);
    ut_buf_init(&p.problems, OUT_MAX);
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
    .options = options,
};
