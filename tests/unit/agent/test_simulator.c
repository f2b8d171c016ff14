/* SPDX-License-Identifier: Apache-2.0 */
/* The devices themselves, seen with the core's readers: formats, and what tampering
 * changes. */
#include "sim.h"
#include "tampers.h"

#include "core/cbor.h"
#include "core/cmw.h"
#include "core/cose.h"
#include "core/file.h"
#include "core/json.h"
#include "core/x509.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>

#define NOW 1795500000

static const uint8_t binding[BH_BINDING_LEN] = {9, 8, 7};

static struct agent_device *
make(const char *platform, uint32_t instance)
{
    struct agent_device *device = NULL;

    cr_assert_eq(agent_device_make(platform, instance, &device, NULL), BH_OK);
    return device;
}

static uint8_t *
raw(struct agent_device *device, enum agent_tamper tamper, size_t *ret_len)
{
    struct bh_diag diag = {0};
    uint8_t *bytes = NULL;

    cr_assert_eq(agent_device_evidence_raw(
                     device, binding, bh_span_none(), tamper, NOW, &bytes, ret_len, &diag),
        BH_OK, "%s", diag.detail);
    return bytes;
}

/* The value of a key of a map of integer keys, as an encoded item; empty when it is not there. */
static struct bh_span
claim(struct bh_span map, int64_t key)
{
    struct bh_span value = bh_span_none();
    struct bh_cbor c;

    bh_cbor_init(&c, map);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        const bool hit = bh_cbor_int(&c) == key;
        const struct bh_span item = bh_cbor_item(&c);

        if (hit)
            value = item;
    }
    cr_assert_eq(bh_cbor_end(&c), BH_OK, "%s", bh_cbor_why(&c));
    return value;
}

static struct bh_span
claim_bytes(struct bh_span map, int64_t key)
{
    struct bh_span value;
    struct bh_cbor c;

    bh_cbor_init(&c, claim(map, key));
    value = bh_cbor_bstr(&c);
    cr_assert_eq(bh_cbor_end(&c), BH_OK, "claim %lld", (long long)key);
    return value;
}

static EVP_PKEY *
public_key(const struct sim *sim, const char *name)
{
    char *pem = sim_file(sim, name);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);

    cr_assert_not_null(key);
    BIO_free(bio);
    free(pem);
    return key;
}

Test(psa, token_has_the_form_of_rfc_9783)
{
    struct sim sim;
    struct agent_device *device = open_sim(&sim, "psa");
    EVP_PKEY *iak = public_key(&sim, "psa/iak.pub.pem");
    size_t components = 0, len;
    struct bh_cose m;
    struct bh_span p;
    struct bh_cbor c;
    uint8_t *bytes;

    bytes = raw(device, AGENT_TAMPER_NONE, &len);
    cr_assert_eq(bh_cose_decode(bh_span(bytes, len), BH_COSE_FORM_TAGGED_SIGN1, &m, NULL), BH_OK);
    cr_assert_eq(m.alg, BH_COSE_ES256);
    cr_assert_eq(bh_cose_verify(&m, iak, NULL), BH_OK);
    p = m.payload;
    cr_assert(bh_span_equal(claim_bytes(p, 10), bh_span(binding, sizeof(binding))));
    cr_assert_eq(claim_bytes(p, 256).len, 33);
    cr_assert_eq(claim_bytes(p, 256).ptr[0], 0x01);
    cr_assert_eq(claim_bytes(p, 2396).len, 32);
    bh_cbor_init(&c, claim(p, 265));
    cr_assert(bh_span_is(bh_cbor_tstr(&c), "tag:psacertified.org,2023:psa#tfm"));
    bh_cbor_init(&c, claim(p, 2395));
    cr_assert_eq(bh_cbor_uint(&c), 0x3000);
    bh_cbor_init(&c, claim(p, 2399));
    bh_cbor_array(&c);
    for (; bh_cbor_more(&c); components++) {
        const struct bh_span item = bh_cbor_item(&c);

        cr_assert_eq(claim_bytes(item, 2).len, 32);
        cr_assert_eq(claim_bytes(item, 5).len, 32);
        cr_assert_gt(claim(item, 1).len, 0);
        cr_assert_gt(claim(item, 4).len, 0);
    }
    cr_assert_eq(components, 3);
    free(bytes);
    EVP_PKEY_free(iak);
    agent_device_free(device);
    folder_drop(sim.dir);
}

/* The two tokens of a CCA container, each a CMW record in tag 907 and bare in tag 399. */
static void
open_container(
    struct bh_span raw_bytes, uint64_t tag, struct bh_cose *platform, struct bh_cose *realm)
{
    struct bh_cbor c;

    bh_cbor_init(&c, raw_bytes);
    cr_assert_eq(bh_cbor_tag(&c), tag);
    bh_cbor_map(&c);
    while (bh_cbor_more(&c)) {
        const int64_t key = bh_cbor_int(&c);
        struct bh_span token;

        if (tag == 907) {
            bh_cbor_array(&c);
            cr_assert_eq(bh_cbor_uint(&c), 263);
        }
        token = bh_cbor_bstr(&c);
        if (tag == 907)
            bh_cbor_leave(&c);
        cr_assert(key == 44234 || key == 44241);
        cr_assert_eq(
            bh_cose_decode(token, BH_COSE_FORM_TAGGED_SIGN1, key == 44234 ? platform : realm, NULL),
            BH_OK);
    }
    cr_assert_eq(bh_cbor_end(&c), BH_OK);
}

static void
check_cca(struct agent_device *device, EVP_PKEY *cpak, uint64_t tag)
{
    struct bh_cose platform = {0}, realm = {0};
    EVP_PKEY *rak = NULL;
    struct bh_span key;
    uint8_t hash[32];
    uint8_t *bytes;
    size_t len;

    bytes = raw(device, AGENT_TAMPER_NONE, &len);
    open_container(bh_span(bytes, len), tag, &platform, &realm);
    cr_assert_eq(platform.alg, BH_COSE_ES384);
    cr_assert_eq(realm.alg, BH_COSE_ES384);
    if (cpak != NULL)
        cr_assert_eq(bh_cose_verify(&platform, cpak, NULL), BH_OK);
    key = claim_bytes(realm.payload, 44237);
    if (tag == 907) {
        cr_assert_eq(key.len, 107);
        cr_assert_eq(bh_cose_key_decode(key, &rak, NULL), BH_OK);
    } else {
        cr_assert_eq(claim(realm.payload, 265).len, 0);
        cr_assert_eq(bh_ec_point_decode(key, &rak, NULL), BH_OK);
    }
    cr_assert_eq(bh_cose_verify(&realm, rak, NULL), BH_OK);
    cr_assert_eq(bh_sha2(256, key, hash), BH_OK);
    cr_assert(bh_span_equal(claim_bytes(platform.payload, 10), bh_span(hash, 32)));
    cr_assert(bh_span_equal(claim_bytes(realm.payload, 10), bh_span(binding, sizeof(binding))));
    EVP_PKEY_free(rak);
    free(bytes);
}

Test(arm_cca, tokens_of_both_makes_are_bound_to_each_other)
{
    struct sim sim;
    struct agent_device *device = open_sim(&sim, "arm-cca");
    EVP_PKEY *cpak = public_key(&sim, "arm-cca/cpak.pub.pem");

    check_cca(device, cpak, 907);
    agent_device_free(device);
    device = make("arm-cca", 1);
    check_cca(device, NULL, 399);
    agent_device_free(device);
    EVP_PKEY_free(cpak);
    folder_drop(sim.dir);
}

Test(arm_cca, the_container_is_chosen_in_device_json)
{
    struct sim sim;
    struct agent_device *device = open_sim(&sim, "arm-cca");
    char path[512], *text, *number;
    struct bh_diag diag = {0};

    agent_device_free(device);
    (void)snprintf(path, sizeof(path), "%s/arm-cca/device.json", sim.dir);
    text = sim_file(&sim, "arm-cca/device.json");
    /* The digits alone may stand in the random instance id, too. */
    number = strstr(text, "\"container\": 907");
    cr_assert_not_null(number);
    number += strlen("\"container\": ");
    memcpy(number, "399", 3);
    cr_assert_eq(bh_file_write(path, bh_span_str(text), 0600, NULL), BH_OK);
    cr_assert_eq(agent_device_load(sim.dir, "arm-cca", &device, NULL), BH_OK);
    check_cca(device, NULL, 399);
    agent_device_free(device);
    memcpy(number, "400", 3);
    cr_assert_eq(bh_file_write(path, bh_span_str(text), 0600, NULL), BH_OK);
    cr_assert_eq(agent_device_load(sim.dir, "arm-cca", &device, &diag), BH_ERR_MALFORMED);
    cr_assert_not_null(strstr(diag.detail, "container"));
    free(text);
    folder_drop(sim.dir);
}

struct document {
    struct bh_cose cose;
    struct bh_span leaf, bundle[8], public_key, user_data, nonce;
    size_t bundle_len, pcrs, fields;
    uint64_t timestamp;
};

static void
read_document(struct bh_span bytes, struct document *d)
{
    struct bh_cbor c;

    memset(d, 0, sizeof(*d));
    cr_assert_eq(bh_cose_decode(bytes, BH_COSE_FORM_UNTAGGED_SIGN1, &d->cose, NULL), BH_OK);
    cr_assert_eq(d->cose.payload.ptr[0], 0xbf, "a map of indefinite length");
    bh_cbor_init(&c, d->cose.payload);
    bh_cbor_map(&c);
    for (; bh_cbor_more(&c); d->fields++) {
        const struct bh_span key = bh_cbor_tstr(&c);

        if (bh_span_is(key, "timestamp")) {
            d->timestamp = bh_cbor_uint(&c);
        } else if (bh_span_is(key, "certificate")) {
            d->leaf = bh_cbor_bstr(&c);
        } else if (bh_span_is(key, "nonce")) {
            d->nonce = bh_cbor_bstr(&c);
        } else if (bh_span_is(key, "public_key")) {
            d->public_key = bh_cbor_item(&c);
        } else if (bh_span_is(key, "pcrs")) {
            for (bh_cbor_map(&c); bh_cbor_more(&c); d->pcrs++) {
                cr_assert_eq(bh_cbor_uint(&c), d->pcrs);
                cr_assert_eq(bh_cbor_bstr(&c).len, 48);
            }
        } else if (bh_span_is(key, "cabundle")) {
            for (bh_cbor_array(&c); bh_cbor_more(&c);)
                d->bundle[d->bundle_len++] = bh_cbor_bstr(&c);
        } else {
            bh_cbor_skip(&c);
        }
    }
    cr_assert_eq(bh_cbor_end(&c), BH_OK);
}

static void
check_names(X509 *cert)
{
    char text[512];

    X509_NAME_oneline(X509_get_subject_name(cert), text, sizeof(text));
    cr_assert_not_null(strstr(text, "OU=SIMULATED"), "%s", text);
}

Test(aws_nitro, document_has_the_form_and_chain_of_the_real_ones)
{
    const long path_lens[] = {-1, 2, 1, 0};
    struct sim sim;
    struct agent_device *device = open_sim(&sim, "aws-nitro");
    X509 *root = NULL, *certs[4], *leaf = NULL;
    char *pem = sim_file(&sim, "aws-nitro/root.pem");
    struct document d;
    size_t len, count;
    uint8_t *bytes;

    bytes = raw(device, AGENT_TAMPER_NONE, &len);
    read_document(bh_span(bytes, len), &d);
    cr_assert_eq(d.fields, 9);
    cr_assert_eq(d.pcrs, 16);
    cr_assert_eq(d.bundle_len, 4);
    cr_assert_eq(d.timestamp, (uint64_t)NOW * 1000);
    cr_assert(bh_span_equal(d.nonce, bh_span(binding, sizeof(binding))));
    cr_assert(bh_span_equal(d.public_key, bh_span("\xf6", 1)));
    cr_assert(bh_span_equal(d.cose.protected_, bh_span("\xa1\x01\x38\x22", 4)));
    for (size_t i = 0; i < 4; i++) {
        cr_assert_leq(d.bundle[i].len, 1024);
        cr_assert_eq(bh_x509_der(d.bundle[i], &certs[i], NULL), BH_OK);
        cr_assert_eq(X509_get_pathlen(certs[i]), path_lens[i]);
        cr_assert_str_eq(bh_key_name(X509_get0_pubkey(certs[i])), "P-384");
        cr_assert_eq(X509_get_signature_nid(certs[i]), NID_ecdsa_with_SHA384);
        check_names(certs[i]);
    }
    cr_assert_eq(bh_x509_der(d.leaf, &leaf, NULL), BH_OK);
    check_names(leaf);
    cr_assert_eq(bh_x509_pem(bh_span_str(pem), &root, 1, &count, NULL), BH_OK);
    cr_assert_eq(X509_cmp(root, certs[0]), 0, "the root stands first");
    cr_assert_eq(bh_x509_verify(leaf, certs + 1, 3, &root, 1, NOW, NULL), BH_OK);
    cr_assert_eq(bh_x509_verify(leaf, certs + 1, 3, &root, 1, NOW + 3 * 3600 + 1, NULL),
        BH_ERR_NOT_AUTHENTIC, "a leaf lives three hours");
    cr_assert_eq(bh_cose_verify(&d.cose, X509_get0_pubkey(leaf), NULL), BH_OK);
    for (size_t i = 0; i < 4; i++)
        X509_free(certs[i]);
    X509_free(leaf);
    X509_free(root);
    free(pem);
    free(bytes);
    agent_device_free(device);
    folder_drop(sim.dir);
}

Test(aws_nitro, chain_and_leaf_are_kept_for_a_while_and_then_renewed)
{
    const int64_t times[] = {NOW, NOW + 299, NOW + 301, NOW + 30 * 86400, NOW - 86400 * 40};
    struct agent_device *device = make("aws-nitro", 3);
    struct document d[BH_COUNT(times)];
    uint8_t *bytes[BH_COUNT(times)];
    size_t len;

    for (size_t i = 0; i < BH_COUNT(times); i++) {
        cr_assert_eq(agent_device_evidence_raw(device, binding, bh_span_none(), AGENT_TAMPER_NONE,
                         times[i], &bytes[i], &len, NULL),
            BH_OK);
        read_document(bh_span(bytes[i], len), &d[i]);
    }
    cr_assert(bh_span_equal(d[0].leaf, d[1].leaf));
    cr_assert_not(bh_span_equal(d[1].leaf, d[2].leaf));
    cr_assert(bh_span_equal(d[1].bundle[3], d[2].bundle[3]));
    cr_assert_not(bh_span_equal(d[2].bundle[3], d[3].bundle[3]));
    for (size_t i = 0; i < BH_COUNT(times); i++) {
        X509 *certs[4], *leaf = NULL;

        for (size_t k = 0; k < 4; k++)
            cr_assert_eq(bh_x509_der(d[i].bundle[k], &certs[k], NULL), BH_OK);
        cr_assert_eq(bh_x509_der(d[i].leaf, &leaf, NULL), BH_OK);
        cr_expect_eq(
            bh_x509_verify(leaf, certs + 1, 3, certs, 1, times[i], NULL), BH_OK, "time %zu", i);
        X509_free(leaf);
        for (size_t k = 0; k < 4; k++)
            X509_free(certs[k]);
        free(bytes[i]);
    }
    agent_device_free(device);
}

Test(aws_nitro, devices_of_one_process_share_a_root)
{
    struct agent_device *one = make("aws-nitro", 1), *two = make("aws-nitro", 2);
    struct document a, b;
    uint8_t *x, *y;
    size_t x_len, y_len;

    x = raw(one, AGENT_TAMPER_NONE, &x_len);
    y = raw(two, AGENT_TAMPER_NONE, &y_len);
    read_document(bh_span(x, x_len), &a);
    read_document(bh_span(y, y_len), &b);
    cr_assert(bh_span_equal(a.bundle[0], b.bundle[0]));
    cr_assert_not(bh_span_equal(a.bundle[3], b.bundle[3]));
    free(x);
    free(y);
    agent_device_free(one);
    agent_device_free(two);
}

Test(device, cmw_holds_the_raw_evidence_under_its_type)
{
    const char *const types[] = {"application/aws-nitro-document", "application/eat-collection",
        "application/psa-attestation-token"};

    for (size_t i = 0; i < BH_COUNT(types); i++) {
        struct agent_device *device = make(agent_simulator_platforms()[i], 5);
        struct bh_cmw cmw = {0};
        char *json = NULL;

        cr_assert_eq(agent_device_evidence(
                         device, binding, bh_span_none(), AGENT_TAMPER_NONE, NOW, &json, NULL),
            BH_OK);
        cr_assert_eq(bh_cmw_from_json(bh_span_str(json), &cmw, NULL), BH_OK);
        cr_assert_not(cmw.collection);
        cr_assert_eq(strncmp(cmw.records[0].type, types[i], strlen(types[i])), 0);
        cr_assert_gt(cmw.records[0].value.len, 300);
        bh_cmw_clear(&cmw);
        free(json);
        agent_device_free(device);
    }
}

Test(tamper, words_are_those_of_the_platform)
{
    const enum agent_tamper last = AGENT_TAMPER_ENCLAVE;
    const char *const *platforms = agent_simulator_platforms();

    for (size_t p = 0; platforms[p] != NULL; p++) {
        struct agent_device *device = make(platforms[p], 1);
        size_t known = 0;

        for (size_t i = 0; i < BH_COUNT(tamper_cases); i++) {
            enum agent_tamper tamper = AGENT_TAMPER_NONE;

            if (strcmp(tamper_cases[i].platform, platforms[p]) != 0)
                continue;
            known++;
            cr_assert_eq(
                agent_tamper_read(tamper_cases[i].word, platforms[p], &tamper, NULL), BH_OK);
            cr_assert_eq(tamper, tamper_cases[i].tamper);
        }
        /* Every kind is either in the table or refused by name. */
        for (int t = AGENT_TAMPER_SIGNATURE; t <= (int)last; t++) {
            struct bh_diag diag = {0};
            uint8_t *bytes = NULL;
            size_t len;

            if (agent_device_evidence_raw(device, binding, bh_span_none(), (enum agent_tamper)t,
                    NOW, &bytes, &len, &diag) == BH_OK) {
                known--;
                free(bytes);
                continue;
            }
            cr_assert_eq(diag.err, BH_ERR_USAGE);
            cr_assert_str_eq(diag.check, "tamper");
        }
        cr_assert_eq(known, 0, "%s", platforms[p]);
        agent_device_free(device);
    }
}

Test(tamper, senseless_words_are_refused_with_those_that_exist)
{
    enum agent_tamper tamper = AGENT_TAMPER_NONE;
    struct bh_diag diag = {0};

    cr_assert_eq(agent_tamper_read("expired", "psa", &tamper, &diag), BH_ERR_USAGE);
    cr_assert_str_eq(diag.check, "tamper");
    cr_assert_str_eq(diag.found, "expired");
    cr_assert_not_null(strstr(diag.hint, "extra-component"));
    cr_assert_null(strstr(diag.hint, "nitrotpm"));
    bh_diag_clear(&diag);
    cr_assert_eq(agent_tamper_read("bogus", "aws-nitro", &tamper, &diag), BH_ERR_USAGE);
    cr_assert_not_null(strstr(diag.hint, "nitrotpm"));
    bh_diag_clear(&diag);
    cr_assert_eq(agent_tamper_read("chain", "nvidia-gpu", &tamper, &diag), BH_ERR_USAGE);
    cr_assert_str_eq(diag.check, "platform");
    cr_assert_eq(tamper, AGENT_TAMPER_NONE);
}

Test(tamper, one_byte_or_one_bit_where_that_is_all)
{
    const char *const *platforms = agent_simulator_platforms();

    for (size_t p = 0; platforms[p] != NULL; p++) {
        struct agent_device *device = make(platforms[p], 1);
        uint8_t *plain, *longer;
        size_t plain_len, len;

        plain = raw(device, AGENT_TAMPER_NONE, &plain_len);
        longer = raw(device, AGENT_TAMPER_TRAILING, &len);
        cr_assert_eq(len, plain_len + 1);
        cr_assert_neq(longer[len - 1], 0, "zeros are padding to some");
        free(plain);
        free(longer);
        agent_device_free(device);
    }
}
