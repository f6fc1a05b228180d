// Numeric socket addresses as text, both ways. Not for names: those are the resolver's.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "port/port.h"
#include "port/base/text.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

enum { IP_TEXT_MAX = INET6_ADDRSTRLEN + 1 + IF_NAMESIZE };

// Copies text to out_z with a NUL. False when it is empty, too long or holds a NUL itself.
static bool copy_z(ut_bytes text, char *out_z, size_t cap)
{
    if (text.len == 0 || text.len >= cap || memchr(text.data, 0, text.len) != NULL)
        return false;
    memcpy(out_z, text.data, text.len);
    out_z[text.len] = '\0';
    return true;
}

// "2" or "eth0" behind the '%' of a link-local address.
static bool parse_zone(const char *text_z, uint32_t *zone)
{
    uint64_t number = 0;
    if (ut_text_parse_uint(ut_bytes_of_z(text_z), &number) == UT_OK && number <= UINT32_MAX)
        *zone = (uint32_t)number;
    else
        *zone = if_nametoindex(text_z);
    return *zone != 0;
}

static bool parse_ip6(ut_bytes text, ut_addr *addr)
{
    char text_z[IP_TEXT_MAX];
    if (!copy_z(text, text_z, sizeof(text_z)))
        return false;
    char *percent = strchr(text_z, '%');
    if (percent != NULL) {
        *percent = '\0';
        if (!parse_zone(percent + 1, &addr->zone))
            return false;
    }
    addr->family = UT_ADDR_IP6;
    return inet_pton(AF_INET6, text_z, addr->ip) == 1;
}

static bool parse_ip4(ut_bytes text, ut_addr *addr)
{
    char text_z[INET_ADDRSTRLEN];
    addr->family = UT_ADDR_IP4;
    return copy_z(text, text_z, sizeof(text_z)) && inet_pton(AF_INET, text_z, addr->ip) == 1;
}

ut_err ut_addr_parse(ut_bytes text, ut_addr *addr)
{
    static const ut_bytes unix_prefix = {(const uint8_t *)"unix:", 5};
    ut_addr parsed = {0};
    if (text.len >= unix_prefix.len &&
        ut_bytes_equal(ut_bytes_of(text.data, unix_prefix.len), unix_prefix)) {
        ut_bytes path = {text.data + unix_prefix.len, text.len - unix_prefix.len};
        parsed.family = UT_ADDR_UNIX;
        if (!copy_z(path, parsed.path_z, sizeof(parsed.path_z)))
            return UT_EFORMAT;
        *addr = parsed;
        return UT_OK;
    }

    size_t colon = text.len; // the last one: it parts address and port
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return UT_EFORMAT;
    ut_bytes ip = {text.data, colon - 1};
    uint64_t port = 0;
    if (ut_text_parse_uint(ut_bytes_of(text.data + colon, text.len - colon), &port) != UT_OK ||
        port > UINT16_MAX)
        return UT_EFORMAT;
    parsed.port = (uint16_t)port;
    bool bracketed = ip.len >= 2 && ip.data[0] == '[' && ip.data[ip.len - 1] == ']';
    if (bracketed ? !parse_ip6(ut_bytes_of(ip.data + 1, ip.len - 2), &parsed)
                  : !parse_ip4(ip, &parsed))
        return UT_EFORMAT;
    *addr = parsed;
    return UT_OK;
}

void ut_addr_text(const ut_addr *addr, char out_z[UT_ADDR_TEXT_MAX])
{
    char ip_z[INET6_ADDRSTRLEN] = "?";
    switch (addr->family) {
    case UT_ADDR_IP4:
        (void)inet_ntop(AF_INET, addr->ip, ip_z, sizeof(ip_z)); // fails only for lack of room
        (void)snprintf(out_z, UT_ADDR_TEXT_MAX, "%s:%u", ip_z, (unsigned)addr->port);
        return;
    case UT_ADDR_IP6:
        (void)inet_ntop(AF_INET6, addr->ip, ip_z, sizeof(ip_z));
        if (addr->zone != 0)
            (void)snprintf(out_z, UT_ADDR_TEXT_MAX, "[%s%%%u]:%u", ip_z, (unsigned)addr->zone,
                           (unsigned)addr->port);
        else
            (void)snprintf(out_z, UT_ADDR_TEXT_MAX, "[%s]:%u", ip_z, (unsigned)addr->port);
        return;
    case UT_ADDR_UNIX:
        (void)snprintf(out_z, UT_ADDR_TEXT_MAX, "unix:%s", addr->path_z);
        return;
    }
    (void)snprintf(out_z, UT_ADDR_TEXT_MAX, "?");
}

bool ut_addr_is_loopback(const ut_addr *addr)
{
    static const uint8_t ip6_loopback[16] = {[15] = 1};
    static const uint8_t ip4_in_ip6[12] = {[10] = 0xFF, [11] = 0xFF};
    switch (addr->family) {
    case UT_ADDR_IP4:
        return addr->ip[0] == 127;
    case UT_ADDR_IP6:
        return memcmp(addr->ip, ip6_loopback, 16) == 0 ||
               (memcmp(addr->ip, ip4_in_ip6, 12) == 0 && addr->ip[12] == 127);
    case UT_ADDR_UNIX:
        return true;
    }
    return false;
}
