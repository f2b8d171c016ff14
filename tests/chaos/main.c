/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead-chaos: the scenarios at length, against the programs beside it. */
#include "chaos.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>

static const struct scenario {
    const char *name;
    void (*run)(struct chaos *);
    unsigned share; /* of the time, in percent */
    const char *what;
} scenarios[] = {
    {"kill-all", chaos_kill_all, 25, "kill -9 of the whole server under load"},
    {"kill-one", chaos_kill_one, 12, "kill -9 of one process of each role under load"},
    {"crash-loop", chaos_crash_loop, 4, "verifiers that are killed as soon as they are there"},
    {"stall", chaos_stall, 12, "a process that is stopped"},
    {"full-disk", chaos_full_disk, 12, "a full disk under the store"},
    {"idle-crowd", chaos_idle_crowd, 14, "10,000 idle connections"},
    {"slow-crowd", chaos_slow_crowd, 9, "500 clients that send a byte a second"},
    {"rude-crowd", chaos_rude_crowd, 4, "half handshakes, resets, dying clients, large bodies"},
    {"evict", chaos_evict, 2, "newcomers at the limit of connections"},
    {"refusals", chaos_refusals, 20, "a mixed load of refusals: no process grows"},
};

static void
usage(FILE *to)
{
    (void)fputs("usage: beachhead-chaos [--seconds N] [--bin DIR] [SCENARIO]...\n"
                "\n"
                "Hurts a server of its own in every way that it must survive. Exit 1 when it did\n"
                "not. --seconds: about how long in all (default 300).\n"
                "\nscenarios:\n",
        to);
    for (size_t i = 0; i < BH_COUNT(scenarios); i++)
        (void)fprintf(to, "  %-12s %s\n", scenarios[i].name, scenarios[i].what);
    (void)fputs("\nexample: beachhead-chaos --seconds 60 kill-all full-disk\n", to);
}

static const char *
own_folder(char *out, size_t size)
{
    const ssize_t n = readlink("/proc/self/exe", out, size - 1);

    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash != NULL)
        *slash = '\0';
    return out;
}

/* In a process of its own: mounts, limits and leftovers end with it. */
static bool
run_one(const struct scenario *scenario, const char *bin, unsigned seconds)
{
    int status = 0;
    pid_t pid;

    (void)printf("== %s: %s\n", scenario->name, scenario->what);
    (void)fflush(stdout);
    if ((pid = fork()) == 0) {
        struct chaos c;

        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        chaos_begin(&c, scenario->name, bin, seconds);
        scenario->run(&c);
        exit(c.failed ? 1 : 0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static bool
wanted(const struct scenario *scenario, int argc, char **argv)
{
    for (int i = optind; i < argc; i++)
        if (strcmp(argv[i], scenario->name) == 0)
            return true;
    return optind == argc;
}

static bool
known(const char *name)
{
    for (size_t i = 0; i < BH_COUNT(scenarios); i++)
        if (strcmp(name, scenarios[i].name) == 0)
            return true;
    return false;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"bin", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    char folder[512];
    const char *bin = own_folder(folder, sizeof(folder));
    unsigned long seconds = 300, share = 0;
    bool good = true;
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 's')
            seconds = strtoul(optarg, NULL, 10);
        else if (o == 'b')
            bin = optarg;
        else {
            usage(o == 'h' ? stdout : stderr);
            return o == 'h' ? 0 : 2;
        }
    }
    for (int i = optind; i < argc; i++)
        if (!known(argv[i])) {
            (void)fprintf(stderr, "beachhead-chaos: no scenario is called %s\n", argv[i]);
            return 2;
        }
    for (size_t i = 0; i < BH_COUNT(scenarios); i++)
        share += wanted(&scenarios[i], argc, argv) ? scenarios[i].share : 0;
    for (size_t i = 0; i < BH_COUNT(scenarios); i++)
        if (wanted(&scenarios[i], argc, argv))
            good = run_one(&scenarios[i], bin, (unsigned)(seconds * scenarios[i].share / share)) &&
                   good;
    (void)printf(good ? "it survived\n" : "IT DID NOT SURVIVE\n");
    return good ? 0 : 1;
}
