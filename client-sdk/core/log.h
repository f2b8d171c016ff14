/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines on standard error; for programs, never for library code. */
#ifndef BH_LOG_H
#define BH_LOG_H

#include "err.h"

enum bh_log_level {
    BH_LOG_DEBUG,
    BH_LOG_INFO,
    BH_LOG_WARNING,
    BH_LOG_ERROR,
};

/** The process's name in its lines ("frontend"), and the least level that is written. */
void bh_log_init(const char *process, enum bh_log_level least);

/**
 * One line {"time","level","process","event",...}, written with a single write(). The
 * arguments after @p event are pairs of (const char *name, const char *value), closed by NULL;
 * a NULL value leaves the pair out; a name that starts with '#' is a number written without quotes.
 * Values are escaped and cut at 512 bytes.
 */
void bh_log(enum bh_log_level level, const char *event, ...) __attribute__((sentinel));

/** bh_log() of a failure: code, check, expected, found, detail, hint. */
void bh_log_diag(enum bh_log_level level, const char *event, const struct bh_diag *diag);

#endif
