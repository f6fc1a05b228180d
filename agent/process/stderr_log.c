// Log lines on standard error; see stderr_log.h.
#include "agent/process/stderr_log.h"

#include "port/base/text.h"
#include "port/base/utf8.h"
#include "port/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEAD_BYTES_MAX = 160, // priority, time, level, and the names of a JSON line's members
    OUT_BYTES_MAX = 2 * UT_LOG_LINE_MAX + HEAD_BYTES_MAX, // an escape doubles a byte at most
};

// A line for one call of write, so that lines of different threads do not mix.
typedef struct {
    size_t len;
    char bytes[OUT_BYTES_MAX];
} out_line;

static void add(out_line *out, const char *text, size_t len)
{
    const size_t room = sizeof(out->bytes) - out->len;
    const size_t fits = len < room ? len : room;
    memcpy(out->bytes + out->len, text, fits);
    out->len += fits;
}

static void add_z(out_line *out, const char *text_z)
{
    add(out, text_z, strlen(text_z));
}

// The number of syslog(3): 3 is an error, 7 is for debugging.
static void add_priority(out_line *out, ut_log_level level)
{
    static const char priorities_z[][4] = {"<3>", "<4>", "<6>", "<7>"};
    add_z(out, priorities_z[level]);
}

// A JSON string without its quotes. What is not UTF-8 becomes '?'; the writer of log lines has
// replaced what is below 0x20.
static void add_escaped(out_line *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        const size_t step = ut_utf8_len((const uint8_t *)text + i, len - i);
        if (step == 1 && (text[i] == '"' || text[i] == '\\'))
            add_z(out, "\\");
        if (step == 0)
            add_z(out, "?");
        else
            add(out, text + i, step);
        i += step == 0 ? 1 : step;
    }
}

// Nobody is left to be told when it fails.
static void write_out(const out_line *out)
{
    const ssize_t done = write(STDERR_FILENO, out->bytes, out->len);
    (void)done;
}

static void write_text(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)context;
    out_line out = {.len = 0};
    char time_z[UT_TEXT_SHORT_MAX];
    ut_text_time(ut_clock_wall_ns(), time_z);
    add_z(&out, time_z);
    add_z(&out, " ");
    add_z(&out, ut_log_level_name(level));
    add_z(&out, " ");
    add(&out, line, len);
    add_z(&out, "\n");
    write_out(&out);
}

// The journal keeps the time itself.
static void write_journal(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)context;
    out_line out = {.len = 0};
    add_priority(&out, level);
    add(&out, line, len);
    add_z(&out, "\n");
    write_out(&out);
}

static void write_object(out_line *out, ut_log_level level, const char *line, size_t len)
{
    char time_z[UT_TEXT_SHORT_MAX];
    const char *colon = memchr(line, ':', len);
    const size_t area = colon == NULL ? 0 : (size_t)(colon - line);
    const size_t text = colon == NULL ? 0 : area + 1 + (area + 1 < len && line[area + 1] == ' ');
    ut_text_time(ut_clock_wall_ns(), time_z);
    add_z(out, "{\"time\":\"");
    add_z(out, time_z);
    add_z(out, "\",\"level\":\"");
    add_z(out, ut_log_level_name(level));
    add_z(out, "\",\"area\":\"");
    add_escaped(out, line, area);
    add_z(out, "\",\"message\":\"");
    add_escaped(out, line + text, len - text);
    add_z(out, "\"}\n");
    write_out(out);
}

static void write_json(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)context;
    out_line out = {.len = 0};
    write_object(&out, level, line, len);
}

static void write_json_journal(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)context;
    out_line out = {.len = 0};
    add_priority(&out, level);
    write_object(&out, level, line, len);
}

bool ut_stderr_is_journal(void)
{
    const char *const stream_z = getenv("JOURNAL_STREAM"); // DEVICE:INODE
    char own_z[UT_TEXT_SHORT_MAX + UT_TEXT_SHORT_MAX];
    struct stat at;
    if (stream_z == NULL || fstat(STDERR_FILENO, &at) != 0)
        return false;
    (void)snprintf(own_z, sizeof(own_z), "%llu:%llu", (unsigned long long)at.st_dev,
                   (unsigned long long)at.st_ino);
    return strcmp(stream_z, own_z) == 0;
}

ut_log ut_stderr_log(ut_log_level level, ut_log_format format)
{
    ut_log log = {.level = level};
    if (ut_stderr_is_journal())
        log.write = format == UT_LOG_JSON ? write_json_journal : write_journal;
    else
        log.write = format == UT_LOG_JSON ? write_json : write_text;
    return log;
}

void ut_stderr_log_always(const ut_log *log, const char *line_z)
{
    log->write(log->context, UT_LOG_INFO, line_z, strlen(line_z));
}
