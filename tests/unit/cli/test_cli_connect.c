/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead connect and get: who is there, and that nothing is sent to anybody else. */
#include "core/text.h"
#include "core/x509.h"
#include "peer.h"
#include "run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct setup {
    struct bh_test_ca ca;
    struct bh_test_leaf leaf;
    EVP_PKEY *key;
    const char *root;
};

static void
begin_as(struct setup *s, bool simulated)
{
    bh_test_ca_make(
        &s->ca, &(struct bh_test_root){.domain = "fleet.example", .simulated = simulated});
    s->key = bh_test_key("P-256");
    bh_test_leaf_init(&s->ca, &s->leaf, "payments", s->key, bh_time_now(), 3600);
    s->root = put("root.crt", bh_span_str(s->ca.root_pem));
}

static void
finish(struct setup *s)
{
    bh_test_ca_clear(&s->ca);
    EVP_PKEY_free(s->key);
    end_folder();
}

#define PCR0                                                                                       \
    "abababababababababababababababababababababababababababababababababababababababababababababab" \
    "abab"
#define CONNECT(r, s, p, ...)                                                                      \
    RUN(r, "connect", "--json", "--root", (s)->root, "--workload", __VA_ARGS__, (p)->address)

/* Serve the leaf as it is; `connect` must end with @p check, and send nothing. */
static void
refused(struct setup *s, struct peer *p, const char *check, int status)
{
    struct ran r = {0};

    cr_assert(peer_start(p, &s->ca, &s->leaf));
    CONNECT(&r, s, p, "payments");
    expect_json(&r, status);
    cr_expect(json_is_false(json_object_get(r.json, "verified")));
    cr_expect_str_eq(text_of(&r, "check"), check, "%s: %s", check, r.err);
    cr_expect_str_neq(text_of(&r, "hint"), "", "%s", check);
    RUN(&r, "connect", "--root", s->root, "--workload", "payments", p->address);
    expect_run(&r, status, check);
    cr_expect_str_eq(r.out, "");
    RUN(&r, "get", "--root", s->root, "--workload", "payments", p->url);
    expect_run(&r, p->manner == SERVES && p->max_version == 0 ? 1 : r.status, "found");
    cr_expect_neq(r.status, 0);
    cr_expect_str_eq(r.out, "");
    cr_expect_eq(atomic_load(&p->received), 0, "%s: application data was sent", check);
    peer_stop(p);
    ran_clear(&r);
}

Test(connect, verified)
{
    static const char *const names[] = {"verified", "workload", "platform", "simulated", "status",
        "measurement", "serial", "not_before", "not_after", "issuer", "owner", "revocation", "log",
        "spiffe_id", "debug", NULL};
    struct setup s;
    struct peer p = {0};
    struct ran r = {0};

    begin_as(&s, false);
    cr_assert(peer_start(&p, &s.ca, &s.leaf));
    CONNECT(&r, &s, &p, "payments");
    expect_json(&r, 0);
    expect_members(r.json, names);
    cr_expect(json_is_true(json_object_get(r.json, "verified")));
    cr_expect_str_eq(text_of(&r, "workload"), "payments");
    cr_expect_str_eq(text_of(&r, "platform"), "aws-nitro");
    cr_expect_str_eq(text_of(&r, "status"), "affirming");
    cr_expect_str_eq(text_of(&r, "measurement"), PCR0);
    cr_expect_str_eq(text_of(&r, "spiffe_id"), "spiffe://fleet.example/payments");
    cr_expect_str_eq(text_of(&r, "revocation"), "not checked");
    cr_expect_eq(strlen(text_of(&r, "not_after")), 20);
    cr_expect_eq(atomic_load(&p.received), 0, "connect exchanges no application data");
    RUN(&r, "connect", "--root", s.root, "--workload", "payments", p.address);
    expect_run(&r, 0, NULL);
    cr_expect_not_null(strstr(r.out, "spiffe://fleet.example/payments"));
    CONNECT(&r, &s, &p, "payments", "--platform", "psa", "--platform", "aws-nitro", "--measurement",
        PCR0);
    expect_json(&r, 0);
    RUN(&r, "get", "--root", s.root, "--workload", "payments", p.url);
    expect_run(&r, 0, NULL);
    cr_expect_str_eq(r.out, "hello\n");
    peer_stop(&p);
    finish(&s);
    ran_clear(&r);
}

Test(connect, expectations)
{
    static const struct {
        const char *args[3];
        const char *check;
    } cases[] = {
        {{"--platform", "psa"}, "platform"},
        {{"--measurement", "11111111111111111111111111111111"}, "measurement"},
        {{"--require-log"}, "log"},
        {{"--require-log", "--log", "https://log.example"}, "log"},
        {{"--require-revocation"}, "revocation"},
    };
    struct setup s;
    struct peer p = {0};
    struct ran r = {0};

    begin_as(&s, false);
    cr_assert(peer_start(&p, &s.ca, &s.leaf));
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        const char *args[] = {"connect", "--json", "--root", s.root, "--workload", "payments",
            p.address, cases[i].args[0], cases[i].args[1], cases[i].args[2], NULL};

        ran_clear(&r);
        run(&r, "beachhead", bh_span_none(), args);
        expect_json(&r, 1);
        cr_expect_str_eq(text_of(&r, "check"), cases[i].check, "%s", r.err);
    }
    CONNECT(&r, &s, &p, "receipts");
    expect_json(&r, 1);
    cr_expect_str_eq(text_of(&r, "check"), "workload");
    RUN(&r, "get", "--root", s.root, "--workload", "receipts", p.url);
    expect_run(&r, 1, "workload");
    cr_expect_eq(atomic_load(&p.received), 0);
    peer_stop(&p);
    finish(&s);
    ran_clear(&r);
}

Test(connect, certificates_that_do_not_hold)
{
    struct bh_test_ca other;
    struct setup s;

    begin_as(&s, false);
    s.leaf.not_before -= 7200;
    s.leaf.not_after = bh_time_now() - 60;
    refused(&s, &(struct peer){0}, "certificate.validity", 1);
    bh_test_leaf_init(&s.ca, &s.leaf, "payments", s.key, bh_time_now(), 3600);
    s.leaf.no_ear = true;
    refused(&s, &(struct peer){0}, "ear.missing", 1);
    bh_test_leaf_init(&s.ca, &s.leaf, "payments", s.key, bh_time_now(), 3600);
    s.leaf.ear_signer = s.key;
    refused(&s, &(struct peer){0}, "ear.signature", 1);
    bh_test_leaf_init(&s.ca, &s.leaf, "payments", s.key, bh_time_now(), 3600);
    bh_test_ca_make(&other, &(struct bh_test_root){.domain = "fleet.example"});
    s.root = put("other.crt", bh_span_str(other.root_pem));
    refused(&s, &(struct peer){0}, "certificate.chain", 1);
    bh_test_ca_clear(&other);
    finish(&s);
}

Test(connect, warnings)
{
    struct setup s;
    struct peer p = {0};
    struct ran r = {0};

    begin_as(&s, false);
    s.leaf.ear.submods[0].status = BH_EAR_WARNING;
    refused(&s, &p, "ear.status", 1);
    p = (struct peer){0};
    cr_assert(peer_start(&p, &s.ca, &s.leaf));
    CONNECT(&r, &s, &p, "payments", "--accept-warning");
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "status"), "warning");
    RUN(&r, "get", "--accept-warning", "--root", s.root, "--workload", "payments", p.url);
    expect_run(&r, 0, NULL);
    peer_stop(&p);
    s.leaf.ear.submods[0].status = BH_EAR_CONTRAINDICATED;
    p = (struct peer){0};
    cr_assert(peer_start(&p, &s.ca, &s.leaf));
    CONNECT(&r, &s, &p, "payments", "--accept-warning");
    expect_json(&r, 1);
    cr_expect_str_eq(text_of(&r, "check"), "ear.status");
    peer_stop(&p);
    finish(&s);
    ran_clear(&r);
}

Test(connect, other_protocols)
{
    struct setup s;

    begin_as(&s, false);
    refused(&s, &(struct peer){.max_version = TLS1_2_VERSION}, "tls", 1);
    refused(&s, &(struct peer){.manner = NO_TLS}, "tls", 1);
    refused(&s, &(struct peer){.manner = CLOSES}, "tls", 1);
    finish(&s);
}

static void
hangs(enum manner manner)
{
    struct setup s;
    struct peer p = {.manner = manner};
    struct ran r = {0};
    struct timespec from, to;

    begin_as(&s, false);
    cr_assert(peer_start(&p, &s.ca, NULL));
    cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &from), 0);
    CONNECT(&r, &s, &p, "payments");
    cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &to), 0);
    expect_json(&r, 3);
    cr_expect_str_eq(text_of(&r, "check"), "tls");
    cr_expect_lt(to.tv_sec - from.tv_sec, 40);
    peer_stop(&p);
    finish(&s);
    ran_clear(&r);
}

Test(connect, a_peer_that_says_nothing)
{
    hangs(SILENT);
}

Test(connect, a_peer_that_drips)
{
    hangs(DRIPS);
}

Test(connect, nobody_there)
{
    struct setup s;
    struct peer p = {0};
    struct ran r = {0};

    begin_as(&s, false);
    cr_assert(peer_start(&p, &s.ca, &s.leaf));
    peer_stop(&p);
    CONNECT(&r, &s, &p, "payments");
    expect_json(&r, 3);
    cr_expect_str_eq(text_of(&r, "check"), "address");
    cr_expect_not_null(strstr(r.err, "refused"));
    RUN(&r, "connect", "--root", s.root, "--workload", "payments", "no-such-host.invalid:1");
    expect_run(&r, 3, "address");
    RUN(&r, "get", "--root", s.root, "--workload", "payments", p.url);
    expect_run(&r, 3, "transfer");
    finish(&s);
    ran_clear(&r);
}

Test(connect, ipv6)
{
    struct setup s;
    struct peer p = {.six = true};
    struct ran r = {0};

    begin_as(&s, false);
    if (!peer_start(&p, &s.ca, &s.leaf)) {
        (void)fprintf(stderr, "SKIP: this machine has no ::1\n");
        finish(&s);
        return;
    }
    CONNECT(&r, &s, &p, "payments");
    expect_json(&r, 0);
    RUN(&r, "get", "--root", s.root, "--workload", "payments", p.url);
    expect_run(&r, 0, NULL);
    peer_stop(&p);
    finish(&s);
    ran_clear(&r);
}

Test(connect, wrong_usage)
{
    static const char *const addresses[] = {"", "host", ":443", "host:", "[]:443", "host:12345678",
        "[::1]", "::1:443", "h:0", "h:65536", "h:-1", "h:https"};
    struct setup s;
    struct ran r = {0};

    begin_as(&s, false);
    for (size_t i = 0; i < BH_COUNT(addresses); i++) {
        RUN(&r, "connect", "--json", "--root", s.root, "--workload", "payments", addresses[i]);
        expect_json(&r, 2);
        cr_expect_str_eq(text_of(&r, "check"), "address", "%s: %s", addresses[i], r.err);
    }
    RUN(&r, "connect", "--json", "--root", "/nonexistent", "--workload", "payments", "h:1");
    expect_json(&r, 2);
    RUN(&r, "connect", "--json", "--root", s.root, "--workload", "No Name", "h:1");
    expect_json(&r, 2);
    cr_expect_str_eq(text_of(&r, "check"), "workload");
    RUN(&r, "connect", "--json", "--root", s.root, "--workload", "w", "--measurement", "xyz",
        "h:1");
    expect_json(&r, 2);
    cr_expect_str_eq(text_of(&r, "check"), "measurement");
    RUN(&r, "connect", "--json", "--root", s.root, "--workload", "w", "--measurement", "00", "h:1");
    expect_json(&r, 2);
    finish(&s);
    ran_clear(&r);
}

Test(get, answers_and_addresses)
{
    struct setup s;
    struct peer p = {.status = "404 Not Found"};
    struct ran r = {0};
    char plain[96];

    begin_as(&s, false);
    cr_assert(peer_start(&p, &s.ca, &s.leaf));
    RUN(&r, "get", "--root", s.root, "--workload", "payments", p.url);
    expect_run(&r, 1, "404");
    cr_expect_str_eq(r.out, "");
    (void)snprintf(plain, sizeof(plain), "http://%s/", p.address);
    RUN(&r, "get", "--root", s.root, "--workload", "payments", plain);
    expect_run(&r, 2, "transfer");
    RUN(&r, "get", "--root", s.root, "--workload", "payments", "file:///etc/passwd");
    expect_run(&r, 2, "transfer");
    cr_expect_str_eq(r.out, "");
    RUN(&r, "get", "--root", s.root, "--workload", "payments", "https://[::1");
    expect_run(&r, 2, "transfer");
    peer_stop(&p);
    /* Where the content cannot be written, it was not got. */
    p = (struct peer){0};
    cr_assert(peer_start(&p, &s.ca, &s.leaf));
    (void)snprintf(plain, sizeof(plain), "%s", p.url);
    char line[512];
    (void)snprintf(line, sizeof(line),
        BH_BIN_DIR "/beachhead get --root %s --workload payments %s >/dev/full", s.root, p.url);
    ran_clear(&r);
    run(&r, "sh", bh_span_none(), (const char *const[]){"-c", line, NULL});
    cr_expect_neq(r.status, 0);
    peer_stop(&p);
    finish(&s);
    ran_clear(&r);
}
