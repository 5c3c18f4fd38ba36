/* SPDX-License-Identifier: MIT */
#include "planner/rank_message.h"

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
           r->code >= ERROR_NONE && r->code <= ERROR_RUN && r->pool_count <= MOST_POOLS && names_end(r) && !r->rows &&
           (m->rest == 0 || r->row_bytes == m->rest);
}

bool rank_message_read(const void *bytes, size_t size, struct rank_message *out)
{
    if (size < sizeof *out)
        return false;
    memcpy(out, bytes, sizeof *out);
    return out->rest == size - sizeof *out && ends(out->version, sizeof out->version) &&
           strcmp(out->version, TANDEM_VERSION) == 0 && out->kind >= SAYS_READY && out->kind <= LEAVES &&
           is_bool(&out->keep_rows) && is_bool(&out->together) && (out->kind != SAYS_RESULT || result_is_whole(out));
}
