/* SPDX-License-Identifier: MIT */
#include "planner/rerun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "policies/plugins.h"

struct text {
    char *at;
    size_t length, capacity;
    bool out_of_memory;
};

static void append(struct text *t, const char *words, size_t length)
{
    char *grown = array_grow(t->at, &t->capacity, t->length + length + 1, 1);
    t->out_of_memory = t->out_of_memory || !grown;
    if (!grown)
        return;
    t->at = grown;
    memcpy(t->at + t->length, words, length);
    t->length += length;
    t->at[t->length] = 0;
}

/* One word of a shell's command line. */
static void append_word(struct text *t, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,:/=+@%";
    append(t, " ", 1);
    if (*word && word[strspn(word, plain)] == 0) {
        append(t, word, strlen(word));
        return;
    }
    append(t, "'", 1);
    for (const char *c = word; *c; c++)
        append(t, *c == '\'' ? "'\\''" : c, *c == '\'' ? 4 : 1);
    append(t, "'", 1);
}

/* The value in `scenario` at a dotted path; NULL where there is none. */
static const cJSON *value_at(const cJSON *scenario, const char *path)
{
    const cJSON *at = scenario;
    for (const char *rest = path; at && *rest;) {
        char key[100];
        size_t length = strcspn(rest, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, rest);
        at = cJSON_GetObjectItemCaseSensitive(at, key);
        rest += length + (rest[length] == '.');
    }
    return at;
}

static void append_setting(struct text *t, const cJSON *scenario, const char *path)
{
    const cJSON *value = value_at(scenario, path), *read = NULL;
    if (!value)
        return;
    char *json = cJSON_PrintUnformatted(value);
    if (cJSON_IsString(value) && !(read = cJSON_ParseWithOpts(value->valuestring, NULL, 1))) {
        free(json);
        json = strdup(value->valuestring); /* --set takes what is not JSON as a string */
    }
    cJSON_Delete((cJSON *)(uintptr_t)read);
    size_t size = strlen(path) + (json ? strlen(json) : 0) + 2;
    char *setting = malloc(size);
    t->out_of_memory = t->out_of_memory || !json || !setting;
    if (json && setting) {
        snprintf(setting, size, "%s=%s", path, json);
        append(t, " --set", 6);
        append_word(t, setting);
    }
    free(json);
    free(setting);
}

static void append_plugins(struct text *t)
{
    const struct plugin *p;
    for (size_t i = 0; (p = plugin_at(i)); i++) {
        append(t, " --plugin", 9);
        append_word(t, p->path);
    }
}

char *rerun_command(const struct plan *plan, const struct family *family, size_t units)
{
    static const char *const others[] = {"cluster.replicas", "cluster.placement.prefill.replicas",
                                         "cluster.placement.decode.replicas", "workload.resample_s",
                                         "workload.rate_scale"};
    char *scenario = family_scenario(plan, family, units), seed[40];
    cJSON *root = scenario ? cJSON_Parse(scenario) : NULL;
    free(scenario);
    if (!root)
        return NULL;
    struct text t = {0};
    struct error ignored = {0};
    double scales[SCALE_COUNT];
    family_scales(family, scales);
    t.out_of_memory = trial_scale_times(root, scales[SCALE_TIME], &ignored) != 0;
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(plan->root.node, "scenario");
    append(&t, "tandem run", 10);
    append_word(&t, cJSON_IsString(named) ? named->valuestring : "FILE");
    append_plugins(&t);
    for (size_t i = 0; i < plan->axis_count; i++)
        append_setting(&t, family->scenario, plan->axes[i].path);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        append_setting(&t, root, others[i]);
    const cJSON *pools = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "cluster"), "pools");
    for (const cJSON *pool = pools ? pools->child : NULL; pool; pool = pool->next) {
        char path[160];
        snprintf(path, sizeof path, "cluster.pools.%s.replicas", pool->string);
        append_setting(&t, root, path);
    }
    if (scales[SCALE_TIME] != 1)
        append_setting(&t, root, "techniques");
    snprintf(seed, sizeof seed, "seed=%llu", (unsigned long long)plan->seed);
    append(&t, " --set", 6);
    append_word(&t, seed);
    cJSON_Delete(root);
    if (t.out_of_memory || memory_has_failed()) {
        free(t.at);
        return NULL;
    }
    return t.at;
}
