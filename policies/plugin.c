/* SPDX-License-Identifier: MIT */
#include "policies/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static bool is_path(const char *name)
{
    size_t length = strlen(name);
    return strchr(name, '/') || (length > 3 && strcmp(name + length - 3, ".so") == 0);
}

static bool fits(const struct batching_plugin *p)
{
    return p->abi == BATCHING_ABI && p->policy_bytes == sizeof(struct batching_policy) &&
           p->view_bytes == sizeof(struct replica_view) && p->batch_bytes == sizeof(struct batch) &&
           p->request_bytes == sizeof(struct request);
}

static int load(const char *path, const struct batching_policy **out, struct error *err)
{
    char file[1024]; /* a bare name would be looked for in the system's libraries */
    snprintf(file, sizeof file, "%s%s", strchr(path, '/') ? "" : "./", path);
    void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!object)
        return error_set(err, ERROR_INPUT, "policy %s: cannot be loaded: %s", path, dlerror());
    const struct batching_plugin *plugin = dlsym(object, "tandem_batching_plugin");
    if (!plugin)
        return error_set(err, ERROR_INPUT, "policy %s: does not end with BATCHING_PLUGIN(policy)", path);
    if (!fits(plugin))
        return error_set(
            err, ERROR_INPUT,
            "policy %s: was compiled against another version of Tandem (its interface is %u, this one is %u, or "
            "their structs differ); compile it again",
            path, plugin->abi, BATCHING_ABI);
    if (!plugin->policy || !plugin->policy->form_batch || !plugin->policy->params)
        return error_set(err, ERROR_INPUT, "policy %s: lacks form_batch or params", path);
    *out = plugin->policy;
    return 0;
}

int batching_policy_load(const char *name, const struct batching_policy **out, struct error *err)
{
    if (is_path(name))
        return load(name, out, err);
    *out = batching_policy_find(name);
    return *out ? 0 : error_set(err, ERROR_INPUT, "no batching policy is called \"%s\"", name);
}
