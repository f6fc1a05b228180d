// The last words of a process that a damaged store file ends. LMDB follows the page numbers in the
// file through a memory map: most damage is found before or becomes an error, but a page of garbage
// in the middle of the tree can lead outside of the map. Not for catching anything: the process
// ends, and the engine owns the signals (ut_engine_lmdb_note_faults).
#ifndef UT_AGENT_PROCESS_CRASH_NOTE_H
#define UT_AGENT_PROCESS_CRASH_NOTE_H

// From now on SIGBUS and SIGSEGV print which store was open and what to do. After SIGBUS (the file
// is shorter than it should be, or its disk cannot be read) the exit code is EX_DATAERR; after
// SIGSEGV, which a mistake of ours could raise too, the signal ends the process as ever. Handlers
// that somebody else installed (sanitizers) stay. Main thread, before other threads exist; NULL is
// ignored.
void ut_crash_note(const char *data_dir_z);

#endif
