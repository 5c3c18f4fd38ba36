/* SPDX-License-Identifier: MIT */
/* accuracy.h — how far simulated mean latencies are from measured ones, for what is like the scenario in question.
 *
 * The error is e = ln(measured ÷ simulated), which has no unit: a simulated time times exp(e) is the measured one. Of
 * the points of a kind, `bias` is the median of e, and `spread` the standard deviation of the normal distribution whose
 * 10th and 90th percentiles are as far apart as those of e, made wider where few servers were measured, as Student's
 * intervals for one more server are. So exp(bias + spread · z), z standard normal, is a factor for simulated times that
 * is as likely as the measurements are.
 *
 * The figures are those of the measured operating points that no constant was fitted to: the judged half of H100's and
 * H200's, and all of Blackwell's. `validation/accuracy --write` makes the file (profiles/accuracy/points.json) in the
 * run that makes docs/accuracy.md, and writes there how often the intervals hold. */
#ifndef TANDEM_PROFILES_ACCURACY_H
#define TANDEM_PROFILES_ACCURACY_H

#include "profiles/device.h"
#include "profiles/engine.h"
#include "profiles/model.h"

/* What is served, and how its kernels' times are known. */
struct accuracy_key {
    char system[64];    /* h100-sxm */
    char engine[64];    /* vllm, sglang, trtllm, or another engine's name */
    bool fitted;        /* the device's constants are fitted to measured kernels, or it has tables of them */
    bool experts;       /* a mixture of experts */
    enum dtype weights; /* of the experts, where there are any; the model as it is served */
};

struct log_error {
    double bias, spread;
};

struct accuracy {
    unsigned points,
        servers; /* measurements, and servers with settings of their own; 0: a prior, nothing was measured */
    struct log_error tpot, ttft;
    char of[160]; /* what the points have in common, in words: "h100-sxm, vllm, dense, fp8" */
};

/* What a cost model's device, engine and model (in the formats it is served in) are filed under. */
void accuracy_key_of(const struct device *device, const struct engine *engine, const struct model *model,
                     struct accuracy_key *out);

/* The row of the file that says most about the key: the first in the order of the file that fits. Rows go from the
 * closest kind to the widest: a row is there only when it rests on enough points of enough servers, and the last one
 * fits everything. Fails when the file cannot be read. */
int accuracy_find(const struct accuracy_key *key, struct accuracy *out, struct error *err);

/* The same in a document of that form. */
int accuracy_find_in(const struct json *file, const struct accuracy_key *key, struct accuracy *out, struct error *err);

#endif
