/* SPDX-License-Identifier: MIT */
/* pools_read.h — a scenario's cluster as it is written: its pools, how requests flow through them, and links. */
#ifndef TANDEM_SIM_POOLS_READ_H
#define TANDEM_SIM_POOLS_READ_H

#include "sim/scenario.h"

/* The forms of "cluster": named pools, or the short form. */
extern const struct field cluster_forms[];

/* Fields that a pool may have of its own, and the scenario or its policy for all; `OTHERWISE` is what holds without. */
#define ENGINE(OTHERWISE)                                                                                              \
    {                                                                                                                  \
        .is = {.name = "engine", .help = "serving engine (docs/profiles.md)"}, .kind = FIELD_FORMS,                    \
        .otherwise = OTHERWISE, .members = engine_forms                                                                \
    }

#define BATCHING(PRESET, OTHERWISE)                                                                                    \
    {                                                                                                                  \
        .is = {.name = "batching", .preset_text = PRESET, .help = "batching policy: what a replica does next"},        \
        .kind = FIELD_NAMED, .otherwise = OTHERWISE, .names = batching_policy_at, .listed = "policies",                \
        .title = "batching_policy"                                                                                     \
    }

#define ADMISSION(OTHERWISE)                                                                                           \
    {                                                                                                                  \
        .is = {.name = "admission", .help = "KV that a request needs to be admitted (docs/policies/admission.md)"},    \
        .kind = FIELD_CHOICE, .otherwise = OTHERWISE, .choices = kv_admissions                                         \
    }

#define PREEMPTION(PRESET, OTHERWISE)                                                                                  \
    {                                                                                                                  \
        .is = {.name = "preemption",                                                                                   \
               .preset_text = PRESET,                                                                                  \
               .help = "what becomes of a preempted request's KV (docs/policies/admission.md)"},                       \
        .kind = FIELD_CHOICE, .otherwise = OTHERWISE, .choices = preemptions, .members = preemption_fields             \
    }

extern const struct field engine_forms[], preemption_fields[], pool_fields[];

/* Reads "cluster" into the scenario: its pools, with what each says of itself, and of cluster_config all that needs no
 * costs. `layerwise`: whether KV is sent as soon as a layer is computed. */
int pools_read_cluster(struct scenario *s, bool *layerwise, struct error *err);

#endif
