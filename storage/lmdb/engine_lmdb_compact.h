// The compaction of a data file; only for engine_lmdb*.c.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_COMPACT_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_COMPACT_H

#include "storage/engine.h"

typedef struct ut_lmdb_compaction ut_lmdb_compaction;

// Functions of the engine's class; engine.h says what they do.
ut_err ut_lmdb_compact(ut_engine *engine, ut_engine_compaction *progress, ut_fault *fault);
void ut_lmdb_compact_stop(ut_engine *engine);

// A record is about to be written or deleted by a write transaction, which may still fail.
void ut_lmdb_compact_note(ut_lmdb_compaction *compaction, ut_bytes key);
// Removes the files of a compaction that was killed.
void ut_lmdb_compact_clean(const char *path_z);

#endif
