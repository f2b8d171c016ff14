/* SPDX-License-Identifier: Apache-2.0 */
/* The authority's process: its start, its confinement, its loop, its end. */
#include "authority.h"

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define REFUSALS_EVERY_MS 1000
#define SIGNER_EVERY_MS 1000
#define CLEAN_EVERY_MS 60000
#define CLEAN_AGAIN_MS 50 /* while there is more to clean */
#define CLEAN_ROWS 512
#define DRAIN_MS 10000

int64_t
pas_clock_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t
clock_ms(void)
{
    return pas_clock_us() / 1000;
}

/* ---- control ---- */

static enum bh_err
take_snapshot(struct pas_authority *a, const struct bh_ipc_msg *msg, struct bh_diag *diag)
{
    struct bh_span bytes;
    enum bh_err e;

    e = pas_snapshot_map(msg->fd, &bytes, diag);
    if (msg->fd >= 0)
        (void)close(msg->fd);
    if (e != BH_OK)
        return e;
    e = pas_generation_import(a, msg->id, bytes, diag);
    pas_snapshot_unmap(bytes);
    return e;
}

/* The old generation stays in force when the new one is refused. */
static enum bh_err
reload(struct pas_authority *a, const struct bh_ipc_msg *msg)
{
    struct bh_diag diag = {0};

    if (take_snapshot(a, msg, &diag) != BH_OK)
        return pas_child_refused(&a->child, msg->id, &diag);
    return pas_child_ready(&a->child, msg->id);
}

static enum bh_err
take_control(struct pas_authority *a, const struct bh_ipc_msg *msg, struct bh_diag *diag)
{
    switch (msg->type) {
    case PAS_CTL_LINK:
        return pas_peer_link(a, msg, diag);
    case PAS_CTL_UNLINK:
        pas_peer_unlink(a, msg->id);
        return BH_OK;
    case PAS_CTL_SNAPSHOT:
        return reload(a, msg);
    case PAS_CTL_DRAIN:
        a->draining = true;
        a->drain_until = clock_ms() + DRAIN_MS;
        return BH_OK;
    default:
        if (msg->fd >= 0)
            (void)close(msg->fd);
        return bh_fail(diag, BH_ERR_MALFORMED, "ipc: control message %u", msg->type);
    }
}

static enum bh_err
serve_control(struct pas_authority *a, struct bh_diag *diag)
{
    struct bh_ipc_msg msg;
    bool got = true;
    enum bh_err e;

    for (;;) {
        if ((e = bh_ipc_receive(a->child.control, &msg, &got)) != BH_OK)
            return bh_fail(diag, e, "ipc: the parent's channel ended");
        if (!got)
            return BH_OK;
        if ((e = take_control(a, &msg, diag)) != BH_OK)
            return e;
    }
}

/* ---- start ---- */

static enum bh_err
open_all(struct pas_authority *a, struct bh_diag *diag)
{
    uint8_t key[PAS_CHALLENGE_KEY_LEN];
    enum bh_err e;

    if (bh_path_join(a->store_dir, sizeof(a->store_dir), a->child.dir, "store") != BH_OK)
        return bh_fail(diag, BH_ERR_TOO_LARGE, "the path of the store is too long");
    if ((e = pas_store_open(a->store_dir, &a->store, diag)) != BH_OK ||
        (e = pas_store_secret(a->store, "challenge", key, sizeof(key), diag)) != BH_OK)
        return e;
    e = pas_challenges_init(&a->challenges, key, diag);
    OPENSSL_cleanse(key, sizeof(key));
    if (e != BH_OK)
        return e;
    return pas_ca_load(a, diag);
}

/* What libraries load at first use is loaded while files can still be opened. */
static enum bh_err
warm_up(struct pas_authority *a, struct bh_diag *diag)
{
    uint8_t challenge[BH_CHALLENGE_LEN], binding[BH_BINDING_LEN];
    int64_t expires_at;
    enum bh_err e;

    a->now = bh_time_now();
    (void)clock_ms();
    if ((e = pas_challenge_mint(&a->challenges, a->now, 1, challenge, diag)) != BH_OK)
        return e;
    if ((e = bh_binding(bh_span(challenge, sizeof(challenge)), bh_span_none(), bh_span_none(),
             binding)) != BH_OK)
        return bh_fail(diag, e, "SHA-512");
    return pas_challenge_check(
        &a->challenges, bh_span(challenge, sizeof(challenge)), a->now, &expires_at, diag);
}

static enum bh_err
confine(struct pas_authority *a, struct bh_diag *diag)
{
    int abi = 0;
    enum bh_err e;

    if ((e = pas_sandbox_restrict(PAS_AUTHORITY, a->store_dir, &abi, diag)) != BH_OK)
        return e;
    /* Of the processes that may open files it is the only one. */
    if (abi == 0)
        bh_log(BH_LOG_WARNING, "no-landlock", "detail",
            "the kernel has no Landlock: only file permissions keep a subverted authority from "
            "ca/issuing.key and policy/",
            NULL);
    return pas_sandbox_seccomp(PAS_AUTHORITY, diag);
}

/* A first snapshot that is refused ends the start: there is nothing to fall back to. */
static enum bh_err
start(struct pas_authority *a, bool *ret_refused, struct bh_diag *diag)
{
    struct bh_ipc_msg msg;
    enum bh_err e;

    if ((e = pas_child_start(PAS_AUTHORITY, &a->child, diag)) != BH_OK ||
        (e = open_all(a, diag)) != BH_OK || (e = warm_up(a, diag)) != BH_OK)
        return e;
    for (;;) {
        if ((e = pas_child_next(&a->child, &msg)) != BH_OK)
            return bh_fail(diag, e, "ipc: the parent's channel ended before CONFINE");
        if (msg.type == PAS_CTL_CONFINE)
            break;
        if (msg.type == PAS_CTL_SNAPSHOT) {
            if ((e = take_snapshot(a, &msg, diag)) == BH_OK)
                continue;
            *ret_refused = pas_child_refused(&a->child, msg.id, diag) == BH_OK;
            return e;
        }
        if ((e = take_control(a, &msg, diag)) != BH_OK)
            return e;
    }
    if (msg.fd >= 0)
        (void)close(msg.fd);
    if ((e = confine(a, diag)) != BH_OK)
        return e;
    if (pas_child_ready(&a->child, a->current != NULL ? a->current->number : 0) != BH_OK)
        return bh_fail(diag, BH_ERR_IO, "ipc: READY");
    return BH_OK;
}

/* ---- work ---- */

static void
clean(struct pas_authority *a, int64_t ms)
{
    struct bh_diag diag = {0};
    bool more = false;

    if (pas_store_clean(a->store, a->now, a->child.config.retention, CLEAN_ROWS, &more, &diag) !=
        BH_OK) {
        bh_log_diag(BH_LOG_WARNING, "not-cleaned", &diag);
        a->count.store_errors++;
    }
    a->clean_due = ms + (more ? CLEAN_AGAIN_MS : CLEAN_EVERY_MS);
}

/*
 * The clock went back behind spent challenges that are not on record any more. No challenge of that
 * time can be told from a used one, so all of them end with their key.
 */
static void
renew_challenges(struct pas_authority *a)
{
    uint8_t key[PAS_CHALLENGE_KEY_LEN];
    struct bh_diag why = {0}, diag = {0};
    enum bh_err e;

    if (a->now > pas_store_forgotten(a->store))
        return;
    (void)bh_refuse(&why, BH_ERR_INTERNAL, "server.clock", NULL, NULL,
        "the clock went back by more than an hour: challenges that were handed out are void");
    bh_hint(&why, "certificates issued meanwhile may begin in the future; keep the clock in step");
    bh_log_diag(BH_LOG_WARNING, "challenges-renewed", &why);
    if ((e = pas_store_secret_renew(a->store, "challenge", key, sizeof(key), &diag)) == BH_OK) {
        pas_challenges_clear(&a->challenges);
        e = pas_challenges_init(&a->challenges, key, &diag);
    }
    OPENSSL_cleanse(key, sizeof(key));
    if (e != BH_OK) {
        bh_log_diag(BH_LOG_ERROR, "challenges-not-renewed", &diag);
        a->count.store_errors++;
    }
}

static void
run_timers(struct pas_authority *a)
{
    const int64_t ms = clock_ms();

    if (a->refusals_len == 0) {
        a->refusals_due = 0;
    } else if (a->refusals_due == 0) {
        a->refusals_due = ms + REFUSALS_EVERY_MS;
    } else if (ms >= a->refusals_due) {
        pas_refusals_flush(a);
        a->refusals_due = 0;
    }
    if (a->pending_len > 0 && ms >= a->signer_due) {
        pas_signer_check(a);
        a->signer_due = ms + SIGNER_EVERY_MS;
    }
    if (a->clean_due == 0)
        a->clean_due = ms + CLEAN_AGAIN_MS;
    else if (ms >= a->clean_due)
        clean(a, ms);
}

static struct timespec
patience(const struct pas_authority *a)
{
    const int64_t now_us = pas_clock_us(), batch_us = pas_batch_wait_us(a);
    int64_t due = a->clean_due, us;

    if (a->refusals_due != 0 && a->refusals_due < due)
        due = a->refusals_due;
    if (a->pending_len > 0 && a->signer_due < due)
        due = a->signer_due;
    if (a->draining && a->drain_until < due)
        due = a->drain_until;
    us = due * 1000 - now_us;
    if (batch_us >= 0 && batch_us < us)
        us = batch_us;
    for (size_t i = 0; i < a->links_len; i++)
        if (a->links[i].unread)
            us = 0;
    if (us < 0)
        us = 0;
    return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

/* Nobody is left who could send work, or patience has ended; what was begun is done. */
static bool
is_drained(const struct pas_authority *a)
{
    bool alone = true;

    for (size_t i = 0; i < a->links_len; i++)
        alone = alone && (a->links[i].ipc == NULL || PAS_LINK_ROLE(a->links[i].id) == PAS_SIGNER);
    return a->draining && ((alone && a->pending_len == 0) || clock_ms() >= a->drain_until);
}

static enum bh_err
one_round(struct pas_authority *a, struct bh_diag *diag)
{
    static struct pollfd p[1 + PAS_LINKS_MAX];
    const struct timespec wait = patience(a);
    const size_t len = a->links_len;
    enum bh_err e = BH_OK;

    p[0] = (struct pollfd){.fd = bh_ipc_fd(a->child.control), .events = POLLIN};
    for (size_t i = 0; i < len; i++)
        p[1 + i] = (struct pollfd){
            .fd = a->links[i].ipc != NULL ? bh_ipc_fd(a->links[i].ipc) : -1,
            .events = (short)(POLLIN | (a->links[i].more ? POLLOUT : 0)),
        };
    if (ppoll(p, 1 + len, &wait, NULL) < 0)
        return errno == EINTR ? BH_OK : bh_fail(diag, BH_ERR_INTERNAL, "poll: %s", strerror(errno));
    a->now = bh_time_now();
    renew_challenges(a);
    /* First, so that a replaced peer is there for what the others ask now. */
    if (p[0].revents != 0)
        e = serve_control(a, diag);
    for (size_t i = 0; i < len; i++) {
        struct pas_link *link = &a->links[i];

        if (link->ipc == NULL || (p[1 + i].revents == 0 && !link->unread))
            continue;
        if (p[1 + i].revents != 0)
            bh_ipc_polled(link->ipc);
        link->dirty = link->dirty || (p[1 + i].revents & POLLOUT) != 0;
        pas_peer_serve(a, link);
    }
    /* The signer works on the next requests while the disk takes these. */
    pas_peers_flush(a);
    if (pas_batch_wait_us(a) == 0) {
        pas_batch_commit(a);
        pas_peers_flush(a);
    }
    run_timers(a);
    return e;
}

static void
finish(struct pas_authority *a)
{
    if (a->store != NULL) {
        pas_batch_commit(a);
        pas_refusals_flush(a);
        pas_peers_flush(a);
    }
    for (size_t i = 0; i < PAS_PENDING_MAX; i++)
        pas_pending_drop(a, a->slots[i]);
    for (size_t i = 0; i < PAS_LINKS_MAX; i++)
        bh_ipc_free(a->links[i].ipc);
    pas_generation_free(a->current);
    pas_generation_free(a->previous);
    pas_challenges_clear(&a->challenges);
    pas_store_close(a->store);
    free(a->roots_pem);
    free(a->issuers_pem);
    free(a->issuing_json);
    bh_ipc_free(a->child.control);
    free(a);
}

int
pas_authority_main(void)
{
    struct pas_authority *a = calloc(1, sizeof(*a));
    struct bh_diag diag = {0};
    bool refused = false;
    int code = 0;

    if (a == NULL)
        return 1;
    a->seq = 1;
    if (start(a, &refused, &diag) != BH_OK) {
        code = refused ? 1 : pas_child_failed(&a->child, &diag);
        goto out;
    }
    while (!is_drained(a)) {
        if (one_round(a, &diag) != BH_OK) {
            bh_log_diag(BH_LOG_ERROR, "stopped", &diag);
            code = 1;
            break;
        }
    }
out:
    finish(a);
    return code;
}
