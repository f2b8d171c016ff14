/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator put into policy/, trust/ and endorsed/. */
#include "examine.h"

#include "core/json.h"
#include "core/limits.h"
#include "core/text.h"
#include "core/x509.h"
#include "evidence/evidence.h"
#include "evidence/policy.h"
#include "signer/leaf.h"

#include <stdio.h>
#include <stdlib.h>

#define ANCHOR_FILE_MAX (64 * 1024)
#define ENDORSED_FILE_MAX (64 * 1024 * 1024)

static bool
forbids_simulated(const struct pas_examination *x)
{
    return x->config_good && !x->config.allow_simulated;
}

/* ---- policy ---- */

/* The field of entry 0 of a policy of one entry, as a field of the whole policy. */
static void
renumber(struct bh_diag *diag, size_t index)
{
    static const char head[] = "policy.accept[0]";
    char check[BH_CHECK_MAX];

    if (strncmp(diag->check, head, sizeof(head) - 1) != 0)
        return;
    (void)snprintf(
        check, sizeof(check), "policy.accept[%zu]%s", index, diag->check + sizeof(head) - 1);
    memcpy(diag->check, check, sizeof(check));
}

/* One entry alone in the policy's place: what is wrong with it, or with all around it. */
static bool
examine_entry(struct pas_examination *x, const char *file, const json_t *policy, size_t index)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)policy);
    json_t *one = json_array();
    struct ev_policy *parsed = NULL;
    struct bh_diag diag = {0};
    char *text = NULL;
    bool wrong = false;

    if (copy != NULL && one != NULL &&
        json_array_append(one, json_array_get(json_object_get(policy, "accept"), index)) == 0 &&
        json_object_set(copy, "accept", one) == 0 && (text = bh_json_text(copy, false)) != NULL)
        wrong = ev_policy_parse(bh_span_str(text), &parsed, &diag) != BH_OK;
    else
        x->problems.failed = true;
    if (wrong && strncmp(diag.check, "policy.accept[0]", 16) == 0) {
        renumber(&diag, index);
        pas_problem_diag(&x->problems, file, "policy.", &diag);
    } else {
        wrong = false;
    }
    ev_policy_free(parsed);
    free(text);
    json_decref(one);
    json_decref(copy);
    return wrong;
}

/*
 * The parser stops at the first problem. What lies outside of "accept" is told as it
 * said it; of the entries, each is judged alone, so that every broken one is told.
 */
static void
examine_broken(
    struct pas_examination *x, const char *file, struct bh_span text, const struct bh_diag *first)
{
    const bool in_entry = strncmp(first->check, "policy.accept[", 14) == 0;
    json_t *policy = NULL;
    size_t told = 0;

    if (bh_json_parse(text, BH_POLICY_MAX, &policy, NULL) == BH_OK)
        for (size_t i = 0; i < json_array_size(json_object_get(policy, "accept")); i++)
            told += examine_entry(x, file, policy, i);
    if (!in_entry || told == 0)
        pas_problem_diag(&x->problems, file, "policy.", first);
    json_decref(policy);
}

static void
examine_dns(struct pas_examination *x, const char *file, const struct ev_profile *profile)
{
    char field[48];

    for (size_t i = 0; i < profile->dns_len; i++) {
        const struct bh_span name = bh_span_str(profile->dns[i]);
        bool within = pas_dns_within(name, x->config.trust_domain), reserved = false;

        for (size_t d = 0; d < x->config.dns_len; d++) {
            within = within || pas_dns_within(name, x->config.dns[d]);
            reserved = reserved || bh_span_is(name, x->config.dns[d]);
        }
        (void)snprintf(field, sizeof(field), "certificate.dns[%zu]", i);
        if (!within)
            pas_problem(&x->problems, true, file, field,
                "names lie within the trust domain and the --dns names of init",
                "%.200s is outside the CA's name constraints", profile->dns[i]);
        else if (reserved)
            pas_problem(&x->problems, true, file, field, "take a name of the workload's own",
                "%.200s is a name of the server itself", profile->dns[i]);
    }
}

static void
examine_meaning(
    struct pas_examination *x, const char *file, const char *name, const struct ev_policy *policy)
{
    const char *workload = ev_policy_workload(policy);
    const struct ev_profile *profile = ev_policy_profile(policy);
    char wanted[80];

    (void)snprintf(wanted, sizeof(wanted), "%.63s.json", workload);
    if (strcmp(wanted, name) != 0)
        pas_problem(&x->problems, true, file, "workload", "rename the file, or mend the field",
            "the file of workload %s is called %s; expected %s", workload, name, wanted);
    if (strncmp(workload, "beachhead", 9) == 0)
        pas_problem(&x->problems, true, file, "workload", "choose another name",
            "names that begin with beachhead are reserved");
    if (ev_policy_simulated(policy) && forbids_simulated(x))
        pas_problem(&x->problems, true, file, "accept",
            "simulated devices need a deployment made with `init --allow-simulated`",
            "entries for simulated devices in a deployment that does not allow them");
    if (x->config_good && profile->lifetime > x->config.certificate_lifetime_max)
        pas_problem(&x->problems, true, file, "certificate.lifetime",
            "shorten it, or raise certificate_lifetime_max in server.json",
            "%lld s is above certificate_lifetime_max, %lld s", (long long)profile->lifetime,
            (long long)x->config.certificate_lifetime_max);
    if (x->config_good)
        examine_dns(x, file, profile);
}

static void
examine_policy(struct pas_examination *x, const char *file, const char *name, struct bh_span text)
{
    struct ev_policy *policy = NULL;
    struct bh_diag diag = {0};

    if (ev_policy_parse(text, &policy, &diag) != BH_OK) {
        examine_broken(x, file, text, &diag);
        return;
    }
    examine_meaning(x, file, name, policy);
    ev_policy_free(policy);
}

void
pas_examine_policies(struct pas_examination *x)
{
    pas_examine_folder(x, "policy", ".json", BH_POLICY_MAX, examine_policy);
}

/* ---- trust ---- */

static bool
names_a_platform(const char *name)
{
    const char *const *platforms = ev_platforms();

    for (size_t i = 0; platforms[i] != NULL; i++)
        if (strncmp(name, platforms[i], strlen(platforms[i])) == 0)
            return true;
    return false;
}

static bool
says_simulated(X509 *cert)
{
    char subject[512] = "";

    (void)X509_NAME_oneline(X509_get_subject_name(cert), subject, (int)sizeof(subject));
    return strstr(subject, "SIMULATED") != NULL;
}

static void
examine_dates(struct pas_examination *x, const char *file, X509 *cert)
{
    time_t now = (time_t)x->now, soon = (time_t)(x->now + PAS_EXPIRY_WARNING);

    if (X509_cmp_time(X509_get0_notAfter(cert), &now) <= 0)
        pas_problem(&x->problems, true, file, "notAfter", "take the vendor's current root",
            "the anchor has expired");
    else if (X509_cmp_time(X509_get0_notAfter(cert), &soon) <= 0)
        pas_problem(&x->problems, false, file, "notAfter", "take the vendor's next root in time",
            "the anchor expires within 30 days");
    if (X509_cmp_time(X509_get0_notBefore(cert), &now) > 0)
        pas_problem(&x->problems, true, file, "notBefore", "compare the clock of this machine",
            "the anchor is not valid yet");
}

static void
examine_anchor(struct pas_examination *x, const char *file, X509 *cert, bool simulated)
{
    uint8_t spki[BH_SPKI_MAX];
    size_t len = 0;

    examine_dates(x, file, cert);
    if (bh_x509_spki(cert, spki, sizeof(spki), &len, NULL) != BH_OK ||
        ev_is_published_key(bh_span(spki, len)))
        pas_problem(&x->problems, true, file, "key", "remove it: anybody can sign with it",
            "a key whose private half is published, or that cannot be read");
    if (says_simulated(cert) && !simulated)
        pas_problem(&x->problems, true, file, "subject", "move it into trust/simulated/",
            "a simulated vendor's root among the genuine ones");
    if (!says_simulated(cert) && simulated)
        pas_problem(&x->problems, true, file, "subject", "move it into trust/",
            "a root that does not say SIMULATED among the simulated ones");
}

static void
examine_anchor_file(struct pas_examination *x, const char *file, const char *name,
    struct bh_span pem, bool simulated)
{
    X509 *certs[16] = {NULL};
    struct bh_diag diag = {0};
    size_t count = 0;

    if (!names_a_platform(name))
        pas_problem(&x->problems, true, file, "name",
            "call it PLATFORM-something.pem, for example aws-nitro-root.pem",
            "the name does not say whose evidence the root anchors");
    if (simulated && forbids_simulated(x))
        pas_problem(&x->problems, true, file, NULL,
            "simulated devices need a deployment made with `init --allow-simulated`",
            "a simulated vendor's root in a deployment that does not allow simulated devices");
    if (bh_x509_pem(pem, certs, BH_COUNT(certs), &count, &diag) != BH_OK) {
        bh_hint(&diag, "a file of trust/ holds certificates in PEM and nothing else");
        pas_problem_diag(&x->problems, file, NULL, &diag);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        examine_anchor(x, file, certs[i], simulated);
        X509_free(certs[i]);
    }
}

static void
examine_genuine(struct pas_examination *x, const char *file, const char *name, struct bh_span pem)
{
    examine_anchor_file(x, file, name, pem, false);
}

static void
examine_simulated(struct pas_examination *x, const char *file, const char *name, struct bh_span pem)
{
    examine_anchor_file(x, file, name, pem, true);
}

void
pas_examine_trust(struct pas_examination *x)
{
    pas_examine_folder(x, "trust", ".pem", ANCHOR_FILE_MAX, examine_genuine);
    pas_examine_folder(x, "trust/simulated", ".pem", ANCHOR_FILE_MAX, examine_simulated);
}

/* ---- endorsed ---- */

static enum bh_err
note_simulated(void *arg, const uint8_t key[32], const struct ev_endorsement *e)
{
    bool *simulated = arg;

    (void)key;
    *simulated = *simulated || e->simulated;
    return BH_OK;
}

static void
examine_endorsed(struct pas_examination *x, const char *file, const char *name, struct bh_span json)
{
    struct bh_diag diag = {0};
    bool simulated = false;

    (void)name;
    if (ev_endorsement_file(json, note_simulated, &simulated, &diag) != BH_OK)
        pas_problem_diag(&x->problems, file, "endorsed.", &diag);
    if (simulated && forbids_simulated(x))
        pas_problem(&x->problems, true, file, "simulated",
            "simulated devices need a deployment made with `init --allow-simulated`",
            "endorsed keys of simulated devices in a deployment that does not allow them");
}

void
pas_examine_endorsed(struct pas_examination *x)
{
    pas_examine_folder(x, "endorsed", ".json", ENDORSED_FILE_MAX, examine_endorsed);
}
