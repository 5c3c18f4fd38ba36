/* SPDX-License-Identifier: MIT */
/* trace_object.h — members of a trace's line of JSON. What is wrong is told with the line, what was found and what is
 * allowed; all return 0, or -1 then. */
#ifndef TANDEM_WORKLOADS_TRACE_OBJECT_H
#define TANDEM_WORKLOADS_TRACE_OBJECT_H

#include <cjson/cJSON.h>

#include "workloads/trace_row.h"

#define WHOLE_MAX 9007199254740992.0 /* beyond it JSON's numbers leave some out */

/* A line's object, and where complaints about it go. */
struct object {
    struct trace_row *row;
    const cJSON *node;
    struct error *err;
};

enum need { NEEDED, OPTIONAL };

int object_complain(const struct object *o, const cJSON *found, const char *expected);

int object_find(const struct object *o, const char *key, const cJSON **out);
int object_whole(const struct object *o, const char *key, enum need need, double least, double most, double *out);
int object_count(const struct object *o, const char *key, enum need need, double least, double most, uint32_t *out);
int object_time(const struct object *o, const char *key, sim_time *out);
int object_hashes(const struct object *o, uint32_t piece, struct arrival *out);

#endif
