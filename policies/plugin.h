/* SPDX-License-Identifier: MIT */
/* plugin.h — a batching policy in a shared object of its own, named in a scenario by its path ("./mine.so").
 *
 * The file defines a struct batching_policy as any policy here does, ends with BATCHING_PLUGIN(it), and is compiled
 * against this source tree: cc -shared -fPIC -I TREE mine.c -o mine.so. It may call what policies/ and base/ declare.
 */
#ifndef TANDEM_POLICIES_PLUGIN_H
#define TANDEM_POLICIES_PLUGIN_H

#include "policies/batching.h"

#ifndef BATCHING_ABI
#define BATCHING_ABI 2 /* grows when the meaning of what a policy sees or says changes */
#endif

struct batching_plugin {
    uint32_t abi;
    uint32_t policy_bytes, view_bytes, batch_bytes, request_bytes; /* of the tree that it was compiled against */
    const struct batching_policy *policy;
};

#define BATCHING_PLUGIN(batching)                                                                                      \
    extern const struct batching_plugin tandem_batching_plugin;                                                        \
    const struct batching_plugin tandem_batching_plugin = {                                                            \
        BATCHING_ABI,         sizeof(struct batching_policy), sizeof(struct replica_view),                             \
        sizeof(struct batch), sizeof(struct request),         &(batching)}

/* A policy by its name, or from a shared object when the name holds a '/' or ends in ".so"; it stays loaded until the
 * program ends. Fails with a sentence when there is none, or it was made for another version. */
int batching_policy_load(const char *name, const struct batching_policy **out, struct error *err);

#endif
