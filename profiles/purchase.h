/* SPDX-License-Identifier: MIT */
/* purchase.h — how a device is bought: in nodes of so many GPUs, at listed prices with their source and date. */
#ifndef TANDEM_PROFILES_PURCHASE_H
#define TANDEM_PROFILES_PURCHASE_H

#include "base/json.h"

enum price_kind { PRICE_ON_DEMAND, PRICE_RESERVED, PRICE_SPOT, PRICE_KINDS };

extern const char *const price_kind_names[]; /* "on_demand", "reserved", "spot"; ends with NULL */

/* Of one GPU an hour. */
struct listed_price {
    double per_h; /* 0: not listed */
    char source[96], date[16];
};

struct purchase {
    double gpus_per_node; /* 0: not said; such a device is bought by the GPU */
    double link_gpus;     /* that one fast link joins (an NVLink domain), in as many nodes as it takes; 0: a node's */
    double node_power_w;  /* of a whole node at most; 0: not said */
    struct listed_price prices[PRICE_KINDS];
};

extern const char *const purchase_keys[]; /* of a device file; ends with NULL */

/* Reads the members that say it from a device's object; what is not there stays as it is. */
int purchase_read(const struct json *device, struct purchase *out, struct error *err);

/* Whether a device's object says anything of it; and whether anything is known of a purchase. */
bool purchase_is_said(const struct json *device);
bool purchase_is_known(const struct purchase *p);

#endif
