/* SPDX-License-Identifier: MIT */
#include "reports/stats/request_metrics.h"

#include <string.h>

const char *const metric_names[METRIC_COUNT] = {"queue_s", "ttft_s", "tpot_s", "itl_s", "e2e_s", "normalized_s"};

enum metric metric_find(const char *name)
{
    enum metric m = 0;
    while (m < METRIC_COUNT && strcmp(metric_names[m], name) != 0)
        m++;
    return m;
}

struct request_metrics request_metrics_of(const struct request *r)
{
    struct request_metrics q;
    q.at[METRIC_QUEUE] = r->first_scheduled - r->queued;
    q.at[METRIC_TTFT] = r->first_token - r->arrival;
    q.at[METRIC_TPOT] = r->last_token > r->first_token ? (r->last_token - r->first_token) / (r->output_tokens - 1) : -1;
    q.at[METRIC_ITL] = -1;
    q.at[METRIC_E2E] = request_answered(r) - r->arrival;
    q.at[METRIC_NORMALIZED] = q.at[METRIC_E2E] / r->output_tokens;
    return q;
}
