// Compares media types. Parameters are passed over: no type that is asked for here has one that
// matters. A type may stand there several times, because proxies join a field that was sent twice.
#include "transport/http/media_type.h"

// The rest of value behind n bytes, and behind white space that follows them.
static ut_bytes pass_space(ut_bytes value, size_t n)
{
    while (n < value.len && (value.data[n] == ' ' || value.data[n] == '\t'))
        n++;
    return ut_bytes_of(value.data + n, value.len - n);
}

// Passes to the comma behind the parameters, which may have one in quotes.
static ut_bytes pass_parameters(ut_bytes value)
{
    size_t n = 0;
    for (bool quoted = false; n < value.len && (quoted || value.data[n] != ','); n++)
        quoted = quoted != (value.data[n] == '"');
    return ut_bytes_of(value.data + n, value.len - n);
}

bool ut_media_type_is(ut_bytes value, const char *type_z)
{
    const ut_bytes type = ut_bytes_of_z(type_z);
    for (;;) {
        value = pass_space(value, 0);
        if (!ut_bytes_begins_fold(value, type))
            return false;
        value = pass_space(value, type.len);
        if (value.len > 0 && value.data[0] == ';')
            value = pass_parameters(value);
        if (value.len == 0)
            return true;
        if (value.data[0] != ',')
            return false;
        value = pass_space(value, 1);
    }
}
