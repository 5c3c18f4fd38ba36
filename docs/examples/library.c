/* SPDX-License-Identifier: MIT */
/* How many replicas keep the default scenario's SLO at four times its rate. Build it against the installed library with
 *
 *     cc docs/examples/library.c $(pkg-config --cflags --libs tandem) -o library
 */
#include <stdio.h>
#include <tandem/tandem.h>

int main(void)
{
    tandem_error err;
    tandem_run *run = tandem_open("default", &err);
    int status = run && tandem_set(run, "workload.rate_scale", "4", &err) == 0 ? 0 : -1, met = 0;
    for (int replicas = 1; status == 0 && !met && replicas <= 16; replicas++) {
        char text[8];
        snprintf(text, sizeof text, "%d", replicas);
        status = tandem_set(run, "cluster.replicas", text, &err) || tandem_simulate(run, &err) ? -1 : 0;
        met = status == 0 && tandem_slo_met(run) == 1;
        if (status == 0)
            printf("%d replicas: p99 TTFT %.3f s, SLO %s\n", replicas, tandem_metric(run, "ttft_s", "p99"),
                   met ? "met" : "missed");
    }
    if (status)
        fprintf(stderr, "%s\n", err.text);
    tandem_close(run);
    return status ? 1 : 0;
}
