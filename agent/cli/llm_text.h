// What was said to a language model and back, what tools were called and gave, and what was found
// for it, in the spellings that are about: OpenTelemetry gen_ai old and new, in attributes and
// events, OpenLLMetry, OpenInference, the Vercel AI SDK, LangSmith, Untrace, flujo. Each text once,
// where it is said in several of them. For showing only; numbers and names are in
// storage/span/llm.h.
#ifndef UT_AGENT_CLI_LLM_TEXT_H
#define UT_AGENT_CLI_LLM_TEXT_H

#include "storage/span/span.h"

// label: who said it ("user", "system", "answer" for what the model said now), or what it is
// ("calls", "result", "document", "prompt" where nobody is named). Both are borrowed for the call.
typedef void (*ut_llm_text_visit)(void *context, ut_bytes label, ut_bytes text);

// Visits what a span says, in its order: tools, what went in, what came out.
void ut_llm_texts(ut_bytes attributes, ut_bytes events, ut_llm_text_visit visit, void *context);

#endif
