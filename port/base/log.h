// Log lines: one line an event, to a sink that the platform gives. No global logger: code
// that logs holds a ut_log.
#ifndef UT_PORT_BASE_LOG_H
#define UT_PORT_BASE_LOG_H

#include "port/base/err.h"

#include <stddef.h>

typedef enum { UT_LOG_ERROR, UT_LOG_WARN, UT_LOG_INFO, UT_LOG_DEBUG } ut_log_level;

typedef enum { UT_LOG_TEXT, UT_LOG_JSON } ut_log_format; // how a sink lays lines out

enum { UT_LOG_LINE_MAX = 1024 }; // longer lines are cut and end in "..."

// write: called with one finished line without newline, from any thread; must not block for long.
typedef struct {
    ut_log_level level; // lines above it are not written
    void (*write)(void *context, ut_log_level level, const char *line, size_t len);
    void *context;
} ut_log;

// Writes "area: message". What may not be shown as it is (ut_utf8_is_unsafe, and bytes that are not
// UTF-8) is written as '?', so that nothing from outside can forge a line or hide in one. Secrets
// are never passed here. log may be NULL: nothing is written.
void ut_log_write(const ut_log *log, ut_log_level level, const char *area_z, const char *format_z,
                  ...) __attribute__((format(printf, 4, 5)));

const char *ut_log_level_name(ut_log_level level); // "error", "warn", "info", "debug"

#endif
