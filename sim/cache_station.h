/* SPDX-License-Identifier: MIT */
/* cache_station.h — the kind of station that looks a request up and answers it when it has its answer: a share of the
 * requests by chance, or those with the same prompt as one whose answer it has kept. */
#ifndef TANDEM_SIM_CACHE_STATION_H
#define TANDEM_SIM_CACHE_STATION_H

#include "sim/delay.h"
#include "sim/pool_kinds.h"

#define CACHE_KIND                                                                                                     \
    {                                                                                                                  \
        "cache", POOL_CACHE, "keeps answers, and gives them to requests that ask the same again",                      \
            "Zhu et al. 2023 (arXiv 2306.02003)"                                                                       \
    }

#define CACHE_FORM                                                                                                     \
    {                                                                                                                  \
        .is = {.name = "CACHE", .help = "a response cache"}, .kind = FIELD_OBJECT, .when = "lookup_s",                 \
        .members = cache_fields, .title = "cache_pool"                                                                 \
    }

extern const struct field cache_fields[];
extern const struct delay_kind cache_station;

#endif
