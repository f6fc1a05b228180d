// An engine for a test; see fixture.h.
#include "tests/unit/storage/lmdb/engine/fixture.h"

#include "tests/support/engine_calls.h"

#include <stdlib.h>

static ut_engine_fixture *make(void **state)
{
    ut_engine_fixture *f = calloc(1, sizeof(*f));
    UT_ASSERT(f != NULL);
    *state = f;
    return f;
}

int ut_engine_fixture_memory(void **state)
{
    make(state)->engine = ut_engine_memory_open(UT_ENGINE_FIXTURE_BYTES);
    return 0;
}

int ut_engine_fixture_wrapped(void **state)
{
    ut_engine_fixture *f = make(state);
    f->engine = ut_engine_faulty_wrap(ut_engine_memory_open(UT_ENGINE_FIXTURE_BYTES), &f->faults);
    return 0;
}

int ut_engine_fixture_dir(void **state)
{
    ut_temp_dir_make(make(state)->dir_z);
    return 0;
}

int ut_engine_fixture_lmdb(void **state)
{
    (void)ut_engine_fixture_dir(state);
    ut_engine_fixture *f = *state;
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    return 0;
}

int ut_engine_fixture_tear_down(void **state)
{
    ut_engine_fixture *f = *state;
    if (f->engine != NULL)
        ut_engine_close(f->engine);
    if (f->dir_z[0] != '\0')
        ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}
