// Reading JSON; see json.h.
#include "adapters/encoding/json.h"

#include "adapters/encoding/json_scan.h"

#include <stdlib.h>

// ---- bounded memory: each piece knows its size, so that freeing gives back what it took ----

typedef union {
    size_t size;
    max_align_t align;
} piece;

static bool may_grow(ut_json *json, size_t size, size_t old_size)
{
    size_t rest = json->max - (json->used - old_size);
    if (size <= rest && size <= SIZE_MAX - sizeof(piece))
        return true;
    json->refused = true;
    return false;
}

static void *take(void *context, size_t size)
{
    ut_json *json = context;
    if (!may_grow(json, size, 0))
        return NULL;
    piece *p = malloc(sizeof(piece) + size);
    if (p == NULL)
        return NULL;
    p->size = size;
    json->used += size;
    return p + 1;
}

static void *resize(void *context, void *pointer, size_t old_size, size_t size)
{
    ut_json *json = context;
    piece *p = (piece *)pointer - 1;
    (void)old_size; // the same as p->size
    if (!may_grow(json, size, p->size))
        return NULL;
    size_t before = p->size;
    p = realloc(p, sizeof(piece) + size);
    if (p == NULL)
        return NULL;
    p->size = size;
    json->used = json->used - before + size;
    return p + 1;
}

static void give_back(void *context, void *pointer)
{
    ut_json *json = context;
    if (pointer == NULL)
        return;
    piece *p = (piece *)pointer - 1;
    json->used -= p->size;
    free(p);
}

// ---- reading ----

// Whether the text nests deeper than UT_JSON_DEPTH_MAX. where: out, the byte that does. The answer
// means nothing for a text that is not JSON.
static bool too_deep(ut_bytes text, size_t *where)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > UT_JSON_DEPTH_MAX) {
                *where = i;
                return true;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

// Whether more than UT_JSON_DEPTH_MAX containers are open at once anywhere in the document.
static bool document_too_deep(yyjson_val *root)
{
    // A container is followed by what it holds; its end is known from the start.
    yyjson_val *ends[UT_JSON_DEPTH_MAX];
    size_t depth = 0;
    yyjson_val *end = unsafe_yyjson_get_next(root);
    for (yyjson_val *value = root; value < end; value++) {
        while (depth > 0 && value >= ends[depth - 1])
            depth--;
        if (!unsafe_yyjson_is_ctn(value))
            continue;
        if (depth == UT_JSON_DEPTH_MAX)
            return true;
        ends[depth++] = unsafe_yyjson_get_next(value);
    }
    return false;
}

// Writes U+FFFD over each half of a surrogate pair that stands alone, which yyjson would refuse.
// The escape keeps its length.
static void mend_surrogates(char *text, size_t len)
{
    uint8_t *at = (uint8_t *)text;
    const uint8_t *end = at + len;
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        uint32_t unit;
        uint32_t low;
        if (!ut_json_unit(at, end, &unit)) {
            at += end - at > 1 ? 2 : 1;
            continue;
        }
        if (ut_json_is_high(unit) && ut_json_unit(at + 6, end, &low) && ut_json_is_low(low))
            at += 6;
        else if (ut_json_is_high(unit) || ut_json_is_low(unit))
            memcpy(at, "\\ufffd", 6);
        at += 6;
    }
}

static ut_err refuse_depth(ut_bytes text, ut_fault *fault)
{
    size_t where = 0;
    (void)too_deep(text, &where); // known to be
    return ut_fault_set(fault, UT_EFORMAT, "JSON is nested deeper than %d levels at byte %zu",
                        UT_JSON_DEPTH_MAX, where);
}

ut_err ut_json_read(ut_json *json, ut_bytes text, ut_fault *fault)
{
    return ut_json_read_within(json, text, SIZE_MAX, fault);
}

ut_err ut_json_read_within(ut_json *json, ut_bytes text, size_t memory_max, ut_fault *fault)
{
    size_t max = SIZE_MAX / UT_JSON_MEMORY_FACTOR - UT_JSON_MEMORY_BASE;
    *json = (ut_json){.allocator = {take, resize, give_back, json}};
    if (text.len == 0)
        return ut_fault_set(fault, UT_EFORMAT, "the body is empty where JSON is expected");
    if (text.len > max)
        return ut_fault_set(fault, UT_ELIMIT, "JSON of %zu bytes is too large", text.len);
    json->max = text.len * UT_JSON_MEMORY_FACTOR + UT_JSON_MEMORY_BASE;
    if (json->max > memory_max)
        json->max = memory_max;

    yyjson_read_err error = {0};
    // yyjson unescapes the strings where they stand.
    json->text = take(json, text.len + YYJSON_PADDING_SIZE);
    if (json->text == NULL && json->refused)
        return ut_fault_set(fault, UT_ELIMIT,
                            "JSON of %zu bytes would take more than %zu bytes of memory to read",
                            text.len, json->max);
    if (json->text == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "no memory for JSON of %zu bytes", text.len);
    memcpy(json->text, text.data, text.len);
    memset(json->text + text.len, 0, YYJSON_PADDING_SIZE);
    mend_surrogates(json->text, text.len);
    json->doc =
        yyjson_read_opts(json->text, text.len, YYJSON_READ_INSITU | YYJSON_READ_NUMBER_AS_RAW,
                         &json->allocator, &error);
    bool deep = json->doc != NULL && document_too_deep(yyjson_doc_get_root(json->doc));
    if (json->doc != NULL && !deep)
        return UT_OK;
    ut_json_free(json);
    if (deep)
        return refuse_depth(text, fault);
    size_t where;
    if (too_deep(text, &where))
        return refuse_depth(text, fault);
    if (json->refused)
        return ut_fault_set(fault, UT_ELIMIT,
                            "JSON of %zu bytes would take more than %zu bytes of memory to read",
                            text.len, json->max);
    if (error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return ut_fault_set(fault, UT_ENOMEM, "no memory for JSON of %zu bytes", text.len);
    return ut_fault_set(fault, UT_EFORMAT, "not valid JSON: %s at byte %zu",
                        error.msg != NULL ? error.msg : "unknown error", error.pos);
}

void ut_json_free(ut_json *json)
{
    yyjson_doc_free(json->doc);
    give_back(json, json->text);
    json->doc = NULL;
    json->text = NULL;
    UT_ASSERT(json->used == 0);
}

bool ut_json_surely_fits(size_t text_len, size_t values, size_t memory_max)
{
    enum {
        BYTES_A_VALUE = 6, // of text, that yyjson begins with; from then on it grows by half
        SLACK = 64,        // values: what a document has besides
    };
    const uint64_t begin = text_len / BYTES_A_VALUE;
    const uint64_t grown = (uint64_t)values + values / 2;
    const uint64_t bytes = text_len + YYJSON_PADDING_SIZE +
                           ((begin > grown ? begin : grown) + SLACK) * sizeof(yyjson_val);
    return bytes <= memory_max &&
           bytes <= (uint64_t)text_len * UT_JSON_MEMORY_FACTOR + UT_JSON_MEMORY_BASE;
}

const char *ut_json_type_text(yyjson_val *value)
{
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "a boolean";
    case YYJSON_TYPE_RAW:
    case YYJSON_TYPE_NUM:
        return "a number";
    case YYJSON_TYPE_STR:
        return "a string";
    case YYJSON_TYPE_ARR:
        return "an array";
    case YYJSON_TYPE_OBJ:
        return "an object";
    default:
        return "nothing";
    }
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

// Reads the exponent behind an 'e'. One beyond 10^17 is cut: it decides nothing any more.
static bool read_exponent(const uint8_t *at, const uint8_t *end, int64_t *exponent)
{
    bool negative = false;
    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    if (at == end)
        return false;
    int64_t value = 0;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return false;
        if (value < INT64_MAX / 100)
            value = value * 10 + (*at - '0');
    }
    *exponent = negative ? -value : value;
    return true;
}

// value * 10 + digit; false when it does not fit.
static bool push_digit(uint64_t *value, unsigned digit)
{
    if (*value > (UINT64_MAX - digit) / 10)
        return false;
    *value = *value * 10 + digit;
    return true;
}

ut_json_number ut_json_integer(ut_bytes text, bool *negative, uint64_t *magnitude)
{
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.len;
    *negative = at < end && *at == '-';
    if (*negative)
        at++;
    if (at == end || !is_digit(*at))
        return UT_JSON_NUMBER_MALFORMED;

    // The place of the point is found first; then each digit is taken once.
    const uint8_t *digits = at;
    while (at < end && is_digit(*at))
        at++;
    int64_t whole = at - digits; // digits before the point
    const uint8_t *digits_end = at;
    if (at < end && *at == '.') {
        const uint8_t *fraction = ++at;
        while (at < end && is_digit(*at))
            at++;
        if (at == fraction)
            return UT_JSON_NUMBER_MALFORMED;
        digits_end = at;
    }
    int64_t exponent = 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        if (!read_exponent(at + 1, end, &exponent))
            return UT_JSON_NUMBER_MALFORMED;
    } else if (at < end) {
        return UT_JSON_NUMBER_MALFORMED;
    }
    whole += exponent;

    uint64_t value = 0;
    int64_t place = 0;
    bool range = false;
    for (at = digits; at < digits_end; at++) {
        if (*at == '.')
            continue;
        unsigned digit = (unsigned)(*at - '0');
        if (place++ < whole)
            range = range || !push_digit(&value, digit);
        else if (digit != 0)
            return UT_JSON_NUMBER_MALFORMED; // a fraction
    }
    for (; place < whole && value != 0 && !range; place++)
        range = !push_digit(&value, 0);
    *magnitude = value;
    return range ? UT_JSON_NUMBER_RANGE : UT_JSON_NUMBER_OK;
}

bool ut_json_uint(yyjson_val *value, uint64_t *number)
{
    bool negative = false;
    const char *text_z = yyjson_get_raw(value);
    return text_z != NULL &&
           ut_json_integer(ut_bytes_of(text_z, yyjson_get_len(value)), &negative, number) ==
               UT_JSON_NUMBER_OK &&
           !negative;
}

enum { NUMBER_LEN_MAX = 800 }; // digits that can matter for a double, with some to spare

ut_json_number ut_json_double(ut_bytes text, double *value)
{
    char number_z[NUMBER_LEN_MAX + 1];
    yyjson_val read;
    yyjson_read_err error = {0};
    if (text.len == 0 || text.len > NUMBER_LEN_MAX)
        return UT_JSON_NUMBER_MALFORMED;
    memcpy(number_z, text.data, text.len);
    number_z[text.len] = '\0';
    if (!is_digit(text.data[text.len > 1 && text.data[0] == '-']))
        return UT_JSON_NUMBER_MALFORMED; // yyjson would take a literal, or nothing at all
    const char *end = yyjson_read_number(number_z, &read, YYJSON_READ_NOFLAG, NULL, &error);
    if (end == NULL) {
        // Only infinity is refused among well-formed numbers.
        bool huge = yyjson_read_number(number_z, &read, YYJSON_READ_NUMBER_AS_RAW, NULL, &error) ==
                    number_z + text.len;
        return huge ? UT_JSON_NUMBER_RANGE : UT_JSON_NUMBER_MALFORMED;
    }
    if (end != number_z + text.len)
        return UT_JSON_NUMBER_MALFORMED;
    *value = yyjson_get_num(&read);
    if (*value == 0 && number_z[0] == '-')
        *value = -0.0; // "-0" is read as an integer
    return UT_JSON_NUMBER_OK;
}
