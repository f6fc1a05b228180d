// Requests to a running agent over its control socket; see control_client.h.
#include "agent/control/control_client.h"

#include "adapters/encoding/json.h"
#include "agent/control/control_limits.h"
#include "agent/control/control_path.h"
#include "transport/http/http_reader.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    REQUEST_MAX = UT_CONTROL_BODY_BYTES_MAX + 1024,
    REQUEST_KEEP_BYTES = 1024 * 1024,
    READ_BYTES = 16 * 1024,
};

struct ut_control_client {
    char *dir_z;
    ut_sock sock; // UT_SOCK_NONE: not connected
    ut_http_reader reader;
    ut_buf request;
    bool (*give_up)(void *context); // NULL: the wait ends with the timeout alone
    void *context;
};

static ut_err no_agent(const ut_control_client *client, ut_fault *fault)
{
    return ut_fault_set(fault, UT_ENOTFOUND, "no agent is running on %s", client->dir_z);
}

// Connects without port.h, whose connect does not tell the reasons apart. A Unix socket is
// connected at once or not at all.
static ut_err connect_to(ut_control_client *client, ut_fault *fault)
{
    ut_addr addr;
    int dir_fd = -1;
    ut_err err = ut_control_path(client->dir_z, &addr, &dir_fd, fault);
    if (err != UT_OK)
        return err;
    struct sockaddr_un sys = {.sun_family = AF_UNIX};
    memcpy(sys.sun_path, addr.path_z, sizeof(addr.path_z));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int reason = 0;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&sys, sizeof(sys)) != 0)
        reason = errno;
    if (dir_fd >= 0)
        (void)close(dir_fd);
    if (reason == 0) {
        client->sock = fd;
        return UT_OK;
    }
    if (fd >= 0)
        (void)close(fd);
    switch (reason) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return no_agent(client, fault);
    case EACCES:
    case EPERM:
        return ut_fault_set(fault, UT_EPERM,
                            "the agent of %s runs as another user, and takes commands of that user "
                            "only",
                            client->dir_z);
    case EAGAIN:
        return ut_fault_set(fault, UT_EAGAIN, "the agent of %s is too busy for commands",
                            client->dir_z);
    default:
        return ut_fault_set(fault, UT_EIO, "cannot reach the agent of %s: %s", client->dir_z,
                            strerror(reason));
    }
}

static void disconnect(ut_control_client *client)
{
    ut_sock_close(client->sock);
    client->sock = UT_SOCK_NONE;
}

ut_err ut_control_client_open(const char *dir_z, ut_control_client **out, ut_fault *fault)
{
    ut_control_client *client = calloc(1, sizeof(*client));
    char *copy_z = strdup(dir_z);
    if (client == NULL || copy_z == NULL) {
        free(client);
        free(copy_z);
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    }
    client->dir_z = copy_z;
    client->sock = UT_SOCK_NONE;
    ut_http_reader_init(&client->reader);
    ut_buf_init(&client->request, REQUEST_MAX);
    const ut_err err = connect_to(client, fault);
    if (err != UT_OK) {
        ut_control_client_close(client);
        return err;
    }
    *out = client;
    return UT_OK;
}

void ut_control_client_close(ut_control_client *client)
{
    if (client == NULL)
        return;
    disconnect(client);
    ut_http_reader_free(&client->reader);
    ut_buf_free(&client->request);
    free(client->dir_z);
    free(client);
}

void ut_control_client_watch(ut_control_client *client, bool (*give_up)(void *context),
                             void *context)
{
    client->give_up = give_up;
    client->context = context;
}

// Waits for the events. UT_ETIMEOUT: the deadline has passed; UT_ECANCELED: the caller gives up.
static ut_err wait_for(const ut_control_client *client, short events, uint64_t deadline_ms)
{
    for (;;) {
        const uint64_t now_ms = ut_clock_mono_ms();
        if (now_ms >= deadline_ms)
            return UT_ETIMEOUT;
        const uint64_t left_ms = deadline_ms - now_ms;
        struct pollfd wanted = {.fd = client->sock, .events = events};
        const bool last = left_ms < UT_CONTROL_CLIENT_LOOK_MS;
        const int got = poll(&wanted, 1, last ? (int)left_ms + 1 : UT_CONTROL_CLIENT_LOOK_MS);
        if (got > 0)
            return UT_OK;
        if (got < 0 && errno != EINTR)
            return UT_EIO;
        if (client->give_up != NULL && client->give_up(client->context))
            return UT_ECANCELED;
    }
}

static ut_err send_request(ut_control_client *client, uint64_t deadline_ms)
{
    ut_bytes left = ut_buf_bytes(&client->request);
    while (left.len > 0) {
        size_t n = 0;
        ut_err err = ut_sock_write(client->sock, &left, 1, &n);
        if (err == UT_OK) {
            left.data += n;
            left.len -= n;
        } else if (err == UT_EAGAIN) {
            err = wait_for(client, POLLOUT, deadline_ms);
        }
        if (err != UT_OK)
            return err == UT_EIO ? UT_ECLOSED : err;
    }
    return UT_OK;
}

static ut_err read_answer(ut_control_client *client, uint64_t deadline_ms, ut_fault *fault)
{
    uint8_t bytes[READ_BYTES];
    ut_http_reader_reset(&client->reader);
    for (;;) {
        size_t n = 0;
        ut_err err = ut_sock_read(client->sock, bytes, sizeof(bytes), &n);
        if (err == UT_EAGAIN) {
            err = wait_for(client, POLLIN, deadline_ms);
            if (err != UT_OK)
                return err;
            continue;
        }
        if (err == UT_ECLOSED || err == UT_EIO)
            return ut_http_reader_begun(&client->reader)
                       ? ut_http_reader_finish(&client->reader, fault)
                       : UT_ECLOSED;
        if (err == UT_OK)
            err = ut_http_reader_feed(&client->reader, ut_bytes_of(bytes, n), fault);
        if (err != UT_EAGAIN)
            return err;
    }
}

// Makes a fault of an answer {"error":TEXT}.
static ut_err refusal(const ut_control_client *client, ut_fault *fault)
{
    ut_json json;
    const int status = client->reader.status;
    const ut_err err = status == 409   ? UT_EBUSY
                       : status == 400 ? UT_EINVAL
                       : status == 503 ? UT_EAGAIN
                       : status == 413 ? UT_ELIMIT
                       : status == 404 ? UT_EVERSION
                                       : UT_EIO;
    (void)ut_fault_set(fault, err, "the agent refused it (HTTP status %d)%s", status,
                       status == 404 ? ": it is of another version" : "");
    if (client->reader.body.len > 0 && ut_json_read(&json, client->reader.body, NULL) == UT_OK) {
        const char *text_z = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(json.doc), "error"));
        if (text_z != NULL && status != 404)
            (void)ut_fault_set(fault, err, "%s", text_z);
        ut_json_free(&json);
    }
    return err;
}

ut_err ut_control_client_ask(ut_control_client *client, const char *method_z, const char *path_z,
                             ut_bytes body, uint32_t timeout_ms, ut_bytes *out, ut_fault *fault)
{
    const uint64_t deadline_ms =
        ut_clock_mono_ms() + (timeout_ms != 0 ? timeout_ms : UT_CONTROL_CLIENT_TIMEOUT_MS);
    *out = UT_BYTES_NONE;
    ut_buf_reset(&client->request, REQUEST_KEEP_BYTES);
    ut_buf_printf(&client->request,
                  "%s %s HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  method_z, path_z, body.len);
    ut_buf_add_bytes(&client->request, body);
    if (client->request.err != UT_OK)
        return ut_fault_set(fault, client->request.err, "the request is too long");
    ut_err err = UT_ECLOSED;
    const bool kept = client->sock != UT_SOCK_NONE;
    for (int attempt = kept ? 0 : 1; attempt < 2 && err == UT_ECLOSED; attempt++) {
        if (client->sock == UT_SOCK_NONE) {
            err = connect_to(client, fault);
            if (err != UT_OK)
                return err;
        }
        err = send_request(client, deadline_ms);
        if (err == UT_OK)
            err = read_answer(client, deadline_ms, fault);
        if (err != UT_OK || !client->reader.keep_alive)
            disconnect(client);
    }
    if (err == UT_ECLOSED)
        return no_agent(client, fault);
    if (err == UT_ECANCELED)
        return ut_fault_set(fault, err, "stopped waiting for the agent of %s", client->dir_z);
    if (err == UT_ETIMEOUT)
        return ut_fault_set(fault, err,
                            "the agent of %s does not answer; is its disk stuck, or the machine "
                            "overloaded?",
                            client->dir_z);
    if (err != UT_OK)
        return ut_fault_set(fault, err, "the answer of the agent of %s cannot be read: %s",
                            client->dir_z, ut_err_text(err));
    *out = client->reader.body;
    return client->reader.status >= 300 ? refusal(client, fault) : UT_OK;
}

// ---- reading answers ----

uint64_t ut_control_uint(yyjson_val *object, const char *name_z)
{
    uint64_t number = 0;
    return ut_json_uint(yyjson_obj_get(object, name_z), &number) ? number : 0;
}

bool ut_control_bool(yyjson_val *object, const char *name_z)
{
    return yyjson_is_true(yyjson_obj_get(object, name_z));
}

const char *ut_control_text(yyjson_val *object, const char *name_z)
{
    const char *text_z = yyjson_get_str(yyjson_obj_get(object, name_z));
    return text_z != NULL ? text_z : "";
}
