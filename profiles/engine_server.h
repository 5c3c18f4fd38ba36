/* SPDX-License-Identifier: MIT */
/* engine_server.h — what an engine's server starts with on a GPU where nobody says otherwise: its scheduler, limits and
 * KV blocks, in the words of a scenario's "policy". */
#ifndef TANDEM_PROFILES_ENGINE_SERVER_H
#define TANDEM_PROFILES_ENGINE_SERVER_H

#include "profiles/device.h"
#include "profiles/engine.h"

struct engine_server {
    struct json policy; /* node NULL: the engine does not say */
    struct json whole;  /* owned; the engine with its presets, where the policy is one of theirs */
};

/* Of a scenario's "engine" (a name, a file, an object, or node NULL), on a device. An object that says nothing itself
 * takes what its preset says. Release it in any case; `engine` must outlive it. */
int engine_server_read(const struct json *engine, const struct device *device, struct engine_server *out,
                       struct error *err);
void engine_server_release(struct engine_server *s);

#endif
