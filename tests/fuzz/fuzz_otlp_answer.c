// Fuzzes the readers of destinations' answers, which may be anything. The first byte chooses
// encoding and room.
#include "adapters/otlp/otlp.h"
#include "port/base/utf8.h"

enum { ROOM_MAX = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Text for a log line: ended, within its room, UTF-8 without control characters.
static void check(const char *message_z, size_t cap)
{
    ut_bytes text = ut_bytes_of(message_z, strnlen(message_z, cap));
    UT_ASSERT(text.len < cap);
    UT_ASSERT(ut_utf8_valid(text));
    for (size_t i = 0; i < text.len; i++)
        UT_ASSERT(text.data[i] >= 0x20 && text.data[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char message_z[ROOM_MAX];
    int64_t rejected = -1;
    size_t cap = 1 + data[0] % (ROOM_MAX - 1u);
    ut_bytes body = ut_bytes_of(data + 1, size - 1);
    ut_otlp_response_read(data[0] & 0x80 ? UT_OTLP_JSON : UT_OTLP_PROTOBUF, body, &rejected,
                          message_z, cap);
    UT_ASSERT(rejected >= 0);
    check(message_z, cap);
    ut_otlp_status_read(body, message_z, cap);
    check(message_z, cap);
    return 0;
}
