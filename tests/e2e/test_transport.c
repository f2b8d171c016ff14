/* SPDX-License-Identifier: Apache-2.0 */
/* The server below HTTP: versions of TLS, headers, methods that no client of ours sends. */
#include "shared.h"

#include <criterion/criterion.h>

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

struct exchange {
    long status;
    CURLcode code;
    char *head; /* of the answer */
    size_t head_len;
};

static size_t
keep(char *bytes, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    char *grown = realloc(x->head, x->head_len + size * n + 1);

    cr_assert_not_null(grown);
    x->head = grown;
    memcpy(x->head + x->head_len, bytes, size * n);
    x->head_len += size * n;
    x->head[x->head_len] = '\0';
    return size * n;
}

static size_t
drop(char *bytes, size_t size, size_t n, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * n;
}

static void
exchange(const char *method, const char *path, const char *header, const char *body, long tls,
    struct exchange *x)
{
    struct curl_slist *headers = curl_slist_append(NULL, header);
    char url[256], root[400];
    CURL *curl = curl_easy_init();

    *x = (struct exchange){0};
    cr_assert_not_null(curl);
    if (strncmp(header, "Content-Type", 12) != 0)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    (void)snprintf(url, sizeof(url), "%s%s", shared_url(), path);
    (void)snprintf(root, sizeof(root), "%s/ca/root.crt", shared_home());
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_CAINFO, root);
    (void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, tls);
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(curl, CURLOPT_NOBODY, strcmp(method, "HEAD") == 0 ? 1L : 0L);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (body != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    x->code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &x->status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

static void
expect(const char *method, const char *path, const char *header, const char *body, long status,
    const char *in_head)
{
    struct exchange x;

    exchange(method, path, header, body, CURL_SSLVERSION_TLSv1_3, &x);
    cr_assert_eq(x.code, CURLE_OK, "%s %s: %s", method, path, curl_easy_strerror(x.code));
    cr_assert_eq(x.status, status, "%s %s: %ld", method, path, x.status);
    if (in_head != NULL)
        cr_assert_not_null(strcasestr(x.head, in_head), "%s", x.head);
    free(x.head);
}

/* curl trusts the root alone, and the server's name is the address that it listens on. */
Test(transport, tls_1_3_only)
{
    struct exchange x;

    expect("GET", "/healthz", "X-A: b", NULL, 200, NULL);
    exchange("GET", "/healthz", "X-A: b", NULL,
        CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2, &x);
    cr_assert_eq(x.code, CURLE_SSL_CONNECT_ERROR, "%s", curl_easy_strerror(x.code));
    cr_assert_eq(x.status, 0);
    free(x.head);
}

Test(transport, headers)
{
    expect("GET", "/v1/roots", "X-A: b", NULL, 200, "X-Request-Id: ");
    expect("GET", "/v1/roots", "X-A: b", NULL, 200, "X-Content-Type-Options: nosniff");
    expect("POST", "/v1/challenges", "Content-Type: application/json", "{}", 201,
        "Cache-Control: no-store");
    expect("GET", "/v1/nothing", "X-A: b", NULL, 404, "Content-Type: application/problem+json");
}

Test(transport, methods)
{
    expect("HEAD", "/v1/roots", "X-A: b", NULL, 200, NULL);
    expect("PUT", "/v1/challenges", "Content-Type: application/json", "{}", 405, "Allow: POST");
    expect("DELETE", "/v1/roots", "X-A: b", NULL, 405, "Allow: GET, HEAD");
    expect("PATCH", "/v1/certificates", "X-A: b", "{}", 405, "Allow: POST");
    expect("TRACE", "/v1/roots", "X-A: b", NULL, 405, NULL);
}

Test(transport, bodies)
{
    static char large[256 * 1024 + 2];

    expect("POST", "/v1/challenges", "Content-Type: text/plain", "{}", 400, NULL);
    memset(large, ' ', sizeof(large) - 1);
    /* Refused by its length: read on for who sends at once, before the body comes for who asks. */
    expect("POST", "/v1/challenges", "Content-Type: application/json", large, 413, NULL);
    expect("POST", "/v1/challenges", "Content-Length: 262145\r\nExpect: 100-continue", NULL, 413,
        NULL);
    expect("POST", "/v1/challenges", "Transfer-Encoding: chunked", large, 413, NULL);
    large[256 * 1024] = '\0';
    expect("POST", "/v1/challenges", "Content-Type: application/json", large, 201, NULL);
    expect("POST", "/v1/challenges", "Transfer-Encoding: chunked", "{}", 201, NULL);
}
