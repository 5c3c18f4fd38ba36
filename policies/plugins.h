/* SPDX-License-Identifier: MIT */
/* plugins.h — the plug-ins (plugin.h) that this process has loaded. They are loaded by path, by who starts the program
 * or by tandem_plugin_load, and never because a scenario or a database names them; they stay until the process ends. */
#ifndef TANDEM_POLICIES_PLUGINS_H
#define TANDEM_POLICIES_PLUGINS_H

#include "policies/registry.h"

enum { PLUGINS_MAX = 32 };

struct tandem_plugin;

struct plugin {
    char *path;      /* as it was named; "./" stands before what has no '/' */
    char sha256[65]; /* of the file */
    const struct tandem_plugin *brings;
};

/* Loads a shared object, whose code runs from here on. Fails with a sentence, and brings nothing, where the file cannot
 * be loaded, is loaded already, was compiled for another version, or brings a policy that lacks something or has the
 * name of another one. Any thread may load and look up at once. */
int plugin_load(const char *path, struct error *err);

/* The one at an index, in order of loading, NULL after the last; and the last part of its path. */
const struct plugin *plugin_at(size_t index);
const char *plugin_file(const struct plugin *p);

/* The policy at an index of all that plug-ins bring to an axis, NULL after the last. */
const void *plugin_policy(enum policy_axis axis, size_t index);

/* Which plug-in brings the policy; NULL: it is built in. */
const struct plugin *plugin_of(enum policy_axis axis, const void *policy);

/* All of them in a line, "alone.so (SHA-256 …), …", or "none". The caller's to free; NULL when memory is short. */
char *plugins_text(void);

#endif
