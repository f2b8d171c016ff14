/* SPDX-License-Identifier: Apache-2.0 */
/* Many clients at once that want nothing, or are slow, or rude: the others are served. */
#include "crowd.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVED_MS 5000
#define PROBE_EVERY_MS 200

/* ---- crowds ---- */

bool
crowd_start(struct chaos *c, const struct chaos_site *site, enum crowd_kind kind, unsigned total,
    unsigned processes, struct crowd *crowd)
{
    *crowd = (struct crowd){.kind = kind};
    crowd->counts = mmap(
        NULL, sizeof(*crowd->counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (crowd->counts == MAP_FAILED) {
        crowd->counts = NULL;
        chaos_fail(c, "no shared memory");
        return false;
    }
    for (unsigned i = 0; i < processes; i++) {
        const unsigned own = total / processes + (i < total % processes);
        const pid_t pid = fork();

        if (pid == 0)
            crowd_live(kind, site->server.url, own, i, crowd->counts);
        if (pid > 0)
            crowd->pids[crowd->len++] = pid;
    }
    return true;
}

void
crowd_end(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->len; i++)
        (void)kill(crowd->pids[i], SIGKILL);
    for (size_t i = 0; i < crowd->len; i++)
        while (waitpid(crowd->pids[i], NULL, 0) < 0 && errno == EINTR)
            ;
    crowd->len = 0;
    if (crowd->counts != NULL)
        (void)munmap(crowd->counts, sizeof(*crowd->counts));
    crowd->counts = NULL;
}

/* ---- somebody who wants to be served meanwhile ---- */

struct probe {
    struct chaos *chaos;
    struct chaos_client client;
    long slowest_ms;
    unsigned served;
};

static bool
probe_open(struct chaos *c, const struct chaos_site *site, struct probe *p)
{
    *p = (struct probe){.chaos = c};
    return chaos_client_open(c, site, "psa", &p->client);
}

/* A newcomer each time: what is tested is to get in. One that is told to come again does. */
static void
probe_once(struct probe *p)
{
    const int64_t begin = chaos_now_ms();
    struct chaos_attempt a = {0};
    long healthy, ms, took;

    if (!chaos_client_connect(p->chaos, &p->client, 2 * SERVED_MS))
        return;
    healthy = chaos_get(&p->client, "/healthz", NULL, &ms);
    if (healthy != 200 || ms > SERVED_MS)
        chaos_fail(p->chaos, "/healthz: %ld in %ld ms", healthy, ms);
    do {
        chaos_attempt_clear(&a);
        chaos_enrol(&p->client, AGENT_TAMPER_NONE, &a);
        if (a.status == 503)
            chaos_sleep_ms(100);
        took = (long)(chaos_now_ms() - begin);
    } while (a.status == 503 && took < SERVED_MS);
    if (a.status != 201 || a.wrong[0] != '\0' || took > SERVED_MS)
        chaos_fail(p->chaos, "an enrolment meanwhile: %ld %s %s %s in %ld ms", a.status, a.code,
            a.check, a.wrong, took);
    p->slowest_ms = took > p->slowest_ms ? took : p->slowest_ms;
    p->served++;
    chaos_attempt_clear(&a);
}

static void
probe_for(struct probe *p, int64_t ms)
{
    for (const int64_t end = chaos_now_ms() + ms; chaos_now_ms() < end && !p->chaos->failed;) {
        probe_once(p);
        chaos_sleep_ms(PROBE_EVERY_MS);
    }
}

static void
probe_close(struct probe *p, const char *what)
{
    chaos_say(
        p->chaos, "%s: %u served meanwhile, the slowest in %ld ms", what, p->served, p->slowest_ms);
    chaos_client_close(&p->client);
}

/* Until each has tried to get in. */
static void
await_openings(struct probe *p, struct crowd *crowd, unsigned n)
{
    const int64_t limit = chaos_now_ms() + 120000;

    while (atomic_load(&crowd->counts->opened) + atomic_load(&crowd->counts->failed) < n &&
           chaos_now_ms() < limit && !p->chaos->failed) {
        probe_once(p);
        chaos_sleep_ms(PROBE_EVERY_MS);
    }
}

static pid_t
frontend_of(struct chaos_site *site)
{
    pid_t pid = 0;

    return chaos_site_pids(site, "frontend", &pid, 1) == 1 ? pid : 0;
}

/* Descriptors return to what they were: every connection has ended. */
static void
await_fds(struct chaos *c, struct chaos_site *site, long before, int64_t ms)
{
    const int64_t end = chaos_now_ms() + ms;
    long now;

    while ((now = chaos_fds(frontend_of(site))) > before + 2 && chaos_now_ms() < end)
        chaos_sleep_ms(50);
    if (now > before + 2)
        chaos_fail(c, "the frontend holds %ld descriptors, %ld before", now, before);
}

/* ---- idle ---- */

static unsigned
crowd_size(struct chaos *c)
{
    const unsigned wanted = c->sanitized ? 600 : 10000;
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < wanted + 1024) {
        chaos_say(c, "*** NOTE: RLIMIT_NOFILE is %lu: fewer than %u connections",
            (unsigned long)files.rlim_max, wanted);
        return files.rlim_max > 2048 ? (unsigned)files.rlim_max / 2 : 256;
    }
    if (c->sanitized)
        chaos_say(c, "*** NOTE: %u connections, the programs are built with sanitizers", wanted);
    return wanted;
}

static void
watch_idle(
    struct chaos *c, struct chaos_site *site, struct probe *p, struct crowd *crowd, unsigned n)
{
    await_openings(p, crowd, n);
    probe_for(p, c->seconds < 5 ? 3000 : (int64_t)c->seconds * 500);
    const unsigned there =
        atomic_load(&crowd->counts->opened) - atomic_load(&crowd->counts->closed);
    chaos_say(c, "%u idle connections; the frontend has %ld KiB and %ld descriptors", there,
        chaos_rss_kib(frontend_of(site)), chaos_fds(frontend_of(site)));
    if (there < n)
        chaos_fail(c, "%u of %u idle connections are there, %u could not be made", there, n,
            atomic_load(&crowd->counts->failed));
}

void
chaos_idle_crowd(struct chaos *c)
{
    const unsigned n = crowd_size(c);
    struct chaos_site site;
    struct crowd crowd;
    struct probe p;

    if (chaos_site_make(c, &site) &&
        chaos_site_set(c, &site, "idle_timeout", json_string("180s")) &&
        chaos_site_start(c, &site) && probe_open(c, &site, &p)) {
        probe_for(&p, 500);
        const long fds = chaos_fds(frontend_of(&site)), rss = chaos_rss_kib(frontend_of(&site));
        if (crowd_start(c, &site, CROWD_IDLE, n, 8, &crowd)) {
            watch_idle(c, &site, &p, &crowd, n);
            crowd_end(&crowd);
        }
        await_fds(c, &site, fds, 10000);
        chaos_sleep_ms(1000);
        const long after = chaos_rss_kib(frontend_of(&site));
        chaos_say(c, "the frontend had %ld KiB before and has %ld KiB afterwards", rss, after);
        if (!c->sanitized && after > rss + 32 * 1024)
            chaos_fail(c, "memory does not return: %ld KiB, %ld KiB afterwards", rss, after);
        probe_close(&p, "idle connections");
    }
    chaos_site_end(c, &site);
}

/* ---- slow ---- */

static void
slow_ones(struct chaos *c, struct chaos_site *site, enum crowd_kind kind, unsigned n,
    unsigned timeout_s, const char *what)
{
    const long fds = chaos_fds(frontend_of(site));
    struct crowd crowd;
    struct probe p;

    if (!probe_open(c, site, &p) || !crowd_start(c, site, kind, n, 4, &crowd))
        return;
    for (const int64_t end = chaos_now_ms() + (int64_t)timeout_s * 1000 + 15000;
         atomic_load(&crowd.counts->closed) < n && chaos_now_ms() < end && !c->failed;) {
        probe_once(&p);
        chaos_sleep_ms(PROBE_EVERY_MS);
    }
    const unsigned closed = atomic_load(&crowd.counts->closed);
    const unsigned slowest = atomic_load(&crowd.counts->slowest_ms);
    chaos_say(
        c, "%s: %u of %u closed, at most %u ms after they had begun", what, closed, n, slowest);
    if (closed < n)
        chaos_fail(c, "%u of %u %s were not closed", n - closed, n, what);
    if (slowest > (timeout_s + 3) * 1000)
        chaos_fail(
            c, "one of the %s was served for %u ms, the limit is %u s", what, slowest, timeout_s);
    crowd_end(&crowd);
    await_fds(c, site, fds, 5000);
    probe_close(&p, what);
}

void
chaos_slow_crowd(struct chaos *c)
{
    const bool brief = c->seconds < 20;
    const unsigned timeout = brief ? 4 : 20;
    struct chaos_site site;
    char text[16];

    (void)snprintf(text, sizeof(text), "%us", timeout);
    if (chaos_site_make(c, &site) &&
        chaos_site_set(c, &site, "request_timeout", json_string(text)) &&
        chaos_site_start(c, &site)) {
        slow_ones(c, &site, CROWD_SLOW, c->sanitized ? 200 : 500, timeout, "slow clients");
        slow_ones(c, &site, CROWD_MUTE, c->sanitized ? 200 : 500, timeout, "half handshakes");
    }
    chaos_site_end(c, &site);
}

/* ---- rude ---- */

static void
rude_ones(struct chaos *c, struct chaos_site *site, enum crowd_kind kind, unsigned n, int64_t ms,
    const char *what)
{
    const long fds = chaos_fds(frontend_of(site));
    struct crowd crowd;
    struct probe p;

    if (!probe_open(c, site, &p) || !crowd_start(c, site, kind, n, 4, &crowd))
        return;
    probe_for(&p, ms);
    chaos_say(c, "%s: %u opened, %u failed, %u answered, %u closed", what,
        atomic_load(&crowd.counts->opened), atomic_load(&crowd.counts->failed),
        atomic_load(&crowd.counts->answered), atomic_load(&crowd.counts->closed));
    if (atomic_load(&crowd.counts->opened) == 0)
        chaos_fail(c, "%s: none got in", what);
    if (kind == CROWD_LARGE && atomic_load(&crowd.counts->answered) == 0)
        chaos_fail(c, "%s: none was answered", what);
    if (atomic_load(&crowd.counts->bad_status) > 0)
        chaos_fail(c, "%s: an answer that is neither a refusal nor 503", what);
    crowd_end(&crowd);
    await_fds(c, site, fds, 5000);
    probe_once(&p);
    probe_close(&p, what);
}

void
chaos_rude_crowd(struct chaos *c)
{
    const int64_t ms = c->seconds < 4 ? 1500 : (int64_t)c->seconds * 400;
    struct chaos_site site;

    if (chaos_site_make(c, &site) && chaos_site_start(c, &site)) {
        const pid_t before = frontend_of(&site);

        rude_ones(c, &site, CROWD_RESET, 4, ms, "resets");
        rude_ones(c, &site, CROWD_HALF, 64, ms, "clients killed within a body");
        rude_ones(c, &site, CROWD_LARGE, 64, ms, "bodies of 256 KiB");
        rude_ones(c, &site, CROWD_GREEDY, 320, 3 * ms, "large bodies that do not end");
        if (frontend_of(&site) != before)
            chaos_fail(c, "the frontend was restarted");
    }
    chaos_site_end(c, &site);
}

/* ---- at the limit ---- */

void
chaos_evict(struct chaos *c)
{
    const unsigned limit = 64, n = c->sanitized ? 200 : 400;
    struct chaos_site site;
    struct crowd crowd;
    struct probe p;

    if (chaos_site_make(c, &site) && chaos_site_set(c, &site, "connections", json_integer(limit)) &&
        chaos_site_start(c, &site) && probe_open(c, &site, &p)) {
        if (crowd_start(c, &site, CROWD_IDLE, n, 4, &crowd)) {
            await_openings(&p, &crowd, n);
            probe_for(&p, 1000);
            const unsigned opened = atomic_load(&crowd.counts->opened);
            const unsigned closed = atomic_load(&crowd.counts->closed);
            chaos_say(c, "%u opened at a limit of %u, %u of them closed for others", opened, limit,
                closed);
            if (opened < n)
                chaos_fail(c, "%u of %u newcomers were not let in", n - opened, n);
            if (opened - closed > limit + 2)
                chaos_fail(c, "%u idle connections at a limit of %u", opened - closed, limit);
            crowd_end(&crowd);
        }
        probe_close(&p, "at the limit");
    }
    chaos_site_end(c, &site);
}
