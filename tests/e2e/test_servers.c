/* SPDX-License-Identifier: Apache-2.0 */
/* What depends on how a server was set up: lives, rates, whose challenge, which devices. */
#include "own.h"
#include "refused.h"

#include "core/text.h"
#include "core/x509.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>

static struct own o;

static void
setup(void)
{
    own_init(&o);
}

static void
teardown(void)
{
    own_end(&o);
}

TestSuite(servers, .init = setup, .fini = teardown);

/* ---- challenges ---- */

Test(servers, expired_challenge)
{
    struct enrolment how = {0};
    struct reply r;
    char *challenge;

    own_set(&o, "challenge_life", json_string("1s"));
    own_start(&o);
    challenge = client_challenge(&o.psa);
    how.challenge = challenge;
    (void)usleep(2100000);
    client_enrol(&o.psa, &how, &r);
    assert_refused(&r, 403, "challenge-expired", "challenge.expiry");
    reply_clear(&r);
    client_post_json(&o.psa, "/v1/appraisals", client_request(&o.psa, &how), &r);
    assert_refused(&r, 403, "challenge-expired", "challenge.expiry");
    reply_clear(&r);
    free(challenge);
    own_enrol(&o.psa);
}

Test(servers, challenge_of_another_server)
{
    struct own other;
    struct enrolment how = {0};
    struct reply r;
    char *challenge;

    own_init(&other);
    own_start(&other);
    own_start(&o);
    challenge = client_challenge(&other.psa);
    how.challenge = challenge;
    client_enrol(&o.psa, &how, &r);
    assert_refused(&r, 403, "challenge-invalid", "challenge.mac");
    reply_clear(&r);
    free(challenge);
    own_end(&other);
}

/* ---- lives ---- */

Test(servers, certificate_that_has_expired)
{
    const struct enrolment how = {0};
    struct reply issued, r;
    json_t *policy = own_read(&o, "policy/w.json");
    char path[80];

    (void)json_object_set_new(
        json_object_get(policy, "certificate"), "lifetime", json_string("1s"));
    own_write(&o, "policy/w.json", policy);
    own_start(&o);
    client_enrol(&o.psa, &how, &issued);
    cr_assert_eq(issued.status, 201, "%s", issued.text);
    (void)usleep(2100000);
    (void)snprintf(path, sizeof(path), "/v1/certificates/%s", reply_string(&issued, "serial"));
    client_get(&o.psa, path, &r);
    cr_assert_eq(r.status, 200, "%s", r.text);
    cr_assert_str_eq(reply_string(&r, "status"), "expired");
    reply_clear(&r);
    reply_clear(&issued);
}

/* The server's own limit is above the policy's wish. */
Test(servers, lifetime_is_capped)
{
    const struct enrolment how = {0};
    int64_t from = 0, to = 0;
    struct reply r;

    own_set(&o, "certificate_lifetime", json_string("1h"));
    own_set(&o, "certificate_lifetime_max", json_string("1h"));
    json_t *policy = own_read(&o, "policy/w.json");
    (void)json_object_set_new(
        json_object_get(policy, "certificate"), "lifetime", json_string("2h"));
    own_write(&o, "policy/w.json", policy);
    own_start(&o);
    client_enrol(&o.psa, &how, &r);
    cr_assert_eq(r.status, 201, "%s", r.text);
    cr_assert_eq(bh_time_read(reply_string(&r, "not_before"), &from), BH_OK);
    cr_assert_eq(bh_time_read(reply_string(&r, "not_after"), &to), BH_OK);
    cr_assert_eq(to - from, 3600 + 60, "%s", r.text);
    reply_clear(&r);
}

/* ---- rate ---- */

Test(servers, rate_of_an_address)
{
    struct bh_http_reply reply = {0};
    struct bh_diag diag = {0};
    long limited = 0;

    own_set(&o, "rate.per_second", json_integer(1));
    own_set(&o, "rate.burst", json_integer(5));
    own_start(&o);
    for (int i = 0; i < 12; i++) {
        cr_assert_eq(bh_http_request(o.psa.http, "/v1/info", NULL, NULL, &reply, &diag), BH_OK);
        cr_assert(reply.status == 200 || reply.status == 429, "%ld", reply.status);
        if (reply.status == 429) {
            limited++;
            cr_assert_gt(reply.retry_after, 0);
            cr_assert_not_null(strstr(reply.body, "urn:beachhead:error:rate-limited"));
        }
        bh_http_reply_clear(&reply);
    }
    cr_assert(limited >= 5 && limited <= 7, "%ld of 12", limited);
}

/* ---- simulated devices where they do not belong ---- */

/* A server that was made without --allow-simulated, to whose folder the devices are admitted. */
static void
make_strict(struct own *s)
{
    struct bh_diag diag = {0};
    char passphrase[300];
    const char *const more[] = {"--root-passphrase-file", passphrase, NULL};
    FILE *f;

    *s = (struct own){0};
    cr_assert_eq(bh_test_server_folder(bin_dir(), &s->server, &diag), BH_OK);
    (void)snprintf(passphrase, sizeof(passphrase), "%s/passphrase", s->server.dir);
    cr_assert_not_null(f = fopen(passphrase, "we"));
    (void)fputs("a passphrase of the test\n", f);
    (void)fclose(f);
    cr_assert_eq(bh_test_server_init(&s->server, DOMAIN, more, &diag), BH_OK, "%s", diag.detail);
    client_open(&s->psa, "psa", NULL);
    client_open(&s->cca, "arm-cca", NULL);
    client_open(&s->nitro, "aws-nitro", NULL);
    cr_assert_eq(agent_device_admit(s->psa.device, s->server.home, "w", DOMAIN, &diag), BH_OK);
    cr_assert_eq(agent_device_admit(s->cca.device, s->server.home, "w", DOMAIN, &diag), BH_OK);
    cr_assert_eq(agent_device_admit(s->nitro.device, s->server.home, "w", DOMAIN, &diag), BH_OK);
}

/* The same reference values, said to be of genuine devices. */
static void
pretend_genuine(struct own *s)
{
    json_t *policy = own_read(s, "policy/w.json"), *entry;
    size_t i;

    json_array_foreach(json_object_get(policy, "accept"), i, entry)
    {
        (void)json_object_del(entry, "simulated");
        (void)json_object_set_new(entry, "owner", json_string("any"));
    }
    own_write(s, "policy/w.json", policy);
}

static void
refuse_simulated(struct client *c)
{
    const struct enrolment how = {0};
    struct reply r;

    client_enrol(c, &how, &r);
    assert_refused(&r, 403, "simulated-refused", "simulated");
    reply_clear(&r);
}

static void
refuse_all_simulated(struct own *s)
{
    const char *const check[] = {
        "beachhead-server", "check", "--dir", s->server.home, "--json", NULL};
    char *output = NULL;

    cr_assert_eq(bh_test_server_run(&s->server, check, &output), 1);
    cr_assert_not_null(strstr(output, "allow-simulated"), "%s", output);
    free(output);
    own_start(s);
    refuse_simulated(&s->psa);
    refuse_simulated(&s->cca);
    refuse_simulated(&s->nitro);
}

Test(strict, simulated_entries)
{
    make_strict(&o);
    refuse_all_simulated(&o);
    own_end(&o);
}

Test(strict, genuine_entries)
{
    make_strict(&o);
    pretend_genuine(&o);
    refuse_all_simulated(&o);
    own_end(&o);
}

/* Nor does server.json turn it into the other kind afterwards: its root does not say SIMULATED. */
Test(strict, allowed_afterwards)
{
    struct bh_diag diag = {0};

    make_strict(&o);
    own_set(&o, "allow_simulated", json_true());
    const char *const check[] = {"beachhead-server", "check", "--dir", o.server.home, NULL};
    cr_assert_eq(bh_test_server_run(&o.server, check, NULL), 1);
    cr_assert_neq(bh_test_server_start(&o.server, &diag), BH_OK);
    own_end(&o);
}

/* ---- published keys ---- */

static void
write_published_root(EVP_PKEY *published)
{
    EVP_PKEY *signer = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    cr_assert_eq(X509_set_version(cert, X509_VERSION_3), 1);
    cr_assert_eq(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
    cr_assert_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "O", MBSTRING_ASC,
                     (const unsigned char *)"A vendor", -1, -1, 0),
        1);
    cr_assert_eq(X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
    cr_assert_not_null(X509_gmtime_adj(X509_getm_notBefore(cert), -86400));
    cr_assert_not_null(X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * 3650));
    cr_assert_eq(X509_set_pubkey(cert, published), 1);
    cr_assert_gt(X509_sign(cert, signer, EVP_sha256()), 0);
    cr_assert_eq(PEM_write_bio_X509(bio, cert), 1);
    cr_assert_eq(BIO_write(bio, "", 1), 1);
    (void)BIO_get_mem_data(bio, &text);
    own_write_text(&o, "trust/psa-vendor.pem", text);
    BIO_free(bio);
    X509_free(cert);
    EVP_PKEY_free(signer);
}

static char *
published_key(void)
{
    uint8_t *pem;
    size_t len = 0;

    if (bh_vectors() == NULL)
        return NULL; /* it said so */
    pem = bh_vector("psa/iak-tfm-es.pub.pem", &len);
    char *text = strndup((char *)pem, len);
    free(pem);
    return text;
}

static void
refuse_to_run(const char *named)
{
    const char *const check[] = {
        "beachhead-server", "check", "--dir", o.server.home, "--json", NULL};
    struct bh_diag diag = {0};
    char *output = NULL;

    cr_assert_eq(bh_test_server_run(&o.server, check, &output), 1);
    cr_assert_not_null(strstr(output, named), "%s", output);
    cr_assert_not_null(strstr(output, "published"), "%s", output);
    free(output);
    const size_t from = bh_test_server_log_len(&o.server);
    cr_assert_neq(bh_test_server_start(&o.server, &diag), BH_OK);
    cr_assert(bh_test_server_logged(&o.server, from, named, 0));
    cr_assert(bh_test_server_logged(&o.server, from, "published", 0));
}

Test(servers, published_key_as_a_root)
{
    char *pem = published_key();

    if (pem == NULL)
        return;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    cr_assert_not_null(key);
    write_published_root(key);
    refuse_to_run("trust/psa-vendor.pem");
    EVP_PKEY_free(key);
    BIO_free(bio);
    free(pem);
}

Test(servers, published_key_as_an_endorsed_one)
{
    char *pem = published_key(), id[67] = "01";

    if (pem == NULL)
        return;
    memset(id + 2, 'a', 64);
    own_write(&o, "endorsed/vendor.json",
        json_pack("{s:s,s:s,s:s,s:s}", "platform", "psa", "instance_id", id, "class", "silicon",
            "key", pem));
    refuse_to_run("endorsed/vendor.json");
    free(pem);
}
