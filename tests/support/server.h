/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real `beachhead-server` in a temporary folder: made, edited, started on a free port, looked at,
 * reloaded, ended. The end-to-end tests and the bench use it; nothing here asserts.
 */
#ifndef BH_TEST_SERVER_H
#define BH_TEST_SERVER_H

#include "core/err.h"

#include <jansson.h>
#include <sys/types.h>

#define BH_TEST_PIDS_MAX 64

struct bh_test_server {
    char bin[512];  /* where the programs stand */
    char dir[256];  /* the temporary folder around everything */
    char home[300]; /* the server's folder */
    char log[300];  /* standard output and error of all that was started */
    char url[128];
    char *roots; /* PEM, malloc'ed */
    size_t roots_len;
    pid_t parent; /* 0: not running */
    size_t len;   /* parent and children */
    struct {
        pid_t pid;
        char role[16]; /* "parent", "frontend", ... */
    } processes[BH_TEST_PIDS_MAX];
};

/** Make the temporary folder; @p bin is where beachhead-server stands. */
BH_MUST_USE enum bh_err bh_test_server_folder(
    const char *bin, struct bh_test_server *ret_server, struct bh_diag *diag);
/**
 * `beachhead-server init` for @p domain on a free port of 127.0.0.1, with the NULL-terminated
 * @p more behind it, and no rate limit.
 */
BH_MUST_USE enum bh_err bh_test_server_init(struct bh_test_server *server, const char *domain,
    const char *const *more, struct bh_diag *diag);
/** Set a member of server.json: "challenge_life", or "rate.burst". Takes over @p value. */
BH_MUST_USE enum bh_err bh_test_server_set(
    struct bh_test_server *server, const char *member, json_t *value, struct bh_diag *diag);
/** `beachhead-server run`; returns when it accepts requests, or BH_ERR_INTERNAL when it ended. */
BH_MUST_USE enum bh_err bh_test_server_start(struct bh_test_server *server, struct bh_diag *diag);
/** Look for its processes anew: reloads and restarts replace them. */
void bh_test_server_look(struct bh_test_server *server);
/** The first process of @p role; 0 when there is none. */
pid_t bh_test_server_pid(const struct bh_test_server *server, const char *role);
/** SIGTERM and wait; the status as waitpid() gives it. -1 when it was not running. */
int bh_test_server_stop(struct bh_test_server *server);
/** End it, and remove the folder. Takes one that was never started. */
void bh_test_server_end(struct bh_test_server *server);

/** Bytes in the log so far. */
size_t bh_test_server_log_len(const struct bh_test_server *server);
/** Wait until @p text stands in the log behind byte @p from. */
BH_MUST_USE bool bh_test_server_logged(
    const struct bh_test_server *server, size_t from, const char *text, int timeout_ms);

/** A path in the server's folder: "policy/w.json". */
BH_MUST_USE enum bh_err bh_test_server_path(
    const struct bh_test_server *server, const char *name, char *out, size_t size);

/** Run a program of the bin folder; standard output is malloc'ed, standard error goes to the log.
 * Returns the exit code, 128 and the signal, or -1. @p argv is NULL-terminated and begins with the
 * program's name. */
int bh_test_server_run(
    const struct bh_test_server *server, const char *const *argv, char **ret_output);

#endif
