// A gate in front of an engine's commits, for tests with threads: holds them up, makes them fail,
// counts them. The test's thread may call all of this while another uses the engine.
#ifndef UT_TESTS_SUPPORT_ENGINE_GATE_H
#define UT_TESTS_SUPPORT_ENGINE_GATE_H

#include "storage/engine.h"

typedef struct ut_engine_gate ut_engine_gate;

// Puts a gate before engine, which stays the caller's and is closed as before. Stops the program
// without memory.
ut_engine_gate *ut_engine_gate_put(ut_engine *engine);
// After the engine is closed.
void ut_engine_gate_free(ut_engine_gate *gate);

// While held, write transactions wait at their commit.
void ut_engine_gate_hold(ut_engine_gate *gate, bool held);
// How many wait there now (0 or 1).
unsigned ut_engine_gate_waiting(ut_engine_gate *gate);
// From now on commits fail with err; UT_OK: they work again.
void ut_engine_gate_fail(ut_engine_gate *gate, ut_err err);
// The next commit fails with err, whatever is said of the later ones.
void ut_engine_gate_fail_once(ut_engine_gate *gate, ut_err err);
// The next commits fail with these, one after the other; borrowed until then.
void ut_engine_gate_fail_next(ut_engine_gate *gate, const ut_err *errs, size_t count);
// From now on what is put at this key fails with err; one key at a time, of at most 64 bytes.
void ut_engine_gate_fail_key(ut_engine_gate *gate, ut_bytes key, ut_err err);
// Commits of write transactions, failed ones included.
unsigned ut_engine_gate_commits(ut_engine_gate *gate);

#endif
