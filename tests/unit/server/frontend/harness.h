/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend in a child process, with this process as its parent, its verifiers and its
 * authority. Everything is blocking and in one thread: a client sends, a fake receives and answers,
 * the client reads.
 */
#ifndef TEST_FRONTEND_HARNESS_H
#define TEST_FRONTEND_HARNESS_H

#include "core/ipc.h"
#include "ipc/child.h"

#include <criterion/criterion.h>
#include <sys/types.h>

#define VERIFIERS_MAX 4

struct bench {
    pid_t pid;
    int log; /* memfd: the child's standard error */
    int port;
    struct bh_ipc *control;
    struct bh_ipc *authority;
    struct bh_ipc *verifiers[VERIFIERS_MAX];
    size_t verifiers_len;
};

/** Start with @p verifiers and an authority; @p config: more members of server.json, with a leading
 * comma. */
void bench_start(struct bench *b, size_t verifiers, const char *config);
/** DRAIN; the child must end with 0. Frees everything. */
void bench_stop(struct bench *b);
/** The child must have ended by itself within 10 s; returns its exit code, -1 for a signal. */
int bench_wait(struct bench *b);
void bench_free(struct bench *b);
/** The child's log until now, NUL-terminated, malloc'ed. */
char *bench_log(const struct bench *b);
/** Poll the log for up to 10 s until it contains @p text. */
bool bench_logged(const struct bench *b, const char *text);

/** Send a control message; @p fd -1 or given along. */
void bench_control(struct bench *b, uint16_t type, uint64_t id, struct bh_span payload, int fd);
/** Link a peer again (or anew): returns our end. */
struct bh_ipc *bench_link(struct bench *b, enum pas_role role, unsigned index);
/** A TLS payload with a new self-signed certificate of the name @p cn. Into @p out. */
struct bh_span bench_identity(const char *cn, uint8_t *out, size_t cap);

/** The next message must come within 10 s and be of @p type; the payload lives until the next. */
struct bh_ipc_msg expect(struct bh_ipc *ipc, uint16_t type);
/** True when nothing comes within @p ms. */
bool silent(struct bh_ipc *ipc, int ms);
void answer(struct bh_ipc *ipc, uint64_t id, unsigned status, const char *type, const char *body);
void passed(struct bh_ipc *ipc, uint64_t id);
/** The other side must close the channel within 10 s. */
void expect_end(struct bh_ipc *ipc);

uint64_t now_ms(void);

/* The child's end: the exit code after checks that only an unconfined child can make. */
int child_end(int code);

#endif
