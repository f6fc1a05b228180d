// Error codes of the whole program, and the text of one fault.
// Not for reporting: a ut_fault is carried up to the code that talks to a person or a peer.
#ifndef UT_PORT_BASE_ERR_H
#define UT_PORT_BASE_ERR_H

// One row an error: name, value, text for a person.
#define UT_ERR_MAP(X)                             \
    X(OK, 0, "ok")                                \
    X(EAGAIN, -1, "not ready yet")                \
    X(ENOMEM, -2, "out of memory")                \
    X(ELIMIT, -3, "a limit was reached")          \
    X(EFULL, -4, "the store is full")             \
    X(ENOSPC, -5, "no space left on the disk")    \
    X(EIO, -6, "input or output error")           \
    X(ECORRUPT, -7, "stored data is damaged")     \
    X(EFORMAT, -8, "the bytes do not decode")     \
    X(EVERSION, -9, "unsupported format version") \
    X(EBUSY, -10, "in use by another process")    \
    X(ENOTFOUND, -11, "not found")                \
    X(EEXIST, -12, "exists already")              \
    X(EINVAL, -13, "invalid argument")            \
    X(ECLOSED, -14, "closed by the peer")         \
    X(ETIMEOUT, -15, "timed out")                 \
    X(ECONNECT, -16, "connection failed")         \
    X(ERESOLVE, -17, "name not resolved")         \
    X(ETLS, -18, "TLS failed")                    \
    X(EPERM, -19, "permission denied")            \
    X(EPROTO, -20, "the peer broke the protocol") \
    X(ECANCELED, -21, "cancelled")

typedef enum {
#define X(name, value, text) UT_##name = (value),
    UT_ERR_MAP(X)
#undef X
} ut_err;

// The name ("EIO") and the text ("input or output error") of a code; static strings, never NULL.
const char *ut_err_name(ut_err err);
const char *ut_err_text(ut_err err);

enum { UT_FAULT_TEXT_MAX = 320 };

// A code with the sentence that a person reads: what happened, where, what was expected.
typedef struct {
    ut_err code;
    char text_z[UT_FAULT_TEXT_MAX];
} ut_fault;

// Sets code and text (cut at UT_FAULT_TEXT_MAX - 1 bytes) and returns code, so that a caller can
// `return ut_fault_set(fault, UT_EFORMAT, "...")`. fault may be NULL: then only the code returns.
ut_err ut_fault_set(ut_fault *fault, ut_err code, const char *format_z, ...)
    __attribute__((format(printf, 3, 4)));

// Aborts with file and line when a condition of ours does not hold. On in release builds. Never for
// bytes from disk, network, configuration or a script.
#define UT_ASSERT(cond) ((cond) ? (void)0 : ut_panic(__FILE__, __LINE__, #cond))
_Noreturn void ut_panic(const char *file_z, int line, const char *cond_z);

#endif
