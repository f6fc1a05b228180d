// The address of the control socket; see control_path.h.
#include "agent/control/control_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

ut_err ut_control_path(const char *dir_z, ut_addr *addr, int *dir_fd, ut_fault *fault)
{
    static const char name_z[] = "untrace.sock";
    *dir_fd = -1;
    *addr = (ut_addr){.family = UT_ADDR_UNIX};
    int len = snprintf(addr->path_z, sizeof(addr->path_z), "%s/%s", dir_z, name_z);
    if (len > 0 && (size_t)len < sizeof(addr->path_z))
        return UT_OK;
    *dir_fd = open(dir_z, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir_fd < 0) {
        const int reason = errno;
        return ut_fault_set(fault, ut_err_of_errno(reason), "cannot open the data directory %s: %s",
                            dir_z, strerror(reason));
    }
    // It fits: the descriptor has ten digits at most.
    (void)snprintf(addr->path_z, sizeof(addr->path_z), "/proc/self/fd/%d/%s", *dir_fd, name_z);
    return UT_OK;
}
