/* SPDX-License-Identifier: MIT */
/* pipeline.h — the stages of one replica under pipeline parallelism: each holds some layers on GPUs of its own, and
 * micro-batches go through them one after another (GPipe; SARATHI, section 3.2). A stage starts a micro-batch when it
 * has come from the stage before and the one ahead of it has left; waiting for either is a bubble. */
#ifndef TANDEM_SIM_PIPELINE_H
#define TANDEM_SIM_PIPELINE_H

#include "sim/executor.h"
#include "workloads/request.h"

/* From a stage to the next one: hidden states, sent while both go on computing. */
struct pipeline_link {
    double bytes_per_token, bytes_per_s;
    sim_time latency;
};

struct pipeline {
    size_t stages;
    const struct executor *executors; /* [stages], each for its own layers */
    struct pipeline_link link;
    sim_time now;      /* when the micro-batch that is run next starts; set it before */
    sim_time *free_at; /* [stages] when each has done what it has been given */
    /* Prompts between two chunks, in order of admission, where the policy lets chunks follow each other through the
     * stages: the micro-batch that starts next takes them. */
    struct request_list prompts;
    sim_time busy; /* Σ over stages */
    /* [stages · stages] when each stage starts and ends with each of the last `stages` micro-batches: no more can be in
     * flight. */
    struct stage_work {
        sim_time start, end;
    } * work;
    size_t started;  /* micro-batches */
    sim_time active; /* with something in flight, up to active_from */
    sim_time active_from, empty_at;
};

/* Returns 0, or -1 when memory is short. */
int pipeline_init(struct pipeline *p, size_t stages, const struct executor *executors,
                  const struct pipeline_link *link);
void pipeline_release(struct pipeline *p);

/* Runs micro-batches in p; p must outlive it. What one costs is the time from p->now until it leaves the last stage. */
struct executor pipeline_executor(struct pipeline *p);

/* The stages stop at `now`: what they do after it they do not do. */
void pipeline_stop(struct pipeline *p, sim_time now);

/* Stage-seconds of bubbles while something was in flight, over all stage-seconds of that time. */
struct bubbles {
    double idle_s, active_s;
};
struct bubbles pipeline_bubbles(const struct pipeline *p);

#endif
