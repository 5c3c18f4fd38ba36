/* SPDX-License-Identifier: MIT */
/* safetensors.h — weights from a file of the safetensors format: eight bytes with the length of a JSON header that says
 * each tensor's number format, shape and place, then the tensors. Names are those of Llama models on the Hugging Face
 * hub; F32, F16 and BF16. */
#ifndef TANDEM_ENGINE_REF_SAFETENSORS_H
#define TANDEM_ENGINE_REF_SAFETENSORS_H

#include "engine_ref/transformer.h"

/* Fills weights that were made for a model. Fails when a tensor is missing or has another shape. */
int safetensors_load(struct weights *w, const char *file, struct error *err);

/* Writes weights as F32. */
int safetensors_save(const struct weights *w, const char *file, struct error *err);

#endif
