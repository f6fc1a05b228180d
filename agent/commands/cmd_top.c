// `untrace top`: what an agent and its store are doing, now.
#include "agent/commands/command.h"
#include "agent/cli/options.h"
#include "agent/commands/screen.h"
#include "agent/commands/top_frame.h"
#include "agent/commands/top_sample.h"
#include "agent/config/config_find.h"
#include "port/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// clang-format off
static const char help[] =
    "usage: untrace top [--data-dir DIR | --config FILE] [--interval D]\n"
    "                   [--once | --json]\n"
    "\n"
    "Shows every second what comes in and goes out: spans a second by service and by\n"
    "destination, what waits and for how long, errors, connections, the disk. Reads\n"
    "the store beside the agent and asks it for the rest; without an agent it shows\n"
    "the store. q or Ctrl-C quits, ? shows the keys that sort and scroll services.\n"
    "Where standard output is no terminal, one frame is printed.\n"
    "\n"
    UT_OPTION_HELP_WHERE
    "  -i, --interval D        time between two looks, over which rates are taken:\n"
    "                          500ms, 5s (default 1s)\n"
    "      --once              print one frame as text, after one interval\n"
    "      --json              print it as one JSON object\n"
    "\n"
    "The table of services is counted from the newest 64 blocks (at most 32 768\n"
    "spans). Where more came in one interval, rates by service are scaled up from\n"
    "these.\n"
    "\n"
    "Exit codes: 0; 64 usage; 66 there is no store; 69 one frame was asked for, and\n"
    "no agent runs; 75 it does not answer; 77 permission denied; 78 configuration.\n";
// clang-format on

enum { OPTION_ONCE = UT_OPTION_OWN };
enum {
    INTERVAL_MS_DEFAULT = 1000,
    INTERVAL_MS_MIN = 100,
    INTERVAL_MS_MAX = 3600 * 1000,
    OUT_BYTES_MAX = 1024 * 1024,
    KEY_CTRL_C = 3,
};

static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            UT_OPTION_ROW_JSON,
                                            {"interval", required_argument, NULL, 'i'},
                                            {"once", no_argument, NULL, OPTION_ONCE},
                                            UT_OPTION_ROWS_END};

typedef struct {
    ut_top_source source;
    ut_top_sample samples[2];
    size_t now; // index of the newest sample
    uint64_t interval_ms;
    bool json;
    ut_top_view view;
    ut_buf out;
} top;

// Reads a sample into the place of the older one; the first one is read twice as long as there is
// none before it.
static void look(top *t, bool first)
{
    const size_t next = 1 - t->now;
    ut_top_read(&t->source, first ? NULL : &t->samples[t->now], &t->samples[next]);
    t->now = next;
}

static int exit_code(const ut_top_sample *sample)
{
    if (sample->agent)
        return EX_OK;
    return sample->agent_fault.code != UT_OK ? ut_exit_code(sample->agent_fault.code)
                                             : EX_UNAVAILABLE;
}

// ---- one frame ----

static int print_once(top *t)
{
    const ut_term term = ut_term_stdout();
    look(t, true);
    if (t->samples[t->now].agent)
        (void)usleep((useconds_t)(t->interval_ms * 1000)); // rates are taken over this time
    else if (!t->samples[t->now].store)
        return ut_cli_fail(&t->samples[t->now].store_fault);
    look(t, false);
    const ut_top_sample *before = &t->samples[1 - t->now];
    const ut_top_sample *sample = &t->samples[t->now];
    ut_buf_reset(&t->out, OUT_BYTES_MAX);
    if (t->json)
        ut_top_json(&t->out, t->source.data_dir_z, before, sample);
    else
        ut_top_frame(&t->out, &term, 0, t->source.data_dir_z, before, sample, &t->view);
    if (t->out.err != UT_OK) {
        ut_fault fault;
        (void)ut_fault_set(&fault, t->out.err, "cannot make the frame: %s",
                           ut_err_text(t->out.err));
        return ut_cli_fail(&fault);
    }
    (void)fwrite(t->out.data, 1, t->out.len, stdout); // main looks at what became of it
    return exit_code(sample);
}

// ---- live ----

static bool draw(top *t, ut_screen *screen, bool rates)
{
    ut_term term = ut_term_stdout();
    uint32_t rows = 0;
    ut_screen_size(screen, &term.width, &rows);
    ut_buf_reset(&t->out, OUT_BYTES_MAX);
    ut_top_frame(&t->out, &term, rows, t->source.data_dir_z, rates ? &t->samples[1 - t->now] : NULL,
                 &t->samples[t->now], &t->view);
    return t->out.err == UT_OK && ut_screen_draw(screen, ut_buf_bytes(&t->out));
}

static int run_live(void *context, ut_screen *screen)
{
    top *t = context;
    bool rates = false;
    t->view.live = true;
    look(t, true);
    uint64_t next_ms = ut_clock_mono_ms() + t->interval_ms;
    while (draw(t, screen, rates)) {
        int key = 0;
        switch (ut_screen_wait(screen, next_ms, &key)) {
        case UT_SCREEN_TIME:
            look(t, false);
            rates = true;
            next_ms = ut_clock_mono_ms() + t->interval_ms;
            break;
        case UT_SCREEN_KEY:
            if (key == 'q' || key == 'Q' || key == KEY_CTRL_C)
                return EX_OK;
            (void)ut_top_view_key(&t->view, key);
            break;
        case UT_SCREEN_RESIZE:
            break;
        case UT_SCREEN_END:
            return key == 0 ? EX_OK : 128 + key;
        }
    }
    return EX_IOERR; // the terminal is gone
}

static int run_top(const ut_options *options, uint64_t interval_ms, bool once)
{
    char *found_z = NULL;
    ut_fault fault = {UT_OK, ""};
    int code = EX_OSERR;
    if (options->data_dir_z == NULL &&
        ut_config_find_data_dir(options->config_z, &found_z, &fault) != UT_OK) {
        (void)ut_cli_fail(&fault);
        return fault.code == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
    }
    top *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        free(found_z);
        return EX_OSERR;
    }
    ut_buf_init(&t->out, OUT_BYTES_MAX);
    t->interval_ms = interval_ms;
    t->json = options->json;
    t->source = (ut_top_source){
        .data_dir_z = options->data_dir_z != NULL ? options->data_dir_z : found_z,
        .reader_dir_z = options->data_dir_z,
        .config_z = options->config_z,
    };
    if (once || t->json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
        code = print_once(t);
    } else {
        code = ut_screen_run(run_live, t);
    }
    ut_top_source_close(&t->source);
    ut_buf_free(&t->out);
    free(found_z);
    free(t);
    return code;
}

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "top", .help_z = help, .rows = option_rows};
    uint64_t interval_ms = INTERVAL_MS_DEFAULT;
    bool once = false;
    for (int option; (option = ut_options_next(&options, argc, argv)) != -1;) {
        switch (option) {
        case 'i':
            if (ut_text_parse_duration(ut_bytes_of_z(optarg), &interval_ms) != UT_OK ||
                interval_ms < INTERVAL_MS_MIN || interval_ms > INTERVAL_MS_MAX)
                return ut_cli_usage("top", "--interval takes a duration of 100ms to 1h, not \"%s\"",
                                    optarg);
            break;
        default:
            once = true;
        }
    }
    if (options.ended)
        return options.code;
    return run_top(&options, interval_ms, once);
}

const ut_command ut_command_top = {
    .name_z = "top",
    .run = run,
    .summary_z = "watch what comes in, goes out and waits",
    .help_z = help,
    .options = option_rows,
};
