/* SPDX-License-Identifier: Apache-2.0 */
#include "arm_tokens.h"

#include "core/text.h"
#include "core/x509.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

/* ---- judging ---- */

static enum bh_err
lookup(void *arg, const char *platform, const uint8_t key[32], struct ev_endorsement *ret_e,
    struct bh_diag *diag)
{
    const struct endorser *endorser = arg;

    (void)platform;
    (void)key;
    if (endorser->unknown)
        return bh_fail(diag, BH_ERR_ENDORSEMENT_UNKNOWN, "no such instance");
    *ret_e = endorser->endorsement;
    return BH_OK;
}

struct ev_trust
trust_in(struct endorser *endorser)
{
    return (struct ev_trust){.now = 1700000000, .lookup = lookup, .lookup_arg = endorser};
}

struct endorser
endorser_of(const char *vector)
{
    struct endorser endorser = {0};
    struct bh_diag diag = {0};
    size_t len;
    uint8_t *file = bh_vector(vector, &len);

    cr_assert_eq(ev_endorsement_from_key(bh_span(file, len), &endorser.endorsement, &diag), BH_OK,
        "%s: %s", vector, diag.detail);
    free(file);
    return endorser;
}

struct endorser
endorser_of_key(EVP_PKEY *key)
{
    struct endorser endorser = {.endorsement = {.key_class = EV_KEY_SILICON}};

    cr_assert_eq(bh_spki_encode(key, endorser.endorsement.key, sizeof(endorser.endorsement.key),
                     &endorser.endorsement.key_len, NULL),
        BH_OK);
    return endorser;
}

enum bh_err
judge(struct bh_span raw, const char *type, const struct ev_trust *trust, struct ev_report *report,
    struct ev_evidence **ret_ev)
{
    struct bh_cmw cmw = {.count = 1};
    struct ev_evidence *ev = NULL;
    enum bh_err e;

    ev_report_init(report, true);
    if (type != NULL) {
        (void)snprintf(cmw.records[0].type, sizeof(cmw.records[0].type), "%s", type);
        cmw.records[0].value = raw;
        e = ev_decode(&cmw, report, &ev);
    } else {
        e = ev_decode_raw(raw, report, &ev);
    }
    if (e == BH_OK)
        e = ev_authenticate(ev, trust, report);
    if (e == BH_OK && ret_ev != NULL)
        *ret_ev = ev;
    else
        ev_evidence_free(ev);
    return e;
}

void
must_refuse(struct bh_span raw, const char *type, const struct ev_trust *trust, enum bh_err err,
    const char *check, const char *what)
{
    static struct ev_report report;
    const enum bh_err e = judge(raw, type, trust, &report, NULL);

    cr_expect_eq(e, err, "%s: error %d, expected %d (%s: %s)", what, e, err, report.diag.check,
        report.diag.found);
    cr_expect_str_eq(report.diag.check, check, "%s: check %s, expected %s (found: %s)", what,
        report.diag.check, check, report.diag.found);
    cr_expect_neq(report.diag.found[0], '\0', "%s: nothing said of what was found", what);
}

void
must_hold(struct bh_span raw, const char *type, const struct ev_trust *trust, const char *what)
{
    static struct ev_report report;
    const enum bh_err e = judge(raw, type, trust, &report, NULL);

    cr_expect_eq(e, BH_OK, "%s: error %d, %s: expected %s, found %s", what, e, report.diag.check,
        report.diag.expected, report.diag.found);
}

enum bh_err
appraise(struct bh_span raw, const char *type, const struct ev_trust *trust, const char *entry,
    struct ev_report *report, struct ev_verdict *ret_verdict)
{
    struct ev_policy *policy = NULL;
    struct ev_evidence *ev = NULL;
    struct bh_diag diag = {0};
    char text[8192];
    enum bh_err e;

    (void)snprintf(text, sizeof(text), "{\"workload\":\"w\",\"accept\":[%s]}", entry);
    e = ev_policy_parse(bh_span_str(text), &policy, &diag);
    cr_assert_eq(e, BH_OK, "policy: %s: %s", diag.check, diag.detail);
    e = judge(raw, type, trust, report, &ev);
    cr_assert_eq(e, BH_OK, "not authentic: %s: %s", report->diag.check, report->diag.found);
    e = ev_appraise(ev, policy, bh_span_none(), report, ret_verdict);
    ev_evidence_free(ev);
    ev_policy_free(policy);
    return e;
}

/* ---- making ---- */

struct bh_span
span_of(const struct bytes *b)
{
    return bh_span(b->buf, b->len);
}

static struct bytes
taken(const struct bh_writer *w)
{
    struct bytes out = {0};
    struct bh_span s;

    cr_assert_eq(bh_writer_end(w, &s), BH_OK);
    cr_assert_leq(s.len, sizeof(out.buf));
    memcpy(out.buf, s.ptr, s.len);
    out.len = s.len;
    return out;
}

void
claims_init(struct claims *c)
{
    bh_writer_init(&c->w, c->buf, sizeof(c->buf));
    c->pairs = 0;
}

void
claim_raw(struct claims *c, int64_t key, struct bh_span encoded)
{
    bh_writer_cbor_int(&c->w, key);
    bh_writer_put(&c->w, encoded);
    c->pairs++;
}

void
claim_bytes(struct claims *c, int64_t key, const void *bytes, size_t len)
{
    bh_writer_cbor_int(&c->w, key);
    bh_writer_cbor_bstr(&c->w, bh_span(bytes, len));
    c->pairs++;
}

void
claim_fill(struct claims *c, int64_t key, uint8_t first, uint8_t fill, size_t len)
{
    uint8_t buf[128];

    cr_assert_leq(len, sizeof(buf));
    memset(buf, fill, sizeof(buf));
    buf[0] = first;
    claim_bytes(c, key, buf, len);
}

void
claim_text(struct claims *c, int64_t key, const char *text)
{
    bh_writer_cbor_int(&c->w, key);
    bh_writer_cbor_tstr(&c->w, text);
    c->pairs++;
}

void
claim_int(struct claims *c, int64_t key, int64_t value)
{
    bh_writer_cbor_int(&c->w, key);
    bh_writer_cbor_int(&c->w, value);
    c->pairs++;
}

struct bytes
claims_end(const struct claims *c)
{
    uint8_t buf[TOKEN_MAX];
    struct bh_writer w;

    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_cbor_map(&w, c->pairs);
    bh_writer_put(&w, bh_span(c->buf, bh_writer_len(&c->w)));
    return taken(&w);
}

struct bytes
sign(struct bh_span payload, EVP_PKEY *key)
{
    struct bytes out = {0};

    cr_assert_eq(bh_cose_sign(payload, key, true, out.buf, sizeof(out.buf), &out.len, NULL), BH_OK);
    return out;
}

struct bytes
sign_without_alg(struct bh_span payload, EVP_PKEY *key)
{
    uint8_t signature[132], buf[TOKEN_MAX], message[TOKEN_MAX];
    struct bh_writer w;
    struct bh_span s;
    size_t len;

    bh_writer_init(&w, message, sizeof(message));
    bh_writer_cbor_array(&w, 4);
    bh_writer_cbor_tstr(&w, "Signature1");
    bh_writer_cbor_bstr(&w, bh_span_none());
    bh_writer_cbor_bstr(&w, bh_span_none());
    bh_writer_cbor_bstr(&w, payload);
    cr_assert_eq(bh_writer_end(&w, &s), BH_OK);
    cr_assert_eq(bh_ecdsa_sign(key, s, signature, &len, NULL), BH_OK);
    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_cbor_tag(&w, BH_COSE_SIGN1);
    bh_writer_cbor_array(&w, 4);
    bh_writer_cbor_bstr(&w, bh_span_none());
    bh_writer_cbor_map(&w, 0);
    bh_writer_cbor_bstr(&w, payload);
    bh_writer_cbor_bstr(&w, bh_span(signature, len));
    return taken(&w);
}

struct bytes
unhex(const char *hex)
{
    struct bytes out = {0};

    cr_assert_eq(bh_unhex(bh_span_str(hex), out.buf, sizeof(out.buf), &out.len), BH_OK);
    return out;
}

EVP_PKEY *
make_key(const char *curve)
{
    EVP_PKEY *key = NULL;

    cr_assert_eq(bh_key_generate(curve, &key, NULL), BH_OK);
    return key;
}

/* Component number i: type "Ci", measurement 32 times 0x30 + i, signer 32 times 0x44. */
static struct bytes
components(size_t count, bool no_signer)
{
    uint8_t buf[TOKEN_MAX];
    struct bh_writer w;

    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_cbor_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        struct claims c;
        char type[24];

        claims_init(&c);
        (void)snprintf(type, sizeof(type), "C%zu", i);
        claim_text(&c, 1, type);
        claim_fill(&c, 2, (uint8_t)(0x30 + i), (uint8_t)(0x30 + i), 32);
        claim_text(&c, 4, "1.0");
        if (!no_signer)
            claim_fill(&c, 5, 0x44, 0x44, 32);
        const struct bytes one = claims_end(&c);
        bh_writer_put(&w, span_of(&one));
    }
    return taken(&w);
}

/* ---- PSA ---- */

enum psa_claim {
    P_NONCE,
    P_INSTANCE,
    P_PROFILE,
    P_CLIENT,
    P_LIFECYCLE,
    P_IMPLEMENTATION,
    P_SEED,
    P_SOFTWARE,
    P_COUNT,
};
static const int64_t psa_keys[3][P_COUNT] = {
    {-75008, -75009, -75000, -75001, -75002, -75003, -75004, -75006},
    {10, 256, 265, 2394, 2395, 2396, 2397, 2399},
    {10, 256, 265, 2394, 2395, 2396, 268, 2399},
};
static const char *const psa_profiles[3] = {
    "PSA_IOT_PROFILE_1", "http://arm.com/psa/2.0.0", "tag:psacertified.org,2023:psa#tfm"};

struct psa_shape
psa_shape(void)
{
    struct psa_shape s = {.family = 2,
        .binding_len = 64,
        .client = -1,
        .lifecycle = 0x3000,
        .instance_len = 33,
        .instance_first = 0x01,
        .components = 2};

    memset(s.binding, 0xb1, sizeof(s.binding));
    return s;
}

struct bytes
psa_payload(const struct psa_shape *s)
{
    const int64_t *keys = psa_keys[s->family];
    const char *profile = s->profile != NULL ? s->profile : psa_profiles[s->family];
    const struct bytes software = components(s->components, s->no_signer);
    struct claims c;

    claims_init(&c);
    for (size_t i = 0; i < P_COUNT; i++) {
        if (keys[i] == s->drop)
            continue;
        if (i == P_NONCE)
            claim_bytes(&c, keys[i], s->binding, s->binding_len);
        else if (i == P_INSTANCE)
            claim_fill(&c, keys[i], s->instance_first, 0x22, s->instance_len);
        else if (i == P_PROFILE && profile[0] != '\0')
            claim_text(&c, keys[i], profile);
        else if (i == P_CLIENT)
            claim_int(&c, keys[i], s->client);
        else if (i == P_LIFECYCLE)
            claim_int(&c, keys[i], s->lifecycle);
        else if (i == P_IMPLEMENTATION)
            claim_fill(&c, keys[i], 0x11, 0x11, 32);
        else if (i == P_SEED)
            claim_fill(&c, keys[i], 0x55, 0x55, 32);
        else if (i == P_SOFTWARE && s->components > 0)
            claim_raw(&c, keys[i], span_of(&software));
    }
    if (s->family == 0 && (s->components == 0 || s->both_software))
        claim_int(&c, -75007, 1);
    if (s->mixed_key != 0)
        claim_fill(&c, s->mixed_key, 0x01, 0x22, 33);
    return claims_end(&c);
}

/* ---- CCA ---- */

struct cca_shape
cca_shape(EVP_PKEY *cpak, EVP_PKEY *rak)
{
    struct cca_shape s = {.container = 399,
        .record_type = 263,
        .platform_profile = "tag:arm.com,2023:cca_platform#1.0.0",
        .realm_profile = "tag:arm.com,2023:realm#1.0.0",
        .rak_hash = "sha-256",
        .binding_len = 64,
        .lifecycle = 0x3003,
        .components = 2,
        .rems = 4,
        .cpak = cpak,
        .rak = rak};

    memset(s.binding, 0xb1, sizeof(s.binding));
    return s;
}

/* The RAK as the token carries it: a raw point or a COSE_Key. */
static struct bytes
rak_bytes(const struct cca_shape *s)
{
    uint8_t spki[BH_SPKI_MAX];
    struct bh_span point;
    struct bytes out = {0};
    const char *name;
    struct claims c;
    size_t len;

    cr_assert_eq(bh_spki_encode(s->rak, spki, sizeof(spki), &len, NULL), BH_OK);
    cr_assert_eq(bh_spki_point(bh_span(spki, len), &name, &point), BH_OK);
    if ((s->realm_profile != NULL) != s->odd_rak) {
        const size_t half = (point.len - 1) / 2;

        claims_init(&c);
        claim_int(&c, 1, 2);
        claim_int(&c, -1, strcmp(name, "P-384") == 0 ? 2 : 1);
        claim_bytes(&c, -2, point.ptr + 1, half);
        claim_bytes(&c, -3, point.ptr + 1 + half, half);
        return claims_end(&c);
    }
    memcpy(out.buf, point.ptr, point.len);
    out.len = point.len;
    return out;
}

static struct bytes
cca_platform(const struct cca_shape *s, const struct bytes *rak)
{
    const unsigned bits = strcmp(s->rak_hash, "sha-512") == 0   ? 512
                          : strcmp(s->rak_hash, "sha-384") == 0 ? 384
                                                                : 256;
    const struct bytes software = components(s->components, false);
    uint8_t digest[64];
    struct claims c;

    cr_assert_eq(bh_sha2(bits, span_of(rak), digest), BH_OK);
    digest[0] ^= s->unbound ? 1 : 0;
    claims_init(&c);
    if (s->platform_profile[0] != '\0')
        claim_text(&c, 265, s->platform_profile);
    if (s->platform_drop != 10)
        claim_bytes(&c, 10, digest, bits / 8);
    if (s->platform_drop != 2396)
        claim_fill(&c, 2396, 0x11, 0x11, 32);
    if (s->platform_drop != 256)
        claim_fill(&c, 256, 0x01, 0x22, 33);
    if (s->platform_drop != 2401)
        claim_fill(&c, 2401, 0xcf, 0xcf, 4);
    if (s->platform_drop != 2395)
        claim_int(&c, 2395, s->lifecycle);
    if (s->platform_drop != 2399)
        claim_raw(&c, 2399, span_of(&software));
    if (s->platform_drop != 2402)
        claim_text(&c, 2402, "sha-256");
    return claims_end(&c);
}

static struct bytes
cca_realm(const struct cca_shape *s, const struct bytes *rak)
{
    uint8_t buf[512];
    uint8_t rem[32];
    struct bh_writer w;
    struct claims c;

    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_cbor_array(&w, s->rems);
    for (size_t i = 0; i < s->rems; i++) {
        memset(rem, (int)(0x80 + i), sizeof(rem));
        bh_writer_cbor_bstr(&w, bh_span(rem, sizeof(rem)));
    }
    const struct bytes rems = taken(&w);
    claims_init(&c);
    if (s->realm_profile != NULL)
        claim_text(&c, 265, s->realm_profile);
    if (s->realm_drop != 10)
        claim_bytes(&c, 10, s->binding, s->binding_len);
    if (s->realm_drop != 44235)
        claim_fill(&c, 44235, 0x66, 0x66, 64);
    if (s->realm_drop != 44238)
        claim_fill(&c, 44238, 0x77, 0x77, 32);
    if (s->realm_drop != 44239)
        claim_raw(&c, 44239, span_of(&rems));
    if (s->realm_drop != 44236)
        claim_text(&c, 44236, "sha-256");
    if (s->realm_drop != 44237)
        claim_bytes(&c, 44237, rak->buf, rak->len);
    if (s->realm_drop != 44240)
        claim_text(&c, 44240, s->rak_hash);
    return claims_end(&c);
}

static void
put_token(struct bh_writer *w, const struct cca_shape *s, int64_t key, const struct bytes *token)
{
    bh_writer_cbor_int(w, key);
    if (s->container == 907) {
        bh_writer_cbor_array(w, 2);
        bh_writer_cbor_uint(w, s->record_type);
    }
    bh_writer_cbor_bstr(w, span_of(token));
}

struct bytes
cca_token(const struct cca_shape *s)
{
    EVP_PKEY *signer = s->realm_signer != NULL ? s->realm_signer : s->rak;
    uint8_t buf[TOKEN_MAX];
    struct bh_writer w;
    struct bytes token;

    const struct bytes rak = rak_bytes(s);
    const struct bytes platform = cca_platform(s, &rak);
    const struct bytes realm = cca_realm(s, &rak);
    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_cbor_tag(&w, (uint64_t)s->container);
    bh_writer_cbor_map(&w, 2);
    token = s->platform_without_alg ? sign_without_alg(span_of(&platform), s->cpak)
                                    : sign(span_of(&platform), s->cpak);
    put_token(&w, s, 44234, &token);
    token = s->realm_without_alg ? sign_without_alg(span_of(&realm), signer)
                                 : sign(span_of(&realm), signer);
    put_token(&w, s, 44241, &token);
    return taken(&w);
}
