/* SPDX-License-Identifier: MIT */
/* bill.h — what is bought for so many GPUs: whole nodes and spare ones, their price and their power.
 *
 * Replicas of a device share its nodes. One that fits in a node is in one; a larger one takes as many as it needs. */
#ifndef TANDEM_PLANNER_BILL_H
#define TANDEM_PLANNER_BILL_H

#include "planner/trial.h"
#include "profiles/purchase.h"

enum { BILL_DEVICES_MAX = 64 };

/* How one buys. */
struct buying {
    bool whole_nodes;         /* else GPUs one by one */
    double spare_nodes;       /* of every device, on top of what holds the SLO */
    double hours_per_month;   /* 730 */
    enum price_kind kind;     /* which of the listed prices */
    double gpus_per_node;     /* of every device; 0: as each says */
    double most_nodes;        /* INFINITY: no limit, as below */
    double most_node_power_w; /* of all nodes */
    double rack_power_w, most_racks;
    const char *currency, *price_source, *price_date; /* of the plan's own prices; NULL: the plan does not say */
};

/* A price of one's own. */
struct own_price {
    const char *device;
    double per_h; /* of one GPU */
};

/* Devices that were met, and how they are bought. */
struct offer {
    char device[64], system[64], provenance[256]; /* system: what it is a device of; provenance: what the cost model of
                                                     it rests on, as the file's source says */
    struct purchase purchase;
};

struct offers {
    struct offer list[BILL_DEVICES_MAX];
    size_t count;
};

/* What of one device is bought. */
struct bill_line {
    const char *device;
    double gpus;                 /* needed */
    double gpus_per_node, nodes; /* nodes to buy without the spare ones; 0: bought by the GPU */
    double spare_nodes, bought;  /* GPUs to buy, those of spare nodes included */
    double price_per_h;          /* of one; NAN: nobody says */
    double cost_per_h, power_w;  /* power: of the nodes, or of the boards bought where a node's is not known */
};

struct bill {
    struct bill_line lines[MOST_POOLS]; /* [count], one a device */
    size_t count;
    double gpus, bought, nodes, cost_per_h, power_w, racks; /* nodes: spare ones included; racks 0: not asked for */
};

/* Notes how a device is bought, once. More devices than there is room for are bought by the GPU. */
void offers_add(struct offers *o, const char *device, const char *system, const struct purchase *purchase,
                const char *provenance);
const struct offer *offers_find(const struct offers *o, const char *device);

/* What is bought for what pools hold. A pool that holds less than it may, on average, is paid for by that share. */
void bill_make(const struct buying *b, const struct offers *o, const struct own_price *prices, size_t price_count,
               const struct held_gpus *held, size_t pools, struct bill *out);

/* Whether it is within the buyer's limits on nodes, power and racks. */
bool bill_is_allowed(const struct buying *b, const struct bill *bill);

/* One's own price of a device, by its name or that of its system; NULL where there is none. */
const struct own_price *bill_own_price(const struct offers *o, const struct own_price *prices, size_t price_count,
                                       const char *device);

/* Price of a GPU of a device an hour: one's own (by the device's name, or by that of its system), else the listed one,
 * else the device's; NAN where nobody says. */
double bill_price(const struct buying *b, const struct offers *o, const struct own_price *prices, size_t price_count,
                  const struct held_gpus *held);

#endif
