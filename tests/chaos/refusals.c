/* SPDX-License-Identifier: Apache-2.0 */
/* A mixed load of refusals: whatever is refused leaves nothing behind. */
#include "chaos.h"

#include "core/text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define GROWTH_KIB 3072
#define TAMPERS (AGENT_TAMPER_EXTRA_COMPONENT + 1)

struct refuser {
    struct chaos *chaos;
    struct chaos_site *site;
    pthread_t thread;
    unsigned index;
    atomic_bool *stop;
    atomic_ulong *refused;
    struct chaos_client client;
    bool possible[TAMPERS];
};

/* Which of the kinds this platform has. */
static void
find_possible(struct refuser *r)
{
    uint8_t binding[BH_BINDING_LEN] = {1}, spki[91] = {1};

    for (int t = AGENT_TAMPER_NONE + 1; t < TAMPERS; t++) {
        char *cmw = NULL;

        r->possible[t] =
            agent_device_evidence(r->client.device, binding, bh_span(spki, sizeof(spki)),
                (enum agent_tamper)t, bh_time_now(), &cmw, NULL) == BH_OK;
        free(cmw);
    }
}

static void
post_junk(struct refuser *r, unsigned turn)
{
    static const char *const bodies[] = {"", "{", "[]", "{\"challenge\":\"AAAA\"}", "\xff\xfe",
        "null", "{\"challenge\":1,\"challenge\":2}"};
    static const char *const paths[] = {"/v1/certificates/0123456789abcdef0123456789abcdef",
        "/none", "/v1/certificates/x", "/v1/crl/00.crl"};
    struct chaos_attempt a = {0};
    long status;

    chaos_post(&r->client, bodies[turn % BH_COUNT(bodies)], &a);
    if (a.status < 400 || a.status > 499 || a.wrong[0] != '\0')
        chaos_fail(r->chaos, "junk was answered %ld %s", a.status, a.wrong);
    chaos_attempt_clear(&a);
    status = chaos_get(&r->client, paths[turn % BH_COUNT(paths)], NULL, NULL);
    if (status < 400 || status > 499)
        chaos_fail(r->chaos, "%s was answered %ld", paths[turn % BH_COUNT(paths)], status);
    atomic_fetch_add(r->refused, 2);
}

static void *
refuse_on(void *arg)
{
    struct refuser *r = arg;
    struct chaos_attempt a;

    for (unsigned turn = r->index; !atomic_load(r->stop); turn++) {
        const enum agent_tamper tamper = (enum agent_tamper)(turn % TAMPERS);

        if (turn % 8 == 0)
            post_junk(r, turn / 8);
        if (!r->possible[tamper])
            continue;
        chaos_enrol(&r->client, tamper, &a);
        if (a.status < 400 || a.status > 499 || a.wrong[0] != '\0' || a.check[0] == '\0')
            chaos_fail(r->chaos, "tampered evidence (%d) was answered %ld %s %s", tamper, a.status,
                a.code, a.wrong);
        atomic_fetch_add(r->refused, 1);
        chaos_attempt_clear(&a);
    }
    OPENSSL_thread_stop();
    return NULL;
}

struct size {
    pid_t pid;
    char role[16];
    long rss, fds;
};

static size_t
measure(struct chaos_site *site, struct size *sizes)
{
    struct bh_test_server *s = &site->server;

    bh_test_server_look(s);
    for (size_t i = 0; i < s->len; i++) {
        sizes[i] = (struct size){.pid = s->processes[i].pid,
            .rss = chaos_rss_kib(s->processes[i].pid),
            .fds = chaos_fds(s->processes[i].pid)};
        (void)snprintf(sizes[i].role, sizeof(sizes[i].role), "%s", s->processes[i].role);
    }
    return s->len;
}

static void
compare(struct chaos *c, const struct size *before, size_t before_len, const struct size *after,
    size_t after_len)
{
    if (before_len != after_len)
        chaos_fail(c, "%zu processes, %zu before", after_len, before_len);
    for (size_t i = 0; i < before_len && i < after_len; i++) {
        chaos_say(c, "%-9s %6ld -> %6ld KiB, %ld -> %ld descriptors", after[i].role, before[i].rss,
            after[i].rss, before[i].fds, after[i].fds);
        if (before[i].pid != after[i].pid)
            chaos_fail(c, "the %s was restarted", after[i].role);
        if (!c->sanitized && after[i].rss > before[i].rss + GROWTH_KIB)
            chaos_fail(c, "the %s grows", after[i].role);
        if (after[i].fds > before[i].fds + 2)
            chaos_fail(c, "the %s leaks descriptors", after[i].role);
    }
}

static void
refuse_for(struct chaos *c, struct chaos_site *site, struct refuser *refusers)
{
    static const char *const platforms[] = {"psa", "arm-cca", "aws-nitro"};
    static struct size before[BH_TEST_PIDS_MAX], after[BH_TEST_PIDS_MAX];
    const int64_t ms = (int64_t)c->seconds * 1000;
    atomic_ulong refused = 0;
    atomic_bool stop = false;
    size_t len, before_len, after_len;

    for (len = 0; len < THREADS; len++) {
        struct refuser *r = &refusers[len];

        *r = (struct refuser){
            .chaos = c, .site = site, .index = (unsigned)len, .stop = &stop, .refused = &refused};
        if (!chaos_client_open(c, site, platforms[len % BH_COUNT(platforms)], &r->client))
            break;
        find_possible(r);
        if (pthread_create(&r->thread, NULL, refuse_on, r) != 0)
            abort(); /* the others use what would be freed */
    }
    chaos_sleep_ms(ms / 3);
    before_len = measure(site, before);
    chaos_sleep_ms(ms - ms / 3);
    after_len = measure(site, after);
    atomic_store(&stop, true);
    for (size_t i = 0; i < len; i++) {
        (void)pthread_join(refusers[i].thread, NULL);
        chaos_client_close(&refusers[i].client);
    }
    chaos_say(c, "%lu requests refused", atomic_load(&refused));
    if (atomic_load(&refused) == 0)
        chaos_fail(c, "nothing was refused");
    compare(c, before, before_len, after, after_len);
    if (chaos_store_count(site, bh_span_none()) != 0)
        chaos_fail(c, "something was issued");
}

void
chaos_refusals(struct chaos *c)
{
    static struct refuser refusers[THREADS];
    struct chaos_site site;

    if (chaos_site_make(c, &site) && chaos_site_start(c, &site))
        refuse_for(c, &site, refusers);
    chaos_site_end(c, &site);
}
