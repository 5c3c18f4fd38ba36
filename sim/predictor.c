/* SPDX-License-Identifier: MIT */
#include "sim/predictor.h"

#include <math.h>
#include <string.h>

bool predictor_takes_time(const struct param_set *params)
{
    for (const struct param_spec *spec = params->specs; spec->name; spec++)
        if (strstr(spec->name, "server_s") && param_number(params, spec->name) > 0)
            return true;
    return false;
}

void predictor_apply(const struct predictor *p, const struct param_set *params, struct request *r, gsl_rng *rng)
{
    double server_s = 0, tokens = round(p->predict(params, r, rng, &server_s));
    r->prediction = sim_time_from_s(server_s);
    r->predicted_tokens = !(tokens >= 1) ? 1 : tokens > r->max_output_tokens ? r->max_output_tokens : (uint32_t)tokens;
}
