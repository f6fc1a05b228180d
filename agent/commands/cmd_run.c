// `untrace run`: the agent.
#include "agent/cli/cli.h"
#include "agent/config/config_find.h"
#include "agent/process/crash_note.h"
#include "agent/daemon/daemon.h"

#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "usage: untrace run [--config FILE] [--data-dir DIR]\n"
    "\n"
    "Takes spans in by OTLP/HTTP, answers when they are durable, and carries them to the "
    "destinations\n"
    "of the configuration. Without one: OTLP on 127.0.0.1:4318, 30 days, 256 MiB, no destination.\n"
    "\n"
    "  -c, --config FILE   configuration (default: $UNTRACE_CONFIG, else /etc/untrace/untrace.yaml "
    "if\n"
    "                      it exists, else built-in defaults; - is standard input)\n"
    "  -d, --data-dir DIR  where spans are kept, instead of the configuration's data_dir\n"
    "\n"
    "Log lines go to standard error; \"agent: ready otlp_http=ADDRESS\" means that it listens. "
    "SIGTERM\n"
    "and SIGINT stop it within stop_timeout; a second one at once, and nothing acknowledged is "
    "lost\n"
    "by that. SIGHUP does nothing: a changed configuration needs a restart.\n"
    "\n"
    "Exit codes: 0 stopped by a signal; 64 usage; 65 the store is damaged or of another version; "
    "69\n"
    "the address is in use; 73 the data directory cannot be made; 74 disk; 75 another agent holds "
    "the\n"
    "data directory; 77 permission denied; 78 configuration; 128 + signal after a second signal.\n";

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                        {"data-dir", required_argument, NULL, 'd'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

static int run(int argc, char **argv)
{
    const char *config_z = NULL;
    char *data_dir_z = NULL;
    for (int option; (option = getopt_long(argc, argv, ":c:d:h", options, NULL)) != -1;) {
        if (option == 'c') {
            config_z = optarg;
        } else if (option == 'd') {
            data_dir_z = optarg;
        } else if (option == 'h') {
            (void)fputs(help, stdout);
            return EX_OK;
        } else {
            return ut_cli_bad_option("run", option, argv);
        }
    }
    if (optind < argc)
        return ut_cli_usage("run", "\"%s\" is one word too many", argv[optind]);

    ut_config *config = calloc(1, sizeof *config);
    ut_fault fault = {UT_OK, ""};
    if (config == NULL)
        return EX_OSERR;
    if (ut_config_find(config_z, config, &fault) != UT_OK) {
        free(config);
        (void)ut_cli_fail(&fault);
        return fault.code == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
    }
    char *const configured_z = config->data_dir_z;
    if (data_dir_z != NULL)
        config->data_dir_z = data_dir_z;
    ut_crash_note(config->data_dir_z);
    const int code = ut_daemon_run(config, &fault);
    if (code != EX_OK)
        (void)ut_cli_fail(&fault);
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
    .options = options,
};
