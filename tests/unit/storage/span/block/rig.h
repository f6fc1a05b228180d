// Blocks made by hand, and walks over them. Only for the tests of this folder; what fails ends the
// test.
#ifndef UT_TESTS_BLOCK_RIG_H
#define UT_TESTS_BLOCK_RIG_H

#include "storage/span/block.h"
#include "tests/support/random_span.h"

// The bytes of the smallest resource, scope and span.
#define RESOURCE "\x95\x80\x00\xa0\xc4\x00\xc4\x00"
#define SCOPE    "\x92\x00\x97\xa1s\xa0\x80\x00\xa0\xc4\x00\xc4\x00"
#define SPAN                   \
    "\x9c\xc4\x10"             \
    "0123456789abcdef\xc4\x08" \
    "01234567\xc4\x00\xa1n\x01\x02\x03\x00\x80\x90\x90\x80"

enum { UT_RIG_BYTES_MAX = 1 << 28, UT_RIG_HOUR = 490000 };

static const uint64_t received_ns = UINT64_C(1760000000000000000);

void ut_rig_check(ut_err err); // fails the test unless UT_OK

// Moves bytes into memory that ends exactly where they do, so that the address sanitizer sees a
// read behind it. Returns that memory, to be freed.
uint8_t *ut_rig_move_to_exact(ut_bytes *bytes);

// Makes the checksum of a changed block right again.
void ut_rig_fix_checksum(uint8_t *sealed, size_t len);
void ut_rig_add_all(ut_block_builder *builder, const ut_batch *batch);

// Walks all of a block as a reader would. Returns the first error; every byte that it gives is
// touched.
ut_err ut_rig_walk(const ut_block *block, uint32_t *spans);

uint32_t ut_rig_add_resource(ut_batch *batch, const char *service_z);
uint32_t ut_rig_add_scope(ut_batch *batch, uint32_t resource, const char *name_z);
void ut_rig_add_span(ut_batch *batch, uint32_t scope, ut_bytes name);

// One batch, a builder and two buffers, made for a test.
typedef struct {
    ut_batch batch;
    ut_block_builder *builder;
    ut_buf sealed;
    ut_buf payload;
    ut_block block;
} ut_rig;

void ut_rig_init(ut_rig *rig, uint32_t spans_max);
void ut_rig_free(ut_rig *rig);
void ut_rig_seal_and_open(ut_rig *rig);

// Seals raw bytes as a stored payload.
void ut_rig_seal_raw(ut_buf *sealed, ut_bytes payload, uint16_t span_count);

// A small block of each codec, for tests that damage it.
void ut_rig_small_block(ut_rig *rig, bool compressed);

#endif
