// Looks names up with getaddrinfo on a few threads of its own, because that call blocks, for many
// seconds when a name server is silent. Not a cache: the caller keeps the answer.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "port/port.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

// Several threads, so that one name whose servers are silent does not hold up the others. Started
// when needed.
enum { RESOLVER_THREADS_MAX = 4 };

typedef enum {
    SLOT_FREE,
    SLOT_QUEUED,
    SLOT_RUNNING,
    SLOT_ABANDONED, // running, and cancelled: freed by the thread that runs it
    SLOT_DONE,
} slot_state;

typedef struct {
    slot_state state;
    uint32_t ticket; // also the order in the queue
    uint16_t port;
    char host_z[UT_HOST_MAX];
    size_t count; // of addrs; 0: the look-up failed
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    int failure;        // EAI_...
    int failure_system; // errno for EAI_SYSTEM
} slot;

struct ut_resolver {
    ut_poller *wake;
    pthread_mutex_t lock; // guards all that follows
    pthread_cond_t work;  // a slot was queued, or closing was set
    bool closing;
    uint32_t ticket_next;
    size_t idle; // threads that wait for work
    size_t queued;
    size_t threads;
    pthread_t thread[RESOLVER_THREADS_MAX];
    slot slots[UT_RESOLVE_PENDING_MAX];
};

static bool from_info(const struct addrinfo *info, uint16_t port, ut_addr *addr)
{
    *addr = (ut_addr){.port = port};
    if (info->ai_family == AF_INET) {
        struct sockaddr_in ip4;
        memcpy(&ip4, info->ai_addr, sizeof(ip4));
        addr->family = UT_ADDR_IP4;
        memcpy(addr->ip, &ip4.sin_addr, 4);
        return true;
    }
    if (info->ai_family == AF_INET6) {
        struct sockaddr_in6 ip6;
        memcpy(&ip6, info->ai_addr, sizeof(ip6));
        addr->family = UT_ADDR_IP6;
        addr->zone = ip6.sin6_scope_id;
        memcpy(addr->ip, &ip6.sin6_addr, 16);
        return true;
    }
    return false;
}

// Blocks. Works on a slot that nobody else touches while it is RUNNING or ABANDONED, apart from its
// state.
static void look_up(slot *s)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    s->count = 0;
    s->failure = getaddrinfo(s->host_z, NULL, &hints, &list);
    s->failure_system = errno;
    if (s->failure != 0)
        return;
    for (const struct addrinfo *info = list; info != NULL && s->count < UT_RESOLVE_ADDRS_MAX;
         info = info->ai_next) {
        if (from_info(info, s->port, &s->addrs[s->count]))
            s->count++;
    }
    freeaddrinfo(list);
    if (s->count == 0)
        s->failure = EAI_NONAME;
}

static slot *oldest_queued(ut_resolver *resolver)
{
    slot *oldest = NULL;
    for (size_t i = 0; i < UT_RESOLVE_PENDING_MAX; i++) {
        slot *s = &resolver->slots[i];
        // The difference, because tickets wrap around.
        if (s->state == SLOT_QUEUED &&
            (oldest == NULL || (int32_t)(s->ticket - oldest->ticket) < 0))
            oldest = s;
    }
    return oldest;
}

static void *run_thread(void *context)
{
    ut_resolver *resolver = context;
    (void)pthread_mutex_lock(&resolver->lock);
    while (!resolver->closing) {
        slot *s = oldest_queued(resolver);
        if (s == NULL) {
            resolver->idle++;
            (void)pthread_cond_wait(&resolver->work, &resolver->lock);
            resolver->idle--;
            continue;
        }
        s->state = SLOT_RUNNING;
        resolver->queued--;
        (void)pthread_mutex_unlock(&resolver->lock);
        look_up(s);
        (void)pthread_mutex_lock(&resolver->lock);
        if (s->state == SLOT_ABANDONED) {
            s->state = SLOT_FREE;
        } else {
            s->state = SLOT_DONE;
            ut_poller_wake(resolver->wake);
        }
    }
    (void)pthread_mutex_unlock(&resolver->lock);
    return NULL;
}

// False only when there is no thread at all; with one, the look-up waits its turn.
static bool provide_thread(ut_resolver *resolver)
{
    if (resolver->idle >= resolver->queued || resolver->threads == RESOLVER_THREADS_MAX)
        return true;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all,
                          &before); // signals are for the threads that expect them
    if (pthread_create(&resolver->thread[resolver->threads], NULL, run_thread, resolver) == 0)
        resolver->threads++;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return resolver->threads > 0;
}

// Numeric addresses, and localhost, which is loopback by RFC 6761 and must work where there is no
// name server and no hosts file. 0: neither.
static size_t answer_at_once(const char *host_z, uint16_t port, ut_addr *addrs)
{
    static const ut_addr loopback4 = {.family = UT_ADDR_IP4, .ip = {127, 0, 0, 1}};
    static const ut_addr loopback6 = {.family = UT_ADDR_IP6, .ip = {[15] = 1}};
    if (strcasecmp(host_z, "localhost") == 0 || strcasecmp(host_z, "localhost.") == 0) {
        addrs[0] = loopback4;
        addrs[1] = loopback6;
        addrs[0].port = port;
        addrs[1].port = port;
        return 2;
    }
    char text_z[UT_HOST_MAX + sizeof "[]:65535"];
    (void)snprintf(text_z, sizeof(text_z), strchr(host_z, ':') != NULL ? "[%s]:%u" : "%s:%u",
                   host_z, (unsigned)port);
    // A host named "unix" would read as the path of a socket.
    return ut_addr_parse(ut_bytes_of_z(text_z), &addrs[0]) == UT_OK &&
                   addrs[0].family != UT_ADDR_UNIX
               ? 1
               : 0;
}

static slot *find(ut_resolver *resolver, uint32_t ticket)
{
    for (size_t i = 0; i < UT_RESOLVE_PENDING_MAX; i++) {
        slot *s = &resolver->slots[i];
        if (s->state != SLOT_FREE && s->state != SLOT_ABANDONED && s->ticket == ticket)
            return s;
    }
    return NULL;
}

static slot *find_free(ut_resolver *resolver)
{
    for (size_t i = 0; i < UT_RESOLVE_PENDING_MAX; i++) {
        if (resolver->slots[i].state == SLOT_FREE)
            return &resolver->slots[i];
    }
    return NULL;
}

ut_err ut_resolver_open(ut_poller *wake, ut_resolver **resolver)
{
    ut_resolver *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return UT_ENOMEM;
    r->wake = wake;
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        return UT_ENOMEM;
    }
    if (pthread_cond_init(&r->work, NULL) != 0) {
        (void)pthread_mutex_destroy(&r->lock);
        free(r);
        return UT_ENOMEM;
    }
    *resolver = r;
    return UT_OK;
}

void ut_resolver_close(ut_resolver *resolver)
{
    if (resolver == NULL)
        return;
    (void)pthread_mutex_lock(&resolver->lock);
    resolver->closing = true;
    (void)pthread_cond_broadcast(&resolver->work);
    (void)pthread_mutex_unlock(&resolver->lock);
    for (size_t i = 0; i < resolver->threads; i++)
        (void)pthread_join(resolver->thread[i], NULL);
    (void)pthread_cond_destroy(&resolver->work);
    (void)pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

ut_err ut_resolver_start(ut_resolver *resolver, const char *host_z, uint16_t port, uint32_t *ticket)
{
    size_t host_len = strlen(host_z);
    if (host_len == 0 || host_len >= UT_HOST_MAX)
        return UT_EINVAL;

    ut_err err = UT_OK;
    (void)pthread_mutex_lock(&resolver->lock);
    slot *s = find_free(resolver);
    if (s == NULL) {
        err = UT_ELIMIT;
        goto done;
    }
    s->ticket = resolver->ticket_next++;
    s->port = port;
    memcpy(s->host_z, host_z, host_len + 1);
    s->count = answer_at_once(host_z, port, s->addrs);
    if (s->count > 0) {
        s->state = SLOT_DONE;
        ut_poller_wake(resolver->wake); // a caller need not know which answers come at once
    } else {
        s->state = SLOT_QUEUED;
        resolver->queued++;
        if (!provide_thread(resolver)) {
            s->state = SLOT_FREE;
            resolver->queued--;
            err = UT_ENOMEM;
            goto done;
        }
        (void)pthread_cond_signal(&resolver->work);
    }
    *ticket = s->ticket;
done:
    (void)pthread_mutex_unlock(&resolver->lock);
    return err;
}

ut_err ut_resolver_take(ut_resolver *resolver, uint32_t ticket, ut_addr addrs[UT_RESOLVE_ADDRS_MAX],
                        size_t *count, ut_fault *fault)
{
    ut_err err = UT_OK;
    (void)pthread_mutex_lock(&resolver->lock);
    slot *s = find(resolver, ticket);
    if (s == NULL) {
        err = UT_EINVAL;
    } else if (s->state != SLOT_DONE) {
        err = UT_EAGAIN;
    } else if (s->count == 0) {
        err = ut_fault_set(fault, UT_ERESOLVE, "cannot resolve the name %s: %s", s->host_z,
                           s->failure == EAI_SYSTEM ? strerror(s->failure_system)
                                                    : gai_strerror(s->failure));
        s->state = SLOT_FREE;
    } else {
        memcpy(addrs, s->addrs, s->count * sizeof(s->addrs[0]));
        *count = s->count;
        s->state = SLOT_FREE;
    }
    (void)pthread_mutex_unlock(&resolver->lock);
    return err;
}

void ut_resolver_cancel(ut_resolver *resolver, uint32_t ticket)
{
    (void)pthread_mutex_lock(&resolver->lock);
    slot *s = find(resolver, ticket);
    if (s != NULL) {
        if (s->state == SLOT_QUEUED)
            resolver->queued--;
        s->state = s->state == SLOT_RUNNING ? SLOT_ABANDONED : SLOT_FREE;
    }
    (void)pthread_mutex_unlock(&resolver->lock);
}
