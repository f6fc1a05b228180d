// Notes the steady state and brings it back; see engine_lmdb_steady.h.
// The note has two places, written in turn, so that one is whole at any moment.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_steady.h"

#include "storage/lmdb/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <xxhash.h>

enum {
    NOTE_LEN = 512,    // of one place: a sector
    NOTE_APART = 4096, // the places stand in sectors of their own
    NOTE_VERSION = 1,
    BOOT_LEN = 36,
    AT_VERSION = 8,
    AT_PAGE_BYTES = 12,
    AT_TXN = 16,
    AT_BOOT = 24,
    AT_META = 64,
    AT_CHECKSUM = NOTE_LEN - 4,
    FILE_MODE = 0600,
};

_Static_assert(AT_META + UT_LMDB_META_LEN <= AT_CHECKSUM, "a meta page fits a note");

static const uint8_t magic[8] = {'U', 'T', 'S', 'T', 'E', 'A', 'D', 'Y'};

// Unlike after each start of the machine; empty where the system does not tell.
static void read_boot(uint8_t boot[BOOT_LEN])
{
    memset(boot, 0, BOOT_LEN);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, boot, BOOT_LEN) != BOOT_LEN)
        memset(boot, 0, BOOT_LEN);
    (void)close(fd); // read only
}

static uint32_t checksum(const uint8_t *note)
{
    return XXH32(note, AT_CHECKSUM, 0);
}

static bool is_note(const uint8_t *note)
{
    return memcmp(note, magic, sizeof magic) == 0 &&
           ut_get_le32(note + AT_VERSION) == NOTE_VERSION &&
           ut_get_le32(note + AT_CHECKSUM) == checksum(note);
}

static ut_err system_fault(ut_fault *fault, const char *path_z, const char *what_z)
{
    ut_err err = errno == ENOSPC || errno == EDQUOT                    ? UT_ENOSPC
                 : errno == EACCES || errno == EPERM || errno == EROFS ? UT_EPERM
                                                                       : UT_EIO;
    return ut_fault_set(fault, err, "%s cannot be %s: %s", path_z, what_z, strerror(errno));
}

// Writes the meta page of the note to both places of the file, the other one as of the transaction
// before: LMDB takes the newer.
static ut_err bring_back(const char *data_z, const uint8_t *note, ut_fault *fault)
{
    size_t page_bytes = ut_get_le32(note + AT_PAGE_BYTES);
    uint64_t txn_id = ut_get_le64(note + AT_TXN);
    int fd = open(data_z, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? UT_OK : system_fault(fault, data_z, "opened");
    ut_err err = UT_OK;
    for (unsigned i = 0; i < 2 && err == UT_OK; i++) {
        uint8_t meta[UT_LMDB_META_LEN];
        size_t id = (size_t)(txn_id >= i ? txn_id - i : 0);
        size_t place = (size_t)(txn_id & 1) ^ i;
        memcpy(meta, note + AT_META, sizeof meta);
        memcpy(meta, &place, sizeof place); // its page number
        memcpy(meta + UT_LMDB_META_TXN_AT, &id, sizeof id);
        if (pwrite(fd, meta, sizeof meta, (off_t)(place * page_bytes)) != (ssize_t)sizeof meta)
            err = system_fault(fault, data_z, "written");
    }
    if (err == UT_OK && fsync(fd) != 0)
        err = system_fault(fault, data_z, "synced");
    (void)close(fd); // synced before
    return err;
}

ut_err ut_lmdb_steady_recover(const ut_lmdb_steady *steady, const char *data_z, bool read_only,
                              ut_fault *fault)
{
    uint8_t notes[NOTE_APART + NOTE_LEN] = {0};
    uint8_t boot[BOOT_LEN];
    uint8_t none[BOOT_LEN] = {0};
    int fd = open(steady->path_z, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? UT_OK : system_fault(fault, steady->path_z, "opened");
    ssize_t len = read(fd, notes, sizeof notes);
    (void)close(fd); // read only
    if (len < 0)
        return system_fault(fault, steady->path_z, "read");
    const uint8_t *newest = NULL;
    for (size_t at = 0; at <= NOTE_APART; at += NOTE_APART) {
        const uint8_t *note = notes + at;
        if (is_note(note) &&
            (newest == NULL || ut_get_le64(note + AT_TXN) > ut_get_le64(newest + AT_TXN)))
            newest = note;
    }
    // The first note is made before the first commit that is not synced.
    if (newest == NULL)
        return UT_OK;
    read_boot(boot);
    if (memcmp(boot, none, BOOT_LEN) != 0 && memcmp(boot, newest + AT_BOOT, BOOT_LEN) == 0)
        return UT_OK;
    if (read_only)
        return ut_fault_set(fault, UT_ECORRUPT,
                            "%s was in use when the machine stopped. Start the agent once, so that "
                            "it is brought back to its last sync",
                            data_z);
    return bring_back(data_z, newest, fault);
}

ut_err ut_lmdb_steady_note(ut_lmdb_steady *steady, int data_fd, size_t page_bytes, uint64_t txn_id)
{
    uint8_t note[NOTE_LEN] = {0};
    memcpy(note, magic, sizeof magic);
    ut_put_le32(note + AT_VERSION, NOTE_VERSION);
    ut_put_le32(note + AT_PAGE_BYTES, (uint32_t)page_bytes);
    ut_put_le64(note + AT_TXN, txn_id);
    read_boot(note + AT_BOOT);
    size_t stored_id;
    off_t at = (off_t)((size_t)(txn_id & 1) * page_bytes);
    if (pread(data_fd, note + AT_META, UT_LMDB_META_LEN, at) != UT_LMDB_META_LEN)
        return UT_EIO;
    memcpy(&stored_id, note + AT_META + UT_LMDB_META_TXN_AT, sizeof stored_id);
    if (stored_id != (size_t)txn_id)
        return UT_EIO; // not the state that was synced
    ut_put_le32(note + AT_CHECKSUM, checksum(note));
    if (steady->fd < 0)
        steady->fd = open(steady->path_z, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    // Until this note is whole the one before must be: its state is the one that is still held.
    off_t place = (off_t)(steady->turn % 2) * NOTE_APART;
    if (steady->fd < 0 || pwrite(steady->fd, note, sizeof note, place) != NOTE_LEN ||
        fdatasync(steady->fd) != 0)
        return system_fault(NULL, steady->path_z, "written");
    steady->turn += 1;
    return UT_OK;
}

ut_err ut_lmdb_steady_forget(ut_lmdb_steady *steady, ut_fault *fault)
{
    ut_lmdb_steady_close(steady);
    int fd = open(steady->path_z, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? UT_OK : system_fault(fault, steady->path_z, "opened");
    // A power cut could undo the removal of the name, and the note would take back what was
    // committed since. So it is emptied first, both places at once: one place alone would be the
    // older state, whose pages are not held any more.
    ut_err err = UT_OK;
    if (ftruncate(fd, 0) != 0 || fsync(fd) != 0)
        err = system_fault(fault, steady->path_z, "emptied");
    (void)close(fd); // synced before
    if (err != UT_OK)
        return err;
    if (unlink(steady->path_z) != 0 && errno != ENOENT)
        return system_fault(fault, steady->path_z, "removed");
    return UT_OK;
}

void ut_lmdb_steady_close(ut_lmdb_steady *steady)
{
    if (steady->fd >= 0)
        (void)close(steady->fd); // synced when it was written
    steady->fd = -1;
    steady->turn = 0;
}
