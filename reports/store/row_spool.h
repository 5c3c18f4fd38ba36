/* SPDX-License-Identifier: MIT */
/* row_spool.h — rows that are too many to keep in memory, on their way to the database.
 *
 * During a run they go, in the order they come, into a temporary file that has no name (it vanishes with the
 * process); when the run is saved they are read back and inserted in one transaction. */
#ifndef TANDEM_REPORTS_STORE_ROW_SPOOL_H
#define TANDEM_REPORTS_STORE_ROW_SPOOL_H

#include <stdio.h>

#include "reports/stats/metrics.h"

/* What the table `request` holds of one request. */
struct request_row {
    uint64_t id, replica;
    sim_time arrival;
    int64_t metrics[METRIC_COUNT]; /* nanoseconds; −1 where undefined */
    uint32_t prompt_tokens, output_tokens, preemptions, recomputed_tokens, cached_tokens;
    int64_t parts[PART_COUNT];
};

struct point_row {
    const char *series; /* a constant string */
    sim_time at;
    double value;
};

/* One row of `iteration`; its prompts follow. */
struct iteration_row {
    uint64_t replica;
    sim_time start, end;
    uint64_t decodes, decode_kv, prompt_tokens, padded_tokens, prompts;
};

struct prompt_row {
    uint64_t id, tokens;
};

struct row_spool {
    FILE *requests, *points, *iterations;
    bool failed; /* a write went wrong; told when rows are read back */
};

int row_spool_open(struct row_spool *spool, struct error *err);
void row_spool_close(struct row_spool *spool);

/* Where a run's metrics send their rows. */
struct row_sink row_spool_sink(struct row_spool *spool);

/* Starts reading from the first row; fails when rows were lost. Then 1 and a row, or as many rows as there are up to
 * `most`; 0 at the end, or where reading has failed. */
int row_spool_rewind(struct row_spool *spool, struct error *err);
size_t row_spool_next_requests(struct row_spool *spool, struct request_row *out, size_t most);
int row_spool_next_point(struct row_spool *spool, struct point_row *out);
int row_spool_next_iteration(struct row_spool *spool, struct iteration_row *out);
int row_spool_next_prompt(struct row_spool *spool, struct prompt_row *out);
bool row_spool_failed(const struct row_spool *spool);

#endif
