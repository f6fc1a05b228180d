// Limits of requests to the control socket and of its answers, for both ends of it.
#ifndef UT_AGENT_CONTROL_CONTROL_LIMITS_H
#define UT_AGENT_CONTROL_CONTROL_LIMITS_H

enum {
    UT_CONTROL_CONNECTIONS_MAX = 16,
    UT_CONTROL_BODY_BYTES_MAX = 68 * 1024 * 1024, // of a request: one OTLP request of 64 MiB
    UT_CONTROL_MEMORY_MAX = 3 * UT_CONTROL_BODY_BYTES_MAX, // of bodies and the batches of them
    UT_CONTROL_HEADER_BYTES_MAX = 8 * 1024,
    UT_CONTROL_TIMEOUT_MS = 10000,      // for a head, and for a body that makes no progress
    UT_CONTROL_IDLE_MS = 60000,         // between requests
    UT_CONTROL_ANSWER_MAX = 256 * 1024, // bytes of an answer
    // POST /spans takes OTLP requests one after the other, each behind its encoding (1 byte, 0
    // protobuf, 1 JSON) and its length (4 bytes, big-endian).
    UT_CONTROL_FRAME_HEAD = 5,
    UT_CONTROL_FRAMES_MAX = 64,
};

#endif
