/* SPDX-License-Identifier: MIT */
/* model_config_parts.h — what the files that read a config.json share. A key has several names: repositories differ. */
#ifndef TANDEM_PROFILES_MODEL_CONFIG_PARTS_H
#define TANDEM_PROFILES_MODEL_CONFIG_PARTS_H

#include "profiles/model.h"

struct model_family; /* what a model_type says without saying it: model_config_families.c */

struct model_config {
    struct json at; /* of the text model: the document, or the part of it that has the decoder */
    const char *type;
    const struct model_family *family;
    struct model *out;
};

struct model_family {
    const char *types;  /* model_types, apart by blanks */
    const char *usual;  /* JSON: values of keys that the file may leave out */
    bool plain_mlp;     /* no gate in the MLP */
    bool qk_norm, tied; /* unless the file says otherwise */
    bool gated_attention;
    bool window_unused; /* engines let every layer see everything, whatever "sliding_window" says */
};

/* The family of a model_type, or NULL. */
const struct model_family *model_family_of(const char *type);

/* The first of the names (apart by blanks) that the file, or else the family, has with a value other than null. */
struct json config_find(const struct model_config *c, const char *names);

/* A count from `least` to `most`; an absent one leaves *out as it is, or is complained of by all its names. */
int config_count(const struct model_config *c, const char *names, bool required, long long least, long long most,
                 uint32_t *out, struct error *err);

/* Whether a switch is there and true. */
bool config_says(const struct model_config *c, const char *names);

/* Adds a half sentence to what is left out. */
void config_leave_out(struct model_config *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Layers: how many have attention, a window, a state, an MLP. */
int config_read_layers(struct model_config *c, struct error *err);

/* Experts: how many, how wide, in which layers. */
int config_read_experts(struct model_config *c, struct error *err);

/* Number formats of weights, experts and KV. */
int config_read_formats(struct model_config *c, const struct json *document, const struct json *quantised,
                        struct error *err);

#endif
