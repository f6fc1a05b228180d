// From a batch to blocks to the bytes of a request, as the agent does on the way out, for tests of
// adapters.
#ifndef UT_TESTS_SUPPORT_OTLP_BLOCKS_H
#define UT_TESTS_SUPPORT_OTLP_BLOCKS_H

#include "adapters/otlp/otlp.h"

// Builds, seals and opens one block of the spans with index from <= n < to; as many as fit. Returns
// the index behind the last one. Stops the program when that fails. payload must live as long as
// block.
uint32_t ut_make_block(const ut_batch *batch, uint32_t from, uint32_t to, ut_buf *payload,
                       ut_block *block);

// Appends one request with all spans of batch, over as many blocks as it takes. Stops the program
// on an error.
void ut_encode_batch(const ut_batch *batch, const ut_otlp_encoder *encoder, ut_buf *out);

#endif
