// Names and texts of the error codes, faults and the panic.
// Not for reporting: nothing here writes, apart from the last words of ut_panic.
#include "port/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ut_err_name(ut_err err)
{
    switch (err) {
#define X(name, value, text) \
    case UT_##name:          \
        return #name;
        UT_ERR_MAP(X)
#undef X
    }
    return "EUNKNOWN";
}

const char *ut_err_text(ut_err err)
{
    switch (err) {
#define X(name, value, text) \
    case UT_##name:          \
        return text;
        UT_ERR_MAP(X)
#undef X
    }
    return "unknown error";
}

ut_err ut_fault_set(ut_fault *fault, ut_err code, const char *format_z, ...)
{
    if (fault == NULL)
        return code;
    // Through a copy, because callers wrap a fault in itself: ut_fault_set(f, c, "%s: %s", where,
    // f->text_z).
    char text_z[UT_FAULT_TEXT_MAX];
    va_list args;
    va_start(args, format_z);
    if (vsnprintf(text_z, sizeof(text_z), format_z, args) < 0)
        text_z[0] = '\0';
    va_end(args);
    fault->code = code;
    memcpy(fault->text_z, text_z, strlen(text_z) + 1);
    return code;
}

_Noreturn void ut_panic(const char *file_z, int line, const char *cond_z)
{
    (void)fprintf(stderr, "untrace: %s:%d: this must hold and does not: %s\n", file_z, line,
                  cond_z);
    (void)fflush(stderr);
    abort();
}
