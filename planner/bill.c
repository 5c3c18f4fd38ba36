/* SPDX-License-Identifier: MIT */
#include "planner/bill.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void offers_add(struct offers *o, const char *device, const char *system, const struct purchase *purchase,
                const char *provenance)
{
    if (o->count == BILL_DEVICES_MAX || offers_find(o, device))
        return;
    struct offer *offer = &o->list[o->count++];
    *offer = (struct offer){.purchase = *purchase};
    snprintf(offer->device, sizeof offer->device, "%s", device);
    snprintf(offer->system, sizeof offer->system, "%s", system);
    snprintf(offer->provenance, sizeof offer->provenance, "%s", provenance);
}

const struct offer *offers_find(const struct offers *o, const char *device)
{
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->list[i].device, device) == 0)
            return &o->list[i];
    return NULL;
}

const struct own_price *bill_own_price(const struct offers *o, const struct own_price *prices, size_t price_count,
                                       const char *device)
{
    const struct offer *offer = offers_find(o, device);
    const char *const names[] = {device, offer ? offer->system : device};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < price_count; i++)
            if (strcmp(prices[i].device, names[k]) == 0)
                return &prices[i];
    return NULL;
}

double bill_price(const struct buying *b, const struct offers *o, const struct own_price *prices, size_t price_count,
                  const struct held_gpus *held)
{
    const struct own_price *own = bill_own_price(o, prices, price_count, held->device);
    const struct offer *offer = offers_find(o, held->device);
    if (own)
        return own->per_h;
    double listed = offer ? offer->purchase.prices[b->kind].per_h : 0;
    if (b->kind == PRICE_ON_DEMAND && held->price_per_h > 0) /* a device's own price_per_hour goes before a list */
        return held->price_per_h;
    return listed > 0 ? listed : NAN;
}

/* So many replicas of a size. */
struct parcel {
    double size, count;
};

static size_t parcels_of(const struct held_gpus *held, size_t pools, const char *device, struct parcel *out)
{
    size_t n = 0;
    for (size_t i = 0; i < pools; i++) {
        double size = held[i].together > 0 ? held[i].together : 1;
        size_t at = n;
        if (strcmp(held[i].device, device) != 0 || !(held[i].gpus > 0))
            continue;
        while (at > 0 && out[at - 1].size < size) { /* the largest first */
            out[at] = out[at - 1];
            at--;
        }
        out[at] = (struct parcel){size, ceil(held[i].gpus / size - 1e-9)};
        n++;
    }
    return n;
}

/* How many of each parcel go into one node, the largest first; returns how many nodes can be filled alike. */
static double fill_node(const struct parcel *left, size_t n, double node, double *taken)
{
    double room = node, alike = INFINITY;
    for (size_t i = 0; i < n; i++) {
        taken[i] = fmin(left[i].count, floor(room / left[i].size + 1e-9));
        room -= taken[i] * left[i].size;
        if (taken[i] > 0)
            alike = fmin(alike, floor(left[i].count / taken[i] + 1e-9));
    }
    return alike;
}

/* First fit, the largest first: which is exact where sizes divide one another, as powers of two do. */
static double count_nodes(struct parcel *left, size_t n, double node)
{
    double nodes = 0, taken[MOST_POOLS];
    for (size_t i = 0; i < n; i++)
        if (left[i].size > node) {
            nodes += left[i].count * ceil(left[i].size / node - 1e-9);
            left[i].count = 0;
        }
    for (;;) {
        double alike = fill_node(left, n, node, taken);
        if (!isfinite(alike))
            return nodes;
        nodes += alike;
        for (size_t i = 0; i < n; i++)
            left[i].count -= alike * taken[i];
    }
}

/* Boards' power of the pools of a device, of one GPU on average. */
static double board_power(const struct held_gpus *held, size_t pools, const char *device)
{
    double power = 0, gpus = 0;
    for (size_t i = 0; i < pools; i++)
        if (strcmp(held[i].device, device) == 0) {
            power += held[i].gpus * held[i].power_w;
            gpus += held[i].gpus;
        }
    return gpus > 0 ? power / gpus : 0;
}

static void make_line(const struct buying *b, const struct offers *o, const struct held_gpus *held, size_t pools,
                      double price, struct bill_line *line)
{
    struct parcel parcels[MOST_POOLS];
    const struct offer *offer = offers_find(o, line->device);
    double mean = 0;
    for (size_t i = 0; i < pools; i++)
        if (strcmp(held[i].device, line->device) == 0) {
            line->gpus += held[i].gpus;
            mean += held[i].mean;
        }
    line->gpus_per_node = b->gpus_per_node > 0 ? b->gpus_per_node : offer ? offer->purchase.gpus_per_node : 0;
    bool by_node = b->whole_nodes && line->gpus_per_node > 0;
    line->nodes =
        by_node ? count_nodes(parcels, parcels_of(held, pools, line->device, parcels), line->gpus_per_node) : 0;
    line->spare_nodes = by_node ? b->spare_nodes : 0;
    double share = mean < line->gpus * (1 - 1e-9) && line->gpus > 0 ? mean / line->gpus : 1;
    double served = by_node ? line->nodes * line->gpus_per_node : line->gpus;
    line->bought = served + line->spare_nodes * line->gpus_per_node;
    line->price_per_h = price;
    line->cost_per_h = (served * share + line->spare_nodes * line->gpus_per_node) * price;
    double node_power = offer ? offer->purchase.node_power_w : 0;
    line->power_w = by_node && node_power > 0 ? (line->nodes + line->spare_nodes) * node_power
                                              : line->bought * board_power(held, pools, line->device);
}

/* Racks that hold so many nodes, each device's for themselves, as many in one as its power allows. */
static double racks_of(const struct buying *b, const struct bill_line *line)
{
    double nodes = line->nodes + line->spare_nodes;
    if (!isfinite(b->rack_power_w) || nodes == 0)
        return 0;
    double a_node = line->power_w / nodes, in_rack = a_node > 0 ? floor(b->rack_power_w / a_node + 1e-9) : INFINITY;
    return in_rack >= 1 ? ceil(nodes / in_rack - 1e-9) : INFINITY;
}

void bill_make(const struct buying *b, const struct offers *o, const struct own_price *prices, size_t price_count,
               const struct held_gpus *held, size_t pools, struct bill *out)
{
    *out = (struct bill){0};
    for (size_t i = 0; i < pools; i++) {
        size_t at = 0;
        if (!(held[i].gpus > 0))
            continue;
        while (at < out->count && strcmp(out->lines[at].device, held[i].device) != 0)
            at++;
        if (at < out->count)
            continue;
        struct bill_line *line = &out->lines[out->count++];
        line->device = held[i].device;
        make_line(b, o, held, pools, bill_price(b, o, prices, price_count, &held[i]), line);
        out->gpus += line->gpus;
        out->bought += line->bought;
        out->nodes += line->nodes + line->spare_nodes;
        out->cost_per_h += line->cost_per_h;
        out->power_w += line->power_w;
        out->racks += racks_of(b, line);
    }
}

bool bill_is_allowed(const struct buying *b, const struct bill *bill)
{
    const double same = 1 + 1e-9;
    return !(bill->nodes > b->most_nodes * same) && !(bill->power_w > b->most_node_power_w * same) &&
           !(bill->racks > b->most_racks * same) && isfinite(bill->racks);
}
