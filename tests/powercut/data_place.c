// The agent's way to make a data directory; see data_place.h.
#include "tests/powercut/data_place.h"

#include "agent/process/data_dir.h"

ut_err ut_data_place_make(const char *dir_z, ut_fault *fault)
{
    return ut_data_dir_make(dir_z, fault) == 0 ? UT_OK : UT_EIO;
}
