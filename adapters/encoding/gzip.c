// gzip on whole buffers; see gzip.h. The envelope (RFC 1952) is read here, so that a fault can say
// what is wrong with it; libdeflate expands the stream inside.
#include "adapters/encoding/gzip.h"

#include <libdeflate.h>
#include <stdlib.h>

enum {
    LEVEL_MAX = 9,
    MEMBER_HEAD_LEN = 10, // without the optional fields
    MEMBER_TAIL_LEN = 8,  // CRC-32, size modulo 2^32
    METHOD_DEFLATE = 8,
    FLAG_HEAD_CRC = 0x02,
    FLAG_EXTRA = 0x04,
    FLAG_NAME = 0x08,
    FLAG_COMMENT = 0x10,
    FLAGS_RESERVED = 0xe0,
    GUESS_MIN = 256,
    EXPANSION_MAX = 1032, // deflate cannot expand more than this
};

struct ut_gzip {
    struct libdeflate_compressor *compressor; // NULL until used
    struct libdeflate_decompressor *expander; // NULL until used
    int level;                                // of the compressor
};

ut_gzip *ut_gzip_new(void)
{
    return calloc(1, sizeof(ut_gzip));
}

void ut_gzip_free(ut_gzip *gzip)
{
    if (gzip == NULL)
        return;
    libdeflate_free_compressor(gzip->compressor);
    libdeflate_free_decompressor(gzip->expander);
    free(gzip);
}

ut_err ut_gzip_compress(ut_gzip *gzip, ut_bytes in, int level, ut_buf *out)
{
    UT_ASSERT(level >= 1 && level <= LEVEL_MAX);
    if (gzip->compressor != NULL && gzip->level != level) {
        libdeflate_free_compressor(gzip->compressor);
        gzip->compressor = NULL;
    }
    if (gzip->compressor == NULL) {
        gzip->compressor = libdeflate_alloc_compressor(level);
        gzip->level = level;
    }
    if (gzip->compressor == NULL)
        return UT_ENOMEM;
    if (out->err != UT_OK)
        return out->err;
    // Room for the worst case, unless the ceiling is lower: then it may still fit.
    size_t room = libdeflate_gzip_compress_bound(gzip->compressor, in.len);
    if (room > out->max - out->len)
        room = out->max - out->len;
    uint8_t *at = ut_buf_reserve(out, room);
    if (at == NULL)
        return out->err;
    size_t len = libdeflate_gzip_compress(gzip->compressor, in.data, in.len, at, room);
    if (len == 0)
        return UT_ELIMIT;
    out->len += len;
    return UT_OK;
}

// ---- expansion ----

static ut_err bad_member(ut_fault *fault, size_t at, const char *why_z)
{
    return ut_fault_set(fault, UT_EFORMAT, "not valid gzip: %s at byte %zu", why_z, at);
}

// Passes a text that ends in NUL. False when it does not.
static bool skip_text(ut_bytes in, size_t *at)
{
    while (*at < in.len) {
        if (in.data[(*at)++] == 0)
            return true;
    }
    return false;
}

// Passes the head of the member that begins at *at.
static ut_err skip_head(ut_bytes in, size_t *at, ut_fault *fault)
{
    size_t begin = *at;
    if (in.len - begin < 2 || in.data[begin] != 0x1f || in.data[begin + 1] != 0x8b)
        return bad_member(fault, begin,
                          begin == 0 ? "no gzip header" : "bytes behind the last member");
    if (in.len - begin < MEMBER_HEAD_LEN)
        return bad_member(fault, begin, "the header is cut off");
    if (in.data[begin + 2] != METHOD_DEFLATE)
        return bad_member(fault, begin + 2, "unknown compression method");
    uint8_t flags = in.data[begin + 3];
    if ((flags & FLAGS_RESERVED) != 0)
        return bad_member(fault, begin + 3, "reserved flags are set");
    size_t next = begin + MEMBER_HEAD_LEN;
    bool whole = true;
    if ((flags & FLAG_EXTRA) != 0) {
        whole = in.len - next >= 2;
        size_t len = whole ? 2 + (in.data[next] | (size_t)in.data[next + 1] << 8) : 0;
        whole = whole && in.len - next >= len;
        next += whole ? len : 0;
    }
    if (whole && (flags & FLAG_NAME) != 0)
        whole = skip_text(in, &next);
    if (whole && (flags & FLAG_COMMENT) != 0)
        whole = skip_text(in, &next);
    if (whole && (flags & FLAG_HEAD_CRC) != 0) {
        whole = in.len - next >= 2;
        next += whole ? 2 : 0;
    }
    if (!whole)
        return bad_member(fault, begin, "the header is cut off");
    *at = next;
    return UT_OK;
}

// A first guess of the size after expansion: the last four bytes of the data, which hold it, as far
// as deflate can expand the data to that.
static size_t first_guess(ut_bytes in, size_t at)
{
    size_t left = in.len - at;
    size_t possible = left < SIZE_MAX / EXPANSION_MAX ? left * EXPANSION_MAX : SIZE_MAX;
    size_t said = in.len >= 4 ? ut_get_le32(in.data + in.len - 4) : 0;
    size_t guess = said < possible ? said : possible;
    return guess < GUESS_MIN ? GUESS_MIN : guess;
}

// Expands the deflate stream at *at and passes it. *len: bytes appended to out.
static ut_err expand_stream(ut_gzip *gzip, ut_bytes in, size_t *at, ut_buf *out, size_t *len,
                            ut_fault *fault)
{
    size_t room = first_guess(in, *at);
    for (;;) {
        size_t room_max = out->max - out->len;
        if (room > room_max)
            room = room_max;
        uint8_t *to = ut_buf_reserve(out, room);
        if (to == NULL)
            return ut_fault_set(fault, UT_ENOMEM, "no memory to expand gzip to %zu bytes", room);
        room = out->cap - out->len; // all there is
        size_t taken;
        enum libdeflate_result result = libdeflate_deflate_decompress_ex(
            gzip->expander, in.data + *at, in.len - *at, to, room, &taken, len);
        if (result == LIBDEFLATE_SUCCESS) {
            *at += taken;
            out->len += *len;
            return UT_OK;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE)
            return bad_member(fault, *at, "the compressed data is damaged or cut off");
        if (room == room_max)
            return ut_fault_set(fault, UT_ELIMIT,
                                "gzip of %zu bytes would expand beyond the limit of %zu bytes",
                                in.len, out->max);
        room = room < room_max / 2 ? room * 2 : room_max;
    }
}

static ut_err expand_member(ut_gzip *gzip, ut_bytes in, size_t *at, ut_buf *out, ut_fault *fault)
{
    size_t len = 0;
    ut_err err = skip_head(in, at, fault);
    if (err == UT_OK)
        err = expand_stream(gzip, in, at, out, &len, fault);
    if (err != UT_OK)
        return err;
    if (in.len - *at < MEMBER_TAIL_LEN)
        return bad_member(fault, *at, "the checksum is cut off");
    const uint8_t *data = out->data + out->len - len;
    if (libdeflate_crc32(0, data, len) != ut_get_le32(in.data + *at))
        return bad_member(fault, *at, "the checksum is wrong");
    if ((uint32_t)(len & UINT32_MAX) != ut_get_le32(in.data + *at + 4))
        return bad_member(fault, *at + 4, "the size is wrong");
    *at += MEMBER_TAIL_LEN;
    return UT_OK;
}

// Whether nothing but zeros stands behind the last member, with which tools fill a file up to a
// block, and which gzip passes.
static bool only_zeros_follow(ut_bytes in, size_t at)
{
    while (at < in.len && in.data[at] == 0)
        at++;
    return at == in.len;
}

ut_err ut_gzip_expand(ut_gzip *gzip, ut_bytes in, ut_buf *out, ut_fault *fault)
{
    if (gzip->expander == NULL)
        gzip->expander = libdeflate_alloc_decompressor();
    if (gzip->expander == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "no memory to expand gzip");
    if (out->err != UT_OK)
        return out->err;
    size_t at = 0;
    do {
        ut_err err = expand_member(gzip, in, &at, out, fault);
        if (err != UT_OK)
            return err;
    } while (!only_zeros_follow(in, at));
    return UT_OK;
}

const char *ut_gzip_version(void)
{
    return LIBDEFLATE_VERSION_STRING;
}
