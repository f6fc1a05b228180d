// The command line's end of the control socket (control.h): asks the agent of a data directory, and
// waits for its answer.
#ifndef UT_AGENT_CONTROL_CONTROL_CLIENT_H
#define UT_AGENT_CONTROL_CONTROL_CLIENT_H

#include "adapters/encoding/json.h"
#include "port/port.h"

enum {
    UT_CONTROL_CLIENT_TIMEOUT_MS = 30000, // of one request, unless told otherwise
    UT_CONTROL_CLIENT_LOOK_MS = 100,
};

typedef struct ut_control_client ut_control_client;

// Connects to the agent that runs on dir_z. UT_ENOTFOUND: none does (also when one was killed);
// UT_EPERM: it runs as another user; UT_EIO, UT_ENOMEM.
ut_err ut_control_client_open(const char *dir_z, ut_control_client **client, ut_fault *fault);
void ut_control_client_close(ut_control_client *client); // NULL is ignored

// Sends one request and waits for the answer, at most timeout_ms (0: UT_CONTROL_CLIENT_TIMEOUT_MS).
// method_z: "GET" or "POST". body: JSON, or empty. *answer: its body, borrowed until the next call.
// Connects again where the agent has closed the connection meanwhile. UT_ENOTFOUND: no agent is
// there any more; UT_ETIMEOUT; UT_EPROTO. What the agent refuses is an error too, with its text:
// UT_EBUSY (409: another operation is under way, or none), UT_EINVAL (400), UT_ELIMIT (413),
// UT_EAGAIN (503), UT_EIO; answer is then the body that says so.
ut_err ut_control_client_ask(ut_control_client *client, const char *method_z, const char *path_z,
                             ut_bytes body, uint32_t timeout_ms, ut_bytes *answer, ut_fault *fault);

// give_up is asked about every UT_CONTROL_CLIENT_LOOK_MS while an answer does not come; true ends
// the wait with UT_ECANCELED. NULL, as at first: an answer is waited for until the timeout.
void ut_control_client_watch(ut_control_client *client, bool (*give_up)(void *context),
                             void *context);

// Members of an answer's object: 0, false and "" where there is none, or it is something else. The
// text is borrowed from the document.
uint64_t ut_control_uint(yyjson_val *object, const char *name_z);
bool ut_control_bool(yyjson_val *object, const char *name_z);
const char *ut_control_text(yyjson_val *object, const char *name_z);

#endif
