/* SPDX-License-Identifier: MIT */
/* A plug-in that brings a policy to each of the other axes; all of them look at prompts. Build and use it from the
 * source folder with
 *
 *     cc -shared -fPIC -O2 -I. docs/examples/by_prompt.c -o by_prompt.so
 *     build/tandem run default --plugin by_prompt.so --set policy.order=shortest_prompt --set cluster.replicas=4 \
 *         --set cluster.routing=fewest_prompt_tokens
 */
#include "policies/plugin.h"

static const struct param_spec none[] = {{0}};

/* Order: rising prompt length, in order of arrival where that is equal. */
static double prompt_length(const struct param_set *params, const struct request *r)
{
    (void)params;
    return r->prompt_tokens;
}

static const struct order_policy shortest_prompt = {.name = "shortest_prompt",
                                                    .summary = "shortest prompt first",
                                                    .source = "an example",
                                                    .params = none,
                                                    .key = prompt_length};

/* Routing: the replica of lowest rank. */
static uint64_t prompt_tokens(const struct replica_load *load)
{
    return load->prompt_tokens;
}

static const struct routing_policy fewest_prompt_tokens = {.name = "fewest_prompt_tokens",
                                                           .summary = "fewest tokens of prompts to compute",
                                                           .params = none,
                                                           .rank = prompt_tokens};

/* Predictor: outputs are as long as a share of the prompt. */
static const struct param_spec shares[] = {
    {"share", PARAM_NUMBER, "", 1, 0.001, 1000, "of the prompt's tokens", NULL, NULL},
    {0},
};

static double share_of_prompt(const struct param_set *params, const struct request *r, gsl_rng *rng, double *server_s)
{
    (void)rng, (void)server_s; /* it draws nothing, and takes no time */
    return param_number(params, "share") * r->prompt_tokens;
}

static const struct predictor by_prompt = {"by_prompt", "a share of the prompt", "an example", shares, share_of_prompt};

/* Autoscaling: replicas for those that wait, and one to spare. */
static const struct param_spec waits[] = {
    {"waiting", PARAM_INTEGER, "requests", 4, 1, 100000, "that wait, for each replica", NULL, NULL},
    {0},
};

static size_t one_to_spare(const struct scaling_view *view)
{
    return 1 + scaling_round_up((double)view->waiting / param_number(view->params, "waiting"));
}

static const struct scaling_policy spare = {"spare", "replicas by who waits, and one to spare", "an example", waits,
                                            one_to_spare};

TANDEM_PLUGIN(.order = {&shortest_prompt}, .routing = {&fewest_prompt_tokens}, .predictor = {&by_prompt},
              .autoscaling = {&spare});
