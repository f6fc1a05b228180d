// Looks at the pages that LMDB is about to change; see engine_lmdb_trust.h.
//
// The path to a key is followed in the state that the transaction began with: the pages that the
// transaction has written since were made of pages that were looked at before.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_trust.h"

#include "storage/lmdb/lmdb_page.h"

#include <stdlib.h>
#include <sys/mman.h>

#include <lmdb.h>

#if MDB_VERSION_FULL != MDB_VERINT(0, 9, 31)
#error "another LMDB: compare the functions of mdb.c that engine_lmdb_trust.h names"
#endif

enum {
    WALK_LEAVES = 32,  // looked at ahead in each transaction
    WALK_KEY_MAX = 64, // the look ahead ends at a longer key
    HEAD_PAGES = 2,    // the meta pages
};

struct ut_lmdb_trust {
    const uint8_t *map;
    size_t map_bytes;
    size_t page_bytes;
    size_t first_own;  // pages from here on were written by this process
    size_t last_page;  // of the state that the transaction began with
    size_t list_pages; // looked at for the lists of free pages; each is there once
    ut_lmdb_tree tree;
    uint8_t *good; // a bit for each page below first_own
    uint16_t *scratch;
    bool lists_good;            // the lists of free pages were looked at
    bool all_good;              // and so was each other page
    bool walk_bad;              // a page was found that is not good
    uint8_t walk[WALK_KEY_MAX]; // the look ahead goes on here
    size_t walk_len;
};

ut_lmdb_trust *ut_lmdb_trust_new(int fd, size_t page_bytes, size_t map_bytes)
{
    ut_lmdb_trust *trust = calloc(1, sizeof *trust);
    if (trust == NULL)
        return NULL;
    void *map = mmap(NULL, map_bytes, PROT_READ, MAP_SHARED, fd, 0);
    trust->map = map == MAP_FAILED ? NULL : map;
    trust->map_bytes = map_bytes;
    trust->page_bytes = page_bytes;
    trust->scratch = malloc(page_bytes);
    if (trust->map == NULL || trust->scratch == NULL) {
        ut_lmdb_trust_free(trust);
        return NULL;
    }
    return trust;
}

void ut_lmdb_trust_free(ut_lmdb_trust *trust)
{
    if (trust == NULL)
        return;
    union {
        const uint8_t *in;
        void *out;
    } map = {.in = trust->map};
    if (trust->map != NULL)
        (void)munmap(map.out, trust->map_bytes); // was mapped
    free(trust->good);
    free(trust->scratch);
    free(trust);
}

static const uint8_t *page_at(const ut_lmdb_trust *trust, size_t number)
{
    return trust->map + number * trust->page_bytes;
}

static bool overflow_good(const ut_lmdb_trust *trust, const uint8_t *page)
{
    for (unsigned i = 0; i < ut_lmdb_page_count(page); i++) {
        ut_lmdb_node node = ut_lmdb_page_node(page, i, true);
        if (node.child != 0 &&
            !ut_lmdb_overflow_check(page_at(trust, node.child), trust->page_bytes, node.child,
                                    trust->last_page, node.value_len))
            return false;
    }
    return true;
}

// Returns the page when it is good; NULL otherwise.
static const uint8_t *look(ut_lmdb_trust *trust, size_t number, bool leaf, bool numbers)
{
    if (number < HEAD_PAGES || number > trust->last_page ||
        number >= trust->map_bytes / trust->page_bytes)
        return NULL;
    const uint8_t *page = page_at(trust, number);
    uint16_t kind = ut_lmdb_page_head(page).flags;
    if ((kind & UT_LMDB_PAGE_LEAF) != (leaf ? UT_LMDB_PAGE_LEAF : 0))
        return NULL; // at another depth than the tree says
    if (number >= trust->first_own || (trust->good[number / 8] & 1 << number % 8) != 0)
        return page;
    if (!ut_lmdb_page_check(page, trust->page_bytes, number, trust->last_page, leaf, numbers,
                            trust->scratch) ||
        (leaf && !overflow_good(trust, page)))
        return NULL;
    trust->good[number / 8] |= (uint8_t)(1 << number % 8);
    return page;
}

// Returns the child that holds key: the last one whose key is not above it.
static unsigned find_child(const uint8_t *page, ut_bytes key)
{
    unsigned low = 0;
    unsigned high = ut_lmdb_page_count(page);
    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;
        if (ut_bytes_compare(ut_lmdb_page_node(page, middle, false).key, key) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

// Looks at the pages down to the lowest leaf below a branch page: LMDB takes a key from there when
// it moves nodes between branch pages.
static bool lowest_good(ut_lmdb_trust *trust, size_t number, unsigned level)
{
    for (; level > 1; level--) {
        const uint8_t *page = look(trust, number, false, false);
        if (page == NULL)
            return false;
        number = ut_lmdb_page_node(page, 0, false).child;
    }
    return look(trust, number, true, false) != NULL;
}

// Looks at the neighbours that a removal may change. A page that it leaves nearly empty takes nodes
// from a neighbour, or is merged with it when that is nearly empty too; then the next one is the
// neighbour. Removals do not come past a second page that is half full: before, the page that they
// are made from has no nodes left.
static bool neighbours_good(ut_lmdb_trust *trust, const uint8_t *parent, unsigned at,
                            unsigned level)
{
    unsigned count = ut_lmdb_page_count(parent);
    for (int side = -1; side <= 1; side += 2) {
        unsigned half_full = 0;
        for (unsigned i = at; half_full < 2 && (side < 0 ? i > 0 : i + 1 < count);) {
            i = side < 0 ? i - 1 : i + 1;
            size_t number = ut_lmdb_page_node(parent, i, false).child;
            if (!lowest_good(trust, number, level))
                return false;
            ut_lmdb_page_header header = ut_lmdb_page_head(page_at(trust, number));
            half_full += (size_t)(header.upper - header.lower) < trust->page_bytes / 2;
        }
    }
    return true;
}

// Looks at the path to key and (removal) at the neighbours that LMDB would merge with. *high: the
// first key behind the leaf that holds key (empty: it is the last leaf); set also when the leaf is
// bad.
static bool follow(ut_lmdb_trust *trust, ut_bytes key, bool removal, ut_bytes *high)
{
    *high = (ut_bytes){NULL, 0};
    size_t number = trust->tree.root;
    if (number == SIZE_MAX)
        return true; // empty: nothing is changed
    bool good = true;
    for (unsigned level = trust->tree.depth; level > 1; level--) {
        const uint8_t *page = look(trust, number, false, false);
        if (page == NULL)
            return false;
        const unsigned at = find_child(page, key);
        if (at + 1 < ut_lmdb_page_count(page))
            *high = ut_lmdb_page_node(page, at + 1, false).key;
        good = good && (!removal || neighbours_good(trust, page, at, level - 1));
        number = ut_lmdb_page_node(page, at, false).child;
    }
    return look(trust, number, true, false) != NULL && good;
}

bool ut_lmdb_trust_all(const ut_lmdb_trust *trust)
{
    return trust->all_good;
}

bool ut_lmdb_trust_key(ut_lmdb_trust *trust, ut_bytes key, bool removal)
{
    if (trust->all_good || key.len == 0)
        return true;
    ut_bytes high;
    return follow(trust, key, removal, &high);
}

// The leaf that holds key, when follow has said that its path is good.
static const uint8_t *leaf_of(const ut_lmdb_trust *trust, ut_bytes key)
{
    size_t number = trust->tree.root;
    for (unsigned level = trust->tree.depth; level > 1; level--) {
        const uint8_t *page = page_at(trust, number);
        number = ut_lmdb_page_node(page, find_child(page, key), false).child;
    }
    return page_at(trust, number);
}

bool ut_lmdb_trust_walk(ut_lmdb_trust *trust, ut_bytes key, bool reverse)
{
    if (trust->all_good || key.len == 0 || trust->tree.root == SIZE_MAX)
        return true;
    ut_bytes high;
    if (!follow(trust, key, false, &high))
        return false;
    const uint8_t *leaf = leaf_of(trust, key);
    const unsigned count = ut_lmdb_page_count(leaf);
    const bool before =
        count > 0 && ut_bytes_compare(ut_lmdb_page_node(leaf, 0, true).key, key) < 0;
    const bool behind_key =
        count > 0 && ut_bytes_compare(ut_lmdb_page_node(leaf, count - 1, true).key, key) > 0;
    if (behind_key && (before || !reverse))
        return true; // the way stays in the leaf
    if (reverse)
        return follow(trust, key, true, &high); // both neighbours: a seek comes from behind
    ut_bytes behind;
    return high.len == 0 || follow(trust, high, false, &behind);
}

// ---- the lists of free pages ----

// Checks a list: its length, then page numbers that fall.
static bool list_good(const ut_lmdb_trust *trust, const uint8_t *list, size_t len)
{
    size_t count;
    if (len < sizeof count)
        return false;
    memcpy(&count, list, sizeof count);
    if (count > len / sizeof count - 1)
        return false;
    size_t before = trust->last_page + 1;
    for (size_t i = 1; i <= count; i++) {
        size_t number;
        memcpy(&number, list + i * sizeof number, sizeof number);
        if (number < HEAD_PAGES || number >= before)
            return false;
        before = number;
    }
    return true;
}

// Counts pages of lists. False: they are more than the file has, so several places lead to the same
// ones, and following them all would take for ever.
static bool count_pages(ut_lmdb_trust *trust, size_t pages)
{
    if (pages > trust->last_page - trust->list_pages)
        return false;
    trust->list_pages += pages;
    return true;
}

static bool lists_good(ut_lmdb_trust *trust, size_t number, unsigned level)
{
    const uint8_t *page = count_pages(trust, 1) ? look(trust, number, level == 1, true) : NULL;
    if (page == NULL)
        return false;
    for (unsigned i = 0; i < ut_lmdb_page_count(page); i++) {
        ut_lmdb_node node = ut_lmdb_page_node(page, i, level == 1);
        if (level > 1) {
            if (!lists_good(trust, node.child, level - 1))
                return false;
            continue;
        }
        if (node.child != 0 && !count_pages(trust, 1 + node.value_len / trust->page_bytes))
            return false;
        const uint8_t *list =
            node.child != 0 ? page_at(trust, node.child) + UT_LMDB_PAGE_HEADER_LEN : node.value;
        if (!list_good(trust, list, node.value_len))
            return false;
    }
    return true;
}

// ---- a transaction ----

// Looks at the next leaves. A bad page is met again when a transaction wants to change it.
static void walk_on(ut_lmdb_trust *trust)
{
    for (unsigned i = 0; i < WALK_LEAVES; i++) {
        ut_bytes high;
        ut_bytes key = {trust->walk, trust->walk_len};
        trust->walk_bad = !follow(trust, key, true, &high) || trust->walk_bad;
        if (high.len == 0) {
            trust->all_good = !trust->walk_bad;
            return;
        }
        if (high.len > WALK_KEY_MAX || ut_bytes_compare(high, key) <= 0) {
            trust->walk_bad = true;
            return;
        }
        memcpy(trust->walk, high.data, high.len);
        trust->walk_len = high.len;
    }
}

bool ut_lmdb_trust_begin(ut_lmdb_trust *trust, size_t txn_id)
{
    if (trust->all_good)
        return true;
    ut_lmdb_meta meta;
    memcpy(&meta, page_at(trust, txn_id & 1) + UT_LMDB_PAGE_HEADER_LEN, sizeof meta);
    if (meta.last_page < 1 || meta.last_page >= trust->map_bytes / trust->page_bytes ||
        meta.main_tree.depth > UT_LMDB_DEPTH_MAX || meta.free_tree.depth > UT_LMDB_DEPTH_MAX)
        return false;
    trust->last_page = meta.last_page;
    trust->tree = meta.main_tree;
    if (trust->good == NULL) {
        trust->good = calloc(meta.last_page / 8 + 1, 1);
        if (trust->good == NULL)
            return false;
        trust->first_own = meta.last_page + 1;
    }
    trust->list_pages = 0;
    if (!trust->lists_good && meta.free_tree.root != SIZE_MAX &&
        !lists_good(trust, meta.free_tree.root, meta.free_tree.depth))
        return false;
    trust->lists_good = true;
    if (!trust->walk_bad)
        walk_on(trust);
    return true;
}
