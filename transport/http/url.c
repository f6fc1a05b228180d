// Takes an http or https URL apart (RFC 3986). Strict, because whoever wrote it is still there to
// read the fault. Faults repeat no more of the URL than its scheme, host and port: the rest may
// hold a secret.
#include "transport/http/url.h"

#include "port/base/text.h"

#include <stdio.h>

enum { HTTP_PORT = 80, HTTPS_PORT = 443, PORT_DIGITS_MAX = 5, SHOWN_MAX = 40 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Takes the scheme at *at and moves *at behind "://".
static ut_err take_scheme(const char **at, bool *tls, ut_fault *fault)
{
    static const struct {
        const char *text_z;
        bool tls;
    } schemes[] = {{"http://", false}, {"https://", true}};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        const ut_bytes scheme = ut_bytes_of_z(schemes[i].text_z);
        if (ut_bytes_begins_fold(ut_bytes_of_z(*at), scheme)) {
            *tls = schemes[i].tls;
            *at += scheme.len;
            return UT_OK;
        }
    }
    size_t shown = 0;
    while (shown < SHOWN_MAX && (is_letter((*at)[shown]) || is_digit((*at)[shown])))
        shown++;
    if (shown > 0 && strncmp(*at + shown, "://", 3) == 0)
        return ut_fault_set(fault, UT_EFORMAT,
                            "found the URL scheme '%.*s', expected http or https", (int)shown, *at);
    return ut_fault_set(fault, UT_EFORMAT,
                        "the URL has no scheme, expected http://HOST or https://HOST");
}

static ut_err take_ip6(const char **at, char *host_z, ut_fault *fault)
{
    const char *end = strchr(*at, ']');
    size_t len = end != NULL ? (size_t)(end - *at) - 1 : 0;
    if (end == NULL || len == 0 || len >= UT_HOST_MAX)
        return ut_fault_set(fault, UT_EFORMAT,
                            "the IPv6 address of the URL has no end, expected [ADDRESS]");
    memcpy(host_z, *at + 1, len);
    host_z[len] = '\0';
    // RFC 6874 writes the sign before a zone as %25. "%25" alone is zone 25.
    char *zone = strchr(host_z, '%');
    if (zone != NULL && strncmp(zone, "%25", 3) == 0 && zone[3] != '\0')
        memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
    char text_z[UT_HOST_MAX + sizeof "[]:1"]; // with a port, because ut_addr_parse wants one
    (void)snprintf(text_z, sizeof(text_z), "[%s]:1", host_z);
    ut_addr addr;
    if (ut_addr_parse(ut_bytes_of_z(text_z), &addr) != UT_OK || addr.family != UT_ADDR_IP6)
        return ut_fault_set(fault, UT_EFORMAT, "found '[%.*s]', expected an IPv6 address",
                            SHOWN_MAX, host_z);
    *at = end + 1;
    return UT_OK;
}

// Checks a name (RFC 1035, section 2.3.4) or an IPv4 address. What ends in a number is an address
// (WHATWG URL): the libc would read "127.1" as 127.0.0.1, and TLS as a name.
static ut_err check_host(const char *host_z, ut_fault *fault)
{
    enum { LABEL_MAX = 63, NAME_MAX_LEN = 253 };
    size_t len = strlen(host_z);
    if (len > 1 && host_z[len - 1] == '.')
        len--; // an absolute name
    size_t label = len;
    for (size_t at = 0; at < len; at += strcspn(host_z + at, ".") + 1) {
        label = strcspn(host_z + at, ".");
        if (label == 0 || label > LABEL_MAX)
            break;
    }
    if (label == 0 || label > LABEL_MAX || host_z[len - 1] == '.' || len > NAME_MAX_LEN)
        return ut_fault_set(fault, UT_EFORMAT,
                            "the host of the URL is no host name: between its dots stand 1 to %d "
                            "characters, and %d in all",
                            LABEL_MAX, NAME_MAX_LEN);
    size_t last = len;
    while (last > 0 && host_z[last - 1] != '.')
        last--;
    const char *digits_z = "0123456789";
    if (host_z[last] == '0' && host_z[last + 1] == 'x') {
        digits_z = "0123456789abcdef";
        last += 2;
    }
    if (strspn(host_z + last, digits_z) < len - last)
        return UT_OK;
    char text_z[UT_HOST_MAX + 2];
    ut_addr addr;
    (void)snprintf(text_z, sizeof(text_z), "%s:1", host_z);
    if (ut_addr_parse(ut_bytes_of_z(text_z), &addr) != UT_OK)
        return ut_fault_set(fault, UT_EFORMAT,
                            "found the host '%.*s', expected a name or an IPv4 address of four "
                            "numbers such as 192.0.2.1",
                            SHOWN_MAX, host_z);
    return UT_OK;
}

// Takes a name or an IPv4 address: what stands before ':', '/', '?', '#' or the end.
static ut_err take_host(const char **at, char *host_z, ut_fault *fault)
{
    if (**at == '[')
        return take_ip6(at, host_z, fault);
    size_t len = 0;
    for (;; len++) {
        char c = (*at)[len];
        if (c == '\0' || c == ':' || c == '/' || c == '?' || c == '#')
            break;
        if ((uint8_t)c >= 0x80)
            return ut_fault_set(fault, UT_EFORMAT,
                                "the host of the URL is not ASCII, expected its xn-- form");
        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '.' && c != '_')
            return ut_fault_set(fault, UT_EFORMAT,
                                "the host of the URL holds a character (byte 0x%02x) that no host "
                                "has",
                                (unsigned)(uint8_t)c);
        if (len + 1 >= UT_HOST_MAX)
            return ut_fault_set(fault, UT_EFORMAT,
                                "the host of the URL is longer than %d characters",
                                UT_HOST_MAX - 1);
        host_z[len] = (char)ut_byte_lower((uint8_t)c);
    }
    host_z[len] = '\0';
    if (len == 0)
        return ut_fault_set(fault, UT_EFORMAT, "the URL has no host");
    *at += len;
    return check_host(host_z, fault);
}

static ut_err take_port(const char **at, uint16_t *port, ut_fault *fault)
{
    ++*at; // the colon
    size_t len = 0;
    while (is_digit((*at)[len]) && len <= PORT_DIGITS_MAX)
        len++;
    uint64_t value = 0;
    char next = (*at)[len];
    bool ends = next == '\0' || next == '/' || next == '?' || next == '#';
    if (!ends || len > PORT_DIGITS_MAX ||
        ut_text_parse_uint(ut_bytes_of(*at, len), &value) != UT_OK || value < 1 || value > 65535)
        return ut_fault_set(fault, UT_EFORMAT,
                            "the URL has no valid port behind its host, expected 1 to 65535");
    *port = (uint16_t)value;
    *at += len;
    return UT_OK;
}

static ut_err take_path(const char *at, char *path_z, ut_fault *fault)
{
    size_t len = 0;
    if (*at != '/')
        path_z[len++] = '/'; // "http://host" and "http://host?query"
    for (; *at != '\0'; at++) {
        if (*at == '#')
            return ut_fault_set(fault, UT_EFORMAT,
                                "the URL has a fragment ('#'), which is never sent; leave it out");
        if ((uint8_t)*at <= 0x20 || (uint8_t)*at >= 0x7f)
            return ut_fault_set(fault, UT_EFORMAT,
                                "the path of the URL holds byte 0x%02x, expected it as %%%02X",
                                (unsigned)(uint8_t)*at, (unsigned)(uint8_t)*at);
        if (len + 1 >= UT_URL_MAX)
            return ut_fault_set(fault, UT_EFORMAT, "the path of the URL is longer than %d bytes",
                                UT_URL_MAX - 1);
        path_z[len++] = *at;
    }
    path_z[len] = '\0';
    return UT_OK;
}

ut_err ut_url_parse(const char *text_z, ut_url *url, ut_fault *fault)
{
    memset(url, 0, sizeof(*url));
    const char *at = text_z;
    ut_err err = take_scheme(&at, &url->tls, fault);
    if (err != UT_OK)
        return err;
    if (memchr(at, '@', strcspn(at, "/?#")) != NULL)
        return ut_fault_set(fault, UT_EFORMAT,
                            "the URL holds a user name or password before '@'; put them into an "
                            "authorization header");
    err = take_host(&at, url->host_z, fault);
    if (err != UT_OK)
        return err;
    url->port = url->tls ? HTTPS_PORT : HTTP_PORT;
    if (*at == ':') {
        err = take_port(&at, &url->port, fault);
        if (err != UT_OK)
            return err;
    }
    if (*at != '\0' && *at != '/' && *at != '?' && *at != '#')
        return ut_fault_set(fault, UT_EFORMAT,
                            "the URL goes on after its host with something that is neither a port "
                            "nor a path");
    return take_path(at, url->path_z, fault);
}

void ut_url_show(const ut_url *url, ut_buf *out)
{
    const bool ip6 = strchr(url->host_z, ':') != NULL;
    const size_t path_len = strcspn(url->path_z, "?");
    ut_buf_printf(out, "%s://%s%s%s:%u%.*s%s", url->tls ? "https" : "http", ip6 ? "[" : "",
                  url->host_z, ip6 ? "]" : "", (unsigned)url->port, (int)path_len, url->path_z,
                  url->path_z[path_len] != '\0' ? "?***" : "");
}
