/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server must survive: scenarios against a real one, each short as an end-to-end test and
 * long in `tests/run chaos`. A scenario never stops at the first surprise: it notes it and goes on.
 */
#ifndef BH_CHAOS_H
#define BH_CHAOS_H

#include "core/http.h"
#include "simulator/device.h"
#include "support/server.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

#define CHAOS_DOMAIN "chaos.example"
#define CHAOS_WORKLOAD "w"
#define CHAOS_SERIAL 16
#define CHAOS_CHALLENGE_MAX 256

/* ---- what a scenario is told, and what it says ---- */

struct chaos {
    const char *name;
    const char *bin;  /* where the programs stand */
    unsigned seconds; /* about how long it goes on */
    bool sanitized;   /* the programs are: slow, and their memory says nothing */
    bool skipped;
    bool failed;
    char why[1024]; /* the first failure, or why it was skipped */
    pthread_mutex_t lock;
};

void chaos_begin(struct chaos *c, const char *name, const char *bin, unsigned seconds);
/** Note a failure; the first is kept, all are printed. Any thread. */
void chaos_fail(struct chaos *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Print a fact. */
void chaos_say(struct chaos *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void chaos_skip(struct chaos *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The scenarios. */
void chaos_kill_all(struct chaos *c);   /* SIGKILL of the whole server */
void chaos_kill_one(struct chaos *c);   /* SIGKILL of one process */
void chaos_crash_loop(struct chaos *c); /* a process that is killed whenever it is there */
void chaos_stall(struct chaos *c);      /* SIGSTOP of one process */
void chaos_full_disk(struct chaos *c);
void chaos_idle_crowd(struct chaos *c);
void chaos_slow_crowd(struct chaos *c);
void chaos_rude_crowd(
    struct chaos *c);                 /* half handshakes, resets, clients that die, large bodies */
void chaos_evict(struct chaos *c);    /* newcomers at the limit of connections */
void chaos_refusals(struct chaos *c); /* no process grows */

/* ---- time ---- */

int64_t chaos_now_ms(void);
void chaos_sleep_ms(int64_t ms);
/** A number below @p n, from a generator that the scenario's start seeds. */
unsigned chaos_random(unsigned n);

/* ---- site.c: a server with admitted devices on a port that stays the same ---- */

struct chaos_site {
    struct bh_test_server server;
    char simulator[300];
};

/** Make it, not started. False: noted. */
BH_MUST_USE bool chaos_site_make(struct chaos *c, struct chaos_site *ret_site);
BH_MUST_USE bool chaos_site_set(
    struct chaos *c, struct chaos_site *site, const char *member, json_t *value);
BH_MUST_USE bool chaos_site_start(struct chaos *c, struct chaos_site *site);
/** SIGKILL of the parent, and of nobody else. @p wait: until its children are gone as well. */
void chaos_site_kill(struct chaos *c, struct chaos_site *site, bool wait);
/** Ends it; a server that does not end well, or whose log shows a sanitizer's report, is noted. */
void chaos_site_end(struct chaos *c, struct chaos_site *site);
/** The number of processes of a role, and up to @p max of their pids. */
size_t chaos_site_pids(struct chaos_site *site, const char *role, pid_t *pids, size_t max);
/** Resident KiB and open descriptors of a process; -1 when it is gone. */
long chaos_rss_kib(pid_t pid);
long chaos_fds(pid_t pid);

/* ---- client.c: one enrolment ---- */

struct chaos_client {
    const struct chaos_site *site;
    struct agent_device *device;
    struct bh_http *http;
    EVP_PKEY *key;
    char *csr;
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len;
};

struct chaos_attempt {
    long status;   /* 0: no answer */
    long asked_ms; /* for the challenge, then for the certificate */
    long took_ms;
    bool sent;   /* the request for a certificate left */
    char *body;  /* of that request, malloc'ed */
    char *reply; /* malloc'ed; NULL without an answer */
    char check[96], code[64];
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len;
    uint8_t serial[CHAOS_SERIAL];
    uint8_t digest[32]; /* SHA-256 of the certificate's DER */
    char wrong[200];    /* what is not right about a 201 */
};

BH_MUST_USE bool chaos_client_open(struct chaos *c, const struct chaos_site *site,
    const char *platform, struct chaos_client *ret_client);
void chaos_client_close(struct chaos_client *client);
/** Another connection, with requests of at most @p timeout_ms. */
BH_MUST_USE bool chaos_client_connect(
    struct chaos *c, struct chaos_client *client, long timeout_ms);
/** A fresh key, a challenge, evidence, and the request. */
void chaos_enrol(
    struct chaos_client *client, enum agent_tamper tamper, struct chaos_attempt *ret_attempt);
/** Post a body again. */
void chaos_post(struct chaos_client *client, const char *body, struct chaos_attempt *ret_attempt);
/** GET: the status, 0 without an answer; the body in @p ret_body (malloc'ed) unless NULL. */
long chaos_get(struct chaos_client *client, const char *path, char **ret_body, long *ret_ms);
/** Whether nobody can know what became of it. */
bool chaos_is_lost(const struct chaos_attempt *attempt);
void chaos_attempt_clear(struct chaos_attempt *attempt);
/** SHA-256 of the first certificate of a PEM; false when there is none. */
BH_MUST_USE bool chaos_pem_digest(const char *pem, uint8_t ret_digest[32]);

/* ---- load.c: many of them at once, and what became of each ---- */

struct chaos_got {
    uint8_t serial[CHAOS_SERIAL];
    uint8_t digest[32];
};

struct chaos_tried { /* an accepted request, or one without a good answer */
    char *body;
    uint8_t spki[BH_SPKI_MAX];
    size_t spki_len;
};

#define CHAOS_KEPT 8 /* accepted bodies of each thread that are kept for a replay */

struct chaos_worker {
    struct chaos_load *load;
    pthread_t thread;
    struct chaos_client client;
    struct chaos_got *got;
    size_t got_len, got_cap;
    struct chaos_tried kept[CHAOS_KEPT];
    struct chaos_tried *lost;
    size_t lost_len;
    long slowest_ms;
    unsigned long failed, broken; /* 5xx; no answer */
};

#define CHAOS_WORKERS_MAX 16

struct chaos_load {
    struct chaos *chaos;
    struct chaos_site *site;
    atomic_bool stop;
    bool refuse; /* evidence of an unknown instance: every one needs a lookup and is refused */
    size_t len;
    struct chaos_worker workers[CHAOS_WORKERS_MAX];
    atomic_ulong issued;
};

/** Start @p threads that enrol one psa device after the other. */
BH_MUST_USE bool chaos_load_start(
    struct chaos *c, struct chaos_site *site, size_t threads, struct chaos_load *ret_load);
/** Stop and join. Notes every wrong answer, and any that took longer than @p most_ms. */
void chaos_load_stop(struct chaos_load *load, long most_ms);
/** Note a certificate that somebody else received, while the load is stopped. Takes the body. */
void chaos_load_note(struct chaos_load *load, struct chaos_attempt *attempt);
/**
 * With the server running: every certificate that was received is there; no accepted request is
 * accepted again; none without an answer makes two certificates. Forgets what it looked at but the
 * serials, which go to @p serials.
 */
struct chaos_serials {
    uint8_t (*all)[CHAOS_SERIAL];
    size_t len, cap;
};
void chaos_load_audit(struct chaos_load *load, struct chaos_serials *serials);
void chaos_load_free(struct chaos_load *load);
/** No serial twice, and as many certificates in the store at least; frees. */
void chaos_serials_check(
    struct chaos *c, const struct chaos_site *site, struct chaos_serials *serials);
/** How many certificates of the store hold these bytes; all of them for none. -1: unreadable. */
long chaos_store_count(const struct chaos_site *site, struct bh_span bytes);

#endif
