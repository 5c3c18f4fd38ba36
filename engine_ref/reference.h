/* SPDX-License-Identifier: MIT */
/* reference.h — how fast a machine is just now: a fixed step of the engine's own model (four decodes over one block),
 * run between other steps for a share of their time. A machine that drifts makes the reference drift alike, so times
 * divided by the slowness are those of a machine that stays as it was while the standard was set. */
#ifndef TANDEM_ENGINE_REF_REFERENCE_H
#define TANDEM_ENGINE_REF_REFERENCE_H

#include "engine_ref/instance.h"

/* The last block of an instance is the reference's: one more than it needs otherwise. */
enum { REFERENCE_BLOCKS = 1, REFERENCE_SEQUENCES = 4 };

/* The reference in one second on the wall clock. */
struct reference_second {
    uint32_t at_s;      /* since the reference was set up */
    uint32_t count;     /* how often it ran */
    double ns, wall_ns; /* means, by the clock it is measured by and by the wall clock */
};

struct reference {
    bool cpu_time;      /* measured by CPU time of the calling thread, not by the wall clock */
    double standard_ns; /* what it takes at slowness 1 */
    /* The rest is its own. */
    struct step step;
    uint32_t block;
    int64_t began_ns, last_ns; /* on the wall clock */
    double debt_ns;            /* by which it is behind its share */
    double weight, weighted_ns;
    struct reference_second *seconds; /* [second_count], owned */
    size_t second_count, second_capacity;
};

/* Runs it on the instance for `most_s`, and takes the mean for the standard. Returns 0, or -1 on failure; release with
 * reference_release in either case. */
int reference_create(struct reference *r, struct instance *e, bool cpu_time, double most_s, struct error *err);
void reference_release(struct reference *r);

/* Runs it until it has had its share of the steps until now, of which one more took `ns`. */
int reference_catch_up(struct reference *r, struct instance *e, int64_t ns, struct error *err);

/* What it takes just now over its standard: a mean of the last seconds, in which half the weight is on the last
 * REFERENCE_HALF_LIFE_S. */
double reference_slowness(const struct reference *r);

#define REFERENCE_SHARE 0.12
#define REFERENCE_HALF_LIFE_S 1.5

#endif
