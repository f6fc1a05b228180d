// Looks names up with getaddrinfo, which blocks for many seconds when a name server is silent. So
// each name that is being looked up has a thread of its own, and none waits for another; a thread
// that nobody waits for any more ends by itself.
//
// An asynchronous resolver (c-ares) would save the threads. It is larger than all of
// transport/deliver, and answers otherwise than the libc of the machine's other programs.
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

enum {
    TICKET_INDEX_BITS = 8, // a ticket is the number of a look-up, and the index of its name
    TICKET_INDEX_MASK = (1 << TICKET_INDEX_BITS) - 1,
};

typedef struct {
    ut_resolver *owner;
    char host_z[UT_HOST_MAX];
    uint32_t users;  // tickets that have not ended
    uint32_t number; // of the look-up that was begun last
    bool running;    // and a thread is at it
    bool constant;   // the answer needs no look-up
    // The last good answer.
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count; // 0: there is none
    uint64_t answered_ms;
    // Of the look-up that ended last.
    int failure;        // EAI_..., 0: it worked
    int failure_system; // errno for EAI_SYSTEM
} resolver_name;

struct ut_resolver {
    pthread_mutex_t lock; // guards all that follows
    ut_poller *wake;      // NULL: closed
    size_t holders;       // the owner, until it closes, and each thread
    uint32_t number_next;
    resolver_name *names[UT_RESOLVE_NAMES_MAX];
};

static bool from_info(const struct addrinfo *info, ut_addr *addr)
{
    *addr = (ut_addr){.family = UT_ADDR_IP4};
    if (info->ai_family == AF_INET) {
        struct sockaddr_in ip4;
        memcpy(&ip4, info->ai_addr, sizeof(ip4));
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

// Numeric addresses, and localhost, which is loopback by RFC 6761 and must work where there is no
// name server and no hosts file. 0: neither.
static size_t answer_at_once(const char *host_z, ut_addr *addrs)
{
    static const ut_addr loopback4 = {.family = UT_ADDR_IP4, .ip = {127, 0, 0, 1}};
    static const ut_addr loopback6 = {.family = UT_ADDR_IP6, .ip = {[15] = 1}};
    if (strcasecmp(host_z, "localhost") == 0 || strcasecmp(host_z, "localhost.") == 0) {
        addrs[0] = loopback4;
        addrs[1] = loopback6;
        return 2;
    }
    char text_z[UT_HOST_MAX + sizeof "[]:1"];
    (void)snprintf(text_z, sizeof(text_z), strchr(host_z, ':') != NULL ? "[%s]:1" : "%s:1", host_z);
    // A host named "unix" would read as the path of a socket.
    return ut_addr_parse(ut_bytes_of_z(text_z), &addrs[0]) == UT_OK &&
                   addrs[0].family != UT_ADDR_UNIX
               ? 1
               : 0;
}

// ---- the threads ----

// Lets go of the resolver; the last one frees it. Under the lock, which it gives back.
static void let_go(ut_resolver *resolver)
{
    const bool last = --resolver->holders == 0;
    (void)pthread_mutex_unlock(&resolver->lock);
    if (!last)
        return;
    for (size_t i = 0; i < UT_RESOLVE_NAMES_MAX; i++)
        free(resolver->names[i]);
    (void)pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

// Whether the name is known not to exist; otherwise nothing is known of it.
static bool is_final(int failure)
{
    return failure == EAI_NONAME
#ifdef EAI_NODATA
           || failure == EAI_NODATA
#endif
        ;
}

static void *look_up(void *context)
{
    resolver_name *name = context;
    ut_resolver *resolver = name->owner;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    ut_addr addrs[UT_RESOLVE_ADDRS_MAX];
    size_t count = 0;
    int failure = getaddrinfo(name->host_z, NULL, &hints, &list); // blocks
    const int failure_system = errno;
    if (failure == 0) {
        for (const struct addrinfo *info = list; info != NULL && count < UT_RESOLVE_ADDRS_MAX;
             info = info->ai_next) {
            if (from_info(info, &addrs[count]))
                count++;
        }
        freeaddrinfo(list);
        failure = count == 0 ? EAI_NONAME : 0;
    }

    (void)pthread_mutex_lock(&resolver->lock);
    name->running = false;
    name->failure = failure;
    name->failure_system = failure_system;
    if (failure == 0 || is_final(failure)) {
        memcpy(name->addrs, addrs, count * sizeof(addrs[0]));
        name->count = count;
        name->answered_ms = ut_clock_mono_ms();
    }
    if (resolver->wake != NULL)
        ut_poller_wake(resolver->wake);
    let_go(resolver);
    return NULL;
}

// Under the lock.
static ut_err begin(ut_resolver *resolver, resolver_name *name)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;
    name->number = resolver->number_next++;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all); // signals are for the threads that expect them
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    name->running = pthread_create(&thread, &attr, look_up, name) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    if (!name->running)
        return UT_ENOMEM;
    resolver->holders++;
    return UT_OK;
}

// ---- the names ----

// The index of host_z, which is given a place when it has none. UT_ELIMIT, UT_ENOMEM. Under the
// lock.
static ut_err find_or_add(ut_resolver *resolver, const char *host_z, size_t *index)
{
    size_t place = UT_RESOLVE_NAMES_MAX;
    for (size_t i = 0; i < UT_RESOLVE_NAMES_MAX; i++) {
        const resolver_name *name = resolver->names[i];
        if (name == NULL) {
            if (place == UT_RESOLVE_NAMES_MAX || resolver->names[place] != NULL)
                place = i;
        } else if (strcasecmp(name->host_z, host_z) == 0) {
            *index = i;
            return UT_OK;
        } else if (place == UT_RESOLVE_NAMES_MAX && name->users == 0 && !name->running) {
            place = i;
        }
    }
    if (place == UT_RESOLVE_NAMES_MAX)
        return UT_ELIMIT;
    resolver_name *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return UT_ENOMEM;
    made->owner = resolver;
    memcpy(made->host_z, host_z, strlen(host_z) + 1);
    made->count = answer_at_once(host_z, made->addrs);
    made->constant = made->count > 0;
    free(resolver->names[place]);
    resolver->names[place] = made;
    *index = place;
    return UT_OK;
}

static bool is_fresh(const resolver_name *name)
{
    return name->constant || (name->count > 0 && name->failure == 0 &&
                              ut_clock_mono_ms() - name->answered_ms < UT_RESOLVE_FRESH_MS);
}

// NULL for a ticket that has ended, as far as that is known. Under the lock.
static resolver_name *find(ut_resolver *resolver, uint32_t ticket)
{
    const size_t index = ticket & TICKET_INDEX_MASK;
    resolver_name *name = index < UT_RESOLVE_NAMES_MAX ? resolver->names[index] : NULL;
    return name != NULL && name->users > 0 ? name : NULL;
}

// ---- what the caller sees ----

ut_err ut_resolver_open(ut_poller *wake, ut_resolver **resolver)
{
    ut_resolver *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return UT_ENOMEM;
    made->wake = wake;
    made->holders = 1;
    (void)pthread_mutex_init(&made->lock, NULL); // does not fail on Linux
    *resolver = made;
    return UT_OK;
}

void ut_resolver_close(ut_resolver *resolver)
{
    if (resolver == NULL)
        return;
    (void)pthread_mutex_lock(&resolver->lock);
    resolver->wake = NULL;
    let_go(resolver);
}

ut_err ut_resolver_start(ut_resolver *resolver, const char *host_z, bool anew, uint32_t *ticket)
{
    const size_t host_len = strlen(host_z);
    if (host_len == 0 || host_len >= UT_HOST_MAX)
        return UT_EINVAL;

    (void)pthread_mutex_lock(&resolver->lock);
    size_t index = 0;
    ut_err err = find_or_add(resolver, host_z, &index);
    if (err == UT_OK) {
        resolver_name *name = resolver->names[index];
        if (name->constant || (!anew && !name->running && is_fresh(name)))
            ut_poller_wake(resolver->wake); // a caller need not know which answers come at once
        else if (!name->running)
            err = begin(resolver, name);
        if (err == UT_OK) {
            name->users++;
            *ticket = name->number << TICKET_INDEX_BITS | (uint32_t)index;
        }
    }
    (void)pthread_mutex_unlock(&resolver->lock);
    return err;
}

ut_err ut_resolver_take(ut_resolver *resolver, uint32_t ticket, uint16_t port,
                        ut_addr addrs[UT_RESOLVE_ADDRS_MAX], size_t *count, ut_fault *fault)
{
    ut_err err = UT_OK;
    (void)pthread_mutex_lock(&resolver->lock);
    resolver_name *name = find(resolver, ticket);
    if (name == NULL) {
        err = UT_EINVAL;
    } else if (name->running &&
               (name->number << TICKET_INDEX_BITS) == (ticket & ~(uint32_t)TICKET_INDEX_MASK)) {
        err = UT_EAGAIN;
    } else {
        name->users--;
        // Where a name server is silent, an old answer is better than none (RFC 8767).
        const bool usable =
            name->failure == 0 || ut_clock_mono_ms() - name->answered_ms < UT_RESOLVE_STALE_MS;
        if (name->count > 0 && usable) {
            memcpy(addrs, name->addrs, name->count * sizeof(addrs[0]));
            *count = name->count;
            for (size_t i = 0; i < name->count; i++)
                addrs[i].port = port;
        } else {
            err = ut_fault_set(fault, UT_ERESOLVE, "cannot resolve the name %s: %s", name->host_z,
                               name->failure == EAI_SYSTEM ? strerror(name->failure_system)
                                                           : gai_strerror(name->failure));
        }
    }
    (void)pthread_mutex_unlock(&resolver->lock);
    return err;
}

void ut_resolver_cancel(ut_resolver *resolver, uint32_t ticket)
{
    (void)pthread_mutex_lock(&resolver->lock);
    resolver_name *name = find(resolver, ticket);
    if (name != NULL)
        name->users--;
    (void)pthread_mutex_unlock(&resolver->lock);
}
