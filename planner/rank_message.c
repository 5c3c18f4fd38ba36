/* SPDX-License-Identifier: MIT */
#include "planner/rank_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"

/* A bool that is neither true nor false must not be read as one. */
static bool is_bool(const bool *b)
{
    unsigned char byte;
    memcpy(&byte, b, 1);
    return byte <= 1;
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

static bool names_end(const struct trial_result *r)
{
    for (size_t i = 0; i < r->pool_count; i++)
        if (!ends(r->held[i].pool, sizeof r->held[i].pool) || !ends(r->held[i].device, sizeof r->held[i].device))
            return false;
    return ends(r->message, sizeof r->message) && ends(r->binding, sizeof r->binding) &&
           ends(r->reason, sizeof r->reason);
}

/* Its rows are those that follow it, if any: an address of another process says nothing. */
static bool result_is_whole(const struct rank_message *m)
{
    const struct trial_result *r = &m->result;
    return m->index >= 0 && is_bool(&r->failed) && is_bool(&r->slo_met) && is_bool(&r->overloaded) &&
           r->pool_count <= MOST_POOLS && names_end(r) && !r->rows && (m->rest == 0 || r->row_bytes == m->rest);
}

bool rank_message_read(const void *bytes, size_t size, struct rank_message *out)
{
    if (size < sizeof *out)
        return false;
    memcpy(out, bytes, sizeof *out);
    return out->rest == size - sizeof *out && ends(out->version, sizeof out->version) &&
           strcmp(out->version, TANDEM_VERSION) == 0 && out->kind >= SAYS_READY && out->kind <= LEAVES &&
           out->result.code >= ERROR_NONE && out->result.code <= ERROR_RUN && is_bool(&out->keep_rows) &&
           is_bool(&out->together) && (out->kind != SAYS_RESULT || result_is_whole(out));
}

int rank_message_send(struct transport *t, int to, struct rank_message *m, const void *rest, size_t size)
{
    char *bytes = malloc(sizeof *m + size);
    if (!bytes)
        return -1;
    m->rest = size;
    snprintf(m->version, sizeof m->version, "%s", TANDEM_VERSION);
    memcpy(bytes, m, sizeof *m);
    if (size > 0)
        memcpy(bytes + sizeof *m, rest, size);
    int status = t->send(t, to, bytes, sizeof *m + size);
    free(bytes);
    return status;
}

int rank_message_receive(struct transport *t, int *from, struct rank_message *m, void **bytes, char **rest,
                         double wait_s)
{
    size_t size = 0;
    int got = t->receive(t, from, bytes, &size, wait_s);
    if (got != 1)
        return got;
    if (!rank_message_read(*bytes, size, m)) {
        free(*bytes);
        return -1;
    }
    *rest = (char *)*bytes + sizeof *m;
    (*rest)[m->rest] = 0; /* receivers leave room for it */
    return 1;
}
