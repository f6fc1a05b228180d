// The whole terminal for one command: drawn over itself, keys as they are pressed, its size as it
// changes, and given back as it was. Not for listings (term.h).
#ifndef UT_AGENT_COMMANDS_SCREEN_H
#define UT_AGENT_COMMANDS_SCREEN_H

#include "port/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ut_screen ut_screen;

typedef enum {
    UT_SCREEN_TIME,   // the deadline has passed
    UT_SCREEN_KEY,    // *key: out, a byte or one of ut_screen_key
    UT_SCREEN_RESIZE, // draw again
    UT_SCREEN_END,    // a signal asks to stop, or the terminal is gone; *key: its number, or 0
} ut_screen_event;

// Keys that send more than one byte.
typedef enum {
    UT_SCREEN_UP = 256,
    UT_SCREEN_DOWN,
    UT_SCREEN_PAGE_UP,
    UT_SCREEN_PAGE_DOWN,
    UT_SCREEN_HOME,
    UT_SCREEN_OTHER, // one that has no name here
} ut_screen_key;

// Runs body with the screen taken, and gives it back when body returns. After a crash the terminal
// is usable again, though its settings may differ from those before; only SIGKILL leaves it as it
// is. Standard input and output are the same terminal. Returns what body returns, or EX_OSERR. Main
// thread, before any other exists: signals to stop are blocked meanwhile, for ut_screen_wait.
int ut_screen_run(int (*body)(void *context, ut_screen *screen), void *context);

ut_screen_event ut_screen_wait(ut_screen *screen, uint64_t deadline_ms, int *key);
void ut_screen_size(const ut_screen *screen, uint32_t *columns, uint32_t *rows);

// Draws lines, each ended by a newline, over what is there; false when the terminal is gone.
bool ut_screen_draw(ut_screen *screen, ut_bytes lines);

#endif
