// The seam to the machine: clocks, random bytes, sockets and readiness, name resolution. One folder
// per platform implements it (port/linux). Nothing above this line of the tree includes a system
// header for these.
//
// A socket is used by one thread at a time. Nothing here blocks except ut_poller_wait.
#ifndef UT_PORT_PORT_H
#define UT_PORT_PORT_H

#include "port/base/buf.h"

// The code for an errno of this machine; 0 is UT_OK, and a number without a code of its own is
// UT_EIO. Where a number means more in its place (EADDRINUSE, EAGAIN), that place looks at it
// first.
ut_err ut_err_of_errno(int reason);

// Monotonic milliseconds, for everything that waits. Any thread.
uint64_t ut_clock_mono_ms(void);

// Nanoseconds since the Unix epoch. Any thread. May jump.
uint64_t ut_clock_wall_ns(void);

// Milliseconds since the machine began to run, sleep included. Any thread.
uint64_t ut_clock_up_ms(void);

// Differs after each start of the machine; 0 where that is not known. Reads a file. Any thread.
uint64_t ut_clock_boot(void);

// Fills out with bytes fit for keys. Any thread. UT_EIO when the source fails.
ut_err ut_random(void *out, size_t len);

// ---- addresses and sockets ----

typedef int32_t ut_sock; // UT_SOCK_NONE or a platform handle
#define UT_SOCK_NONE ((ut_sock)(-1))

enum { UT_ADDR_PATH_MAX = 104, UT_ADDR_TEXT_MAX = 112 };

typedef enum { UT_ADDR_IP4 = 4, UT_ADDR_IP6 = 6, UT_ADDR_UNIX = 1 } ut_addr_family;

typedef struct {
    ut_addr_family family;
    uint16_t port;                 // IP: host order
    uint32_t zone;                 // IPv6 scope id, or 0
    uint8_t ip[16];                // network order; the first 4 bytes for IPv4
    char path_z[UT_ADDR_PATH_MAX]; // Unix sockets
} ut_addr;

// "127.0.0.1:4318", "[::1]:4318", "unix:/run/untrace.sock". Numeric only: no name is resolved.
// UT_EFORMAT otherwise.
ut_err ut_addr_parse(ut_bytes text, ut_addr *addr);
void ut_addr_text(const ut_addr *addr, char out_z[UT_ADDR_TEXT_MAX]);
bool ut_addr_is_loopback(const ut_addr *addr);

// Opens a listening, non-blocking socket. UT_EBUSY (address in use), UT_EPERM, UT_EIO.
ut_err ut_sock_listen(const ut_addr *addr, uint32_t backlog, ut_sock *sock, ut_fault *fault);

// The address a socket is bound to (the port that the system chose for port 0).
ut_err ut_sock_local_addr(ut_sock sock, ut_addr *addr);

// Takes one waiting connection, non-blocking, no-delay set. UT_EAGAIN: none waits. UT_ELIMIT: out
// of descriptors.
ut_err ut_sock_accept(ut_sock listener, ut_sock *sock, ut_addr *peer);

// Starts a connection, no-delay set. UT_OK: under way, wait until writable, then
// ut_sock_connect_result. UT_ECONNECT: refused at once (no route, a Unix socket without a
// listener). UT_ELIMIT: out of descriptors. UT_EIO.
ut_err ut_sock_connect(const ut_addr *addr, ut_sock *sock);
ut_err ut_sock_connect_result(ut_sock sock,
                              ut_fault *fault); // UT_OK, UT_EAGAIN, UT_ECONNECT with the reason

// Reads up to cap bytes. UT_OK with n >= 1; UT_EAGAIN; UT_ECLOSED at the end of the stream; UT_EIO
// on a reset.
ut_err ut_sock_read(ut_sock sock, void *out, size_t cap, size_t *n);

// Writes what fits of the parts, in order (count <= UT_SOCK_PARTS_MAX). UT_OK with n >= 1 (0 when
// all parts are empty); UT_EAGAIN; UT_EIO. Never raises a signal.
enum { UT_SOCK_PARTS_MAX = 16 };
ut_err ut_sock_write(ut_sock sock, const ut_bytes *parts, size_t count, size_t *n);

// Ends sending: the peer reads the end of the stream after what was written.
void ut_sock_shutdown_write(ut_sock sock);

// Closes; UT_SOCK_NONE is ignored.
void ut_sock_close(ut_sock sock);

// ---- readiness ----

typedef struct ut_poller ut_poller;
enum { UT_READABLE = 1, UT_WRITABLE = 2, UT_HANGUP = 4 };

typedef struct {
    void *tag;
    uint32_t ready; // UT_READABLE | UT_WRITABLE | UT_HANGUP
} ut_poll_event;

ut_err ut_poller_open(ut_poller **poller);
void ut_poller_close(ut_poller *poller); // NULL is ignored

// Watches sock for interest (UT_READABLE | UT_WRITABLE; 0 keeps it known but silent apart from
// UT_HANGUP), level triggered. A second call for the same sock changes interest and tag.
ut_err ut_poller_watch(ut_poller *poller, ut_sock sock, uint32_t interest, void *tag);
void ut_poller_forget(ut_poller *poller, ut_sock sock); // before the socket is closed

// Waits at most timeout_ms (UT_POLL_FOREVER: no end) for events or a wake; *count may be 0 after a
// wake or the time.
#define UT_POLL_FOREVER UINT64_MAX
ut_err ut_poller_wait(ut_poller *poller, uint64_t timeout_ms, ut_poll_event *events, size_t cap,
                      size_t *count);

// Ends the current or the next wait. Any thread, and signal handlers.
void ut_poller_wake(ut_poller *poller);

// ---- name resolution that does not block the loop ----

typedef struct ut_resolver ut_resolver;
enum {
    UT_RESOLVE_ADDRS_MAX = 8,
    UT_RESOLVE_NAMES_MAX = 64,                 // names that are looked up at once or remembered
    UT_RESOLVE_FRESH_MS = 30 * 1000,           // how long an answer is used again
    UT_RESOLVE_STALE_MS = 24 * 60 * 60 * 1000, // and how long where the name servers are silent
    UT_HOST_MAX = 256,
};

// wake: woken when an answer arrives; outlives the resolver.
ut_err ut_resolver_open(ut_poller *wake, ut_resolver **resolver);
// Waits for no look-up. NULL is ignored.
void ut_resolver_close(ut_resolver *resolver);

// Starts looking up host_z (a name or a numeric address, without brackets), or joins the look-up
// of it that is under way. No look-up waits for that of another name. anew: an answer that is
// remembered will not do, because nothing good is found at its addresses. ticket: out; ends with
// ut_resolver_take or ut_resolver_cancel. UT_ELIMIT: UT_RESOLVE_NAMES_MAX other names are in use.
// UT_EINVAL: empty or longer than UT_HOST_MAX - 1. UT_ENOMEM: also without a thread for it.
ut_err ut_resolver_start(ut_resolver *resolver, const char *host_z, bool anew, uint32_t *ticket);

// UT_EAGAIN while under way. Any other result ends the ticket: UT_OK with count >= 1 addresses,
// each with that port; UT_ERESOLVE with the reason. UT_EINVAL: no such ticket.
ut_err ut_resolver_take(ut_resolver *resolver, uint32_t ticket, uint16_t port,
                        ut_addr addrs[UT_RESOLVE_ADDRS_MAX], size_t *count, ut_fault *fault);
void ut_resolver_cancel(ut_resolver *resolver, uint32_t ticket);

// ---- files that hold certificates, configuration and the like ----

// Reads a whole file of at most out->max bytes, appended to out. Faults name the path and the
// reason. UT_ENOTFOUND, UT_EPERM, UT_ELIMIT (it is larger), UT_ENOMEM, UT_EIO.
ut_err ut_file_read(const char *path_z, ut_buf *out, ut_fault *fault);

#endif
