/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `check`: each looks at one part of a server's folder and adds what is wrong with it.
 */
#ifndef PAS_EXAMINE_H
#define PAS_EXAMINE_H

#include "config.h"
#include "problems.h"

#define PAS_EXPIRY_WARNING (INT64_C(30) * 86400)

struct pas_collateral_files;

struct pas_examination {
    const char *dir;
    int64_t now;
    struct pas_config config;
    bool config_good; /* false: server.json is not usable, so nothing is compared with it */
    struct pas_problems problems;
    struct pas_collateral_files *collateral; /* while that folder is being read */
};

void pas_examine_policies(struct pas_examination *x);
void pas_examine_trust(struct pas_examination *x);
void pas_examine_endorsed(struct pas_examination *x);
void pas_examine_collateral(struct pas_examination *x);
void pas_examine_ca(struct pas_examination *x);
void pas_examine_tls(struct pas_examination *x);

/** Call @p each for every file of @p folder whose name ends in one of the @p suffixes (words of the
 * text), by name, with its path relative to the server's folder and its bytes (at most @p max);
 * other files are a warning. */
typedef void (*pas_file_fn)(
    struct pas_examination *x, const char *file, const char *name, struct bh_span bytes);
void pas_examine_folder(struct pas_examination *x, const char *folder, const char *suffixes,
    size_t max, pas_file_fn each);

#endif
