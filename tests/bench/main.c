/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead-bench: figures beside a floor measured in the same run. */
#include "bench.h"

#include "core/cli.h"

#include <time.h>

static double
clock_us(clockid_t id)
{
    struct timespec t;

    (void)clock_gettime(id, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

double
bench_now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

double
bench_thread_cpu_us(void)
{
    return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

int
main(int argc, char **argv)
{
    static const struct bh_cli_command commands[] = {
        {"issue", "enrolments over HTTPS at a server of its own", bench_issue},
        {"verify", "verification of evidence alone, in process", bench_verify},
        {0},
    };

    return bh_cli_run("beachhead-bench", "Measure Beachhead beside the floor of the same run.",
        "beachhead-bench issue --platform psa --clients 8 --seconds 10 --json", commands, argc,
        argv);
}
