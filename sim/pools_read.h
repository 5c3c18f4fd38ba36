/* SPDX-License-Identifier: MIT */
/* pools_read.h — a scenario's cluster as it is written: its pools, how requests flow through them, and links. */
#ifndef TANDEM_SIM_POOLS_READ_H
#define TANDEM_SIM_POOLS_READ_H

#include "sim/scenario.h"

/* Reads "cluster" into the scenario: its pools, with what each says of itself, and of cluster_config all that needs no
 * costs. `layerwise`: whether KV is sent as soon as a layer is computed. */
int pools_read_cluster(struct scenario *s, bool *layerwise, struct error *err);

#endif
