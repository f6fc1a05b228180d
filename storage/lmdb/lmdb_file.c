// Checks of an LMDB data file by reading it; see lmdb_file.h. The layout stands in lmdb_page.h.
#define _GNU_SOURCE
#include "storage/lmdb/lmdb_file.h"

#include "storage/lmdb/plain_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CHECKS_MAX = 3, // a writer may change the meta pages while they are read
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 65536,
    MISSING_PAGES_MAX = 16 * 1024, // at the end of a healthy file; one transaction makes fewer
    LIST_READ = 128,               // page numbers at a time
};

static const uint32_t lmdb_magic = 0xBEEFC0DE;

typedef ut_lmdb_page_header page_header;
typedef ut_lmdb_tree tree_record;
typedef ut_lmdb_meta meta_record;

_Static_assert(UT_LMDB_META_TXN_AT == UT_LMDB_PAGE_HEADER_LEN + offsetof(meta_record, txn_id),
               "the layout of a meta page");

typedef struct {
    FILE *file;
    const char *path_z;
    ut_fault *fault;
    size_t page_bytes;
    size_t file_pages; // whole pages in the file
    meta_record meta;  // the newer one
    uint8_t *missing;  // a bit for each page behind the end of the file: set when it is free
    size_t missing_count;
    size_t missing_free;
    size_t walked; // pages of the tree of free pages, each of which is there once
} checker;

static ut_err damaged(const checker *c, const char *what_z)
{
    return ut_fault_set(
        c->fault, UT_ECORRUPT,
        "%s is damaged: %s. Restore it from a copy, or move it away to start with an "
        "empty store",
        c->path_z, what_z);
}

// False at the end of the file as well as on an error.
static bool read_at(const checker *c, uint64_t offset, void *out, size_t len)
{
    return offset <= LONG_MAX - len && fseek(c->file, (long)offset, SEEK_SET) == 0 &&
           fread(out, 1, len, c->file) == len;
}

static uint32_t swap32(uint32_t v)
{
    return v >> 24 | (v >> 8 & 0xff00) | (v << 8 & 0xff0000) | v << 24;
}

static ut_err read_meta(const checker *c, uint64_t offset, meta_record *meta)
{
    uint8_t bytes[UT_LMDB_PAGE_HEADER_LEN + sizeof *meta];
    if (!read_at(c, offset, bytes, sizeof bytes)) {
        if (ferror(c->file))
            return ut_fault_set(c->fault, UT_EIO, "%s cannot be read", c->path_z);
        return damaged(c, "it is too short to hold a store");
    }
    page_header header;
    memcpy(&header, bytes, sizeof header);
    memcpy(meta, bytes + UT_LMDB_PAGE_HEADER_LEN, sizeof *meta);
    if (meta->magic == lmdb_magic && (header.flags & UT_LMDB_PAGE_META) != 0)
        return UT_OK;
    // The word size moves the magic number by four bytes, the byte order turns it.
    for (size_t at = 12; at <= 16; at += 4) {
        uint32_t word;
        memcpy(&word, bytes + at, sizeof word);
        if (word == swap32(lmdb_magic) || (word == lmdb_magic && at != UT_LMDB_PAGE_HEADER_LEN))
            return ut_fault_set(c->fault, UT_EVERSION,
                                "%s was written on a machine of another word size or byte order; "
                                "export it there",
                                c->path_z);
    }
    return offset == 0 ? ut_fault_set(c->fault, UT_ECORRUPT,
                                      "%s is not a store of this program, or its beginning is "
                                      "overwritten; move it away or name another data directory",
                                      c->path_z)
                       : damaged(c, "its second page is overwritten");
}

static ut_err check_meta(checker *c, const meta_record *meta)
{
    if (meta->version != UT_LMDB_DATA_VERSION)
        return ut_fault_set(c->fault, UT_EVERSION,
                            "%s has LMDB data version %u; this program reads version %u", c->path_z,
                            (unsigned)meta->version, (unsigned)UT_LMDB_DATA_VERSION);
    size_t page_bytes = meta->free_tree.padding;
    if (page_bytes < PAGE_BYTES_MIN || page_bytes > PAGE_BYTES_MAX ||
        (page_bytes & (page_bytes - 1)) != 0)
        return damaged(c, "its page size is impossible");
    return UT_OK;
}

static ut_err check_root(const checker *c, const tree_record *tree)
{
    if (tree->root == SIZE_MAX)
        return tree->depth == 0 && tree->entries == 0 ? UT_OK : damaged(c, "a tree has no root");
    if (tree->depth == 0 || tree->depth > UT_LMDB_DEPTH_MAX || tree->root < 2 ||
        tree->root > c->meta.last_page)
        return damaged(c, "a tree has an impossible root");
    page_header header;
    if (!read_at(c, (uint64_t)tree->root * c->page_bytes, &header, sizeof header))
        return damaged(c, "it is cut before the root of a tree");
    uint16_t wanted = tree->depth == 1 ? UT_LMDB_PAGE_LEAF : UT_LMDB_PAGE_BRANCH;
    if (header.number != tree->root || (header.flags & wanted) == 0)
        return damaged(c, "the root of a tree is overwritten");
    return UT_OK;
}

static void note_free(checker *c, size_t page)
{
    if (page < c->file_pages || page > c->meta.last_page)
        return;
    size_t bit = page - c->file_pages;
    if ((c->missing[bit / 8] & 1 << bit % 8) == 0) {
        c->missing[bit / 8] |= (uint8_t)(1 << bit % 8);
        c->missing_free += 1;
    }
}

// A list of free pages: its length, then page numbers. offset: in the file.
static bool read_list(checker *c, uint64_t offset, size_t len)
{
    size_t count;
    if (len < sizeof count || !read_at(c, offset, &count, sizeof count) ||
        count > len / sizeof count - 1)
        return false;
    size_t pages[LIST_READ];
    while (count > 0) {
        size_t some = count < LIST_READ ? count : LIST_READ;
        if (fread(pages, sizeof pages[0], some, c->file) != some)
            return false;
        for (size_t i = 0; i < some; i++)
            note_free(c, pages[i]);
        count -= some;
    }
    return true;
}

// Walks the tree of free pages. levels: one page buffer for each level below.
static bool walk_free(checker *c, size_t number, unsigned depth, uint8_t *levels)
{
    uint8_t *page = levels;
    page_header header;
    uint64_t offset = (uint64_t)number * c->page_bytes;
    if (c->walked++ > c->meta.last_page || !read_at(c, offset, page, c->page_bytes))
        return false;
    memcpy(&header, page, sizeof header);
    if (header.number != number ||
        (header.flags & (depth == 1 ? UT_LMDB_PAGE_LEAF : UT_LMDB_PAGE_BRANCH)) == 0 ||
        header.lower < UT_LMDB_PAGE_HEADER_LEN || header.lower > c->page_bytes)
        return false;
    for (size_t at = UT_LMDB_PAGE_HEADER_LEN; at + 2 <= header.lower; at += 2) {
        uint16_t place;
        memcpy(&place, page + at, sizeof place);
        if ((size_t)place + UT_LMDB_NODE_HEADER_LEN > c->page_bytes)
            return false;
        uint32_t low; // a size, or the lower half of a page number
        uint16_t flags;
        uint16_t key_len;
        memcpy(&low, page + place, sizeof low);
        memcpy(&flags, page + place + 4, sizeof flags);
        memcpy(&key_len, page + place + 6, sizeof key_len);
        if (depth > 1) {
            uint64_t child = sizeof(size_t) > 4 ? low | (uint64_t)flags << 32 : low;
            if (child > c->meta.last_page ||
                !walk_free(c, (size_t)child, depth - 1, levels + c->page_bytes))
                return false;
            continue;
        }
        size_t value = (size_t)place + UT_LMDB_NODE_HEADER_LEN + key_len;
        if ((flags & UT_LMDB_NODE_BIG) == 0) {
            if (value + low > c->page_bytes || !read_list(c, offset + value, low))
                return false;
            continue;
        }
        size_t big;
        if (value + sizeof big > c->page_bytes)
            return false;
        memcpy(&big, page + value, sizeof big);
        c->walked += 1 + low / c->page_bytes;
        if (big > c->meta.last_page || c->walked > c->meta.last_page + 1 ||
            !read_list(c, (uint64_t)big * c->page_bytes + UT_LMDB_PAGE_HEADER_LEN, low))
            return false;
    }
    return true;
}

static ut_err check_length(checker *c)
{
    if (c->meta.last_page < c->file_pages)
        return UT_OK;
    c->missing_count = c->meta.last_page + 1 - c->file_pages;
    const tree_record *tree = &c->meta.free_tree;
    bool explained = false;
    if (c->missing_count <= MISSING_PAGES_MAX && tree->root != SIZE_MAX) {
        c->missing = calloc(c->missing_count / 8 + 1, 1);
        uint8_t *levels = malloc(tree->depth * c->page_bytes);
        if (c->missing == NULL || levels == NULL) {
            free(levels);
            return ut_fault_set(c->fault, UT_ENOMEM, "out of memory while %s is checked",
                                c->path_z);
        }
        explained =
            walk_free(c, tree->root, tree->depth, levels) && c->missing_free == c->missing_count;
        free(levels);
    }
    if (explained)
        return UT_OK;
    char what_z[120];
    (void)snprintf(what_z, sizeof what_z, "it is cut, %llu bytes are missing at its end",
                   (unsigned long long)c->missing_count * c->page_bytes); // fits
    return damaged(c, what_z);
}

static ut_err check_once(checker *c)
{
    meta_record metas[2] = {{0}};
    ut_err err = read_meta(c, 0, &metas[0]);
    if (err == UT_OK)
        err = check_meta(c, &metas[0]);
    if (err != UT_OK)
        return err;
    c->page_bytes = metas[0].free_tree.padding;
    err = read_meta(c, c->page_bytes, &metas[1]);
    if (err == UT_OK)
        err = check_meta(c, &metas[1]);
    if (err != UT_OK)
        return err;
    UT_ASSERT(c->page_bytes >= PAGE_BYTES_MIN); // check_meta has seen to it
    c->meta = metas[metas[0].txn_id < metas[1].txn_id];
    if (metas[1].free_tree.padding != c->page_bytes || c->meta.last_page < 1 ||
        c->meta.last_page >= SIZE_MAX / c->page_bytes)
        return damaged(c, "its meta pages make no sense");
    // A budget would be reckoned from them.
    if (ut_lmdb_pages_used(&c->meta.main_tree, &c->meta.free_tree, c->meta.last_page) == SIZE_MAX)
        return damaged(c, "it counts more pages in use than it has");

    if (fseek(c->file, 0, SEEK_END) != 0)
        return ut_fault_set(c->fault, UT_EIO, "%s cannot be read", c->path_z);
    long file_bytes = ftell(c->file);
    if (file_bytes < 0)
        return ut_fault_set(c->fault, UT_EIO, "the size of %s cannot be read", c->path_z);
    c->file_pages = (size_t)file_bytes / c->page_bytes;
    err = check_root(c, &c->meta.free_tree);
    if (err == UT_OK)
        err = check_root(c, &c->meta.main_tree);
    if (err == UT_OK)
        err = check_length(c);
    free(c->missing);
    return err;
}

ut_err ut_lmdb_file_check(const char *path_z, ut_fault *fault)
{
    int fd = -1;
    ut_err err = ut_plain_file_open(path_z, O_RDONLY, 0, &fd, fault);
    if (err != UT_OK)
        return err;
    FILE *file = fdopen(fd, "rb");
    if (file == NULL) {
        (void)close(fd); // read only
        return ut_fault_set(fault, UT_ENOMEM, "out of memory while %s is checked", path_z);
    }
    // Reads are small and far apart, and a writer may be at work: no stale buffer.
    (void)setvbuf(file, NULL, _IONBF, 0); // at worst the buffer stays
    for (unsigned i = 0; i < CHECKS_MAX; i++) {
        checker c = {.file = file, .path_z = path_z, .fault = fault};
        clearerr(file);
        if (fseek(file, 0, SEEK_END) == 0 && ftell(file) == 0) {
            // A new store gets its name when it is whole, so this was one.
            err = damaged(&c, "nothing is in it");
            break;
        }
        err = check_once(&c);
        if (err == UT_OK)
            break;
    }
    (void)fclose(file); // it was only read
    return err;
}
