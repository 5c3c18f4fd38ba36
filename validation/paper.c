/* SPDX-License-Identifier: MIT */
#include "validation/paper.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/choice.h"
#include "base/nearest.h"
#include "profiles/shipped.h"
#include "validation/paper_figure.h"

const char *paper_at(size_t index)
{
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->kind, "paper") == 0 && index-- == 0)
            return f->name;
    return NULL;
}

static const char *name_at(const void *names, size_t index)
{
    (void)names;
    return paper_at(index);
}

static int load_shipped(const char *id, struct json *root, struct error *err)
{
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->kind, "paper") == 0 && strcmp(f->name, id) == 0)
            return json_parse(f->text, f->name, root, err);
    const char *meant = nearest_name(id, name_at, NULL);
    return error_set(err, ERROR_INPUT, "unknown paper \"%.60s\"; %s%s%ssee tandem papers list, or give a folder's path",
                     id, meant ? "did you mean \"" : "", meant ? meant : "", meant ? "\"? " : "");
}

static int read_sentences(const struct json *at, const char *key, struct json *out, struct error *err)
{
    *out = json_member(at, key);
    int count = cJSON_IsArray(out->node) ? cJSON_GetArraySize(out->node) : -1;
    for (int i = 0; i < count; i++) {
        struct json item = json_element(out, i);
        if (!cJSON_IsString(item.node) || !*item.node->valuestring)
            return json_complain(&item, "a sentence", err);
    }
    return count < 0 ? json_complain(out, "a list of sentences", err) : 0;
}

static int read_runs(struct paper *p, struct error *err)
{
    p->scenario = json_member(&p->root, "scenario");
    p->runs = json_member(&p->root, "runs");
    if (!p->scenario.node && !p->runs.node)
        return 0; /* nothing runs: every claim says why */
    if (!cJSON_IsObject(p->scenario.node))
        return json_complain(&p->scenario, "an object: what the scenarios of all runs have in common", err);
    if (!cJSON_IsObject(p->runs.node) || !p->runs.node->child)
        return json_complain(&p->runs, "an object of runs by name", err);
    for (const cJSON *run = p->runs.node->child; run; run = run->next) {
        struct json at = json_member(&p->runs, run->string);
        if (!cJSON_IsObject(run))
            return json_complain(&at, "an object of settings: {\"policy.batching\": \"continuous\"}", err);
    }
    return 0;
}

/* A number, a list of the two ends of a range, or an object with at_least or at_most. */
static int read_value(const struct json *at, struct paper_claim *c, struct error *err)
{
    static const char *const keys[] = {"at_least", "at_most", NULL};
    struct json value = json_member(at, "claim");
    if (cJSON_IsNumber(value.node)) {
        c->low = c->high = value.node->valuedouble;
        return 0;
    }
    if (cJSON_IsArray(value.node) && cJSON_GetArraySize(value.node) == 2) {
        const cJSON *low = cJSON_GetArrayItem(value.node, 0), *high = cJSON_GetArrayItem(value.node, 1);
        c->low = cJSON_IsNumber(low) ? low->valuedouble : NAN;
        c->high = cJSON_IsNumber(high) ? high->valuedouble : NAN;
        if (c->low < c->high)
            return 0;
    }
    if (!cJSON_IsObject(value.node) || cJSON_GetArraySize(value.node) != 1)
        return json_complain(&value,
                             "a number, a list of a smaller and a larger one, or {\"at_least\": NUMBER} or "
                             "{\"at_most\": NUMBER}",
                             err);
    c->low = -INFINITY;
    c->high = INFINITY;
    return json_check_keys(&value, keys, err) ||
                   json_read_number(&value, "at_least", false, -1e15, 1e15, &c->low, err) ||
                   json_read_number(&value, "at_most", false, -1e15, 1e15, &c->high, err)
               ? -1
               : 0;
}

/* The settings of a claim's figure: lists of equal length, by path. */
static int read_vary(const struct json *at, struct paper_claim *c, struct error *err)
{
    c->cells = 1;
    c->vary = json_member(at, "vary");
    if (!c->vary.node)
        return 0;
    if (!cJSON_IsObject(c->vary.node) || !c->vary.node->child)
        return json_complain(&c->vary, "an object of lists by path: {\"policy.batching.max_sequences\": [16, 32]}",
                             err);
    for (const cJSON *axis = c->vary.node->child; axis; axis = axis->next) {
        struct json list = json_member(&c->vary, axis->string);
        int count = cJSON_IsArray(axis) ? cJSON_GetArraySize(axis) : 0;
        if (count < 1 || count > PAPER_CELLS_MAX)
            return json_complain(&list, "a list of 1 to 32 values", err);
        if (axis != c->vary.node->child && (size_t)count != c->cells)
            return json_complain(&list, "as many values as the first path has", err);
        c->cells = (size_t)count;
    }
    return 0;
}

static int read_claim(const struct json *at, const struct paper *p, struct paper_claim *c, struct error *err)
{
    static const char *const keys[] = {"says", "claim", "band",     "neutral",      "figure", "vary",
                                       "take", "why",   "stand_in", "out_of_scope", NULL};
    static const struct choice takes[] = {{"most", TAKE_MOST, NULL, NULL},
                                          {"least", TAKE_LEAST, NULL, NULL},
                                          {"mean", TAKE_MEAN, NULL, NULL},
                                          {0}};
    struct json take = json_member(at, "take");
    int taken = TAKE_MOST;
    if (json_check_keys(at, keys, err) || json_read_string(at, "says", true, &c->says, err) ||
        json_read_string(at, "why", false, &c->why, err) ||
        json_read_string(at, "out_of_scope", false, &c->out_of_scope, err) ||
        json_read_string(at, "stand_in", false, &c->stand_in, err) || read_value(at, c, err))
        return -1;
    bool bounded = isfinite(c->low) && isfinite(c->high);
    if (json_read_number(at, "band", bounded, 0, 0.5, &c->band, err) || read_vary(at, c, err) ||
        choice_read(&take, takes, &taken, err))
        return -1;
    c->take = (enum paper_take)taken;
    c->neutral = NAN;
    c->figure = json_member(at, "figure");
    if (!c->figure.node)
        return c->why || c->out_of_scope
                   ? 0
                   : json_complain(&c->figure, "a figure, or a \"why\" next to it that says why none can be", err);
    return figure_check(&c->figure, &p->runs, &c->neutral, err) ||
                   json_read_number(at, "neutral", false, -1e15, 1e15, &c->neutral, err)
               ? -1
               : 0;
}

static int read_claims(struct paper *p, struct error *err)
{
    struct json claims = json_member(&p->root, "claims");
    int count = cJSON_IsArray(claims.node) ? cJSON_GetArraySize(claims.node) : 0;
    if (count < 1 || count > PAPER_CLAIMS_MAX)
        return json_complain(&claims, "a list of 1 to 8 claims", err);
    for (int i = 0; i < count; i++) {
        struct json claim = json_element(&claims, i);
        if (!cJSON_IsObject(claim.node))
            return json_complain(&claim, "an object: a claim", err);
        if (read_claim(&claim, p, &p->claims[p->claim_count++], err))
            return -1;
    }
    return 0;
}

static int read_out_of_scope(struct paper *p, struct error *err)
{
    static const char *const keys[] = {"title", "source", "year", "out_of_scope", NULL};
    return json_check_keys(&p->root, keys, err) ||
                   json_read_string(&p->root, "out_of_scope", true, &p->out_of_scope, err)
               ? -1
               : 0;
}

static int read_paper(struct paper *p, struct error *err)
{
    static const char *const keys[] = {"title", "source", "year", "setting", "scenario", "runs", "claims", NULL};
    static const char *const of_setting[] = {"stated", "assumed", NULL};
    struct json setting = json_member(&p->root, "setting");
    if (!cJSON_IsObject(p->root.node))
        return json_complain(&p->root, "an object: a paper", err);
    if (json_read_string(&p->root, "title", true, &p->title, err) ||
        json_read_string(&p->root, "source", true, &p->source, err) ||
        json_read_integer(&p->root, "year", true, 1950, 2100, &p->year, err))
        return -1;
    if (json_member(&p->root, "out_of_scope").node)
        return read_out_of_scope(p, err);
    if (json_check_keys(&p->root, keys, err))
        return -1;
    if (!cJSON_IsObject(setting.node))
        return json_complain(&setting, "an object with \"stated\" and \"assumed\"", err);
    return json_check_keys(&setting, of_setting, err) || read_sentences(&setting, "stated", &p->stated, err) ||
                   read_sentences(&setting, "assumed", &p->assumed, err) || read_runs(p, err) || read_claims(p, err)
               ? -1
               : 0;
}

static void name_it(struct paper *p, const char *id_or_folder)
{
    char folder[256];
    snprintf(folder, sizeof folder, "%s", id_or_folder);
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        folder[--length] = 0;
    const char *slash = strrchr(folder, '/');
    snprintf(p->id, sizeof p->id, "%.*s", PAPER_ID - 1, slash ? slash + 1 : folder);
    snprintf(p->folder, sizeof p->folder, "%s%.*s", strchr(id_or_folder, '/') ? "" : "papers/", 200, folder);
}

int paper_load(const char *id_or_folder, struct paper *out, struct error *err)
{
    *out = (struct paper){0};
    name_it(out, id_or_folder);
    snprintf(out->file, sizeof out->file, "%s/paper.json", out->folder);
    bool shipped = !strchr(id_or_folder, '/');
    if (shipped ? load_shipped(id_or_folder, &out->root, err) : json_load(out->file, &out->root, err))
        return -1;
    if (read_paper(out, err) == 0)
        return 0;
    paper_release(out);
    return -1;
}

void paper_release(struct paper *p)
{
    cJSON_Delete((cJSON *)(uintptr_t)p->root.node);
    *p = (struct paper){0};
}

/* Files next to paper.json are written "./NAME.json" there. */
static int place_files(const struct paper *p, cJSON *at, struct error *err)
{
    for (cJSON *child = at->child; child; child = child->next) {
        char path[400];
        if (place_files(p, child, err))
            return -1;
        if (!cJSON_IsString(child) || strncmp(child->valuestring, "./", 2) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%.120s", p->folder, child->valuestring + 2);
        if (!cJSON_SetValuestring(child, path))
            return error_no_memory(err);
    }
    return 0;
}

static int set(struct json *root, const char *path, const cJSON *value, struct error *err)
{
    char *text = cJSON_PrintUnformatted(value);
    if (!text)
        return error_no_memory(err);
    int status = json_set_path(root, path, text, err);
    cJSON_free(text);
    return status;
}

static int settle(const struct paper *p, struct json *root, const cJSON *run, const struct paper_claim *claim,
                  size_t cell, struct error *err)
{
    for (const cJSON *s = run->child; s; s = s->next)
        if (set(root, s->string, s, err))
            return -1;
    const cJSON *axis = claim && claim->vary.node ? claim->vary.node->child : NULL;
    for (; axis; axis = axis->next)
        if (set(root, axis->string, cJSON_GetArrayItem(axis, (int)cell), err))
            return -1;
    return place_files(p, (cJSON *)(uintptr_t)root->node, err);
}

char *paper_scenario(const struct paper *p, const char *run, const struct paper_claim *claim, size_t cell,
                     struct error *err)
{
    struct json at = json_member(&p->runs, run);
    if (!at.node) {
        error_set(err, ERROR_INPUT, "paper %s has no run \"%.60s\"", p->id, run);
        return NULL;
    }
    cJSON *copy = cJSON_Duplicate(p->scenario.node, 1);
    struct json root = {.node = copy, .file = p->id};
    if (!copy)
        error_no_memory(err);
    bool settled = copy && settle(p, &root, at.node, claim, cell, err) == 0;
    char *text = settled ? cJSON_Print(root.node) : NULL;
    if (settled && !text)
        error_no_memory(err);
    cJSON_Delete(copy);
    return text;
}
