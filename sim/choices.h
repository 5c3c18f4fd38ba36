/* SPDX-License-Identifier: MIT */
/* choices.h — what a scenario may name that has no parameters of its own: tables by which it is read, checked, listed
 * and described. */
#ifndef TANDEM_SIM_CHOICES_H
#define TANDEM_SIM_CHOICES_H

#include "base/choice.h"

enum placement { COLOCATED, DISAGGREGATED, TWO_LEVEL, MIXED_POOL, REDUNDANT_KV };
enum tier_write_rule { TIER_WRITTEN_ON_EVICTION, TIER_WRITTEN_THROUGH };
enum tier_load_rule { TIER_READ_ALWAYS, TIER_READ_FASTER };
enum preemption { PREEMPT_BY_RECOMPUTING, PREEMPT_BY_SWAPPING };

extern const struct choice placements[];                /* enum placement */
extern const struct choice flow_choosers[];             /* enum flow_chooser (flow_choice.h) */
extern const struct choice preemptions[];               /* enum preemption */
extern const struct choice kv_admissions[];             /* enum kv_admission */
extern const struct choice link_disciplines[];          /* enum link_discipline */
extern const struct choice first_tokens[];              /* 1: from where it decodes */
extern const struct choice tier_sharings[];             /* enum tier_sharing (tiers.h) */
extern const struct choice tier_evictions[];            /* enum tier_eviction (tier.h) */
extern const struct choice tier_writes[], tier_loads[]; /* enum tier_write_rule, tier_load_rule */
extern const struct choice warmup_rules[];              /* enum warmup_rule */
extern const struct choice fates[];                     /* of requests of a replica that fails; 1: they are lost */

/* All of them, by what they are called where they are listed; ends with a NULL title. */
struct choice_table {
    const char *title, *of; /* "placement", "a placement" */
    const struct choice *choices;
};
extern const struct choice_table choice_tables[];

#endif
