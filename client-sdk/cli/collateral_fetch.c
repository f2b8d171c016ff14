/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `beachhead collateral fetch`: the URLs that a refusal names, or anew what soon expires, from the
 * vendors' services (AMD 57230; Intel PCS API, version 4) or a mirror. Who answers is not believed:
 * what comes is verified as `import` does it.
 */
#include "collateral.h"

#include "core/text.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define COMMAND "beachhead collateral fetch"
#define AMD "https://kdsintf.amd.com"
#define INTEL "https://api.trustedservices.intel.com"
#define INTEL_ROOT_CRL "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
#define URL_MAX 512
#define TRIES 3
#define WAIT_MAX 60 /* seconds between two tries, whatever the service says */
#define TIMEOUT_S 30
#define WITHIN_S (INT64_C(7) * 86400)

struct fetch {
    struct bh_intake *intake;
    CURL *curl;
    const char *mirror; /* in place of scheme and host of every URL; NULL: none */
    int64_t timeout;
    char why[CURL_ERROR_SIZE];
};

/* ---- one answer ---- */

struct answer {
    uint8_t *bytes;
    size_t len;
    bool too_large;
    long status;
};

static size_t
keep(char *data, size_t size, size_t count, void *arg)
{
    struct answer *a = arg;
    const size_t len = size * count;

    if (len > BH_COLLATERAL_MAX - a->len) {
        a->too_large = true;
        return 0;
    }
    memcpy(a->bytes + a->len, data, len);
    a->len += len;
    return len;
}

static bool
prepare(const struct fetch *f, const char *url, struct answer *a)
{
    CURL *c = f->curl;

    curl_easy_reset(c);
    return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, f->mirror != NULL ? "http,https" : "https") ==
               CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)f->timeout * 1000) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "beachhead/" BH_VERSION) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->why) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, keep) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, a) == CURLE_OK;
}

static void
wait_for(CURL *curl, unsigned tried)
{
    curl_off_t asked = 0;
    struct timespec t = {.tv_sec = (time_t)(5 * tried)};

    if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &asked) == CURLE_OK && asked > 0)
        t.tv_sec = (time_t)(asked < WAIT_MAX ? asked : WAIT_MAX);
    while (nanosleep(&t, &t) != 0)
        ;
}

/* A service that throttles is asked again, as it says, a few times. */
static enum bh_err
get(struct fetch *f, const char *url, struct answer *a, struct bh_diag *diag)
{
    char found[BH_VALUE_MAX];
    enum bh_err e;

    for (unsigned tried = 1; tried <= TRIES; tried++) {
        a->len = 0;
        f->why[0] = '\0';
        if (!prepare(f, url, a))
            return bh_fail(diag, BH_ERR_INTERNAL, "%s: libcurl takes no such request", url);
        const CURLcode code = curl_easy_perform(f->curl);

        if (a->too_large)
            return bh_refuse(diag, BH_ERR_TOO_LARGE, "collateral.size", "at most 64 KiB", "more",
                "%s: the answer is too large", url);
        if (code != CURLE_OK) {
            e = bh_refuse(diag, BH_ERR_NETWORK, "fetch.connection", "an answer",
                f->why[0] != '\0' ? f->why : curl_easy_strerror(code), "%s: no answer", url);
            bh_hint(diag, "try again later, or fetch it elsewhere and import it here");
            return e;
        }
        (void)curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &a->status);
        if (a->status != 429 && a->status != 503)
            break;
        if (tried < TRIES)
            wait_for(f->curl, tried);
    }
    if (a->status == 200)
        return BH_OK;
    (void)snprintf(found, sizeof(found), "%ld", a->status);
    e = bh_refuse(diag,
        a->status >= 500 || a->status == 429 ? BH_ERR_NETWORK : BH_ERR_COLLATERAL_MISSING,
        "fetch.status", "200", found, "%s: the service does not hand it out", url);
    bh_hint(diag, a->status >= 500 || a->status == 429
                      ? "try again later: the service is busy"
                      : "compare the URL with what the refusal named");
    return e;
}

/* ---- into the folder ---- */

static enum bh_err
take(struct fetch *f, const char *name, struct bh_span bytes, struct bh_diag *diag)
{
    uint8_t *copy = malloc(bytes.len + 1);

    if (copy == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "collateral");
    if (bytes.len > 0)
        memcpy(copy, bytes.ptr, bytes.len);
    return bh_collateral_take(&f->intake->given, name, copy, bytes.len, diag);
}

/* Intel sends the chain of who signed the answer in a header. */
static enum bh_err
take_chain(struct fetch *f, struct bh_diag *diag)
{
    static const char tail[] = "-Issuer-Chain";
    struct curl_header *h = NULL;

    while ((h = curl_easy_nextheader(f->curl, CURLH_HEADER, -1, h)) != NULL) {
        const size_t len = strlen(h->name);

        if (len > sizeof(tail) - 1 && strcasecmp(h->name + len - (sizeof(tail) - 1), tail) == 0)
            return take(f, h->name, bh_span_str(h->value), diag);
    }
    return BH_OK;
}

static enum bh_err
place(const struct fetch *f, const char *url, char out[URL_MAX], struct bh_diag *diag)
{
    const char *path = strncmp(url, "https://", 8) == 0 ? strchr(url + 8, '/') : NULL;

    if (path == NULL)
        return bh_refuse(diag, BH_ERR_USAGE, "fetch.url", "https://HOST/PATH", url,
            "not a URL of a vendor's service");
    if (snprintf(out, URL_MAX, "%s%s", f->mirror != NULL ? f->mirror : "",
            f->mirror != NULL ? path : url) >= URL_MAX)
        return bh_refuse(diag, BH_ERR_USAGE, "fetch.url", "at most 511 characters", "more",
            "the URL is too long");
    return BH_OK;
}

static enum bh_err
fetch_one(struct fetch *f, const char *url, const char *name)
{
    struct answer a = {.bytes = malloc(BH_COLLATERAL_MAX)};
    struct bh_diag diag = {0};
    char where[URL_MAX];
    enum bh_err e;

    if (a.bytes == NULL)
        e = bh_fail(&diag, BH_ERR_NOMEM, "collateral");
    else if ((e = place(f, url, where, &diag)) == BH_OK &&
             (e = get(f, where, &a, &diag)) == BH_OK &&
             (e = take(f, name, bh_span(a.bytes, a.len), &diag)) == BH_OK)
        e = take_chain(f, &diag);
    free(a.bytes);
    if (e == BH_OK)
        return bh_intake_admit(f->intake);
    bh_collateral_files_clear(&f->intake->given);
    (void)bh_cli_failed(COMMAND, &diag);
    return e;
}

/* ---- what is to be renewed ---- */

/* Where the next file of the same kind and key is handed out; false for what is not renewed. */
static bool
url_of(const struct bh_collateral_file *f, char url[URL_MAX])
{
    const struct ev_collateral *c = &f->what;
    const struct bh_span key = bh_span(c->keys[0].bytes, c->keys[0].len);
    char hex[16];

    if (c->simulated)
        return false;
    switch (c->kind) {
    case EV_COLLATERAL_AMD_CRL: /* the key is "Milan/vcek" */
        (void)snprintf(url, URL_MAX, AMD "/%s/v1/%.*s/crl",
            strstr(f->name, "vlek") != NULL ? "vlek" : "vcek", (int)key.len - 5,
            (const char *)key.ptr);
        return true;
    case EV_COLLATERAL_TCB_INFO:
        (void)snprintf(url, URL_MAX, INTEL "/%s/certification/v4/tcb?fmspc=%s",
            key.ptr[6] != 0 ? "tdx" : "sgx", bh_hex(bh_span(key.ptr, 6), hex, sizeof(hex)));
        return true;
    case EV_COLLATERAL_QE_IDENTITY:
        (void)snprintf(url, URL_MAX, INTEL "/%s/certification/v4/qe/identity",
            key.ptr[0] != 0 ? "tdx" : "sgx");
        return true;
    case EV_COLLATERAL_PCK_CRL:
        (void)snprintf(url, URL_MAX, INTEL "/sgx/certification/v4/pckcrl?ca=%.*s&encoding=der",
            (int)key.len, (const char *)key.ptr);
        return true;
    case EV_COLLATERAL_ROOT_CRL:
        (void)snprintf(url, URL_MAX, INTEL_ROOT_CRL);
        return true;
    default:
        return false;
    }
}

static enum bh_err
first(enum bh_err so_far, enum bh_err next)
{
    return so_far != BH_OK ? so_far : next;
}

static enum bh_err
renew(struct fetch *f, int64_t within)
{
    const struct bh_collateral_files *there = &f->intake->there;
    enum bh_err e = BH_OK;
    char url[URL_MAX];
    size_t n = 0;

    for (size_t i = 0; i < there->len; i++) {
        const struct bh_collateral_file *one = &there->items[i];

        if (!one->known || one->what.until > f->intake->at + within || !url_of(one, url) ||
            ev_collateral_set_shadows(there->set, &one->what, bh_span(one->bytes, one->len)))
            continue;
        e = first(e, fetch_one(f, url, one->name));
        n++;
    }
    if (n == 0 && !f->intake->json)
        (void)printf("nothing there is to be renewed yet\n");
    return e;
}

static int
run(struct fetch *f, const struct bh_cli_list *urls, int64_t within)
{
    struct bh_diag diag = {0};
    enum bh_err e;

    if (bh_intake_open(f->intake, &diag) != BH_OK)
        return bh_cli_failed(COMMAND, &diag);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || (f->curl = curl_easy_init()) == NULL) {
        (void)bh_fail(&diag, BH_ERR_NOMEM, "libcurl");
        return bh_cli_failed(COMMAND, &diag);
    }
    e = urls->len == 0 ? renew(f, within) : BH_OK;
    for (size_t i = 0; i < urls->len; i++)
        e = first(e, fetch_one(f, urls->items[i], urls->items[i]));
    curl_easy_cleanup(f->curl);
    curl_global_cleanup();
    return bh_intake_finish(f->intake, e);
}

/* Durations, and the form of the mirror. -1 to go on. */
static int
read_options(
    struct fetch *f, const char *at, const char *within, const char *timeout, int64_t *ret_within)
{
    if (at != NULL && bh_time_read(at, &f->intake->at) != BH_OK)
        return bh_cli_usage_error(COMMAND, "--at %s: a time like 2026-11-23T18:06:00Z", at);
    if ((within != NULL && bh_duration_read(within, ret_within) != BH_OK) ||
        (timeout != NULL && (bh_duration_read(timeout, &f->timeout) != BH_OK || f->timeout > 3600)))
        return bh_cli_usage_error(COMMAND, "--within and --timeout are like 30s, 12h, 7d");
    if (f->mirror != NULL && strncmp(f->mirror, "https://", 8) != 0 &&
        strncmp(f->mirror, "http://", 7) != 0)
        return bh_cli_usage_error(COMMAND, "--mirror is like https://HOST[:PORT]");
    return -1;
}

int
bh_collateral_fetch(int argc, char **argv)
{
    struct bh_intake *m = calloc(1, sizeof(*m));
    struct fetch f = {.intake = m, .timeout = TIMEOUT_S};
    const char *within_text = NULL, *timeout = NULL, *at = NULL;
    struct bh_cli_list urls = {0};
    int64_t within = WITHIN_S;
    int code;

    if (m == NULL)
        return 2;
    m->command = COMMAND;
    m->at = bh_time_now();
    const struct bh_cli_option options[] = {
        {.name = "dir",
            .value = "DIR",
            .help = "the server's folder",
            .needed = true,
            .text = &m->dir},
        {.name = "within",
            .value = "DURATION",
            .help = "without URLs: renew what expires so soon (default 7d)",
            .text = &within_text},
        {.name = "mirror",
            .value = "URL",
            .help = "ask this host instead of the vendors', by the same paths",
            .text = &f.mirror},
        {.name = "trust-anchor",
            .value = "FILE",
            .help = "believe these certificates instead of DIR/trust or the built-in roots",
            .list = &m->anchor_files},
        {.name = "at",
            .value = "TIME",
            .help = "verify as of this time (RFC 3339 UTC; default now)",
            .text = &at},
        {.name = "timeout",
            .value = "DURATION",
            .help = "for each request (default 30s)",
            .text = &timeout},
        {.name = "json", .help = "print one JSON document", .flag = &m->json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Fetch what a refusal names, or renew what soon expires, into DIR/collateral.",
        .example = COMMAND " --dir /srv/beachhead https://kdsintf.amd.com/vcek/v1/Milan/crl",
        .options = options,
        .args = "[URL...]",
        .args_max = BH_CLI_LIST_MAX,
    };

    if ((code = bh_cli_parse(&usage, argc, argv, &urls)) < 0 &&
        (code = read_options(&f, at, within_text, timeout, &within)) < 0)
        code = run(&f, &urls, within);
    bh_intake_clear(m);
    free(m);
    return code;
}
