/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include "json.h"
#include "limits.h"
#include "text.h"
#include "x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define REPLY_MAX (1024 * 1024)
#define ROOTS_MAX 16
#define URL_MAX 512

struct bh_http {
    CURL *curl;
    char url[URL_MAX];
    size_t roots_len;
    X509 *roots[ROOTS_MAX];
    STACK_OF(X509) * trusted;
    struct bh_diag refused; /* why the last handshake was refused */
    char curl_error[CURL_ERROR_SIZE];
};

/* O= of the root is the trust domain; the root was given by who calls. */
static bool
trust_domain(X509 *root, char *out, size_t size)
{
    const int n = X509_NAME_get_text_by_NID(
        X509_get_subject_name(root), NID_organizationName, out, (int)size);

    return n > 0 && (size_t)n < size && bh_is_dns_name(bh_span_str(out));
}

/* Exactly one URI name, and it is the server's. */
static bool
is_server(X509 *leaf, const char *wanted)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    size_t uris = 0;
    bool match = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        uris++;
        match = bh_span_is(bh_span(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                               (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier)),
            wanted);
    }
    GENERAL_NAMES_free(names);
    return uris == 1 && match;
}

/* In place of OpenSSL's own verification: these roots, and the server's SPIFFE ID instead of a host
 * name. */
static int
verify(X509_STORE_CTX *ctx, void *arg)
{
    struct bh_http *http = arg;
    char domain[256], wanted[300], why[160];
    STACK_OF(X509) * chain;

    X509_STORE_CTX_set0_trusted_stack(ctx, http->trusted);
    (void)X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
    if (X509_verify_cert(ctx) != 1) {
        (void)bh_refuse(&http->refused, BH_ERR_NOT_AUTHENTIC, "server.chain",
            "a chain to the given root",
            X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)),
            "the server's certificate does not hold");
        bh_hint(&http->refused, "is --root this server's ca/root.crt, and are both clocks right?");
        return 0;
    }
    chain = X509_STORE_CTX_get0_chain(ctx);
    if (!trust_domain(sk_X509_value(chain, sk_X509_num(chain) - 1), domain, sizeof(domain))) {
        (void)bh_refuse(&http->refused, BH_ERR_NOT_AUTHENTIC, "server.root", "O=<trust domain>",
            NULL, "the root is not one of a Beachhead deployment");
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    (void)snprintf(wanted, sizeof(wanted), "spiffe://%s/beachhead/server", domain);
    if (is_server(X509_STORE_CTX_get0_cert(ctx), wanted))
        return 1;
    (void)bh_openssl_why(why, sizeof(why));
    (void)bh_refuse(&http->refused, BH_ERR_NOT_AUTHENTIC, "server.identity", wanted, "another name",
        "who answers is not the attestation server of this root");
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static CURLcode
set_up_tls(CURL *curl, void *ssl_ctx, void *arg)
{
    SSL_CTX *ctx = ssl_ctx;

    (void)curl;
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify, arg);
    return CURLE_OK;
}

static bool
set_options(struct bh_http *http, long timeout_ms)
{
    CURL *c = http->curl;

    /* The identity is the SPIFFE ID that verify() demands: host names say nothing here. */
    return curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CAINFO, NULL) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, set_up_tls) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSL_CTX_DATA, http) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, http->curl_error) == CURLE_OK;
}

static enum bh_err
check_url(const char *url, struct bh_diag *diag)
{
    const char *host = url + strlen("https://");

    if (strncmp(url, "https://", 8) != 0 || host[0] == '\0' || strchr(host, '/') != NULL ||
        strchr(host, '@') != NULL || strlen(url) >= URL_MAX - 64)
        return bh_fail(diag, BH_ERR_USAGE,
            "expected a URL https://HOST:PORT without a path, found '%.80s'", url);
    return BH_OK;
}

enum bh_err
bh_http_new(const char *url, struct bh_span roots_pem, long timeout_ms, struct bh_http **ret_http,
    struct bh_diag *diag)
{
    struct bh_http *http;
    enum bh_err e;

    if ((e = check_url(url, diag)) != BH_OK)
        return e;
    if ((http = calloc(1, sizeof(*http))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "HTTP client");
    (void)snprintf(http->url, sizeof(http->url), "%s", url);
    e = bh_x509_pem(roots_pem, http->roots, ROOTS_MAX, &http->roots_len, diag);
    if (e == BH_OK && (http->trusted = sk_X509_new_null()) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "HTTP client");
    for (size_t i = 0; e == BH_OK && i < http->roots_len; i++)
        if (sk_X509_push(http->trusted, http->roots[i]) <= 0)
            e = bh_fail(diag, BH_ERR_NOMEM, "HTTP client");
    if (e == BH_OK && ((http->curl = curl_easy_init()) == NULL || !set_options(http, timeout_ms)))
        e = bh_fail(diag, BH_ERR_INTERNAL, "libcurl does not take an option that is needed");
    if (e != BH_OK) {
        bh_http_free(http);
        return e;
    }
    *ret_http = http;
    return BH_OK;
}

void
bh_http_free(struct bh_http *http)
{
    if (http == NULL)
        return;
    curl_easy_cleanup(http->curl);
    sk_X509_free(http->trusted);
    for (size_t i = 0; i < http->roots_len; i++)
        X509_free(http->roots[i]);
    free(http);
}

struct sink {
    char *bytes;
    size_t len;
};

static size_t
take(char *bytes, size_t size, size_t n, void *arg)
{
    struct sink *sink = arg;
    char *grown;

    n *= size;
    if (sink->len + n > REPLY_MAX || (grown = realloc(sink->bytes, sink->len + n + 1)) == NULL)
        return 0;
    memcpy(grown + sink->len, bytes, n);
    sink->bytes = grown;
    sink->len += n;
    sink->bytes[sink->len] = '\0';
    return n;
}

static void
read_info(struct bh_http *http, struct bh_http_reply *reply)
{
    const char *type = NULL;
    curl_off_t after = 0;

    (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &reply->status);
    if (curl_easy_getinfo(http->curl, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type != NULL)
        (void)snprintf(reply->content_type, sizeof(reply->content_type), "%s", type);
    if (curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &after) == CURLE_OK)
        reply->retry_after = (long)after;
}

static enum bh_err
explain(struct bh_http *http, CURLcode code, struct bh_diag *diag)
{
    const char *why = http->curl_error[0] != '\0' ? http->curl_error : curl_easy_strerror(code);
    enum bh_err e;

    if (http->refused.err != BH_OK) {
        if (diag != NULL && diag->err == BH_OK)
            *diag = http->refused;
        return http->refused.err;
    }
    if (code == CURLE_WRITE_ERROR)
        return bh_fail(
            diag, BH_ERR_TOO_LARGE, "%s answered with more than %d bytes", http->url, REPLY_MAX);
    if (code == CURLE_OUT_OF_MEMORY)
        return bh_fail(diag, BH_ERR_NOMEM, "HTTP client");
    e = bh_fail(diag, BH_ERR_NETWORK, "%s: %s", http->url, why);
    bh_hint(diag, "is the server running there, and does it speak TLS 1.3?");
    return e;
}

enum bh_err
bh_http_request(struct bh_http *http, const char *path, const char *content_type,
    const struct bh_span *body, struct bh_http_reply *ret_reply, struct bh_diag *diag)
{
    struct bh_http_reply reply = {0};
    struct curl_slist *headers = NULL;
    char url[URL_MAX * 2];
    char type[128];
    struct sink sink = {0};
    CURLcode code;

    bh_diag_clear(&http->refused);
    http->curl_error[0] = '\0';
    if (snprintf(url, sizeof(url), "%s%s", http->url, path) >= (int)sizeof(url))
        return bh_fail(diag, BH_ERR_USAGE, "the path is too long");
    /* Without this libcurl waits a second for the server's leave to send a longer body. */
    headers = curl_slist_append(headers, "Expect:");
    if (body != NULL) {
        (void)snprintf(type, sizeof(type), "Content-Type: %s", content_type);
        headers = curl_slist_append(headers, type);
        (void)curl_easy_setopt(http->curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(
            http->curl, CURLOPT_POSTFIELDS, body->ptr != NULL ? (const char *)body->ptr : "");
        (void)curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    } else {
        (void)curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);
    }
    (void)curl_easy_setopt(http->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &sink);
    code = curl_easy_perform(http->curl);
    (void)curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        free(sink.bytes);
        return explain(http, code, diag);
    }
    read_info(http, &reply);
    reply.body = sink.bytes != NULL ? sink.bytes : strdup("");
    reply.body_len = sink.len;
    if (reply.body == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "HTTP client");
    *ret_reply = reply;
    return BH_OK;
}

void
bh_http_reply_clear(struct bh_http_reply *reply)
{
    free(reply->body);
    memset(reply, 0, sizeof(*reply));
}

static const char *
text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text != NULL ? text : "";
}

enum bh_err
bh_http_problem(const struct bh_http_reply *reply, struct bh_diag *diag)
{
    static const char urn[] = "urn:beachhead:error:";
    json_t *json = NULL;
    const char *type;
    enum bh_err e;

    if (bh_json_parse(bh_span(reply->body, reply->body_len), BH_BODY_MAX, &json, NULL) != BH_OK ||
        strncmp(type = text_of(json, "type"), urn, sizeof(urn) - 1) != 0) {
        json_decref(json);
        return bh_fail(diag,
            reply->status >= 502 && reply->status <= 504 ? BH_ERR_OVERLOADED : BH_ERR_INTERNAL,
            "the server answered %ld without saying why", reply->status);
    }
    e = bh_refuse(diag, bh_err_from_code(type + sizeof(urn) - 1), text_of(json, "check"),
        text_of(json, "expected"), text_of(json, "found"), "%s", text_of(json, "detail"));
    if (text_of(json, "hint")[0] != '\0')
        bh_hint(diag, "%s", text_of(json, "hint"));
    json_decref(json);
    return e;
}
