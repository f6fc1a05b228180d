// One trace drawn as a tree for people: bars on a time line, what failed, what it waited for. Not
// for where the trace comes from (cmd_trace.c).
#ifndef UT_AGENT_CLI_TRACE_PAGE_H
#define UT_AGENT_CLI_TRACE_PAGE_H

#include "agent/cli/trace_cut.h"
#include "agent/cli/trace_state.h"
#include "storage/query/trace_tree.h"
#include "storage/span/llm_price.h"

enum { UT_TRACE_PROMPT_COLUMNS = 200 }; // of a prompt unless told otherwise

typedef struct {
    bool attributes; // of every span below it
    bool verbose;    // these, its resource's, its events and links, and what it is
    bool full;       // with verbose: values whole
    ut_trace_cut_options cut;
    int32_t prompt_columns;      // of what was said to a language model and back; 0: none, -1: all
    ut_trace_state *state;       // NULL; else shown at every span that sees another one
    uint32_t damaged_blocks;     // that could not be read
    const ut_llm_prices *prices; // NULL: none
} ut_trace_page_options;

// Prints a tree that was built to standard output. UT_ENOMEM, and as ut_term_write.
ut_err ut_trace_page_print(const ut_tree *tree, const uint8_t trace_id[UT_TRACE_ID_LEN],
                           const ut_trace_page_options *options);

#endif
