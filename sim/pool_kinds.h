/* SPDX-License-Identifier: MIT */
/* pool_kinds.h — the kinds of pools that a cluster may have: replicas, and stations that requests go through one by one
 * (delay.h). A kind of station is a file with a struct delay_kind, and its lines here and in pool_kinds.c. */
#ifndef TANDEM_SIM_POOL_KINDS_H
#define TANDEM_SIM_POOL_KINDS_H

#include "base/fields.h"

enum pool_kind { POOL_REPLICA, POOL_DELAY, POOL_CACHE };

extern const struct choice pool_kinds[];   /* enum pool_kind */
extern const struct choice replica_kind[]; /* the first of them alone */

/* The forms of a pool: that of each kind of station, and that of replicas. */
extern const struct field pool_forms[];

/* Of a kind of station; NULL for replicas. */
const struct delay_kind *delay_kind_of(enum pool_kind kind);

#endif
