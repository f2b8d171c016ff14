/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario as a Criterion test. */
#ifndef BH_CHAOS_SURVIVE_H
#define BH_CHAOS_SURVIVE_H

#include "chaos.h"

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <unistd.h>

static inline void
survive_with(void (*scenario)(struct chaos *), const char *name, unsigned seconds, const char *bin,
    bool sanitized)
{
    struct chaos c;

    cr_assert_eq(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
    chaos_begin(&c, name, bin, seconds);
    c.sanitized = sanitized;
    scenario(&c);
    curl_global_cleanup();
    cr_assert(!c.failed, "%s", c.why);
    if (c.skipped)
        cr_skip_test("%s", c.why);
}

/** With the programs of this build. */
static inline void
survive(void (*scenario)(struct chaos *), const char *name, unsigned seconds)
{
#ifdef BH_SANITIZED
    survive_with(scenario, name, seconds, BH_BIN_DIR, true);
#else
    survive_with(scenario, name, seconds, BH_BIN_DIR, false);
#endif
}

/** With those of the release build, where there is one. */
static inline void
survive_release(void (*scenario)(struct chaos *), const char *name, unsigned seconds)
{
    static const char release[] = BH_SOURCE_DIR "/build/release/bin";

    if (access(BH_SOURCE_DIR "/build/release/bin/beachhead-server", X_OK) == 0)
        survive_with(scenario, name, seconds, release, false);
    else
        survive(scenario, name, seconds);
}

#endif
