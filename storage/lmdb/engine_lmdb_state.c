// The data file that is in use, and its exchange; see engine_lmdb_state.h.
#include "storage/lmdb/engine_lmdb_state.h"

#include "storage/lmdb/lmdb_file.h"

// LMDB allocates the changed pages of a transaction one by one and never frees them, but for values
// of several pages.
enum { LONG_PAGES = 64 };

// Others read the numbers while the file is opened again, which leaves them as they are.
static void set_best_length(ut_lmdb_engine *engine)
{
    const uint32_t page_bytes = (uint32_t)engine->env->page_bytes;
    const uint32_t best = page_bytes - UT_LMDB_PAGE_HEADER_LEN;
    if (engine->base.value_bytes_best == best)
        return;
    engine->base.value_bytes_best = best;
    engine->base.value_bytes_long = LONG_PAGES * page_bytes - UT_LMDB_PAGE_HEADER_LEN;
}

int ut_lmdb_engine_open_env(ut_lmdb_engine *engine)
{
    int code = ut_lmdb_env_open_named(&engine->place, &engine->env);
    UT_ASSERT(code != 0 || engine->env != NULL);
    if (code == 0)
        set_best_length(engine);
    return code;
}

void ut_lmdb_engine_close_env(ut_lmdb_engine *engine)
{
    ut_lmdb_env_close(engine->env);
    engine->env = NULL;
}

ut_lmdb_env *ut_lmdb_engine_replace_env(ut_lmdb_engine *engine, ut_lmdb_env *env)
{
    ut_lmdb_env *old = engine->env;
    engine->env = env;
    if (env != NULL)
        set_best_length(engine);
    if (old == NULL || old->users == 0)
        return old;
    ut_lmdb_env_drop_idle(old);
    old->next = engine->retired;
    engine->retired = old;
    return NULL;
}

int ut_lmdb_engine_recover(ut_lmdb_engine *engine, int code)
{
    if (engine->env == NULL || engine->env->users > 0 || atomic_load(&engine->damaged))
        return code;
    ut_lmdb_env_drop_idle(engine->env);
    if (code == MDB_MAP_RESIZED)
        return mdb_env_set_mapsize(engine->env->mdb, 0);
    ut_lmdb_engine_close_env(engine);
    return ut_lmdb_engine_open_env(engine);
}

ut_lmdb_env *ut_lmdb_engine_follow(ut_lmdb_engine *engine)
{
    ut_lmdb_env *env = NULL;
    ut_fault fault;
    if (engine->env == NULL || !ut_lmdb_env_moved(&engine->place, engine->env) ||
        ut_lmdb_file_check(engine->place.path_z, &fault) != UT_OK ||
        ut_lmdb_env_open_named(&engine->place, &env) != 0)
        return NULL;
    return ut_lmdb_engine_replace_env(engine, env);
}
