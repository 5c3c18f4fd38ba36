/* SPDX-License-Identifier: MIT */
/* json.h — JSON in, strictly: every complaint names the file, the JSON path, what was found and what
 * is allowed. Thin over cJSON. */
#ifndef TANDEM_BASE_JSON_H
#define TANDEM_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/error.h"

/* cJSON answers false for NULL, which clang's analyzer cannot see. */
#ifdef __clang_analyzer__
#define cJSON_IsNumber(node) ((node) != NULL && (cJSON_IsNumber)(node))
#define cJSON_IsString(node) ((node) != NULL && (cJSON_IsString)(node))
#define cJSON_IsObject(node) ((node) != NULL && (cJSON_IsObject)(node))
#define cJSON_IsArray(node) ((node) != NULL && (cJSON_IsArray)(node))
#define cJSON_IsBool(node) ((node) != NULL && (cJSON_IsBool)(node))
#endif

/* From then on, an allocation that cJSON misses in any thread is noted there (memory_note_failure). A program calls it
 * before all else: the library does not, whose host may have hooks of its own. Its texts are still freed by free(). */
void json_note_failures(void);

/* A place in a document. Copies freely; the document's root owns the nodes. */
struct json {
    const cJSON *node; /* NULL where the member is absent */
    const char *file;
    char path[160];
};

/* Reads a whole file, or parses text that is called `name` in messages: UTF-8, no object with one key twice. `root` is
 * owned by the caller (cJSON_Delete((cJSON *)root.node)). Names and text must outlive the places. */
int json_load(const char *file, struct json *root, struct error *err);
int json_parse(const char *text, const char *name, struct json *root, struct error *err);

/* The member `key` of an object (node NULL when absent), or element `index` of an array. */
struct json json_member(const struct json *object, const char *key);
struct json json_element(const struct json *array, int index);

/* The first element of an array, and the one after an element; node NULL after the last, and in what is no array. A
 * walk by these takes time linear in the elements, one by json_element quadratic. */
struct json json_first(const struct json *array);
struct json json_next(const struct json *element);

/* Fails unless the node is an object whose every key is in the NULL-ended list. */
int json_check_keys(const struct json *object, const char *const *allowed, struct error *err);

/* Typed reads of a member. An absent member leaves *out as it is when `required` is false. */
int json_read_number(const struct json *object, const char *key, bool required, double min, double max, double *out,
                     struct error *err);
int json_read_integer(const struct json *object, const char *key, bool required, long long min, long long max,
                      long long *out, struct error *err);
int json_read_bool(const struct json *object, const char *key, bool *out, struct error *err);
/* The string lives as long as the document. */
int json_read_string(const struct json *object, const char *key, bool required, const char **out, struct error *err);

/* Fills err with "FILE: PATH: expected EXPECTED, found ..." and returns -1. */
int json_complain(const struct json *at, const char *expected, struct error *err);
#ifdef __clang_analyzer__
#define json_complain(at, expected, err) ((void)(json_complain)(at, expected, err), -1)
#endif

/* The same of a name that there is not, with the one that may have been meant (nearest.h). */
int json_complain_of_name(const struct json *at, const char *expected, const char *found,
                          const char *(*name)(const void *names, size_t index), const void *names, struct error *err);

/* Sets root's member at a dotted path ("policy.batching.name") to the JSON value written in `text`; a
 * value that is not JSON is taken as a string. Missing objects on the way are made. */
int json_set_path(struct json *root, const char *path, const char *text, struct error *err);

#endif
