// The disk that loses its cache; see disk.h.
#include "tests/powercut/disk.h"

#include "port/base/err.h"
#include "tests/support/temp_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILES_MAX = 16384, // in the life of a disk
    NAMES_MAX = 32,
    OPS_MAX = 1024, // on names, without a sync of their directory
    SECTOR = UT_DISK_SECTOR_BYTES,
    PAGE_SECTORS = 8,
    FILE_MODE = 0600,
    DIRECTORY_MODE = 0700,
};

typedef struct {
    uint8_t *data;
    uint64_t len;
    uint64_t cap; // bytes from len on are zeros
} content;

// A write, or a new length, that no sync has followed.
typedef struct {
    uint8_t *data; // NULL: only the length changed
    uint64_t offset;
    uint64_t len;
    uint64_t file_len; // of the file afterwards
} pending;

typedef struct {
    content safe;
    content now;
    pending *pending;
    size_t pending_count;
    size_t pending_cap;
    bool directory;
    bool mapped;
} file;

typedef struct {
    char name_z[UT_DISK_NAME_MAX];
    int safe; // the file's number, -1: none
    int now;
} entry;

// An operation on names: to becomes the name of file (-1: of none), and from, if it is that of file
// too, the name of none.
typedef struct {
    int directory;
    int from; // the entry's number, -1: none
    int to;
    int file;
} name_op;

struct ut_disk {
    file files[FILES_MAX];
    int file_count;
    entry entries[NAMES_MAX];
    int entry_count;
    name_op ops[OPS_MAX];
    size_t op_count;
};

// ---- contents ----

static void grow(content *c, uint64_t len)
{
    if (len > c->cap) {
        const uint64_t cap = len + len / 2 + SECTOR;
        c->data = realloc(c->data, cap);
        UT_ASSERT(c->data != NULL);
        memset(c->data + c->cap, 0, cap - c->cap);
        c->cap = cap;
    }
    if (len > c->len)
        c->len = len;
}

static void set_len(content *c, uint64_t len)
{
    if (len < c->len) {
        memset(c->data + len, 0, c->len - len);
        c->len = len;
    }
    grow(c, len);
}

static void put(content *c, uint64_t offset, const void *data, uint64_t len)
{
    if (len == 0)
        return;
    grow(c, offset + len);
    memcpy(c->data + offset, data, len);
}

static void copy_content(content *to, const content *from)
{
    set_len(to, from->len);
    if (from->len > 0)
        memcpy(to->data, from->data, from->len);
}

static void add_pending(file *f, pending one)
{
    if (f->pending_count == f->pending_cap) {
        f->pending_cap = f->pending_cap * 2 + 16;
        f->pending = realloc(f->pending, f->pending_cap * sizeof(*f->pending));
        UT_ASSERT(f->pending != NULL);
    }
    f->pending[f->pending_count++] = one;
}

static uint8_t *copy_bytes(const uint8_t *data, uint64_t len)
{
    uint8_t *copy = malloc(len);
    UT_ASSERT(copy != NULL);
    memcpy(copy, data, len);
    return copy;
}

static void drop_pending(file *f)
{
    for (size_t i = 0; i < f->pending_count; i++)
        free(f->pending[i].data);
    f->pending_count = 0;
}

static void forget(file *f)
{
    drop_pending(f);
    set_len(&f->safe, 0);
    set_len(&f->now, 0);
}

// ---- the disk ----

ut_disk *ut_disk_new(void)
{
    ut_disk *disk = calloc(1, sizeof(*disk));
    UT_ASSERT(disk != NULL);
    disk->files[0].directory = true;
    disk->file_count = 1;
    disk->entry_count = 1; // "" is file 0
    return disk;
}

void ut_disk_free(ut_disk *disk)
{
    if (disk == NULL)
        return;
    for (int i = 0; i < disk->file_count; i++) {
        drop_pending(&disk->files[i]);
        free(disk->files[i].pending);
        free(disk->files[i].safe.data);
        free(disk->files[i].now.data);
    }
    free(disk);
}

static file *get_file(ut_disk *disk, int number)
{
    UT_ASSERT(number >= 0 && number < disk->file_count);
    return &disk->files[number];
}

// ---- names ----

static int find_entry(const ut_disk *disk, const char *name_z)
{
    for (int i = 0; i < disk->entry_count; i++) {
        if (strcmp(disk->entries[i].name_z, name_z) == 0)
            return i;
    }
    return -1;
}

static int need_entry(ut_disk *disk, const char *name_z)
{
    const int found = find_entry(disk, name_z);
    if (found >= 0)
        return found;
    UT_ASSERT(disk->entry_count < NAMES_MAX && strlen(name_z) < UT_DISK_NAME_MAX);
    entry *made = &disk->entries[disk->entry_count];
    memcpy(made->name_z, name_z, strlen(name_z) + 1);
    made->safe = -1;
    made->now = -1;
    return disk->entry_count++;
}

// The directory that a name stands in.
static int directory_of(const ut_disk *disk, const char *name_z)
{
    char above_z[UT_DISK_NAME_MAX];
    const char *slash = strrchr(name_z, '/');
    const size_t len = slash != NULL ? (size_t)(slash - name_z) : 0;
    memcpy(above_z, name_z, len);
    above_z[len] = '\0';
    const int directory = ut_disk_find(disk, above_z);
    UT_ASSERT(directory >= 0);
    return directory;
}

int ut_disk_find(const ut_disk *disk, const char *name_z)
{
    const int found = find_entry(disk, name_z);
    return found >= 0 ? disk->entries[found].now : -1;
}

static bool directory_is_there(const ut_disk *disk, const char *name_z)
{
    char above_z[UT_DISK_NAME_MAX];
    const char *slash = strrchr(name_z, '/');
    if (slash == NULL)
        return true;
    memcpy(above_z, name_z, (size_t)(slash - name_z));
    above_z[slash - name_z] = '\0';
    return ut_disk_find(disk, above_z) >= 0;
}

static void do_op(ut_disk *disk, const name_op *op, bool safe)
{
    if (op->from >= 0) {
        int *from = safe ? &disk->entries[op->from].safe : &disk->entries[op->from].now;
        if (*from == op->file)
            *from = -1;
    }
    *(safe ? &disk->entries[op->to].safe : &disk->entries[op->to].now) = op->file;
}

static void add_op(ut_disk *disk, const char *from_z, const char *to_z, int file_number)
{
    const name_op op = {
        .directory = directory_of(disk, to_z),
        .from = from_z != NULL ? need_entry(disk, from_z) : -1,
        .to = need_entry(disk, to_z),
        .file = file_number,
    };
    UT_ASSERT(from_z == NULL || directory_of(disk, from_z) == op.directory);
    UT_ASSERT(disk->op_count < OPS_MAX);
    disk->ops[disk->op_count++] = op;
    do_op(disk, &op, false);
}

int ut_disk_create(ut_disk *disk, const char *name_z, bool directory)
{
    UT_ASSERT(disk->file_count < FILES_MAX && ut_disk_find(disk, name_z) < 0);
    const int number = disk->file_count++;
    disk->files[number].directory = directory;
    add_op(disk, NULL, name_z, number);
    return number;
}

void ut_disk_unlink(ut_disk *disk, const char *name_z)
{
    UT_ASSERT(ut_disk_find(disk, name_z) >= 0);
    add_op(disk, NULL, name_z, -1);
}

void ut_disk_rename(ut_disk *disk, const char *from_z, const char *to_z)
{
    const int number = ut_disk_find(disk, from_z);
    UT_ASSERT(number >= 0);
    add_op(disk, from_z, to_z, number);
}

void ut_disk_link(ut_disk *disk, const char *from_z, const char *to_z)
{
    const int number = ut_disk_find(disk, from_z);
    UT_ASSERT(number >= 0 && ut_disk_find(disk, to_z) < 0);
    add_op(disk, NULL, to_z, number);
}

// ---- bytes ----

void ut_disk_write(ut_disk *disk, int number, uint64_t offset, const void *data, size_t len)
{
    file *f = get_file(disk, number);
    UT_ASSERT(!f->directory);
    put(&f->now, offset, data, len);
    add_pending(f, (pending){.data = copy_bytes(data, len),
                             .offset = offset,
                             .len = len,
                             .file_len = f->now.len});
}

void ut_disk_resize(ut_disk *disk, int number, uint64_t len)
{
    file *f = get_file(disk, number);
    set_len(&f->now, len);
    add_pending(f, (pending){.file_len = len});
}

static void do_pending(file *f, const pending *p)
{
    if (p->data != NULL)
        put(&f->safe, p->offset, p->data, p->len);
    else
        set_len(&f->safe, p->file_len);
}

void ut_disk_map(ut_disk *disk, int number)
{
    get_file(disk, number)->mapped = true;
}

// A file can come to stand under a name again, after a power cut too.
static bool is_named(const ut_disk *disk, int number)
{
    for (int i = 0; i < disk->entry_count; i++) {
        if (disk->entries[i].safe == number || disk->entries[i].now == number)
            return true;
    }
    for (size_t i = 0; i < disk->op_count; i++) {
        if (disk->ops[i].file == number)
            return true;
    }
    return false;
}

static void sync_names(ut_disk *disk, int directory)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->op_count; i++) {
        if (disk->ops[i].directory == directory)
            do_op(disk, &disk->ops[i], true);
        else
            disk->ops[kept++] = disk->ops[i];
    }
    disk->op_count = kept;
    for (int i = 0; i < disk->file_count; i++) {
        if (!is_named(disk, i))
            forget(&disk->files[i]);
    }
}

void ut_disk_sync(ut_disk *disk, int number)
{
    file *f = get_file(disk, number);
    if (f->directory) {
        sync_names(disk, number);
        return;
    }
    for (size_t i = 0; i < f->pending_count; i++)
        do_pending(f, &f->pending[i]);
    UT_ASSERT(f->safe.len == f->now.len);
    drop_pending(f);
}

// Leaves of a pending write what lies outside of from..to.
static void keep_outside(file *f, size_t index, uint64_t from, uint64_t to)
{
    pending *p = &f->pending[index];
    const uint64_t end = p->offset + p->len;
    if (p->data == NULL || end <= from || p->offset >= to)
        return;
    if (end > to) {
        const pending rest = {.data = copy_bytes(p->data + (to - p->offset), end - to),
                              .offset = to,
                              .len = end - to,
                              .file_len = p->file_len};
        add_pending(f, rest); // may move the array
        p = &f->pending[index];
    }
    p->len = p->offset < from ? from - p->offset : 0;
}

void ut_disk_sync_range(ut_disk *disk, int number, uint64_t offset, size_t len)
{
    file *f = get_file(disk, number);
    const uint64_t from = offset / SECTOR * SECTOR;
    uint64_t to = (offset + len + SECTOR - 1) / SECTOR * SECTOR;
    if (to > f->now.len)
        to = f->now.len;
    if (to <= from)
        return;
    put(&f->safe, from, f->now.data + from, to - from);
    const size_t count = f->pending_count;
    for (size_t i = 0; i < count; i++)
        keep_outside(f, i, from, to);
}

// ---- the cut ----

// What becomes of the sectors that no sync has reached.
typedef struct {
    uint32_t kept_permille; // of the sectors have their last state; the others any before it
    uint32_t unit_sectors;  // sectors that share their fate
    bool in_order;          // instead: all up to one instant, and nothing after it
    bool stale;             // bytes that were never written are old ones of the disk, not zeros
    bool names_in_order;    // operations on names up to one instant, as a journal keeps them
    uint32_t names_permille;
    uint64_t seed;
} fate;

static fate draw_fate(ut_random *random)
{
    static const uint16_t permilles[] = {0, 60, 500, 500, 940, 1000};
    enum { PERMILLES = sizeof(permilles) / sizeof(permilles[0]) };
    return (fate){
        .kept_permille = permilles[ut_random_below(random, PERMILLES)],
        .unit_sectors = ut_random_below(random, 3) == 0 ? PAGE_SECTORS : 1,
        .in_order = ut_random_below(random, 4) == 0,
        .stale = ut_random_below(random, 4) == 0,
        .names_in_order = ut_random_below(random, 2) == 0,
        .names_permille = permilles[ut_random_below(random, PERMILLES)],
        .seed = ut_random_next(random),
    };
}

// How many of the writes to a sector, which were `count`, are on the disk.
static uint32_t versions_kept(const fate *how, uint64_t sector, uint32_t count)
{
    ut_random random = {how->seed ^ (sector / how->unit_sectors) * UINT64_C(0x9e3779b97f4a7c15)};
    if (ut_random_below(&random, 1000) < how->kept_permille)
        return count;
    return how->kept_permille == 0 ? 0 : ut_random_below(&random, count + 1);
}

static void count_writes(const file *f, uint16_t *counts)
{
    for (size_t i = 0; i < f->pending_count; i++) {
        const pending *p = &f->pending[i];
        if (p->len == 0)
            continue;
        for (uint64_t s = p->offset / SECTOR; s <= (p->offset + p->len - 1) / SECTOR; s++) {
            UT_ASSERT(counts[s] < UINT16_MAX);
            counts[s] += 1;
        }
    }
}

static void put_sector(content *to, const pending *p, uint64_t sector)
{
    const uint64_t from = sector * SECTOR > p->offset ? sector * SECTOR : p->offset;
    const uint64_t end = p->offset + p->len;
    const uint64_t stop = (sector + 1) * SECTOR < end ? (sector + 1) * SECTOR : end;
    put(to, from, p->data + (from - p->offset), stop - from);
}

// Old bytes of the disk: a page of the file that stands elsewhere, or noise.
static void put_stale(content *to, uint64_t sector, uint64_t safe_len, ut_random *random)
{
    uint8_t bytes[SECTOR];
    const uint32_t safe_sectors = (uint32_t)(safe_len / SECTOR);
    if (safe_sectors > 0 && ut_random_below(random, 2) == 0) {
        memcpy(bytes, to->data + (uint64_t)ut_random_below(random, safe_sectors) * SECTOR, SECTOR);
    } else {
        for (size_t i = 0; i < SECTOR; i++)
            bytes[i] = (uint8_t)ut_random_next(random);
    }
    const uint64_t at = sector * SECTOR;
    const uint64_t len = to->len - at < SECTOR ? to->len - at : SECTOR;
    put(to, at, bytes, len);
}

// Chooses the length among those that the file had since its last sync.
static uint64_t choose_len(const file *f, const fate *how, ut_random *random)
{
    const uint32_t index = ut_random_below(random, (uint32_t)f->pending_count + 1);
    if (how->kept_permille == 1000)
        return f->now.len;
    if (index == 0 || how->kept_permille == 0)
        return f->safe.len;
    const uint64_t len = f->pending[index - 1].file_len;
    bool shrank = false; // else nothing takes away what is safe
    for (size_t i = 0; i < index; i++)
        shrank = shrank || f->pending[i].data == NULL;
    return shrank || len > f->safe.len ? len : f->safe.len;
}

static void cut_each_sector(file *f, const fate *how, ut_random *random, ut_disk_loss *loss)
{
    const uint64_t safe_len = f->safe.len;
    const uint64_t len = choose_len(f, how, random);
    const uint64_t sectors = f->now.cap / SECTOR + 1;
    uint16_t *counts = calloc(sectors, sizeof(*counts));
    uint16_t *done = calloc(sectors, sizeof(*done));
    UT_ASSERT(counts != NULL && done != NULL);
    count_writes(f, counts);
    if (len > safe_len) {
        grow(&f->safe, len);
        for (uint64_t s = (safe_len + SECTOR - 1) / SECTOR; how->stale && s * SECTOR < len; s++)
            put_stale(&f->safe, s, safe_len, random);
    }
    for (size_t i = 0; i < f->pending_count; i++) {
        const pending *p = &f->pending[i];
        if (p->len == 0)
            continue;
        for (uint64_t s = p->offset / SECTOR; s <= (p->offset + p->len - 1) / SECTOR; s++) {
            if (done[s]++ < versions_kept(how, s, counts[s])) {
                put_sector(&f->safe, p, s);
                loss->sectors_kept += 1;
            } else {
                loss->sectors_lost += 1;
            }
        }
    }
    set_len(&f->safe, len);
    free(counts);
    free(done);
}

// All writes up to one instant, the last of them torn.
static void cut_in_order(file *f, ut_random *random, ut_disk_loss *loss)
{
    const size_t whole = ut_random_below(random, (uint32_t)f->pending_count);
    for (size_t i = 0; i < whole; i++) {
        const pending *p = &f->pending[i];
        do_pending(f, p);
        loss->sectors_kept += (uint32_t)((p->len + SECTOR - 1) / SECTOR);
    }
    const pending *torn = &f->pending[whole];
    const uint64_t part = ut_random_below(random, (uint32_t)(torn->len / SECTOR) + 1) * SECTOR;
    const uint64_t aligned = torn->offset % SECTOR; // the first sector may be written in part
    if (torn->data != NULL && part > aligned)
        put(&f->safe, torn->offset, torn->data, part - aligned);
    loss->sectors_lost += (uint32_t)((torn->len - part + SECTOR - 1) / SECTOR);
}

static void cut_names(ut_disk *disk, const fate *how, ut_random *random, ut_disk_loss *loss)
{
    const uint32_t instant = ut_random_below(random, (uint32_t)disk->op_count + 1);
    for (size_t i = 0; i < disk->op_count; i++) {
        const bool kept =
            how->names_in_order ? i < instant : ut_random_below(random, 1000) < how->names_permille;
        if (kept)
            do_op(disk, &disk->ops[i], true);
        loss->names_lost += !kept;
    }
    loss->names_open += (uint32_t)disk->op_count;
    disk->op_count = 0;
}

static void cut_mapped(file *f, ut_random *random)
{
    const bool noise = ut_random_below(random, 2) == 0;
    copy_content(&f->safe, &f->now);
    for (uint64_t i = 0; i < f->safe.len; i++)
        f->safe.data[i] = noise ? (uint8_t)ut_random_next(random) : 0;
}

ut_disk_loss ut_disk_cut(ut_disk *disk, ut_random *random)
{
    const fate how = draw_fate(random);
    ut_disk_loss loss = {0};
    cut_names(disk, &how, random, &loss);
    for (int i = 0; i < disk->file_count; i++) {
        file *f = &disk->files[i];
        if (f->mapped) {
            cut_mapped(f, random);
        } else if (f->pending_count > 0) {
            if (how.in_order)
                cut_in_order(f, random, &loss);
            else
                cut_each_sector(f, &how, random, &loss);
        }
        drop_pending(f);
        copy_content(&f->now, &f->safe);
    }
    for (int i = 0; i < disk->entry_count; i++) {
        entry *e = &disk->entries[i];
        e->now = e->safe;
        if (!directory_is_there(disk, e->name_z))
            e->now = e->safe = -1;
    }
    return loss;
}

// ---- files on a real disk ----

// A file stands under each of its names.
static void write_file(const ut_disk *disk, int index, const char *dir_z)
{
    char path_z[UT_TEMP_PATH_MAX];
    const int number = disk->entries[index].now;
    const file *f = &disk->files[number];
    ut_temp_path(dir_z, disk->entries[index].name_z, path_z);
    if (f->directory) {
        UT_ASSERT(mkdir(path_z, DIRECTORY_MODE) == 0);
        return;
    }
    for (int i = 0; i < index; i++) {
        if (disk->entries[i].now == number) {
            char first_z[UT_TEMP_PATH_MAX];
            ut_temp_path(dir_z, disk->entries[i].name_z, first_z);
            UT_ASSERT(link(first_z, path_z) == 0);
            return;
        }
    }
    const int fd = open(path_z, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    UT_ASSERT(fd >= 0);
    for (uint64_t at = 0; at < f->now.len;) {
        const ssize_t written = pwrite(fd, f->now.data + at, f->now.len - at, (off_t)at);
        UT_ASSERT(written > 0);
        at += (uint64_t)written;
    }
    UT_ASSERT(close(fd) == 0);
}

void ut_disk_write_out(const ut_disk *disk, const char *dir_z)
{
    for (int i = 1; i < disk->entry_count; i++) { // a directory has its entry before what is in it
        if (disk->entries[i].now >= 0)
            write_file(disk, i, dir_z);
    }
}

static const char *differs(const char *name_z, const char *how_z)
{
    static char text_z[UT_TEMP_PATH_MAX + UT_DISK_NAME_MAX + 64];
    (void)snprintf(text_z, sizeof(text_z), "%s %s", name_z, how_z);
    return text_z;
}

static const char *file_difference(const file *f, const char *name_z, const char *path_z)
{
    struct stat status;
    if (stat(path_z, &status) != 0)
        return differs(name_z, "is missing");
    if (f->directory || f->mapped)
        return NULL;
    if ((uint64_t)status.st_size != f->now.len)
        return differs(name_z, "has another length");
    uint8_t *data = malloc(f->now.len + 1);
    const int fd = open(path_z, O_RDONLY | O_CLOEXEC);
    UT_ASSERT(data != NULL && fd >= 0);
    uint64_t at = 0;
    for (ssize_t got = 1; got > 0; at += (uint64_t)got) {
        got = pread(fd, data + at, f->now.len + 1 - at, (off_t)at);
        UT_ASSERT(got >= 0);
    }
    (void)close(fd); // read only
    const bool equal = at == f->now.len && (at == 0 || memcmp(data, f->now.data, at) == 0);
    free(data);
    return equal ? NULL : differs(name_z, "has other bytes");
}

// A name in dir_z/above_z that the disk does not know.
static const char *stranger(const ut_disk *disk, const char *dir_z, const char *above_z)
{
    char path_z[UT_TEMP_PATH_MAX];
    const char *found = NULL;
    ut_temp_path(dir_z, above_z, path_z);
    DIR *dir = opendir(path_z);
    UT_ASSERT(dir != NULL);
    for (struct dirent *e = readdir(dir); e != NULL && found == NULL; e = readdir(dir)) {
        char name_z[sizeof(e->d_name) + UT_DISK_NAME_MAX];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(name_z, sizeof(name_z), "%s%s%s", above_z, above_z[0] != '\0' ? "/" : "",
                       e->d_name);
        if (ut_disk_find(disk, name_z) < 0)
            found = differs(name_z, "is not known to the disk");
    }
    (void)closedir(dir); // read only
    return found;
}

const char *ut_disk_difference(const ut_disk *disk, const char *dir_z)
{
    for (int i = 0; i < disk->entry_count; i++) {
        char path_z[UT_TEMP_PATH_MAX];
        const entry *e = &disk->entries[i];
        if (e->now < 0)
            continue;
        ut_temp_path(dir_z, e->name_z, path_z);
        const file *f = &disk->files[e->now];
        const char *found = file_difference(f, e->name_z, path_z);
        if (found == NULL && f->directory)
            found = stranger(disk, dir_z, e->name_z);
        if (found != NULL)
            return found;
    }
    return NULL;
}
