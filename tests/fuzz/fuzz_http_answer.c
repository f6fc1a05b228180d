// Fuzzes the reader of HTTP answers: whatever a peer sends, it is read alike in one piece and in
// many, within its limits. The first byte chooses the size of the pieces, the second whether the
// stream ends.
#include "transport/http/http_reader.h"
#include "transport/http/retry_after.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ut_err read_in_pieces(ut_http_reader *reader, ut_bytes text, size_t piece, bool ends)
{
    ut_fault fault = {.code = UT_OK};
    ut_err err = UT_EAGAIN;
    for (size_t at = 0; at < text.len && err == UT_EAGAIN; at += piece) {
        size_t len = text.len - at < piece ? text.len - at : piece;
        uint8_t *copy = malloc(len); // of its own size, so that a byte too far is seen
        UT_ASSERT(copy != NULL);
        memcpy(copy, text.data + at, len);
        err = ut_http_reader_feed(reader, ut_bytes_of(copy, len), &fault);
        free(copy);
    }
    if (err == UT_EAGAIN && ends)
        err = ut_http_reader_finish(reader, &fault);
    UT_ASSERT(err == UT_OK || err == UT_EAGAIN || (fault.code == err && fault.text_z[0] != '\0'));
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    ut_bytes text = ut_bytes_of(data + 2, size - 2);
    size_t piece = 1 + data[0];
    bool ends = (data[1] & 1) != 0;
    ut_http_reader whole;
    ut_http_reader cut;
    ut_http_reader_init(&whole);
    ut_http_reader_init(&cut);
    ut_err err = read_in_pieces(&whole, text, text.len + 1, ends);
    ut_err cut_err = read_in_pieces(&cut, text, piece, ends);
    // Only the limit of a head counts by what has come so far.
    if (text.len < UT_HTTP_ANSWER_HEAD_MAX)
        UT_ASSERT(err == cut_err);
    if (err == UT_OK && cut_err == UT_OK) {
        UT_ASSERT(whole.status >= 200 && whole.status <= 599 && whole.status == cut.status);
        UT_ASSERT(whole.body.len <= UT_HTTP_ANSWER_BYTES_MAX);
        UT_ASSERT(ut_bytes_equal(whole.body, cut.body));
        UT_ASSERT(strcmp(whole.content_type_z, cut.content_type_z) == 0);
        UT_ASSERT(strcmp(whole.retry_after_z, cut.retry_after_z) == 0);
        UT_ASSERT(ut_retry_after_ms(ut_bytes_of_z(whole.retry_after_z), ut_bytes_of_z(whole.date_z),
                                    0) <= UT_RETRY_AFTER_MS_MAX);
    }
    ut_http_reader_free(&whole);
    ut_http_reader_free(&cut);
    return 0;
}
