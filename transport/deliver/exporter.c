// Delivers to one destination. In short: gather pending blocks from the ledger into a batch, encode
// and send it on a free connection, end or split or requeue it by what came of that, mark its
// blocks.
//
// The memory is bounded: at most `connections` batches are in flight, each with its body, and
// while more than as many wait for another try no new one is formed. A batch that waits has no
// body; it is encoded again. Splitting makes more batches, but not more parts of blocks than spans
// in the batch split.
#include "transport/deliver/exporter.h"

#include "port/base/order.h"
#include "port/base/time_units.h"
#include "transport/deliver/pending_reader.h"
#include "transport/deliver/health.h"
#include "transport/deliver/mark_queue.h"
#include "transport/deliver/outcome.h"
#include "transport/http/http_client.h"
#include "transport/http/media_type.h"

#include <stdio.h>
#include <stdlib.h>

#define AREA_Z "dispatch"

struct ut_exporter_link {
    ut_http_client *client;   // NULL until first used
    ut_delivery_batch *batch; // in flight; NULL: free
    ut_buf body;
    bool ready; // a poll event has come
    uint64_t next_ms;
    ut_health_seen seen; // when the request began
};

struct ut_exporter {
    const ut_exporter_shared *shared;
    const ut_destination_config *destination;
    ut_tls_context *tls; // NULL: plain
    bool draining;

    ut_pending_reader pending;
    uint64_t read_not_before_ms;
    ut_delivery_batches waiting; // batches that were split, or are to be tried again
    ut_mark_queue marks;
    ut_delivery_pool pool;

    // Connections.
    ut_exporter_link links[UT_DESTINATION_CONNECTIONS_MAX];
    uint32_t in_flight;

    ut_health health;
    uint64_t send_not_before_ms; // after trouble on this machine
    uint64_t log_refusals;
    uint64_t log_rejections;
    uint64_t log_troubles;

    uint64_t spans_delivered;
    uint64_t spans_dead;
    uint64_t requests;
    uint64_t requests_failed;
};

// The time of one step.
typedef struct {
    uint64_t now_ms;
    uint64_t wall_ns;
} step_time;

// ---- life ----

ut_err ut_exporter_new(const ut_exporter_shared *shared, const ut_destination_config *destination,
                       ut_exporter **exporter, ut_fault *fault)
{
    ut_err err = ut_destination_check(destination, fault);
    if (err != UT_OK)
        return err;
    ut_exporter *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "destination %s: out of memory", destination->name_z);
    made->shared = shared;
    made->destination = destination;
    made->pending = (ut_pending_reader){.destination = destination, .pool = &made->pool};
    ut_health_init(&made->health, destination, shared->config->log);
    for (size_t i = 0; i < UT_DESTINATION_CONNECTIONS_MAX; i++)
        ut_buf_init(&made->links[i].body, UT_BATCHER_BODY_BYTES_MAX);
    if (destination->url.tls) {
        ut_tls_config tls = {
            .server = false,
            .ca_pem = destination->ca_pem,
            .cert_pem = destination->cert_pem,
            .key_pem = destination->key_pem,
            .insecure = destination->insecure,
        };
        ut_fault why = {.code = UT_OK};
        err = ut_tls_context_new(&tls, &made->tls, &why);
        if (err != UT_OK) {
            ut_exporter_free(made);
            return ut_fault_set(fault, err, "destination %s: %s", destination->name_z, why.text_z);
        }
    }
    *exporter = made;
    return UT_OK;
}

// Lets go of all that a batch holds, and of the batch. Its blocks stay as they are in the ledger.
static void abandon(ut_exporter *exporter, ut_delivery_batch *batch)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->part_count; i++) {
        ut_delivery_part *part = &batch->parts[i];
        if (ut_delivery_block_end(part->block, part->from, part->to, UT_DELIVERY_END_ABANDONED, 0,
                                  "") &&
            !part->block->mark_due)
            ut_delivery_pool_give(&exporter->pool, part->block);
    }
    ut_delivery_batch_free(batch);
}

// Lets go of all batches that are not in flight.
static void abandon_waiting(ut_exporter *exporter)
{
    abandon(exporter, exporter->pending.growing);
    abandon(exporter, exporter->pending.full);
    exporter->pending.growing = NULL;
    exporter->pending.full = NULL;
    for (ut_delivery_batch *batch; (batch = ut_delivery_batches_pop(&exporter->waiting)) != NULL;)
        abandon(exporter, batch);
}

void ut_exporter_free(ut_exporter *exporter)
{
    if (exporter == NULL)
        return;
    for (size_t i = 0; i < UT_DESTINATION_CONNECTIONS_MAX; i++) {
        ut_http_client_free(exporter->links[i].client);
        abandon(exporter, exporter->links[i].batch);
        ut_buf_free(&exporter->links[i].body);
    }
    abandon_waiting(exporter);
    ut_mark_queue_clear(&exporter->marks, &exporter->pool);
    ut_delivery_pool_free(&exporter->pool);
    ut_tls_context_free(exporter->tls);
    free(exporter);
}

static void hand_over_marks(ut_exporter *exporter, const step_time *at)
{
    ut_mark_facts facts = {
        .dispatcher = exporter->shared->config,
        .org = exporter->destination->org,
        .dest = exporter->destination->dest,
        .http_status = exporter->health.http_status,
        .reason_z = exporter->health.reason_z,
        .wall_ns = at->wall_ns,
    };
    ut_mark_queue_hand_over(&exporter->marks, &facts, &exporter->pool, at->now_ms);
}

// ---- ends of spans ----

// A part has had so many attempts in its batch. The parts of a block are tried one by one; the
// block carries the number of the one that has most. Returns the part's number.
static uint32_t count_attempts(const ut_delivery_part *part, uint32_t attempts)
{
    ut_delivery_block *block = part->block;
    uint32_t before = block->attempts_before;
    uint32_t all = attempts < UINT32_MAX - before ? before + attempts : UINT32_MAX;
    if (all > block->attempts)
        block->attempts = all;
    return all;
}

// attempts: of the part's batch, with the last one.
static void end_part(ut_exporter *exporter, const ut_delivery_part *part, uint32_t attempts,
                     ut_delivery_end end, uint16_t http_status, const char *reason_z)
{
    ut_delivery_block *block = part->block;
    uint32_t spans = (uint32_t)(part->to - part->from);
    if (end == UT_DELIVERY_END_DELIVERED)
        exporter->spans_delivered += spans;
    if (end == UT_DELIVERY_END_DEAD)
        exporter->spans_dead += spans;
    (void)count_attempts(part, attempts);
    if (!ut_delivery_block_end(block, part->from, part->to, end, http_status, reason_z))
        return;
    if (!block->gone && !block->abandoned)
        ut_mark_queue_add(&exporter->marks, block);
    else if (!block->mark_due)
        ut_delivery_pool_give(&exporter->pool, block);
}

static void make_dead_letters(ut_exporter *exporter, ut_delivery_batch *batch, uint16_t http_status,
                              const char *reason_z)
{
    if (ut_health_worth_a_line(++exporter->log_refusals))
        ut_log_write(exporter->shared->config->log, UT_LOG_WARN, AREA_Z,
                     "%s: %lu spans are refused for good and kept as dead letters: %s "
                     "(%lu times since start)",
                     exporter->destination->name_z, (unsigned long)batch->spans, reason_z,
                     (unsigned long)exporter->log_refusals);
    for (size_t i = 0; i < batch->part_count; i++)
        end_part(exporter, &batch->parts[i], batch->attempts + 1, UT_DELIVERY_END_DEAD, http_status,
                 reason_z);
    ut_delivery_batch_free(batch);
}

// Parts that the batcher found impossible to send.
static void end_bad_parts(ut_exporter *exporter, ut_delivery_batch *batch)
{
    ut_delivery_part part;
    while (ut_delivery_batch_take_bad(batch, &part)) {
        switch (part.state) {
        case UT_DELIVERY_PART_GOOD:
        case UT_DELIVERY_PART_SPENT:
            ut_panic(__FILE__, __LINE__, "a part that the batcher found bad");
        case UT_DELIVERY_PART_GONE:
            end_part(exporter, &part, batch->attempts, UT_DELIVERY_END_GONE, 0, "");
            break;
        case UT_DELIVERY_PART_DAMAGED:
            ut_log_write(exporter->shared->config->log, UT_LOG_ERROR, AREA_Z,
                         "%s: block %lu in the store is damaged and cannot be sent; its spans are "
                         "kept as dead letters",
                         exporter->destination->name_z, (unsigned long)part.block->seq);
            end_part(exporter, &part, batch->attempts + 1, UT_DELIVERY_END_DEAD, 0,
                     "the block is damaged");
            break;
        case UT_DELIVERY_PART_TOO_LARGE:
            end_part(exporter, &part, batch->attempts + 1, UT_DELIVERY_END_DEAD, 0,
                     "the span is larger than the 64 MiB that one request may hold");
            break;
        }
    }
}

// ---- outcomes ----

// Ends the parts that have used up their attempts. False when nothing is left of the batch,
// which is then gone.
static bool spend_attempts(ut_exporter *exporter, ut_delivery_batch *batch)
{
    uint32_t attempts_max = exporter->destination->retry_attempts_max;
    bool spent = false;
    for (size_t i = 0; i < batch->part_count; i++) {
        ut_delivery_part *part = &batch->parts[i];
        uint32_t attempts = count_attempts(part, batch->attempts);
        if (attempts_max > 0 && attempts >= attempts_max) {
            part->state = UT_DELIVERY_PART_SPENT;
            spent = true;
        }
    }
    if (!spent)
        return true;
    char reason_z[UT_STORE_REASON_MAX];
    (void)snprintf(reason_z, sizeof(reason_z), "after %lu attempts: %.120s",
                   (unsigned long)attempts_max, exporter->health.reason_z);
    if (ut_health_worth_a_line(++exporter->log_refusals))
        ut_log_write(exporter->shared->config->log, UT_LOG_WARN, AREA_Z,
                     "%s: gives up on spans and keeps them as dead letters, %s",
                     exporter->destination->name_z, reason_z);
    ut_delivery_part part;
    while (ut_delivery_batch_take_bad(batch, &part))
        end_part(exporter, &part, batch->attempts, UT_DELIVERY_END_DEAD,
                 exporter->health.http_status, reason_z);
    if (batch->part_count > 0)
        return true;
    ut_delivery_batch_free(batch);
    return false;
}

// The batch is to be tried again.
static void try_again(ut_exporter *exporter, const ut_exporter_link *link, ut_delivery_batch *batch,
                      const step_time *at, bool misconfigured, bool alone)
{
    if (alone) {
        // The destination takes other batches, and only this one fails: it waits by itself, and
        // holds up nobody.
        if (batch->failures_alone < UINT32_MAX)
            batch->failures_alone++;
        batch->not_before_ms =
            at->now_ms + ut_health_delay_ms(&exporter->health, batch->failures_alone);
        if (ut_health_worth_a_line(batch->failures_alone))
            ut_log_write(exporter->shared->config->log, UT_LOG_WARN, AREA_Z,
                         "%s: one batch of %lu spans fails while others pass: %s (failure %lu)",
                         exporter->destination->name_z, (unsigned long)batch->spans,
                         exporter->health.reason_z, (unsigned long)batch->failures_alone);
    } else {
        ut_health_failed(&exporter->health, link->seen, at->now_ms, misconfigured);
        batch->not_before_ms = 0; // waits with the destination
    }
    if (batch->attempts < UINT32_MAX)
        batch->attempts++;
    batch->successes_seen = exporter->health.successes;
    if (!spend_attempts(exporter, batch))
        return;

    uint64_t at_ms = ut_health_open_at_ms(&exporter->health);
    if (at_ms < batch->not_before_ms)
        at_ms = batch->not_before_ms;
    uint64_t wait_ms = at_ms > at->now_ms ? at_ms - at->now_ms : 0;
    for (size_t i = 0; i < batch->part_count; i++) {
        batch->parts[i].block->next_try_ns = at->wall_ns + wait_ms * UT_NS_PER_MS;
        ut_mark_queue_add(&exporter->marks, batch->parts[i].block);
    }
    if (exporter->draining)
        abandon(exporter, batch);
    else
        ut_delivery_batches_push(&exporter->waiting,
                                 batch); // behind the others: they are tried first
}

// The batch is refused. It goes again in two halves, or dies when that cannot help.
static void take_apart(ut_exporter *exporter, const ut_exporter_link *link,
                       ut_delivery_batch *batch, const step_time *at)
{
    bool hopeless = !ut_health_refused(&exporter->health, link->seen, at->now_ms);
    if (batch->spans == 1 || hopeless) {
        make_dead_letters(exporter, batch, exporter->health.http_status, exporter->health.reason_z);
        return;
    }
    if (exporter->draining) {
        abandon(exporter, batch);
        return;
    }
    batch->not_before_ms = 0;
    ut_delivery_batch *rest = NULL;
    if (ut_delivery_batch_split(batch, batch->spans / 2, &rest) == UT_OK)
        ut_delivery_batches_push_front(&exporter->waiting, rest);
    // Without memory for the halves the whole goes again; by then there may be some.
    ut_delivery_batches_push_front(&exporter->waiting, batch);
}

// Reads partial success out of an answer. OTLP answers come in the type of the request; other types
// (a proxy's page) say nothing about spans.
static void read_rejections(const ut_exporter *exporter, const ut_http_answer *answer,
                            int64_t *rejected, char *message_z, size_t cap)
{
    const char *sent_z = exporter->destination->encoder->content_type_z;
    bool json = ut_media_type_is(answer->content_type, "application/json");
    bool protobuf = ut_media_type_is(answer->content_type, "application/x-protobuf");
    if (answer->content_type.len == 0) {
        json = strcmp(sent_z, "application/json") == 0;
        protobuf = !json;
    }
    *rejected = 0;
    message_z[0] = '\0';
    if ((json || protobuf) && answer->body.len > 0)
        ut_otlp_response_read(json ? UT_OTLP_JSON : UT_OTLP_PROTOBUF, answer->body, rejected,
                              message_z, cap);
}

static void succeed(ut_exporter *exporter, ut_delivery_batch *batch, const ut_http_answer *answer,
                    const step_time *at)
{
    ut_health_succeeded(&exporter->health, at->now_ms);

    int64_t claimed = 0;
    char message_z[96];
    read_rejections(exporter, answer, &claimed, message_z, sizeof(message_z));
    uint32_t rejected = 0;
    if (claimed > 0)
        rejected = claimed < (int64_t)batch->spans ? (uint32_t)claimed : batch->spans;
    char reason_z[UT_STORE_REASON_MAX] = "";
    if (rejected > 0 || message_z[0] != '\0') {
        (void)snprintf(reason_z, sizeof(reason_z), "partial success, %lu of %lu spans rejected: %s",
                       (unsigned long)rejected, (unsigned long)batch->spans, message_z);
        if (ut_health_worth_a_line(++exporter->log_rejections))
            ut_log_write(exporter->shared->config->log, UT_LOG_WARN, AREA_Z,
                         "%s: %s (%lu times since start)", exporter->destination->name_z, reason_z,
                         (unsigned long)exporter->log_rejections);
    }

    // Which spans were rejected is not known, and OTLP forbids to send them again. For the
    // counting, each block takes its share.
    uint32_t spans_left = batch->spans;
    uint32_t rejected_left = rejected;
    for (size_t i = 0; i < batch->part_count; i++) {
        const ut_delivery_part *part = &batch->parts[i];
        uint32_t spans = (uint32_t)(part->to - part->from);
        UT_ASSERT(spans > 0 && spans <= spans_left); // the parts make up the batch
        uint32_t share = (uint32_t)((uint64_t)rejected_left * spans / spans_left);
        spans_left -= spans;
        rejected_left -= share;
        if (share > 0) {
            ut_delivery_block_reject(part->block, share, (uint16_t)answer->status, reason_z);
            exporter->spans_dead += share;
            exporter->spans_delivered -= share; // end_part adds them
        }
        end_part(exporter, part, batch->attempts + 1, UT_DELIVERY_END_DELIVERED, 0, "");
    }
    ut_delivery_batch_free(batch);
}

// An answer says that something is wrong, maybe only at this address: the name may lead elsewhere
// by now, and behind it another server may do. What is under way is left alone.
static void renew_connections(ut_exporter *exporter)
{
    for (size_t i = 0; i < exporter->destination->connections; i++) {
        const ut_exporter_link *link = &exporter->links[i];
        if (link->client != NULL && link->batch == NULL)
            ut_http_client_renew(link->client);
    }
}

// A request has ended. answer is NULL when it failed with err.
static void end_request(ut_exporter *exporter, ut_exporter_link *link, ut_err err,
                        const ut_http_answer *answer, const ut_fault *fault, const step_time *at)
{
    ut_delivery_batch *batch = link->batch;
    link->batch = NULL;
    exporter->in_flight--;
    exporter->requests++;
    const ut_outcome_answer said =
        answer != NULL ? (ut_outcome_answer){answer->status, answer->content_type, answer->body}
                       : (ut_outcome_answer){0};
    ut_outcome outcome = answer != NULL ? ut_outcome_of_answer(&said) : ut_outcome_of_failure(err);
    if (answer != NULL && outcome == UT_OUTCOME_DELIVERED) {
        succeed(exporter, batch, answer, at);
        return;
    }
    exporter->requests_failed++;
    char reason_z[UT_STORE_REASON_MAX];
    if (answer != NULL)
        ut_outcome_explain(&said, exporter->tls != NULL, reason_z, sizeof(reason_z));
    ut_health_keep_reason(&exporter->health, (uint16_t)said.status,
                          answer != NULL ? reason_z : fault->text_z);
    bool alone = batch->attempts > 0 && exporter->health.successes > batch->successes_seen;
    if (answer != NULL && answer->retry_after_ms > 0)
        ut_health_ask_to_wait(&exporter->health, at->now_ms + answer->retry_after_ms);
    const bool asked_to_slow_down =
        answer != NULL && (answer->status == 429 || answer->retry_after_ms > 0);
    const bool may_be_elsewhere =
        outcome == UT_OUTCOME_RETRY || outcome == UT_OUTCOME_MISCONFIGURED;
    if (may_be_elsewhere && !alone && !asked_to_slow_down)
        renew_connections(exporter);
    switch (outcome) {
    case UT_OUTCOME_DELIVERED:
        break;
    case UT_OUTCOME_RETRY:
        try_again(exporter, link, batch, at, false, alone);
        break;
    case UT_OUTCOME_MISCONFIGURED:
        if (!alone) {
            try_again(exporter, link, batch, at, true, false);
            break;
        }
        // The settings are good enough for others: it is the data (a filter in front of the
        // destination, perhaps).
        take_apart(exporter, link, batch, at);
        break;
    case UT_OUTCOME_TOO_LARGE:
    case UT_OUTCOME_REFUSED:
        take_apart(exporter, link, batch, at);
        break;
    }
}

// ---- reading the ledger ----

// Something on this machine failed: not the destination's fault, and no attempt is counted.
static void trouble(ut_exporter *exporter, const char *what_z, ut_err err)
{
    if (ut_health_worth_a_line(++exporter->log_troubles))
        ut_log_write(exporter->shared->config->log, UT_LOG_ERROR, AREA_Z,
                     "%s: %s: %s; it is tried again (%lu times since start)",
                     exporter->destination->name_z, what_z, ut_err_text(err),
                     (unsigned long)exporter->log_troubles);
}

static void read_pending(ut_exporter *exporter, const step_time *at)
{
    if (exporter->draining || at->now_ms < exporter->read_not_before_ms)
        return;
    ut_err err =
        ut_pending_reader_read(&exporter->pending, exporter->shared->batcher->view, at->now_ms);
    if (err != UT_OK) {
        trouble(exporter, "the ledger cannot be read", err);
        exporter->read_not_before_ms = at->now_ms + UT_EXPORTER_TROUBLE_AGAIN_MS;
    }
}

// ---- sending ----

// When the next request may begin.
static uint64_t open_at_ms(const ut_exporter *exporter)
{
    uint64_t at_ms = ut_health_open_at_ms(&exporter->health);
    return ut_max_u64(at_ms, exporter->send_not_before_ms);
}

// True when another request may be under way beside those that are.
static bool has_room(const ut_exporter *exporter)
{
    return exporter->in_flight < (exporter->health.proven ? exporter->destination->connections : 1);
}

// True when another request may begin, if there is a batch for it.
static bool may_send(const ut_exporter *exporter, uint64_t now_ms)
{
    // While marks are refused nothing new is begun: what has ended must be told first, or the
    // blocks that are ended and unmarked would pile up.
    return !exporter->draining && ut_mark_queue_empty(&exporter->marks) &&
           now_ms >= open_at_ms(exporter) && has_room(exporter);
}

// True when a batch of new blocks may be formed beside those that wait.
static bool takes_new(const ut_exporter *exporter)
{
    return exporter->waiting.count <= exporter->destination->connections;
}

// Takes the batch that is to go next; NULL when there is none yet. While the destination fails, new
// batches go first: if one passes, the trouble was with the batch before, and if none does, the
// trouble is with the destination.
static ut_delivery_batch *next_batch(ut_exporter *exporter, uint64_t now_ms)
{
    ut_delivery_batch *batch = NULL;
    if (exporter->health.failures > 0 && takes_new(exporter))
        batch = ut_pending_reader_take(&exporter->pending, now_ms);
    if (batch == NULL)
        batch = ut_delivery_batches_take_due(&exporter->waiting, now_ms);
    if (batch == NULL && takes_new(exporter))
        batch = ut_pending_reader_take(&exporter->pending, now_ms);
    return batch;
}

// A free connection, an open one if there is one.
static ut_exporter_link *free_link(ut_exporter *exporter)
{
    ut_exporter_link *found = NULL;
    for (size_t i = 0; i < exporter->destination->connections; i++) {
        ut_exporter_link *link = &exporter->links[i];
        if (link->batch != NULL)
            continue;
        if (link->client != NULL && ut_http_client_connected(link->client))
            return link;
        if (found == NULL || (found->client == NULL && link->client != NULL))
            found = link;
    }
    UT_ASSERT(found != NULL);
    return found;
}

static ut_err ensure_client(ut_exporter *exporter, ut_exporter_link *link)
{
    if (link->client != NULL)
        return UT_OK;
    ut_http_client_config config = {
        .poller = exporter->shared->config->poller,
        .resolver = exporter->shared->config->resolver,
        .tls = exporter->tls,
        .url = &exporter->destination->url,
        .tag = link,
        .timeout_ms = exporter->destination->timeout_ms,
    };
    return ut_http_client_new(&config, &link->client);
}

static void step_link(ut_exporter *exporter, ut_exporter_link *link, const step_time *at)
{
    ut_http_answer answer;
    ut_fault fault = {.code = UT_OK};
    bool busy = link->batch != NULL;
    link->ready = false;
    ut_err err =
        ut_http_client_step(link->client, at->now_ms, at->wall_ns, &link->next_ms, &answer, &fault);
    if (!busy || err == UT_EAGAIN)
        return;
    end_request(exporter, link, err, err == UT_OK ? &answer : NULL, &fault, at);
}

// Encodes a batch and begins its request. False when this machine cannot now.
static bool send_batch(ut_exporter *exporter, ut_delivery_batch *batch, const step_time *at)
{
    const ut_destination_config *d = exporter->destination;
    ut_exporter_link *link = free_link(exporter);
    ut_delivery_batch *rest = NULL;
    size_t bytes = 0;
    ut_err err = ensure_client(exporter, link);
    if (err == UT_OK)
        err = ut_batcher_build(exporter->shared->batcher, d, batch, &link->body, &bytes, &rest);
    if (rest != NULL)
        ut_delivery_batches_push_front(&exporter->waiting, rest);
    end_bad_parts(exporter, batch);
    if (batch->part_count == 0) {
        ut_delivery_batch_free(batch);
        return true;
    }
    if (err != UT_OK) {
        trouble(exporter, "a batch cannot be encoded", err);
        exporter->send_not_before_ms = at->now_ms + UT_EXPORTER_TROUBLE_AGAIN_MS;
        batch->not_before_ms = 0;
        ut_delivery_batches_push_front(&exporter->waiting, batch);
        return false;
    }
    ut_pending_reader_learn(&exporter->pending, bytes, batch->spans);
    ut_http_request request = {
        .method_z = "POST",
        .content_type_z = d->encoder->content_type_z,
        .content_encoding_z = d->gzip ? "gzip" : NULL,
        .user_agent_z = exporter->shared->config->user_agent_z,
        .headers = d->headers,
        .header_count = d->header_count,
        .body = ut_buf_bytes(&link->body),
    };
    link->batch = batch;
    link->seen = ut_health_look(&exporter->health);
    exporter->in_flight++;
    ut_http_client_start(link->client, &request, at->now_ms);
    step_link(exporter, link, at);
    return true;
}

static void step_links(ut_exporter *exporter, const step_time *at)
{
    for (size_t i = 0; i < exporter->destination->connections; i++) {
        ut_exporter_link *link = &exporter->links[i];
        if (link->client != NULL &&
            (link->ready || at->now_ms >= link->next_ms || ut_http_client_resolving(link->client)))
            step_link(exporter, link, at);
    }
}

static void no_later_than(uint64_t *next_ms, uint64_t at_ms)
{
    if (at_ms < *next_ms)
        *next_ms = at_ms;
}

// When the next batch could go.
static uint64_t next_batch_ms(const ut_exporter *exporter)
{
    uint64_t next_ms = UINT64_MAX;
    for (const ut_delivery_batch *b = exporter->waiting.first; b != NULL; b = b->next)
        no_later_than(&next_ms, b->not_before_ms);
    if (takes_new(exporter))
        no_later_than(&next_ms, ut_pending_reader_due_ms(&exporter->pending));
    return ut_max_u64(next_ms, open_at_ms(exporter));
}

static uint64_t next_time(const ut_exporter *exporter)
{
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < exporter->destination->connections; i++) {
        const ut_exporter_link *link = &exporter->links[i];
        if (link->client != NULL)
            no_later_than(&next_ms, link->ready ? 0 : link->next_ms);
    }
    if (!ut_mark_queue_empty(&exporter->marks))
        no_later_than(&next_ms, exporter->marks.not_before_ms);
    else if (!exporter->draining && has_room(exporter))
        no_later_than(&next_ms, next_batch_ms(exporter));
    if (!exporter->draining && ut_pending_reader_more(&exporter->pending))
        no_later_than(&next_ms, exporter->read_not_before_ms);
    return next_ms;
}

void ut_exporter_step(ut_exporter *exporter, uint64_t now_ms, uint64_t wall_ns, uint64_t *next_ms)
{
    const step_time at = {now_ms, wall_ns};
    step_links(exporter, &at);
    hand_over_marks(exporter, &at);
    read_pending(exporter, &at);
    // One batch a step: encoding is the longest thing done here, and other destinations wait.
    if (may_send(exporter, now_ms)) {
        ut_delivery_batch *batch = next_batch(exporter, now_ms);
        if (batch != NULL) {
            (void)send_batch(exporter, batch, &at); // its failure is logged and waited for
            hand_over_marks(exporter, &at);
            read_pending(exporter, &at);
        }
    }
    if (ut_exporter_resting(exporter)) {
        for (size_t i = 0; i < exporter->destination->connections; i++)
            ut_buf_free(&exporter->links[i].body);
    }
    uint64_t at_ms = next_time(exporter);
    no_later_than(next_ms, at_ms > now_ms ? at_ms : now_ms);
}

void ut_exporter_advance(ut_exporter *exporter, uint64_t last_seq)
{
    if (last_seq > exporter->pending.last_seq)
        exporter->pending.last_seq = last_seq;
}

// Lets go of requests that wait for a name, of which nothing is sent: a name server that is silent
// is not to hold up the end.
static void abandon_resolving(ut_exporter *exporter)
{
    for (size_t i = 0; i < exporter->destination->connections; i++) {
        ut_exporter_link *link = &exporter->links[i];
        if (link->batch == NULL || !ut_http_client_resolving(link->client))
            continue;
        ut_http_client_free(link->client);
        link->client = NULL;
        abandon(exporter, link->batch);
        link->batch = NULL;
        exporter->in_flight--;
    }
}

void ut_exporter_drain(ut_exporter *exporter)
{
    exporter->draining = true;
    abandon_resolving(exporter);
    abandon_waiting(exporter);
}

bool ut_exporter_idle(const ut_exporter *exporter)
{
    return exporter->in_flight == 0 && ut_mark_queue_empty(&exporter->marks);
}

bool ut_exporter_resting(const ut_exporter *exporter)
{
    return exporter->in_flight == 0 && exporter->waiting.count == 0 &&
           exporter->pending.full == NULL && exporter->pending.growing == NULL;
}

void ut_exporter_get_status(const ut_exporter *exporter, ut_dispatcher_status *status)
{
    *status = (ut_dispatcher_status){
        .name_z = exporter->destination->name_z,
        .spans_delivered = exporter->spans_delivered,
        .spans_dead = exporter->spans_dead,
        .requests = exporter->requests,
        .failures = exporter->requests_failed,
        .in_flight = exporter->in_flight,
        .failing = exporter->health.failures > 0,
    };
    memcpy(status->last_error_z, exporter->health.reason_z, sizeof(status->last_error_z));
}

void ut_exporter_link_ready(ut_exporter_link *link)
{
    link->ready = true;
}
