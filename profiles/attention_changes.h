/* SPDX-License-Identifier: MIT */
/* attention_changes.h — a roofline's attention, as techniques change it: decodes that read a part of the KV that is
 * kept, a prefix that is read once for all who have it, and sequences whose KV lies on several ranks. */
#ifndef TANDEM_PROFILES_ATTENTION_CHANGES_H
#define TANDEM_PROFILES_ATTENTION_CHANGES_H

#include "profiles/cost.h"
#include "profiles/roofline.h"

/* As roofline_decode, with what the work says of changes. */
struct attention_line changed_decode(const struct attention_rates *r, double sequences, double kv_tokens);

/* A prompt chunk's attention over ranks that pass their keys and values around (ring attention, Liu et al. 2023, arXiv
 * 2310.01889): the longer of a rank's part and its messages. */
void ring_prefill(const struct attention_work *a, double new_tokens, double kv_before, struct attention_piece *piece);

#endif
