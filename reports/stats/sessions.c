/* SPDX-License-Identifier: MIT */
#include "reports/stats/sessions.h"

#include <math.h>

const char *const session_latency_names[SESSION_LATENCIES] = {"session_s", "first_turn_ttft_s", "later_turn_ttft_s"};

void session_stats_init(struct session_stats *s)
{
    *s = (struct session_stats){.asked = true};
    for (int i = 0; i < SESSION_LATENCIES; i++)
        samples_init(&s->latencies[i], 5);
}

void session_stats_release(struct session_stats *s)
{
    for (int i = 0; s->asked && i < SESSION_LATENCIES; i++)
        samples_release(&s->latencies[i]);
    *s = (struct session_stats){0};
}

static void add(struct session_stats *s, enum session_latency which, uint64_t position, sim_time value)
{
    if (samples_add_one(&s->latencies[which], position, value))
        s->out_of_memory = true;
}

static void on_finished(void *state, struct station_id station, const struct request *r)
{
    (void)station;
    if (r->origin.turn > 0)
        add(state, r->origin.turn == 1 ? SESSION_FIRST_TTFT : SESSION_LATER_TTFT, r->id, r->first_token - r->arrival);
}

struct observer session_stats_observer(struct session_stats *s)
{
    return (struct observer){.state = s, .finished = on_finished};
}

void session_stats_take(struct session_stats *s, const struct session_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct session_record *r = &records[i];
        s->begun += r->turns > 0;
        s->turns += r->turns;
        if (!r->complete)
            continue;
        s->complete++;
        s->tools_s += sim_time_to_s(r->tools);
        s->length_s += sim_time_to_s(r->ended - r->began);
        add(s, SESSION_LENGTH, i, r->ended - r->began);
    }
}

int session_stats_summarise(const struct session_stats *s, struct session_summary *out)
{
    *out = (struct session_summary){.begun = s->begun, .complete = s->complete, .turns = NAN, .tool_share = NAN};
    if (s->begun == 0)
        return 0;
    out->turns = (double)s->turns / (double)s->begun;
    out->tool_share = s->length_s > 0 ? s->tools_s / s->length_s : NAN;
    for (int i = 0; i < SESSION_LATENCIES; i++)
        if (samples_summarise(&s->latencies[i], 0, &out->latencies[i], NULL))
            return -1;
    return s->out_of_memory ? -1 : 0;
}
