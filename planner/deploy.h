/* SPDX-License-Identifier: MIT */
/* deploy.h — so many units of a family as a deployment: servers' command lines, values of a Helm chart or a Kubernetes
 * resource, and the benchmark that tests it. `tandem run --like` reads the command lines back. */
#ifndef TANDEM_PLANNER_DEPLOY_H
#define TANDEM_PLANNER_DEPLOY_H

#include <stdio.h>

#include "planner/search.h"

enum deploy_form { DEPLOY_VLLM, DEPLOY_SGLANG, DEPLOY_TRTLLM, DEPLOY_LLM_D, DEPLOY_DYNAMO, DEPLOY_FORMS };

extern const char *const deploy_form_names[]; /* "vllm", "sglang", "trtllm", "llm-d", "dynamo"; ends with NULL */

/* Servers of one kind: all replicas of a pool. */
struct deployed {
    char role[16];        /* "serve", "prefill" or "decode" */
    char program[64];     /* "vllm serve" */
    char arguments[2000]; /* from the model on, as words of a shell */
    char file[640];       /* members of a JSON object that the server reads from a file; "": no file */
    char device[64];
    double servers, gpus;  /* how many; of each */
    bool needs_checkpoint; /* the flags read weights in their format: they do not make them of 16-bit ones */
};

struct deployment {
    char engine[64], model[160], name[64]; /* the preset; as its repository calls it; for resources */
    struct deployed parts[MOST_POOLS];
    size_t count;
};

/* What is fixed lengths in a benchmark: means of what the plan's workload sends. */
struct benchmark {
    double rate_per_s, prompt_tokens, output_tokens;
    size_t requests;
};

/* Fails where the family's engine is not the form's, or its flags cannot say what the scenario says. */
int deployment_make(struct deployment *d, const struct plan *p, const struct family *f, size_t units,
                    enum deploy_form form, struct error *err);

/* The same of a plan before it is searched: fails where none of its families could be deployed so. */
int deployment_check(const struct plan *p, enum deploy_form form, struct error *err);

int benchmark_make(struct benchmark *b, const struct plan *p, const struct family *f, struct error *err);

/* The scenario of so many units under the benchmark, as text; the caller's to free. NULL when memory is short. */
char *benchmark_scenario(const struct benchmark *b, const struct plan *p, const struct family *f, size_t units);

void deployment_write(const struct deployment *d, enum deploy_form form, FILE *out);
void benchmark_write(const struct benchmark *b, const struct deployment *d, FILE *out);

#endif
