/* SPDX-License-Identifier: MIT */
#include "workloads/trace_follow.h"

enum { NAME_SIZE = 40, WAITS_MAX = 256 };

const char *follow_name(const cJSON *node, char *buffer, size_t size)
{
    if (cJSON_IsString(node))
        return node->valuestring;
    if (!cJSON_IsNumber(node))
        return NULL;
    snprintf(buffer, size, "%.17g", node->valuedouble);
    return buffer;
}

int follow_time(const struct object *o, const char *key, double ns, sim_time *out, bool *said)
{
    const cJSON *node = NULL;
    if (!key)
        return 0;
    if (object_find(o, key, &node))
        return -1;
    if (!node || cJSON_IsNull(node))
        return 0;
    if (!cJSON_IsNumber(node) || !(node->valuedouble >= 0 && node->valuedouble * ns <= 9e18)) {
        char expected[80];
        snprintf(expected, sizeof expected, "\"%s\", if any, a time from 0 on,", key);
        return object_complain(o, node, expected);
    }
    *out = (sim_time)(node->valuedouble * ns + 0.5);
    *said = true;
    return 0;
}

/* What a line says, while it is read. */
struct follow {
    const struct follow_keys *keys;
    struct row_wait waits[WAITS_MAX];
    struct row_said said;
    const cJSON *request, *session, *after;
    bool timed, delayed;
};

static int find_member(const struct object *o, const char *key, const cJSON **out)
{
    *out = NULL;
    if (key && object_find(o, key, out))
        return -1;
    if (cJSON_IsNull(*out))
        *out = NULL;
    return 0;
}

static int read_times(const struct object *o, struct follow *f, struct arrival *a)
{
    const struct follow_keys *keys = f->keys;
    const cJSON *node = NULL;
    bool tool = false;
    for (int i = 0; i < 2 && keys->times[i] && !f->timed; i++) {
        if (find_member(o, keys->times[i], &node) || (node && object_time(o, keys->times[i], &a->at)))
            return -1;
        f->timed = node != NULL;
    }
    for (int i = 0; i < 2; i++)
        if (follow_time(o, keys->delays[i], keys->ns, &f->said.delay, &f->delayed))
            return -1;
    return follow_time(o, keys->tool, keys->ns, &f->said.tool, &tool);
}

static int read_members(const struct object *o, struct follow *f)
{
    const struct follow_keys *keys = f->keys;
    f->said.context_tokens = UINT32_MAX;
    return find_member(o, keys->request, &f->request) || find_member(o, keys->session, &f->session) ||
                   find_member(o, keys->after, &f->after) ||
                   (keys->context &&
                    object_count(o, keys->context, OPTIONAL, 0, TRACE_TOKENS_MAX, &f->said.context_tokens))
               ? -1
               : 0;
}

/* Whom it names: nothing, one or several. */
static const cJSON *first_name(const cJSON *after)
{
    return cJSON_IsArray(after) ? after->child : after;
}

static int add_wait(const struct object *o, struct follow *f, struct row_wait wait)
{
    if (f->said.wait_count == WAITS_MAX)
        return error_set(o->err, ERROR_INPUT, "%s:%ld: waits for more than %d requests", o->row->file,
                         o->row->line.number, WAITS_MAX);
    f->waits[f->said.wait_count++] = wait;
    return 0;
}

/* A name, or an object with it and a delay of its own. */
static int read_name(const struct object *o, struct follow *f, const cJSON *node, char *text, const char **name,
                     sim_time *delay)
{
    const struct object member = {.row = o->row, .node = node, .err = o->err};
    const cJSON *id = node;
    bool said = false;
    *delay = 0;
    if (cJSON_IsObject(node) && (find_member(&member, f->keys->request, &id) ||
                                 follow_time(&member, f->keys->delays[0], f->keys->ns, delay, &said)))
        return -1;
    *name = follow_name(id, text, NAME_SIZE);
    return 0;
}

static int find_waits(const struct object *o, struct follow *f)
{
    char text[NAME_SIZE];
    for (const cJSON *n = first_name(f->after); n; n = cJSON_IsArray(f->after) ? n->next : NULL) {
        const char *name = NULL;
        sim_time delay = 0;
        if (read_name(o, f, n, text, &name, &delay))
            return -1;
        if (f->keys->recorded && cJSON_IsNumber(n) && n->valuedouble < 0) /* nobody */
            continue;
        size_t row = name ? program_rows_find(o->row->programs, ROW_REQUEST, name) : SIZE_MAX;
        char expected[80];
        snprintf(expected, sizeof expected, "in \"%s\" the \"%s\" of a line above,", f->keys->after, f->keys->request);
        if (row == SIZE_MAX)
            return object_complain(o, n, expected);
        if (add_wait(o, f, (struct row_wait){.row = row, .delay = delay}))
            return -1;
    }
    return 0;
}

/* The request before it in its session; SIZE_MAX: it is the first, or in none. */
static size_t before_in_session(const struct object *o, const struct follow *f)
{
    char text[NAME_SIZE];
    const char *name = follow_name(f->session, text, sizeof text);
    return name ? program_rows_find(o->row->programs, ROW_SESSION, name) : SIZE_MAX;
}

static int chain(const struct object *o, struct follow *f, size_t before)
{
    return f->keys->chained && !f->after && !f->request && before != SIZE_MAX
               ? add_wait(o, f, (struct row_wait){.row = before})
               : 0;
}

/* What lies between two recorded times. */
static int infer_delay(const struct object *o, struct follow *f, const struct arrival *a)
{
    bool inferred = f->keys->recorded || (f->keys->chained && !f->request && f->timed && !f->delayed);
    if (f->said.wait_count == 0 || !inferred)
        return 0;
    f->said.delay = a->at - program_rows_arrival(o->row->programs, f->waits[0].row)->at;
    return f->said.delay >= 0 ? 0 : object_complain(o, NULL, "a time not before that of the request it waits for");
}

static int name_row(const struct object *o, const struct follow *f, size_t row, size_t before)
{
    struct program_rows *rows = o->row->programs;
    char text[NAME_SIZE];
    const char *request = follow_name(f->request, text, sizeof text);
    if (request && program_rows_find(rows, ROW_REQUEST, request) != SIZE_MAX)
        return object_complain(o, f->request, "a name that no line above has");
    if (request && program_rows_give_name(rows, ROW_REQUEST, request, row, o->err))
        return -1;
    if (before != SIZE_MAX)
        program_rows_join(rows, before, row);
    const char *session = follow_name(f->session, text, sizeof text);
    return session ? program_rows_give_name(rows, ROW_SESSION, session, row, o->err) : 0;
}

static int add_row(const struct object *o, struct follow *f, const struct arrival *a)
{
    size_t before = before_in_session(o, f), row = program_rows_count(o->row->programs);
    if (find_waits(o, f) || chain(o, f, before))
        return -1;
    if (f->said.wait_count == 0 && !f->timed) {
        char expected[80];
        snprintf(expected, sizeof expected, "\"%s\" of a request that waits for nobody", f->keys->times[0]);
        return object_complain(o, NULL, expected);
    }
    struct arrival added = *a;
    if (f->timed && f->said.wait_count > 0 && infer_delay(o, f, a))
        return -1;
    f->said.waits = f->waits;
    return program_rows_add(o->row->programs, &added, &f->said, o->err) || name_row(o, f, row, before) ? -1 : 0;
}

int follow_read(const struct object *o, const struct follow_keys *keys, struct arrival *a)
{
    struct follow f = {.keys = keys};
    if (read_times(o, &f, a) || (!f.timed && !o->row->programs && object_time(o, keys->times[0], &a->at)) ||
        keys->lengths(o, a) || read_members(o, &f))
        return -1;
    if (o->row->programs)
        return add_row(o, &f, a);
    bool waits = !keys->recorded && (first_name(f.after) || f.delayed);
    if (waits && !o->row->open)
        return error_set(o->err, ERROR_INPUT,
                         "%s:%ld: waits for other requests; state workload.loop, \"closed\" to have it wait, or "
                         "\"open\" to have it come at its time",
                         o->row->file, o->row->line.number);
    return 0;
}
