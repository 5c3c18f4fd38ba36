/* SPDX-License-Identifier: MIT */
#include "base/lines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/array.h"

enum { CHUNK = 1 << 16, GZIP_WINDOW = 15 + 16 };

struct lines {
    char *file;
    FILE *in;
    char *text; /* what is read and not given out yet lies from `from` to `end` */
    size_t capacity, from, end;
    long count;             /* of lines given out */
    bool over;              /* nothing comes after `end` */
    bool gzip, member_over; /* a gzip file has members; the one read last has ended */
    z_stream stream;
    unsigned char *packed; /* [CHUNK] of a gzip file */
};

static int complain(const struct lines *l, const char *what, struct error *err)
{
    return error_set(err, ERROR_INPUT, "%s:%ld: %s", l->file, l->count + 1, what);
}

static int too_long(const struct lines *l, struct error *err)
{
    return error_set(err, ERROR_INPUT, "%s:%ld: line is longer than %d bytes", l->file, l->count + 1, LINES_LONGEST);
}

static int read_bytes(struct lines *l, void *out, size_t size, size_t *got, struct error *err)
{
    *got = fread(out, 1, size, l->in);
    if (*got == size || feof(l->in))
        return 0;
    if (errno == EISDIR)
        return error_set(err, ERROR_INPUT, "%s: is a folder, expected a file", l->file);
    return error_set(err, ERROR_IO, "%s: cannot be read after line %ld: %s", l->file, l->count, strerror(errno));
}

/* Sees to it that packed bytes are there, and that a member begins where one has ended. */
static int read_packed(struct lines *l, struct error *err)
{
    size_t got = 0;
    if (l->stream.avail_in == 0) {
        if (read_bytes(l, l->packed, CHUNK, &got, err))
            return -1;
        l->stream.next_in = l->packed;
        l->stream.avail_in = (uInt)got;
        l->over = got == 0;
        if (l->over && !l->member_over)
            return complain(l, "the gzip file ends here, in the middle of its data", err);
    }
    if (!l->member_over || l->over)
        return 0;
    l->member_over = false;
    return *l->stream.next_in == 0x1f && inflateReset(&l->stream) == Z_OK
               ? 0
               : complain(l, "expected the end of the gzip file, found bytes that are not gzip after it", err);
}

static int inflate_bytes(struct lines *l, size_t size, size_t *got, struct error *err)
{
    *got = 0;
    while (*got == 0) {
        if (read_packed(l, err))
            return -1;
        if (l->over)
            return 0;
        l->stream.next_out = (unsigned char *)l->text + l->end;
        l->stream.avail_out = (uInt)size;
        int status = inflate(&l->stream, Z_NO_FLUSH);
        l->member_over = status == Z_STREAM_END;
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return complain(l, "the gzip file is damaged here", err);
        *got = size - l->stream.avail_out;
    }
    return 0;
}

/* Reads on after `end`; `over` is set where nothing comes. */
static int read_more(struct lines *l, struct error *err)
{
    size_t got = 0;
    if (l->from > 0) {
        memmove(l->text, l->text + l->from, l->end - l->from);
        l->end -= l->from;
        l->from = 0;
    }
    if (l->end > LINES_LONGEST)
        return too_long(l, err);
    char *grown = array_grow(l->text, &l->capacity, l->end + CHUNK + 1, 1);
    if (!grown)
        return error_no_memory(err);
    l->text = grown;
    if (l->gzip) {
        if (inflate_bytes(l, CHUNK, &got, err))
            return -1;
    } else {
        if (read_bytes(l, l->text + l->end, CHUNK, &got, err))
            return -1;
        l->over = got == 0;
    }
    l->end += got;
    return 0;
}

/* How many bytes from `from` on are before the next end of a line, `seen` or more; at the end, those that are left. */
static int find_end(struct lines *l, size_t seen, size_t *length, struct error *err)
{
    for (;;) {
        const char *newline =
            seen < l->end - l->from ? memchr(l->text + l->from + seen, '\n', l->end - l->from - seen) : NULL;
        *length = newline ? (size_t)(newline - l->text) - l->from : l->end - l->from;
        if (newline || l->over)
            return 0;
        seen = *length;
        if (read_more(l, err))
            return -1;
    }
}

/* Gives out `length` bytes from `from` on, and steps over the line's end. */
static int give(struct lines *l, size_t length, struct line *out, struct error *err)
{
    char *text = l->text + l->from;
    if (length > LINES_LONGEST)
        return too_long(l, err);
    if (memchr(text, 0, length))
        return complain(l, "expected text, found a NUL byte", err);
    l->from += length < l->end - l->from ? length + 1 : length;
    if (length > 0 && text[length - 1] == '\r')
        length--;
    text[length] = 0;
    *out = (struct line){.text = text, .length = length, .number = ++l->count};
    return 0;
}

static bool is_blank(const struct line *line)
{
    return line->text[strspn(line->text, " \t\r")] == 0;
}

int lines_next(struct lines *l, struct line *out, struct error *err)
{
    size_t length = 0;
    do {
        if (find_end(l, 0, &length, err))
            return -1;
        if (length == 0 && l->from == l->end)
            return 0;
        if (give(l, length, out, err))
            return -1;
    } while (is_blank(out));
    return 1;
}

static bool has_odd_quotes(const char *text, size_t length)
{
    bool odd = false;
    for (const char *at = text, *end = text + length; (at = memchr(at, '"', (size_t)(end - at))); at++)
        odd = !odd;
    return odd;
}

int lines_next_record(struct lines *l, struct line *out, struct error *err)
{
    size_t length = 0, from = 0;
    long within = 0; /* ends of lines in it */
    do {
        bool open = false;
        for (from = length = 0, within = 0;; from = ++length, within++) {
            if (find_end(l, from, &length, err))
                return -1;
            open = open != has_odd_quotes(l->text + l->from + from, length - from);
            if (!open || l->from + length == l->end)
                break;
        }
        if (length == 0 && l->from == l->end)
            return 0;
        if (open)
            return complain(l, "a quote opens in this record and does not close", err);
        if (give(l, length, out, err))
            return -1;
        l->count += within;
    } while (is_blank(out));
    return 1;
}

/* What the file begins with: the mark of gzip, or of UTF-8, which is left out. */
static int begin(struct lines *l, struct error *err)
{
    if (read_more(l, err))
        return -1;
    if (l->end >= 2 && memcmp(l->text, "\x1f\x8b", 2) == 0) {
        l->gzip = true;
        l->packed = malloc(CHUNK);
        if (!l->packed || inflateInit2(&l->stream, GZIP_WINDOW) != Z_OK)
            return error_no_memory(err);
        memcpy(l->packed, l->text, l->end);
        l->stream.next_in = l->packed;
        l->stream.avail_in = (uInt)l->end;
        l->end = 0;
        if (read_more(l, err))
            return -1;
    }
    while (l->end < 3 && !l->over)
        if (read_more(l, err))
            return -1;
    l->from = l->end >= 3 && memcmp(l->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    return 0;
}

struct lines *lines_open(const char *file, struct error *err)
{
    struct lines *l = calloc(1, sizeof *l);
    if (!l || !(l->file = strdup(file))) {
        error_no_memory(err);
        free(l);
        return NULL;
    }
    l->in = fopen(file, "rb");
    if (!l->in)
        error_not_opened(err, file);
    if (l->in && begin(l, err) == 0)
        return l;
    lines_close(l);
    return NULL;
}

void lines_close(struct lines *l)
{
    if (l->in)
        fclose(l->in);
    if (l->packed)
        inflateEnd(&l->stream);
    free(l->packed);
    free(l->text);
    free(l->file);
    free(l);
}
