// The note to the service manager; see ready_note.h.
#include "agent/process/ready_note.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void ut_ready_note(const char *state_z)
{
    const char *const path_z = getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (path_z == NULL || (path_z[0] != '/' && path_z[0] != '@') ||
        strlen(path_z) >= sizeof(addr.sun_path))
        return;
    const size_t len = strlen(path_z);
    memcpy(addr.sun_path, path_z, len);
    if (path_z[0] == '@')
        addr.sun_path[0] = '\0'; // a name without a file
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state_z, strlen(state_z), MSG_NOSIGNAL, (const struct sockaddr *)&addr,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)close(fd);
}
