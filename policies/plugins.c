/* SPDX-License-Identifier: MIT */
#include "policies/plugins.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sha256.h"
#include "policies/plugin.h"

#define GIVEN(type, name, parameters, arguments) .name = (name),
#define GIVEN_OF_NONE(name, parameters, arguments) .name = (name),

static const struct plugin_host host = {.error_set = error_set, PLUGIN_CALLS(GIVEN, GIVEN_OF_NONE)};

/* Loading is the process's, so the list of what is loaded is, too. It only grows: who looks needs no lock. */
static struct plugin loaded[PLUGINS_MAX];
static atomic_size_t loaded_count;
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

const struct plugin *plugin_at(size_t index)
{
    return index < atomic_load(&loaded_count) ? &loaded[index] : NULL;
}

const char *plugin_file(const struct plugin *p)
{
    return strrchr(p->path, '/') + 1;
}

static const void *brought(const struct tandem_plugin *p, enum policy_axis axis, size_t index)
{
    if (index >= PLUGIN_POLICIES_MAX)
        return NULL;
    switch (axis) {
    case AXIS_BATCHING:
        return p->batching[index];
    case AXIS_ORDER:
        return p->order[index];
    case AXIS_ROUTING:
        return p->routing[index];
    case AXIS_PREDICTOR:
        return p->predictor[index];
    default:
        return p->autoscaling[index];
    }
}

const void *plugin_policy(enum policy_axis axis, size_t index)
{
    const struct plugin *p;
    for (size_t i = 0; (p = plugin_at(i)); i++)
        for (size_t k = 0; brought(p->brings, axis, k); k++)
            if (index-- == 0)
                return brought(p->brings, axis, k);
    return NULL;
}

const struct plugin *plugin_of(enum policy_axis axis, const void *policy)
{
    const struct plugin *p;
    for (size_t i = 0; (p = plugin_at(i)); i++)
        for (size_t k = 0; brought(p->brings, axis, k); k++)
            if (brought(p->brings, axis, k) == policy)
                return p;
    return NULL;
}

static bool params_are_whole(const struct param_spec *params)
{
    size_t count = 0;
    if (!params)
        return false;
    while (count <= PARAM_MAX && params[count].name) {
        if (!params[count].unit || !params[count].help)
            return false;
        count++;
    }
    return count <= PARAM_MAX;
}

/* What a policy of the axis lacks, or NULL. */
static const char *batching_lacks(const struct batching_policy *p)
{
    return !params_are_whole(p->params) ? "params" : !p->form_batch ? "form_batch" : !p->summary ? "summary" : NULL;
}

static const char *order_lacks(const struct order_policy *p)
{
    bool keeps_state = p->arrange && p->create && p->destroy;
    return !params_are_whole(p->params)                              ? "params"
           : !keeps_state && (p->arrange || p->create || p->destroy) ? "arrange, create or destroy"
           : !p->arrange && (p->joins || p->admitted || p->served || p->leaves || p->begins) ? "arrange"
           : !p->summary                                                                     ? "summary"
                                                                                             : NULL;
}

static const char *routing_lacks(const struct routing_policy *p)
{
    return !params_are_whole(p->params)                ? "params"
           : p->central + !!p->rank + !!p->choose != 1 ? "exactly one of central, rank and choose"
           : !p->summary                               ? "summary"
                                                       : NULL;
}

static const char *predictor_lacks(const struct predictor *p)
{
    return !params_are_whole(p->params) ? "params" : !p->predict ? "predict" : !p->summary ? "summary" : NULL;
}

static const char *scaling_lacks(const struct scaling_policy *p)
{
    return !params_are_whole(p->params) ? "params" : !p->wanted ? "wanted" : !p->summary ? "summary" : NULL;
}

static const char *lacks(enum policy_axis axis, const void *policy)
{
    switch (axis) {
    case AXIS_BATCHING:
        return batching_lacks(policy);
    case AXIS_ORDER:
        return order_lacks(policy);
    case AXIS_ROUTING:
        return routing_lacks(policy);
    case AXIS_PREDICTOR:
        return predictor_lacks(policy);
    default:
        return scaling_lacks(policy);
    }
}

/* As names of the built-in ones are. */
static bool is_name(const char *name)
{
    size_t length = name ? strlen(name) : 0;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_-.", name[i]))
            return false;
    return length > 0 && length < 64 && !policy_name_is_path(name);
}

/* Whether a policy before it, of the same plug-in, has its name. */
static bool is_double(const struct tandem_plugin *p, enum policy_axis axis, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(policy_name(brought(p, axis, i)), policy_name(brought(p, axis, index))) == 0)
            return true;
    return false;
}

static int check_policy(const char *path, const struct tandem_plugin *p, enum policy_axis axis, size_t index,
                        struct error *err)
{
    const void *policy = brought(p, axis, index);
    const char *name = policy_name(policy), *words = policy_axis_names[axis];
    if (!is_name(name))
        return error_set(err, ERROR_INPUT,
                         "plug-in %s: .%s: a policy's name has up to 63 letters, digits, '_', '-' and '.'", path,
                         words);
    const char *missing = lacks(axis, policy);
    if (missing)
        return error_set(err, ERROR_INPUT, "plug-in %s: .%s: \"%s\" lacks %s", path, words, name, missing);
    if (is_double(p, axis, index))
        return error_set(err, ERROR_INPUT, "plug-in %s: .%s: brings two policies called \"%s\"", path, words, name);
    const void *other = policy_find(axis, name);
    const struct plugin *of = other ? plugin_of(axis, other) : NULL;
    if (of)
        return error_set(err, ERROR_INPUT, "plug-in %s: .%s: \"%s\" is already the name of a policy of %s", path, words,
                         name, of->path);
    return other ? error_set(err, ERROR_INPUT, "plug-in %s: .%s: \"%s\" is the name of a policy that is built in", path,
                             words, name)
                 : 0;
}

static int check_policies(const char *path, const struct tandem_plugin *p, struct error *err)
{
    size_t count = 0;
    for (int axis = 0; axis < POLICY_AXES; axis++)
        for (size_t i = 0; brought(p, (enum policy_axis)axis, i); i++, count++)
            if (check_policy(path, p, (enum policy_axis)axis, i, err))
                return -1;
    return count > 0 ? 0 : error_set(err, ERROR_INPUT, "plug-in %s: brings no policy", path);
}

/* Nothing but the first two members is looked at before they are known to be ours. */
static bool fits(const struct tandem_plugin *p)
{
    static const size_t sizes[PLUGIN_SIZE_COUNT] = PLUGIN_SIZES;
    return p->abi == TANDEM_PLUGIN_ABI && p->bytes == sizeof *p && memcmp(p->sizes, sizes, sizeof sizes) == 0;
}

/* What an open object brings, checked; NULL with the error set where it is not to be used. */
static const struct tandem_plugin *look_into(const char *path, void *object, struct error *err)
{
    const struct tandem_plugin *p = dlsym(object, "tandem_plugin");
    if (!p) {
        error_set(err, ERROR_INPUT, "plug-in %s: does not end with TANDEM_PLUGIN(...)", path);
        return NULL;
    }
    if (!fits(p)) {
        error_set(err, ERROR_INPUT,
                  "plug-in %s: was compiled against another version of Tandem (its interface is %u, this one is %u, or "
                  "their structs differ); compile it again",
                  path, p->abi, (unsigned)TANDEM_PLUGIN_ABI);
        return NULL;
    }
    *p->host = &host;
    return check_policies(path, p, err) ? NULL : p;
}

static int open_object(struct plugin *p, struct error *err)
{
    errno = 0;
    void *object = dlopen(p->path, RTLD_NOW | RTLD_LOCAL);
    int reason = object ? 0 : errno;
    const char *said = object ? "" : dlerror();
    if (reason == ENOMEM || strstr(said, strerror(ENOMEM)))
        return error_no_memory(err);
    if (!object)
        return error_set(err, strstr(said, strerror(EIO)) ? ERROR_IO : ERROR_INPUT, "plug-in %s: cannot be loaded: %s",
                         p->path, said);
    p->brings = look_into(p->path, object, err);
    if (!p->brings)
        dlclose(object);
    return p->brings ? 0 : -1;
}

/* Which file it is, before anything in it runs. */
static int identify(struct plugin *p, struct error *err)
{
    struct stat file;
    struct error own = {0};
    const struct plugin *other;
    if (stat(p->path, &file) == 0 && !S_ISREG(file.st_mode))
        return error_set(err, ERROR_INPUT, "plug-in %s: is not a file", p->path);
    if (sha256_of_file(p->path, p->sha256, &own))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the path is as it was, and load() frees it */
        return error_set(err, own.code, "plug-in %s", own.text);
    for (size_t i = 0; (other = plugin_at(i)); i++)
        if (strcmp(other->sha256, p->sha256) == 0)
            return error_set(err, ERROR_INPUT, "plug-in %s: is loaded already, as %s", p->path, other->path);
    return 0;
}

/* A name without '/' is of the current folder: it would be looked for among the system's libraries. */
static char *path_of(const char *named)
{
    size_t size = strlen(named) + 3;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s%s", strchr(named, '/') ? "" : "./", named);
    return path;
}

static int load(const char *named, struct error *err)
{
    struct plugin p = {0};
    size_t count = atomic_load(&loaded_count);
    if (!*named)
        return error_set(err, ERROR_INPUT, "plug-in: expected the path of a shared object, found none");
    if (count == PLUGINS_MAX)
        return error_set(err, ERROR_INPUT, "plug-in %s: %d are loaded already, which is the most", named, PLUGINS_MAX);
    p.path = path_of(named);
    if (!p.path)
        return error_no_memory(err);
    if (identify(&p, err) || open_object(&p, err)) {
        free(p.path);
        return -1;
    }
    loaded[count] = p;
    atomic_store(&loaded_count, count + 1);
    return 0;
}

int plugin_load(const char *path, struct error *err)
{
    pthread_mutex_lock(&loading);
    int status = load(path, err);
    pthread_mutex_unlock(&loading);
    return status;
}

char *plugins_text(void)
{
    const struct plugin *p;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    for (size_t i = 0; (p = plugin_at(i)); i++)
        fprintf(out, "%s%s (SHA-256 %s)", i ? ", " : "", plugin_file(p), p->sha256);
    if (!plugin_at(0))
        fprintf(out, "none");
    return fclose(out) ? (free(text), NULL) : text;
}
