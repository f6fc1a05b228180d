// MessagePack values as plain JSON, for the command line.
#include "adapters/plain/json_value.h"

#include "adapters/encoding/json_write.h"

#include <math.h>
#include <stdlib.h>

// JSON has no number for infinity or not-a-number.
static void write_double(ut_json_writer *json, double value)
{
    if (isfinite(value))
        ut_json_write_double(json, NULL, value);
    else
        ut_json_write_null(json, NULL);
}

// ---- keys that stand in a map more than once ----

// The keys of a map that were written, so that each is written once: a JSON object with a key twice
// means something else to each parser. Few are looked through; many are sorted beforehand.
enum { KEYS_FEW = 64 };

typedef struct {
    ut_bytes key;
    uint32_t index; // of its pair
} key_place;

typedef struct {
    ut_bytes few[KEYS_FEW];
    uint32_t count;
    uint8_t *repeated; // by pair; NULL: few
} keys_seen;

static int compare_places(const void *a, const void *b)
{
    const key_place *left = a;
    const key_place *right = b;
    const int by_key = ut_bytes_compare(left->key, right->key);
    return by_key != 0 ? by_key : (left->index > right->index) - (left->index < right->index);
}

// Finds the repeated ones among the keys of a map that is read up to its first pair. False: no
// memory.
static bool find_repeated(ut_mp_reader reader, uint32_t pairs, keys_seen *seen)
{
    ut_mp_reader counting = reader;
    uint32_t count = 0; // a damaged map may claim more
    for (; count < pairs; count++) {
        (void)ut_mp_get_str(&counting);
        (void)ut_mp_skip(&counting);
        if (counting.err != UT_OK)
            break;
    }
    key_place *places = calloc((size_t)count + 1, sizeof(*places));
    seen->repeated = calloc(1, (size_t)count + 2); // damage is met at the pair behind them
    if (places == NULL || seen->repeated == NULL) {
        free(places);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        places[i] = (key_place){ut_mp_get_str(&reader), i};
        (void)ut_mp_skip(&reader); // it was skipped before
    }
    qsort(places, count, sizeof(*places), compare_places);
    for (uint32_t i = 1; i < count; i++)
        seen->repeated[places[i].index] = ut_bytes_equal(places[i - 1].key, places[i].key);
    free(places);
    return true;
}

static bool is_repeated(keys_seen *seen, uint32_t index, ut_bytes key)
{
    if (seen->repeated != NULL)
        return seen->repeated[index] != 0;
    for (uint32_t i = 0; i < seen->count; i++) {
        if (ut_bytes_equal(seen->few[i], key))
            return true;
    }
    seen->few[seen->count++] = key;
    return false;
}

// ---- values ----

static void write_value(ut_json_writer *json, ut_mp_reader *reader, int depth);

static void write_map(ut_json_writer *json, ut_mp_reader *reader, int depth)
{
    keys_seen seen;
    const uint32_t pairs = ut_mp_get_map(reader);
    seen.count = 0;
    seen.repeated = NULL;
    ut_json_write_object(json, NULL);
    if (pairs > KEYS_FEW && !find_repeated(*reader, pairs, &seen))
        json->out->err = UT_ENOMEM;
    for (uint32_t i = 0; i < pairs && reader->err == UT_OK && json->out->err == UT_OK; i++) {
        const ut_bytes key = ut_mp_get_str(reader);
        if (is_repeated(&seen, i, key)) {
            (void)ut_mp_skip(reader); // its error stays in the reader
            continue;
        }
        ut_json_write_key(json, key);
        write_value(json, reader, depth - 1);
    }
    free(seen.repeated);
    ut_json_write_close(json);
}

// depth: arrays and maps that may still be nested.
static void write_value(ut_json_writer *json, ut_mp_reader *reader, int depth)
{
    switch (ut_mp_peek(reader)) {
    case UT_MP_BOOL:
        ut_json_write_bool(json, NULL, ut_mp_get_bool(reader));
        return;
    case UT_MP_UINT:
        ut_json_write_uint(json, NULL, ut_mp_get_uint(reader));
        return;
    case UT_MP_INT:
        ut_json_write_int(json, NULL, ut_mp_get_int(reader));
        return;
    case UT_MP_DOUBLE:
        write_double(json, ut_mp_get_double(reader));
        return;
    case UT_MP_STR:
        ut_json_write_text(json, NULL, ut_mp_get_str(reader));
        return;
    case UT_MP_BIN:
        ut_json_write_hex(json, NULL, ut_mp_get_bin(reader));
        return;
    case UT_MP_ARRAY:
        if (depth == 0)
            break;
        ut_json_write_array(json, NULL);
        for (uint32_t left = ut_mp_get_array(reader); left > 0 && reader->err == UT_OK; left--)
            write_value(json, reader, depth - 1);
        ut_json_write_close(json);
        return;
    case UT_MP_MAP:
        if (depth == 0)
            break;
        write_map(json, reader, depth);
        return;
    case UT_MP_NIL:
    case UT_MP_INVALID:
        break;
    }
    (void)ut_mp_skip(reader); // nil, too deep, or not a value
    ut_json_write_null(json, NULL);
}

void ut_json_value(ut_buf *out, ut_bytes value)
{
    ut_mp_reader reader = ut_mp_reader_of(value);
    ut_json_writer json = ut_json_writer_of(out);
    write_value(&json, &reader, UT_VALUE_DEPTH_MAX + 2); // the map of attributes is one level more
}
