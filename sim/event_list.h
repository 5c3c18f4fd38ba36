/* SPDX-License-Identifier: MIT */
/* event_list.h — when each station acts next. A binary heap with at most one event per station, so it
 * never allocates after creation. Ties go to the event that was set first. */
#ifndef TANDEM_SIM_EVENT_LIST_H
#define TANDEM_SIM_EVENT_LIST_H

#include <stddef.h>

#include "base/units.h"

struct event_list;

/* For stations 0 … stations − 1, none with an event. NULL when memory is short. */
struct event_list *event_list_create(size_t stations);
void event_list_destroy(struct event_list *events);

/* Sets or moves the station's event; SIM_TIME_NEVER takes it away. */
void event_list_set(struct event_list *events, size_t station, sim_time at);

/* Time of the earliest event, SIM_TIME_NEVER when there is none. */
sim_time event_list_next_time(const struct event_list *events);

/* Takes the earliest event out and returns its station; there must be one. */
size_t event_list_pop(struct event_list *events);

#endif
