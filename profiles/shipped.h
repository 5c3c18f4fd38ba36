/* SPDX-License-Identifier: MIT */
/* shipped.h — JSON files that are part of the program, found by kind and name. */
#ifndef TANDEM_PROFILES_SHIPPED_H
#define TANDEM_PROFILES_SHIPPED_H

#include "base/json.h"

struct shipped_file {
    const char *kind; /* "model", "device", "engine", "technique", "scenario", "plan", "accuracy", "paper" or "file" */
    const char *name; /* without ".json"; of a paper its folder's; of a file next to one its path */
    const char *text;
};

/* Made by the Makefile from profiles/models, profiles/devices, profiles/engines, profiles/techniques,
 * profiles/accuracy, workloads/scenarios, planner/plans and papers; ends with a NULL kind. */
extern const struct shipped_file shipped_files[];

/* Whether a file of this path is shipped, next to a paper. */
bool shipped_has_file(const char *path);

/* A name with a '/' or ".json" in it is a path, of a shipped file or of one on disk; any other must be shipped. The
 * caller owns root. */
int shipped_load(const char *kind, const char *name_or_path, struct json *root, struct error *err);

/* The shipped name that a repository's stands for, out of `size` bytes: "Qwen/Qwen3-30B-A3B-Instruct-2507" is
 * qwen3-30b-a3b. False when there is none; *out is then the name in lower case. */
bool shipped_resolve(const char *kind, const char *repository, char *out, size_t size);

#endif
