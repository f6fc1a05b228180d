// Takes a file of OTLP requests apart, with at most one request in memory unless the file is
// compressed. See span_file.h.
#include "agent/files/span_file.h"

#include "adapters/encoding/gzip.h"
#include "port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ_BYTES = 256 * 1024,
    LENGTH_BYTES = 4,
    NAME_SHOWN_MAX = 120,
};

// The four ways in which requests follow each other.
typedef enum { UNKNOWN, LINES, DOCUMENT, DELIMITED, MESSAGE } layout;

struct ut_span_file {
    const char *path_z;
    int fd;
    layout layout;
    ut_buf in; // bytes that were read; those before `at` are given out
    size_t at;
    bool end;               // the file has no bytes behind those in `in`
    bool ended;             // the last request was given out
    uint64_t passed;        // bytes of the (expanded) file before in.data[0]
    uint64_t size;          // of the file, 0: not known
    uint64_t expanded_size; // of a compressed file, else 0
    uint64_t number;        // of the last request: its line, or a count of messages
    uint64_t place;         // byte where it begins
    uint64_t lines_next;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Reads once more into `in`. Sets `end` at the end of the file.
static ut_err read_some(ut_span_file *file, ut_fault *fault)
{
    if (file->at > 0 && file->at >= file->in.len / 2) {
        memmove(file->in.data, file->in.data + file->at, file->in.len - file->at);
        file->in.len -= file->at;
        file->passed += file->at;
        file->at = 0;
    }
    uint8_t *room = ut_buf_reserve(&file->in, READ_BYTES);
    if (room == NULL)
        return ut_fault_set(fault, file->in.err, "%s: %s", file->path_z, ut_err_text(file->in.err));
    ssize_t n = 0;
    do {
        n = read(file->fd, room, READ_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return ut_fault_set(fault, UT_EIO, "cannot read %s: %s", file->path_z, strerror(errno));
    if (n == 0)
        file->end = true;
    file->in.len += (size_t)n;
    return UT_OK;
}

// Reads until this number of bytes waits in `in`, or the file ends.
static ut_err need(ut_span_file *file, size_t bytes, ut_fault *fault)
{
    while (!file->end && file->in.len - file->at < bytes) {
        const ut_err err = read_some(file, fault);
        if (err != UT_OK)
            return err;
    }
    return UT_OK;
}

static ut_err expand(ut_span_file *file, ut_fault *fault)
{
    ut_fault why = {UT_OK, ""};
    ut_buf expanded;
    ut_buf_init(&expanded, UT_SPAN_FILE_EXPANDED_MAX);
    ut_gzip *gzip = ut_gzip_new();
    ut_err err = gzip == NULL ? UT_ENOMEM : UT_OK;
    file->in.max = UT_SPAN_FILE_GZIP_MAX + READ_BYTES;
    while (err == UT_OK && !file->end && file->in.len <= UT_SPAN_FILE_GZIP_MAX)
        err = read_some(file, fault);
    if (err != UT_OK)
        goto done;
    if (!file->end) {
        err = UT_ELIMIT;
    } else {
        err = ut_gzip_expand(gzip, ut_buf_bytes(&file->in), &expanded, &why);
    }
    if (err == UT_ELIMIT)
        (void)ut_fault_set(
            fault, err,
            "%s: a compressed file of more than %d MiB, or %d MiB when expanded: use "
            "`zcat FILE | untrace import -`",
            file->path_z, UT_SPAN_FILE_GZIP_MAX >> 20, UT_SPAN_FILE_EXPANDED_MAX >> 20);
    else if (err != UT_OK)
        (void)ut_fault_set(fault, err, "%s: %s", file->path_z, why.text_z);
    if (err == UT_OK) {
        ut_buf_free(&file->in);
        file->in = expanded;
        file->expanded_size = expanded.len;
        ut_buf_init(&expanded, 1);
    }
done:
    if (err == UT_ENOMEM)
        (void)ut_fault_set(fault, err, "%s: %s", file->path_z, ut_err_text(err));
    ut_buf_free(&expanded);
    if (gzip != NULL)
        ut_gzip_free(gzip);
    return err;
}

// The first byte in `in` at or behind `from` that is no white space; SIZE_MAX when there is none.
static size_t find_text(const ut_span_file *file, size_t from)
{
    for (size_t i = from; i < file->in.len; i++) {
        if (!is_space(file->in.data[i]))
            return i;
    }
    return SIZE_MAX;
}

// True when the braces and brackets of text are closed where it ends.
static bool is_closed(ut_bytes text)
{
    uint64_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.data[i];
        if (quoted) {
            if (c == '\\')
                i++;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return depth == 0 && !quoted;
}

// Tells lines from one document: a document that is spread over lines does not end with its first
// line, and its second line does not begin another document.
static ut_err find_json_layout(ut_span_file *file, ut_fault *fault)
{
    for (;;) {
        const size_t begin = find_text(file, file->at);
        const uint8_t *newline =
            begin == SIZE_MAX ? NULL : memchr(file->in.data + begin, '\n', file->in.len - begin);
        if (newline != NULL) {
            const size_t end = (size_t)(newline - file->in.data);
            const size_t next = find_text(file, end);
            if (is_closed(ut_bytes_of(file->in.data + begin, end - begin))) {
                file->layout = LINES;
                return UT_OK;
            }
            if (next != SIZE_MAX || file->end) {
                file->layout = next == SIZE_MAX || (file->in.data[next] == '{' &&
                                                    file->in.data[next - 1] == '\n')
                                   ? LINES
                                   : DOCUMENT;
                return UT_OK;
            }
        }
        if (file->end || file->in.len - file->at > UT_SPAN_FILE_MESSAGE_MAX) {
            file->layout = LINES; // one line, or one that is too long
            return UT_OK;
        }
        const ut_err err = read_some(file, fault);
        if (err != UT_OK)
            return err;
    }
}

// True when the file begins as JSON does: an opening brace, and behind it a quote or a closing
// brace. A protobuf message may begin with the byte of a newline, and even have that of a brace
// behind it.
static bool begins_as_json(const ut_span_file *file)
{
    const size_t brace = find_text(file, file->at);
    if (brace == SIZE_MAX || file->in.data[brace] != '{')
        return false;
    const size_t next = find_text(file, brace + 1);
    return next == SIZE_MAX || file->in.data[next] == '"' || file->in.data[next] == '}' ||
           brace == file->at;
}

static ut_err find_layout(ut_span_file *file, ut_span_file_format format, ut_fault *fault)
{
    ut_err err = need(file, 2, fault);
    if (err == UT_OK && file->in.len >= 2 && file->in.data[0] == 0x1f && file->in.data[1] == 0x8b)
        err = expand(file, fault);
    if (err == UT_OK)
        err = need(file, 4096, fault);
    if (err != UT_OK)
        return err;
    if (file->in.len >= 3 && memcmp(file->in.data, "\xef\xbb\xbf", 3) == 0)
        file->at = 3; // a byte order mark
    if (format == UT_SPAN_FILE_JSON || (format == UT_SPAN_FILE_DETECT && begins_as_json(file)))
        return find_json_layout(file, fault);
    // A length of at most 64 MiB begins with a byte of at most 4, and no field of a message does.
    file->layout = file->in.len - file->at >= LENGTH_BYTES &&
                           file->in.data[file->at] <= (UT_SPAN_FILE_MESSAGE_MAX >> 24)
                       ? DELIMITED
                       : MESSAGE;
    if (file->layout == MESSAGE && format == UT_SPAN_FILE_DETECT && file->in.len > file->at &&
        file->in.data[file->at] != 0x0a && find_text(file, file->at) != SIZE_MAX)
        return ut_fault_set(fault, UT_EFORMAT,
                            "%s: this begins neither as OTLP JSON nor as OTLP protobuf; --format "
                            "otlp-json or otlp-protobuf reads it nevertheless, and says what is "
                            "wrong",
                            file->path_z);
    if (file->layout == MESSAGE && find_text(file, file->at) == SIZE_MAX && file->end)
        file->ended = true; // nothing but white space
    return UT_OK;
}

ut_err ut_span_file_open(const char *path_z, ut_span_file_format format, ut_span_file **out,
                         ut_fault *fault)
{
    ut_span_file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "%s: %s", path_z, ut_err_text(UT_ENOMEM));
    const bool standard = strcmp(path_z, "-") == 0;
    file->path_z = standard ? "standard input" : path_z;
    file->lines_next = 1;
    ut_buf_init(&file->in, 2 * (size_t)UT_SPAN_FILE_MESSAGE_MAX + 2 * READ_BYTES);
    file->fd = standard ? STDIN_FILENO : open(path_z, O_RDONLY | O_CLOEXEC);
    ut_err err = UT_OK;
    struct stat status;
    if (file->fd < 0 || fstat(file->fd, &status) != 0) {
        const int reason = errno;
        err = ut_fault_set(fault, ut_err_of_errno(reason), "cannot read %s: %s", file->path_z,
                           strerror(reason));
    } else {
        if (S_ISREG(status.st_mode))
            file->size = (uint64_t)status.st_size;
        err = find_layout(file, format, fault);
    }
    if (err != UT_OK) {
        ut_span_file_close(file);
        return err;
    }
    *out = file;
    return UT_OK;
}

void ut_span_file_close(ut_span_file *file)
{
    if (file->fd > STDERR_FILENO)
        (void)close(file->fd);
    ut_buf_free(&file->in);
    free(file);
}

// Passes the rest of a line that is too long.
static ut_err pass_line(ut_span_file *file, ut_fault *fault)
{
    for (;;) {
        const uint8_t *newline = memchr(file->in.data + file->at, '\n', file->in.len - file->at);
        if (newline != NULL) {
            file->at = (size_t)(newline - file->in.data) + 1;
            return UT_OK;
        }
        file->at = file->in.len;
        if (file->end)
            return UT_OK;
        const ut_err err = read_some(file, fault);
        if (err != UT_OK)
            return err;
    }
}

static ut_err next_line(ut_span_file *file, ut_bytes *message, bool *more, ut_fault *fault)
{
    for (size_t seen = 0;;) {
        const uint8_t *from = file->in.data + file->at + seen;
        const uint8_t *newline = file->in.len > file->at + seen
                                     ? memchr(from, '\n', file->in.len - file->at - seen)
                                     : NULL;
        const bool last = newline == NULL && file->end;
        if (newline == NULL && !last && file->in.len - file->at <= UT_SPAN_FILE_MESSAGE_MAX) {
            seen = file->in.len - file->at;
            const ut_err err = read_some(file, fault);
            if (err != UT_OK)
                return err;
            continue;
        }
        const size_t begin = file->at;
        const size_t end = newline != NULL ? (size_t)(newline - file->in.data) : file->in.len;
        file->number = file->lines_next++;
        file->place = file->passed + begin;
        if (end - begin > UT_SPAN_FILE_MESSAGE_MAX) {
            const ut_err err = pass_line(file, fault);
            return err != UT_OK ? err
                                : ut_fault_set(fault, UT_ELIMIT, "the line is longer than %d MiB",
                                               UT_SPAN_FILE_MESSAGE_MAX >> 20);
        }
        file->at = newline != NULL ? end + 1 : end;
        *message = ut_bytes_of(file->in.data + begin, end - begin);
        const size_t text = find_text(file, begin);
        if (text < end) {
            *more = true;
            return UT_OK;
        }
        if (last) {
            *more = false;
            return UT_OK;
        }
        seen = 0; // an empty line
    }
}

static ut_err next_delimited(ut_span_file *file, ut_bytes *message, bool *more, ut_fault *fault)
{
    ut_err err = need(file, LENGTH_BYTES, fault);
    if (err != UT_OK)
        return err;
    file->place = file->passed + file->at;
    *more = file->in.len > file->at;
    if (!*more)
        return UT_OK;
    file->number++;
    if (file->in.len - file->at < LENGTH_BYTES) {
        file->ended = true;
        return ut_fault_set(fault, UT_EFORMAT, "the file ends in the middle of a length");
    }
    const uint32_t length = ut_get_be32(file->in.data + file->at);
    if (length > UT_SPAN_FILE_MESSAGE_MAX) {
        file->ended = true; // more likely these bytes are no length at all
        return ut_fault_set(fault, UT_ELIMIT, "a message of %u bytes: at most %d MiB are taken",
                            length, UT_SPAN_FILE_MESSAGE_MAX >> 20);
    }
    err = need(file, LENGTH_BYTES + (size_t)length, fault);
    if (err != UT_OK)
        return err;
    if (file->in.len - file->at < LENGTH_BYTES + (size_t)length) {
        file->ended = true;
        return ut_fault_set(fault, UT_EFORMAT,
                            "the message has %u bytes, but the file ends after %zu of them", length,
                            file->in.len - file->at - LENGTH_BYTES);
    }
    *message = ut_bytes_of(file->in.data + file->at + LENGTH_BYTES, length);
    file->at += LENGTH_BYTES + (size_t)length;
    return UT_OK;
}

// Gives out the rest of the file as one request.
static ut_err next_whole(ut_span_file *file, ut_bytes *message, bool *more, ut_fault *fault)
{
    const ut_err err = need(file, (size_t)UT_SPAN_FILE_MESSAGE_MAX + 1, fault);
    if (err != UT_OK)
        return err;
    file->number = 1;
    file->place = file->passed + file->at;
    file->ended = true;
    if (file->in.len - file->at > UT_SPAN_FILE_MESSAGE_MAX)
        return ut_fault_set(fault, UT_ELIMIT, "one request of more than %d MiB",
                            UT_SPAN_FILE_MESSAGE_MAX >> 20);
    *message = ut_bytes_of(file->in.data + file->at, file->in.len - file->at);
    file->at = file->in.len;
    *more = message->len > 0;
    return UT_OK;
}

ut_err ut_span_file_next(ut_span_file *file, ut_bytes *message, ut_otlp_encoding *encoding,
                         bool *more, ut_fault *fault)
{
    *more = false;
    *message = UT_BYTES_NONE;
    *encoding = file->layout == LINES || file->layout == DOCUMENT ? UT_OTLP_JSON : UT_OTLP_PROTOBUF;
    if (file->ended)
        return UT_OK;
    switch (file->layout) {
    case LINES:
        return next_line(file, message, more, fault);
    case DELIMITED:
        return next_delimited(file, message, more, fault);
    case DOCUMENT:
    case MESSAGE:
        return next_whole(file, message, more, fault);
    case UNKNOWN:
        break;
    }
    UT_ASSERT(false);
    return UT_EINVAL;
}

void ut_span_file_place(const ut_span_file *file, char out_z[UT_SPAN_FILE_PLACE_MAX])
{
    const char *name_z = file->path_z;
    if (strlen(name_z) > NAME_SHOWN_MAX)
        name_z += strlen(name_z) - NAME_SHOWN_MAX; // its end tells more
    if (file->layout == LINES || file->layout == DOCUMENT)
        (void)snprintf(out_z, UT_SPAN_FILE_PLACE_MAX, "%s:%llu", name_z,
                       (unsigned long long)file->number);
    else
        (void)snprintf(out_z, UT_SPAN_FILE_PLACE_MAX, "%s: message %llu (byte %llu)", name_z,
                       (unsigned long long)file->number, (unsigned long long)file->place);
}

uint64_t ut_span_file_progress(const ut_span_file *file, uint64_t *size)
{
    const uint64_t done = file->passed + file->at;
    *size = file->size;
    if (file->expanded_size == 0)
        return done;
    return (uint64_t)((double)file->size * (double)done / (double)file->expanded_size);
}
