// Running an operation for a command, by the agent or here.
#include "agent/commands/store_work.h"

#include "adapters/encoding/json.h"
#include "adapters/encoding/json_write.h"
#include "agent/cli/cli.h"
#include "agent/config/config_find.h"
#include "agent/control/control_client.h"
#include "agent/process/data_dir.h"
#include "agent/cli/progress_bar.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    const ut_store_work *work;
    const char *dir_z;
    sigset_t stops;
    int signal;                // that came; 0: none
    uint64_t patient_until_ms; // after it, for the answer of the agent
    ut_progress_bar bar;
    ut_store_work_result *result;
    ut_fault fault;
} job;

// Waits for SIGINT or SIGTERM, up to wait_ms. True: one has come in that time.
static bool stopped(job *j, uint64_t wait_ms)
{
    const struct timespec wait = {.tv_sec = (time_t)(wait_ms / 1000),
                                  .tv_nsec = (long)(wait_ms % 1000) * 1000000};
    const int got = sigtimedwait(&j->stops, NULL, &wait);
    if (got <= 0)
        return false;
    j->signal = got;
    j->patient_until_ms = ut_clock_mono_ms() + UT_STORE_WORK_GRACE_MS;
    return true;
}

static void draw(job *j)
{
    ut_progress_bar_draw(&j->bar, j->result->progress.done, j->result->progress.total,
                         j->work->unit_z);
}

// ---- by the agent ----

// While the agent does not answer. A second signal is obeyed at once.
static bool give_up(void *context)
{
    job *j = context;
    const bool before = j->signal != 0;
    return (stopped(j, 0) && before) ||
           (j->signal != 0 && ut_clock_mono_ms() >= j->patient_until_ms);
}

typedef struct {
    uint64_t number;
    char state_z[16];
    char error_z[UT_FAULT_TEXT_MAX];
    char code_z[16];
    ut_operation_progress progress;
} answer;

static void copy_text(yyjson_val *object, const char *name_z, char *out_z, size_t cap)
{
    (void)snprintf(out_z, cap, "%s", ut_control_text(object, name_z));
}

static ut_err ask(job *j, ut_control_client *client, const char *method_z, const char *path_z,
                  ut_bytes request, answer *a)
{
    ut_bytes body = UT_BYTES_NONE;
    ut_json json = {0};
    j->patient_until_ms = ut_clock_mono_ms() + UT_STORE_WORK_GRACE_MS;
    ut_err err = ut_control_client_ask(client, method_z, path_z, request, 0, &body, &j->fault);
    if (err == UT_ECANCELED)
        return ut_fault_set(&j->fault, err,
                            "the agent of %s does not answer, and nobody waits for it any more; "
                            "where it has begun the %s, it goes on with it",
                            j->dir_z, j->work->name_z);
    if (err != UT_OK)
        return err;
    err = ut_json_read(&json, body, &j->fault);
    if (err != UT_OK)
        return ut_fault_set(&j->fault, UT_EPROTO, "the answer of the agent of %s cannot be read",
                            j->dir_z);
    yyjson_val *root = yyjson_doc_get_root(json.doc);
    *a = (answer){.number = ut_control_uint(root, "number"),
                  .progress = {.done = ut_control_uint(root, "done"),
                               .total = ut_control_uint(root, "total"),
                               .blocks = ut_control_uint(root, "blocks"),
                               .spans = ut_control_uint(root, "spans"),
                               .bytes = ut_control_uint(root, "bytes"),
                               .pending = ut_control_uint(root, "pending")}};
    copy_text(root, "state", a->state_z, sizeof(a->state_z));
    copy_text(root, "error", a->error_z, sizeof(a->error_z));
    copy_text(root, "error_code", a->code_z, sizeof(a->code_z));
    ut_json_free(&json);
    return UT_OK;
}

static ut_err code_of_name(const char *name_z)
{
#define X(name, value, text)        \
    if (strcmp(name_z, #name) == 0) \
        return UT_##name;
    UT_ERR_MAP(X)
#undef X
    return UT_EIO;
}

static ut_err ended(job *j, const answer *a)
{
    if (strcmp(a->state_z, "failed") == 0)
        return ut_fault_set(&j->fault, code_of_name(a->code_z), "%s", a->error_z);
    j->result->cancelled = strcmp(a->state_z, "cancelled") == 0;
    return UT_OK;
}

static ut_err agent_stopped(job *j)
{
    return ut_fault_set(&j->fault, UT_EAGAIN,
                        "the agent of %s has stopped before the %s was done; what is done stays "
                        "done, run it again for the rest",
                        j->dir_z, j->work->name_z);
}

static ut_err by_agent(job *j, ut_control_client *client)
{
    answer a = {.number = 0};
    j->result->by_agent = true;
    ut_control_client_watch(client, give_up, j);
    ut_err err = ask(j, client, "POST", j->work->path_z, j->work->request, &a);
    if (err == UT_ENOTFOUND)
        return agent_stopped(j);
    if (err != UT_OK)
        return err;
    const uint64_t number = a.number;
    uint64_t wait_ms = 1; // a small operation is done at once
    bool asked = false;   // to cancel it
    for (;;) {
        // A signal may also have come while an answer was waited for.
        if ((j->signal != 0 && !asked) || stopped(j, wait_ms)) {
            asked = true;
            answer ignored = {.number = 0};
            char ours_z[48]; // not one that somebody else has begun since
            (void)snprintf(ours_z, sizeof(ours_z), "{\"number\":%llu}", (unsigned long long)number);
            // It may have ended meanwhile; the next answer tells.
            err = ask(j, client, "POST", "/store/cancel", ut_bytes_of_z(ours_z), &ignored);
            if (err != UT_OK && err != UT_EBUSY && err != UT_ENOTFOUND)
                return err;
        }
        err = ask(j, client, "GET", "/store/operation", UT_BYTES_NONE, &a);
        if (err == UT_ENOTFOUND)
            return agent_stopped(j);
        if (err != UT_OK)
            return err;
        if (a.number != number)
            return ut_fault_set(&j->fault, UT_EAGAIN,
                                "the agent of %s does something else by now; its log says what "
                                "became of the %s",
                                j->dir_z, j->work->name_z);
        j->result->progress = a.progress;
        if (strcmp(a.state_z, "running") != 0)
            return ended(j, &a);
        draw(j);
        wait_ms = wait_ms * 2 < UT_STORE_WORK_POLL_MS ? wait_ms * 2 : UT_STORE_WORK_POLL_MS;
    }
}

// ---- here ----

static ut_err run_here(job *j, ut_store *store)
{
    ut_operation *operation = NULL;
    bool more = true;
    uint64_t held_since_ms = 0; // 0: the last slice did something
    ut_err err = j->work->make(j->work->context, &operation);
    if (err != UT_OK)
        return ut_fault_set(&j->fault, err, "cannot begin: %s", ut_err_text(err));
    while (more) {
        ut_fault fault = {UT_OK, ""};
        err = ut_operation_step(operation, store, ut_clock_wall_ns(), &more, &fault);
        j->result->progress = operation->progress;
        const bool held = err == UT_EAGAIN;
        const uint64_t now_ms = ut_clock_mono_ms();
        if (!held)
            held_since_ms = 0;
        else if (held_since_ms == 0)
            held_since_ms = now_ms;
        if (held && now_ms - held_since_ms < UT_STORE_WORK_WAIT_MS) {
            err = UT_OK;
            more = true;
        }
        if (err != UT_OK) {
            (void)ut_fault_set(&j->fault, err, "%s: %s", j->dir_z,
                               fault.text_z[0] != '\0' ? fault.text_z : ut_err_text(err));
            break;
        }
        if (more && stopped(j, held ? UT_STORE_WORK_AGAIN_MS : 0)) {
            j->result->cancelled = true;
            break;
        }
        draw(j);
    }
    operation->class->free(operation);
    return err;
}

static void write_line(void *context, ut_log_level level, const char *line, size_t len)
{
    job *j = context;
    ut_progress_bar_end(&j->bar);
    (void)fprintf(stderr, "untrace: %s: %.*s\n", ut_log_level_name(level), (int)len, line);
}

// Returns the exit code.
static int here(job *j, ut_config *config)
{
    const ut_log log = {.level = UT_LOG_WARN, .write = write_line, .context = j};
    ut_store *store = NULL;
    int lock_fd = -1;
    int code = ut_data_dir_find_store(config->data_dir_z, &j->fault);
    if (code == EX_OK)
        code = ut_data_dir_lock_own(config->data_dir_z, &log, &lock_fd, &j->fault);
    if (code == EX_OK)
        code = ut_data_dir_open_existing(config, &log, &store, &j->fault);
    if (code == EX_OK) {
        const ut_err err = run_here(j, store);
        code = err == UT_OK ? EX_OK : ut_exit_code(err);
    }
    if (store != NULL)
        ut_store_close(store);
    if (lock_fd >= 0)
        (void)close(lock_fd);
    return code;
}

// ---- either ----

static int find_and_run(job *j, const char *data_dir_z, const char *config_z, ut_config *config)
{
    ut_control_client *client = NULL;
    char *configured_z = NULL;
    char *found_z = NULL;
    bool config_read = false;
    int code = EX_OK;
    ut_err err = UT_OK;
    // A running agent is asked without the rest of the configuration, which standard input gives
    // only once.
    const bool once = config_z != NULL && strcmp(config_z, "-") == 0;
    if (data_dir_z == NULL) {
        err = once ? ut_config_find(config_z, UT_CONFIG_STORE, config, &j->fault)
                   : ut_config_find_data_dir(config_z, &found_z, &j->fault);
        if (err != UT_OK)
            return err == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
        config_read = once;
        data_dir_z = once ? config->data_dir_z : found_z;
    }
    if (data_dir_z == NULL) {
        code = EX_CONFIG;
        (void)ut_fault_set(&j->fault, UT_EINVAL,
                           "no data directory is known here: give --data-dir DIR or --config FILE");
        goto done;
    }
    j->dir_z = data_dir_z;
    err = ut_control_client_open(data_dir_z, &client, &j->fault);
    if (err == UT_OK) {
        err = by_agent(j, client);
        ut_control_client_close(client);
        // The agent refuses while it is at other work, and it will be done with it.
        code = err == UT_OK ? EX_OK : err == UT_EBUSY ? EX_TEMPFAIL : ut_exit_code(err);
        goto done;
    }
    if (err != UT_ENOTFOUND) {
        code = ut_exit_code(err);
        goto done;
    }
    if (!config_read) {
        err = ut_config_find(config_z, UT_CONFIG_STORE, config, &j->fault);
        if (err != UT_OK) {
            code = err == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
            goto done;
        }
        config_read = true;
    }
    configured_z = config->data_dir_z;
    (void)memcpy(&config->data_dir_z, &data_dir_z, sizeof(config->data_dir_z)); // only read
    code = here(j, config);
    config->data_dir_z = configured_z;
done:
    if (config_read)
        ut_config_free(config);
    free(found_z);
    return code;
}

int ut_store_work_run(const ut_store_work *work, const char *data_dir_z, const char *config_z,
                      ut_store_work_result *result)
{
    *result = (ut_store_work_result){.by_agent = false};
    job j = {.work = work, .result = result, .dir_z = ""};
    sigset_t before;
    (void)sigemptyset(&j.stops);
    (void)sigaddset(&j.stops, SIGINT);
    (void)sigaddset(&j.stops, SIGTERM);
    ut_config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return EX_OSERR;
    (void)sigprocmask(SIG_BLOCK, &j.stops, &before);
    int code = find_and_run(&j, data_dir_z, config_z, config);
    ut_progress_bar_end(&j.bar);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    free(config);
    if (code != EX_OK)
        (void)fprintf(stderr, "untrace: %s\n", j.fault.text_z);
    if (code != EX_OK && j.fault.code == UT_ECANCELED && j.signal != 0)
        code = 128 + j.signal;
    else if (code == EX_OK && result->cancelled)
        code = 128 + (j.signal != 0 ? j.signal : SIGTERM); // or somebody else cancelled it
    return code;
}

void ut_store_work_json(const ut_store_work *work, const ut_store_work_result *result, bool dry_run,
                        ut_buf *out)
{
    const ut_operation_progress *did = &result->progress;
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    ut_json_write_text_z(&json, "name", work->name_z);
    ut_json_write_text_z(&json, "state", result->cancelled ? "cancelled" : "done");
    ut_json_write_bool(&json, "by_agent", result->by_agent);
    ut_json_write_bool(&json, "dry_run", dry_run);
    ut_json_write_uint(&json, "blocks", did->blocks);
    ut_json_write_uint(&json, "spans", did->spans);
    ut_json_write_uint(&json, "bytes", did->bytes);
    ut_json_write_uint(&json, "pending", did->pending);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
}
