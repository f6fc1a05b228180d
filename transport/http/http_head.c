// Fields and the target of a request's head.
#include "transport/http/http_head.h"

size_t ut_http_head_find(const ut_http_head *head, const char *name_z, ut_bytes *value)
{
    const ut_bytes name = ut_bytes_of_z(name_z);
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        const ut_http_field *field = &head->fields[i];
        if (!ut_bytes_equal_fold(field->name, name))
            continue;
        if (count++ == 0)
            *value = field->value;
    }
    return count;
}

bool ut_http_head_find_one(const ut_http_head *head, const char *name_z, ut_bytes *value)
{
    const ut_bytes name = ut_bytes_of_z(name_z);
    if (ut_http_head_find(head, name_z, value) == 0)
        return false;
    for (size_t i = 0; i < head->field_count; i++) {
        const ut_http_field *field = &head->fields[i];
        if (ut_bytes_equal_fold(field->name, name) && !ut_bytes_equal_fold(field->value, *value))
            return false;
    }
    return true;
}

void ut_http_head_split_target(ut_http_head *head, ut_bytes target)
{
    size_t begin = 0;
    if (target.len > 7 && ut_bytes_begins_fold(target, UT_BYTES_LIT("http://")))
        begin = 7;
    else if (target.len > 8 && ut_bytes_begins_fold(target, UT_BYTES_LIT("https://")))
        begin = 8;
    if (begin > 0) {
        while (begin < target.len && target.data[begin] != '/' && target.data[begin] != '?')
            begin++;
    }
    size_t end = begin;
    while (end < target.len && target.data[end] != '?')
        end++;
    head->path = end > begin ? ut_bytes_of(target.data + begin, end - begin) : UT_BYTES_LIT("/");
    head->query =
        end < target.len ? ut_bytes_of(target.data + end + 1, target.len - end - 1) : UT_BYTES_NONE;
}

static ut_bytes part_of(const ut_http_raw_head *raw, uint32_t at, uint32_t len)
{
    return ut_bytes_of(raw->bytes.data + at, len);
}

void ut_http_raw_head_view(const ut_http_raw_head *raw, ut_http_field *fields, ut_http_head *head)
{
    for (uint32_t i = 0; i < raw->field_count; i++) {
        const ut_http_raw_field *field = &raw->fields[i];
        fields[i].name = part_of(raw, field->name_at, field->name_len);
        fields[i].value = part_of(raw, field->value_at, field->value_len);
    }
    head->fields = fields;
    head->field_count = raw->field_count;
    ut_http_head_split_target(head, part_of(raw, 0, raw->target_len));
}
