// JSON Patch and JSON Merge Patch; see json_patch.h. Recursion is as deep as documents are nested,
// so every value is measured, and its depth with it, before another function descends into it.
#include "adapters/state/json_patch.h"

#include "adapters/encoding/json.h"
#include "adapters/encoding/json_write.h"

enum { PATH_SHOWN = 80 }; // bytes of a path in a fault

// One change under way.
typedef struct {
    const ut_json_patch_limits *limits;
    yyjson_mut_doc *doc; // the document in the making
    ut_buf token;        // the last token of a pointer, without its escapes
    size_t copied;       // bytes that "copy" has made so far
    // The operation, for faults: its number from 1 (0: none), name and path.
    ut_fault *fault;
    size_t number;
    const char *op_z;
    ut_bytes path;
} patching;

// The members of an operation, NULL where absent.
typedef struct {
    yyjson_val *op;
    yyjson_val *path;
    yyjson_val *from;
    yyjson_val *value;
} operation;

// Where a pointer leads.
typedef struct {
    yyjson_mut_val *parent; // NULL: the whole document
    yyjson_mut_val *value;  // NULL: nothing is there
    ut_bytes token;         // in the parent; valid until the next pointer is followed
    size_t index;           // of the token, in an array; its length for "-"
} place;

static ut_err fail(const patching *p, ut_err err, const char *text_z)
{
    if (p->number == 0)
        return ut_fault_set(p->fault, err, "%s", text_z);
    const int len = (int)(p->path.len < PATH_SHOWN ? p->path.len : PATH_SHOWN);
    return ut_fault_set(p->fault, err, "operation %zu (%s \"%.*s%s\"): %s", p->number, p->op_z, len,
                        p->path.data == NULL ? "" : (const char *)p->path.data,
                        p->path.len > PATH_SHOWN ? "..." : "", text_z);
}

static ut_err fail_memory(const patching *p)
{
    return fail(p, UT_ENOMEM, "out of memory");
}

static ut_err spend(const patching *p, uint64_t steps)
{
    if (*p->limits->work < steps) {
        *p->limits->work = 0;
        return fail(p, UT_ELIMIT, "takes too much work");
    }
    *p->limits->work -= steps;
    return UT_OK;
}

static ut_bytes text_of(yyjson_mut_val *value)
{
    return ut_bytes_of(unsafe_yyjson_get_str(value), unsafe_yyjson_get_len(value));
}

static bool is_text(yyjson_mut_val *value)
{
    return yyjson_mut_is_str(value) || yyjson_mut_is_raw(value);
}

// Adds the size of a value to *bytes. UT_ELIMIT: nested deeper than depth_left, or too much work.
static ut_err measure(const patching *p, yyjson_mut_val *value, uint32_t depth_left, size_t *bytes)
{
    const size_t len = is_text(value) ? unsafe_yyjson_get_len(value) : 0;
    ut_err err = spend(p, 1 + len / UT_JSON_PATCH_STEP_BYTES);
    if (err != UT_OK)
        return err;
    *bytes += 3 + len; // quotes, or brackets, or a short word; and a comma
    if (!yyjson_mut_is_ctn(value))
        return UT_OK;
    if (depth_left == 0)
        return fail(p, UT_ELIMIT, "the document would be nested too deep");
    size_t i;
    size_t max;
    yyjson_mut_val *key;
    yyjson_mut_val *child;
    if (yyjson_mut_is_arr(value)) {
        yyjson_mut_arr_foreach(value, i, max, child)
        {
            if ((err = measure(p, child, depth_left - 1, bytes)) != UT_OK)
                return err;
        }
        return UT_OK;
    }
    yyjson_mut_obj_foreach(value, i, max, key, child)
    {
        if ((err = measure(p, key, 0, bytes)) != UT_OK ||
            (err = measure(p, child, depth_left - 1, bytes)) != UT_OK)
            return err;
    }
    return UT_OK;
}

static ut_err measure_document(const patching *p, size_t *bytes)
{
    *bytes = 0;
    ut_err err = measure(p, yyjson_mut_doc_get_root(p->doc), UT_JSON_PATCH_DEPTH_MAX, bytes);
    if (err == UT_OK && *bytes > p->limits->bytes_max)
        err = fail(p, UT_ELIMIT, "the document would be too large");
    return err;
}

// ---- equality, as RFC 6902 has it in 4.6 ----

static bool equal_numbers(ut_bytes a, ut_bytes b)
{
    bool negative_a = false;
    bool negative_b = false;
    uint64_t whole_a = 0;
    uint64_t whole_b = 0;
    double real_a = 0;
    double real_b = 0;
    if (ut_bytes_equal(a, b))
        return true;
    const ut_json_number integer_a = ut_json_integer(a, &negative_a, &whole_a);
    const ut_json_number integer_b = ut_json_integer(b, &negative_b, &whole_b);
    if (integer_a == UT_JSON_NUMBER_OK && integer_b == UT_JSON_NUMBER_OK)
        return whole_a == whole_b && (negative_a == negative_b || whole_a == 0);
    if (integer_a != integer_b)
        return false;
    return ut_json_double(a, &real_a) == UT_JSON_NUMBER_OK &&
           ut_json_double(b, &real_b) == UT_JSON_NUMBER_OK && real_a == real_b;
}

// Compares two values that were measured. *equal is set on UT_OK.
static ut_err compare(const patching *p, yyjson_mut_val *a, yyjson_mut_val *b, bool *equal)
{
    *equal = false;
    ut_err err =
        spend(p, 1 + (is_text(a) ? unsafe_yyjson_get_len(a) / UT_JSON_PATCH_STEP_BYTES : 0));
    if (err != UT_OK || yyjson_mut_get_type(a) != yyjson_mut_get_type(b))
        return err;
    if (is_text(a)) {
        *equal = yyjson_mut_is_raw(a) ? equal_numbers(text_of(a), text_of(b))
                                      : ut_bytes_equal(text_of(a), text_of(b));
        return UT_OK;
    }
    if (!yyjson_mut_is_ctn(a)) {
        *equal = yyjson_mut_get_bool(a) == yyjson_mut_get_bool(b); // null is false
        return UT_OK;
    }
    if (unsafe_yyjson_get_len(a) != unsafe_yyjson_get_len(b))
        return UT_OK;
    *equal = true;
    size_t i;
    size_t max;
    yyjson_mut_val *key;
    yyjson_mut_val *child;
    if (yyjson_mut_is_arr(a)) {
        yyjson_mut_val *other = yyjson_mut_arr_get_first(b);
        yyjson_mut_arr_foreach(a, i, max, child)
        {
            if ((err = compare(p, child, other, equal)) != UT_OK || !*equal)
                return err;
            other = other->next;
        }
        return UT_OK;
    }
    yyjson_mut_obj_foreach(a, i, max, key, child)
    {
        yyjson_mut_val *other =
            yyjson_mut_obj_getn(b, unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key));
        err = spend(p, max);
        if (err == UT_OK && other != NULL)
            err = compare(p, child, other, equal);
        *equal = *equal && other != NULL;
        if (err != UT_OK || !*equal)
            return err;
    }
    return UT_OK;
}

// ---- pointers (RFC 6901) ----

// Takes the escapes out of a token: ~1 is a slash, ~0 a tilde.
static ut_err unescape(patching *p, ut_bytes raw, ut_bytes *token)
{
    *token = raw;
    if (raw.len == 0 || memchr(raw.data, '~', raw.len) == NULL)
        return UT_OK;
    ut_buf_reset(&p->token, SIZE_MAX);
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t byte = raw.data[i];
        if (byte == '~') {
            i++;
            if (i == raw.len || (raw.data[i] != '0' && raw.data[i] != '1'))
                return fail(p, UT_EFORMAT, "a path has ~ without 0 or 1 behind it");
            byte = raw.data[i] == '0' ? '~' : '/';
        }
        ut_buf_add_byte(&p->token, byte);
    }
    *token = ut_buf_bytes(&p->token);
    return p->token.err == UT_OK ? UT_OK : fail_memory(p);
}

// Reads an index: decimal without leading zeros, or "-" for the length. False: it is none.
static bool read_index(ut_bytes token, size_t length, size_t *index)
{
    *index = length;
    if (token.len == 1 && token.data[0] == '-')
        return true;
    if (token.len == 0 || token.len > 9 || (token.len > 1 && token.data[0] == '0'))
        return false;
    size_t value = 0;
    for (size_t i = 0; i < token.len; i++) {
        if (token.data[i] < '0' || token.data[i] > '9')
            return false;
        value = value * 10 + (size_t)(token.data[i] - '0');
    }
    *index = value;
    return true;
}

// Finds the value under at->token in at->parent; at->value NULL: nothing is there.
static ut_err look_up(const patching *p, place *at)
{
    at->value = NULL;
    if (yyjson_mut_is_obj(at->parent)) {
        at->value =
            at->token.len == 0
                ? yyjson_mut_obj_getn(at->parent, "", 0)
                : yyjson_mut_obj_getn(at->parent, (const char *)at->token.data, at->token.len);
        return spend(p, unsafe_yyjson_get_len(at->parent));
    }
    if (!yyjson_mut_is_arr(at->parent))
        return fail(p, UT_EINVAL, "the path goes through a value that holds nothing");
    const size_t length = unsafe_yyjson_get_len(at->parent);
    if (!read_index(at->token, length, &at->index))
        return fail(p, UT_EINVAL, "the path has no index where an array is");
    if (at->index < length)
        at->value = yyjson_mut_arr_get(at->parent, at->index);
    return spend(p, at->index < length ? at->index : 0);
}

// Follows a pointer from the root. Its last value may be absent, those on the way may not.
static ut_err follow(patching *p, ut_bytes pointer, place *at)
{
    *at = (place){.value = yyjson_mut_doc_get_root(p->doc)};
    if (pointer.len > 0 && pointer.data[0] != '/')
        return fail(p, UT_EFORMAT, "a path begins with / or is empty");
    for (size_t from = 0; from < pointer.len;) {
        if (at->value == NULL)
            return fail(p, UT_EINVAL, "the path goes through something that is not there");
        size_t to = from + 1;
        while (to < pointer.len && pointer.data[to] != '/')
            to++;
        ut_err err = unescape(p, ut_bytes_of(pointer.data + from + 1, to - from - 1), &at->token);
        at->parent = at->value;
        if (err == UT_OK)
            err = look_up(p, at);
        if (err == UT_OK)
            err = spend(p, 1);
        if (err != UT_OK)
            return err;
        from = to;
    }
    return UT_OK;
}

static ut_err follow_existing(patching *p, ut_bytes pointer, place *at)
{
    ut_err err = follow(p, pointer, at);
    if (err == UT_OK && at->value == NULL)
        err = fail(p, UT_EINVAL, "nothing is there");
    return err;
}

// ---- operations ----

// Puts value where a pointer leads: in the place of the document, before an element of an array, or
// as a member, which replaces one of the same name.
static ut_err put(const patching *p, const place *at, yyjson_mut_val *value)
{
    if (at->parent == NULL) {
        yyjson_mut_doc_set_root(p->doc, value);
        return UT_OK;
    }
    if (yyjson_mut_is_arr(at->parent)) {
        if (at->index > unsafe_yyjson_get_len(at->parent))
            return fail(p, UT_EINVAL, "the index is beyond the end of the array");
        (void)yyjson_mut_arr_insert(at->parent, value, at->index); // was checked
        return UT_OK;
    }
    yyjson_mut_val *key =
        at->token.len == 0
            ? yyjson_mut_str(p->doc, "")
            : yyjson_mut_strncpy(p->doc, (const char *)at->token.data, at->token.len);
    if (key == NULL)
        return fail_memory(p);
    (void)yyjson_mut_obj_put(at->parent, key, value); // an object and a string
    return UT_OK;
}

// Removes a value that is there and is not the document.
static void take_out(const place *at)
{
    if (yyjson_mut_is_arr(at->parent))
        (void)yyjson_mut_arr_remove(at->parent, at->index); // known to be there
    else if (at->token.len == 0)
        (void)yyjson_mut_obj_remove_keyn(at->parent, "", 0);
    else
        (void)yyjson_mut_obj_remove_keyn(at->parent, (const char *)at->token.data, at->token.len);
}

static ut_err add_value(patching *p, ut_bytes path, yyjson_mut_val *value)
{
    place at;
    ut_err err = follow(p, path, &at);
    return err == UT_OK ? put(p, &at, value) : err;
}

static ut_err remove_value(patching *p, ut_bytes path)
{
    place at;
    ut_err err = follow_existing(p, path, &at);
    if (err != UT_OK)
        return err;
    if (at.parent != NULL) {
        take_out(&at);
        return UT_OK;
    }
    yyjson_mut_val *nothing = yyjson_mut_null(p->doc); // without its root the document is null
    return nothing == NULL ? fail_memory(p) : put(p, &at, nothing);
}

static ut_err replace_value(patching *p, ut_bytes path, yyjson_mut_val *value)
{
    place at;
    ut_err err = follow_existing(p, path, &at);
    if (err != UT_OK)
        return err;
    if (at.parent != NULL && yyjson_mut_is_arr(at.parent)) {
        (void)yyjson_mut_arr_replace(at.parent, at.index, value); // known to be there
        return UT_OK;
    }
    return put(p, &at, value);
}

static ut_err move_value(patching *p, ut_bytes from, ut_bytes path)
{
    place at;
    ut_err err = follow_existing(p, from, &at);
    if (err != UT_OK || ut_bytes_equal(from, path))
        return err;
    if (path.len > from.len && path.data[from.len] == '/' &&
        (from.len == 0 || memcmp(path.data, from.data, from.len) == 0))
        return fail(p, UT_EINVAL, "a value cannot be moved into itself");
    yyjson_mut_val *value = at.value;
    if (at.parent != NULL)
        take_out(&at);
    return add_value(p, path, value);
}

static ut_err copy_value(patching *p, ut_bytes from, ut_bytes path)
{
    place at;
    ut_err err = follow_existing(p, from, &at);
    if (err == UT_OK)
        err = measure(p, at.value, UT_JSON_PATCH_DEPTH_MAX, &p->copied);
    if (err != UT_OK)
        return err;
    if (p->copied > p->limits->bytes_max)
        return fail(p, UT_ELIMIT, "the document would be too large");
    yyjson_mut_val *copy = yyjson_mut_val_mut_copy(p->doc, at.value);
    return copy == NULL ? fail_memory(p) : add_value(p, path, copy);
}

static ut_err test_value(patching *p, ut_bytes path, yyjson_mut_val *value)
{
    place at;
    bool equal = false;
    size_t ignored = 0;
    ut_err err = follow_existing(p, path, &at);
    if (err == UT_OK)
        err = measure(p, at.value, UT_JSON_PATCH_DEPTH_MAX, &ignored);
    if (err == UT_OK)
        err = measure(p, value, UT_JSON_PATCH_DEPTH_MAX, &ignored);
    if (err == UT_OK)
        err = compare(p, value, at.value, &equal);
    if (err == UT_OK && !equal)
        err = fail(p, UT_EINVAL, "the test failed: another value is there");
    return err;
}

// ---- a patch ----

static ut_err read_operation(const patching *p, yyjson_val *from, operation *read)
{
    *read = (operation){0};
    if (!yyjson_is_obj(from))
        return fail(p, UT_EFORMAT, "is not an object");
    size_t i;
    size_t max;
    yyjson_val *key;
    yyjson_val *value;
    yyjson_obj_foreach(from, i, max, key, value)
    {
        yyjson_val **member = yyjson_equals_str(key, "op")      ? &read->op
                              : yyjson_equals_str(key, "path")  ? &read->path
                              : yyjson_equals_str(key, "from")  ? &read->from
                              : yyjson_equals_str(key, "value") ? &read->value
                                                                : NULL;
        if (member != NULL && *member != NULL)
            return fail(p, UT_EFORMAT, "has a member twice");
        if (member != NULL)
            *member = value;
    }
    if (!yyjson_is_str(read->op) || !yyjson_is_str(read->path))
        return fail(p, UT_EFORMAT, "needs \"op\" and \"path\", both strings");
    return spend(p, max);
}

static ut_bytes string_of(yyjson_val *value)
{
    return ut_bytes_of(yyjson_get_str(value), yyjson_get_len(value));
}

static ut_err apply_operation(patching *p, yyjson_val *from)
{
    static const char *const names[] = {"add", "replace", "test", "move", "copy", "remove"};
    enum { ADD, REPLACE, TEST, MOVE, COPY, REMOVE, NAMES };
    operation read;
    p->op_z = "?";
    p->path = UT_BYTES_NONE;
    ut_err err = read_operation(p, from, &read);
    if (err != UT_OK)
        return err;
    uint32_t op = 0;
    while (op < NAMES && !yyjson_equals_str(read.op, names[op]))
        op++;
    if (op == NAMES)
        return fail(p, UT_EFORMAT, "\"op\" is none of add, remove, replace, move, copy and test");
    p->op_z = names[op];
    p->path = string_of(read.path);
    if ((op == MOVE || op == COPY) && !yyjson_is_str(read.from))
        return fail(p, UT_EFORMAT, "needs \"from\", a string");
    if (op == REMOVE)
        return remove_value(p, p->path);
    if (op == MOVE)
        return move_value(p, string_of(read.from), p->path);
    if (op == COPY)
        return copy_value(p, string_of(read.from), p->path);
    if (read.value == NULL)
        return fail(p, UT_EFORMAT, "needs \"value\"");
    yyjson_mut_val *value = yyjson_val_mut_copy(p->doc, read.value);
    if (value == NULL)
        return fail_memory(p);
    return op == ADD       ? add_value(p, p->path, value)
           : op == REPLACE ? replace_value(p, p->path, value)
                           : test_value(p, p->path, value);
}

static ut_err apply_patch(patching *p, yyjson_val *change)
{
    size_t i;
    size_t max;
    yyjson_val *from;
    yyjson_arr_foreach(change, i, max, from)
    {
        p->number = i + 1;
        ut_err err = apply_operation(p, from);
        if (err != UT_OK)
            return err;
    }
    p->number = 0;
    return UT_OK;
}

// ---- a merge patch ----

// Makes a value that shares the content of another. yyjson links values into the list of their
// container, so one value cannot stand in two.
static yyjson_mut_val *share(const patching *p, yyjson_mut_val *value)
{
    yyjson_mut_val *made = yyjson_mut_null(p->doc);
    if (made != NULL) {
        made->tag = value->tag;
        made->uni = value->uni;
    }
    return made;
}

// Merges an object that was measured into an object. A value of change goes on to be used in
// target, where nothing else holds it.
static ut_err merge_into(const patching *p, yyjson_mut_val *target, yyjson_mut_val *change)
{
    // A whole state comes with its members in the same order, and then nothing has to be searched:
    // next is the key of target that is expected. yyjson keeps the members of an object as a ring
    // of keys and values, and points to the last key; behind its value stands the first key.
    yyjson_mut_val *next =
        unsafe_yyjson_get_len(target) == 0 ? NULL : ((yyjson_mut_val *)target->uni.ptr)->next->next;
    size_t i;
    size_t max;
    yyjson_mut_val *key;
    yyjson_mut_val *value;
    yyjson_mut_obj_foreach(change, i, max, key, value)
    {
        const char *name = unsafe_yyjson_get_str(key);
        const size_t name_len = unsafe_yyjson_get_len(key);
        yyjson_mut_val *there = NULL;
        const bool in_order = next != NULL && yyjson_mut_equals_strn(next, name, name_len);
        ut_err err = spend(p, in_order ? 1 : 1 + unsafe_yyjson_get_len(target));
        if (in_order) {
            there = next->next;
            next = there->next;
        } else {
            there = yyjson_mut_obj_getn(target, name, name_len);
        }
        if (err != UT_OK)
            return err;
        if (yyjson_mut_is_null(value)) {
            if (there != NULL) {
                (void)yyjson_mut_obj_remove_keyn(target, name, name_len); // it is there
                next = NULL;
                err = spend(p, unsafe_yyjson_get_len(target));
            }
            if (err != UT_OK)
                return err;
            continue;
        }
        if (there == NULL) {
            there = yyjson_mut_null(p->doc);
            yyjson_mut_val *own_key = share(p, key);
            if (there == NULL || own_key == NULL)
                return fail_memory(p);
            (void)yyjson_mut_obj_add(target, own_key, there); // an object and a string
        }
        if (!yyjson_mut_is_obj(value)) {
            there->tag = value->tag;
            there->uni = value->uni;
            continue;
        }
        if (!yyjson_mut_is_obj(there)) {
            yyjson_mut_val *empty = yyjson_mut_obj(p->doc);
            if (empty == NULL)
                return fail_memory(p);
            there->tag = empty->tag;
            there->uni = empty->uni;
        }
        if ((err = merge_into(p, there, value)) != UT_OK)
            return err;
    }
    return UT_OK;
}

static ut_err apply_merge(patching *p, yyjson_val *change)
{
    size_t ignored = 0;
    yyjson_mut_val *root = yyjson_mut_doc_get_root(p->doc);
    yyjson_mut_val *copy = yyjson_val_mut_copy(p->doc, change);
    if (copy == NULL)
        return fail_memory(p);
    ut_err err = measure(p, copy, UT_JSON_PATCH_DEPTH_MAX, &ignored);
    if (err != UT_OK)
        return err;
    if (!yyjson_mut_is_obj(root)) {
        root = yyjson_mut_obj(p->doc);
        if (root == NULL)
            return fail_memory(p);
        yyjson_mut_doc_set_root(p->doc, root);
    }
    return merge_into(p, root, copy);
}

// ---- reading, applying, writing ----

static ut_err parse(const patching *p, ut_bytes text, yyjson_doc **doc)
{
    *doc = NULL;
    if (*p->limits->work == 0) // refused before yyjson copies the text
        return fail(p, UT_ELIMIT, "takes too much work");
    if (text.len == 0)
        return ut_fault_set(p->fault, UT_EFORMAT, "the text is empty where JSON is expected");
    if (text.len > p->limits->bytes_max)
        return ut_fault_set(p->fault, UT_ELIMIT, "the text of %zu bytes is too large", text.len);
    yyjson_read_err error = {0};
    // Not const, but without YYJSON_READ_INSITU the text is copied first and stays as it is.
    const union {
        const uint8_t *data;
        char *text;
    } from = {text.data};
    *doc = yyjson_read_opts(from.text, text.len, YYJSON_READ_NUMBER_AS_RAW, NULL, &error);
    if (*doc != NULL)
        return spend(p, text.len / UT_JSON_PATCH_STEP_BYTES);
    if (error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return fail_memory(p);
    return ut_fault_set(p->fault, UT_EFORMAT, "not valid JSON: %s at byte %zu",
                        error.msg != NULL ? error.msg : "unknown error", error.pos);
}

ut_err ut_json_patch_read(ut_bytes text, const ut_json_patch_limits *limits, yyjson_mut_doc **doc,
                          size_t *bytes, ut_fault *fault)
{
    patching p = {.limits = limits, .fault = fault, .op_z = ""};
    yyjson_doc *parsed = NULL;
    *doc = NULL;
    *bytes = 0;
    ut_err err = parse(&p, text, &parsed);
    if (err == UT_OK) {
        p.doc = yyjson_doc_mut_copy(parsed, NULL);
        err = p.doc == NULL ? fail_memory(&p) : measure_document(&p, bytes);
    }
    yyjson_doc_free(parsed);
    if (err == UT_OK)
        *doc = p.doc;
    else
        yyjson_mut_doc_free(p.doc);
    return err;
}

ut_err ut_json_patch_apply(yyjson_mut_doc *before, ut_bytes text,
                           const ut_json_patch_limits *limits, yyjson_mut_doc **after,
                           size_t *bytes, bool *merge, ut_fault *fault)
{
    patching p = {.limits = limits, .fault = fault, .op_z = ""};
    yyjson_doc *parsed = NULL;
    *after = NULL;
    *bytes = 0;
    *merge = false;
    ut_buf_init(&p.token, limits->bytes_max + 1);
    ut_err err = parse(&p, text, &parsed);
    if (err != UT_OK)
        goto done;
    yyjson_val *change = yyjson_doc_get_root(parsed);
    *merge = yyjson_is_obj(change);
    if (!*merge && !yyjson_is_arr(change)) {
        err = ut_fault_set(fault, UT_EFORMAT,
                           "a change is an array of operations or an object, found %s",
                           ut_json_type_text(change));
        goto done;
    }
    p.doc = yyjson_mut_doc_mut_copy(before, NULL); // measured when it was made
    if (p.doc == NULL) {
        err = fail_memory(&p);
        goto done;
    }
    err = *merge ? apply_merge(&p, change) : apply_patch(&p, change);
    if (err == UT_OK)
        err = measure_document(&p, bytes);
done:
    yyjson_doc_free(parsed);
    ut_buf_free(&p.token);
    if (err == UT_OK)
        *after = p.doc;
    else
        yyjson_mut_doc_free(p.doc);
    return err;
}

static void write_value(ut_json_writer *json, yyjson_mut_val *value)
{
    size_t i;
    size_t max;
    yyjson_mut_val *key;
    yyjson_mut_val *child;
    switch (yyjson_mut_get_type(value)) {
    case YYJSON_TYPE_RAW:
        ut_buf_add_bytes(ut_json_write_raw(json, NULL), text_of(value));
        break;
    case YYJSON_TYPE_STR:
        ut_json_write_text(json, NULL, text_of(value));
        break;
    case YYJSON_TYPE_BOOL:
        ut_json_write_bool(json, NULL, yyjson_mut_get_bool(value));
        break;
    case YYJSON_TYPE_ARR:
        ut_json_write_array(json, NULL);
        yyjson_mut_arr_foreach(value, i, max, child) write_value(json, child);
        ut_json_write_close(json);
        break;
    case YYJSON_TYPE_OBJ:
        ut_json_write_object(json, NULL);
        yyjson_mut_obj_foreach(value, i, max, key, child)
        {
            ut_json_write_key(json, text_of(key));
            write_value(json, child);
        }
        ut_json_write_close(json);
        break;
    default:
        ut_json_write_null(json, NULL);
    }
}

void ut_json_patch_write(yyjson_mut_doc *doc, ut_buf *out)
{
    ut_json_writer json = ut_json_writer_of(out);
    write_value(&json, yyjson_mut_doc_get_root(doc));
}
