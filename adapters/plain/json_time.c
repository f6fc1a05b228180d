// A time twice; see json_time.h.
#include "adapters/plain/json_time.h"

#include "port/base/text.h"

#include <stdio.h>

void ut_json_time(ut_json_writer *json, const char *name_z, uint64_t unix_ns)
{
    char text_z[UT_TEXT_SHORT_MAX];
    char number_z[UT_TEXT_SHORT_MAX];
    ut_text_time(unix_ns, text_z);
    ut_json_write_text_z(json, name_z, text_z);
    (void)snprintf(number_z, sizeof(number_z), "%s_ns", name_z);
    ut_json_write_uint(json, number_z, unix_ns);
}
