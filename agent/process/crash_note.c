// The last words of a process that a damaged store file ends.
#include "agent/process/crash_note.h"

#include "storage/engine.h"

#include <stdio.h>
#include <sysexits.h>

void ut_crash_note(const char *data_dir_z)
{
    char note_z[UT_ENGINE_FAULT_NOTE_MAX];
    if (data_dir_z == NULL)
        return;
    (void)snprintf(
        note_z, sizeof(note_z),
        "untrace: stopped by a fault of memory while %s/store.mdb was open. If its disk is failing "
        "or the file was damaged, restore it from a copy, or move it away to start with an empty "
        "store; otherwise this is a mistake in the program, please report it\n",
        data_dir_z); // a path that is too long for it is cut
    ut_engine_lmdb_note_faults(note_z, EX_DATAERR);
}
