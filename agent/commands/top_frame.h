// How `untrace top` looks: two samples made into lines of text, or into a JSON object. Pure
// functions.
#ifndef UT_AGENT_COMMANDS_TOP_FRAME_H
#define UT_AGENT_COMMANDS_TOP_FRAME_H

#include "agent/cli/term.h"
#include "agent/commands/screen.h"
#include "agent/commands/top_sample.h"

// The order of the services.
typedef enum {
    UT_TOP_BY_SPANS,
    UT_TOP_BY_RATE,
    UT_TOP_BY_ERRORS,
    UT_TOP_BY_MEAN,
    UT_TOP_BY_P99,
    UT_TOP_BY_NAME,
    UT_TOP_ORDERS,
} ut_top_order;

// How somebody looks at it. All zero: the busiest services, from the first.
typedef struct {
    bool live; // the last line says what the keys do
    bool help; // the keys are shown in place of the tables
    ut_top_order order;
    uint32_t first; // services that are scrolled past
} ut_top_view;

// Changes the view as a key asks for it: a character, or one of ut_screen_key. False: no such key.
bool ut_top_view_key(ut_top_view *view, int key);

// Appends at most `rows` lines (0: no limit) of at most term->width columns, each with a newline
// behind it. before: NULL where there are no rates yet. view->first is lowered to what there is.
void ut_top_frame(ut_buf *out, const ut_term *term, uint32_t rows, const char *data_dir_z,
                  const ut_top_sample *before, const ut_top_sample *sample, ut_top_view *view);

// Appends the same as one JSON object and a newline.
void ut_top_json(ut_buf *out, const char *data_dir_z, const ut_top_sample *before,
                 const ut_top_sample *sample);

#endif
