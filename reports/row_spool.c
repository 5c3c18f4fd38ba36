/* SPDX-License-Identifier: MIT */
#include "reports/row_spool.h"

#include <errno.h>
#include <string.h>

int row_spool_open(struct row_spool *spool, struct error *err)
{
    *spool = (struct row_spool){.requests = tmpfile(), .points = tmpfile()};
    if (spool->requests && spool->points)
        return 0;
    row_spool_close(spool);
    return error_set(err, ERROR_IO, "no temporary file can be made for rows: %s", strerror(errno));
}

void row_spool_close(struct row_spool *spool)
{
    if (spool->requests)
        fclose(spool->requests);
    if (spool->points)
        fclose(spool->points);
    *spool = (struct row_spool){0};
}

static void add_request(void *state, size_t replica, const struct request *r)
{
    struct row_spool *spool = state;
    struct request_metrics metrics = request_metrics_of(r);
    struct request_row row = {.id = r->id,
                              .replica = replica,
                              .arrival = r->arrival,
                              .prompt_tokens = r->prompt_tokens,
                              .output_tokens = r->output_tokens,
                              .preemptions = r->preemptions,
                              .recomputed_tokens = r->recomputed_tokens,
                              .cached_tokens = r->cached_tokens};
    memcpy(row.metrics, metrics.at, sizeof row.metrics);
    memcpy(row.parts, r->parts, sizeof row.parts);
    spool->failed |= fwrite(&row, sizeof row, 1, spool->requests) != 1;
}

static void add_point(void *state, const char *series, sim_time at, double value)
{
    struct row_spool *spool = state;
    struct point_row row = {series, at, value};
    spool->failed |= fwrite(&row, sizeof row, 1, spool->points) != 1;
}

struct row_sink row_spool_sink(struct row_spool *spool)
{
    return (struct row_sink){.state = spool, .add_request = add_request, .add_point = add_point};
}

int row_spool_rewind(struct row_spool *spool, struct error *err)
{
    if (spool->failed || fflush(spool->requests) || fflush(spool->points))
        return error_set(err, ERROR_IO, "rows could not be kept in a temporary file: %s", strerror(errno));
    rewind(spool->requests);
    rewind(spool->points);
    return 0;
}

int row_spool_next_request(struct row_spool *spool, struct request_row *out)
{
    return fread(out, sizeof *out, 1, spool->requests) == 1;
}

int row_spool_next_point(struct row_spool *spool, struct point_row *out)
{
    return fread(out, sizeof *out, 1, spool->points) == 1;
}
