// Log lines on standard error; see stderr_log.h.
#include "agent/process/stderr_log.h"

#include "port/base/text.h"
#include "port/port.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_BYTES_MAX = 128 }; // time and level

static void write_line(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)context;
    char time_z[UT_TEXT_SHORT_MAX];
    char out[UT_LOG_LINE_MAX + HEAD_BYTES_MAX];
    ut_text_time(ut_clock_wall_ns(), time_z);
    const int written = snprintf(out, sizeof(out), "%s %s %.*s\n", time_z, ut_log_level_name(level),
                                 (int)len, line);
    // One call a line, so that lines of different threads do not mix. Nobody is left to be told
    // when it fails.
    if (written > 0) {
        const ssize_t done = write(STDERR_FILENO, out, (size_t)written);
        (void)done;
    }
}

ut_log ut_stderr_log(ut_log_level level)
{
    return (ut_log){.level = level, .write = write_line};
}

void ut_stderr_log_always(const char *line_z)
{
    write_line(NULL, UT_LOG_INFO, line_z, strlen(line_z));
}
