// The ground of the control socket's resources: reading a request, writing its answer, and asking
// the store thread before answering. Not for what a path means (control_status.h and its
// neighbours).
#ifndef UT_AGENT_CONTROL_CONTROL_ANSWER_H
#define UT_AGENT_CONTROL_CONTROL_ANSWER_H

#include "adapters/encoding/json.h"
#include "adapters/encoding/json_write.h"
#include "agent/process/tally.h"
#include "agent/threads/dispatch_thread.h"
#include "agent/threads/store_thread.h"
#include "transport/http/http_server.h"

// The agent as its control socket sees it. All of it belongs to the network thread.
typedef struct {
    ut_http_server *server; // the control socket's
    ut_store_thread *store;
    ut_dispatch_thread *dispatch;   // NULL without destinations
    const ut_http_server *receiver; // NULL without one
    const ut_tally *refusals;       // NULL without one
    const char *data_dir_z;
    const char *config_z; // NULL: the defaults
    const ut_log *log;
    uint64_t started_ms;
    ut_buf answer;   // the body of the answer that is being written
    size_t in_store; // exchanges that the store thread still has to answer
} ut_control_agent;

// A function of a resource: answers one request, now or once the store thread has been asked. body
// is borrowed for the call.
typedef void ut_control_serve(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body);

// ---- answers ----

// Begins an answer and returns the writer of its body.
ut_json_writer ut_control_begin_answer(ut_control_agent *agent);
// Ends it and sends it; the writer is at the root. An answer that outgrew UT_CONTROL_ANSWER_MAX
// becomes a 500 without a body.
void ut_control_answer(ut_control_agent *agent, ut_http_exchange *exchange, ut_json_writer *json,
                       int status);
// Answers {"error":text}.
void ut_control_answer_error(ut_control_agent *agent, ut_http_exchange *exchange, int status,
                             const char *text_z);
// Answers 503: what a full queue, a lack of memory and an agent that stops have in common.
void ut_control_answer_busy(ut_control_agent *agent, ut_http_exchange *exchange);

// ---- operations of the store thread ----

// Writes an object: how the operation is.
void ut_control_write_operation(ut_json_writer *json, const char *name_z,
                                const ut_store_operation_status *status);
// Takes over the operation, begins it, and answers 202; 409 where another one is under way.
void ut_control_begin_operation(ut_control_agent *agent, ut_http_exchange *exchange,
                                ut_operation *operation);

// ---- calls of the store thread ----

typedef struct ut_control_call ut_control_call;
struct ut_control_call {
    ut_store_call call; // first member: the store thread's pointer is ours
    ut_control_agent *agent;
    ut_http_exchange *exchange;
    void (*answer)(ut_control_call *call); // on the network thread; frees nothing
};

// Lets the store thread run a call, then answers it and frees it. call: from malloc, or NULL, which
// is answered as busy; its resource has set call.run and answer.
void ut_control_ask_store(ut_control_agent *agent, ut_http_exchange *exchange,
                          ut_control_call *call);

// ---- requests ----

// Reads a body that is to be an object. False: it is not, and the answer is given. The caller frees
// json after true.
bool ut_control_read_object(ut_control_agent *agent, ut_http_exchange *exchange, ut_bytes body,
                            ut_json *json);
// Each of these reads one member; false where the value is of another kind.
bool ut_control_read_bool(yyjson_val *value, bool *wish);
// Copies a text of 1 to cap - 1 bytes without a NUL in it.
bool ut_control_read_text(yyjson_val *value, char *out_z, size_t cap);

#endif
