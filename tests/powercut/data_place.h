// Makes a data directory as the agent does. In a file of its own: the agent's headers know
// ut_random as a function, the tests as a type.
#ifndef UT_TESTS_POWERCUT_DATA_PLACE_H
#define UT_TESTS_POWERCUT_DATA_PLACE_H

#include "port/base/err.h"

ut_err ut_data_place_make(const char *dir_z, ut_fault *fault);

#endif
