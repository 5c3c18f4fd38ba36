/* SPDX-License-Identifier: MIT */
/* trace_agents.h — agents of LLMServingSim's workloads: a line is a chain of sub-requests, or a graph of nodes. */
#ifndef TANDEM_WORKLOADS_TRACE_AGENTS_H
#define TANDEM_WORKLOADS_TRACE_AGENTS_H

#include "workloads/trace_object.h"

/* Whether the line is one. */
bool agents_has(const struct object *o);

/* Puts all its requests in the row's programs; an error where that has none. */
int agents_read(const struct object *o, struct arrival *first);

#endif
