// Compares media types. Parameters are passed over: no type that is asked for here has one that
// matters.
#include "transport/http/media_type.h"

bool ut_media_type_is(ut_bytes value, const char *type_z)
{
    const ut_bytes type = ut_bytes_of_z(type_z);
    if (!ut_bytes_begins_fold(value, type))
        return false;
    size_t i = type.len;
    while (i < value.len && (value.data[i] == ' ' || value.data[i] == '\t'))
        i++;
    return i == value.len || value.data[i] == ';';
}
