/* SPDX-License-Identifier: MIT */
/* reference.h — how fast a machine is just now: two fixed steps of the engine's own model, one of few rows, which reads
 * weights, and one of many, which computes, run between other steps for a share of their time. A machine that drifts
 * makes them drift alike, so times divided by the slowness are those of a machine that stays as it was while the
 * standard was set. */
#ifndef TANDEM_ENGINE_REF_REFERENCE_H
#define TANDEM_ENGINE_REF_REFERENCE_H

#include "engine_ref/instance.h"

enum reference_kind { REFERENCE_FEW_ROWS, REFERENCE_MANY_ROWS, REFERENCE_KINDS };

/* Four decodes over one block, and a prompt that no cache keeps. The block is an instance's last one: one more than it
 * needs otherwise. */
enum { REFERENCE_BLOCKS = 1, REFERENCE_SEQUENCES = 4, REFERENCE_PROMPT = 128 };

/* Of the time of the steps that it stands for. */
#define REFERENCE_SHARE 0.15

/* Half the weight of the slowness is on what ran within these seconds. */
#define REFERENCE_HALF_LIFE_S 3.0

/* One of the two in one second on the wall clock. */
struct reference_second {
    uint32_t at_s;      /* since the reference was set up */
    uint32_t count;     /* how often it ran */
    double ns, wall_ns; /* means, by the clock it is measured by and by the wall clock */
};

struct reference_step {
    double standard_ns;               /* what it takes at slowness 1 */
    struct reference_second *seconds; /* [second_count], owned */
    size_t second_count, second_capacity;
    struct step step; /* this and the rest are its own */
    int64_t last_ns;  /* on the wall clock */
    double debt_ns;   /* by which it is behind its share */
    double weight, weighted_ns;
};

struct reference {
    bool cpu_time; /* measured by CPU time of the calling thread, not by the wall clock */
    int64_t began_ns;
    uint32_t block;
    struct reference_step steps[REFERENCE_KINDS];
};

/* Runs both on the instance for `each_s`, and takes the means for the standard. Returns 0, or -1 on failure; release
 * with reference_release in either case. */
int reference_create(struct reference *r, struct instance *e, bool cpu_time, double each_s, struct error *err);
void reference_release(struct reference *r);

/* Which of them stands for a step of so many rows. */
enum reference_kind reference_of(uint64_t rows);

/* One more step that it stands for took `ns`. */
void reference_owe(struct reference *r, enum reference_kind kind, int64_t ns);

/* Runs it until it has had its share; after a step of its kind, so that caches are as they are then. */
int reference_catch_up(struct reference *r, enum reference_kind kind, struct instance *e, struct error *err);

/* What it takes just now over its standard. */
double reference_slowness(const struct reference *r, enum reference_kind kind);

#endif
