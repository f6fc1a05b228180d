// The control socket: which request goes to which resource.
#include "agent/control/control.h"

#include "agent/control/control_answer.h"
#include "agent/control/control_consumer.h"
#include "agent/control/control_limits.h"
#include "agent/control/control_operations.h"
#include "agent/control/control_path.h"
#include "agent/control/control_spans.h"
#include "agent/control/control_status.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct ut_control {
    ut_control_agent agent;
    ut_addr addr;
    int dir_fd; // -1, or a descriptor that the address goes through
};

typedef struct {
    const char *method_z;
    const char *path_z;
    ut_control_serve *serve;
} route;

// Another resource is a file beside control_status.c and its rows here.
static const route routes[] = {
    {"GET", "/status", ut_control_get_status},
    {"POST", "/spans", ut_control_post_spans},
    {"GET", "/store/operation", ut_control_get_operation},
    {"POST", "/store/cleanup", ut_control_post_cleanup},
    {"POST", "/store/ttl", ut_control_post_ttl},
    {"POST", "/store/compact", ut_control_post_compact},
    {"POST", "/store/rekey", ut_control_post_rekey},
    {"POST", "/store/cancel", ut_control_post_cancel},
    {"POST", "/store/consumer", ut_control_post_consumer},
};
enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

static void on_head(void *context, ut_http_exchange *exchange, const ut_http_head *head)
{
    ut_control *control = context;
    bool known = false;
    for (size_t i = 0; i < ROUTES; i++) {
        if (!ut_bytes_equal(head->path, ut_bytes_of_z(routes[i].path_z)))
            continue;
        known = true;
        if (strcmp(head->method_z, routes[i].method_z) == 0) {
            exchange->note = i;
            return;
        }
    }
    if (known)
        ut_control_answer_error(&control->agent, exchange, 405, "this path takes another method");
    else
        ut_control_answer_error(&control->agent, exchange, 404, "there is no such path");
}

static void on_body(void *context, ut_http_exchange *exchange, ut_bytes body)
{
    ut_control *control = context;
    UT_ASSERT(exchange->note < ROUTES);
    routes[exchange->note].serve(&control->agent, exchange, body);
}

static void on_refuse(void *context, ut_http_exchange *exchange, int status, const char *reason_z)
{
    ut_control *control = context;
    ut_control_answer_error(&control->agent, exchange, status, reason_z);
}

// ---- the socket ----

ut_err ut_control_open(const ut_control_config *config, ut_control **out, ut_fault *fault)
{
    ut_control *control = calloc(1, sizeof(*control));
    if (control == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    control->agent = (ut_control_agent){
        .store = config->store,
        .dispatch = config->dispatch,
        .receiver = config->receiver,
        .refusals = config->refusals,
        .data_dir_z = config->data_dir_z,
        .config_z = config->config_z,
        .log = config->log,
        .started_ms = ut_clock_mono_ms(),
    };
    ut_buf_init(&control->agent.answer, UT_CONTROL_ANSWER_MAX);
    ut_err err = ut_control_path(config->data_dir_z, &control->addr, &control->dir_fd, fault);
    if (err == UT_OK) {
        const ut_http_server_config server = {
            .poller = config->poller,
            .log = config->log,
            .area_z = "control",
            .handler = {.context = control,
                        .on_head = on_head,
                        .on_body = on_body,
                        .on_refuse = on_refuse},
            .listen = control->addr,
            .body_bytes_max = UT_CONTROL_BODY_BYTES_MAX,
            .memory_bytes_max = UT_CONTROL_MEMORY_MAX,
            .connections_max = UT_CONTROL_CONNECTIONS_MAX,
            .header_bytes_max = UT_CONTROL_HEADER_BYTES_MAX,
            .head_timeout_ms = UT_CONTROL_TIMEOUT_MS,
            .body_timeout_ms = UT_CONTROL_TIMEOUT_MS,
            .idle_timeout_ms = UT_CONTROL_IDLE_MS,
        };
        // umask: the socket is never there for other users, not even for a moment. A file that
        // another thread makes meanwhile is for this user only, as all files of the agent are.
        const mode_t before = umask(0177);
        err = ut_http_server_open(&server, &control->agent.server, fault);
        (void)umask(before);
    }
    if (err != UT_OK) {
        ut_control_close(control);
        return err;
    }
    *out = control;
    return UT_OK;
}

void ut_control_close(ut_control *control)
{
    if (control == NULL)
        return;
    UT_ASSERT(control->agent.in_store == 0);
    if (control->agent.server != NULL) {
        ut_http_server_close(control->agent.server);
        (void)unlink(control->addr.path_z); // one that stays behind is replaced by the next agent
    }
    if (control->dir_fd >= 0)
        (void)close(control->dir_fd);
    ut_buf_free(&control->agent.answer);
    free(control);
}

ut_http_server *ut_control_server(ut_control *control)
{
    return control->agent.server;
}
