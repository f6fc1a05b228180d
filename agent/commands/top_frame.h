// How `untrace top` looks: two samples made into lines of text, or into a JSON object. Pure
// functions.
#ifndef UT_AGENT_COMMANDS_TOP_FRAME_H
#define UT_AGENT_COMMANDS_TOP_FRAME_H

#include "agent/cli/term.h"
#include "agent/commands/top_sample.h"

// Appends at most `rows` lines (0: no limit) of at most term->width columns, each with a newline
// behind it. before: NULL where there are no rates yet. keys: the last line says what the keys do.
void ut_top_frame(ut_buf *out, const ut_term *term, uint32_t rows, const char *data_dir_z,
                  const ut_top_sample *before, const ut_top_sample *sample, bool keys);

// Appends the same as one JSON object and a newline.
void ut_top_json(ut_buf *out, const char *data_dir_z, const ut_top_sample *before,
                 const ut_top_sample *sample);

#endif
