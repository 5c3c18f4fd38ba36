/* SPDX-License-Identifier: MIT */
#include "reports/store/row_spool.h"

#include <errno.h>
#include <string.h>

int row_spool_open(struct row_spool *spool, struct error *err)
{
    *spool = (struct row_spool){.requests = tmpfile(), .points = tmpfile(), .iterations = tmpfile()};
    if (spool->requests && spool->points && spool->iterations) {
        setvbuf(spool->requests, NULL, _IOFBF, 1 << 18);
        return 0;
    }
    row_spool_close(spool);
    return error_set(err, ERROR_IO, "no temporary file can be made for rows: %s", strerror(errno));
}

void row_spool_close(struct row_spool *spool)
{
    if (spool->requests)
        fclose(spool->requests);
    if (spool->points)
        fclose(spool->points);
    if (spool->iterations)
        fclose(spool->iterations);
    *spool = (struct row_spool){0};
}

static void add_request(void *state, struct station_id station, const struct request *r)
{
    struct row_spool *spool = state;
    struct request_metrics metrics = request_metrics_of(r);
    struct request_row row = {.id = r->id,
                              .replica = station.index,
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

static void add_iteration(void *state, const struct iteration_record *i, uint64_t k)
{
    struct row_spool *spool = state;
    const struct batch *b = i->batch;
    struct iteration_row row = {.replica = i->station.index,
                                .start = stretch_end(i->stretch, k),
                                .end = k + 1 == i->count ? i->end : stretch_end(i->stretch, k + 1),
                                .decodes = b->decodes,
                                .decode_kv = b->decode_kv + k * b->decodes,
                                .padded_tokens = batch_padded_tokens(b)};
    for (size_t n = 0; n < b->count; n++) {
        const struct batch_item *item = &b->items[n];
        row.decodes += item->decode;
        row.decode_kv += item->decode ? item->req->computed + k : 0;
        row.prompts += !item->decode;
        row.prompt_tokens += item->decode ? 0 : item->new_tokens;
    }
    spool->failed |= fwrite(&row, sizeof row, 1, spool->iterations) != 1;
    for (size_t n = 0; n < b->count; n++) {
        struct prompt_row prompt = {b->items[n].req->id, b->items[n].new_tokens};
        if (!b->items[n].decode)
            spool->failed |= fwrite(&prompt, sizeof prompt, 1, spool->iterations) != 1;
    }
}

struct row_sink row_spool_sink(struct row_spool *spool)
{
    return (struct row_sink){.state = spool,
                             .add_request = add_request,
                             .add_point = add_point,
                             .add_iteration = add_iteration};
}

int row_spool_rewind(struct row_spool *spool, struct error *err)
{
    if (spool->failed || fflush(spool->requests) || fflush(spool->points) || fflush(spool->iterations))
        return error_set(err, ERROR_IO, "rows could not be kept in a temporary file: %s", strerror(errno));
    rewind(spool->requests);
    rewind(spool->points);
    rewind(spool->iterations);
    return 0;
}

size_t row_spool_next_requests(struct row_spool *spool, struct request_row *out, size_t most)
{
    return fread(out, sizeof *out, most, spool->requests);
}

bool row_spool_failed(const struct row_spool *spool)
{
    return ferror(spool->requests) || ferror(spool->points) || ferror(spool->iterations);
}

int row_spool_next_point(struct row_spool *spool, struct point_row *out)
{
    return fread(out, sizeof *out, 1, spool->points) == 1;
}

int row_spool_next_iteration(struct row_spool *spool, struct iteration_row *out)
{
    return fread(out, sizeof *out, 1, spool->iterations) == 1;
}

int row_spool_next_prompt(struct row_spool *spool, struct prompt_row *out)
{
    return fread(out, sizeof *out, 1, spool->iterations) == 1;
}
