/* SPDX-License-Identifier: Apache-2.0 */
#include "arm.h"

#include "core/cbor.h"
#include "core/text.h"

#include <stdio.h>
#include <strings.h>

#include <openssl/crypto.h>

/* ---- claims ---- */

enum bh_err
ev_arm_malformed(struct ev_report *report, const char *source, const char *prefix, const char *name,
    const char *expected, const char *found)
{
    char check[BH_CHECK_MAX];

    (void)snprintf(check, sizeof(check), "%s.%s", prefix, name);
    return ev_refuse(report, BH_ERR_EVIDENCE_MALFORMED, source, check, expected, found, NULL);
}

static const char *
expectation(const struct ev_arm_rule *rule, char *out, size_t size)
{
    const long long min = rule->min;
    const long long max = rule->max;

    switch (rule->type) {
    case EV_ARM_BYTES:
        (void)snprintf(out, size, min == max ? "%lld bytes" : "%lld to %lld bytes", min, max);
        return out;
    case EV_ARM_HASH:
        return "32, 48 or 64 bytes";
    case EV_ARM_INSTANCE:
        return "33 bytes, the first 01";
    case EV_ARM_TEXT:
        return "text";
    case EV_ARM_INT:
        (void)snprintf(out, size, "an integer, %lld to %lld", min, max);
        return out;
    default:
        return "an array";
    }
}

static bool
is_hash_length(size_t len)
{
    return len == 32 || len == 48 || len == 64;
}

static bool
fits(const struct ev_arm_rule *rule, const struct ev_arm_value *v)
{
    const uint64_t min = (uint64_t)rule->min;
    const uint64_t max = (uint64_t)rule->max;

    switch (rule->type) {
    case EV_ARM_HASH:
        return is_hash_length(v->bytes.len);
    case EV_ARM_INSTANCE:
        return v->bytes.len == EV_ARM_INSTANCE_LEN && v->bytes.ptr[0] == 0x01;
    case EV_ARM_BYTES:
    case EV_ARM_TEXT:
        return v->bytes.len >= min && v->bytes.len <= max;
    case EV_ARM_INT:
        return v->number >= rule->min && v->number <= rule->max;
    default:
        return true;
    }
}

static const char *
describe(const struct bh_cbor *item, const struct ev_arm_value *v, char *out, size_t size)
{
    struct bh_cbor number;

    switch (bh_cbor_peek(item)) {
    case BH_CBOR_BSTR:
        if (v->bytes.len > 0 && v->bytes.len < 64) {
            const int n = snprintf(out, size, "%zu bytes: ", v->bytes.len);
            (void)bh_hex(v->bytes, out + n, size - (size_t)n);
        } else {
            (void)snprintf(out, size, "%zu bytes", v->bytes.len);
        }
        return out;
    case BH_CBOR_UINT:
    case BH_CBOR_NINT:
        number = *item;
        (void)snprintf(out, size, "the integer %lld", (long long)bh_cbor_int(&number));
        return out;
    case BH_CBOR_TSTR:
        return "text";
    case BH_CBOR_ARRAY:
        return "an array";
    default:
        return "another type";
    }
}

static enum bh_err
read_value(struct bh_span item, const struct ev_arm_rule *rule, const char *prefix,
    const char *source, struct ev_report *report, struct ev_arm_value *v)
{
    char expected[80], found[160];
    struct bh_cbor c, again;

    bh_cbor_init(&c, item);
    again = c;
    switch (rule->type) {
    case EV_ARM_BYTES:
    case EV_ARM_HASH:
    case EV_ARM_INSTANCE:
        v->bytes = bh_cbor_bstr(&c);
        break;
    case EV_ARM_TEXT:
        v->bytes = bh_cbor_tstr(&c);
        break;
    case EV_ARM_INT:
        v->number = bh_cbor_int(&c);
        break;
    default:
        if (bh_cbor_peek(&c) != BH_CBOR_ARRAY)
            bh_cbor_spoil(&c, "not an array");
        v->bytes = bh_cbor_item(&c);
    }
    if (bh_cbor_end(&c) != BH_OK || !fits(rule, v))
        return ev_arm_malformed(report, source, prefix, rule->name,
            expectation(rule, expected, sizeof(expected)),
            describe(&again, v, found, sizeof(found)));
    v->present = true;
    return BH_OK;
}

enum bh_err
ev_arm_claims(struct bh_span payload, const struct ev_arm_rule *rules, size_t count,
    const char *prefix, const char *source, struct ev_report *report,
    struct ev_arm_value *ret_values)
{
    char expected[80];
    struct bh_cbor c;
    enum bh_err e;

    memset(ret_values, 0, count * sizeof(*ret_values));
    bh_cbor_init(&c, payload);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        size_t i = count;

        if (bh_cbor_peek(&c) == BH_CBOR_TSTR) {
            (void)bh_cbor_tstr(&c);
        } else {
            const int64_t key = bh_cbor_int(&c);
            for (i = 0; i < count && rules[i].key != key; i++)
                ;
        }
        const struct bh_span item = bh_cbor_item(&c);
        if (bh_cbor_ok(&c) && i < count &&
            (e = read_value(item, &rules[i], prefix, source, report, &ret_values[i])) != BH_OK)
            return e;
    }
    if (bh_cbor_end(&c) != BH_OK)
        return ev_arm_malformed(
            report, source, prefix, "claims", "a map of claims", bh_cbor_why(&c));
    for (size_t i = 0; i < count; i++)
        if (!ret_values[i].present && !rules[i].optional)
            return ev_arm_malformed(report, source, prefix, rules[i].name,
                expectation(&rules[i], expected, sizeof(expected)), "no such claim");
    return BH_OK;
}

char *
ev_arm_printable(struct bh_span text, char *out, size_t size)
{
    size_t i = 0;

    for (; i < text.len && i + 1 < size; i++)
        out[i] = text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f ? (char)text.ptr[i] : '?';
    out[i] = '\0';
    return out;
}

/* ---- lifecycle ---- */

static const struct lifecycle {
    int64_t base;
    const char *psa, *cca;
    bool believed, debug;
} lifecycles[EV_ARM_LIFECYCLES] = {
    [EV_ARM_UNKNOWN] = {0x0000, "unknown", "unknown", false, false},
    [EV_ARM_ASSEMBLY] = {0x1000, "assembly-and-test", "assembly-and-test", false, false},
    [EV_ARM_PROVISIONING] = {0x2000, "psa-rot-provisioning", "cca-platform-rot-provisioning", false,
        false},
    [EV_ARM_SECURED] = {0x3000, "secured", "secured", true, false},
    [EV_ARM_DEBUG] = {0x4000, "non-psa-rot-debug", "non-cca-platform-rot-debug", true, true},
    [EV_ARM_RECOVERABLE_DEBUG] = {0x5000, "recoverable-psa-rot-debug",
        "recoverable-cca-platform-rot-debug", true, true},
    [EV_ARM_DECOMMISSIONED] = {0x6000, "decommissioned", "decommissioned", false, false},
};

bool
ev_arm_lifecycle(int64_t value, enum ev_arm_lifecycle *ret_state)
{
    for (size_t i = 0; i < EV_ARM_LIFECYCLES; i++)
        if (value >= lifecycles[i].base && value <= lifecycles[i].base + 0xff) {
            *ret_state = (enum ev_arm_lifecycle)i;
            return true;
        }
    return false;
}

const char *
ev_arm_lifecycle_name(enum ev_arm_lifecycle state, bool cca)
{
    return cca ? lifecycles[state].cca : lifecycles[state].psa;
}

enum bh_err
ev_arm_lifecycle_read(
    const json_t *object, bool cca, bool debug, uint32_t *ret_mask, struct bh_diag *diag)
{
    const char *names[EV_ARM_LIFECYCLES];
    uint32_t mask;
    enum bh_err e;

    for (size_t i = 0; i < EV_ARM_LIFECYCLES; i++)
        names[i] = ev_arm_lifecycle_name((enum ev_arm_lifecycle)i, cca);
    if ((e = ev_words_read(object, "lifecycle", false, names, EV_ARM_LIFECYCLES, &mask, diag)) !=
        BH_OK)
        return e;
    for (size_t i = 0; i < EV_ARM_LIFECYCLES; i++) {
        if ((mask & (UINT32_C(1) << i)) == 0)
            continue;
        if (!lifecycles[i].believed)
            return bh_refuse(diag, BH_ERR_MALFORMED, "lifecycle", "secured", names[i],
                "no token can be believed in this state (RFC 9783, 4.3.1)");
        if (lifecycles[i].debug && !debug)
            return bh_refuse(diag, BH_ERR_MALFORMED, "lifecycle", "secured", names[i],
                "a state with debug access needs \"debug\": true in this entry");
    }
    *ret_mask = mask;
    return BH_OK;
}

enum bh_err
ev_arm_lifecycle_match(int64_t value, uint32_t mask, bool cca, bool debug_allowed, const char *name,
    struct ev_report *report, struct ev_verdict *verdict)
{
    enum ev_arm_lifecycle state = EV_ARM_UNKNOWN;
    char expected[BH_VALUE_MAX] = "";
    char found[80];
    size_t at = 0;

    (void)ev_arm_lifecycle(value, &state); /* decoding refused other values */
    const bool good =
        (mask & (UINT32_C(1) << state)) != 0 && (!lifecycles[state].debug || debug_allowed);
    if (good)
        verdict->debug = lifecycles[state].debug;
    if (good && !report->detailed) {
        ev_pass(report, "policy", name, NULL, NULL);
        return BH_OK;
    }
    for (size_t i = 0; i < EV_ARM_LIFECYCLES; i++)
        if ((mask & (UINT32_C(1) << i)) != 0 && at < sizeof(expected))
            at += (size_t)snprintf(expected + at, sizeof(expected) - at, "%s%s",
                at > 0 ? " | " : "", ev_arm_lifecycle_name((enum ev_arm_lifecycle)i, cca));
    (void)snprintf(found, sizeof(found), "%s (0x%04llx)", ev_arm_lifecycle_name(state, cca),
        (unsigned long long)value);
    if (!good)
        return ev_refuse(report, BH_ERR_POLICY, "policy", name, expected, found,
            "the device is not in the state in which it may run this workload");
    ev_pass(report, "policy", name, expected, found);
    return BH_OK;
}

/* ---- keys ---- */

/* Trustworthiness claims (draft-ietf-rats-ar4si, 2.3.4). */
#define AFFIRMED 2
#define WARNED 32

void
ev_arm_trust(const struct ev_authenticity *auth, bool software, struct ev_verdict *verdict)
{
    int8_t *trust = verdict->submod.trust;

    trust[BH_TRUST_INSTANCE_IDENTITY] = AFFIRMED;
    trust[BH_TRUST_CONFIGURATION] = verdict->debug ? WARNED : AFFIRMED;
    trust[BH_TRUST_EXECUTABLES] = software ? AFFIRMED : 0;
    trust[BH_TRUST_HARDWARE] = auth->key_class == EV_KEY_SILICON ? AFFIRMED : WARNED;
}

enum bh_err
ev_arm_endorsement(const struct ev_trust *trust, const char *platform,
    struct bh_span implementation, struct bh_span instance, const char *name,
    const char *implementation_name, struct ev_report *report, struct ev_endorsement *ret_e)
{
    char found[2 * EV_ARM_INSTANCE_LEN + 1];
    char expected[2 * EV_ARM_IMPLEMENTATION_LEN + 1];
    struct bh_diag diag = {0};
    struct ev_endorsement e = {0};
    enum bh_err err = BH_ERR_ENDORSEMENT_UNKNOWN;
    uint8_t key[32];

    (void)bh_hex(instance, found, sizeof(found));
    ev_endorsement_key(
        platform, strcmp(platform, "psa") == 0 ? bh_span_none() : implementation, instance, key);
    if (trust->lookup != NULL)
        err = trust->lookup(trust->lookup_arg, platform, key, &e, &diag);
    if (err == BH_ERR_ENDORSEMENT_UNKNOWN)
        return ev_refuse(report, err, "endorsement", name, "an endorsed instance", found,
            "endorse this device's key, or find out whose device this is");
    if (err != BH_OK)
        return ev_refuse(report, err, "endorsement", name, "an endorsed instance",
            diag.detail[0] != '\0' ? diag.detail : found, NULL);
    if (e.simulated && !trust->allow_simulated)
        return ev_refuse(report, BH_ERR_SIMULATED, "endorsement", "simulated", "genuine hardware",
            "a simulated device",
            "only a deployment made with --allow-simulated takes simulated devices");
    const struct bh_span endorsed = bh_span(e.implementation_id, sizeof(e.implementation_id));
    if (!bh_span_is_zero(endorsed) && !bh_span_equal(endorsed, implementation)) {
        char other[2 * EV_ARM_IMPLEMENTATION_LEN + 1];

        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "endorsement", implementation_name,
            bh_hex(endorsed, expected, sizeof(expected)),
            bh_hex(implementation, other, sizeof(other)),
            "the key is endorsed for another implementation");
    }
    ev_pass(report, "endorsement", name, "an endorsed instance", found);
    *ret_e = e;
    OPENSSL_cleanse(&e, sizeof(e));
    return BH_OK;
}

/* ---- media types ---- */

bool
ev_media_type_is(const char *media_type, const char *type)
{
    const size_t len = strlen(type);

    return strncasecmp(media_type, type, len) == 0 &&
           (media_type[len] == '\0' || media_type[len] == ';' || media_type[len] == ' ');
}

bool
ev_media_type_profile(const char *media_type, char *out, size_t size)
{
    static const char *const names[] = {"eat_profile=", "profile="};
    const char *p = strchr(media_type, ';');

    while (p != NULL) {
        p += 1 + strspn(p + 1, " \t");
        for (size_t i = 0; i < BH_COUNT(names); i++) {
            if (strncasecmp(p, names[i], strlen(names[i])) != 0)
                continue;
            p += strlen(names[i]);
            const bool quoted = *p == '"';
            p += quoted ? 1 : 0;
            const size_t len = strcspn(p, quoted ? "\"" : "; \t");
            if (len >= size)
                return false;
            memcpy(out, p, len);
            out[len] = '\0';
            return true;
        }
        p = strchr(p, ';');
    }
    return false;
}
