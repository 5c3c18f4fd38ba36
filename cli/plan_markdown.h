/* SPDX-License-Identifier: MIT */
/* plan_markdown.h — a plan's answer as Markdown, to be pasted into a proposal. */
#ifndef TANDEM_CLI_PLAN_MARKDOWN_H
#define TANDEM_CLI_PLAN_MARKDOWN_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* `answer` is what plan_answer_json makes. */
int plan_markdown_write(const char *file, const cJSON *answer, struct error *err);

#endif
