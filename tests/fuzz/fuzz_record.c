// Fuzzes the readers of index records with what may stand on a damaged disk. The first byte chooses
// the kind. What can be read is written again and read back equal.
#include "storage/store/ordinal_list.h"
#include "storage/store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Reads every byte, so that the sanitizer sees a run that is not inside the value.
static void touch(ut_bytes bytes)
{
    volatile uint8_t sink = 0;
    for (size_t i = 0; i < bytes.len; i++)
        sink = (uint8_t)(sink ^ bytes.data[i]);
}

static void trace(ut_bytes value, ut_buf *out)
{
    ut_record_trace first;
    ut_record_trace again;
    if (ut_record_read_trace(value, &first) != UT_OK)
        return;
    touch(first.ordinals);
    touch(first.span_ids);
    ut_record_write_trace(out, &first);
    UT_ASSERT(ut_record_read_trace(ut_buf_bytes(out), &again) == UT_OK);
    UT_ASSERT(again.count == first.count && again.start_ns == first.start_ns &&
              again.length_ns == first.length_ns && again.has_root_key == first.has_root_key &&
              again.root_seen_ns == first.root_seen_ns && again.status == first.status);
    uint32_t last = UINT32_MAX;
    uint32_t ordinal;
    while (ut_ordinal_list_next(&first.ordinals, &last, &ordinal))
        UT_ASSERT(ordinal < UT_BLOCK_SPANS_MAX);
}

static void root(ut_bytes value, ut_buf *out)
{
    ut_record_root first;
    ut_record_root again;
    if (ut_record_read_root(value, &first) != UT_OK)
        return;
    touch(first.name);
    touch(first.service);
    ut_record_write_root(out, &first);
    UT_ASSERT(ut_record_read_root(ut_buf_bytes(out), &again) == UT_OK);
    UT_ASSERT(again.seq == first.seq && again.ordinal == first.ordinal &&
              again.start_ns == first.start_ns && again.duration_ns == first.duration_ns &&
              again.name.len <= UT_RECORD_NAME_MAX && again.service.len <= UT_RECORD_SERVICE_MAX);
}

static void delivery(ut_bytes value, ut_buf *out)
{
    ut_delivery first;
    ut_delivery again;
    if (ut_record_read_delivery(value, &first) != UT_OK)
        return;
    ut_record_write_delivery(out, &first);
    UT_ASSERT(ut_record_read_delivery(ut_buf_bytes(out), &again) == UT_OK);
    UT_ASSERT(again.state == first.state && again.spans == first.spans &&
              again.spans_dead == first.spans_dead && again.attempts == first.attempts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    // A copy of its own length, so that a read behind the end is seen.
    ut_buf exact;
    ut_buf out;
    ut_buf_init(&exact, size);
    ut_buf_init(&out, 1 << 20);
    ut_buf_add(&exact, data + 1, size - 1);
    ut_bytes value = ut_buf_bytes(&exact);
    uint64_t version;
    ut_record_state state;
    ut_store_destination destination;
    ut_record_summary summary;
    ut_record_consumer consumer;
    switch (data[0] % 8) {
    case 0:
        (void)ut_record_read_version(value, &version);
        break;
    case 1:
        (void)ut_record_read_state(value, &state);
        break;
    case 2:
        if (ut_record_read_destination(value, &destination) == UT_OK)
            UT_ASSERT(strlen(destination.name_z) <= UT_STORE_NAME_MAX);
        break;
    case 3:
        trace(value, &out);
        break;
    case 4:
        root(value, &out);
        break;
    case 5:
        (void)ut_record_read_summary(value, &summary);
        break;
    case 6:
        delivery(value, &out);
        break;
    default:
        (void)ut_record_read_consumer(value, &consumer);
        break;
    }
    ut_buf_free(&exact);
    ut_buf_free(&out);
    return 0;
}
