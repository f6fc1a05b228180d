// Answers that wait for their turn.
#include "transport/http/http_exchange.h"

void ut_http_exchange_answer(ut_http_exchange *exchange, const ut_http_reply *reply)
{
    UT_ASSERT(!exchange->answered);
    exchange->answered = true;
    exchange->reply = *reply;
    exchange->reply.body = UT_BYTES_NONE;
    ut_buf_add_bytes(&exchange->body, reply->body);
}

void ut_http_exchange_write(const ut_http_exchange *exchange, const char *date_z, bool closes,
                            ut_buf *out)
{
    ut_http_reply reply = exchange->reply;
    reply.body = ut_buf_bytes(&exchange->body);
    ut_http_reply_write(&reply, date_z, closes ? UT_HTTP_REPLY_CLOSES : exchange->end,
                        exchange->without_body, out);
}
