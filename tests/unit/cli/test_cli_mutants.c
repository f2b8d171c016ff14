/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of file with bytes changed and cut off: shown, or refused by name, and never more. */
#include "core/cmw.h"
#include "core/cose.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"
#include "run.h"
#include "support/ca.h"
#include "support/mutate.h"

#include "cli/inspect_other.h"
#include "cli/judge.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct walk {
    const char *path;
    const struct bh_trust_inputs *trust;
    size_t shown, refused;
};

/* As `inspect --verify` does it. */
static enum bh_err
look(const struct bh_input *input, const struct bh_trust_inputs *trust, json_t *doc,
    struct bh_judgement *j)
{
    const struct bh_question question = {.trust = trust};

    ev_report_init(&j->report, true);
    if (input->kind != BH_INPUT_CMW && input->kind != BH_INPUT_RAW)
        return bh_inspect_other(input, trust, doc, &j->report);
    bh_judge(input, &question, j);
    json_t *judged = bh_judgement_json(j, trust);
    cr_expect_not_null(judged);
    json_decref(judged);
    bh_judgement_clear(j);
    return j->result;
}

static bool
show(void *arg, struct bh_span mutant, size_t at, const char *how)
{
    static struct bh_judgement judgement;
    struct walk *w = arg;
    struct bh_input input = {0};
    struct bh_diag diag = {0};
    json_t *doc = json_object();
    const int fd = open(w->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    enum bh_err e;

    cr_assert(fd >= 0 && write(fd, mutant.ptr, mutant.len) == (ssize_t)mutant.len);
    (void)close(fd);
    judgement = (struct bh_judgement){0};
    if ((e = bh_input_read(w->path, &input, &diag)) == BH_OK) {
        e = look(&input, w->trust, doc, &judgement);
        diag = judgement.report.diag;
    }
    cr_expect(e == BH_OK || (diag.err != BH_OK && diag.check[0] != '\0'),
        "%s at %zu: error %d: %s %s", how, at, (int)e, diag.check, diag.detail);
    e == BH_OK ? w->shown++ : w->refused++;
    bh_input_clear(&input);
    json_decref(doc);
    return true;
}

/* How many mutants still passed for what they were, verified. */
static size_t
walk(struct bh_span file, size_t stride, const struct bh_trust_inputs *trust)
{
    char path[128];
    struct walk w = {.path = path, .trust = trust};

    (void)snprintf(path, sizeof(path), "%s/mutant", folder());
    (void)show(&w, file, 0, "as it is");
    cr_assert_eq(w.shown, 1, "the file itself does not hold");
    (void)bh_mutate(file, 0, file.len, stride, show, &w);
    cr_expect_gt(w.refused, 0);
    return w.shown - 1;
}

struct world {
    struct bh_test_ca ca;
    EVP_PKEY *key;
    X509 *leaf;
    struct bh_ear ear;
    struct bh_trust_inputs trust;
};

static void
begin(struct world *w)
{
    struct bh_test_leaf leaf;

    memset(w, 0, sizeof(*w));
    bh_test_ca_make(&w->ca, &(struct bh_test_root){.domain = "fleet.example"});
    w->key = bh_test_key("P-256");
    bh_test_leaf_init(&w->ca, &leaf, "payments", w->key, bh_time_now(), 3600);
    w->leaf = bh_test_leaf_issue(&w->ca, &leaf);
    w->ear = leaf.ear;
    w->trust = (struct bh_trust_inputs){.at = bh_time_now(), .anchor_files_len = 1};
    w->trust.anchors[w->trust.anchors_len++] = w->ca.root;
    w->trust.anchors[w->trust.anchors_len++] = w->ca.issuing;
}

static void
finish(struct world *w)
{
    X509_free(w->leaf);
    EVP_PKEY_free(w->key);
    bh_test_ca_clear(&w->ca);
    end_folder();
}

Test(mutants, certificates_and_requests, .timeout = 200)
{
    struct world w;
    uint8_t *der = NULL;
    char *csr = NULL;
    size_t len = 0;

    begin(&w);
    cr_assert_eq(bh_x509_to_der(w.leaf, &der, &len), BH_OK);
    cr_expect_eq(walk(bh_span(der, len), 5, &w.trust), 0, "a changed certificate verifies");
    OPENSSL_free(der);
    char *pem = bh_test_chain_pem(&w.ca, w.leaf);
    (void)walk(bh_span_str(pem), 17, &w.trust);
    free(pem);
    cr_assert_eq(bh_csr_make(w.key, &csr, NULL), BH_OK);
    (void)walk(bh_span_str(csr), 3, &w.trust);
    free(csr);
    finish(&w);
}

Test(mutants, results, .timeout = 200)
{
    struct world w;
    uint8_t claims[BH_EAR_MAX], cwt[BH_EAR_MAX], signature[132];
    size_t claims_len = 0, len = 0;
    char *input = NULL, jwt[BH_EAR_MAX * 2], text[256];

    begin(&w);
    cr_assert_eq(bh_ear_encode(&w.ear, claims, sizeof(claims), &claims_len, NULL), BH_OK);
    cr_assert_eq(bh_cose_sign(bh_span(claims, claims_len), w.ca.issuing_key, true, cwt, sizeof(cwt),
                     &len, NULL),
        BH_OK);
    cr_expect_eq(walk(bh_span(cwt, len), 3, &w.trust), 0, "a changed result verifies");
    cr_assert_eq(bh_ear_jwt_input(&w.ear, &input, NULL), BH_OK);
    cr_assert_eq(bh_ecdsa_sign(w.ca.issuing_key, bh_span_str(input), signature, &len, NULL), BH_OK);
    (void)snprintf(jwt, sizeof(jwt), "%s.%s", input,
        bh_base64url(bh_span(signature, len), text, sizeof(text)));
    cr_expect_eq(walk(bh_span_str(jwt), 7, &w.trust), 0, "a changed result verifies");
    free(input);
    finish(&w);
}

Test(mutants, texts, .timeout = 200)
{
    static const char checkpoint[] =
        "log.example\n42\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\xe2\x80\x94 log.example "
        "x\n";
    uint8_t *set = NULL;
    json_t *json = NULL;
    size_t len = 0;

    (void)walk(bh_span(checkpoint, sizeof(checkpoint) - 1), 1, NULL);
    cr_assert_eq(
        bh_file_read(BH_SOURCE_DIR "/tests/vectors/psa/set.json", 1 << 20, &set, &len, NULL),
        BH_OK);
    cr_assert_eq(bh_json_parse(bh_span(set, len), 1 << 20, &json, NULL), BH_OK);
    char *policy = bh_json_text(json_object_get(json, "policy"), false);
    (void)walk(bh_span_str(policy), 3, NULL);
    free(policy);
    free(set);
    json_decref(json);
    end_folder();
}

Test(mutants, evidence, .timeout = 200)
{
    static const char *const sets[] = {"psa", "arm-cca", "aws-nitro"};
    uint8_t cbor[16384];
    char path[512];

    for (size_t i = 0; i < BH_COUNT(sets); i++) {
        struct bh_cmw cmw = {0};
        uint8_t *text = NULL;
        size_t len = 0;

        (void)snprintf(
            path, sizeof(path), BH_SOURCE_DIR "/tests/vectors/%s/accept/genuine.cmw", sets[i]);
        cr_assert_eq(bh_file_read(path, 1 << 20, &text, &len, NULL), BH_OK);
        (void)walk(bh_span(text, len), 23, NULL);
        while (len > 0 && text[len - 1] == '\n')
            len--;
        cr_assert_eq(bh_cmw_from_json(bh_span(text, len), &cmw, NULL), BH_OK);
        (void)walk(cmw.records[0].value, 11, NULL);
        cr_assert_eq(bh_cmw_record_cbor(
                         cmw.records[0].type, cmw.records[0].value, 0, cbor, sizeof(cbor), &len),
            BH_OK);
        (void)walk(bh_span(cbor, len), 11, NULL);
        bh_cmw_clear(&cmw);
        free(text);
    }
    end_folder();
}
