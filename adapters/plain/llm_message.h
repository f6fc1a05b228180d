// Messages of language models in JSON, as the conventions and the providers write them:
// OpenTelemetry gen_ai (role and parts), OpenAI (content and tool_calls), Anthropic (content
// blocks), the Vercel AI SDK, LangChain. Not for the attributes that hold them (llm_text.h).
#ifndef UT_ADAPTERS_PLAIN_LLM_MESSAGE_H
#define UT_ADAPTERS_PLAIN_LLM_MESSAGE_H

#include "port/base/buf.h"

// One text that was said. role: who said it, such as "user", or "calls" (a tool with its
// arguments), "result" (what it gave), "reasoning". Both are borrowed for the call.
typedef void (*ut_llm_message_visit)(void *context, ut_bytes role, ut_bytes text);

// Visits the texts of JSON in order. role: of what names none. False, with nothing visited: the
// text is no JSON, or holds nothing that is known as a message. What is nested deeper than 16, and
// JSON that takes too much memory, is passed over.
bool ut_llm_messages(ut_bytes json, ut_bytes role, ut_llm_message_visit visit, void *context);

// Writes a call of a tool: NAME(ARGUMENTS).
void ut_llm_tool_call(ut_buf *out, ut_bytes name, ut_bytes arguments);

#endif
