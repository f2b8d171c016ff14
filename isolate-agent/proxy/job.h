/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that blocks, in a short-lived child process: enrolment (libcurl) and name look-ups. The
 * event loop never waits for it, the child's memory goes with it, and what hangs or crashes there
 * is a failed job and nothing else.
 */
#ifndef AGENT_JOB_H
#define AGENT_JOB_H

#include "loop.h"

struct agent_job;

/** In the child: write the result to @p out_fd and return. Its memory is a copy of the parent's;
 * its other descriptors beyond standard error are closed. */
typedef void (*agent_job_fn)(void *arg, int out_fd);
/** In the parent: what the child wrote, when it ended by itself; else @p ended is false and @p
 * output what there is. The job is freed after this call. */
typedef void (*agent_job_done_fn)(void *arg, struct bh_span output, bool ended);

/**
 * Start @p work. It is killed after @p deadline_ms, or when it writes more than @p max bytes.
 * @p done is called from the loop. @p ret_job is valid until then.
 */
BH_MUST_USE enum bh_err agent_job_start(struct agent_loop *loop, agent_job_fn work, void *work_arg,
    size_t max, int64_t deadline_ms, agent_job_done_fn done, void *done_arg,
    struct agent_job **ret_job, struct bh_diag *diag);
/** Kill and free without calling done. Takes NULL. */
void agent_job_cancel(struct agent_job *job);

/** Write all of @p bytes from the child. False when the parent is gone. */
bool agent_job_write(int fd, struct bh_span bytes);

#endif
