// Strict reading of YAML with a place in every fault; see config_yaml.h. libyaml parses, and its
// document API keeps the place of every node.
#include "agent/config/config_yaml.h"

#include "port/base/nearest.h"
#include "port/base/text.h"
#include "port/port.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FOUND_TEXT_MAX = 48, // of the file's text that a fault repeats
    PEM_FILE_BYTES_MAX = 4 * 1024 * 1024,
    ENV_NAME_MAX = 128,
    SCALAR_BYTES_MAX = 64 * 1024,
};

struct ut_owned {
    ut_owned *next;
};

void *ut_owned_alloc(ut_owned **owned, size_t size)
{
    // The header is padded so that the bytes behind it are aligned for any type.
    const size_t head = (sizeof(ut_owned) + 15) & ~(size_t)15;
    ut_owned *block = calloc(1, head + size);
    if (block == NULL)
        return NULL;
    block->next = *owned;
    *owned = block;
    return (uint8_t *)block + head;
}

void ut_owned_free(ut_owned *owned)
{
    while (owned != NULL) {
        ut_owned *next = owned->next;
        free(owned);
        owned = next;
    }
}

ut_err ut_yaml_fail_at(ut_yaml *yaml, const yaml_node_t *node, ut_err code, const char *format_z,
                       ...)
{
    char text[UT_FAULT_TEXT_MAX];
    va_list args;
    va_start(args, format_z);
    (void)vsnprintf(text, sizeof(text), format_z, args); // cut at the end when too long
    va_end(args);
    if (yaml->placeless)
        return ut_fault_set(yaml->fault, code, "%s: %s", yaml->path_z, text);
    (void)ut_fault_set(yaml->fault, code, "%s:%zu:%zu: %s", yaml->path_z, node->start_mark.line + 1,
                       node->start_mark.column + 1, text);
    return code;
}

ut_err ut_yaml_fail(ut_yaml *yaml, const yaml_node_t *node, ut_err code, const char *expected_z)
{
    if (node->type == YAML_MAPPING_NODE)
        return ut_yaml_fail_at(yaml, node, code, "found a mapping, expected %s", expected_z);
    if (node->type == YAML_SEQUENCE_NODE)
        return ut_yaml_fail_at(yaml, node, code, "found a list, expected %s", expected_z);
    if (node->data.scalar.length == 0)
        return ut_yaml_fail_at(yaml, node, code, "found nothing, expected %s", expected_z);

    char found[FOUND_TEXT_MAX + 4];
    size_t len = node->data.scalar.length;
    const bool cut = len > FOUND_TEXT_MAX;
    if (cut)
        len = FOUND_TEXT_MAX;
    for (size_t i = 0; i < len; i++) {
        const uint8_t byte = node->data.scalar.value[i];
        found[i] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
    }
    (void)snprintf(found + len, sizeof(found) - len, "%s", cut ? "..." : "");
    return ut_yaml_fail_at(yaml, node, code, "found \"%s\", expected %s", found, expected_z);
}

static ut_bytes line_of(ut_bytes text, size_t number)
{
    size_t begin = 0;
    for (; number > 0 && begin < text.len; begin++)
        number -= text.data[begin] == '\n' ? 1 : 0;
    size_t end = begin;
    while (end < text.len && text.data[end] != '\n')
        end++;
    return ut_bytes_of(text.data + begin, end - begin);
}

// Whether a line has "${" outside of quotes. Within { } its closing brace ends the mapping, so that
// what libyaml misses is something else.
static bool has_bare_reference(ut_bytes line)
{
    char quote = 0;
    for (size_t i = 0; i + 1 < line.len; i++) {
        const char c = (char)line.data[i];
        if (quote != 0)
            quote = (char)(c == quote ? 0 : quote);
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == '$' && line.data[i + 1] == '{')
            return true;
    }
    return false;
}

// Says why text is not YAML: libyaml's words, but for two slips that they do not name.
static void explain(ut_yaml *yaml, const yaml_parser_t *parser, ut_bytes text, ut_err err)
{
    const char *const problem_z = parser->problem == NULL ? "not YAML" : parser->problem;
    const yaml_mark_t *const mark = &parser->problem_mark;
    const ut_bytes line = line_of(text, mark->line);
    const char *reason_z = NULL;
    if (mark->column < line.len && line.data[mark->column] == '\t')
        reason_z = "found a tab, expected spaces: YAML is not indented with tabs";
    else if (has_bare_reference(line) ||
             (parser->context != NULL &&
              has_bare_reference(line_of(text, parser->context_mark.line))))
        reason_z = "found ${...} without quotes within { } or [ ], expected \"${...}\": quote the "
                   "whole value";
    if (reason_z != NULL)
        (void)ut_fault_set(yaml->fault, err, "%s:%zu:%zu: %s", yaml->path_z, mark->line + 1,
                           mark->column + 1, reason_z);
    else
        (void)ut_fault_set(yaml->fault, err, "%s:%zu:%zu: %s%s%s", yaml->path_z, mark->line + 1,
                           mark->column + 1, problem_z, parser->context == NULL ? "" : ", ",
                           parser->context == NULL ? "" : parser->context);
}

ut_err ut_yaml_load(ut_yaml *yaml, ut_bytes text, yaml_node_t **root)
{
    yaml_parser_t parser;
    ut_err err = UT_OK;

    *root = NULL;
    if (!yaml_parser_initialize(&parser))
        return ut_fault_set(yaml->fault, UT_ENOMEM, "%s: out of memory", yaml->path_z);
    yaml_parser_set_input_string(&parser, text.data == NULL ? (const uint8_t *)"" : text.data,
                                 text.len);
    if (!yaml_parser_load(&parser, &yaml->document)) {
        err = parser.error == YAML_MEMORY_ERROR ? UT_ENOMEM : UT_EFORMAT;
        explain(yaml, &parser, text, err);
        goto done;
    }
    *root = yaml_document_get_root_node(&yaml->document);

    // A second document is refused; libyaml alone would ignore it in silence.
    yaml_document_t second;
    if (*root != NULL) {
        if (!yaml_parser_load(&parser, &second)) {
            err = UT_EFORMAT;
            explain(yaml, &parser, text, err);
        } else {
            const yaml_node_t *other = yaml_document_get_root_node(&second);
            if (other != NULL)
                err = ut_yaml_fail_at(yaml, other, UT_EFORMAT,
                                      "found a second document, expected one document in the file");
            yaml_document_delete(&second);
        }
    }
    if (err != UT_OK)
        yaml_document_delete(&yaml->document);
done:
    yaml_parser_delete(&parser);
    return err;
}

bool ut_yaml_is_text(const yaml_node_t *node, const char *text_z)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.length == strlen(text_z) &&
           memcmp(node->data.scalar.value, text_z, node->data.scalar.length) == 0;
}

static const ut_yaml_field *field_named(const ut_yaml_field *fields, const yaml_node_t *key)
{
    for (const ut_yaml_field *field = fields; field->key_z != NULL; field++) {
        if (ut_yaml_is_text(key, field->key_z))
            return field;
    }
    return NULL;
}

static ut_err fail_unknown_key(ut_yaml *yaml, const yaml_node_t *key, const ut_yaml_field *fields,
                               const char *what_z)
{
    ut_nearest near = ut_nearest_of((const char *)key->data.scalar.value, key->data.scalar.length);
    for (const ut_yaml_field *field = fields; field->key_z != NULL; field++)
        ut_nearest_try(&near, field->key_z);
    char expected[UT_FAULT_TEXT_MAX];
    if (near.found_z != NULL) {
        (void)snprintf(expected, sizeof(expected), "a key of %s; did you mean %s?", what_z,
                       near.found_z);
        return ut_yaml_fail(yaml, key, UT_EFORMAT, expected);
    }
    ut_buf known;
    ut_buf_init(&known, UT_FAULT_TEXT_MAX);
    for (const ut_yaml_field *field = fields; field->key_z != NULL; field++)
        ut_buf_printf(&known, "%s%s", field == fields ? "" : ", ", field->key_z);
    ut_buf_add_byte(&known, 0);
    (void)snprintf(expected, sizeof(expected), "a key of %s: %s", what_z,
                   known.err == UT_OK ? (const char *)known.data : "see docs/CONFIG.md");
    ut_buf_free(&known);
    return ut_yaml_fail(yaml, key, UT_EFORMAT, expected);
}

bool ut_yaml_need(ut_yaml *yaml, ut_config_use use)
{
    const bool closed = yaml->closed;
    yaml->closed = yaml->use < use;
    return closed;
}

ut_err ut_yaml_read_map(ut_yaml *yaml, yaml_node_t *node, const ut_yaml_field *fields, void *target,
                        const char *what_z)
{
    if (node->type != YAML_MAPPING_NODE) {
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "a mapping (%s)", what_z);
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    }
    bool unknown = false;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(&yaml->document, pair->key);
        if (key->type != YAML_SCALAR_NODE)
            return ut_yaml_fail(yaml, key, UT_EFORMAT, "a key");
        const ut_yaml_field *field = field_named(fields, key);
        if (field == NULL)
            return fail_unknown_key(yaml, key, fields, what_z);
        for (yaml_node_pair_t *before = node->data.mapping.pairs.start; before < pair; before++) {
            yaml_node_t *other = yaml_document_get_node(&yaml->document, before->key);
            if (field_named(fields, other) == field)
                return ut_yaml_fail_at(yaml, key, UT_EFORMAT,
                                       "found \"%s\" a second time, first in line %zu",
                                       field->key_z, other->start_mark.line + 1);
        }
        yaml_node_t *value = yaml_document_get_node(&yaml->document, pair->value);
        const ut_err err = field->read(yaml, value, (uint8_t *)target + field->offset);
        if (err != UT_OK && err != UT_YAML_UNKNOWN)
            return err;
        unknown = unknown || err == UT_YAML_UNKNOWN;
    }
    return unknown ? UT_YAML_UNKNOWN : UT_OK;
}

// Appends the value of the reference that begins behind "${" at text; *used counts its bytes with
// the closing brace. UT_YAML_UNKNOWN: nothing is appended.
static ut_err add_reference(ut_yaml *yaml, const yaml_node_t *node, const char *text, size_t len,
                            ut_buf *out, size_t *used)
{
    const char *close = memchr(text, '}', len);
    if (close == NULL || (size_t)(close - text) < 5 || memcmp(text, "env:", 4) != 0)
        return ut_yaml_fail(yaml, node, UT_EFORMAT,
                            "${env:NAME}, ${env:NAME:-default}, or $$ for one $");
    const char *name = text + 4;
    size_t name_len = (size_t)(close - name);
    const char *fallback = NULL;
    for (size_t i = 0; i + 1 < name_len; i++) {
        if (name[i] == ':' && name[i + 1] == '-') {
            fallback = name + i + 2;
            name_len = i;
            break;
        }
    }
    char name_z[ENV_NAME_MAX];
    if (name_len == 0 || name_len >= sizeof(name_z))
        return ut_yaml_fail(yaml, node, UT_EFORMAT,
                            "the name of an environment variable of at most 127 bytes");
    memcpy(name_z, name, name_len);
    name_z[name_len] = 0;
    *used = (size_t)(close - text) + 1;
    if (yaml->closed)
        return UT_YAML_UNKNOWN;

    const char *value_z = getenv(name_z);
    if (value_z != NULL && !(fallback != NULL && value_z[0] == 0))
        ut_buf_add_z(out, value_z);
    else if (fallback != NULL)
        ut_buf_add(out, fallback, (size_t)(close - fallback));
    else
        return ut_yaml_fail_at(
            yaml, node, UT_EINVAL,
            "found ${env:%s}, but the environment has no %s: set it, or write ${env:%s:-default}",
            name_z, name_z, name_z);
    return UT_OK;
}

// Keeps a warning of the $ at text[at], which a shell would replace together with the name behind
// it. What stands there may be a secret: the name is repeated only where it looks like one of a
// variable and is a word of its own.
static void note_dollar(ut_yaml *yaml, const yaml_node_t *node, const char *text, size_t at)
{
    static const char name_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    enum { NAME_LEN_MAX = 64 };
    const char first = text[at + 1];
    if (yaml->dollar_z != NULL ||
        !(first == '_' || (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z')))
        return;
    const char *name = text + at + 1;
    const size_t len = strspn(name, name_chars);
    const bool word = (at == 0 || text[at - 1] == ' ') && len <= NAME_LEN_MAX &&
                      (name[len] == '\0' || name[len] == ' ');
    ut_fault text_of = {UT_OK, ""};
    ut_fault *fault = yaml->fault;
    yaml->fault = &text_of; // its sentence begins with the place
    if (word)
        (void)ut_yaml_fail_at(yaml, node, UT_EINVAL,
                              "$%.*s is not replaced; ${env:%.*s} is, and $$ is one $", (int)len,
                              name, (int)len, name);
    else
        (void)ut_yaml_fail_at(yaml, node, UT_EINVAL,
                              "a $ with a name behind it is not replaced; ${env:NAME} is, and $$ "
                              "is one $");
    yaml->fault = fault;
    yaml->dollar_z = ut_owned_alloc(yaml->owned, strlen(text_of.text_z) + 1);
    if (yaml->dollar_z != NULL)
        memcpy(yaml->dollar_z, text_of.text_z, strlen(text_of.text_z) + 1);
}

ut_err ut_yaml_scalar(ut_yaml *yaml, yaml_node_t *node, const char *expected_z, char **text_z)
{
    if (node->type != YAML_SCALAR_NODE)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected_z);
    const char *text = (const char *)node->data.scalar.value;
    const size_t len = node->data.scalar.length;
    if (memchr(text, 0, len) != NULL)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, "text without a zero byte");

    ut_buf out;
    ut_buf_init(&out, SCALAR_BYTES_MAX);
    ut_err err = UT_OK;
    bool unknown = false;
    for (size_t i = 0; i < len && err == UT_OK;) {
        if (text[i] == '$' && i + 1 < len && text[i + 1] == '$') {
            ut_buf_add_byte(&out, '$');
            i += 2;
        } else if (text[i] == '$' && i + 1 < len && text[i + 1] == '{') {
            size_t used = 0;
            err = add_reference(yaml, node, text + i + 2, len - i - 2, &out, &used);
            i += 2 + used;
            unknown = unknown || err == UT_YAML_UNKNOWN;
            err = err == UT_YAML_UNKNOWN ? UT_OK : err;
        } else {
            if (text[i] == '$' && i + 1 < len)
                note_dollar(yaml, node, text, i);
            ut_buf_add_byte(&out, (uint8_t)text[i]);
            i++;
        }
    }
    ut_buf_add_byte(&out, 0);
    if (err == UT_OK && out.err != UT_OK)
        err = ut_yaml_fail_at(yaml, node, out.err, "found a value of more than %d bytes",
                              SCALAR_BYTES_MAX);
    if (err == UT_OK && unknown)
        err = UT_YAML_UNKNOWN;
    if (err == UT_OK) {
        *text_z = ut_owned_alloc(yaml->owned, out.len);
        if (*text_z == NULL)
            err = ut_yaml_fail_at(yaml, node, UT_ENOMEM, "out of memory");
        else
            memcpy(*text_z, out.data, out.len);
    }
    ut_buf_free(&out);
    return err;
}

ut_err ut_yaml_read_string(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, "text", &text_z);
    if (text_z == NULL)
        return err;
    if (text_z[0] == 0)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, "text that is not empty");
    *(char **)target = text_z;
    return UT_OK;
}

char *ut_yaml_join(ut_yaml *yaml, const char *name_z)
{
    const size_t dir_len = name_z[0] == '/' ? 0 : yaml->dir_len;
    const size_t len = strlen(name_z);
    char *path_z = ut_owned_alloc(yaml->owned, dir_len + len + 1);
    if (path_z != NULL) {
        memcpy(path_z, yaml->path_z, dir_len);
        memcpy(path_z + dir_len, name_z, len + 1);
    }
    return path_z;
}

ut_err ut_yaml_read_path(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    char *name_z = NULL;
    const ut_err err = ut_yaml_read_string(yaml, node, &name_z);
    if (name_z == NULL)
        return err;
    char *path_z = ut_yaml_join(yaml, name_z);
    if (path_z == NULL)
        return ut_yaml_fail_at(yaml, node, UT_ENOMEM, "out of memory");
    *(char **)target = path_z;
    return UT_OK;
}

ut_err ut_yaml_read_bool(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, "true or false", &text_z);
    if (text_z == NULL)
        return err;
    if (strcmp(text_z, "true") == 0)
        *(bool *)target = true;
    else if (strcmp(text_z, "false") == 0)
        *(bool *)target = false;
    else
        return ut_yaml_fail(yaml, node, UT_EFORMAT, "true or false");
    return UT_OK;
}

ut_err ut_yaml_read_size(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "a size such as 64KiB, 256MiB or 1GiB";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (text_z == NULL)
        return err;
    uint64_t bytes = 0;
    if (ut_text_parse_size(ut_bytes_of_z(text_z), &bytes) != UT_OK || bytes == 0)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    *(uint64_t *)target = bytes;
    return UT_OK;
}

ut_err ut_yaml_read_size32(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    uint64_t bytes = 0;
    const ut_err err = ut_yaml_read_size(yaml, node, &bytes);
    if (err != UT_OK)
        return err;
    if (bytes > 1024 * 1024 * 1024)
        return ut_yaml_fail(yaml, node, UT_EINVAL, "a size of at most 1GiB");
    *(uint32_t *)target = (uint32_t)bytes;
    return UT_OK;
}

ut_err ut_yaml_read_duration(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "a duration with its unit such as 250ms, 30s, 12h or 30d";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (text_z == NULL)
        return err;
    if (ut_text_parse_duration(ut_bytes_of_z(text_z), (uint64_t *)target) != UT_OK)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    return UT_OK;
}

ut_err ut_yaml_read_duration32(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    uint64_t ms = 0;
    const ut_err err = ut_yaml_read_duration(yaml, node, &ms);
    if (err != UT_OK)
        return err;
    if (ms == 0 || ms > 30ULL * 24 * 3600 * 1000)
        return ut_yaml_fail(yaml, node, UT_EINVAL, "a duration of 1ms to 30d");
    *(uint32_t *)target = (uint32_t)ms;
    return UT_OK;
}

ut_err ut_yaml_read_count32(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "a whole number";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (text_z == NULL)
        return err;
    uint64_t value = 0;
    if (ut_text_parse_uint(ut_bytes_of_z(text_z), &value) != UT_OK)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    if (value > UINT32_MAX)
        return ut_yaml_fail(yaml, node, UT_EINVAL, "a whole number below 2^32");
    *(uint32_t *)target = (uint32_t)value;
    return UT_OK;
}

ut_err ut_yaml_read_file(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    char *path_z = NULL;
    ut_err err = ut_yaml_read_path(yaml, node, &path_z);
    if (err != UT_OK)
        return err;
    if (yaml->closed)
        return UT_YAML_UNKNOWN;
    ut_buf content;
    ut_buf_init(&content, PEM_FILE_BYTES_MAX);
    ut_fault fault;
    err = ut_file_read(path_z, &content, &fault);
    if (err != UT_OK) {
        err = ut_yaml_fail_at(yaml, node, err, "%s", fault.text_z);
    } else if (content.len == 0) {
        err = ut_yaml_fail_at(yaml, node, UT_EINVAL, "%s is empty, expected PEM", path_z);
    } else {
        uint8_t *copy = ut_owned_alloc(yaml->owned, content.len);
        if (copy == NULL)
            err = ut_yaml_fail_at(yaml, node, UT_ENOMEM, "out of memory");
        else {
            memcpy(copy, content.data, content.len);
            *(ut_bytes *)target = ut_bytes_of(copy, content.len);
        }
    }
    ut_buf_free(&content);
    return err;
}
