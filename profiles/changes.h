/* SPDX-License-Identifier: MIT */
/* changes.h — kinds of change that put something next to the model's own work: proposed tokens, a second model, another
 * source of KV or weights, other ranks, or something that runs at the same time. */
#ifndef TANDEM_PROFILES_CHANGES_H
#define TANDEM_PROFILES_CHANGES_H

#include "profiles/technique.h"

extern const struct change_kind change_speculation, change_kv_read, change_shared_prefix_attention, change_prompt_keep,
    change_kv_reuse, change_shared_gpu, change_background, change_adapters, change_phase_model, change_overlap,
    change_weights_source, change_sequence_ranks;

#endif
