// The bytes of an HTTP/1.1 answer (RFC 9112).
#include "transport/http/http_reply.h"

static const char *reason_phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 202:
        return "Accepted";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return ""; // the phrase may be empty, and clients do not read it
    }
}

void ut_http_date(uint64_t unix_s, char out_z[UT_HTTP_DATE_MAX])
{
    static const char days[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    enum { DAYS_400Y = 146097, SECONDS_DAY = 86400 };
    const uint64_t day = unix_s / SECONDS_DAY;
    const uint32_t second = (uint32_t)(unix_s % SECONDS_DAY);

    // Civil date from a day count: years that begin in March put the leap day last.
    const uint64_t shifted = day + 719468;
    const uint32_t of_era = (uint32_t)(shifted % DAYS_400Y);
    const uint32_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const uint32_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const uint32_t march_month = (5 * of_year + 2) / 153;
    const uint32_t month_day = of_year - (153 * march_month + 2) / 5 + 1;
    const uint32_t month = march_month < 10 ? march_month + 2 : march_month - 10; // from 0
    uint64_t year = year_of_era + shifted / DAYS_400Y * 400 + (month <= 1 ? 1 : 0);
    if (year > 9999)
        year = 9999; // four digits are all that the format has

    const uint32_t parts[] = {month_day,     (uint32_t)(year / 100), (uint32_t)(year % 100),
                              second / 3600, second / 60 % 60,       second % 60};
    static const uint8_t places[] = {5, 12, 14, 17, 20, 23};
    memcpy(out_z, "Thu, 01 Jan 1970 00:00:00 GMT", UT_HTTP_DATE_MAX);
    memcpy(out_z, days[day % 7], 3);
    memcpy(out_z + 8, months[month], 3);
    for (size_t i = 0; i < sizeof(places); i++) {
        out_z[places[i]] = (char)('0' + parts[i] / 10 % 10);
        out_z[places[i] + 1] = (char)('0' + parts[i] % 10);
    }
}

static void add_number(ut_buf *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    ut_buf_add(out, digits + at, sizeof(digits) - at);
}

void ut_http_reply_write(const ut_http_reply *reply, const char *date_z, ut_http_reply_end end,
                         bool without_body, ut_buf *out)
{
    ut_buf_add_z(out, "HTTP/1.1 ");
    add_number(out, (uint64_t)reply->status);
    ut_buf_add_byte(out, ' ');
    ut_buf_add_z(out, reason_phrase(reply->status));
    ut_buf_add_z(out, "\r\nDate: ");
    ut_buf_add_z(out, date_z);
    if (reply->content_type_z != NULL) {
        ut_buf_add_z(out, "\r\nContent-Type: ");
        ut_buf_add_z(out, reply->content_type_z);
    }
    ut_buf_add_z(out, "\r\nContent-Length: ");
    add_number(out, reply->body.len);
    if (reply->retry_after_s != 0) {
        ut_buf_add_z(out, "\r\nRetry-After: ");
        add_number(out, reply->retry_after_s);
    }
    if (end == UT_HTTP_REPLY_CLOSES)
        ut_buf_add_z(out, "\r\nConnection: close");
    else if (end == UT_HTTP_REPLY_KEPT_SAY_SO)
        ut_buf_add_z(out, "\r\nConnection: keep-alive");
    ut_buf_add_z(out, "\r\n");
    if (reply->fields_z != NULL)
        ut_buf_add_z(out, reply->fields_z);
    ut_buf_add_z(out, "\r\n");
    if (!without_body)
        ut_buf_add_bytes(out, reply->body);
}
