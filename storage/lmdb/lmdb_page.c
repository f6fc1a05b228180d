// Whether a page makes sense; see lmdb_page.h.
#include "storage/lmdb/lmdb_page.h"

static uint16_t word_at(const uint8_t *at)
{
    uint16_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

ut_lmdb_node ut_lmdb_page_node(const uint8_t *page, unsigned index, bool leaf)
{
    const uint8_t *at = page + word_at(page + UT_LMDB_PAGE_HEADER_LEN + 2 * (size_t)index);
    uint32_t low; // a size, or the lower half of a page number
    memcpy(&low, at, sizeof low);
    uint16_t flags = word_at(at + 4);
    ut_lmdb_node node = {.key = {at + UT_LMDB_NODE_HEADER_LEN, word_at(at + 6)}};
    if (!leaf) {
        node.child = (size_t)(sizeof(size_t) > 4 ? low | (uint64_t)flags << 32 : low);
        return node;
    }
    node.value_len = low;
    node.value = node.key.data + node.key.len;
    if ((flags & UT_LMDB_NODE_BIG) != 0)
        memcpy(&node.child, node.value, sizeof node.child);
    return node;
}

static bool rises(ut_bytes before, ut_bytes key, bool numbers)
{
    if (numbers) {
        size_t a;
        size_t b;
        memcpy(&a, before.data, sizeof a);
        memcpy(&b, key.data, sizeof b);
        return a < b;
    }
    return ut_bytes_compare(before, key) < 0;
}

// Returns the bytes that the node at `place` takes; 0: it does not fit the page.
static size_t measure(const uint8_t *page, size_t page_bytes, size_t place, size_t last_page,
                      bool leaf)
{
    if (place % 2 != 0 || place + UT_LMDB_NODE_HEADER_LEN > page_bytes)
        return 0;
    uint16_t flags = word_at(page + place + 4);
    size_t room = page_bytes - place - UT_LMDB_NODE_HEADER_LEN;
    size_t key_len = word_at(page + place + 6);
    if (key_len > UT_LMDB_KEY_MAX || key_len > room)
        return 0;
    size_t len = UT_LMDB_NODE_HEADER_LEN + key_len;
    if (!leaf) {
        uint32_t low;
        memcpy(&low, page + place, sizeof low);
        uint64_t child = sizeof(size_t) > 4 ? low | (uint64_t)flags << 32 : low;
        return child < 2 || child > last_page ? 0 : (len + 1) & ~(size_t)1;
    }
    uint32_t value_len;
    memcpy(&value_len, page + place, sizeof value_len);
    bool big = (flags & UT_LMDB_NODE_BIG) != 0;
    size_t here = big ? sizeof(size_t) : value_len;
    if ((flags & ~UT_LMDB_NODE_BIG) != 0 || here > room - key_len)
        return 0;
    if (big) {
        size_t first;
        memcpy(&first, page + place + len, sizeof first);
        if (first < 2 || first > last_page)
            return 0;
    }
    return (len + here + 1) & ~(size_t)1;
}

bool ut_lmdb_page_check(const uint8_t *page, size_t page_bytes, size_t number, size_t last_page,
                        bool leaf, bool numbers, uint16_t *scratch)
{
    ut_lmdb_page_header header = ut_lmdb_page_head(page);
    if (header.number != number ||
        header.flags != (leaf ? UT_LMDB_PAGE_LEAF : UT_LMDB_PAGE_BRANCH) ||
        header.lower < UT_LMDB_PAGE_HEADER_LEN || header.lower % 2 != 0 ||
        header.upper < header.lower || header.upper > page_bytes)
        return false;
    unsigned count = (unsigned)(header.lower - UT_LMDB_PAGE_HEADER_LEN) / 2;
    if (count < (leaf ? 1 : 2))
        return false;
    memset(scratch, 0, page_bytes);
    ut_bytes before = {NULL, 0};
    for (unsigned i = 0; i < count; i++) {
        size_t place = word_at(page + UT_LMDB_PAGE_HEADER_LEN + 2 * (size_t)i);
        size_t len = place < header.upper ? 0 : measure(page, page_bytes, place, last_page, leaf);
        if (len == 0 || len > page_bytes - place)
            return false;
        scratch[place / 2] = (uint16_t)len;
        ut_lmdb_node node = ut_lmdb_page_node(page, i, leaf);
        // The first key of a branch page may be empty: it stands for all that is lower.
        bool lowest = !leaf && i == 0;
        if (!lowest && (node.key.len == 0 || (numbers && node.key.len != sizeof(size_t))))
            return false;
        if (before.data != NULL && !rises(before, node.key, numbers))
            return false;
        before = lowest ? (ut_bytes){NULL, 0} : node.key;
    }
    // The nodes stand side by side up to the end of the page, in any order.
    size_t at = header.upper;
    for (unsigned i = 0; i < count; i++) {
        if (at >= page_bytes || scratch[at / 2] == 0)
            return false;
        at += scratch[at / 2];
    }
    return at == page_bytes;
}

bool ut_lmdb_overflow_check(const uint8_t *page, size_t page_bytes, size_t number, size_t last_page,
                            size_t value_len)
{
    ut_lmdb_page_header header = ut_lmdb_page_head(page);
    uint32_t pages;
    memcpy(&pages, page + UT_LMDB_PAGE_HEADER_LEN - 4, sizeof pages);
    return header.number == number && header.flags == UT_LMDB_PAGE_OVERFLOW && pages >= 1 &&
           pages - 1 <= last_page - number &&
           pages >= (value_len + UT_LMDB_PAGE_HEADER_LEN + page_bytes - 1) / page_bytes;
}
