// OTLP requests into a store, through its agent or by this process; see span_import.h.
#include "agent/files/span_import.h"

#include "agent/cli/cli.h"
#include "agent/control/control_limits.h"
#include "agent/control/control_client.h"
#include "agent/process/data_dir.h"
#include "transport/deliver/backoff.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BATCH_BYTES_MAX = 512 * 1024 * 1024, // a request of 64 MiB takes less
    KEEP_BYTES = 256 * 1024,
    RETRY_INITIAL_MS = 50,
    RETRY_MAX_MS = 2000,
};

struct ut_span_import {
    const char *dir_z;        // borrowed
    ut_control_client *agent; // NULL: the store is ours
    ut_buf body;              // requests for the agent, framed
    int lock_fd;
    ut_store *store;
    ut_batch batches[UT_SPAN_IMPORT_GROUP_MAX]; // only the first is used beside an agent
    uint32_t group;                             // requests taken since the last flush
    size_t group_bytes;
    ut_span_import_counts counts;
};

static int open_store(ut_span_import *import, ut_config *config, const ut_log *log, ut_fault *fault)
{
    if (ut_data_dir_find_store(config->data_dir_z, NULL) == EX_OK)
        return ut_data_dir_open_existing(config, log, &import->store, fault);
    const int code = ut_data_dir_open_store(config, log, &import->store, fault);
    if (code != EX_OK)
        return code;
    for (size_t i = 0; i < config->destinations.count; i++) {
        uint32_t dest = 0;
        const char *name_z = config->destinations.items[i].name_z;
        const ut_err err = ut_store_add_destination(import->store, UT_ORG_DEFAULT, name_z, &dest);
        if (err != UT_OK) {
            (void)ut_fault_set(fault, err, "%s: cannot enter destination %s: %s",
                               config->data_dir_z, name_z, ut_err_text(err));
            return ut_exit_code(err);
        }
    }
    return EX_OK;
}

int ut_span_import_open(ut_config *config, const ut_log *log, ut_span_import **out, ut_fault *fault)
{
    ut_span_import *import = calloc(1, sizeof(*import));
    if (import == NULL) {
        (void)ut_fault_set(fault, UT_ENOMEM, "%s", ut_err_text(UT_ENOMEM));
        return EX_OSERR;
    }
    import->lock_fd = -1;
    import->dir_z = config->data_dir_z;
    ut_buf_init(&import->body, UT_CONTROL_BODY_BYTES_MAX);
    for (size_t i = 0; i < UT_SPAN_IMPORT_GROUP_MAX; i++)
        ut_batch_init(&import->batches[i], BATCH_BYTES_MAX);
    int code = ut_data_dir_make(config->data_dir_z, fault);
    if (code != EX_OK)
        goto done;
    code = ut_data_dir_lock_own(config->data_dir_z, log, &import->lock_fd, fault);
    if (code == EX_OK) {
        code = open_store(import, config, log, fault);
    } else if (code == EX_TEMPFAIL) {
        ut_fault agent_fault = {UT_OK, ""};
        const ut_err err = ut_control_client_open(config->data_dir_z, &import->agent, &agent_fault);
        if (err == UT_OK)
            code = EX_OK;
        else if (err != UT_ENOTFOUND) {
            // UT_ENOTFOUND: the process that holds the lock is no agent, and the fault of the lock
            // names it.
            *fault = agent_fault;
            code = ut_exit_code(err);
        }
    }
done:
    if (code != EX_OK) {
        ut_span_import_close(import);
        return code;
    }
    *out = import;
    return EX_OK;
}

void ut_span_import_close(ut_span_import *import)
{
    if (import->store != NULL)
        ut_store_close(import->store);
    ut_control_client_close(import->agent);
    if (import->lock_fd >= 0)
        (void)close(import->lock_fd);
    ut_buf_free(&import->body);
    for (size_t i = 0; i < UT_SPAN_IMPORT_GROUP_MAX; i++)
        ut_batch_free(&import->batches[i]);
    free(import);
}

// ---- taking requests ----

ut_err ut_span_import_add(ut_span_import *import, ut_otlp_encoding encoding, ut_bytes request,
                          ut_fault *fault)
{
    // The request is decoded here for an agent, too: the agent would refuse the whole group, and
    // its answer would say less about where.
    if (import->group == UT_SPAN_IMPORT_GROUP_MAX ||
        (import->group > 0 && import->group_bytes + request.len > UT_SPAN_IMPORT_GROUP_BYTES)) {
        const ut_err err = ut_span_import_flush(import, fault);
        if (err != UT_OK)
            return err == UT_EFORMAT || err == UT_ELIMIT ? UT_EIO : err; // not about this request
    }
    ut_batch *batch = &import->batches[import->agent != NULL ? 0 : import->group];
    ut_batch_reset(batch, KEEP_BYTES);
    const ut_err err = encoding == UT_OTLP_JSON ? ut_otlp_json_decode(request, batch, fault)
                                                : ut_otlp_protobuf_decode(request, batch, fault);
    if (err != UT_OK)
        return err;
    if (batch->rejected_count > 0 && import->counts.rejected == 0)
        memcpy(import->counts.reject_reason_z, batch->reject_reason_z,
               sizeof(import->counts.reject_reason_z));
    import->counts.rejected += batch->rejected_count;
    import->counts.requests++;
    if (batch->span_count == 0)
        return UT_OK;
    if (import->agent != NULL) {
        uint8_t head[UT_CONTROL_FRAME_HEAD] = {encoding == UT_OTLP_JSON};
        ut_put_be32(head + 1, (uint32_t)request.len);
        ut_buf_add(&import->body, head, sizeof(head));
        ut_buf_add_bytes(&import->body, request);
        if (import->body.err != UT_OK) {
            const ut_err full = import->body.err;
            ut_buf_reset(&import->body, KEEP_BYTES);
            return ut_fault_set(fault, full, "the request is too long for the agent");
        }
    }
    import->group++;
    import->group_bytes += request.len;
    return UT_OK;
}

// ---- storing a group ----

static ut_err commit(ut_span_import *import, ut_fault *fault)
{
    ut_store_append appends[UT_SPAN_IMPORT_GROUP_MAX];
    for (uint32_t i = 0; i < import->group; i++)
        appends[i] = (ut_store_append){.org = UT_ORG_DEFAULT, .batch = &import->batches[i]};
    const ut_err err =
        ut_store_commit(import->store, ut_clock_wall_ns(), appends, import->group, NULL, 0);
    if (err != UT_OK)
        return ut_fault_set(fault, err, "cannot store the spans: %s", ut_err_text(err));
    for (uint32_t i = 0; i < import->group; i++) {
        import->counts.stored += appends[i].stored;
        import->counts.duplicates += appends[i].duplicates;
    }
    return UT_OK;
}

// Adds the counts of the agent's answer, and leaves the frames in the body that the agent has not
// taken yet. UT_EPROTO.
static ut_err read_answer(ut_span_import *import, ut_bytes answer, bool whole)
{
    ut_json json;
    if (ut_json_read(&json, answer, NULL) != UT_OK)
        return UT_EPROTO;
    yyjson_val *root = yyjson_doc_get_root(json.doc);
    import->counts.stored += ut_control_uint(root, "stored");
    import->counts.duplicates += ut_control_uint(root, "duplicates");
    const uint64_t taken = whole ? UINT64_MAX : ut_control_uint(root, "taken");
    ut_json_free(&json);
    size_t kept = 0;
    size_t at = 0;
    for (uint32_t i = 0; at < import->body.len; i++) {
        const size_t size = UT_CONTROL_FRAME_HEAD + (size_t)ut_get_be32(import->body.data + at + 1);
        UT_ASSERT(i < UT_CONTROL_FRAMES_MAX && size <= import->body.len - at); // written by us
        if ((taken >> i & 1) == 0) {
            memmove(import->body.data + kept, import->body.data + at, size);
            kept += size;
        }
        at += size;
    }
    import->body.len = kept;
    return UT_OK;
}

static ut_err hand_over(ut_span_import *import, ut_fault *fault)
{
    const uint64_t until_ms = ut_clock_mono_ms() + UT_SPAN_IMPORT_TRY_FOR_MS;
    const ut_backoff backoff = {RETRY_INITIAL_MS, RETRY_MAX_MS, 2};
    for (uint32_t attempt = 1;; attempt++) {
        ut_bytes answer;
        const ut_err err = ut_control_client_ask(import->agent, "POST", "/spans",
                                                 ut_buf_bytes(&import->body), 0, &answer, fault);
        const bool partly = (err == UT_EAGAIN || err == UT_ELIMIT) && answer.len > 0;
        if ((err == UT_OK || partly) && read_answer(import, answer, err == UT_OK) != UT_OK)
            return ut_fault_set(fault, UT_EPROTO, "the answer of the agent of %s cannot be read",
                                import->dir_z);
        if (err == UT_OK)
            return UT_OK;
        if (err == UT_ENOTFOUND)
            return ut_fault_set(fault, UT_EAGAIN,
                                "the agent of %s has stopped: what is stored stays, import again",
                                import->dir_z);
        uint64_t random = 0;
        (void)ut_random(&random, sizeof(random)); // on failure the wait is only less spread
        const uint64_t wait_ms = ut_backoff_delay_ms(&backoff, attempt, random);
        // 503: the agent has too much to do, or its disk is full for now.
        if (err != UT_EAGAIN || ut_clock_mono_ms() + wait_ms > until_ms)
            return err;
        (void)usleep((useconds_t)(wait_ms * 1000)); // cut short by a signal: the try comes sooner
    }
}

ut_err ut_span_import_flush(ut_span_import *import, ut_fault *fault)
{
    if (import->group == 0)
        return UT_OK;
    const ut_err err = import->agent != NULL ? hand_over(import, fault) : commit(import, fault);
    ut_buf_reset(&import->body, KEEP_BYTES);
    import->group = 0;
    import->group_bytes = 0;
    return err;
}

void ut_span_import_get_counts(const ut_span_import *import, ut_span_import_counts *counts)
{
    *counts = import->counts;
}

bool ut_span_import_through_agent(const ut_span_import *import)
{
    return import->agent != NULL;
}
