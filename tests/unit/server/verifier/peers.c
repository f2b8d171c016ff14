/* SPDX-License-Identifier: Apache-2.0 */
#include "peers.h"

#include "core/file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const platforms[] = {"psa", "arm-cca", "aws-nitro"};

/* ---- the folder ---- */

static void
make_dir(const char *dir, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    cr_assert_eq(mkdir(path, 0700), 0);
}

void
bench_folder(struct bench *b, struct agent_device *devices[3])
{
    struct bh_diag diag = {0};

    memset(b, 0, sizeof(*b));
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/bh-verifier-XXXXXX");
    cr_assert_not_null(mkdtemp(b->dir));
    make_dir(b->dir, "policy");
    make_dir(b->dir, "endorsed");
    make_dir(b->dir, "trust");
    make_dir(b->dir, "trust/simulated");
    make_dir(b->dir, "collateral");
    pas_config_defaults(&b->config);
    (void)snprintf(b->config.trust_domain, sizeof(b->config.trust_domain), "fleet.example");
    b->config.dns_len = 1;
    (void)snprintf(b->config.dns[0], sizeof(b->config.dns[0]), "attest.fleet.example");
    b->config.allow_simulated = true;
    memset(b->challenge, 0x5a, sizeof(b->challenge));
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(
            agent_device_make(platforms[i], 1, &devices[i], &diag), BH_OK, "%s", diag.detail);
        cr_assert_eq(agent_device_admit(devices[i], b->dir, "payments", "fleet.example", &diag),
            BH_OK, "%s", diag.detail);
    }
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void
bench_remove(struct bench *b)
{
    (void)nftw(b->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
put_folder(const struct bench *b, struct bh_writer *w, const char *folder, uint8_t kind)
{
    char path[512];
    struct dirent *entry;
    DIR *d;

    (void)snprintf(path, sizeof(path), "%s/%s", b->dir, folder);
    cr_assert_not_null(d = opendir(path));
    while ((entry = readdir(d)) != NULL) {
        struct pas_snapshot_record record = {.kind = kind, .name = bh_span_str(entry->d_name)};
        uint8_t *bytes;
        size_t len;

        if (entry->d_type != DT_REG)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s/%.100s", b->dir, folder, entry->d_name);
        cr_assert_eq(bh_file_read(path, BH_POLICY_MAX, &bytes, &len, NULL), BH_OK);
        record.bytes = bh_span(bytes, len);
        pas_snapshot_put(w, &record);
        free(bytes);
    }
    (void)closedir(d);
}

uint8_t *
bench_snapshot(const struct bench *b, size_t *ret_len)
{
    const size_t cap = 1u << 20;
    uint8_t *buf = malloc(cap);
    struct bh_span out = bh_span_none();
    struct bh_writer w;

    bh_writer_init(&w, buf, cap);
    put_folder(b, &w, "policy", PAS_SNAPSHOT_POLICY);
    put_folder(b, &w, "trust", PAS_SNAPSHOT_ANCHOR);
    put_folder(b, &w, "trust/simulated", PAS_SNAPSHOT_SIMULATED);
    put_folder(b, &w, "endorsed", PAS_SNAPSHOT_ENDORSED);
    put_folder(b, &w, "collateral", PAS_SNAPSHOT_COLLATERAL);
    cr_assert_eq(bh_writer_end(&w, &out), BH_OK);
    *ret_len = out.len;
    return buf;
}

/* ---- the authority ---- */

static enum bh_err
endorse(void *arg, const uint8_t key[32], const struct ev_endorsement *e)
{
    struct bench *b = arg;

    cr_assert_lt(b->endorsed_len, ENDORSED_MAX);
    memcpy(b->keys[b->endorsed_len], key, 32);
    b->endorsed[b->endorsed_len++] = *e;
    return BH_OK;
}

static void
load_endorsed(struct bench *b, struct bh_span snapshot)
{
    struct pas_snapshot_record record;
    struct bh_reader r;

    bh_reader_init(&r, snapshot);
    while (pas_snapshot_next(&r, &record))
        if (record.kind == PAS_SNAPSHOT_ENDORSED)
            cr_assert_eq(ev_endorsement_file(record.bytes, endorse, b, NULL), BH_OK);
}

static void
answer_lookup(struct bench *b, const struct bh_ipc_msg *msg)
{
    uint8_t value[4096], frame[8192];
    struct pas_value answer = {.err = BH_OK};
    struct bh_diag diag = {0};
    struct pas_lookup m;
    struct bh_writer w;
    size_t len = 0;

    cr_assert_eq(pas_lookup_decode(msg->payload, &m), BH_OK);
    if ((m.challenge.len > 0 || !m.appraisal) && b->challenge_err != BH_OK) {
        answer.err = (uint16_t)bh_refuse(
            &diag, b->challenge_err, "challenge.expiry", NULL, NULL, "the challenge has expired");
    } else if (m.kind == PAS_LOOKUP_ENDORSEMENT) {
        answer.err = BH_ERR_ENDORSEMENT_UNKNOWN;
        for (size_t i = 0; i < b->endorsed_len; i++)
            if (memcmp(m.key.ptr, b->keys[i], 32) == 0) {
                cr_assert_eq(
                    ev_endorsement_encode(&b->endorsed[i], value, sizeof(value), &len), BH_OK);
                answer.err = BH_OK;
            }
        if (answer.err != BH_OK)
            bh_refuse(&diag, answer.err, "endorsement", "an endorsed key", NULL, "nobody vouches");
    }
    if (answer.err != BH_OK) {
        struct bh_span out;
        bh_writer_init(&w, value, sizeof(value));
        pas_diag_encode(&w, &diag);
        cr_assert_eq(bh_writer_end(&w, &out), BH_OK);
        len = out.len;
    }
    answer.value = bh_span(value, len);
    bh_writer_init(&w, frame, sizeof(frame));
    pas_value_encode(&w, &answer);
    struct bh_span out;
    cr_assert_eq(bh_writer_end(&w, &out), BH_OK);
    cr_assert_eq(bh_ipc_send(b->authority, PAS_VALUE, msg->id, out, -1), BH_OK);
}

static void *
authority(void *arg)
{
    struct bench *b = arg;
    struct bh_ipc_msg msg;
    bool got;

    while (bh_ipc_receive(b->authority, &msg, &got) == BH_OK) {
        cr_assert(pas_msg_permitted(PAS_VERIFIER, PAS_AUTHORITY, msg.type));
        (void)pthread_mutex_lock(&b->lock);
        if (msg.type == PAS_LOOKUP) {
            b->lookups++;
            if (!b->mute)
                answer_lookup(b, &msg);
        } else if (msg.type == PAS_REFUSAL) {
            cr_assert_eq(pas_refusal_decode(msg.payload, &b->refusal), BH_OK);
            b->recorded = true;
        } else {
            free(b->issue_bytes);
            b->issue_bytes = malloc(msg.payload.len);
            memcpy(b->issue_bytes, msg.payload.ptr, msg.payload.len);
            cr_assert_eq(
                pas_issue_decode(bh_span(b->issue_bytes, msg.payload.len), &b->issue), BH_OK);
            b->passed_as = msg.type;
        }
        (void)pthread_mutex_unlock(&b->lock);
        if (b->mute || b->ends_after_answer)
            break;
    }
    bh_ipc_free(b->authority);
    b->authority = NULL;
    return NULL;
}

/* ---- the verifier ---- */

void
bench_start(struct bench *b)
{
    int f[2], a[2];
    struct bh_diag diag = {0};
    size_t len;

    b->snapshot = bench_snapshot(b, &len);
    b->v = calloc(1, sizeof(*b->v));
    b->v->child.config = b->config;
    cr_assert_eq(pas_ground_read(bh_span(b->snapshot, len), &b->config, &b->v->ground, &diag),
        BH_OK, "%s", diag.detail);
    load_endorsed(b, bh_span(b->snapshot, len));
    b->v->ground.generation = 9;
    b->v->ground.trust.lookup = pas_lookup_endorsement;
    b->v->ground.trust.lookup_arg = b->v;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
    cr_assert_eq(bh_ipc_new(f[0], true, &b->v->frontend), BH_OK);
    cr_assert_eq(bh_ipc_new(a[0], true, &b->v->authority), BH_OK);
    cr_assert_eq(bh_ipc_new(f[1], false, &b->frontend), BH_OK);
    cr_assert_eq(bh_ipc_new(a[1], false, &b->authority), BH_OK);
    (void)pthread_mutex_init(&b->lock, NULL);
    cr_assert_eq(pthread_create(&b->thread, NULL, authority, b), 0);
}

void
bench_stop(struct bench *b)
{
    bh_ipc_free(b->v->frontend);
    bh_ipc_free(b->v->authority); /* ends the thread */
    (void)pthread_join(b->thread, NULL);
    bh_ipc_free(b->frontend);
    for (size_t i = 0; i < PAS_SLOTS; i++)
        pas_slot_free(&b->v->slots[i]);
    pas_ground_clear(&b->v->ground);
    free(b->v);
    free(b->snapshot);
    free(b->issue_bytes);
}

/* As the process's loop does, until nothing is under way. */
static void
let_it_work(struct bench *b)
{
    for (;;) {
        struct bh_ipc_msg msg;
        bool got = false, used = false;

        for (size_t i = 0; i < PAS_SLOTS; i++)
            used = used || b->v->slots[i].used;
        if (!used) {
            if (b->v->frontend != NULL)
                cr_assert_eq(bh_ipc_flush(b->v->frontend, NULL), BH_OK);
            return;
        }
        pas_judge_due(b->v);
        while (
            b->v->authority != NULL && bh_ipc_receive(b->v->authority, &msg, &got) == BH_OK && got)
            cr_assert_eq(pas_value_take(b->v, &msg), BH_OK);
        if (b->v->authority != NULL) {
            struct pollfd p = {.fd = bh_ipc_fd(b->v->authority), .events = POLLIN};
            (void)poll(&p, 1, 20);
            bh_ipc_polled(b->v->authority);
        }
    }
}

struct outcome
bench_ask(struct bench *b, uint16_t type, const char *body)
{
    const struct pas_request request = {bh_span_str("127.0.0.1"), bh_span_str(body)};
    const size_t cap = request.body.len + 64;
    uint8_t *buf = malloc(cap);
    struct bh_ipc_msg msg = {.type = type, .id = 0x0123456789abcdef, .fd = -1}, back;
    struct outcome o = {0};
    struct pas_answer answer;
    struct bh_writer w;
    bool got;

    b->passed_as = 0;
    b->recorded = false;
    bh_writer_init(&w, buf, cap);
    pas_request_encode(&w, &request);
    cr_assert_eq(bh_writer_end(&w, &msg.payload), BH_OK);
    cr_assert_eq(pas_request_take(b->v, &msg), BH_OK);
    free(buf);
    let_it_work(b);
    cr_assert_eq(bh_ipc_receive(b->frontend, &back, &got), BH_OK);
    cr_assert_eq(back.id, 0x0123456789abcdef);
    cr_assert(pas_msg_permitted(PAS_VERIFIER, PAS_FRONTEND, back.type));
    if (back.type == PAS_ANSWER) {
        cr_assert_eq(pas_answer_decode(back.payload, &answer), BH_OK);
        o.status = answer.status;
        o.body = json_loadb((const char *)answer.body.ptr, answer.body.len, 0, NULL);
        cr_assert_not_null(o.body);
    }
    /* What was sent to the authority before is there within moments. */
    for (int i = 0; i < 200; i++) {
        (void)pthread_mutex_lock(&b->lock);
        o.passed_as = b->passed_as;
        o.recorded = b->recorded;
        (void)pthread_mutex_unlock(&b->lock);
        if (o.recorded || o.passed_as != 0 || b->mute || o.status == 200)
            break;
        (void)usleep(5000);
    }
    return o;
}

void
outcome_clear(struct outcome *o)
{
    json_decref(o->body);
    o->body = NULL;
}
