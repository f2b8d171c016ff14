/* SPDX-License-Identifier: Apache-2.0 */
#include "beachhead/curl.h"
#include "src/internal.h"

#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

struct bh_curl {
    struct bh_trust *trust;
    struct bh_expectation *expectation;
    struct bh_peer *peer;
    bool refused;
    struct bh_failure failure;
};

static void
keep_outcome(void *arg, const struct bh_peer *peer, const struct bh_diag *diag)
{
    struct bh_curl *c = arg;

    bh_peer_free(c->peer);
    c->peer = peer == NULL ? NULL : bh_peer_copy(peer);
    c->refused = peer == NULL;
    c->failure.diag = *diag;
}

static CURLcode
on_ssl_ctx(CURL *easy, void *ssl_ctx, void *arg)
{
    struct bh_curl *c = arg;
    const enum bh_err e =
        bh_tls_attach(ssl_ctx, c->trust, c->expectation, keep_outcome, c, &c->failure.diag);

    (void)easy;
    return e == BH_OK ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

/*
 * libcurl shares connections between handles whose TLS options are equal and knows
 * nothing of our callback. The roots' text is such an option: a line in front of it that
 * is different for every attachment keeps connections apart.
 */
static enum bh_err
roots_blob(const struct bh_trust *trust, char **ret_text, size_t *ret_len, struct bh_diag *diag)
{
    uint8_t unique[16];
    char hex[2 * sizeof(unique) + 1];
    char *text = NULL;

    if (bh_random(unique, sizeof(unique)) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "no random bytes");
    bh_hex(bh_span(unique, sizeof(unique)), hex, sizeof(hex));
    const int n = asprintf(&text, "# %s\n%s", hex, trust->pem);
    if (n < 0)
        return bh_fail(diag, BH_ERR_NOMEM, "roots");
    *ret_text = text;
    *ret_len = (size_t)n;
    return BH_OK;
}

static CURLcode
set_options(CURL *easy, struct bh_curl *c, struct curl_blob *roots)
{
    const struct {
        CURLoption option;
        long value;
    } longs[] = {
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 0},
        {CURLOPT_SSL_SESSIONID_CACHE, 0},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_3},
    };
    CURLcode rc = CURLE_OK;

    for (size_t i = 0; i < BH_COUNT(longs) && rc == CURLE_OK; i++)
        rc = curl_easy_setopt(easy, longs[i].option, longs[i].value);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, roots);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, c);
    return rc;
}

static enum bh_err
attach(CURL *easy, const struct bh_trust *trust, const struct bh_expectation *expectation,
    struct bh_curl **ret_attached, struct bh_diag *diag)
{
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    struct curl_blob roots = {.flags = CURL_BLOB_COPY};
    struct bh_curl *c = NULL;
    char *text = NULL;
    enum bh_err e;

    if (version->ssl_version == NULL || strncmp(version->ssl_version, "OpenSSL/", 8) != 0)
        return bh_refuse(diag, BH_ERR_USAGE, "libcurl", "OpenSSL",
            version->ssl_version == NULL ? "none" : version->ssl_version,
            "this libcurl is built with another TLS library");
    if ((e = roots_blob(trust, &text, &roots.len, diag)) != BH_OK)
        return e;
    roots.data = text;
    if ((c = calloc(1, sizeof(*c))) == NULL ||
        (c->expectation = bh_expectation_copy(expectation)) == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "libcurl");
        goto out;
    }
    c->trust = bh_trust_ref(trust);
    const CURLcode rc = set_options(easy, c, &roots);
    if (rc != CURLE_OK) {
        e = bh_fail(diag, BH_ERR_INTERNAL, "libcurl: %s", curl_easy_strerror(rc));
        goto out;
    }
    *ret_attached = c;
    c = NULL;
out:
    bh_curl_free(c);
    free(text);
    return e;
}

enum bh_result
bh_curl_attach(CURL *easy, const struct bh_trust *trust, const struct bh_expectation *expectation,
    struct bh_curl **ret_attached, struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    const enum bh_err e = attach(easy, trust, expectation, ret_attached, &diag);

    return bh_failure_set(failure, &diag, e);
}

void
bh_curl_free(struct bh_curl *attached)
{
    if (attached == NULL)
        return;
    bh_trust_free(attached->trust);
    bh_expectation_free(attached->expectation);
    bh_peer_free(attached->peer);
    free(attached);
}

const struct bh_peer *
bh_curl_peer(const struct bh_curl *attached)
{
    return attached->peer;
}

const struct bh_failure *
bh_curl_failure(const struct bh_curl *attached)
{
    return attached->refused ? &attached->failure : NULL;
}
