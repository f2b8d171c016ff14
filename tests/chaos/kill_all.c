/* SPDX-License-Identifier: Apache-2.0 */
/* SIGKILL of the whole server at any moment under load. */
#include "chaos.h"

#include <stdlib.h>

#define THREADS 4
#define ROUND_MS 700
#define ROUNDS 8 /* at least */
#define SLOWEST_MS 5000

/* One life of the server, from its start to its violent end. */
static bool
one_life(struct chaos *c, struct chaos_site *site, struct chaos_load *load,
    struct chaos_serials *serials, bool wait)
{
    const unsigned long before = atomic_load(&load->issued);

    if (!chaos_load_start(c, site, THREADS, load))
        return false;
    chaos_sleep_ms(50 + chaos_random(ROUND_MS));
    chaos_site_kill(c, site, wait);
    chaos_load_stop(load, SLOWEST_MS);
    if (!chaos_site_start(c, site))
        return false;
    chaos_load_audit(load, serials);
    return atomic_load(&load->issued) >= before;
}

void
chaos_kill_all(struct chaos *c)
{
    const int64_t end = chaos_now_ms() + (int64_t)c->seconds * 1000;
    struct chaos_load *load = calloc(1, sizeof(*load));
    struct chaos_serials serials = {0};
    struct chaos_site site;
    unsigned rounds = 0;
    size_t lost = 0;

    if (load != NULL && chaos_site_make(c, &site) && chaos_site_start(c, &site)) {
        while (chaos_now_ms() < end || rounds < ROUNDS) {
            /* Half of the time its successor does not wait for the children of the dead one. */
            if (!one_life(c, &site, load, &serials, rounds % 2 == 0))
                break;
            rounds++;
        }
        for (size_t i = 0; i < load->len; i++)
            lost += load->workers[i].broken + load->workers[i].failed;
        chaos_say(c, "%u rounds, %zu requests without a good answer", rounds, lost);
        if (atomic_load(&load->issued) == 0)
            chaos_fail(c, "nothing was issued");
        chaos_serials_check(c, &site, &serials);
        chaos_load_free(load);
    }
    chaos_site_end(c, &site);
    free(load);
}
