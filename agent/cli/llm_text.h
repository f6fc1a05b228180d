// Prompts and answers of language models, in the spellings that are about
// (OpenTelemetry gen_ai old and new, OpenInference, OpenLLMetry, Untrace, flujo's agent.prompt).
// For showing only; numbers and names are in storage/span/llm.h.
#ifndef UT_AGENT_CLI_LLM_TEXT_H
#define UT_AGENT_CLI_LLM_TEXT_H

#include "storage/span/span.h"

// label_z: "prompt", "answer", "system". value: raw MessagePack, borrowed.
typedef void (*ut_llm_text_visit)(void *context, const char *label_z, ut_bytes value);

// Visits the texts in the attributes of a span, then those in its events.
void ut_llm_texts(ut_bytes attributes, ut_bytes events, ut_llm_text_visit visit, void *context);

#endif
