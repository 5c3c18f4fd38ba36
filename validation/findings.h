/* SPDX-License-Identifier: MIT */
/* findings.h — what a validation of the engine has found so far, kept in a file, so that one that was interrupted goes
 * on. The file has one JSON object a line; one that was cut short, in its last line or any other, is passed over, and
 * what is kept after it begins on a line of its own. */
#ifndef TANDEM_VALIDATION_FINDINGS_H
#define TANDEM_VALIDATION_FINDINGS_H

#include "engine_ref/reference.h"
#include "reports/stats/latencies.h"

enum { ENGINE_REPEATS = 100 }; /* the most of them */

/* Kinds of iterations, priced one by one: of decodes alone, right after an iteration with prompts on the same replica
 * or not, padded or not; of prompts alone, plain, padded or packed; of both. */
enum priced_kind {
    PRICED_DECODES,
    PRICED_DECODES_AFTER_PROMPTS,
    PRICED_PADDED_DECODES,
    PRICED_PADDED_DECODES_AFTER_PROMPTS,
    PRICED_PROMPTS,
    PRICED_PADDED_PROMPTS,
    PRICED_PACKED_PROMPTS,
    PRICED_MIXED,
    PRICED_KINDS
};

extern const char *const priced_kind_names[PRICED_KINDS];

/* Iterations of one kind that were served: how many, what they took, what the profile says of the same batches, and,
 * with e = said ÷ taken − 1 of each, Σ e and Σ e². */
struct priced {
    double count, taken_s, said_s, errors, squares;
};

/* How the machine was while a run was served. */
struct served_speed {
    double told_s, wall_s, cpu_s; /* Σ iterations: as the run was told, on the wall clock, of CPU time */
    /* The reference steps over their standards, each in its fastest and its slowest second. */
    double fastest[REFERENCE_KINDS], slowest[REFERENCE_KINDS];
    /* What drift alone is worth: means of the simulation with it over those without, − 1. */
    double changes[MEASURED_METRICS];
};

/* The simulator driven by the served iterations. */
struct replayed {
    double iterations, mismatches; /* batches that were not those served */
    double difference_ns;          /* the largest of any stamp */
};

/* What one repeat found of one policy at one load. */
struct finding {
    double requests, rate_per_s; /* the load: 0/s is all at once, or as the scenario says */
    struct comparison latencies;
    double throughput_error;                /* of requests a second: simulated / measured − 1 */
    double measured_e2e_s, simulated_e2e_s; /* means */
    double measured_rate, simulated_rate;   /* requests a second */
    struct priced priced[PRICED_KINDS];
    struct served_speed speed;
    struct replayed replayed;
};

/* Adds a line to the file, which is made where it is not there. `key` says in full what was asked. Returns 0, or -1
 * when the file cannot be written. */
int findings_keep(const char *file, const char *key, const struct finding *f, const struct latencies *measured,
                  const struct latencies *simulated, struct error *err);

/* Looks for the key. *found is false where the file is not there, or has no whole line of it; the finding and the
 * latencies (owned by the caller) are replaced where it is true. Returns 0, or -1 when memory is short or the file
 * cannot be read. */
int findings_recall(const char *file, const char *key, bool *found, struct finding *f, struct latencies *measured,
                    struct latencies *simulated, struct error *err);

#endif
