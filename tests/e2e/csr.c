/* SPDX-License-Identifier: Apache-2.0 */
#include "csr.h"

#include <criterion/criterion.h>

#include <string.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

static char *
pem_of(X509_REQ *req)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL, *copy;

    cr_assert_eq(PEM_write_bio_X509_REQ(bio, req), 1);
    const long len = BIO_get_mem_data(bio, &bytes);
    copy = strndup(bytes, (size_t)len);
    cr_assert_not_null(copy);
    BIO_free(bio);
    return copy;
}

static X509_REQ *
new_request(EVP_PKEY *key, const char *cn)
{
    X509_REQ *req = X509_REQ_new();

    cr_assert_not_null(req);
    if (cn != NULL)
        cr_assert_eq(X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", MBSTRING_ASC,
                         (const unsigned char *)cn, -1, -1, 0),
            1);
    cr_assert_eq(X509_REQ_set_pubkey(req, key), 1);
    return req;
}

static void
sign(X509_REQ *req, EVP_PKEY *key)
{
    const bool ed = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;

    cr_assert_gt(X509_REQ_sign(req, key, ed ? NULL : EVP_sha256()), 0);
}

static void
ask(STACK_OF(X509_EXTENSION) * list, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, NULL, NULL, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    cr_assert_not_null(ext, "%s", value);
    cr_assert_gt(sk_X509_EXTENSION_push(list, ext), 0);
}

char *
csr_greedy(EVP_PKEY *key)
{
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    X509_REQ *req = new_request(key, "greedy.example");

    ask(list, NID_subject_alt_name,
        "DNS:greedy.example,DNS:attest.fleet.example,URI:spiffe://fleet.example/beachhead/"
        "server,IP:10.0.0.7,email:a@greedy.example");
    ask(list, NID_basic_constraints, "critical,CA:TRUE");
    ask(list, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature");
    ask(list, NID_ext_key_usage, "codeSigning,OCSPSigning");
    ask(list, NID_netscape_comment, "greedy comment");
    cr_assert_eq(X509_REQ_add_extensions(req, list), 1);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    sign(req, key);
    char *pem = pem_of(req);
    X509_REQ_free(req);
    return pem;
}

char *
csr_badly_signed(EVP_PKEY *key)
{
    const ASN1_BIT_STRING *signature = NULL;
    X509_REQ *req = new_request(key, NULL);

    sign(req, key);
    X509_REQ_get0_signature(req, &signature, NULL);
    ((ASN1_BIT_STRING *)(uintptr_t)signature)->data[signature->length - 1] ^= 1;
    char *pem = pem_of(req);
    X509_REQ_free(req);
    return pem;
}

char *
csr_of_strange_key(EVP_PKEY *key)
{
    EVP_PKEY *other = EVP_EC_gen("P-256");
    X509_REQ *req = new_request(key, NULL);

    sign(req, other);
    char *pem = pem_of(req);
    X509_REQ_free(req);
    EVP_PKEY_free(other);
    return pem;
}

char *
csr_rsa(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);
    X509_REQ *req = new_request(key, NULL);

    sign(req, key);
    char *pem = pem_of(req);
    X509_REQ_free(req);
    EVP_PKEY_free(key);
    return pem;
}
