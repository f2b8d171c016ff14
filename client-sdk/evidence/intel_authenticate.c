/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a quote authentic? PCK certificate up to the root, the quoting enclave's report by the PCK,
 * the attestation key by the report, the quote by the key; then the collateral that says what
 * platform and quoting enclave are worth.
 */
#include "intel.h"

#include "chain_cache.h"

#include "core/ecdsa.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

#define CERT_PEM_CHAIN 5

static enum bh_err
check_certified(const struct ev_intel_trial *t)
{
    char found[BH_VALUE_MAX];

    if (t->q->cert_type == CERT_PEM_CHAIN)
        return BH_OK;
    (void)snprintf(found, sizeof(found), "certification data of type %u", t->q->cert_type);
    return ev_intel_refuse(t->q, t->report, BH_ERR_UNSUPPORTED, "Intel DCAP quote",
        "certification_data", "type 5, the PCK certificate's chain in PEM", found,
        "set up the platform's quote provider with its PCK certificate, so that quotes carry it");
}

/* The QE's report binds key and authentication data: SHA-256 of both, then zeros. */
static enum bh_err
check_attestation_key(const struct ev_intel_trial *t)
{
    uint8_t both[64 + 4096], want[64] = {0};
    const struct ev_intel *q = t->q;
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];

    memcpy(both, q->key.ptr, q->key.len);
    if (q->qe_auth.len > 0)
        memcpy(both + q->key.len, q->qe_auth.ptr, q->qe_auth.len);
    if (bh_sha2(256, bh_span(both, q->key.len + q->qe_auth.len), want) != BH_OK ||
        !bh_span_equal(q->qe.report_data, bh_span(want, sizeof(want))))
        return ev_intel_refuse(q, t->report, BH_ERR_NOT_AUTHENTIC, "signature", "attestation_key",
            bh_hex(bh_span(want, sizeof(want)), expected, sizeof(expected)),
            bh_hex(q->qe.report_data, found, sizeof(found)),
            "the quoting enclave's report is not about this attestation key");
    ev_intel_pass(q, t->report, "signature", "attestation_key",
        "REPORTDATA of the QE binds key and authentication data", "it does");
    return BH_OK;
}

/* The raw signature r || s of 64 bytes by the key of an uncompressed point. */
static bool
is_signed(struct bh_span point, struct bh_span message, struct bh_span raw)
{
    uint8_t buf[BH_ECDSA_DER_MAX];
    struct bh_span der;

    return bh_ecdsa_to_der(raw, buf, &der) == BH_OK &&
           bh_ecdsa_verify_point(point, 256, message, bh_span_none(), der) == BH_OK;
}

/* One machine's QE report is the same in all its quotes: remembered like a certificate. */
static enum bh_err
check_qe_report(const struct ev_intel_trial *t, bool pck_known)
{
    const struct ev_intel *q = t->q;
    uint8_t path[EV_PATH_HASH_LEN];
    const char *name;
    struct bh_span point;

    memcpy(path, t->pck_path, sizeof(path));
    const bool hashed = pck_known && ev_chain_path(path, bh_span_str("qe_report")) == BH_OK &&
                        ev_chain_path(path, q->qe_report_and_signature) == BH_OK;
    if (!hashed || !ev_chain_cache_knows(t->trust->cache, path, t->trust->now)) {
        if (bh_spki_point(q->chain.certs[0].spki, &name, &point) != BH_OK || point.len != 65 ||
            !is_signed(point, q->qe.raw, q->qe_signature))
            return ev_intel_refuse(q, t->report, BH_ERR_NOT_AUTHENTIC, "signature", "qe_report",
                "ECDSA P-256 by the PCK certificate's key", "a signature that does not verify",
                "the quoting enclave's report was changed, or is of another platform");
        if (hashed)
            ev_chain_cache_remember(t->trust->cache, path, q->chain.certs[0].not_after);
    }
    ev_intel_pass(q, t->report, "signature", "qe_report",
        "ECDSA P-256 by the PCK certificate's key", "it verifies");
    return BH_OK;
}

static enum bh_err
check_signature(const struct ev_intel_trial *t)
{
    const struct ev_intel *q = t->q;
    uint8_t point[65] = {0x04};

    memcpy(point + 1, q->key.ptr, sizeof(point) - 1);
    if (!is_signed(bh_span(point, sizeof(point)), q->signed_, q->signature))
        return ev_intel_refuse(q, t->report, BH_ERR_NOT_AUTHENTIC, "signature", "signature",
            "ECDSA P-256 by the attestation key", "a signature that does not verify",
            "the quote was changed after it was signed");
    ev_intel_pass(q, t->report, "signature", "signature", "ECDSA P-256 by the attestation key",
        "it verifies");
    return BH_OK;
}

/* CCEL: register 0 is MRTD, which no event extends, and 1 to 4 are RTMR0 to RTMR3. Firmware and
 * boot loader write to the first three; what runs later may extend RTMR3 without this log. */
static enum bh_err
check_event_log(const struct ev_intel_trial *t)
{
    const struct ev_intel *q = t->q;
    struct ev_tcg_registers regs;
    struct bh_diag diag = {0};
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX], what[16];

    if (!q->has_event_log)
        return BH_OK;
    if (ev_tcg_replay(&q->log, EV_TCG_SHA384, &regs, &diag) != BH_OK)
        return ev_intel_refuse(q, t->report, BH_ERR_NOT_AUTHENTIC, "event log", "event_log",
            "events with SHA-384 digests", diag.detail, NULL);
    for (size_t i = 0; i < EV_TCG_REGISTERS; i++) {
        const bool rtmr = i >= 1 && i <= EV_INTEL_RTMRS;
        const struct bh_span value = bh_span(regs.values[i], regs.size);

        if (!rtmr && !regs.extended[i])
            continue;
        if (rtmr && i == EV_INTEL_RTMRS && !regs.extended[i])
            continue;
        if (rtmr && bh_span_equal(value, q->td.rtmr[i - 1]))
            continue;
        (void)snprintf(what, sizeof(what), "register %zu", i);
        return ev_intel_refuse(q, t->report, BH_ERR_NOT_AUTHENTIC, "event log", "event_log",
            rtmr ? bh_hex(q->td.rtmr[i - 1], expected, sizeof(expected))
                 : "events of registers 1 to 4",
            rtmr ? bh_hex(value, found, sizeof(found)) : what,
            "the event log is not the one of this TD's start");
    }
    ev_intel_pass(
        q, t->report, "event log", "event_log", "a log that replays to the RTMRs", "it does");
    return BH_OK;
}

static enum bh_err
first(enum bh_err so_far, enum bh_err next)
{
    return so_far != BH_OK ? so_far : next;
}

enum bh_err
ev_intel_authenticate(void *state, const struct ev_trust *trust, struct ev_report *report,
    struct ev_authenticity *ret_auth)
{
    struct ev_intel *q = state;
    struct ev_intel_trial t = {.q = q, .trust = trust, .report = report};
    const bool whole = report->detailed;
    uint8_t known[EV_PATH_HASH_LEN] = {0};
    enum bh_err path, e;

    q->now = trust->now;
    q->not_before = INT64_MIN;
    q->not_after = INT64_MAX;
    q->has_pck_crl = q->has_root_crl = false;
    q->tcb = (struct ev_intel_tcb){.oldest = INT64_MAX};
    if ((e = check_certified(&t)) != BH_OK)
        return e;
    /* What costs nothing first; a report that is to be whole goes on after a failure. */
    e = check_attestation_key(&t);
    if (e != BH_OK && !whole)
        return e;
    e = first(e, path = ev_intel_find_anchor(&t));
    if (path == BH_OK && (e == BH_OK || whole))
        e = first(e, ev_intel_check_pck_validity(&t));
    const bool recalled =
        e == BH_OK && !whole && trust->cache != NULL && ev_intel_recall(&t, known);
    if (!recalled && path == BH_OK && (e == BH_OK || whole))
        e = first(e, path = ev_intel_check_pck_chain(&t));
    if (!recalled && (e == BH_OK || whole))
        e = first(e, check_qe_report(&t, path == BH_OK));
    if (e == BH_OK || whole)
        e = first(e, check_signature(&t));
    if (!recalled && path == BH_OK && (e == BH_OK || whole))
        e = first(e, ev_intel_check_crls(&t));
    if (!recalled && path == BH_OK && (e == BH_OK || whole))
        e = first(e, ev_intel_check_collateral(&t));
    if (!recalled && e == BH_OK)
        ev_intel_learn(&t, known);
    if (e == BH_OK || whole)
        e = first(e, check_event_log(&t));
    if (e == BH_OK)
        *ret_auth =
            (struct ev_authenticity){.simulated = t.anchor.simulated, .key_class = EV_KEY_SILICON};
    return e;
}
