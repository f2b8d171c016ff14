/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "core/text.h"
#include "core/x509.h"
#include "folder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIGEST "1111111111111111111111111111111111111111111111111111111111111111"

/* ---- start and end ---- */

static void
set_timeout(int fd)
{
    const struct timeval t = {.tv_sec = 10};

    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0);
}

static void
channel_pair(struct bh_ipc **mine, int *theirs)
{
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    set_timeout(fds[0]);
    cr_assert_eq(bh_ipc_new(fds[0], false, mine), BH_OK);
    *theirs = fds[1];
}

static void
run_authority(int control)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    if (control != PAS_CONTROL_FD && dup2(control, PAS_CONTROL_FD) < 0)
        _exit(99);
    (void)close_range(PAS_CONTROL_FD + 1, ~0U, 0);
    _exit(pas_authority_main());
}

static void
send_start(struct world *w)
{
    char *text = NULL;
    uint8_t buf[16384];
    struct bh_span payload;
    struct bh_writer out;
    struct pas_start start = {.index = 0, .dir = bh_span_str(w->dir)};

    cr_assert_eq(pas_config_text(&w->config, &text, NULL), BH_OK);
    start.config = bh_span_str(text);
    bh_writer_init(&out, buf, sizeof(buf));
    pas_start_encode(&out, &start);
    cr_assert_eq(bh_writer_end(&out, &payload), BH_OK);
    cr_assert_eq(bh_ipc_send(w->control, PAS_CTL_START, 0, payload, -1), BH_OK);
    free(text);
}

static void
configure(struct world *w, const struct world_options *o)
{
    pas_config_defaults(&w->config);
    (void)snprintf(w->config.trust_domain, sizeof(w->config.trust_domain), "fleet.example");
    (void)snprintf(w->config.listen, sizeof(w->config.listen), "127.0.0.1:0");
    (void)snprintf(w->config.dns[0], sizeof(w->config.dns[0]), "attest.other.example");
    w->config.dns_len = 1;
    w->config.allow_simulated = !o->hardware_only;
    if (o->lifetime_max != 0)
        w->config.certificate_lifetime_max = o->lifetime_max;
    if (w->config.certificate_lifetime > w->config.certificate_lifetime_max)
        w->config.certificate_lifetime = w->config.certificate_lifetime_max;
    (void)snprintf(w->policy, sizeof(w->policy),
        "{\"workload\":\"payments\",%s%s%s\"accept\":[{\"platform\":\"psa\",%s"
        "\"key_class\":[\"silicon\"],\"implementation_id\":[\"" DIGEST "\"],"
        "\"lifecycle\":[\"secured\"],\"software\":[{\"type\":\"PRoT\",\"measurement\":[\"" DIGEST
        "\"],\"signer\":[\"" DIGEST "\"]}]}]}",
        o->profile != NULL ? "\"certificate\":" : "", o->profile != NULL ? o->profile : "",
        o->profile != NULL ? "," : "", o->hardware_only ? "" : "\"simulated\":true,");
    world_policy_digest(w->policy, w->policy_digest);
}

/* The key that the authority will find, so that the test can make challenges of any age. */
static void
share_challenge_key(struct world *w)
{
    char path[300];
    struct pas_store *store = NULL;
    uint8_t key[PAS_CHALLENGE_KEY_LEN];

    (void)snprintf(path, sizeof(path), "%s/store", w->dir);
    cr_assert_eq(pas_store_open(path, &store, NULL), BH_OK);
    cr_assert_eq(pas_store_secret(store, "challenge", key, sizeof(key), NULL), BH_OK);
    cr_assert_eq(pas_challenges_init(&w->challenges, key, NULL), BH_OK);
    pas_store_close(store);
}

static void
forget_tomorrow(struct world *w)
{
    static const uint8_t hash[PAS_STORE_HASH_LEN] = {7};
    const int64_t tomorrow = bh_time_now() + 86400;
    struct pas_store *store = NULL;
    bool more = true;
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/store", w->dir);
    cr_assert_eq(pas_store_open(path, &store, NULL), BH_OK);
    cr_assert_eq(pas_store_begin(store, NULL), BH_OK);
    cr_assert_eq(pas_store_spend(store, tomorrow, hash, NULL), BH_OK);
    cr_assert_eq(pas_store_commit(store, NULL), BH_OK);
    cr_assert_eq(pas_store_clean(store, tomorrow + 86400, 86400, 10, &more, NULL), BH_OK);
    cr_assert_eq(pas_store_forgotten(store), tomorrow);
    pas_store_close(store);
}

void
world_start(struct world *w, const struct world_options *options)
{
    const struct world_options none = {0};
    const struct world_options *o = options != NULL ? options : &none;
    struct bh_diag diag = {0};
    EVP_PKEY *key = NULL;
    uint64_t id = 0;
    int control;

    memset(w, 0, sizeof(*w));
    folder_make(w->dir, o->issuer_days != 0 ? o->issuer_days : 365);
    configure(w, o);
    share_challenge_key(w);
    if (o->clock_went_back)
        forget_tomorrow(w);
    w->next_id = 0xabcdef0000000001;
    w->generation = WORLD_GENERATION;
    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert_eq(bh_spki_encode(key, w->spki, sizeof(w->spki), &w->spki_len, NULL), BH_OK);
    EVP_PKEY_free(key);
    channel_pair(&w->control, &control);
    w->pid = fork();
    cr_assert_geq(w->pid, 0);
    if (w->pid == 0)
        run_authority(control);
    (void)close(control);
    send_start(w);
    world_link(w, PAS_FRONTEND, 0, &w->frontend);
    world_link(w, PAS_VERIFIER, 0, &w->verifier);
    world_link(w, PAS_SIGNER, 0, &w->signer);
    world_snapshot(w, WORLD_GENERATION,
        (const char *const[]){"payments.json", w->policy,
            o->endorsed != NULL ? "!devices.json" : NULL, o->endorsed, NULL});
    world_send(w, w->control, PAS_CTL_CONFINE, 0, NULL, 0);
    cr_assert_eq(world_control(w, &id, &diag), PAS_CTL_READY, "%s: %s", diag.check, diag.detail);
    cr_assert_eq(id, WORLD_GENERATION);
}

static void
drop(struct bh_ipc **channel)
{
    bh_ipc_free(*channel);
    *channel = NULL;
}

void
world_drain(struct world *w)
{
    int status = -1;

    world_send(w, w->control, PAS_CTL_DRAIN, 0, NULL, 0);
    drop(&w->verifier);
    drop(&w->frontend);
    cr_assert_eq(waitpid(w->pid, &status, 0), w->pid);
    w->pid = 0;
    cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), 0);
}

void
world_end(struct world *w)
{
    if (w->pid > 0) {
        (void)kill(w->pid, SIGKILL);
        (void)waitpid(w->pid, NULL, 0);
    }
    drop(&w->control);
    drop(&w->frontend);
    drop(&w->verifier);
    drop(&w->signer);
    pas_challenges_clear(&w->challenges);
    folder_remove(w->dir);
}

/* ---- the parent's part ---- */

void
world_snapshot(struct world *w, uint64_t generation, const char *const *files)
{
    static uint8_t buf[65536];
    const int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct bh_span bytes;
    struct bh_writer out;

    bh_writer_init(&out, buf, sizeof(buf));
    pas_snapshot_put(&out, &(const struct pas_snapshot_record){.kind = PAS_SNAPSHOT_CONFIG,
                               .name = bh_span_str("server.json"),
                               .bytes = bh_span_str("{}")});
    for (; files[0] != NULL; files += 2) {
        const bool endorsed = files[0][0] == '!';
        const struct pas_snapshot_record r = {
            .kind = endorsed ? PAS_SNAPSHOT_ENDORSED : PAS_SNAPSHOT_POLICY,
            .name = bh_span_str(files[0] + endorsed),
            .bytes = bh_span_str(files[1]),
        };
        pas_snapshot_put(&out, &r);
    }
    cr_assert_eq(bh_writer_end(&out, &bytes), BH_OK);
    cr_assert_eq(write(fd, bytes.ptr, bytes.len), (ssize_t)bytes.len);
    cr_assert_eq(
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
    cr_assert_eq(bh_ipc_send(w->control, PAS_CTL_SNAPSHOT, generation, bh_span_none(), fd), BH_OK);
    (void)close(fd);
}

uint16_t
world_control(struct world *w, uint64_t *id, struct bh_diag *diag)
{
    struct bh_ipc_msg msg;
    bool got = false;

    cr_assert_eq(bh_ipc_receive(w->control, &msg, &got), BH_OK, "the authority is gone");
    if (id != NULL)
        *id = msg.id;
    if (msg.type != PAS_CTL_READY)
        cr_assert_eq(pas_diag_decode(msg.payload, diag), BH_OK);
    return msg.type;
}

void
world_link(struct world *w, enum pas_role role, unsigned index, struct bh_ipc **channel)
{
    struct bh_span payload = bh_span_none();
    struct bh_writer out;
    uint8_t buf[8];
    int theirs;

    bh_ipc_free(*channel);
    channel_pair(channel, &theirs);
    bh_writer_init(&out, buf, sizeof(buf));
    bh_writer_u64be(&out, w->generation);
    if (role == PAS_VERIFIER)
        cr_assert_eq(bh_writer_end(&out, &payload), BH_OK);
    cr_assert_eq(
        bh_ipc_send(w->control, PAS_CTL_LINK, PAS_LINK_ID(role, index), payload, theirs), BH_OK);
    (void)close(theirs);
}

void
world_verifier(struct world *w, uint64_t generation)
{
    w->generation = generation;
    world_link(w, PAS_VERIFIER, 0, &w->verifier);
}

void
world_expect_cut(struct world *w, uint64_t id)
{
    struct bh_ipc_msg msg;
    bool got = false;

    cr_assert_eq(bh_ipc_receive(w->control, &msg, &got), BH_OK, "the authority is gone");
    cr_assert_eq(msg.type, PAS_CTL_CUT);
    cr_assert_eq(msg.id, id);
}

void
world_expect_closed(struct bh_ipc *channel)
{
    struct pollfd p = {.fd = bh_ipc_fd(channel), .events = POLLIN};
    struct bh_ipc_msg msg;
    bool got = false;

    cr_assert_eq(poll(&p, 1, 10000), 1, "the channel stays open");
    cr_assert_eq(bh_ipc_receive(channel, &msg, &got), BH_ERR_IO);
}

/* ---- the verifier's part ---- */

void
world_policy_digest(const char *text, uint8_t out[32])
{
    struct ev_policy *policy = NULL;
    struct bh_diag diag = {0};

    cr_assert_eq(ev_policy_parse(bh_span_str(text), &policy, &diag), BH_OK, "%s: %s", diag.check,
        diag.detail);
    memcpy(out, ev_policy_digest(policy), 32);
    ev_policy_free(policy);
}

void
world_mint(struct world *w)
{
    struct reply reply;
    size_t len = 0;

    world_ask(w, PAS_MINT, NULL, 0, &reply);
    cr_assert_eq(reply.status, 201);
    cr_assert_eq(bh_unbase64url(bh_span_str(reply_string(&reply, "challenge")), w->challenge,
                     sizeof(w->challenge), &len),
        BH_OK);
    cr_assert_eq(len, BH_CHALLENGE_LEN);
    reply_clear(&reply);
}

void
world_bind(struct pas_issue *m)
{
    cr_assert_eq(bh_binding(m->challenge, m->spki, m->context, m->binding), BH_OK);
}

void
world_issue(const struct world *w, struct pas_issue *m)
{
    struct ev_verdict *v = &m->verdict;

    memset(m, 0, sizeof(*m));
    m->challenge = bh_span(w->challenge, sizeof(w->challenge));
    m->workload = bh_span_str("payments");
    m->spki = bh_span(w->spki, w->spki_len);
    m->context = bh_span_str("agent configuration");
    m->evidence = bh_span_str("[\"application/psa-attestation-token\",\"0oRD\"]");
    m->peer = bh_span_str("192.0.2.7");
    m->checks = bh_span_str("[]");
    m->generation = w->generation;
    world_bind(m);
    (void)snprintf(v->submod.platform, sizeof(v->submod.platform), "psa");
    v->submod.status = w->config.allow_simulated ? BH_EAR_WARNING : BH_EAR_AFFIRMING;
    v->submod.has_vector = true;
    v->submod.trust[BH_TRUST_HARDWARE] = w->config.allow_simulated ? 32 : 2;
    memcpy(v->submod.policy_digest, w->policy_digest, 32);
    v->simulated = w->config.allow_simulated;
    v->owner_pinned = true;
    memcpy(v->hardware_id, "instance", 8);
    v->hardware_id_len = 8;
}

void
world_send(struct world *w, struct bh_ipc *channel, uint16_t type, uint64_t id, const void *payload,
    size_t len)
{
    (void)w;
    cr_assert_eq(bh_ipc_send(channel, type, id, bh_span(payload, len), -1), BH_OK);
}

uint64_t
world_send_issue(struct world *w, const struct pas_issue *m, bool result)
{
    static uint8_t buf[BH_IPC_MAX];
    const uint64_t id = w->next_id++;
    struct bh_span payload;
    struct bh_writer out;

    bh_writer_init(&out, buf, sizeof(buf));
    pas_issue_encode(&out, m);
    cr_assert_eq(bh_writer_end(&out, &payload), BH_OK);
    world_send(w, w->verifier, result ? PAS_RESULT : PAS_ISSUE, id, payload.ptr, payload.len);
    return id;
}

/* ---- the signer's part ---- */

uint64_t
world_signer_next(struct world *w, uint16_t type, struct bh_span *payload)
{
    struct bh_ipc_msg msg;
    bool got = false;

    cr_assert_eq(bh_ipc_receive(w->signer, &msg, &got), BH_OK, "nothing to sign");
    cr_assert_eq(msg.type, type);
    if (payload != NULL)
        *payload = msg.payload;
    return msg.id;
}

void
world_signer_answer(struct world *w, uint64_t id, size_t certificate_len)
{
    static const uint8_t ear[64] = {0xd2, 0x84};
    uint8_t certificate[2048], buf[4096];
    struct pas_signed m = {.ear = bh_span(ear, sizeof(ear))};
    struct bh_span payload;
    struct bh_writer out;

    memset(certificate, 0x30, sizeof(certificate));
    m.certificate = bh_span(certificate, certificate_len);
    bh_writer_init(&out, buf, sizeof(buf));
    pas_signed_encode(&out, &m);
    cr_assert_eq(bh_writer_end(&out, &payload), BH_OK);
    world_send(w, w->signer, PAS_SIGNED, id, payload.ptr, payload.len);
}

bool
world_signer_is_idle(struct world *w)
{
    struct pollfd p = {.fd = bh_ipc_fd(w->signer), .events = POLLIN};
    struct reply reply;

    /* An answer of a later round: what the authority had to send before has been sent. */
    world_ask(w, PAS_INFO, NULL, 0, &reply);
    reply_clear(&reply);
    return poll(&p, 1, 0) == 0;
}

/* ---- the frontend's part ---- */

void
world_answer(struct world *w, uint64_t id, struct reply *reply)
{
    struct bh_ipc_msg msg;
    struct pas_answer answer;
    bool got = false;

    cr_assert_eq(bh_ipc_receive(w->frontend, &msg, &got), BH_OK, "no answer");
    cr_assert_eq(msg.type, PAS_ANSWER);
    cr_assert_eq(msg.id, id, "an answer to another request");
    cr_assert_eq(pas_answer_decode(msg.payload, &answer), BH_OK);
    reply->status = answer.status;
    (void)snprintf(reply->type, sizeof(reply->type), "%.*s", (int)answer.content_type.len,
        (const char *)answer.content_type.ptr);
    cr_assert_not_null(reply->text = calloc(1, answer.body.len + 1));
    memcpy(reply->text, answer.body.ptr, answer.body.len);
    reply->json = json_loads(reply->text, JSON_REJECT_DUPLICATES, NULL);
}

void
world_ask(struct world *w, uint16_t type, const void *payload, size_t len, struct reply *reply)
{
    const uint64_t id = w->next_id++;

    world_send(w, w->frontend, type, id, payload, len);
    world_answer(w, id, reply);
}

void
reply_clear(struct reply *reply)
{
    json_decref(reply->json);
    free(reply->text);
    memset(reply, 0, sizeof(*reply));
}

const char *
reply_string(const struct reply *reply, const char *name)
{
    const char *text = json_string_value(json_object_get(reply->json, name));

    cr_assert_not_null(text, "no %s in %s", name, reply->text);
    return text;
}

void
reply_is_problem(struct reply *reply, unsigned status, const char *code, const char *check)
{
    char type[80];

    (void)snprintf(type, sizeof(type), "urn:beachhead:error:%s", code);
    cr_assert_eq(reply->status, status, "%u: %s", reply->status, reply->text);
    cr_assert_str_eq(reply->type, "application/problem+json");
    cr_assert_str_eq(reply_string(reply, "type"), type);
    cr_assert_str_eq(reply_string(reply, "check"), check, "%s", reply->text);
    cr_assert_null(strstr(reply->text, "BEGIN CERTIFICATE"));
    reply_clear(reply);
}

void
world_enrol(struct world *w, char serial[33])
{
    struct pas_issue m;
    struct reply reply;
    uint64_t id;

    world_mint(w);
    world_issue(w, &m);
    id = world_send_issue(w, &m, false);
    world_signer_answer(w, world_signer_next(w, PAS_SIGN_CERTIFICATE, NULL), 700);
    world_answer(w, id, &reply);
    cr_assert_eq(reply.status, 201, "%s", reply.text);
    if (serial != NULL)
        (void)snprintf(serial, 33, "%s", reply_string(&reply, "serial"));
    reply_clear(&reply);
}

long
world_metric(struct world *w, const char *name)
{
    char line[128];
    struct reply reply;
    const char *at;
    long value;

    (void)snprintf(line, sizeof(line), "\nbeachhead_%s ", name);
    world_ask(w, PAS_METRICS, NULL, 0, &reply);
    cr_assert_eq(reply.status, 200);
    at = strstr(reply.text, line);
    cr_assert_not_null(at, "no %s", name);
    value = strtol(at + strlen(line), NULL, 10);
    reply_clear(&reply);
    return value;
}
