// Conditions from text, and the bounds of a filter; see filter.h.
#include "storage/span/filter.h"

#include <stdlib.h>

enum { NUMBER_LEN_MAX = UT_FILTER_TEXT_MAX, WHOLE_DIGITS_MAX = 19, SHOWN_MAX = 80 };

// ---- numbers ----

static size_t digits(ut_bytes text, size_t at)
{
    size_t from = at;
    while (at < text.len && text.data[at] >= '0' && text.data[at] <= '9')
        at += 1;
    return at - from;
}

bool ut_filter_number_read(ut_bytes text, ut_filter_number *number)
{
    *number = (ut_filter_number){.whole = true};
    if (text.len == 0 || text.len > NUMBER_LEN_MAX)
        return false;
    size_t at = text.data[0] == '-' || text.data[0] == '+';
    size_t first = at;
    size_t whole = digits(text, at);
    at += whole;
    bool negative = text.data[0] == '-';
    if (whole > 0 && at == text.len && whole <= WHOLE_DIGITS_MAX) {
        uint64_t size = 0;
        for (size_t i = first; i < text.len; i++)
            size = size * 10 + (uint64_t)(text.data[i] - '0');
        if (size <= INT64_MAX) {
            number->integer = negative ? -(int64_t)size : (int64_t)size;
            return true;
        } // a larger number is compared as a decimal
    }
    size_t fraction = 0;
    if (at < text.len && text.data[at] == '.') {
        fraction = digits(text, at + 1);
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (at < text.len && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at += 1;
        at += at < text.len && (text.data[at] == '-' || text.data[at] == '+');
        size_t exponent = digits(text, at);
        if (exponent == 0)
            return false;
        at += exponent;
    }
    if (at != text.len)
        return false;
    char copy_z[NUMBER_LEN_MAX + 1];
    memcpy(copy_z, text.data, text.len);
    copy_z[text.len] = '\0';
    number->whole = false;
    number->real = strtod(copy_z, NULL); // nothing but a number stands there
    return true;
}

// ---- terms ----

typedef struct {
    const char *text_z;
    ut_filter_op op;
} operator;

// Longer ones before those that they begin with.
static const operator operators[] = {
    {"!=", UT_FILTER_NOT_EQUALS}, {"<=", UT_FILTER_LESS_EQUAL}, {">=", UT_FILTER_GREATER_EQUAL},
    {"=", UT_FILTER_EQUALS},      {"~", UT_FILTER_GLOB},        {"<", UT_FILTER_LESS},
    {">", UT_FILTER_GREATER},
};

static const struct {
    const char *prefix_z;
    uint8_t place;
} places[] = {
    {"span:", UT_FILTER_IN_SPAN},
    {"resource:", UT_FILTER_IN_RESOURCE},
    {"event:", UT_FILTER_IN_EVENT},
    {"scope:", UT_FILTER_IN_SCOPE},
};

static bool begins_with(ut_bytes text, const char *prefix_z)
{
    size_t len = strlen(prefix_z);
    return text.len >= len && memcmp(text.data, prefix_z, len) == 0;
}

static ut_bytes behind(ut_bytes text, size_t at)
{
    return (ut_bytes){text.data + at, text.len - at};
}

static bool is_numeric(ut_filter_op op)
{
    return op >= UT_FILTER_LESS;
}

static int shown(ut_bytes text)
{
    return text.len < SHOWN_MAX ? (int)text.len : SHOWN_MAX;
}

ut_err ut_filter_term_read(ut_bytes text, ut_filter_term *term, ut_fault *fault)
{
    *term = (ut_filter_term){.places = UT_FILTER_IN_ANY, .op = UT_FILTER_EXISTS};
    ut_bytes rest = text;
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        if (begins_with(text, places[i].prefix_z)) {
            term->places = places[i].place;
            rest = behind(text, strlen(places[i].prefix_z));
        }
    }
    term->key = rest;
    bool found = false;
    for (size_t at = 0; at < rest.len && !found; at++) {
        for (size_t i = 0; i < sizeof(operators) / sizeof(*operators) && !found; i++) {
            if (!begins_with(behind(rest, at), operators[i].text_z))
                continue;
            found = true;
            term->op = operators[i].op;
            term->key.len = at;
            term->text = behind(rest, at + strlen(operators[i].text_z));
        }
    }
    if (term->key.len == 0)
        return ut_fault_set(fault, UT_EFORMAT,
                            "\"%.*s\" names no attribute; write KEY, KEY=VALUE, KEY!=VALUE, "
                            "KEY~PATTERN, KEY<N, KEY<=N, KEY>N or KEY>=N",
                            shown(text), text.len > 0 ? (const char *)text.data : "");
    if (term->op == UT_FILTER_EQUALS && begins_with(term->text, "="))
        return ut_fault_set(fault, UT_EFORMAT,
                            "\"%.*s\" has two equals signs; write KEY=VALUE, or KEY~=VALUE for a "
                            "value that begins with one",
                            shown(text), (const char *)text.data);
    ut_filter_number number;
    if (is_numeric(term->op) && !ut_filter_number_read(term->text, &number))
        return ut_fault_set(
            fault, UT_EFORMAT, "\"%.*s\" compares with \"%.*s\", which is not a number",
            shown(text), (const char *)text.data, shown(term->text), (const char *)term->text.data);
    return UT_OK;
}

// ---- a whole filter ----

static ut_err check_text(ut_bytes text, const char *what_z, ut_fault *fault)
{
    if (text.len <= UT_FILTER_TEXT_MAX)
        return UT_OK;
    return ut_fault_set(fault, UT_ELIMIT, "the %s has %zu bytes; at most %d are looked for", what_z,
                        text.len, (int)UT_FILTER_TEXT_MAX);
}

ut_err ut_filter_check(const ut_filter *filter, ut_fault *fault)
{
    ut_err err = check_text(filter->service, "service", fault);
    if (err == UT_OK)
        err = check_text(filter->name, "name", fault);
    if (err == UT_OK)
        err = check_text(filter->message, "status message", fault);
    if (err == UT_OK && filter->term_count > UT_FILTER_TERMS_MAX)
        err = ut_fault_set(fault, UT_ELIMIT, "%lu conditions on attributes; at most %d are taken",
                           (unsigned long)filter->term_count, (int)UT_FILTER_TERMS_MAX);
    for (uint32_t i = 0; err == UT_OK && i < filter->term_count; i++) {
        const ut_filter_term *term = &filter->terms[i];
        ut_filter_number number;
        err = check_text(term->key, "key of an attribute", fault);
        if (err == UT_OK)
            err = check_text(term->or_key, "other key of an attribute", fault);
        if (err == UT_OK)
            err = check_text(term->text, "value of an attribute", fault);
        if (err == UT_OK && is_numeric(term->op) && !ut_filter_number_read(term->text, &number))
            err = ut_fault_set(fault, UT_EINVAL,
                               "%.*s is compared with \"%.*s\", which is not a number",
                               shown(term->key), (const char *)term->key.data, shown(term->text),
                               term->text.len > 0 ? (const char *)term->text.data : "");
    }
    return err;
}
