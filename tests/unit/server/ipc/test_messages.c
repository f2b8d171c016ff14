/* SPDX-License-Identifier: Apache-2.0 */
/* Every payload there and back; every decoder against truncations, mutations and trailing bytes. */
#include "ipc/messages.h"

#include "support/mutate.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t buf[32 * 1024];

static struct bh_span
ended(struct bh_writer *w)
{
    struct bh_span out = bh_span_none();

    cr_assert_eq(bh_writer_end(w, &out), BH_OK);
    return out;
}

static struct bh_writer
begin(void)
{
    struct bh_writer w;

    bh_writer_init(&w, buf, sizeof(buf));
    return w;
}

/* ---- the table ---- */

static const struct {
    uint16_t from, to;
    uint16_t types[9];
} channels[] = {
    {PAS_PARENT, PAS_FRONTEND,
        {PAS_CTL_START, PAS_CTL_LINK, PAS_CTL_LISTEN, PAS_CTL_TLS, PAS_CTL_CONFINE, PAS_CTL_DRAIN,
            PAS_CTL_UNLINK}},
    {PAS_PARENT, PAS_VERIFIER,
        {PAS_CTL_START, PAS_CTL_LINK, PAS_CTL_SNAPSHOT, PAS_CTL_CONFINE, PAS_CTL_DRAIN,
            PAS_CTL_UNLINK}},
    {PAS_PARENT, PAS_AUTHORITY,
        {PAS_CTL_START, PAS_CTL_LINK, PAS_CTL_SNAPSHOT, PAS_CTL_CONFINE, PAS_CTL_DRAIN,
            PAS_CTL_UNLINK}},
    {PAS_PARENT, PAS_SIGNER,
        {PAS_CTL_START, PAS_CTL_LINK, PAS_CTL_CONFINE, PAS_CTL_DRAIN, PAS_CTL_UNLINK}},
    {PAS_FRONTEND, PAS_PARENT, {PAS_CTL_READY, PAS_CTL_REFUSED, PAS_CTL_FAILED, PAS_CTL_CUT}},
    {PAS_VERIFIER, PAS_PARENT, {PAS_CTL_READY, PAS_CTL_REFUSED, PAS_CTL_FAILED}},
    {PAS_AUTHORITY, PAS_PARENT, {PAS_CTL_READY, PAS_CTL_REFUSED, PAS_CTL_FAILED, PAS_CTL_CUT}},
    {PAS_SIGNER, PAS_PARENT, {PAS_CTL_READY, PAS_CTL_REFUSED, PAS_CTL_FAILED}},
    {PAS_FRONTEND, PAS_VERIFIER, {PAS_ENROL, PAS_APPRAISE}},
    {PAS_VERIFIER, PAS_FRONTEND, {PAS_ANSWER, PAS_PASSED}},
    {PAS_FRONTEND, PAS_AUTHORITY,
        {PAS_MINT, PAS_CERTIFICATE, PAS_ROOTS_PEM, PAS_ISSUERS_PEM, PAS_INFO, PAS_READY,
            PAS_METRICS}},
    {PAS_AUTHORITY, PAS_FRONTEND, {PAS_ANSWER}},
    {PAS_VERIFIER, PAS_AUTHORITY, {PAS_LOOKUP, PAS_ISSUE, PAS_RESULT, PAS_REFUSAL}},
    {PAS_AUTHORITY, PAS_VERIFIER, {PAS_VALUE}},
    {PAS_AUTHORITY, PAS_SIGNER, {PAS_SIGN_CERTIFICATE, PAS_SIGN_JWT}},
    {PAS_SIGNER, PAS_AUTHORITY, {PAS_SIGNED, PAS_NOT_SIGNED}},
};

static bool
is_listed(unsigned from, unsigned to, unsigned type)
{
    for (size_t i = 0; i < BH_COUNT(channels); i++)
        for (size_t t = 0; t < BH_COUNT(channels[i].types); t++)
            if (channels[i].from == from && channels[i].to == to && type != 0 &&
                channels[i].types[t] == type)
                return true;
    return false;
}

Test(messages, the_table_permits_exactly_what_readme_lists)
{
    for (unsigned from = 0; from <= PAS_ROLES; from++)
        for (unsigned to = 0; to <= PAS_ROLES; to++)
            for (unsigned type = 0; type < 200; type++)
                cr_expect_eq(pas_msg_permitted(from, to, (uint16_t)type), is_listed(from, to, type),
                    "%u to %u: %u", from, to, type);
}

Test(messages, only_a_verifier_may_ask_for_a_certificate)
{
    for (unsigned from = 0; from < PAS_ROLES; from++)
        for (unsigned to = 0; to < PAS_ROLES; to++) {
            const bool right = from == PAS_VERIFIER && to == PAS_AUTHORITY;
            cr_expect_eq(pas_msg_permitted(from, to, PAS_ISSUE), right);
            cr_expect_eq(pas_msg_permitted(from, to, PAS_RESULT), right);
            cr_expect_eq(pas_msg_permitted(from, to, PAS_SIGN_CERTIFICATE),
                from == PAS_AUTHORITY && to == PAS_SIGNER);
        }
}

/* ---- samples ---- */

static struct bh_diag
sample_diag(void)
{
    struct bh_diag d = {0};

    bh_refuse(&d, BH_ERR_BINDING, "psa.binding", "aa", "bb", "the nonce is another");
    bh_hint(&d, "ask again");
    return d;
}

static struct pas_issue
sample_issue(void)
{
    struct pas_issue m = {
        .challenge = bh_span_str("challenge"),
        .workload = bh_span_str("payments"),
        .spki = bh_span_str("spki"),
        .context = bh_span_str("context"),
        .evidence = bh_span_str("[\"type\",\"value\"]"),
        .peer = bh_span_str("127.0.0.1"),
        .checks = bh_span_str("[]"),
        .generation = 0x1122334455667788,
        .verdict = {.simulated = true,
            .owner_pinned = true,
            .hardware_id_len = 3,
            .measurement_len = 64,
            .not_after = 1234,
            .lifetime = 86400},
    };
    struct ev_verdict *v = &m.verdict;

    memset(m.binding, 0xab, sizeof(m.binding));
    (void)snprintf(v->submod.platform, sizeof(v->submod.platform), "psa");
    v->submod.status = BH_EAR_WARNING;
    v->submod.has_vector = true;
    v->submod.trust[1] = -3;
    v->submod.trust[7] = 96;
    memset(v->submod.policy_digest, 7, sizeof(v->submod.policy_digest));
    v->submod.claims_len = 2;
    (void)snprintf(v->submod.claims[0].name, sizeof(v->submod.claims[0].name), "pcr0");
    v->submod.claims[0].len = 48;
    memset(v->submod.claims[0].value, 9, 48);
    (void)snprintf(v->submod.claims[1].name, sizeof(v->submod.claims[1].name), "lifecycle");
    v->submod.claims[1].text = true;
    v->submod.claims[1].len = 7;
    memcpy(v->submod.claims[1].value, "secured", 7);
    memset(v->hardware_id, 1, 3);
    memset(v->measurement, 2, 64);
    return m;
}

static struct pas_certificate
sample_certificate(void)
{
    struct pas_certificate m = {.not_before = 1000, .not_after = 2000, .dns_len = 2};

    memset(m.serial, 5, sizeof(m.serial));
    m.workload = bh_span_str("payments");
    m.dns[0] = bh_span_str("payments.fleet.example");
    m.dns[1] = bh_span_str("p.fleet.example");
    m.spki = bh_span_str("spki");
    m.ear = bh_span_str("ear");
    return m;
}

/* ---- there and back ---- */

Test(messages, diag)
{
    const struct bh_diag in = sample_diag();
    struct bh_writer w = begin();
    struct bh_diag out;

    pas_diag_encode(&w, &in);
    cr_assert_eq(pas_diag_decode(ended(&w), &out), BH_OK);
    cr_assert_eq(memcmp(&in, &out, sizeof(in)), 0);
}

Test(messages, a_diag_of_no_failure_is_refused)
{
    const struct bh_diag in = {0};
    struct bh_writer w = begin();
    struct bh_diag out;

    pas_diag_encode(&w, &in);
    cr_assert_eq(pas_diag_decode(ended(&w), &out), BH_ERR_MALFORMED);
}

Test(messages, answer_and_request)
{
    const struct pas_answer a = {201, bh_span_str("application/json"), bh_span_str("{}")};
    const struct pas_request q = {bh_span_str("::1"), bh_span_str("{\"a\":1}")};
    struct bh_writer w = begin();
    struct pas_request q2;
    struct pas_answer a2;

    pas_answer_encode(&w, &a);
    cr_assert_eq(pas_answer_decode(ended(&w), &a2), BH_OK);
    cr_assert(a2.status == 201 && bh_span_is(a2.content_type, "application/json") &&
              bh_span_is(a2.body, "{}"));
    w = begin();
    pas_request_encode(&w, &q);
    cr_assert_eq(pas_request_decode(ended(&w), &q2), BH_OK);
    cr_assert(bh_span_is(q2.peer, "::1") && bh_span_is(q2.body, "{\"a\":1}"));
}

Test(messages, an_answer_cannot_split_headers)
{
    const struct pas_answer bad[] = {
        {200, bh_span_str("text/plain\r\nX: y"), bh_span_none()},
        {199, bh_span_str("text/plain"), bh_span_none()},
        {600, bh_span_str("text/plain"), bh_span_none()},
    };
    struct pas_answer out;

    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        struct bh_writer w = begin();
        pas_answer_encode(&w, &bad[i]);
        cr_expect_eq(pas_answer_decode(ended(&w), &out), BH_ERR_MALFORMED);
    }
}

Test(messages, lookup_and_value)
{
    uint8_t key[32] = {3};
    const struct pas_lookup l = {.kind = PAS_LOOKUP_ENDORSEMENT,
        .appraisal = true,
        .challenge = bh_span_str("c"),
        .platform = bh_span_str("psa"),
        .key = bh_span(key, 32)};
    const struct pas_value v = {BH_ERR_ENDORSEMENT_UNKNOWN, bh_span_str("why")};
    struct bh_writer w = begin();
    struct pas_lookup l2;
    struct pas_value v2;

    pas_lookup_encode(&w, &l);
    cr_assert_eq(pas_lookup_decode(ended(&w), &l2), BH_OK);
    cr_assert(l2.kind == PAS_LOOKUP_ENDORSEMENT && l2.appraisal && bh_span_is(l2.challenge, "c") &&
              bh_span_is(l2.platform, "psa") && bh_span_equal(l2.key, bh_span(key, 32)));
    w = begin();
    pas_value_encode(&w, &v);
    cr_assert_eq(pas_value_decode(ended(&w), &v2), BH_OK);
    cr_assert(v2.err == BH_ERR_ENDORSEMENT_UNKNOWN && bh_span_is(v2.value, "why"));
}

Test(messages, an_unknown_kind_of_lookup_is_refused)
{
    const struct pas_lookup l = {.kind = 2};
    struct bh_writer w = begin();
    struct pas_lookup out;

    pas_lookup_encode(&w, &l);
    cr_assert_eq(pas_lookup_decode(ended(&w), &out), BH_ERR_MALFORMED);
}

Test(messages, issue)
{
    const struct pas_issue in = sample_issue();
    struct bh_writer w = begin();
    struct pas_issue out;

    pas_issue_encode(&w, &in);
    cr_assert_eq(pas_issue_decode(ended(&w), &out), BH_OK);
    cr_assert(bh_span_equal(in.challenge, out.challenge) && bh_span_equal(in.spki, out.spki));
    cr_assert(bh_span_equal(in.workload, out.workload) && bh_span_equal(in.context, out.context));
    cr_assert(bh_span_equal(in.evidence, out.evidence) && bh_span_equal(in.checks, out.checks));
    cr_assert(bh_span_equal(in.peer, out.peer) && in.generation == out.generation);
    cr_assert_eq(memcmp(in.binding, out.binding, sizeof(in.binding)), 0);
    cr_assert_eq(memcmp(&in.verdict.submod, &out.verdict.submod, sizeof(in.verdict.submod)), 0);
    cr_assert(out.verdict.simulated && !out.verdict.debug && out.verdict.owner_pinned);
    cr_assert(out.verdict.hardware_id_len == 3 && out.verdict.measurement_len == 64);
    cr_assert(out.verdict.not_after == 1234 && out.verdict.lifetime == 86400);
}

static void
issue_is_refused(const struct pas_issue *m, const char *why)
{
    struct bh_writer w = begin();
    struct pas_issue out;
    struct bh_span bytes;

    pas_issue_encode(&w, m);
    if (bh_writer_end(&w, &bytes) != BH_OK)
        return;
    cr_expect_eq(pas_issue_decode(bytes, &out), BH_ERR_MALFORMED, "%s", why);
    cr_expect(out.spki.len == 0 && out.verdict.lifetime == 0, "%s: output", why);
}

Test(messages, an_issue_outside_its_bounds_is_refused)
{
    static const uint8_t many[2048];
    struct pas_issue m = sample_issue();

    m.workload = bh_span_str("Payments");
    issue_is_refused(&m, "workload");
    m = sample_issue();
    m.workload = bh_span_str("a/../b");
    issue_is_refused(&m, "workload with slashes");
    m = sample_issue();
    m.spki = bh_span(many, BH_SPKI_MAX + 1);
    issue_is_refused(&m, "long spki");
    m.spki = bh_span_none();
    issue_is_refused(&m, "no spki");
    m = sample_issue();
    m.context = bh_span(many, BH_CONTEXT_MAX + 1);
    issue_is_refused(&m, "long context");
    m = sample_issue();
    m.verdict.submod.status = (enum bh_ear_status)3;
    issue_is_refused(&m, "status");
    m = sample_issue();
    m.verdict.submod.claims_len = BH_EAR_CLAIMS_MAX + 1;
    issue_is_refused(&m, "claims");
    m = sample_issue();
    m.verdict.lifetime = -1;
    issue_is_refused(&m, "lifetime");
    m = sample_issue();
    m.verdict.submod.claims[1].value[2] = 0;
    issue_is_refused(&m, "NUL in text");
    m = sample_issue();
    m.verdict.submod.claims[1].value[2] = 0xff;
    issue_is_refused(&m, "text that is not UTF-8");
    m = sample_issue();
    m.verdict.submod.claims[0].name[0] = '\n';
    issue_is_refused(&m, "claim's name");
}

Test(messages, refusal)
{
    struct pas_refusal in = {bh_span_str("payments"), bh_span_str("psa"), bh_span_str("::1"),
        bh_span_str("00ff"), sample_diag()};
    struct bh_writer w = begin();
    struct pas_refusal out;

    pas_refusal_encode(&w, &in);
    cr_assert_eq(pas_refusal_decode(ended(&w), &out), BH_OK);
    cr_assert(bh_span_is(out.workload, "payments") && bh_span_is(out.request_id, "00ff"));
    cr_assert_eq(memcmp(&in.diag, &out.diag, sizeof(in.diag)), 0);
    in.workload = bh_span_str("a\nb");
    w = begin();
    pas_refusal_encode(&w, &in);
    cr_assert_eq(pas_refusal_decode(ended(&w), &out), BH_ERR_MALFORMED);
}

Test(messages, certificate)
{
    struct pas_certificate in = sample_certificate(), out;
    struct bh_writer w = begin();

    pas_certificate_encode(&w, &in);
    cr_assert_eq(pas_certificate_decode(ended(&w), &out), BH_OK);
    cr_assert_eq(memcmp(in.serial, out.serial, 16), 0);
    cr_assert(out.not_before == 1000 && out.not_after == 2000 && out.dns_len == 2);
    cr_assert(bh_span_equal(in.dns[1], out.dns[1]) && bh_span_is(out.ear, "ear"));
    in.not_after = in.not_before;
    w = begin();
    pas_certificate_encode(&w, &in);
    cr_expect_eq(pas_certificate_decode(ended(&w), &out), BH_ERR_MALFORMED, "validity");
    in = sample_certificate();
    in.dns[0] = bh_span_str("*.fleet.example");
    w = begin();
    pas_certificate_encode(&w, &in);
    cr_expect_eq(pas_certificate_decode(ended(&w), &out), BH_ERR_MALFORMED, "wildcard");
    in = sample_certificate();
    in.dns_len = 17;
    w = begin();
    pas_certificate_encode(&w, &in);
    cr_expect_not(bh_writer_ok(&w));
}

Test(messages, signed_start_and_tls)
{
    const struct pas_signed s = {bh_span_str("ear"), bh_span_str("der")};
    const struct pas_start t = {7, bh_span_str("/srv"), bh_span_str("{}")};
    const struct pas_start relative = {7, bh_span_str("srv"), bh_span_str("{}")};
    const struct pas_tls k = {bh_span_str("chain"), bh_span_str("key")};
    struct bh_writer w = begin();
    struct pas_signed s2;
    struct pas_start t2;
    struct pas_tls k2;

    pas_signed_encode(&w, &s);
    cr_assert_eq(pas_signed_decode(ended(&w), &s2), BH_OK);
    cr_assert(bh_span_is(s2.ear, "ear") && bh_span_is(s2.certificate, "der"));
    w = begin();
    pas_start_encode(&w, &t);
    cr_assert_eq(pas_start_decode(ended(&w), &t2), BH_OK);
    cr_assert(t2.index == 7 && bh_span_is(t2.dir, "/srv") && bh_span_is(t2.config, "{}"));
    w = begin();
    pas_start_encode(&w, &relative);
    cr_assert_eq(pas_start_decode(ended(&w), &t2), BH_ERR_MALFORMED);
    w = begin();
    pas_tls_encode(&w, &k);
    cr_assert_eq(pas_tls_decode(ended(&w), &k2), BH_OK);
    cr_assert(bh_span_is(k2.chain, "chain") && bh_span_is(k2.key, "key"));
}

/* ---- hostile bytes ---- */

struct hostile {
    const char *name;
    enum bh_err (*decode)(struct bh_span in);
    size_t len;
};

#define DECODER(name, type, fn)                                                                    \
    static enum bh_err decode_##name(struct bh_span in)                                            \
    {                                                                                              \
        struct type m;                                                                             \
        return fn(in, &m);                                                                         \
    }
DECODER(diag, bh_diag, pas_diag_decode)
DECODER(answer, pas_answer, pas_answer_decode)
DECODER(request, pas_request, pas_request_decode)
DECODER(lookup, pas_lookup, pas_lookup_decode)
DECODER(value, pas_value, pas_value_decode)
DECODER(issue, pas_issue, pas_issue_decode)
DECODER(refusal, pas_refusal, pas_refusal_decode)
DECODER(certificate, pas_certificate, pas_certificate_decode)
DECODER(signed, pas_signed, pas_signed_decode)
DECODER(start, pas_start, pas_start_decode)
DECODER(tls, pas_tls, pas_tls_decode)

/* The mutant stands in memory of its exact size, so that a read beyond it is seen. */
static bool
feed(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    const struct hostile *h = arg;
    uint8_t *exact = malloc(mutant.len != 0 ? mutant.len : 1);
    enum bh_err e;

    if (mutant.len > 0)
        memcpy(exact, mutant.ptr, mutant.len);
    e = h->decode(bh_span(exact, mutant.len));
    free(exact);
    cr_expect(e == BH_OK || e == BH_ERR_MALFORMED, "%s: %s at %zu", h->name, how, at);
    if (mutant.len < h->len)
        cr_expect_eq(e, BH_ERR_MALFORMED, "%s: truncation to %zu was taken", h->name, at);
    return true;
}

static void
torment(const char *name, enum bh_err (*decode)(struct bh_span), struct bh_writer *w)
{
    const struct bh_span good = ended(w);
    struct hostile h = {name, decode, good.len};

    cr_assert_eq(decode(good), BH_OK, "%s", name);
    cr_assert_gt(bh_mutate(good, 0, good.len, 1, feed, &h), 3 * good.len);
    cr_assert_lt(good.len, sizeof(buf));
    buf[good.len] = 0;
    cr_expect_eq(decode(bh_span(buf, good.len + 1)), BH_ERR_MALFORMED, "%s: trailing byte", name);
}

Test(messages, hostile_bytes)
{
    const struct bh_diag diag = sample_diag();
    const struct pas_issue issue = sample_issue();
    const struct pas_certificate certificate = sample_certificate();
    const struct pas_refusal refusal = {
        bh_span_str("w"), bh_span_str("p"), bh_span_str("q"), bh_span_str("r"), diag};
    struct bh_writer w = begin();

    pas_diag_encode(&w, &diag);
    torment("diag", decode_diag, &w);
    w = begin();
    pas_answer_encode(&w, &(struct pas_answer){404, bh_span_str("a/b"), bh_span_str("body")});
    torment("answer", decode_answer, &w);
    w = begin();
    pas_request_encode(&w, &(struct pas_request){bh_span_str("::1"), bh_span_str("body")});
    torment("request", decode_request, &w);
    w = begin();
    pas_lookup_encode(&w, &(struct pas_lookup){.kind = 1, .key = bh_span_str("key")});
    torment("lookup", decode_lookup, &w);
    w = begin();
    pas_value_encode(&w, &(struct pas_value){0, bh_span_str("value")});
    torment("value", decode_value, &w);
    w = begin();
    pas_issue_encode(&w, &issue);
    torment("issue", decode_issue, &w);
    w = begin();
    pas_refusal_encode(&w, &refusal);
    torment("refusal", decode_refusal, &w);
    w = begin();
    pas_certificate_encode(&w, &certificate);
    torment("certificate", decode_certificate, &w);
    w = begin();
    pas_signed_encode(&w, &(struct pas_signed){bh_span_str("ear"), bh_span_str("der")});
    torment("signed", decode_signed, &w);
    w = begin();
    pas_start_encode(&w, &(struct pas_start){1, bh_span_str("/d"), bh_span_str("{}")});
    torment("start", decode_start, &w);
    w = begin();
    pas_tls_encode(&w, &(struct pas_tls){bh_span_str("chain"), bh_span_str("key")});
    torment("tls", decode_tls, &w);
}

/* ---- snapshots ---- */

static size_t
records_in(struct bh_span bytes, enum bh_err *ret_end)
{
    struct pas_snapshot_record record;
    struct bh_reader r;
    size_t n = 0;

    bh_reader_init(&r, bytes);
    while (pas_snapshot_next(&r, &record))
        n++;
    *ret_end = bh_reader_end(&r);
    return n;
}

Test(messages, snapshot)
{
    const struct pas_snapshot_record a = {
        PAS_SNAPSHOT_CONFIG, bh_span_str("server.json"), bh_span_str("{}")};
    const struct pas_snapshot_record b = {
        PAS_SNAPSHOT_COLLATERAL, bh_span_str("x.json"), bh_span_none()};
    const struct pas_snapshot_record bad = {7, bh_span_str("x"), bh_span_none()};
    struct bh_writer w = begin();
    struct bh_span bytes;
    enum bh_err e;

    pas_snapshot_put(&w, &a);
    pas_snapshot_put(&w, &b);
    bytes = ended(&w);
    cr_assert_eq(records_in(bytes, &e), 2);
    cr_assert_eq(e, BH_OK);
    for (size_t n = 1; n < bytes.len; n++) {
        const size_t got = records_in(bh_span(bytes.ptr, n), &e);
        cr_expect(e == BH_ERR_MALFORMED || got == 1, "cut at %zu", n);
    }
    w = begin();
    pas_snapshot_put(&w, &bad);
    cr_assert_eq(records_in(ended(&w), &e), 0);
    cr_assert_eq(e, BH_ERR_MALFORMED);
}

Test(messages, only_a_sealed_snapshot_is_mapped)
{
    const int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct bh_diag diag = {0};
    struct bh_span bytes;

    cr_assert_eq(write(fd, "abc", 3), 3);
    cr_assert_eq(pas_snapshot_map(fd, &bytes, &diag), BH_ERR_MALFORMED);
    cr_assert_not_null(strstr(diag.detail, "sealed"));
    cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    cr_assert_eq(pas_snapshot_map(fd, &bytes, NULL), BH_OK);
    cr_assert(bh_span_is(bytes, "abc"));
    pas_snapshot_unmap(bytes);
    (void)close(fd);
}
