// Parts of spans for tests; see span_parts.h.
#include "tests/support/span_parts.h"

ut_bytes ut_map_of(ut_buf *buf, const char *const *pairs_z)
{
    uint32_t count = 0;
    while (pairs_z[2 * count] != NULL)
        count++;
    ut_buf_init(buf, 4096);
    ut_mp_put_map(buf, count);
    for (uint32_t i = 0; i < 2 * count; i++)
        ut_mp_put_str(buf, ut_bytes_of_z(pairs_z[i]));
    UT_ASSERT(buf->err == UT_OK);
    return ut_buf_bytes(buf);
}
ut_bytes ut_event_of(ut_buf *buf, const char *name_z, ut_bytes attributes)
{
    const ut_event event = {.time_ns = 5, .name = ut_bytes_of_z(name_z)};
    ut_buf_init(buf, 4096);
    ut_mp_put_array(buf, 1);
    ut_event_write_head(buf, 0, &event);
    ut_buf_add_bytes(buf, attributes);
    ut_event_write_tail(buf, &event);
    UT_ASSERT(buf->err == UT_OK);
    return ut_buf_bytes(buf);
}
