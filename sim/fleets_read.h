/* SPDX-License-Identifier: MIT */
/* fleets_read.h — which replicas come and go together: as the cluster says, or a pool for itself. */
#ifndef TANDEM_SIM_FLEETS_READ_H
#define TANDEM_SIM_FLEETS_READ_H

#include "sim/scenario.h"

/* Reads the fleets of a cluster, whose pools and steps are read and whose stations are counted; none where nobody asks
 * for one. */
int fleets_read(struct scenario *s, const struct json *cluster, struct error *err);

#endif
