/* SPDX-License-Identifier: MIT */
#include "workloads/trace_agents.h"

#include <stdlib.h>

#include "base/array.h"
#include "workloads/trace_follow.h"

enum { NODES_MAX = 4096 };

/* A graph while it is read. Nodes may name others that come later in the line. */
struct graph {
    const cJSON *edges;
    const cJSON *nodes[NODES_MAX]; /* [count] */
    size_t rows[NODES_MAX];        /* SIZE_MAX: not added yet */
    size_t count, added;
    struct row_wait *waits; /* of the node that is added; this and the next are an array's */
    size_t wait_capacity;
};

bool agents_has(const struct object *o)
{
    return cJSON_GetObjectItemCaseSensitive(o->node, "sub_requests") ||
           cJSON_GetObjectItemCaseSensitive(o->node, "nodes");
}

static int read_lengths(const struct object *o, struct arrival *a)
{
    return object_count(o, "input_toks", NEEDED, 0, TRACE_TOKENS_MAX, &a->prompt_tokens) ||
                   object_count(o, "output_toks", NEEDED, 0, TRACE_TOKENS_MAX, &a->output_tokens)
               ? -1
               : 0;
}

/* Each waits for the one before it and the tool that this one calls; its prompt goes on from there. */
static int read_chain(const struct object *line, const cJSON *list, struct arrival *first)
{
    sim_time tool = 0;
    bool any = false;
    if (!cJSON_IsArray(list) || !list->child)
        return object_complain(line, list, "\"sub_requests\" as a list of at least one");
    for (const cJSON *n = list->child; n; n = n->next) {
        const struct object o = {.row = line->row, .node = n, .err = line->err};
        const struct row_wait before = {.row = program_rows_count(line->row->programs) - 1};
        const struct row_said said = {.waits = &before,
                                      .wait_count = n != list->child,
                                      .tool = tool,
                                      .context_tokens = UINT32_MAX};
        struct arrival a = {.at = first->at};
        tool = 0;
        if (!cJSON_IsObject(n))
            return object_complain(line, n, "objects in \"sub_requests\"");
        if (read_lengths(&o, &a) || program_rows_add(line->row->programs, &a, &said, line->err) ||
            follow_time(&o, "tool_duration_ns", 1, &tool, &any))
            return -1;
    }
    return 0;
}

/* The place of the node that an edge names. */
static int find_node(const struct object *line, const struct graph *g, const cJSON *name, size_t *out)
{
    for (size_t i = 0; name && i < g->count; i++) {
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(g->nodes[i], "node_id");
        bool same = id ? cJSON_Compare(id, name, true) : cJSON_IsNumber(name) && name->valuedouble == (double)i;
        if (same) {
            *out = i;
            return 0;
        }
    }
    return object_complain(line, name, "\"src\" and \"dst\" of each edge as the \"node_id\" of a node");
}

/* Those that a node waits for; *open: one of them is not added yet. */
static int find_waits(const struct object *line, struct graph *g, size_t node, struct row_said *said, bool *open)
{
    *said = (struct row_said){0};
    for (const cJSON *e = g->edges ? g->edges->child : NULL; e; e = e->next) {
        const struct object o = {.row = line->row, .node = e, .err = line->err};
        size_t from = 0, to = 0;
        sim_time delay = 0;
        if (!cJSON_IsObject(e))
            return object_complain(line, e, "objects in \"edges\"");
        if (find_node(line, g, cJSON_GetObjectItemCaseSensitive(e, "src"), &from) ||
            find_node(line, g, cJSON_GetObjectItemCaseSensitive(e, "dst"), &to) ||
            follow_time(&o, "delay_ns", 1, &delay, &(bool){false}))
            return -1;
        if (to != node)
            continue;
        struct row_wait *grown = array_grow(g->waits, &g->wait_capacity, said->wait_count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(line->err);
        g->waits = grown;
        grown[said->wait_count++] = (struct row_wait){.row = g->rows[from], .delay = delay};
        *open |= g->rows[from] == SIZE_MAX;
    }
    said->waits = g->waits;
    return 0;
}

static int add_node(const struct object *line, struct graph *g, size_t node, const struct arrival *first)
{
    const struct object o = {.row = line->row, .node = g->nodes[node], .err = line->err};
    struct arrival a = {.at = first->at};
    struct row_said said;
    bool open = false;
    size_t row = program_rows_count(line->row->programs);
    if (find_waits(line, g, node, &said, &open))
        return -1;
    if (open)
        return 0;
    if (read_lengths(&o, &a) || program_rows_add(line->row->programs, &a, &said, line->err))
        return -1;
    g->rows[node] = row;
    g->added++;
    return 0;
}

/* Nodes whose predecessors are all there, until none is left. */
static int add_nodes(const struct object *line, struct graph *g, const struct arrival *first)
{
    while (g->added < g->count) {
        size_t before = g->added;
        for (size_t i = 0; i < g->count; i++)
            if (g->rows[i] == SIZE_MAX && add_node(line, g, i, first))
                return -1;
        if (g->added == before)
            return object_complain(line, g->edges, "\"edges\" without a cycle");
    }
    for (size_t i = 1; i < g->count; i++)
        program_rows_join(line->row->programs, g->rows[0], g->rows[i]);
    return 0;
}

static int read_graph(const struct object *line, const cJSON *nodes, const struct arrival *first)
{
    struct graph *g = calloc(1, sizeof *g);
    int status = 0;
    if (!g)
        return error_no_memory(line->err);
    if (object_find(line, "edges", &g->edges))
        status = -1;
    if (status == 0 && (!cJSON_IsArray(nodes) || !nodes->child || (g->edges && !cJSON_IsArray(g->edges))))
        status = object_complain(line, nodes, "\"nodes\" as a list of at least one, and \"edges\", if any, as a list");
    for (const cJSON *n = nodes->child; status == 0 && n; n = n->next) {
        if (!cJSON_IsObject(n) || g->count == NODES_MAX)
            status = object_complain(line, n, "at most 4096 objects in \"nodes\"");
        else {
            g->rows[g->count] = SIZE_MAX;
            g->nodes[g->count++] = n;
        }
    }
    if (status == 0)
        status = add_nodes(line, g, first);
    free(g->waits);
    free(g);
    return status;
}

int agents_read(const struct object *o, struct arrival *first)
{
    const cJSON *chain, *nodes;
    if (!o->row->programs)
        return error_set(o->err, ERROR_INPUT,
                         "%s:%ld: is an agent, whose requests have no times of their own; expected one only with "
                         "workload.loop \"closed\"",
                         o->row->file, o->row->line.number);
    if (object_time(o, "arrival_time_ns", &first->at) || object_find(o, "sub_requests", &chain) ||
        object_find(o, "nodes", &nodes))
        return -1;
    return nodes ? read_graph(o, nodes, first) : read_chain(o, chain, first);
}
