// Makes one log line and hands it to the sink. Not for choosing where lines go: that is the sink's.
#include "port/base/log.h"

#include "port/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Length of what snprintf left in room bytes, its NUL not counted.
static size_t kept(int written, size_t room)
{
    if (written < 0)
        return 0;
    return (size_t)written < room ? (size_t)written : room - 1;
}

void ut_log_write(const ut_log *log, ut_log_level level, const char *area_z, const char *format_z,
                  ...)
{
    if (log == NULL || level > log->level)
        return;

    // Room for one byte more than a line may have, so that a line that is too long shows itself,
    // and the NUL.
    char line[UT_LOG_LINE_MAX + 2];
    size_t len = kept(snprintf(line, sizeof(line), "%s: ", area_z), sizeof(line));
    va_list args;
    va_start(args, format_z);
    len += kept(vsnprintf(line + len, sizeof(line) - len, format_z, args), sizeof(line) - len);
    va_end(args);

    if (len > UT_LOG_LINE_MAX) {
        len = UT_LOG_LINE_MAX;
        memcpy(line + len - 3, "...", 3);
    }
    log->write(log->context, level, line, ut_utf8_make_safe(line, len));
}

const char *ut_log_level_name(ut_log_level level)
{
    switch (level) {
    case UT_LOG_ERROR:
        return "error";
    case UT_LOG_WARN:
        return "warn";
    case UT_LOG_INFO:
        return "info";
    case UT_LOG_DEBUG:
        return "debug";
    }
    return "unknown";
}
