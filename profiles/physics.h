/* SPDX-License-Identifier: MIT */
/* physics.h — what an operation takes at least on a device: its arithmetic at peak and its bytes at full bandwidth,
 * with no launch and no efficiency. It shares no formula with roofline.c, so that one can be held against the other. */
#ifndef TANDEM_PROFILES_PHYSICS_H
#define TANDEM_PROFILES_PHYSICS_H

#include "profiles/device.h"
#include "profiles/work.h"

/* Of one launch. Weights and KV have to come from memory; activations may still be in a cache. */
struct physics {
    enum dtype dtype; /* that the arithmetic is asked for in */
    double flops, memory_bytes, activation_bytes, link_bytes;
};

/* An operation on so many rows, scaled by its rows_scale already. */
struct physics physics_of_operation(const struct operation *op, double rows);

/* One layer's attention: a prompt chunk after `kv_before`; decodes over `kv_tokens` in all. */
struct physics physics_of_prefill(const struct attention_work *w, enum dtype dtype, double new_tokens,
                                  double kv_before);
struct physics physics_of_decode(const struct attention_work *w, enum dtype dtype, double sequences, double kv_tokens);

/* The least time; activations count where `in_memory` says that no cache holds them. 0 on devices without peaks. */
double physics_least_ns(const struct device *d, const struct physics *p, bool in_memory);

/* Measured points of a table that are faster than arithmetic at peak, or weights and KV at full bandwidth, allow. */
struct physics_report {
    size_t points, below; /* measured points that have a bound; those that are below it */
    double lowest;        /* share of the bound that the lowest one takes; 1 where none is below */
    double lowest_at[TABLE_AXES];
};

/* `own` is the work of the model that tables without a shape were measured on, or NULL; `dtype` is the model's. */
struct physics_report physics_check_table(const struct device *d, const struct work *own, enum dtype dtype,
                                          const struct cost_table *t);

#endif
