// The limit of open files; see descriptors.h.
#include "agent/process/descriptors.h"

#include <sys/resource.h>

bool ut_descriptors_raise(uint64_t need, uint64_t *most)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
        return true;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : (rlim_t)need;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = before;
    *most = limit.rlim_cur;
    return limit.rlim_cur >= need;
}
