/* SPDX-License-Identifier: Apache-2.0 */
/* A server of the test's own, with devices made in memory and admitted to workload "w". */
#ifndef BH_E2E_OWN_H
#define BH_E2E_OWN_H

#include "client.h"

struct own {
    struct bh_test_server server;
    struct client psa, cca, nitro;
};

/** init --allow-simulated and the devices' admission; not started. */
void own_init(struct own *o);
/** Start, and connect the clients; waits until it accepts requests. */
void own_start(struct own *o);
/** SIGTERM; fails unless it exits with 0. */
void own_stop(struct own *o);
/** Ends it, and fails when its log holds a sanitizer's report. */
void own_end(struct own *o);

/** Enrol; fails unless it is a 201. */
void own_enrol(struct client *c);
/** SIGHUP, and wait until the log says @p event. */
void own_reload(struct own *o, const char *event);

/** Files of the server's folder. read: malloc'ed JSON, new reference. */
json_t *own_read(struct own *o, const char *name);
/** Takes over @p json. */
void own_write(struct own *o, const char *name, json_t *json);
void own_write_text(struct own *o, const char *name, const char *text);
void own_set(struct own *o, const char *member, json_t *value);

#endif
