/* SPDX-License-Identifier: MIT */
/* link.h — moves bytes between sources and destinations, each of which has its own connection of a given bandwidth.
 *
 * `shared` (processor sharing): every transfer starts at once; a connection's bandwidth is shared equally among the
 * transfers that use it, and a transfer goes at the smaller of its two shares. `fifo`: a connection carries one
 * transfer at a time; a transfer starts when both of its connections are idle and no earlier one waits that could
 * start. A transfer that waits holds neither of them. In both a transfer arrives `latency` after its last byte was
 * sent; the connections are free by then. */
#ifndef TANDEM_SIM_LINK_H
#define TANDEM_SIM_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/units.h"

enum link_discipline { LINK_SHARED, LINK_FIFO };

struct link_config {
    double bytes_per_s; /* of each connection */
    sim_time latency;
    enum link_discipline discipline;
};

struct link_transfer {
    size_t from, to;
    void *what;        /* the caller's */
    double bytes_left; /* at `since` */
    sim_time since;
    double bytes_per_s; /* since then; 0: it waits */
    sim_time sent;      /* when its last byte is sent at this rate */
};

struct link {
    struct link_config config;
    size_t *sending, *receiving;     /* [sources], [destinations]: transfers under way of each */
    struct link_transfer *transfers; /* [count] under way or waiting, in the order they were asked for */
    size_t count, capacity;
    struct link_arrival {
        sim_time at;
        size_t from, to;
        void *what;
    } * arrivals; /* [arrival_count] sent, in order of arrival */
    size_t arrival_count, arrival_capacity;
    sim_time next; /* when the next byte stream ends or the next transfer arrives */
};

/* Returns 0, or -1 when memory is short. Release with link_release. */
int link_init(struct link *l, const struct link_config *config, size_t sources, size_t destinations);
void link_release(struct link *l);

/* Asks for a transfer of `bytes` at `now`. Returns -1 when memory is short. */
int link_send(struct link *l, size_t from, size_t to, double bytes, void *what, sim_time now);

/* When the link must be looked at again (link_arrived at that time), SIM_TIME_NEVER for never. */
static inline sim_time link_next(const struct link *l)
{
    return l->next;
}

/* Takes the next transfer that has arrived by `now`: its payload, and where it went. NULL: none has; ask until then. */
void *link_arrived(struct link *l, sim_time now, size_t *to);

/* How long a transfer of `bytes` that is asked for now will take if nothing changes: `shared`, at the share that it
 * gets next to what is under way and `others` to be asked for before; `fifo`, after the bytes that wait for its
 * connections and the `before` of those others. */
sim_time link_estimate(const struct link *l, size_t from, size_t to, double bytes, size_t others, double before,
                       sim_time now);

/* Ends a transfer from the source or to the destination, whether it waits, is under way, or has its last byte sent but
 * not arrived. Returns its payload, and where it was to go; NULL: there is none. */
void *link_cancel(struct link *l, size_t source, size_t destination, sim_time now, size_t *to);

#endif
