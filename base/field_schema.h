/* SPDX-License-Identifier: MIT */
/* field_schema.h — a table of fields as a JSON Schema (draft 2020-12), for editors and other programs. */
#ifndef TANDEM_BASE_FIELD_SCHEMA_H
#define TANDEM_BASE_FIELD_SCHEMA_H

#include "base/fields.h"

/* The caller owns it (cJSON_Delete). Returns NULL when memory is short. */
cJSON *field_schema(const struct field *root);

#endif
