/* SPDX-License-Identifier: MIT */
/* classes.h — a workload of several classes, each a workload of its own: with its arrivals, lengths, prefixes and
 * turns, or a trace, its priority, and a window of time in which it lives. */
#ifndef TANDEM_WORKLOADS_CLASSES_H
#define TANDEM_WORKLOADS_CLASSES_H

#include "base/fields.h"
#include "workloads/source.h"

enum { WORKLOAD_CLASSES_MAX = 16 };

/* What a class says besides its workload; whoever reads that has this as the first member of what it reads into. */
struct class_said {
    double share, from_s, to_s;
    long long priority;
};

extern const struct field class_only[];

struct classes_said {
    long long requests, limit;
    double rate_scale;
};

/* Opens the workload of one class, and reads what else it says. */
typedef int class_open(const struct json *class, uint64_t seed, struct class_said *said, struct request_source *out,
                       struct error *err);

/* The classes of a workload: merged in order of time, and those with a share of the workload's own arrivals. */
int classes_create(const struct json *workload, const struct classes_said *said, uint64_t seed, class_open *open,
                   struct request_source *out, struct error *err);

#endif
