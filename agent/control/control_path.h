// The place of an agent's control socket: untrace.sock in its data directory. Used by both ends.
#ifndef UT_AGENT_CONTROL_CONTROL_PATH_H
#define UT_AGENT_CONTROL_CONTROL_PATH_H

#include "port/port.h"

// The address of the socket of dir_z. Where the path is longer than an address can be, it goes
// through *dir_fd, a descriptor of the directory that stays open as long as the address is used and
// is then to be closed; otherwise *dir_fd is -1. UT_ENOTFOUND, UT_EPERM, UT_EIO.
ut_err ut_control_path(const char *dir_z, ut_addr *addr, int *dir_fd, ut_fault *fault);

#endif
