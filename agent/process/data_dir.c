// Making, locking and opening a data directory; see data_dir.h.
#include "agent/process/data_dir.h"

#include "agent/config/master_key.h"
#include "agent/process/exit_code.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096, USER_BYTES_MAX = 64 };

static int dir_fault(ut_fault *fault, const char *path_z, int reason)
{
    const bool denied = reason == EACCES || reason == EPERM;
    (void)ut_fault_set(fault, denied ? UT_EPERM : UT_EIO,
                       "cannot make the data directory %s: %s; make it for this user, or set "
                       "data_dir to another",
                       path_z, strerror(reason));
    return denied ? EX_NOPERM : EX_CANTCREAT;
}

// Makes the name of path_z durable: syncs the directory above. Returns 0
// or errno; 0 too where that directory may not be read, or is of a kind that cannot be synced.
static int sync_parent(const char *path_z)
{
    char parent_z[PATH_BYTES_MAX];
    (void)snprintf(parent_z, sizeof(parent_z), "%s", path_z); // the room is there
    const int parent = open(dirname(parent_z), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return errno == EACCES || errno == EPERM ? 0 : errno;
    const int reason = fsync(parent) == 0 || errno == EINVAL ? 0 : errno;
    (void)close(parent); // read only
    return reason;
}

// A start that was killed may have made the directory without making its name durable, which shows
// nowhere. Not a directory of another user, who made it.
static bool may_be_unsynced(const char *path_z)
{
    struct stat status;
    return stat(path_z, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

int ut_data_dir_make(const char *dir_z, ut_fault *fault)
{
    char path_z[PATH_BYTES_MAX];
    ut_fault none;
    // A store is made when the names above it are durable.
    const bool store_missing = ut_data_dir_find_store(dir_z, &none) != EX_OK;
    const size_t len = strlen(dir_z);
    if (len == 0 || len >= sizeof(path_z))
        return dir_fault(fault, dir_z, len == 0 ? ENOENT : ENAMETOOLONG);
    memcpy(path_z, dir_z, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (path_z[i] != '/' && path_z[i] != '\0')
            continue;
        path_z[i] = '\0';
        struct stat status;
        const bool made = mkdir(path_z, 0700) == 0;
        const int reason = made ? 0 : errno;
        // A parent that may be read but not written to is well when it is there.
        if (!made && reason != EEXIST && (stat(path_z, &status) != 0 || !S_ISDIR(status.st_mode)))
            return dir_fault(fault, path_z, reason);
        const int unsynced =
            made || (store_missing && may_be_unsynced(path_z)) ? sync_parent(path_z) : 0;
        if (unsynced != 0)
            return dir_fault(fault, path_z, unsynced);
        if (i < len)
            path_z[i] = '/';
    }
    struct stat status;
    if (stat(dir_z, &status) != 0 || !S_ISDIR(status.st_mode))
        return dir_fault(fault, dir_z, ENOTDIR);
    return EX_OK;
}

static void no_store_fault(const char *dir_z, ut_fault *fault)
{
    struct stat status;
    const bool there = stat(dir_z, &status) == 0;
    if (there && !S_ISDIR(status.st_mode))
        (void)ut_fault_set(fault, UT_ENOTFOUND,
                           "%s is no directory, expected the data directory, which holds store.mdb",
                           dir_z);
    else
        (void)ut_fault_set(fault, UT_ENOTFOUND,
                           "there is no store in %s (%s): has an agent run with this data "
                           "directory?",
                           dir_z, there ? "no store.mdb" : "no such directory");
}

int ut_data_dir_find_store(const char *dir_z, ut_fault *fault)
{
    char path_z[PATH_BYTES_MAX];
    const int written = snprintf(path_z, sizeof(path_z), "%s/store.mdb", dir_z);
    struct stat status; // a link to nothing is there, too: the opening names it
    if (written > 0 && (size_t)written < sizeof(path_z) &&
        (lstat(path_z, &status) == 0 || errno == EACCES))
        return EX_OK;
    no_store_fault(dir_z, fault);
    return EX_NOINPUT;
}

// The name of a user, or its number, as `sudo -u` takes it.
static const char *user_name(uid_t user, char *out_z, size_t cap)
{
    const struct passwd *entry = getpwuid(user);
    if (entry != NULL)
        (void)snprintf(out_z, cap, "%s", entry->pw_name);
    else
        (void)snprintf(out_z, cap, "'#%lu'", (unsigned long)user);
    return out_z;
}

void ut_data_dir_explain(const char *dir_z, ut_fault *fault)
{
    struct stat status;
    char name_z[USER_BYTES_MAX];
    const ut_fault why = *fault;
    if (why.code == UT_ENOTFOUND) {
        no_store_fault(dir_z, fault);
    } else if (why.code == UT_EPERM && stat(dir_z, &status) == 0 && status.st_uid != geteuid()) {
        (void)user_name(status.st_uid, name_z, sizeof(name_z));
        (void)ut_fault_set(fault, why.code,
                           "%s; the data directory belongs to the user %s: sudo -u %s untrace ...",
                           why.text_z, name_z, name_z);
    }
}

static int foreign_fault(ut_fault *fault, const char *dir_z, uid_t owner)
{
    char name_z[USER_BYTES_MAX];
    (void)user_name(owner, name_z, sizeof(name_z));
    (void)ut_fault_set(
        fault, UT_EPERM,
        "the data directory %s belongs to the user %s, whose agent could not open "
        "the files that are made here; run this as that user: sudo -u %s untrace ...",
        dir_z, name_z, name_z);
    return EX_NOPERM;
}

// Opens the file of the lock. A link or a pipe that another user has put there is neither followed
// nor written to. Without make, EX_NOPERM with *lock_fd < 0 when there is none.
static int open_lock(const char *path_z, bool make, int *lock_fd, ut_fault *fault)
{
    struct stat status;
    *lock_fd =
        open(path_z, O_RDWR | (make ? O_CREAT : 0) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (*lock_fd < 0) {
        const int reason = errno;
        if (reason == ENOENT && !make)
            return EX_NOPERM;
        const bool denied = reason == ELOOP || ut_err_of_errno(reason) == UT_EPERM;
        (void)ut_fault_set(fault, denied ? UT_EPERM : UT_EIO,
                           reason == ELOOP
                               ? "cannot open %s: %s; it must be a plain file: remove it"
                               : "cannot open %s: %s; the agent needs a data directory that it may "
                                 "write",
                           path_z, reason == ELOOP ? "it is a link" : strerror(reason));
        return denied ? EX_NOPERM : EX_IOERR;
    }
    if (fstat(*lock_fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink <= 1)
        return EX_OK;
    (void)close(*lock_fd);
    *lock_fd = -1;
    (void)ut_fault_set(fault, UT_EPERM,
                       "%s is not a plain file with one name: remove it, the next start makes it "
                       "again",
                       path_z);
    return EX_NOPERM;
}

static int lock_held_fault(ut_fault *fault, const char *dir_z, int lock_fd)
{
    char pid_z[24];
    const ssize_t got = pread(lock_fd, pid_z, sizeof(pid_z) - 1, 0);
    pid_z[got > 0 ? (size_t)got : 0] = '\0';
    pid_z[strcspn(pid_z, "\n")] = '\0';
    (void)ut_fault_set(fault, UT_EBUSY,
                       "another agent or command (process %s) uses the data directory %s; stop it "
                       "first, or set data_dir to another",
                       pid_z[0] != '\0' ? pid_z : "unknown", dir_z);
    return EX_TEMPFAIL;
}

static void warn_of_mode(const char *dir_z, const ut_log *log)
{
    struct stat status;
    if (stat(dir_z, &status) == 0 && (status.st_mode & S_IWOTH) != 0)
        ut_log_write(log, UT_LOG_WARN, "agent",
                     "every user of this machine may write the data directory %s, and so remove or "
                     "replace what is stored there: chmod o-w %s",
                     dir_z, dir_z);
}

// Takes the lock. foreign: the directory is another user's, and nothing may be made or written in
// it; then the result is EX_TEMPFAIL when somebody holds the lock, and never EX_OK.
static int lock(const char *dir_z, bool foreign, const ut_log *log, int *lock_fd, ut_fault *fault)
{
    char path_z[PATH_BYTES_MAX];
    const int written = snprintf(path_z, sizeof(path_z), "%s/untrace.lock", dir_z);
    if (written < 0 || (size_t)written >= sizeof(path_z))
        return dir_fault(fault, dir_z, ENAMETOOLONG);
    const int code = open_lock(path_z, !foreign, lock_fd, fault);
    if (code != EX_OK)
        return code;
    if (flock(*lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return lock_held_fault(fault, dir_z, *lock_fd);
        (void)ut_fault_set(fault, UT_EIO, "cannot lock %s: %s", path_z, strerror(errno));
        return EX_IOERR;
    }
    if (foreign)
        return EX_NOPERM;
    warn_of_mode(dir_z, log);
    char pid_z[24];
    const int len = snprintf(pid_z, sizeof(pid_z), "%ld\n", (long)getpid());
    // The process id in the file is a help for people; the lock itself does not depend on it.
    if (ftruncate(*lock_fd, 0) != 0 || pwrite(*lock_fd, pid_z, (size_t)len, 0) != len)
        ut_log_write(log, UT_LOG_WARN, "agent", "cannot write the process id to %s: %s", path_z,
                     strerror(errno));
    return EX_OK;
}

int ut_data_dir_lock(const char *dir_z, const ut_log *log, int *lock_fd, ut_fault *fault)
{
    return lock(dir_z, false, log, lock_fd, fault);
}

// The length of the longest beginning of path_z, up to a slash or its end, that is there.
static size_t length_there(const char *path_z)
{
    char part_z[PATH_BYTES_MAX];
    size_t len = strnlen(path_z, sizeof(part_z) - 1);
    memcpy(part_z, path_z, len);
    for (;; len--) {
        part_z[len] = '\0';
        if (len == 0 || access(part_z, F_OK) == 0)
            return len;
        while (len > 1 && part_z[len - 1] != '/')
            len--;
    }
}

int ut_data_dir_try(const char *dir_z, const ut_log *log, ut_fault *fault)
{
    char path_z[PATH_BYTES_MAX];
    const size_t there = length_there(dir_z);
    int code = ut_data_dir_make(dir_z, fault);
    size_t len = strnlen(dir_z, sizeof(path_z) - 1);
    memcpy(path_z, dir_z, len);
    for (; len > there; len--) { // also what was made before the failure
        path_z[len] = '\0';
        if (dir_z[len] == '/' || dir_z[len] == '\0')
            (void)rmdir(path_z);
    }
    if (code != EX_OK || there < strlen(dir_z))
        return code;
    if (access(dir_z, W_OK | X_OK) != 0) {
        const int reason = errno;
        (void)ut_fault_set(fault, ut_err_of_errno(reason),
                           "cannot write to the data directory %s: %s; the agent needs one that it "
                           "may write",
                           dir_z, strerror(reason));
        return reason == EACCES || reason == EPERM ? EX_NOPERM : EX_IOERR;
    }
    warn_of_mode(dir_z, log);
    int lock_fd = -1;
    ut_fault why = {UT_OK, ""};
    code = lock(dir_z, true, NULL, &lock_fd, &why);
    if (lock_fd >= 0)
        (void)close(lock_fd);
    if (code != EX_TEMPFAIL && why.text_z[0] == '\0')
        return EX_OK; // nobody holds it, or there is none yet
    *fault = why;
    return code;
}

int ut_data_dir_lock_own(const char *dir_z, const ut_log *log, int *lock_fd, ut_fault *fault)
{
    struct stat status;
    if (stat(dir_z, &status) != 0)
        return dir_fault(fault, dir_z, errno);
    if (status.st_uid == geteuid())
        return lock(dir_z, false, log, lock_fd, fault);
    const int code = lock(dir_z, true, log, lock_fd, fault);
    if (code == EX_TEMPFAIL)
        return code; // an agent is there, which may be asked
    if (*lock_fd >= 0)
        (void)close(*lock_fd);
    *lock_fd = -1;
    return foreign_fault(fault, dir_z, status.st_uid);
}

void ut_data_dir_name_fault(const char *data_dir_z, ut_fault *fault)
{
    const ut_fault why = *fault;
    (void)ut_fault_set(
        fault, why.code, "%s: %s%s", data_dir_z, why.text_z,
        why.code == UT_ECORRUPT
            ? ". Restore it from a copy, or move it away to start with an empty store"
            : "");
}

static int open_store(const ut_config *config, bool keep_destinations, const ut_log *log,
                      ut_store **store, ut_fault *fault)
{
    const ut_engine_config engine_config = {
        .dir_z = config->data_dir_z,
        .bytes_max = config->storage.bytes_max,
    };
    ut_engine *engine = NULL;
    ut_master_key key;
    // A command that works without the agent's configuration may be told where the key is.
    const char *key_file_z = keep_destinations ? ut_master_key_env_file() : NULL;
    ut_err err = key_file_z != NULL
                     ? ut_master_key_read(key_file_z, log, &key, fault)
                     : ut_master_key_load(&config->storage.encryption, log, &key, fault);
    if (err == UT_OK)
        err = ut_engine_lmdb_open(&engine_config, &engine, fault);
    if (err != UT_OK) {
        ut_master_key_wipe(&key);
        return ut_exit_code(err);
    }
    const ut_store_config store_config = {
        .bytes_max = config->storage.bytes_max,
        .spans_max = config->storage.spans_max,
        .evict_oldest = config->storage.evict_oldest,
        .ttl_ms = config->storage.ttl_ms,
        .rules = &config->storage.rules,
        .log = log,
        .keep_destinations = keep_destinations,
        .master_key = key.given ? key.bytes : NULL,
        .master_key_name_z = key.name_z,
        .keep_plain = key_file_z != NULL,
    };
    err = ut_store_open(engine, &store_config, store, fault);
    ut_master_key_wipe(&key);
    if (err != UT_OK) {
        ut_data_dir_name_fault(config->data_dir_z, fault);
        return ut_exit_code(err);
    }
    ut_store_look_at_clock(*store, ut_clock_wall_ns(), ut_clock_up_ms(), ut_clock_boot());
    return EX_OK;
}

int ut_data_dir_open_store(const ut_config *config, const ut_log *log, ut_store **store,
                           ut_fault *fault)
{
    return open_store(config, false, log, store, fault);
}

// Reads the budget with which the store was last opened for writing, which stands in its file.
static ut_err read_budget(const char *dir_z, uint64_t *bytes_max, ut_fault *fault)
{
    const ut_engine_config config = {
        .dir_z = dir_z, .bytes_max = UT_STORE_BYTES_MIN, .read_only = true};
    ut_engine *engine = NULL;
    ut_engine_room room;
    ut_err err = ut_engine_lmdb_open(&config, &engine, fault);
    if (err != UT_OK)
        return err;
    err = ut_engine_get_room(engine, &room);
    ut_engine_close(engine);
    if (err != UT_OK)
        return ut_fault_set(fault, err, "%s: cannot read the store: %s", dir_z, ut_err_text(err));
    *bytes_max = room.bytes_max;
    return UT_OK;
}

int ut_data_dir_open_existing(ut_config *config, const ut_log *log, ut_store **store,
                              ut_fault *fault)
{
    // A smaller budget than the agent's would remove blocks that the agent keeps.
    const ut_err err = read_budget(config->data_dir_z, &config->storage.bytes_max, fault);
    if (err != UT_OK)
        return ut_exit_code(err);
    return open_store(config, true, log, store, fault);
}
