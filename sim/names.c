/* SPDX-License-Identifier: MIT */
#include "sim/names.h"

#include <string.h>

#include "policies/registry.h"
#include "profiles/shipped.h"

bool batching_policy_at(size_t index, struct named *out)
{
    const struct batching_policy *p = policy_at(AXIS_BATCHING, index);
    if (p)
        *out = (struct named){p->name, p->summary, p->source, p->params, NULL};
    return p != NULL;
}

bool order_policy_at(size_t index, struct named *out)
{
    const struct order_policy *p = policy_at(AXIS_ORDER, index);
    if (p)
        *out = (struct named){p->name, p->summary, p->source, p->params, NULL};
    return p != NULL;
}

bool predictor_at(size_t index, struct named *out)
{
    const struct predictor *p = policy_at(AXIS_PREDICTOR, index);
    if (p)
        *out = (struct named){p->name, p->summary, p->source, p->params, NULL};
    return p != NULL;
}

bool routing_policy_at(size_t index, struct named *out)
{
    const struct routing_policy *p = policy_at(AXIS_ROUTING, index);
    if (p)
        *out = (struct named){p->name, p->summary, NULL, p->params, NULL};
    return p != NULL;
}

bool scaling_policy_at(size_t index, struct named *out)
{
    const struct scaling_policy *p = policy_at(AXIS_AUTOSCALING, index);
    if (p)
        *out = (struct named){p->name, p->summary, p->source, p->params, NULL};
    return p != NULL;
}

static bool shipped_at(const char *kind, size_t index, struct named *out)
{
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->kind, kind) == 0 && index-- == 0) {
            *out = (struct named){.name = f->name};
            return true;
        }
    return false;
}

bool model_at(size_t index, struct named *out)
{
    return shipped_at("model", index, out);
}

bool device_at(size_t index, struct named *out)
{
    return shipped_at("device", index, out);
}

bool engine_at(size_t index, struct named *out)
{
    return shipped_at("engine", index, out);
}

bool technique_at(size_t index, struct named *out)
{
    return shipped_at("technique", index, out);
}
