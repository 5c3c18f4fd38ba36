/* SPDX-License-Identifier: MIT */
#include "base/field_paths.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

enum { CHILDREN_MAX = 96, TOLD_MAX = 32, PATH_MAX_BYTES = 200 };

struct child {
    struct field field;
    char when[120];
};

/* What may stand below a field, whatever its form; what several forms have in common is there once. */
struct children {
    struct child rows[CHILDREN_MAX];
    size_t count;
};

static void append(char *text, size_t size, const char *between, const char *more)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? between : "", more);
}

/* Of two forms one has a default. */
static void merge_default(struct field *into, const struct field *f)
{
    into->required = false;
    into->is.preset_text = f->is.preset_text;
    into->otherwise = f->otherwise;
}

/* `when` is NULL where the field may always be said. */
static void add(struct children *out, const struct field *f, const char *when, bool one_of_names)
{
    for (size_t i = 0; i < out->count; i++) {
        struct child *c = &out->rows[i];
        if (strcmp(c->field.is.name, f->is.name) != 0)
            continue;
        c->field.choices = f->of_all_forms ? f->of_all_forms : c->field.choices;
        if (c->field.required && !f->required)
            merge_default(&c->field, f);
        if (one_of_names && when)
            append(c->when, sizeof c->when, ", ", when);
        else
            c->when[0] = 0;
        return;
    }
    assert(out->count < CHILDREN_MAX);
    struct child *c = &out->rows[out->count++];
    c->field = *f;
    snprintf(c->when, sizeof c->when, "%s%s", when && one_of_names ? "with " : "", when ? when : "");
}

static void add_table(struct children *out, const struct field *table, const char *when, bool one_of_names)
{
    const struct field *f;
    for (size_t i = 0; (f = fields_at(table, i)); i++)
        if (!when || !one_of_names || strcmp(f->is.name, "name") != 0)
            add(out, f, when, one_of_names);
}

static void add_named(struct children *out, const struct field *f, bool with_params)
{
    struct named n;
    for (size_t i = 0; f->names(i, &n); i++) {
        if (n.members)
            add_table(out, n.members, n.name, true);
        for (const struct param_spec *p = with_params ? n.params : NULL; p && p->name; p++) {
            struct field param = {.is = *p};
            add(out, &param, n.name, true);
        }
    }
}

static void add_children(struct children *out, const struct field *f, const char *when, bool with_params);

/* The keys of forms make the difference between them: they may always be said. */
static void lift_conditions(struct children *out, const struct field *forms)
{
    for (; forms->is.name && forms->when; forms++)
        for (size_t i = 0; i < out->count; i++)
            if (strcmp(out->rows[i].field.is.name, forms->when) == 0)
                out->rows[i].when[0] = 0;
}

static void add_forms(struct children *out, const struct field *f, bool with_params)
{
    char without[100] = "";
    for (const struct field *form = f->members; form->is.name; form++) {
        char when[120];
        snprintf(when, sizeof when, "%s %s", form->when ? "with" : "without", form->when ? form->when : without);
        add_children(out, form, form->when || without[0] ? when : NULL, with_params);
        if (form->when)
            append(without, sizeof without, without[0] ? " and " : "", form->when);
    }
    lift_conditions(out, f->members);
}

static void add_children(struct children *out, const struct field *f, const char *when, bool with_params)
{
    switch (f->kind) {
    case FIELD_OBJECT:
        add_table(out, f->members, when, false);
        return;
    case FIELD_MAP:
        if (f->members->kind != FIELD_VALUE || with_params) /* else its own row says all */
            add(out, f->members, when, false);
        return;
    case FIELD_LIST:
        add_children(out, f->members, when, with_params);
        return;
    case FIELD_FORMS:
        add_forms(out, f, with_params);
        return;
    case FIELD_NAMED:
        add_named(out, f, with_params);
        return;
    case FIELD_CHOICE:
        for (const struct field *m = f->members ? f->members + 1 : NULL; m && m->is.name; m++)
            add(out, m, when, false);
        return;
    case FIELD_VALUE:
    case FIELD_FREE:
    case FIELD_TABLE:
        return;
    }
}

struct walk {
    void (*tell)(const struct field_row *row, void *context);
    void *context;
    struct {
        const struct field *members;
        char path[PATH_MAX_BYTES];
    } told[TOLD_MAX];
    size_t told_count;
};

/* Where objects of this table were told, if they are used several times; remembers it the first time. */
static const char *told_at(struct walk *w, const struct field *f, const char *path)
{
    if (f->kind != FIELD_OBJECT || !f->title)
        return NULL;
    for (size_t i = 0; i < w->told_count; i++)
        if (w->told[i].members == f->members)
            return w->told[i].path;
    assert(w->told_count < TOLD_MAX);
    w->told[w->told_count].members = f->members;
    snprintf(w->told[w->told_count++].path, PATH_MAX_BYTES, "%s", path);
    return NULL;
}

static void walk(struct walk *w, const struct field *f, const char *path, const char *when)
{
    struct field_row row = {.path = path, .field = f, .when = when, .like = told_at(w, f, path)};
    if (path[0])
        w->tell(&row, w->context);
    struct children *below = row.like ? NULL : calloc(1, sizeof *below);
    if (below)
        add_children(below, f, NULL, false);
    else if (!row.like)
        memory_note_failure();
    for (size_t i = 0; below && i < below->count; i++) {
        char longer[PATH_MAX_BYTES];
        snprintf(longer, sizeof longer, "%s%s%s%s", path, f->kind == FIELD_LIST ? "[]" : "", path[0] ? "." : "",
                 below->rows[i].field.is.name);
        walk(w, &below->rows[i].field, longer, below->rows[i].when);
    }
    free(below);
}

void field_paths(const struct field *root, const char *path, void (*tell)(const struct field_row *row, void *context),
                 void *context)
{
    struct walk w = {.tell = tell, .context = context};
    walk(&w, root, path, "");
}

static const char *name_of_child(const void *names, size_t index)
{
    const struct children *children = names;
    return index < children->count ? children->rows[index].field.is.name : NULL;
}

static int complain_of_key(const char *path, const char *found, const struct children *known, struct error *err)
{
    char list[FIELD_TEXT] = "";
    const char *meant = nearest_name(found, name_of_child, known);
    for (size_t i = 0; i < known->count; i++)
        append(list, sizeof list, ", ", known->rows[i].field.is.name);
    if (known->count == 0)
        return error_set(err, ERROR_INPUT, "%s: holds no keys, found \"%.60s\"", path, found);
    return error_set(err, ERROR_INPUT, "%s: unknown key \"%.60s\"; %s%s%sallowed: %s", path, found,
                     meant ? "did you mean \"" : "", meant ? meant : "", meant ? "\"? " : "", list);
}

/* The child of that name; a user's own key of a map is any. */
static const struct field *find_child(const struct children *in, const struct field *parent, const char *name)
{
    for (size_t i = 0; i < in->count; i++)
        if (parent->kind == FIELD_MAP || strcmp(in->rows[i].field.is.name, name) == 0)
            return &in->rows[i].field;
    return NULL;
}

int field_at_path(const struct field *root, const char *name, const char *path, struct field *out, struct error *err)
{
    char before[PATH_MAX_BYTES];
    int status = 0;
    snprintf(before, sizeof before, "%s", name);
    *out = *root;
    while (*path && status == 0) {
        char key[100];
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)strcspn(path, ".["), path);
        path += path[length] ? length + 1 : length;
        struct children *below = calloc(1, sizeof *below);
        if (!below)
            return error_no_memory(err);
        add_children(below, out, NULL, true);
        const struct field *found = find_child(below, out, key);
        if (found)
            *out = *found;
        else
            status = complain_of_key(before, key, below, err);
        append(before, sizeof before, ".", key);
        free(below);
    }
    return status;
}

const char *field_number(double value, char out[32])
{
    snprintf(out, 32, "%g", value);
    if (strtod(out, NULL) != value)
        snprintf(out, 32, "%.17g", value);
    return out;
}

static const char *value_type(const struct field *f)
{
    switch (f->is.type) {
    case PARAM_NUMBER:
        return "number";
    case PARAM_INTEGER:
        return "whole number";
    case PARAM_BOOL:
        return "true or false";
    case PARAM_TEXT:
        break;
    }
    return !f->names ? "text" : f->other_names ? "name or path" : "name";
}

/* "name", "object": each form's type once. */
static void forms_type(const struct field *forms, char out[FIELD_TEXT])
{
    for (; forms->is.name; forms++) {
        char one[FIELD_TEXT];
        field_type_text(forms, one);
        if (strstr(one, out))
            snprintf(out, FIELD_TEXT, "%s", one);
        else if (!strstr(out, one))
            append(out, FIELD_TEXT, " or ", one);
    }
}

void field_type_text(const struct field *f, char out[FIELD_TEXT])
{
    out[0] = 0;
    switch (f->kind) {
    case FIELD_VALUE:
        snprintf(out, FIELD_TEXT, "%s", value_type(f));
        return;
    case FIELD_CHOICE:
        snprintf(out, FIELD_TEXT, "%s", f->members ? "name or object" : "name");
        return;
    case FIELD_NAMED:
        snprintf(out, FIELD_TEXT, "name%s or object", f->other_names ? ", path" : "");
        return;
    case FIELD_OBJECT:
    case FIELD_FREE:
        snprintf(out, FIELD_TEXT, "object");
        return;
    case FIELD_MAP:
        snprintf(out, FIELD_TEXT, "%s by %s", f->members->kind == FIELD_VALUE ? value_type(f->members) : "object",
                 f->members->is.name);
        return;
    case FIELD_LIST:
        snprintf(out, FIELD_TEXT, "list");
        return;
    case FIELD_FORMS:
        forms_type(f->members, out);
        return;
    case FIELD_TABLE:
        return;
    }
}

static void names_text(const struct field *f, char out[FIELD_TEXT])
{
    struct named n;
    if (f->listed)
        snprintf(out, FIELD_TEXT, "tandem list %s", f->listed);
    for (size_t i = 0; !f->listed && f->names(i, &n); i++)
        append(out, FIELD_TEXT, ", ", n.name);
}

static void span_text(const struct param_spec *p, const char *of, char out[FIELD_TEXT])
{
    char least[32], most[32];
    if (isinf(p->max))
        snprintf(out, FIELD_TEXT, "at least %s%s", field_number(p->min, least), of);
    else if (p->min == p->max)
        snprintf(out, FIELD_TEXT, "%s%s", field_number(p->min, least), of);
    else
        snprintf(out, FIELD_TEXT, "%s … %s%s", field_number(p->min, least), field_number(p->max, most), of);
}

static void map_range(const struct field *f, char out[FIELD_TEXT])
{
    char each[FIELD_TEXT];
    names_text(f, out);
    field_range_text(f->members, each);
    append(out, FIELD_TEXT, ": ", each);
}

static void forms_range(const struct field *forms, char out[FIELD_TEXT])
{
    for (; forms->is.name; forms++) {
        char one[FIELD_TEXT];
        if (forms->kind == FIELD_LIST || forms->kind == FIELD_OBJECT)
            continue;
        field_range_text(forms, one);
        if (one[0])
            append(out, FIELD_TEXT, "; ", one);
    }
}

void field_range_text(const struct field *f, char out[FIELD_TEXT])
{
    out[0] = 0;
    switch (f->kind) {
    case FIELD_CHOICE:
        for (const struct choice *c = f->choices; c->name; c++)
            append(out, FIELD_TEXT, ", ", c->name);
        return;
    case FIELD_NAMED:
        names_text(f, out);
        return;
    case FIELD_FORMS:
        forms_range(f->members, out);
        return;
    case FIELD_LIST:
        if (f->is.max > 0)
            span_text(&f->is, " elements", out);
        return;
    case FIELD_MAP:
        if (f->names)
            map_range(f, out);
        else if (f->is.max > 0)
            span_text(&f->is, " keys", out);
        return;
    case FIELD_OBJECT:
    case FIELD_FREE:
    case FIELD_TABLE:
        return;
    case FIELD_VALUE:
        break;
    }
    if (f->names)
        names_text(f, out);
    else if (f->is.type == PARAM_NUMBER || f->is.type == PARAM_INTEGER)
        span_text(&f->is, "", out);
    else if (f->is.choices)
        snprintf(out, FIELD_TEXT, "%s", f->is.choices);
}

void field_default_text(const struct field *f, char out[FIELD_TEXT])
{
    char number[32];
    if (f->required)
        snprintf(out, FIELD_TEXT, "required");
    else if (f->otherwise || f->is.preset_text)
        snprintf(out, FIELD_TEXT, "%s", f->otherwise ? f->otherwise : f->is.preset_text);
    else if (f->kind != FIELD_VALUE || f->is.type == PARAM_TEXT)
        snprintf(out, FIELD_TEXT, "none");
    else if (f->is.type == PARAM_BOOL)
        snprintf(out, FIELD_TEXT, "%s", f->is.preset != 0 ? "true" : "false");
    else
        snprintf(out, FIELD_TEXT, "%s", field_number(f->is.preset, number));
}
