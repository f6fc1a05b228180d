// Sorts statuses and failures into outcomes.
#include "transport/deliver/outcome.h"

#include "transport/http/media_type.h"

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

bool ut_outcome_is_web_page(ut_bytes content_type)
{
    return ut_media_type_is(content_type, "text/html");
}

ut_outcome ut_outcome_of_answer(int status, ut_bytes content_type)
{
    const ut_outcome outcome = ut_outcome_of_status(status);
    if (outcome == UT_OUTCOME_DELIVERED && ut_outcome_is_web_page(content_type))
        return UT_OUTCOME_RETRY;
    return outcome;
}

ut_outcome ut_outcome_of_failure(ut_err err)
{
    // OTLP: an answer over the limit is an error that is not to be tried again.
    return err == UT_ELIMIT ? UT_OUTCOME_REFUSED : UT_OUTCOME_RETRY;
}
