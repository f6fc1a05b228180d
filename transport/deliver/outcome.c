// Sorts statuses and failures into outcomes.
#include "transport/deliver/outcome.h"

#include "adapters/otlp/otlp.h"
#include "transport/http/media_type.h"

#include <stdio.h>

ut_outcome ut_outcome_of_status(int status)
{
    if (status < 300)
        return UT_OUTCOME_DELIVERED;
    if (status < 400)
        return UT_OUTCOME_MISCONFIGURED; // redirects are not followed: they could lead secrets away
    switch (status) {
    case 429:
    case 502:
    case 503:
    case 504:
        return UT_OUTCOME_RETRY;
    case 413:
        return UT_OUTCOME_TOO_LARGE;
    case 401: // unauthorized
    case 402: // payment required: the account, not the data
    case 403: // forbidden
    case 404: // not found
    case 405: // method not allowed
    case 407: // proxy authentication required
    case 410: // gone
    case 415: // unsupported media type: encoding or compression are settings
    case 421: // misdirected request
    case 426: // upgrade required
    case 511: // network authentication required: by a network on the way
        return UT_OUTCOME_MISCONFIGURED;
    default:
        break;
    }
    // Not in any RFC: with these Cloudflare says that it does not reach the server behind it, as
    // others do with 502 and 504.
    if (status >= 520 && status <= 530)
        return UT_OUTCOME_RETRY;
    return UT_OUTCOME_REFUSED;
}

static bool is_web_page(const ut_outcome_answer *answer)
{
    return ut_media_type_is(answer->content_type, "text/html") ||
           ut_media_type_is(answer->content_type, "application/xhtml+xml");
}

// True when a server of OTLP may have made the answer. Some answer JSON to protobuf, and some leave
// out the type; Go's answer to HTTP on a TLS port has none either.
static bool is_otlp(const ut_outcome_answer *answer)
{
    if (answer->content_type.len > 0)
        return ut_media_type_is(answer->content_type, "application/x-protobuf") ||
               ut_media_type_is(answer->content_type, "application/json");
    return ut_otlp_is_status(answer->body);
}

ut_outcome ut_outcome_of_answer(const ut_outcome_answer *answer)
{
    const ut_outcome outcome = ut_outcome_of_status(answer->status);
    if (outcome == UT_OUTCOME_DELIVERED && is_web_page(answer))
        return UT_OUTCOME_RETRY;
    // Proxies say 413 in words of their own, and mean what it says.
    if (outcome == UT_OUTCOME_REFUSED && !is_otlp(answer))
        return UT_OUTCOME_MISCONFIGURED;
    return outcome;
}

// The first place of word_z in text, without regard to the case of ASCII letters; text.len: none.
static size_t find_fold(ut_bytes text, const char *word_z)
{
    const ut_bytes word = ut_bytes_of_z(word_z);
    for (size_t i = 0; i + word.len <= text.len; i++) {
        if (ut_bytes_begins_fold(ut_bytes_of(text.data + i, text.len - i), word))
            return i;
    }
    return text.len;
}

// What a page has between <title> and the next tag; nothing when it has no title.
static ut_bytes title_of(ut_bytes page)
{
    static const char tag_z[] = "<title>";
    const size_t at = find_fold(page, tag_z);
    if (at == page.len)
        return UT_BYTES_NONE;
    const ut_bytes rest = {page.data + at + sizeof(tag_z) - 1, page.len - at - sizeof(tag_z) + 1};
    return ut_bytes_of(rest.data, find_fold(rest, "<"));
}

void ut_outcome_explain(const ut_outcome_answer *answer, bool tls, char *reason_z, size_t cap)
{
    enum { LOOKED_AT_MAX = 4096, SHOWN_MAX = 80 };
    char message_z[SHOWN_MAX] = "";
    const ut_bytes begin = ut_bytes_of(
        answer->body.data, answer->body.len < LOOKED_AT_MAX ? answer->body.len : LOOKED_AT_MAX);
    const bool page = is_web_page(answer);
    if (page || (answer->status >= 400 && !is_otlp(answer))) {
        // Go, nginx and Apache name HTTPS or SSL when they get HTTP on a TLS port.
        const bool tls_port = !tls && (find_fold(begin, "https") < begin.len ||
                                       find_fold(begin, "ssl-enabled") < begin.len);
        ut_otlp_status_read(page ? title_of(begin) : begin, message_z, sizeof(message_z));
        (void)snprintf(reason_z, cap, "HTTP %d: a %s, not OTLP; %s%s%s%s", answer->status,
                       page ? "web page" : "plain answer",
                       tls_port ? "a TLS port (https)?"
                       : page   ? "a proxy or login page, or a wrong endpoint?"
                                : "a proxy, or a wrong endpoint?",
                       message_z[0] != '\0' ? " It says \"" : "", message_z,
                       message_z[0] != '\0' ? "\"" : "");
        return;
    }
    if (answer->status >= 300 && answer->status < 400)
        (void)snprintf(message_z, sizeof(message_z),
                       "a redirect, and redirects are not followed; set the new address");
    else
        ut_otlp_status_read(answer->body, message_z, sizeof(message_z));
    (void)snprintf(reason_z, cap, "HTTP %d%s%s", answer->status, message_z[0] != '\0' ? ": " : "",
                   message_z);
}

ut_outcome ut_outcome_of_failure(ut_err err)
{
    // OTLP: an answer over the limit is an error that is not to be tried again.
    return err == UT_ELIMIT ? UT_OUTCOME_REFUSED : UT_OUTCOME_RETRY;
}
