// Non-blocking stream sockets over TCP and Unix paths. Not for waiting (poller.c) and not for names
// (resolver.c).
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "port/port.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

// Connections that died in the queue are skipped this often before accept lets the caller do other
// work.
enum { ACCEPT_SKIP_MAX = 16 };

typedef union {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    struct sockaddr_un unix_path;
} sys_addr;

_Static_assert(UT_ADDR_PATH_MAX <= sizeof(((struct sockaddr_un *)0)->sun_path),
               "a path fits with its NUL");

static socklen_t to_sys(const ut_addr *addr, sys_addr *sys)
{
    memset(sys, 0, sizeof(*sys));
    switch (addr->family) {
    case UT_ADDR_IP4:
        sys->ip4.sin_family = AF_INET;
        sys->ip4.sin_port = htons(addr->port);
        memcpy(&sys->ip4.sin_addr, addr->ip, 4);
        return sizeof(sys->ip4);
    case UT_ADDR_IP6:
        sys->ip6.sin6_family = AF_INET6;
        sys->ip6.sin6_port = htons(addr->port);
        sys->ip6.sin6_scope_id = addr->zone;
        memcpy(&sys->ip6.sin6_addr, addr->ip, 16);
        return sizeof(sys->ip6);
    case UT_ADDR_UNIX:
        sys->unix_path.sun_family = AF_UNIX;
        memcpy(sys->unix_path.sun_path, addr->path_z, UT_ADDR_PATH_MAX);
        return sizeof(sys->unix_path);
    }
    ut_panic(__FILE__, __LINE__, "a known address family");
}

static void from_sys(const sys_addr *sys, socklen_t len, ut_addr *addr)
{
    memset(addr, 0, sizeof(*addr));
    switch (sys->any.sa_family) {
    case AF_INET:
        addr->family = UT_ADDR_IP4;
        addr->port = ntohs(sys->ip4.sin_port);
        memcpy(addr->ip, &sys->ip4.sin_addr, 4);
        return;
    case AF_INET6:
        addr->family = UT_ADDR_IP6;
        addr->port = ntohs(sys->ip6.sin6_port);
        addr->zone = sys->ip6.sin6_scope_id;
        memcpy(addr->ip, &sys->ip6.sin6_addr, 16);
        return;
    default: {
        // An unbound Unix peer has no path at all; a bound one may lack the NUL.
        addr->family = UT_ADDR_UNIX;
        size_t room = len > offsetof(struct sockaddr_un, sun_path)
                          ? len - offsetof(struct sockaddr_un, sun_path)
                          : 0;
        if (room > UT_ADDR_PATH_MAX - 1)
            room = UT_ADDR_PATH_MAX - 1;
        memcpy(addr->path_z, sys->unix_path.sun_path, room);
        return;
    }
    }
}

static int open_socket(const ut_addr *addr)
{
    sys_addr sys;
    (void)to_sys(addr, &sys);
    return socket(sys.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int set_on(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof(on));
}

// Removes the socket file of a program that is gone: only a socket, and only when nobody answers
// behind it. Two agents that start in the same instant could both find it dead; the lock of the
// data directory parts those.
static void remove_stale(const ut_addr *addr)
{
    struct stat status;
    if (lstat(addr->path_z, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int fd = open_socket(addr);
    if (fd < 0)
        return;
    sys_addr sys;
    socklen_t len = to_sys(addr, &sys);
    if (connect(fd, &sys.any, len) != 0 && errno == ECONNREFUSED)
        (void)unlink(addr->path_z); // when it fails, the bind that follows says why
    (void)close(fd);
}

static ut_err listen_fault(const ut_addr *addr, int reason, ut_fault *fault)
{
    char text_z[UT_ADDR_TEXT_MAX];
    ut_addr_text(addr, text_z);
    switch (reason) {
    case EADDRINUSE:
        if (addr->family == UT_ADDR_UNIX)
            return ut_fault_set(
                fault, UT_EBUSY,
                "cannot listen on %s: another program listens there, or the file is not a socket; "
                "stop that program, or choose another path",
                text_z);
        return ut_fault_set(
            fault, UT_EBUSY,
            "cannot listen on %s: the address is in use; stop the program that uses it, or choose "
            "another",
            text_z);
    case EACCES:
    case EPERM:
        return ut_fault_set(
            fault, UT_EPERM,
            "cannot listen on %s: permission denied; choose a port above 1023 or a directory that "
            "this user may write",
            text_z);
    case EADDRNOTAVAIL:
        return ut_fault_set(fault, UT_EIO, "cannot listen on %s: this machine has no such address",
                            text_z);
    default:
        return ut_fault_set(fault, UT_EIO, "cannot listen on %s: %s", text_z, strerror(reason));
    }
}

ut_err ut_sock_listen(const ut_addr *addr, uint32_t backlog, ut_sock *sock, ut_fault *fault)
{
    int fd = open_socket(addr);
    if (fd < 0)
        return listen_fault(addr, errno, fault);
    sys_addr sys;
    socklen_t len = to_sys(addr, &sys);
    // A restart must not wait for the old connections' TIME_WAIT. [::] leaves out 0.0.0.0, which
    // has to be configured by itself: a system setting must not decide which ports are open.
    if (addr->family != UT_ADDR_UNIX && set_on(fd, SOL_SOCKET, SO_REUSEADDR) != 0)
        goto failed;
    if (addr->family == UT_ADDR_IP6 && set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0)
        goto failed;
    if (bind(fd, &sys.any, len) != 0) {
        if (errno != EADDRINUSE || addr->family != UT_ADDR_UNIX)
            goto failed;
        remove_stale(addr);
        if (bind(fd, &sys.any, len) != 0)
            goto failed;
    }
    if (listen(fd, backlog < INT_MAX ? (int)backlog : INT_MAX) != 0)
        goto failed;
    *sock = fd;
    return UT_OK;

failed:;
    int reason = errno;
    (void)close(fd);
    return listen_fault(addr, reason, fault);
}

ut_err ut_sock_local_addr(ut_sock sock, ut_addr *addr)
{
    sys_addr sys;
    socklen_t len = sizeof(sys);
    if (getsockname(sock, &sys.any, &len) != 0)
        return UT_EIO;
    from_sys(&sys, len, addr);
    return UT_OK;
}

ut_err ut_sock_accept(ut_sock listener, ut_sock *sock, ut_addr *peer)
{
    for (int skipped = 0; skipped < ACCEPT_SKIP_MAX; skipped++) {
        sys_addr sys;
        socklen_t len = sizeof(sys);
        int fd = accept4(listener, &sys.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            from_sys(&sys, len, peer);
            if (peer->family != UT_ADDR_UNIX)
                (void)set_on(fd, IPPROTO_TCP, TCP_NODELAY); // slower without, not wrong
            *sock = fd;
            return UT_OK;
        }
        switch (errno) {
        case EAGAIN:
            return UT_EAGAIN;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return UT_ELIMIT;
        case EBADF:
        case EFAULT:
        case EINVAL:
        case ENOTSOCK:
            return UT_EIO;
        default:
            break; // Linux reports here what happened to a connection that was never taken
        }
    }
    return UT_EAGAIN;
}

ut_err ut_sock_connect(const ut_addr *addr, ut_sock *sock)
{
    int fd = open_socket(addr);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? UT_ELIMIT
                                                                                         : UT_EIO;
    if (addr->family != UT_ADDR_UNIX)
        (void)set_on(fd, IPPROTO_TCP, TCP_NODELAY);
    sys_addr sys;
    socklen_t len = to_sys(addr, &sys);
    if (connect(fd, &sys.any, len) != 0 && errno != EINPROGRESS && errno != EINTR) {
        (void)close(fd);
        return UT_ECONNECT;
    }
    *sock = fd;
    return UT_OK;
}

ut_err ut_sock_connect_result(ut_sock sock, ut_fault *fault)
{
    int reason = 0;
    socklen_t len = sizeof(reason);
    if (getsockopt(sock, SOL_SOCKET, SO_ERROR, &reason, &len) != 0)
        reason = errno;
    sys_addr peer;
    memset(&peer, 0, sizeof(peer));
    socklen_t peer_len = sizeof(peer);
    if (reason == 0 && getpeername(sock, &peer.any, &peer_len) != 0) {
        if (errno == ENOTCONN)
            return UT_EAGAIN;
        reason = errno;
    }
    if (reason != 0)
        return ut_fault_set(fault, UT_ECONNECT, "%s", strerror(reason));

    // Dialling a dead port of this machine again and again, one day the system takes that very port
    // as ours, and TCP connects the socket to itself.
    sys_addr local;
    memset(&local, 0, sizeof(local));
    socklen_t local_len = sizeof(local);
    if (peer.any.sa_family != AF_UNIX && getsockname(sock, &local.any, &local_len) == 0 &&
        local_len == peer_len && memcmp(&local, &peer, peer_len) == 0)
        return ut_fault_set(fault, UT_ECONNECT, "connected to itself: nobody listens there");
    return UT_OK;
}

ut_err ut_sock_read(ut_sock sock, void *out, size_t cap, size_t *n)
{
    UT_ASSERT(cap >= 1);
    ssize_t got;
    do {
        got = recv(sock, out, cap, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        *n = (size_t)got;
        return UT_OK;
    }
    if (got == 0)
        return UT_ECLOSED;
    return errno == EAGAIN ? UT_EAGAIN : UT_EIO;
}

ut_err ut_sock_write(ut_sock sock, const ut_bytes *parts, size_t count, size_t *n)
{
    UT_ASSERT(count <= UT_SOCK_PARTS_MAX);
    struct iovec vector[UT_SOCK_PARTS_MAX];
    for (size_t i = 0; i < count; i++) {
        // Only read; struct iovec has no const, and a cast that drops it is a warning.
        memcpy(&vector[i].iov_base, &parts[i].data, sizeof(vector[i].iov_base));
        vector[i].iov_len = parts[i].len;
    }
    struct msghdr message = {.msg_iov = vector};
    message.msg_iovlen = (__typeof__(message.msg_iovlen))count; // size_t in glibc, int in musl
    ssize_t sent;
    do {
        sent = sendmsg(sock, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        *n = (size_t)sent;
        return UT_OK;
    }
    return errno == EAGAIN ? UT_EAGAIN : UT_EIO;
}

void ut_sock_shutdown_write(ut_sock sock)
{
    (void)shutdown(sock, SHUT_WR); // a connection that is gone already is as well
}

void ut_sock_close(ut_sock sock)
{
    if (sock != UT_SOCK_NONE)
        (void)close(sock); // the descriptor is gone whatever close says
}
