// Changes of a JSON document: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396), on yyjson's
// documents with numbers as text, within bounds of size, depth and work. Not for where documents
// and changes come from.
#ifndef UT_ADAPTERS_JSON_PATCH_H
#define UT_ADAPTERS_JSON_PATCH_H

#include "port/base/buf.h"

#include <yyjson.h>

enum {
    UT_JSON_PATCH_DEPTH_MAX = 128, // nesting of arrays and objects in a document
    UT_JSON_PATCH_STEP_BYTES = 64, // a step of work: a value passed, or so many bytes of text
};

// What a change may take.
typedef struct {
    size_t bytes_max; // of the document after it, about as JSON; and of what one change copies
    uint64_t *work;   // steps that are left for this and further changes; less after each
} ut_json_patch_limits;

// Reads a document with numbers as text. *bytes: its size, about as JSON. text: at most
// limits->bytes_max. *doc is freed by yyjson_mut_doc_free. UT_EFORMAT, UT_ELIMIT, UT_ENOMEM.
ut_err ut_json_patch_read(ut_bytes text, const ut_json_patch_limits *limits, yyjson_mut_doc **doc,
                          size_t *bytes, ut_fault *fault);

// Makes *after from before (which stays as it is) and the text of a change: an array is a JSON
// Patch, an object a JSON Merge Patch. All of it happens, or none. *merge: which of the two, where
// the text was read so far. Errors, each with the reason for a person:
// UT_EFORMAT: the text is no such change; UT_EINVAL: it does not fit the document (nothing at a
// path, a failed test); UT_ELIMIT: size, depth or work; UT_ENOMEM.
ut_err ut_json_patch_apply(yyjson_mut_doc *before, ut_bytes text,
                           const ut_json_patch_limits *limits, yyjson_mut_doc **after,
                           size_t *bytes, bool *merge, ut_fault *fault);

// Appends the document as compact JSON, control characters escaped. Errors stay in out->err.
void ut_json_patch_write(yyjson_mut_doc *doc, ut_buf *out);

#endif
