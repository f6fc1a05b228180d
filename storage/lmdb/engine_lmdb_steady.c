// Reads store.steady and takes it away; see engine_lmdb_steady.h. Its bytes are in docs/FORMAT.md.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_steady.h"

#include "port/base/bytes.h"
#include "port/port.h"
#include "storage/lmdb/lmdb_file.h"
#include "storage/lmdb/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

enum {
    PATH_MAX_LEN = 4096,
    NOTE_LEN = 512,    // of one of the two notes
    NOTE_APART = 4096, // between the beginnings of the two
    NOTE_VERSION = 1,
    BOOT_LEN = 36,
    AT_VERSION = 8,
    AT_PAGE_BYTES = 12,
    AT_TXN = 16,
    AT_BOOT = 24,
    AT_META = 64,
    AT_CHECKSUM = NOTE_LEN - 4,
};

_Static_assert(AT_META + UT_LMDB_META_LEN <= AT_CHECKSUM, "a meta page fits a note");

static const uint8_t magic[8] = {'U', 'T', 'S', 'T', 'E', 'A', 'D', 'Y'};

// The boot id differs after each start of the machine; zeros where the system does not tell it.
static void read_boot(uint8_t boot[BOOT_LEN])
{
    memset(boot, 0, BOOT_LEN);
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, boot, BOOT_LEN) != BOOT_LEN)
        memset(boot, 0, BOOT_LEN);
    (void)close(fd); // read only
}

static bool is_note(const uint8_t *note)
{
    return memcmp(note, magic, sizeof(magic)) == 0 &&
           ut_get_le32(note + AT_VERSION) == NOTE_VERSION &&
           ut_get_le32(note + AT_CHECKSUM) == XXH32(note, AT_CHECKSUM, 0);
}

static ut_err system_fault(ut_fault *fault, const char *path_z, const char *what_z)
{
    return ut_fault_set(fault, ut_err_of_errno(errno), "%s cannot be %s: %s", path_z, what_z,
                        strerror(errno));
}

// The valid note with the higher number of a transaction: notes were written in turn, so that one
// was whole at any moment. NULL: none is, and then no commit was made without a sync.
static const uint8_t *newest_note(const uint8_t notes[NOTE_APART + NOTE_LEN])
{
    const uint8_t *newest = NULL;
    for (size_t at = 0; at <= NOTE_APART; at += NOTE_APART) {
        const uint8_t *note = notes + at;
        if (is_note(note) &&
            (newest == NULL || ut_get_le64(note + AT_TXN) > ut_get_le64(newest + AT_TXN)))
            newest = note;
    }
    return newest;
}

static bool is_of_this_boot(const uint8_t *note)
{
    static const uint8_t none[BOOT_LEN];
    uint8_t boot[BOOT_LEN];
    read_boot(boot);
    return memcmp(boot, none, BOOT_LEN) != 0 && memcmp(boot, note + AT_BOOT, BOOT_LEN) == 0;
}

// Writes the meta page of the note to both places of the file, the other one as of the transaction
// before: LMDB takes the newer.
static ut_err take_back(int data, const char *data_z, const uint8_t *note, ut_fault *fault)
{
    const size_t page_bytes = ut_get_le32(note + AT_PAGE_BYTES);
    const uint64_t txn_id = ut_get_le64(note + AT_TXN);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t meta[UT_LMDB_META_LEN];
        const size_t id = (size_t)(txn_id >= i ? txn_id - i : 0);
        const size_t place = (size_t)(txn_id & 1) ^ i;
        memcpy(meta, note + AT_META, sizeof(meta));
        memcpy(meta, &place, sizeof(place)); // its page number
        memcpy(meta + UT_LMDB_META_TXN_AT, &id, sizeof(id));
        if (pwrite(data, meta, sizeof(meta), (off_t)(place * page_bytes)) != (ssize_t)sizeof(meta))
            return system_fault(fault, data_z, "written");
    }
    return UT_OK;
}

// note: NULL where the pages are what they should be.
static ut_err make_durable(const char *data_z, const uint8_t *note, ut_fault *fault)
{
    int data = -1;
    ut_err err = ut_plain_file_open(data_z, O_RDWR, UT_PLAIN_OURS, &data, fault);
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? UT_OK : err;
    err = note != NULL ? take_back(data, data_z, note, fault) : UT_OK;
    if (err == UT_OK && fsync(data) != 0)
        err = system_fault(fault, data_z, "synced");
    (void)close(data); // synced before
    return err;
}

// A power cut could undo the removal of the name, and the note would take back what was committed
// since. So it is emptied first, both places at once: one place alone would be the older state,
// whose pages were overwritten.
static ut_err remove_note(const char *steady_z, ut_fault *fault)
{
    int fd = -1;
    ut_err err = ut_plain_file_open(steady_z, O_WRONLY, UT_PLAIN_OURS, &fd, fault);
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? UT_OK : err;
    if (ftruncate(fd, 0) != 0 || fsync(fd) != 0)
        err = system_fault(fault, steady_z, "emptied");
    (void)close(fd); // synced before
    if (err == UT_OK && unlink(steady_z) != 0 && errno != ENOENT)
        err = system_fault(fault, steady_z, "removed");
    return err;
}

ut_err ut_lmdb_steady_end(const char *dir_z, const char *data_z, bool read_only, ut_fault *fault)
{
    char steady_z[PATH_MAX_LEN + 16];
    uint8_t notes[NOTE_APART + NOTE_LEN] = {0};
    (void)snprintf(steady_z, sizeof(steady_z), "%s/store.steady", dir_z); // the room is there
    int fd = -1;
    ut_err err = ut_plain_file_open(steady_z, O_RDONLY, read_only ? 0 : UT_PLAIN_OURS, &fd, fault);
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? UT_OK : err;
    const ssize_t len = read(fd, notes, sizeof(notes));
    (void)close(fd); // read only
    if (len < 0)
        return system_fault(fault, steady_z, "read");
    const uint8_t *note = newest_note(notes);
    if (note != NULL && is_of_this_boot(note))
        note = NULL;
    if (read_only && note == NULL)
        return UT_OK;
    if (read_only)
        return ut_fault_set(fault, UT_ECORRUPT,
                            "%s was in use when the machine stopped. Start the agent once, so that "
                            "it is brought back to its last sync",
                            data_z);
    err = make_durable(data_z, note, fault);
    return err == UT_OK ? remove_note(steady_z, fault) : err;
}
