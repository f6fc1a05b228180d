// The room that is left in a data file; only for engine_lmdb*.c.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_ROOM_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_ROOM_H

#include "storage/engine.h"

// A function of the engine's class; engine.h says what it does.
ut_err ut_lmdb_room(ut_engine *engine, ut_engine_room *room);

#endif
