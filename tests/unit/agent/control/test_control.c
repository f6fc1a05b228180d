// The control socket and its client: one thread serves, the test asks.
#include "agent/control/control.h"
#include "agent/control/control_client.h"
#include "agent/control/control_path.h"
#include "agent/process/data_dir.h"
#include "agent/files/span_import.h"
#include "storage/query/query.h"
#include "tests/support/engine_gate.h"
#include "tests/support/engine_memory.h"
#include "tests/support/otlp_body.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20000,
    BUDGET = 16 * 1024 * 1024,
    EVENTS_MAX = 16,
    LONG_NAME = 150,
    LARGE_SPANS = 6000,
    SMALL_SPANS = 10,
    BODY_MAX = 64 * 1024 * 1024
};

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    ut_poller *poller;
    ut_engine_gate *gate;
    ut_store *store;
    ut_store_thread *thread;
    ut_control *control;
    ut_tally refusals; // of the receiver
    ut_control_client *client;
    pthread_t server;
    bool serving;
    atomic_bool stop;
    ut_fault fault;
} fixture;

static void *serve(void *context)
{
    fixture *f = context;
    ut_poll_event events[EVENTS_MAX];
    while (!atomic_load(&f->stop)) {
        uint64_t next_ms;
        size_t count = 0;
        const uint64_t now_ms = ut_clock_mono_ms();
        ut_http_server_step(ut_control_server(f->control), now_ms, &next_ms);
        const uint64_t wait_ms = next_ms == UINT64_MAX ? UT_POLL_FOREVER
                                 : next_ms > now_ms    ? next_ms - now_ms
                                                       : 0;
        if (ut_poller_wait(f->poller, wait_ms, events, EVENTS_MAX, &count) != UT_OK)
            abort();
        for (size_t i = 0; i < count; i++)
            ut_http_server_event(&events[i], ut_clock_mono_ms());
        ut_store_thread_deliver(f->thread);
    }
    return NULL;
}

static void open_control(fixture *f)
{
    const ut_control_config config = {
        .poller = f->poller,
        .store = f->thread,
        .refusals = &f->refusals,
        .data_dir_z = f->dir_z,
    };
    if (ut_control_open(&config, &f->control, &f->fault) != UT_OK)
        fail_msg("%s", f->fault.text_z);
}

static void start_serving(fixture *f)
{
    atomic_store(&f->stop, false);
    assert_int_equal(pthread_create(&f->server, NULL, serve, f), 0);
    f->serving = true;
}

static void stop_serving(fixture *f)
{
    atomic_store(&f->stop, true);
    ut_poller_wake(f->poller);
    assert_int_equal(pthread_join(f->server, NULL), 0);
    f->serving = false;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    ut_temp_dir_make(f->dir_z);
    assert_int_equal(ut_poller_open(&f->poller), UT_OK);
    const ut_store_config store = {.bytes_max = BUDGET};
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    f->gate = ut_engine_gate_put(engine);
    assert_int_equal(ut_store_open(engine, &store, &f->store, &f->fault), UT_OK);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "central", &dest), UT_OK);
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    ut_make_spans(1, 10, &batch);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
    assert_int_equal(ut_store_commit(f->store, 1, &append, 1, NULL, 0), UT_OK);
    ut_batch_free(&batch);
    const ut_store_thread_config thread = {.store = f->store, .done_poller = f->poller};
    assert_int_equal(ut_store_thread_start(&thread, &f->thread), UT_OK);
    open_control(f);
    start_serving(f);
    assert_int_equal(ut_control_client_open(f->dir_z, &f->client, &f->fault), UT_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_control_client_close(f->client);
    if (f->serving)
        stop_serving(f);
    ut_store_thread_join(f->thread);
    ut_store_thread_deliver(f->thread);
    ut_control_close(f->control);
    ut_store_thread_free(f->thread);
    ut_store_close(f->store);
    ut_engine_gate_free(f->gate);
    ut_poller_close(f->poller);
    ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

static ut_err ask(fixture *f, const char *method_z, const char *path_z, ut_bytes *answer)
{
    return ut_control_client_ask(f->client, method_z, path_z, UT_BYTES_NONE, PATIENCE_MS, answer,
                                 &f->fault);
}

static ut_err post(fixture *f, const char *path_z, const char *body_z)
{
    ut_bytes answer;
    return ut_control_client_ask(f->client, "POST", path_z, ut_bytes_of_z(body_z), PATIENCE_MS,
                                 &answer, &f->fault);
}

static void assert_has(ut_bytes answer, const char *text_z)
{
    char copy_z[8192];
    assert_true(answer.len < sizeof copy_z);
    memcpy(copy_z, answer.data, answer.len);
    copy_z[answer.len] = '\0';
    if (strstr(copy_z, text_z) == NULL)
        fail_msg("%s is not in %s", text_z, copy_z);
}

// ---- claims

static void the_status_tells_of_store_and_destinations(void **state)
{
    fixture *f = *state;
    ut_bytes answer;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(f, "GET", "/status", &answer), UT_OK);
        assert_has(answer, "\"version\":\"" UT_VERSION "\"");
        assert_has(answer, "\"spans_stored\":10");
        assert_has(answer, "\"blocks_stored\":1");
        assert_has(answer, "{\"name\":\"central\",\"active\":true,\"accepted\":10,\"delivered\":0,"
                           "\"pending\":10,\"dead\":0,\"expired\":0,\"evicted\":0,\"in_flight\":0,"
                           "\"failing\":false,\"last_error\":\"\"}");
        assert_has(answer, "\"bytes_max\":16777216");
        assert_has(answer, "\"operation\":null}");
    }
}

static void the_status_tells_what_the_receiver_refused(void **state)
{
    static const ut_tally_kind kinds[] = {
        {"metrics", "requests", "", "", "refused"},
        {"invalid", "requests", "", "", "refused"},
        {"trace_id", "spans", "", "", "rejected"},
    };
    fixture *f = *state;
    ut_bytes answer;
    assert_int_equal(ask(f, "GET", "/status", &answer), UT_OK);
    assert_has(answer, "\"refused\":0,\"refused_by\":{},\"rejected\":0,\"rejected_by\":{}");
    stop_serving(f);
    ut_tally_init(&f->refusals, kinds, 3, NULL, "");
    ut_tally_add(&f->refusals, 1, 4, "a", "", 0);
    ut_tally_add(&f->refusals, 2, 2, "a", "", 0);
    start_serving(f);
    assert_int_equal(ask(f, "GET", "/status", &answer), UT_OK);
    assert_has(answer, "\"refused\":4,\"refused_by\":{\"invalid\":4},"
                       "\"rejected\":2,\"rejected_by\":{\"trace_id\":2}");
}

static void what_is_not_known_is_refused(void **state)
{
    fixture *f = *state;
    ut_bytes answer;
    assert_int_equal(ask(f, "GET", "/nothing", &answer), UT_EVERSION);
    assert_int_equal(ask(f, "POST", "/status", &answer), UT_EIO);
    assert_string_equal(f->fault.text_z, "this path takes another method");
    assert_int_equal(ask(f, "POST", "/store/cancel", &answer), UT_EBUSY);
    assert_string_equal(f->fault.text_z, "no operation is under way");
    assert_int_equal(ask(f, "GET", "/status", &answer), UT_OK);
}

static void bodies_that_are_not_wanted_are_refused(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *path_z;
        const char *body_z;
        const char *fault_z;
    } wrong[] = {
        {"/store/cleanup", "{", "not valid JSON"},
        {"/store/cleanup", "[]", "the body is to be an object"},
        {"/store/cleanup", "{}", "cleanup takes older_than_ns"},
        {"/store/cleanup", "{\"older_than_ns\":-1}", "cleanup takes older_than_ns"},
        {"/store/cleanup", "{\"older_than_ns\":\"1\"}", "cleanup takes older_than_ns"},
        {"/store/cleanup", "{\"older_than_ns\":1,\"service\":\"\"}", "cleanup takes"},
        {"/store/cleanup", "{\"older_than_ns\":1,\"dry_run\":1}", "cleanup takes"},
        {"/store/cleanup", "{\"older_than_ns\":1,\"more\":1}", "cleanup takes"},
        {"/store/ttl", "{\"dry_run\":\"yes\"}", "ttl takes dry_run"},
        {"/store/rekey", "{}", "key_file is missing"},
        {"/store/rekey", "{\"key_file\":\"/nowhere/at/all\"}", "cannot read the key in /nowhere"},
        {"/store/consumer", "{\"name\":\"me\"}", "consumer takes name, seq and ordinal"},
        {"/store/consumer", "{\"seq\":1}", "consumer takes name, seq and ordinal"},
        {"/store/consumer", "{\"name\":\"a\\u0000b\",\"seq\":1}", "consumer takes name"},
        {"/store/consumer", "{\"name\":\"me\",\"seq\":99}", "no such place in the store"},
        {"/store/consumer", "{\"name\":\"me\",\"seq\":1,\"ordinal\":4294967296}", "no such place"},
        {"/spans", "x", "a request that is not whole"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(post(f, wrong[i].path_z, wrong[i].body_z), UT_EINVAL);
        if (strstr(f->fault.text_z, wrong[i].fault_z) == NULL)
            fail_msg("%s %s: \"%s\"", wrong[i].path_z, wrong[i].body_z, f->fault.text_z);
    }
}

static void the_cursor_of_a_reader_is_stored_and_removed(void **state)
{
    fixture *f = *state;
    static const char *const bodies_z[] = {
        "{\"name\":\"me \\\"\",\"seq\":1,\"ordinal\":2}\n",
        "{\"name\":\"me \\\"\",\"seq\":0,\"ordinal\":0}\n",
    };
    for (size_t i = 0; i < sizeof(bodies_z) / sizeof(bodies_z[0]); i++) {
        ut_bytes answer;
        assert_int_equal(ut_control_client_ask(f->client, "POST", "/store/consumer",
                                               ut_bytes_of_z(bodies_z[i]), PATIENCE_MS, &answer,
                                               &f->fault),
                         UT_OK);
        assert_true(ut_bytes_equal(answer, ut_bytes_of_z(bodies_z[i])));
        ut_store_view *view = NULL;
        ut_query_cursor cursor = {.begun = false};
        assert_int_equal(ut_store_view_open(ut_store_engine(f->store), &view), UT_OK);
        assert_int_equal(ut_store_view_begin(view), UT_OK);
        const ut_err err = ut_query_consumer(view, UT_ORG_DEFAULT, "me \"", &cursor);
        ut_store_view_close(view);
        assert_int_equal(err, i == 0 ? UT_OK : UT_ENOTFOUND);
        assert_true(i == 1 || (cursor.seq == 1 && cursor.ordinal == 2));
    }
}

static void only_this_user_may_connect(void **state)
{
    fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    struct stat status;
    ut_temp_path(f->dir_z, "untrace.sock", path_z);
    assert_int_equal(stat(path_z, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void without_an_agent_there_is_nobody_to_ask(void **state)
{
    fixture *f = *state;
    ut_control_client *client = NULL;
    ut_bytes answer;
    char path_z[UT_TEMP_PATH_MAX];
    struct stat status;
    ut_temp_path(f->dir_z, "untrace.sock", path_z);
    stop_serving(f);
    ut_control_close(f->control);
    f->control = NULL;
    assert_int_equal(stat(path_z, &status), -1); // it takes the socket with it
    assert_int_equal(ut_control_client_open(f->dir_z, &client, &f->fault), UT_ENOTFOUND);
    assert_int_equal(ut_control_client_open("/nowhere/at/all", &client, &f->fault), UT_ENOTFOUND);
    assert_int_equal(ask(f, "GET", "/status", &answer), UT_ENOTFOUND);
    // One who waits is served again by the next agent.
    open_control(f);
    start_serving(f);
    assert_int_equal(ask(f, "GET", "/status", &answer), UT_OK);
}

static void the_socket_of_a_killed_agent_is_replaced(void **state)
{
    fixture *f = *state;
    ut_control_client *client = NULL;
    ut_addr addr;
    int dir_fd;
    ut_sock sock;
    stop_serving(f);
    ut_control_close(f->control);
    // Nobody listens behind it any more, and the file is still there.
    assert_int_equal(ut_control_path(f->dir_z, &addr, &dir_fd, &f->fault), UT_OK);
    assert_int_equal(ut_sock_listen(&addr, 1, &sock, &f->fault), UT_OK);
    ut_sock_close(sock);
    assert_int_equal(ut_control_client_open(f->dir_z, &client, &f->fault), UT_ENOTFOUND);
    open_control(f);
    start_serving(f);
    assert_int_equal(ut_control_client_open(f->dir_z, &client, &f->fault), UT_OK);
    ut_control_client_close(client);
}

static void a_directory_may_have_a_long_path(void **state)
{
    fixture *f = *state;
    char dir_z[UT_TEMP_PATH_MAX + LONG_NAME + 2];
    char name_z[LONG_NAME + 1];
    ut_control_client *client = NULL;
    ut_bytes answer;
    memset(name_z, 'd', LONG_NAME);
    name_z[LONG_NAME] = '\0';
    (void)snprintf(dir_z, sizeof dir_z, "%s/%s", f->dir_z, name_z);
    assert_int_equal(ut_control_client_open(dir_z, &client, &f->fault), UT_ENOTFOUND);
    assert_int_equal(mkdir(dir_z, 0700), 0);
    assert_int_equal(ut_control_client_open(dir_z, &client, &f->fault), UT_ENOTFOUND);
    stop_serving(f);
    ut_control_close(f->control);
    const ut_control_config config = {.poller = f->poller, .store = f->thread, .data_dir_z = dir_z};
    assert_int_equal(ut_control_open(&config, &f->control, &f->fault), UT_OK);
    start_serving(f);
    assert_int_equal(ut_control_client_open(dir_z, &client, &f->fault), UT_OK);
    assert_int_equal(ut_control_client_ask(client, "GET", "/status", UT_BYTES_NONE, PATIENCE_MS,
                                           &answer, &f->fault),
                     UT_OK);
    assert_has(answer, name_z);
    ut_control_client_close(client);
    stop_serving(f);
    ut_control_close(f->control);
    f->control = NULL;
    assert_int_equal(rmdir(dir_z), 0); // empty: the socket is gone
}

static void a_silent_agent_is_not_waited_for_for_ever(void **state)
{
    fixture *f = *state;
    ut_bytes answer;
    stop_serving(f);
    assert_int_equal(
        ut_control_client_ask(f->client, "GET", "/status", UT_BYTES_NONE, 50, &answer, &f->fault),
        UT_ETIMEOUT);
    start_serving(f);
    assert_int_equal(ask(f, "GET", "/status", &answer), UT_OK);
}

static bool third_time(void *context)
{
    int *count = context;
    return ++*count == 3;
}

static void who_waits_for_a_silent_agent_may_give_up(void **state)
{
    fixture *f = *state;
    ut_bytes answer;
    int asked = 0;
    stop_serving(f);
    ut_control_client_watch(f->client, third_time, &asked);
    assert_int_equal(
        ut_control_client_ask(f->client, "GET", "/status", UT_BYTES_NONE, 5000, &answer, &f->fault),
        UT_ECANCELED);
    assert_int_equal(asked, 3);
    start_serving(f);
    ut_control_client_watch(f->client, NULL, NULL);
    assert_int_equal(ask(f, "GET", "/status", &answer), UT_OK);
}

// An operation that goes on until it is cancelled.
static ut_err endless_step(ut_operation *base, ut_store *store, uint64_t now_ns, bool *more,
                           ut_fault *fault)
{
    (void)store;
    (void)now_ns;
    (void)fault;
    base->progress = (ut_operation_progress){base->progress.done + 1, 7, 1, 2, 3, 4};
    *more = true;
    return UT_OK;
}

static void endless_free(ut_operation *base)
{
    (void)base;
}

static const ut_operation_class endless_class = {
    .name_z = "endless", .step = endless_step, .free = endless_free};

static void an_operation_is_watched_and_cancelled(void **state)
{
    fixture *f = *state;
    ut_operation endless = {.class = &endless_class};
    ut_store_operation_status status;
    uint64_t number;
    ut_bytes answer;
    assert_int_equal(ask(f, "GET", "/store/operation", &answer), UT_OK);
    assert_has(answer, "\"state\":\"none\"");
    assert_int_equal(ut_store_thread_begin(f->thread, &endless, &number), UT_OK);
    const uint64_t begin_ms = ut_clock_mono_ms();
    do {
        ut_store_thread_operation(f->thread, &status);
        if (ut_clock_mono_ms() - begin_ms > PATIENCE_MS)
            fail_msg("no slice");
        (void)sched_yield();
    } while (status.progress.done == 0);
    assert_int_equal(ask(f, "GET", "/store/operation", &answer), UT_OK);
    assert_has(answer, "{\"name\":\"endless\",\"number\":1,\"state\":\"running\",\"done\":");
    assert_has(answer, "\"total\":7,\"blocks\":1,\"spans\":2,\"bytes\":3,\"pending\":4}");
    assert_int_equal(ask(f, "GET", "/status", &answer), UT_OK);
    assert_has(answer, "\"operation\":{\"name\":\"endless\"");
    // Another one waits outside.
    assert_int_equal(ask(f, "POST", "/store/compact", &answer), UT_EBUSY);
    assert_non_null(strstr(f->fault.text_z, "another operation (endless) is under way"));
    // Who means another one cancels nothing.
    assert_int_equal(post(f, "/store/cancel", "{\"number\":2}"), UT_EBUSY);
    assert_string_equal(f->fault.text_z, "this operation is not under way");
    assert_int_equal(post(f, "/store/cancel", "{\"number\":0}"), UT_EINVAL);
    assert_int_equal(post(f, "/store/cancel", "{\"name\":1}"), UT_EINVAL);
    assert_int_equal(post(f, "/store/cancel", "[1]"), UT_EINVAL);
    assert_int_equal(ask(f, "GET", "/store/operation", &answer), UT_OK);
    assert_has(answer, "\"state\":\"running\"");
    assert_int_equal(post(f, "/store/cancel", "{\"number\":1}"), UT_OK);
    while (status.state == UT_STORE_OPERATION_RUNNING) {
        ut_store_thread_operation(f->thread, &status);
        if (ut_clock_mono_ms() - begin_ms > 2 * PATIENCE_MS)
            fail_msg("it goes on");
        (void)sched_yield();
    }
    assert_int_equal(ask(f, "GET", "/store/operation", &answer), UT_OK);
    assert_has(answer, "\"state\":\"cancelled\"");
}

static void an_operation_that_fails_is_told(void **state)
{
    fixture *f = *state;
    ut_bytes answer;
    ut_store_operation_status status = {.state = UT_STORE_OPERATION_RUNNING};
    assert_int_equal(ask(f, "POST", "/store/compact", &answer), UT_OK); // in memory: it cannot
    assert_has(answer, "{\"name\":\"compact\",\"number\":1,\"state\":\"running\"}");
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (status.state == UT_STORE_OPERATION_RUNNING) {
        ut_store_thread_operation(f->thread, &status);
        if (ut_clock_mono_ms() - begin_ms > PATIENCE_MS)
            fail_msg("it goes on");
        (void)sched_yield();
    }
    assert_int_equal(ask(f, "GET", "/store/operation", &answer), UT_OK);
    assert_has(answer, "\"state\":\"failed\"");
    assert_has(answer, "\"error_code\":\"EINVAL\"");
}

// ---- imports through the agent

typedef struct {
    ut_config config;
    ut_log log;
    ut_span_import *import;
    int lock_fd; // as the agent holds it
} importing;

static importing *begin_import(fixture *f)
{
    importing *i = calloc(1, sizeof *i);
    assert_non_null(i);
    i->config.data_dir_z = f->dir_z;
    assert_int_equal(ut_data_dir_lock(f->dir_z, &i->log, &i->lock_fd, &f->fault), 0);
    assert_int_equal(ut_span_import_open(&i->config, &i->log, &i->import, &f->fault), 0);
    assert_true(ut_span_import_through_agent(i->import));
    return i;
}

static void end_import(importing *i)
{
    ut_span_import_close(i->import);
    (void)close(i->lock_fd);
    free(i);
}

static void add_request(fixture *f, importing *i, uint64_t seed, uint32_t spans)
{
    ut_buf body;
    ut_buf_init(&body, BODY_MAX);
    ut_make_body(seed, spans, &ut_otlp_protobuf_encoder, &body);
    assert_int_equal(body.err, UT_OK);
    assert_true(body.len < UT_SPAN_IMPORT_GROUP_BYTES / 10 * 9); // all go with one flush
    assert_int_equal(
        ut_span_import_add(i->import, UT_OTLP_PROTOBUF, ut_buf_bytes(&body), &f->fault), UT_OK);
    ut_buf_free(&body);
}

static void what_an_agent_stores_of_a_group_is_counted_and_not_sent_again(void **state)
{
    fixture *f = *state;
    ut_span_import_counts counts;
    importing *i = begin_import(f);
    // The second is too large for a commit with the first, which fails.
    add_request(f, i, 11, SMALL_SPANS);
    add_request(f, i, 12, LARGE_SPANS);
    add_request(f, i, 13, SMALL_SPANS);
    ut_engine_gate_fail_once(f->gate, UT_EIO);
    assert_int_equal(ut_span_import_flush(i->import, &f->fault), UT_OK);
    ut_span_import_get_counts(i->import, &counts);
    assert_int_equal(counts.stored, LARGE_SPANS + 2 * SMALL_SPANS);
    assert_int_equal(counts.duplicates, 0);
    end_import(i);
}

static void what_never_fits_is_not_tried_again(void **state)
{
    fixture *f = *state;
    const uint64_t begin_ms = ut_clock_mono_ms();
    importing *i = begin_import(f);
    add_request(f, i, 11, SMALL_SPANS);
    ut_engine_gate_fail(f->gate, UT_ELIMIT);
    assert_int_equal(ut_span_import_flush(i->import, &f->fault), UT_ELIMIT);
    assert_string_equal(f->fault.text_z, "the request is larger than the store; send smaller ones, "
                                         "or raise storage.max_size");
    assert_true(ut_clock_mono_ms() - begin_ms < UT_SPAN_IMPORT_TRY_FOR_MS / 2);
    ut_engine_gate_fail(f->gate, UT_OK);
    end_import(i);
}

static void an_import_whose_agent_stops_is_told_to_try_again(void **state)
{
    fixture *f = *state;
    importing *i = begin_import(f);
    add_request(f, i, 11, SMALL_SPANS);
    assert_int_equal(ut_span_import_flush(i->import, &f->fault), UT_OK);
    stop_serving(f);
    ut_control_close(f->control);
    f->control = NULL;
    add_request(f, i, 12, SMALL_SPANS);
    assert_int_equal(ut_span_import_flush(i->import, &f->fault), UT_EAGAIN);
    assert_int_equal(f->fault.code, UT_EAGAIN);
    assert_non_null(strstr(f->fault.text_z, "has stopped: what is stored stays, import again"));
    end_import(i);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(the_status_tells_of_store_and_destinations),
        CLAIM(the_status_tells_what_the_receiver_refused),
        CLAIM(what_is_not_known_is_refused),
        CLAIM(bodies_that_are_not_wanted_are_refused),
        CLAIM(the_cursor_of_a_reader_is_stored_and_removed),
        CLAIM(only_this_user_may_connect),
        CLAIM(without_an_agent_there_is_nobody_to_ask),
        CLAIM(the_socket_of_a_killed_agent_is_replaced),
        CLAIM(a_directory_may_have_a_long_path),
        CLAIM(a_silent_agent_is_not_waited_for_for_ever),
        CLAIM(who_waits_for_a_silent_agent_may_give_up),
        CLAIM(an_operation_is_watched_and_cancelled),
        CLAIM(an_operation_that_fails_is_told),
        CLAIM(what_an_agent_stores_of_a_group_is_counted_and_not_sent_again),
        CLAIM(what_never_fits_is_not_tried_again),
        CLAIM(an_import_whose_agent_stops_is_told_to_try_again),
    };
    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
