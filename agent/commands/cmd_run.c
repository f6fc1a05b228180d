// `untrace run`: the agent.
#include "agent/commands/command.h"
#include "agent/cli/options.h"
#include "agent/config/config_find.h"
#include "agent/process/crash_note.h"
#include "agent/process/stderr_log.h"
#include "agent/daemon/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// clang-format off
static const char help[] =
    "usage: untrace run [--config FILE] [--data-dir DIR] [--listen ADDRESS:PORT]\n"
    "\n"
    "Takes spans in by OTLP/HTTP, answers when they are durable, and carries them to\n"
    "the destinations of the configuration. Without one: OTLP on 127.0.0.1:4318, 30\n"
    "days, 256 MiB, no destination.\n"
    "\n"
    "  -c, --config FILE       configuration (default: $UNTRACE_CONFIG, else\n"
    "                          /etc/untrace/untrace.yaml if it exists, else built-in\n"
    "                          defaults; - is standard input)\n"
    "  -d, --data-dir DIR      where spans are kept, instead of the configuration's\n"
    "                          data_dir\n"
    "  -l, --listen ADDR:PORT  where OTLP/HTTP is taken, instead of the\n"
    "                          configuration's receivers.otlp_http.listen\n"
    "\n"
    "The environment too stands above the file: UNTRACE_DATA_DIR, UNTRACE_LISTEN,\n"
    "UNTRACE_MAX_SIZE, UNTRACE_TTL, UNTRACE_LOG_LEVEL and UNTRACE_LOG_FORMAT. An\n"
    "option stands above both.\n"
    "\n"
    "Log lines go to standard error; \"agent: ready otlp_http=ADDRESS\" means that it\n"
    "listens. SIGTERM and SIGINT stop it within stop_timeout; a second one at once,\n"
    "and nothing acknowledged is lost by that. SIGHUP does nothing: a changed\n"
    "configuration needs a restart.\n"
    "\n"
    "Exit codes: 0 stopped by a signal; 64 usage; 65 the store is damaged or of\n"
    "another version; 69 the address is in use; 73 the data directory cannot be made;\n"
    "74 disk; 75 another agent holds the data directory; 77 permission denied;\n"
    "78 configuration; 128 + signal after a second signal.\n";
// clang-format on

static const struct option option_rows[] = {
    UT_OPTION_ROWS_WHERE, {"listen", required_argument, NULL, 'l'}, UT_OPTION_ROWS_END};

// A log gets the fault as a line of its own form, with time and level; a person at a terminal reads
// a sentence.
static void say_why(const ut_config *config, const ut_fault *fault)
{
    const ut_log log = ut_stderr_log(config->log_level, config->log_format);
    if (config->log_format == UT_LOG_JSON || !isatty(STDERR_FILENO))
        ut_log_write(&log, UT_LOG_ERROR, "agent", "%s", fault->text_z);
    else
        (void)ut_cli_fail(fault);
}

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "run", .help_z = help, .rows = option_rows};
    const char *listen_z = NULL;
    while (ut_options_next(&options, argc, argv) != -1)
        listen_z = optarg;
    if (options.ended)
        return options.code;

    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault = {UT_OK, ""};
    if (config == NULL)
        return EX_OSERR;
    if (ut_config_find(options.config_z, UT_CONFIG_RUN, config, &fault) != UT_OK) {
        free(config);
        (void)ut_cli_fail(&fault);
        return fault.code == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
    }
    if (listen_z != NULL && ut_config_set_listen("--listen", listen_z, config, &fault) != UT_OK) {
        ut_config_free(config);
        free(config);
        return ut_cli_usage("run", "%s", fault.text_z);
    }
    char *const configured_z = config->data_dir_z;
    if (options.data_dir_z != NULL)
        config->data_dir_z = options.data_dir_z;
    ut_crash_note(config->data_dir_z);
    const int code = ut_daemon_run(config, &fault);
    if (code != EX_OK)
        say_why(config, &fault);
    config->data_dir_z = configured_z;
    ut_config_free(config);
    free(config);
    return code;
}

const ut_command ut_command_run = {
    .name_z = "run",
    .run = run,
    .summary_z = "take traces in, keep them, and carry them to their destinations",
    .help_z = help,
    .options = option_rows,
};
