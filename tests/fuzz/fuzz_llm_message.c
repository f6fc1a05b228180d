// Fuzzes messages of language models: whatever the JSON is, texts come out, or nothing.
#include "adapters/plain/llm_message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(void *context, ut_bytes role, ut_bytes text)
{
    uint32_t *visited = context;
    UT_ASSERT(role.len > 0 && text.len > 0);
    ++*visited;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t visited = 0;
    if (size == 0)
        return 0;
    const bool known =
        ut_llm_messages(ut_bytes_of(data, size), UT_BYTES_LIT("user"), check, &visited);
    UT_ASSERT(known == (visited > 0));
    return 0;
}
