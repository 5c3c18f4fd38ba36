/* SPDX-License-Identifier: MIT */
/* plan_emit.h — how what a plan recommends is deployed and tested. */
#ifndef TANDEM_CLI_PLAN_EMIT_H
#define TANDEM_CLI_PLAN_EMIT_H

#include "planner/deploy.h"

/* A form by its name. */
int plan_emit_find(const char *name, enum deploy_form *out, struct error *err);

/* Prints the recommendation's and the runner-up's deployment, the benchmark that tests them, and what to expect of it;
 * simulates that benchmark. */
int plan_emit(struct plan_search *s, enum deploy_form form, struct error *err);

#endif
