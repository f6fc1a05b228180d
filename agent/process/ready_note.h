// The note to the service manager that started the agent (sd_notify(3)): ready, or stopping.
#ifndef UT_AGENT_PROCESS_READY_NOTE_H
#define UT_AGENT_PROCESS_READY_NOTE_H

// Sends state_z ("READY=1", "STOPPING=1") as one datagram to the socket that NOTIFY_SOCKET names:
// a path, or a name without a file behind "@". Without that variable nothing is sent. Failures are
// not told: a service manager that waits in vain says so itself.
void ut_ready_note(const char *state_z);

#endif
