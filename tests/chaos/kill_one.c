/* SPDX-License-Identifier: Apache-2.0 */
/* SIGKILL and SIGSTOP of one process under load. */
#include "chaos.h"

#include <signal.h>
#include <stdlib.h>

#define THREADS 4
#define SLOWEST_MS 5000  /* for an answer, or the end of the connection */
#define RECOVERY_MS 2000 /* to the next success */
#define PIDS 16
#define CALM_MS 300
#define STALLED_LEAST 5

static const char *const roles[] = {"verifier", "signer", "authority", "frontend"};

struct scene {
    struct chaos *chaos;
    struct chaos_site site;
    struct chaos_load load;
    struct chaos_client probe;
    struct chaos_serials serials;
};

static struct scene *
begin(struct chaos *c, int request_timeout)
{
    struct scene *s = calloc(1, sizeof(*s));
    char timeout[16];

    if (s == NULL) {
        chaos_fail(c, "out of memory");
        return NULL;
    }
    s->chaos = c;
    (void)snprintf(timeout, sizeof(timeout), "%ds", request_timeout);
    if (chaos_site_make(c, &s->site) &&
        chaos_site_set(c, &s->site, "request_timeout", json_string(timeout)) &&
        chaos_site_set(c, &s->site, "verifiers", json_integer(2)) &&
        chaos_site_start(c, &s->site) && chaos_client_open(c, &s->site, "psa", &s->probe))
        return s;
    chaos_site_end(c, &s->site);
    free(s);
    return NULL;
}

static void
finish(struct scene *s)
{
    if (s->load.len > 0) {
        chaos_load_audit(&s->load, &s->serials);
        chaos_serials_check(s->chaos, &s->site, &s->serials);
    }
    chaos_load_free(&s->load);
    chaos_client_close(&s->probe);
    chaos_site_end(s->chaos, &s->site);
    free(s);
}

/* Enrolments one after the other until one succeeds; how long that took. */
static int64_t
recover(struct scene *s, int64_t most_ms)
{
    const int64_t begin = chaos_now_ms();
    struct chaos_attempt a;
    long status = 0;

    do {
        chaos_enrol(&s->probe, AGENT_TAMPER_NONE, &a);
        status = a.status;
        if (a.wrong[0] != '\0' || (status != 201 && !chaos_is_lost(&a)))
            chaos_fail(s->chaos, "a wrong answer: %ld %s %s", status, a.code, a.wrong);
        chaos_attempt_clear(&a);
        if (status != 201)
            chaos_sleep_ms(5);
    } while (status != 201 && chaos_now_ms() - begin < most_ms);
    return status == 201 ? chaos_now_ms() - begin : -1;
}

/* ---- killed once ---- */

static void
others_live(struct scene *s, const char *killed, pid_t pid, pid_t before[][PIDS], const size_t *len)
{
    for (size_t r = 0; r < BH_COUNT(roles); r++)
        for (size_t i = 0; i < len[r]; i++)
            if (before[r][i] != pid && kill(before[r][i], 0) != 0)
                chaos_fail(s->chaos, "the %s went down with the %s", roles[r], killed);
}

static void
kill_role(struct scene *s, const char *role)
{
    pid_t before[BH_COUNT(roles)][PIDS], pid;
    size_t len[BH_COUNT(roles)];
    int64_t took;

    if (!chaos_load_start(s->chaos, &s->site, THREADS, &s->load))
        return;
    chaos_sleep_ms(CALM_MS + chaos_random(200));
    for (size_t r = 0; r < BH_COUNT(roles); r++)
        len[r] = chaos_site_pids(&s->site, roles[r], before[r], PIDS);
    if (chaos_site_pids(&s->site, role, &pid, 1) != 1) {
        chaos_fail(s->chaos, "no %s is there", role);
        chaos_load_stop(&s->load, SLOWEST_MS);
        return;
    }
    (void)kill(pid, SIGKILL);
    took = recover(s, 4 * RECOVERY_MS);
    if (took < 0 || took > RECOVERY_MS)
        chaos_fail(s->chaos, "after the end of the %s the next success took %lld ms", role,
            (long long)took);
    else
        chaos_say(s->chaos, "%s killed: %lld ms to the next success", role, (long long)took);
    others_live(s, role, pid, before, len);
    chaos_sleep_ms(CALM_MS);
    chaos_load_stop(&s->load, SLOWEST_MS);
    chaos_load_audit(&s->load, &s->serials);
}

void
chaos_kill_one(struct chaos *c)
{
    const int64_t end = chaos_now_ms() + (int64_t)c->seconds * 1000;
    struct scene *s;

    do {
        if ((s = begin(c, 20)) == NULL)
            return;
        for (size_t r = 0; r < BH_COUNT(roles); r++)
            kill_role(s, roles[r]);
        finish(s);
    } while (chaos_now_ms() < end && !c->failed);
}

/* ---- killed again and again: what hostile input to a weak spot would do ---- */

void
chaos_crash_loop(struct chaos *c)
{
    const int64_t end = chaos_now_ms() + (int64_t)c->seconds * 1000;
    struct scene *s = begin(c, 20);
    pid_t pids[PIDS];
    int64_t slowest = 0;
    unsigned kills = 0;

    while (s != NULL && (chaos_now_ms() < end || kills < 16) && !c->failed) {
        const size_t n = chaos_site_pids(&s->site, "verifier", pids, PIDS);
        int64_t took;

        for (size_t i = 0; i < n; i++, kills++)
            (void)kill(pids[i], SIGKILL);
        if ((took = recover(s, 4 * RECOVERY_MS)) < 0 || took > RECOVERY_MS)
            chaos_fail(c, "after %u ends of verifiers the next success took %lld ms", kills,
                (long long)took);
        slowest = took > slowest ? took : slowest;
    }
    chaos_say(
        c, "%u verifiers killed, at most %lld ms to the next success", kills, (long long)slowest);
    if (s != NULL)
        finish(s);
}

/* ---- stopped ---- */

static unsigned long
issued_during(struct scene *s, int64_t ms)
{
    const unsigned long before = atomic_load(&s->load.issued);

    chaos_sleep_ms(ms);
    return atomic_load(&s->load.issued) - before;
}

/* Two threads at most wait for a stopped verifier, the others have the other one. */
static void
stall_verifier(struct scene *s)
{
    unsigned long calm, stalled;
    pid_t pid;

    if (!chaos_load_start(s->chaos, &s->site, THREADS, &s->load))
        return;
    chaos_sleep_ms(CALM_MS);
    calm = issued_during(s, 1500);
    if (chaos_site_pids(&s->site, "verifier", &pid, 1) == 1)
        (void)kill(pid, SIGSTOP);
    chaos_sleep_ms(CALM_MS);
    stalled = issued_during(s, 1500);
    (void)kill(pid, SIGCONT);
    /* How many is a matter of what else the machine does: were they stopped, it would be none. */
    if (stalled < STALLED_LEAST)
        chaos_fail(
            s->chaos, "one stopped verifier stops the others: %lu instead of %lu", stalled, calm);
    chaos_say(s->chaos, "verifier stopped: %lu instead of %lu issued meanwhile", stalled, calm);
    chaos_sleep_ms(CALM_MS);
    chaos_load_stop(&s->load, SLOWEST_MS);
    chaos_load_audit(&s->load, &s->serials);
}

/* Longer than anybody waits: requests fail in time, and all is well when it goes on. */
static void
stall_for_long(struct scene *s, const char *role, int64_t ms, bool refuse)
{
    struct chaos_client probe;
    int64_t took;
    pid_t pid;

    s->load.refuse = refuse;
    if (!chaos_client_open(s->chaos, &s->site, "psa", &probe))
        return;
    if (chaos_load_start(s->chaos, &s->site, THREADS, &s->load)) {
        chaos_sleep_ms(CALM_MS);
        if (chaos_site_pids(&s->site, role, &pid, 1) == 1)
            (void)kill(pid, SIGSTOP);
        for (const int64_t end = chaos_now_ms() + ms; chaos_now_ms() < end; chaos_sleep_ms(200))
            if (chaos_get(&probe, "/healthz", NULL, NULL) != 200)
                chaos_fail(s->chaos, "/healthz while the %s is stopped", role);
        (void)kill(pid, SIGCONT);
        chaos_load_stop(&s->load, SLOWEST_MS);
        /* As often as each verifier gets its turn. */
        for (unsigned i = 0; i < 8; i++)
            if ((took = recover(s, 4 * RECOVERY_MS)) < 0 || took > RECOVERY_MS)
                chaos_fail(s->chaos, "after the stop of the %s the next success took %lld ms", role,
                    (long long)took);
        chaos_load_audit(&s->load, &s->serials);
    }
    chaos_say(s->chaos, "%s stopped for %lld ms", role, (long long)ms);
    chaos_client_close(&probe);
    s->load.refuse = false;
}

void
chaos_stall(struct chaos *c)
{
    const int64_t end = chaos_now_ms() + (int64_t)c->seconds * 1000;
    struct scene *s;

    do {
        if ((s = begin(c, 3)) == NULL)
            return;
        stall_verifier(s);
        if (c->seconds >= 5)
            stall_for_long(s, "authority", 4500, false);
        stall_for_long(s, "signer", 3500, false);
        /* A verifier waits ten seconds for a lookup, and then for nothing more. */
        stall_for_long(s, "authority", 11500, true);
        finish(s);
    } while (chaos_now_ms() < end && !c->failed);
}
