// Changes of a JSON document: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396), on yyjson's
// documents with numbers as text, within bounds of size, depth and work. Functions keep nothing
// between calls; a document belongs to one thread at a time. Not for where documents and changes
// come from: state_patch.h.
#ifndef UT_ADAPTERS_STATE_JSON_PATCH_H
#define UT_ADAPTERS_STATE_JSON_PATCH_H

#include "port/base/buf.h"

#include <yyjson.h>

enum {
    UT_JSON_PATCH_DEPTH_MAX = 128, // nesting of arrays and objects in a document
    UT_JSON_PATCH_STEP_BYTES = 64, // of text that count as one step of work, as a value passed does
};

// The bounds of one change.
typedef struct {
    size_t bytes_max; // of its text, of the document after it (about as JSON), and of its copies
    uint64_t *work;   // steps that are left for this and further changes; lowered by each
} ut_json_patch_limits;

// Reads a document, with numbers as text (RFC 8259).
//
// text:   borrowed for the call. *doc:   out, NULL after an error; ends with yyjson_mut_doc_free.
// *bytes: out; the size of the document, about as JSON. Errors, each with the reason for a person:
// UT_EFORMAT, UT_ELIMIT (size, depth or work), UT_ENOMEM.
ut_err ut_json_patch_read(ut_bytes text, const ut_json_patch_limits *limits, yyjson_mut_doc **doc,
                          size_t *bytes, ut_fault *fault);

// Makes *after from before and the text of a change: an array is a JSON Patch, an object a JSON
// Merge Patch. All operations happen, or none.
//
// before: stays as it is.
// *after: out, NULL after an error; ends with yyjson_mut_doc_free.
// *bytes: out; the size of *after, about as JSON.
// *merge: out; true for a merge patch. False also where the text could not be read.
// Errors, each with the reason for a person: UT_EFORMAT (the text is no such change), UT_EINVAL (it
// does not fit the document: nothing at a path, or a failed test), UT_ELIMIT (size, depth or work),
// UT_ENOMEM.
ut_err ut_json_patch_apply(yyjson_mut_doc *before, ut_bytes text,
                           const ut_json_patch_limits *limits, yyjson_mut_doc **after,
                           size_t *bytes, bool *merge, ut_fault *fault);

// Appends the document as compact JSON, control characters escaped. Errors stay in out->err.
void ut_json_patch_write(yyjson_mut_doc *doc, ut_buf *out);

#endif
