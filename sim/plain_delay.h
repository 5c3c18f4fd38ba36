/* SPDX-License-Identifier: MIT */
/* plain_delay.h — the kind of station that takes a request for a drawn time, and lets all of them go on. */
#ifndef TANDEM_SIM_PLAIN_DELAY_H
#define TANDEM_SIM_PLAIN_DELAY_H

#include "sim/delay.h"
#include "sim/pool_kinds.h"

#define PLAIN_DELAY_KIND                                                                                               \
    {                                                                                                                  \
        "delay", POOL_DELAY, "servers that take a request at a time for a drawn time: a front end, a retrieval",       \
            "RAGO (Jiang et al., ISCA 2025)"                                                                           \
    }

#define PLAIN_DELAY_FORM                                                                                               \
    {                                                                                                                  \
        .is = {.name = "DELAY", .help = "a delay station"}, .kind = FIELD_OBJECT, .when = "service_s",                 \
        .members = plain_delay_fields, .title = "delay_pool"                                                           \
    }

extern const struct field plain_delay_fields[];
extern const struct delay_kind plain_delay;

#endif
