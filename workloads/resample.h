/* SPDX-License-Identifier: MIT */
/* resample.h — other traces like one trace, for replications: the circular block bootstrap (Politis and Romano 1992).
 *
 * Stretches of equal length are drawn from the trace at random, with replacement, and laid end to end until they are as
 * long as the trace was; one that goes over its end goes on at its beginning. Bursts within a stretch stay as they
 * were. A stretch drawn twice brings the same prefixes twice. */
#ifndef TANDEM_WORKLOADS_RESAMPLE_H
#define TANDEM_WORKLOADS_RESAMPLE_H

#include "workloads/source.h"

/* Reads `trace` to its end and keeps it; the trace stays the caller's. Draws stretches of `block` each until they are
 * `times` as long as the trace. */
int resample_create(struct request_source *trace, sim_time block, uint32_t times, uint64_t seed,
                    struct request_source *out, struct error *err);

#endif
