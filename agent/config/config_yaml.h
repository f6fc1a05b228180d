// Strict reading of a YAML document against tables of fields. Faults name file, line, column, what
// was found and what was expected. The ground of the configuration: it knows YAML and the syntax of
// values; what they mean is in config.c and in a file for each section.
#ifndef UT_AGENT_CONFIG_CONFIG_YAML_H
#define UT_AGENT_CONFIG_CONFIG_YAML_H

#include "agent/config/config_use.h"
#include "port/base/buf.h"
#include "port/base/err.h"

#include <yaml.h>

typedef struct ut_owned ut_owned; // a list of allocations that end together

// Allocates size bytes (zeroed) that live until ut_owned_free. NULL without memory.
void *ut_owned_alloc(ut_owned **owned, size_t size);
void ut_owned_free(ut_owned *owned);

// What a value is not known for: it stands behind ${env:...} or in a file, and `use` does not need
// it. Its syntax is right. A mapping with such a value has it as its result, so that nobody holds
// its values against each other.
#define UT_YAML_UNKNOWN UT_EAGAIN

typedef struct ut_yaml {
    const char *path_z;
    size_t dir_len; // of path_z: the directory, with its slash, that names of files are relative to
    bool placeless; // not a file: faults name path_z without line and column
    ut_config_use use;
    bool closed; // the value that is being read is not needed by use; so it is with most
    yaml_document_t document;
    ut_owned **owned;
    ut_fault *fault;
    char *dollar_z; // the place of the first $ before a name, which is not replaced; NULL: none
} ut_yaml;

typedef ut_err (*ut_yaml_read)(ut_yaml *yaml, yaml_node_t *node, void *target);

// One key of a mapping: its name, how its value is read, and where the result stands in the target
// structure.
typedef struct {
    const char *key_z;
    ut_yaml_read read;
    size_t offset;
} ut_yaml_field;

// Says who needs the values that are read from now on. Returns `closed` as it was, for the caller
// to set it back.
bool ut_yaml_need(ut_yaml *yaml, ut_config_use use);

// Loads the one document of text. An empty file gives a document without root: root is then NULL.
ut_err ut_yaml_load(ut_yaml *yaml, ut_bytes text, yaml_node_t **root);

// Reads a mapping whose keys all stand in fields (ended by a NULL key), each at most once. what_z
// names the mapping in faults. UT_YAML_UNKNOWN: all is right, but some value is not known.
ut_err ut_yaml_read_map(ut_yaml *yaml, yaml_node_t *node, const ut_yaml_field *fields, void *target,
                        const char *what_z);

// Sets the fault "FILE:LINE:COLUMN: found FOUND, expected EXPECTED" and returns code. FOUND is the
// text of the file, before substitution.
ut_err ut_yaml_fail(ut_yaml *yaml, const yaml_node_t *node, ut_err code, const char *expected_z);
// Sets a fault with the same place and a sentence of the caller's.
ut_err ut_yaml_fail_at(ut_yaml *yaml, const yaml_node_t *node, ut_err code, const char *format_z,
                       ...) __attribute__((format(printf, 4, 5)));

// Whether the node is a scalar that reads text_z, before substitution.
bool ut_yaml_is_text(const yaml_node_t *node, const char *text_z);

// The text of a scalar with ${env:NAME}, ${env:NAME:-default} and $$ replaced, NUL-terminated; it
// lives as long as the list yaml->owned. UT_YAML_UNKNOWN: a closed value with a reference.
ut_err ut_yaml_scalar(ut_yaml *yaml, yaml_node_t *node, const char *expected_z, char **text_z);

// Readers of a value; the comment of each says what target points to.
ut_err ut_yaml_read_string(ut_yaml *yaml, yaml_node_t *node, void *target); // char *, not empty
// The same as the name of a file or a directory: one without a slash in front gets the directory of
// the configuration file before it.
ut_err ut_yaml_read_path(ut_yaml *yaml, yaml_node_t *node, void *target);
ut_err ut_yaml_read_bool(ut_yaml *yaml, yaml_node_t *node, void *target);   // bool
ut_err ut_yaml_read_size(ut_yaml *yaml, yaml_node_t *node, void *target);   // uint64_t bytes, >= 1
ut_err ut_yaml_read_size32(ut_yaml *yaml, yaml_node_t *node, void *target); // uint32_t bytes, >= 1
ut_err ut_yaml_read_duration(ut_yaml *yaml, yaml_node_t *node, void *target);   // uint64_t ms
ut_err ut_yaml_read_duration32(ut_yaml *yaml, yaml_node_t *node, void *target); // uint32_t ms, >= 1
ut_err ut_yaml_read_count32(ut_yaml *yaml, yaml_node_t *node, void *target);    // uint32_t
ut_err ut_yaml_read_file(ut_yaml *yaml, yaml_node_t *node,
                         void *target); // ut_bytes: the content of the named file

// Joins the directory of the configuration file and the name of a file, as ut_yaml_read_path does.
// The text lives as long as the list yaml->owned. NULL without memory.
char *ut_yaml_join(ut_yaml *yaml, const char *name_z);

#endif
