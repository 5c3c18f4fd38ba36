/* SPDX-License-Identifier: MIT */
/* model_config.h — a model's config.json, as repositories of Hugging Face's form have it, read as a model. */
#ifndef TANDEM_PROFILES_MODEL_CONFIG_H
#define TANDEM_PROFILES_MODEL_CONFIG_H

#include "profiles/model.h"

/* Whether a document has that form: it says "model_type" or "architectures". */
bool model_is_config(const struct json *root);

/* Reads sizes, layers and number formats. `quantised` is hf_quant_config.json, which NVIDIA's repositories have, or has
 * no node. What the configuration says and Tandem does not cost is in out->left_out. The caller names the model. */
int model_read_config(const struct json *config, const struct json *quantised, struct model *out, struct error *err);

#endif
