// The pages of an LMDB data file, as bytes: their layout, and whether one of them makes sense by
// itself. LMDB follows a page blindly, so pages are checked here before LMDB changes them. Not for
// finding pages: lmdb_file.c and engine_lmdb_trust.c do that.
//
// The layout follows the structures MDB_page, MDB_meta, MDB_db and MDB_node of LMDB 0.9 (mdb.c),
// which are in the byte order and word size of the machine that wrote them.
#ifndef UT_STORAGE_LMDB_LMDB_PAGE_H
#define UT_STORAGE_LMDB_LMDB_PAGE_H

#include "port/base/bytes.h"

enum {
    UT_LMDB_PAGE_BRANCH = 0x01,
    UT_LMDB_PAGE_LEAF = 0x02,
    UT_LMDB_PAGE_OVERFLOW = 0x04,
    UT_LMDB_PAGE_META = 0x08,
    UT_LMDB_NODE_BIG = 0x01, // the value stands in overflow pages
    UT_LMDB_NODE_HEADER_LEN = 8,
    UT_LMDB_KEY_MAX = 511,
    UT_LMDB_DEPTH_MAX = 32, // LMDB's CURSOR_STACK
};

// LMDB's page header on this machine: page number, padding, flags, and a word of counts.
enum { UT_LMDB_PAGE_HEADER_LEN = sizeof(size_t) + 8 };

typedef struct {
    size_t number;
    uint16_t padding;
    uint16_t flags;
    uint16_t lower; // overflow pages: with upper, the number of pages
    uint16_t upper;
} ut_lmdb_page_header;

typedef struct {
    uint32_t padding; // of the first tree: the size of a page
    uint16_t flags;
    uint16_t depth;
    size_t branch_pages;
    size_t leaf_pages;
    size_t overflow_pages;
    size_t entries;
    size_t root; // SIZE_MAX: the tree is empty
} ut_lmdb_tree;

typedef struct {
    uint32_t magic;
    uint32_t version;
    void *address;
    size_t map_bytes;
    ut_lmdb_tree free_tree;
    ut_lmdb_tree main_tree;
    size_t last_page;
    size_t txn_id;
} ut_lmdb_meta;

// The pages that the counts of both trees and the meta pages make; SIZE_MAX when one of them is
// more than the file has, as only a damaged one is.
static inline size_t ut_lmdb_pages_used(const ut_lmdb_tree *main_tree,
                                        const ut_lmdb_tree *free_tree, size_t last_page)
{
    const size_t counts[] = {main_tree->branch_pages,   main_tree->leaf_pages,
                             main_tree->overflow_pages, free_tree->branch_pages,
                             free_tree->leaf_pages,     free_tree->overflow_pages};
    size_t used = 2;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (used > last_page + 1 || counts[i] > last_page + 1 - used)
            return SIZE_MAX;
        used += counts[i];
    }
    return used;
}

// A node of a page that was checked.
typedef struct {
    ut_bytes key;
    size_t child;     // of a branch page; of a leaf: the first overflow page, 0: none
    size_t value_len; // of a leaf
    const uint8_t *value;
} ut_lmdb_node;

// True when page can be the one that stands at number: of its kind (leaf: the lowest level), all
// its nodes within it and side by side, its keys rising (numbers: as machine words), the pages that
// it points to within the file. scratch: page_bytes, aligned for uint16_t.
bool ut_lmdb_page_check(const uint8_t *page, size_t page_bytes, size_t number, size_t last_page,
                        bool leaf, bool numbers, uint16_t *scratch);

// The first page of a value of value_len bytes that stands in overflow pages. There may be more of
// them than it needs: a value that is replaced by a shorter one in its transaction keeps its pages.
bool ut_lmdb_overflow_check(const uint8_t *page, size_t page_bytes, size_t number, size_t last_page,
                            size_t value_len);

static inline ut_lmdb_page_header ut_lmdb_page_head(const uint8_t *page)
{
    ut_lmdb_page_header header;
    memcpy(&header, page, sizeof header);
    return header;
}
// Only of a page that was checked.
static inline unsigned ut_lmdb_page_count(const uint8_t *page)
{
    return (unsigned)(ut_lmdb_page_head(page).lower - UT_LMDB_PAGE_HEADER_LEN) / 2;
}
ut_lmdb_node ut_lmdb_page_node(const uint8_t *page, unsigned index, bool leaf);

#endif
