// Calls into LMDB that come back whatever a damaged file makes of them: a tree that contradicts
// itself (LMDB would abort the program) and a pointer that leads out of the map, or into a part of
// it that the file has not (SIGSEGV, SIGBUS). Only for engine_lmdb*.c.
//
// LMDB's own lists are not to be trusted after a call for writing that did not come back by itself.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_GUARD_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_GUARD_H

#include <setjmp.h>
#include <stdbool.h>

#include <lmdb.h>

// Makes the guards of this process work. Other faults, and signals that somebody sent, go where
// they went before, or write the note of ut_engine_lmdb_note_faults where nobody handled them. Any
// thread.
void ut_lmdb_guard_set_up(void);

// Enters or (NULL) leaves a guarded call on this thread.
void ut_lmdb_guard_enter(jmp_buf *trap);

// For mdb_env_set_assert.
void ut_lmdb_guard_contradiction(MDB_env *env, const char *message_z);

// Runs a call that gives an LMDB code. *trapped: it did not come back by itself, and the code is
// MDB_CORRUPTED. Nothing that is changed inside may be used behind it but through memory.
#define UT_LMDB_GUARDED(trapped, code, call) \
    do {                                     \
        jmp_buf ut_trap;                     \
        if (setjmp(ut_trap) == 0) {          \
            ut_lmdb_guard_enter(&ut_trap);   \
            (code) = (call);                 \
        } else {                             \
            (code) = MDB_CORRUPTED;          \
            (trapped) = true;                \
        }                                    \
        ut_lmdb_guard_enter(NULL);           \
    } while (0)

#endif
