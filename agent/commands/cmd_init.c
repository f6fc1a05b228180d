// `untrace init`: writes a configuration to begin with. Every key stands in it, as a comment.
#include "agent/commands/command.h"
#include "agent/cli/options.h"
#include "agent/config/config_find.h"
#include "agent/config/config_reference.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// clang-format off
static const char help[] =
    "usage: untrace init [FILE]\n"
    "\n"
    "Writes a configuration in which every key stands as a comment, with its default\n"
    "or an example: it means the defaults until a line is uncommented. FILE is by\n"
    "default the one that $UNTRACE_CONFIG names, else /etc/untrace/untrace.yaml; - is\n"
    "standard output. A file that is there is left as it is.\n"
    "\n"
    "Exit codes: 0 done; 64 usage; 73 it is there already, or cannot be made; 74\n"
    "disk; 77 permission.\n";

static const char head[] =
    "# The configuration of untrace. Every key stands here as a comment: remove the\n"
    "# first # of a line, and of the lines that it stands below. `untrace check` says\n"
    "# what that comes to. Secrets belong into the environment: ${env:NAME}.\n"
    "\n";
// clang-format on

static void write_text(FILE *out)
{
    (void)fputs(head, out); // the callers look at what became of it
    for (const char *line_z = ut_config_reference_z; *line_z != '\0';) {
        const size_t len = strcspn(line_z, "\n");
        (void)fprintf(out, "%s%.*s\n", len > 0 ? "#" : "", (int)len, line_z);
        line_z += len + 1;
    }
}

static int fail(const char *path_z, int reason)
{
    (void)fprintf(stderr, "untrace: cannot make %s: %s%s\n", path_z, strerror(reason),
                  reason == EEXIST ? "; it is left as it is" : "");
    return reason == EACCES || reason == EPERM ? EX_NOPERM : EX_CANTCREAT;
}

// Makes the directory of a file that nobody named: the package, or the first user, has none yet.
static int make_default_dir(void)
{
    static const char dir_z[] = "/etc/untrace";
    return mkdir(dir_z, 0755) == 0 || errno == EEXIST ? EX_OK : fail(dir_z, errno);
}

static int write_file(const char *path_z)
{
    const int fd = open(path_z, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    FILE *const file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        const int reason = errno;
        if (fd >= 0)
            (void)close(fd);
        return fail(path_z, reason);
    }
    write_text(file);
    const bool flushed = fflush(file) == 0 && ferror(file) == 0 && fsync(fd) == 0;
    int reason = errno;
    const bool closed = fclose(file) == 0;
    if (flushed && !closed)
        reason = errno;
    if (!flushed || !closed) {
        (void)unlink(path_z); // half a file would be taken for a whole one
        (void)fprintf(stderr, "untrace: cannot write %s: %s\n", path_z, strerror(reason));
        return EX_IOERR;
    }
    (void)printf("%s is written; `untrace check -c %s` says what it means\n", path_z, path_z);
    return EX_OK;
}

static const struct option option_rows[] = {UT_OPTION_ROWS_END};

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "init", .help_z = help, .rows = option_rows, .words_max = 1};
    if (!ut_options_read(&options, argc, argv))
        return options.code;
    const char *path_z = optind < argc ? argv[optind] : getenv("UNTRACE_CONFIG");
    if (path_z != NULL && strcmp(path_z, "-") == 0) {
        write_text(stdout); // main looks at what became of it
        return EX_OK;
    }
    if (path_z != NULL && path_z[0] != '\0')
        return write_file(path_z);
    const int code = make_default_dir();
    return code == EX_OK ? write_file(UT_CONFIG_DEFAULT_PATH) : code;
}

const ut_command ut_command_init = {
    .name_z = "init",
    .run = run,
    .summary_z = "write a configuration with every key as a comment",
    .help_z = help,
    .options = option_rows,
};
