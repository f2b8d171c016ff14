/* SPDX-License-Identifier: Apache-2.0 */
/* server.json, read by one table of fields and written from the same. */
#include "config.h"

#include "core/json.h"
#include "core/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFIG_MAX (64 * 1024)
#define ORGANIZATION_MAX 64 /* ub-organization-name */
#define YEAR (INT64_C(366) * 86400)

enum kind {
    TEXT,
    BOOL,
    COUNT,
    DURATION,
};

/* Members beside "dns", which is a list. A dot leads into the object "rate". */
static const struct field {
    const char *name;
    enum kind kind;
    size_t at;
    int64_t min, max; /* bytes of storage for TEXT */
} fields[] = {
#define FIELD(member) offsetof(struct pas_config, member)
    {"trust_domain", TEXT, FIELD(trust_domain), 1, sizeof(((struct pas_config *)0)->trust_domain)},
    {"listen", TEXT, FIELD(listen), 1, sizeof(((struct pas_config *)0)->listen)},
    {"allow_simulated", BOOL, FIELD(allow_simulated), 0, 1},
    {"store", TEXT, FIELD(store), 1, sizeof(((struct pas_config *)0)->store)},
    {"rate.per_second", COUNT, FIELD(rate_per_second), 0, 1000000},
    {"rate.burst", COUNT, FIELD(rate_burst), 1, 1000000},
    {"connections", COUNT, FIELD(connections), 1, 1000000},
    {"connections_per_address", COUNT, FIELD(connections_per_address), 1, 1000000},
    {"idle_timeout", DURATION, FIELD(idle_timeout), 1, 3600},
    {"request_timeout", DURATION, FIELD(request_timeout), 1, 600},
    {"challenge_life", DURATION, FIELD(challenge_life), 1, 3600},
    {"clock_skew", DURATION, FIELD(clock_skew), 1, 3600},
    {"evidence_max_age", DURATION, FIELD(evidence_max_age), 1, 30 * 86400},
    {"certificate_lifetime", DURATION, FIELD(certificate_lifetime), 1, YEAR},
    {"certificate_lifetime_max", DURATION, FIELD(certificate_lifetime_max), 1, YEAR},
    {"retention", DURATION, FIELD(retention), 1, 10 * YEAR},
    {"verifiers", COUNT, FIELD(verifiers), 0, 256},
    {"tls12", BOOL, FIELD(tls12), 0, 1},
#undef FIELD
};

/* Members of later versions, with what they are for. */
static const char *const later[][2] = {
    {"public_url", "a plain-HTTP listener for revocation"},
    {"proxy_protocol_from", "the PROXY protocol"},
    {"on_event", "a command run for events"},
    {"issuing_key", "an issuing key in an HSM (PKCS#11)"},
};

struct examination {
    void (*problem)(void *arg, const struct bh_diag *diag);
    void *arg;
    enum bh_err first;
};

void
pas_config_defaults(struct pas_config *config)
{
    *config = (struct pas_config){
        .listen = "127.0.0.1:8443",
        .store = "sqlite",
        .rate_per_second = 100,
        .rate_burst = 500,
        .connections = 12000,
        .connections_per_address = 11000,
        .idle_timeout = 30,
        .request_timeout = 20,
        .challenge_life = 120,
        .clock_skew = 60,
        .evidence_max_age = 300,
        .certificate_lifetime = INT64_C(24) * 3600,
        .certificate_lifetime_max = INT64_C(7) * 86400,
        .retention = INT64_C(90) * 86400,
    };
}

static void
report(struct examination *x, struct bh_diag *diag, const char *hint)
{
    if (hint != NULL)
        bh_hint(diag, "%s", hint);
    if (x->first == BH_OK)
        x->first = diag->err;
    if (x->problem != NULL)
        x->problem(x->arg, diag);
}

static void
wrong(struct examination *x, const char *field, const char *expected, const char *found,
    const char *detail, const char *hint)
{
    struct bh_diag diag = {0};
    char check[BH_CHECK_MAX];

    (void)snprintf(check, sizeof(check), "server.json.%.60s", field);
    (void)bh_refuse(&diag, BH_ERR_USAGE, check, expected, found, "server.json, field \"%.60s\": %s",
        field, detail);
    report(x, &diag, hint);
}

/* ---- one field ---- */

static const char *
shown(const json_t *json, char *out, size_t size)
{
    char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);

    (void)snprintf(out, size, "%.100s", text != NULL ? text : "?");
    free(text);
    return out;
}

static void
read_text(struct examination *x, const struct field *f, const json_t *value, char *out)
{
    const char *text = json_string_value(value);
    char found[BH_VALUE_MAX];

    if (text == NULL || text[0] == '\0' || json_string_length(value) != strlen(text) ||
        strlen(text) >= (size_t)f->max)
        wrong(x, f->name, "a string", shown(value, found, sizeof(found)),
            "empty, too long, or of another type", NULL);
    else
        (void)snprintf(out, (size_t)f->max, "%s", text);
}

static void
read_number(struct examination *x, const struct field *f, const json_t *value, int64_t *out)
{
    const bool duration = f->kind == DURATION;
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];
    int64_t n = 0;
    bool good;

    if (duration) {
        good = json_is_string(value) && bh_duration_read(json_string_value(value), &n) == BH_OK;
        (void)snprintf(expected, sizeof(expected),
            "a duration such as \"90s\", \"15m\", \"24h\", \"7d\" from %llds to %llds",
            (long long)f->min, (long long)f->max);
    } else {
        good = json_is_integer(value);
        n = json_integer_value(value);
        (void)snprintf(expected, sizeof(expected), "an integer from %lld to %lld",
            (long long)f->min, (long long)f->max);
    }
    if (!good || n < f->min || n > f->max)
        wrong(x, f->name, expected, shown(value, found, sizeof(found)),
            "out of range or of another type", NULL);
    else
        *out = n;
}

static void
read_field(struct examination *x, const struct field *f, const json_t *value, struct pas_config *c)
{
    uint8_t *at = (uint8_t *)c + f->at;
    char found[BH_VALUE_MAX];
    bool flag;
    int64_t n;

    switch (f->kind) {
    case TEXT:
        read_text(x, f, value, (char *)at);
        break;
    case BOOL:
        flag = json_is_true(value);
        if (!json_is_boolean(value))
            wrong(x, f->name, "true or false", shown(value, found, sizeof(found)),
                "of another type", NULL);
        else
            memcpy(at, &flag, sizeof(flag));
        break;
    case COUNT:
    case DURATION:
        memcpy(&n, at, sizeof(n));
        read_number(x, f, value, &n);
        memcpy(at, &n, sizeof(n));
        break;
    }
}

static void
read_dns(struct examination *x, const json_t *list, struct pas_config *c)
{
    char field[32], found[BH_VALUE_MAX];

    if (!json_is_array(list) || json_array_size(list) > PAS_CONFIG_DNS_MAX) {
        wrong(x, "dns", "a list of at most 16 DNS names", shown(list, found, sizeof(found)),
            "too long or of another type", NULL);
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        (void)snprintf(field, sizeof(field), "dns[%zu]", i);
        if (name == NULL || !bh_is_dns_name(bh_span_str(name)))
            wrong(x, field, "a DNS name in lower case",
                shown(json_array_get(list, i), found, sizeof(found)), "not a DNS name", NULL);
        else
            (void)snprintf(c->dns[c->dns_len++], sizeof(c->dns[0]), "%s", name);
    }
}

/* ---- the whole ---- */

static const struct field *
find_field(const char *name)
{
    for (size_t i = 0; i < BH_COUNT(fields); i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static void
unknown(struct examination *x, const char *name)
{
    char detail[BH_VALUE_MAX];

    for (size_t i = 0; i < BH_COUNT(later); i++) {
        if (strcmp(later[i][0], name) != 0)
            continue;
        (void)snprintf(detail, sizeof(detail), "%s is not built yet", later[i][1]);
        wrong(x, name, "nothing", "a value", detail, "remove the field");
        return;
    }
    wrong(x, name, "a field of server.json", name, "there is no such field",
        "compare with the server.json of a fresh `beachhead-server init`");
}

static void
read_members(struct examination *x, const char *prefix, json_t *object, struct pas_config *c)
{
    const char *key;
    json_t *value;
    char name[128], found[BH_VALUE_MAX];

    json_object_foreach(object, key, value)
    {
        const struct field *f;

        (void)snprintf(name, sizeof(name), "%s%.90s", prefix, key);
        if (strcmp(name, "dns") == 0)
            read_dns(x, value, c);
        else if (strcmp(name, "rate") == 0 && json_is_object(value))
            read_members(x, "rate.", value, c);
        else if (strcmp(name, "rate") == 0)
            wrong(x, "rate", "an object", shown(value, found, sizeof(found)), "of another type",
                NULL);
        else if ((f = find_field(name)) != NULL)
            read_field(x, f, value, c);
        else
            unknown(x, name);
    }
}

/* What one field's type and range do not say. */
static void
check_meaning(struct examination *x, const json_t *json, const struct pas_config *c)
{
    char host[PAS_CONFIG_HOST_MAX];
    struct bh_diag diag = {0};
    uint16_t port;

    if (json_object_get(json, "trust_domain") == NULL)
        wrong(x, "trust_domain", "a DNS name", "nothing", "missing", NULL);
    else if (c->trust_domain[0] != '\0' && !bh_is_dns_name(bh_span_str(c->trust_domain)))
        wrong(
            x, "trust_domain", "a DNS name in lower case", c->trust_domain, "not a DNS name", NULL);
    else if (strlen(c->trust_domain) > ORGANIZATION_MAX)
        wrong(x, "trust_domain", "at most 64 bytes", "more",
            "it does not fit the organization name of a certificate (RFC 5280, A.1)", NULL);
    if (pas_config_listen(c->listen, host, &port, &diag) != BH_OK)
        report(x, &diag, NULL);
    if (strncmp(c->store, "postgresql:", 11) == 0)
        wrong(x, "store", "sqlite", "postgresql", "PostgreSQL is not built yet",
            "use the embedded store: \"sqlite\"");
    else if (strcmp(c->store, "sqlite") != 0)
        wrong(x, "store", "sqlite", c->store, "there is no such store", NULL);
    if (c->certificate_lifetime > c->certificate_lifetime_max)
        wrong(x, "certificate_lifetime", "at most certificate_lifetime_max", "more",
            "the default lifetime is above its own cap", NULL);
}

enum bh_err
pas_config_examine(struct bh_span text, struct pas_config *ret_config,
    void (*problem)(void *arg, const struct bh_diag *diag), void *arg)
{
    struct examination x = {.problem = problem, .arg = arg};
    struct pas_config *config = calloc(1, sizeof(*config));
    struct bh_diag diag = {0};
    json_t *json = NULL;

    if (config == NULL) {
        (void)bh_fail(&diag, BH_ERR_NOMEM, "server.json");
        report(&x, &diag, NULL);
        goto out;
    }
    if (bh_json_parse(text, CONFIG_MAX, &json, &diag) != BH_OK) {
        wrong(&x, "(text)", "one JSON object without duplicate keys", "something else", diag.detail,
            NULL);
        goto out;
    }
    if (!json_is_object(json)) {
        wrong(&x, "(text)", "an object", "another value", "of another type", NULL);
        goto out;
    }
    pas_config_defaults(config);
    read_members(&x, "", json, config);
    check_meaning(&x, json, config);
    if (x.first == BH_OK)
        *ret_config = *config;
out:
    json_decref(json);
    free(config);
    return x.first;
}

static void
keep_first(void *arg, const struct bh_diag *diag)
{
    struct bh_diag *kept = arg;

    if (kept != NULL && kept->err == BH_OK)
        *kept = *diag;
}

enum bh_err
pas_config_parse(struct bh_span json, struct pas_config *ret_config, struct bh_diag *diag)
{
    return pas_config_examine(json, ret_config, keep_first, diag);
}

enum bh_err
pas_config_listen(const char *listen, char *host, uint16_t *ret_port, struct bh_diag *diag)
{
    const char *colon = strrchr(listen, ':');
    const bool six = listen[0] == '[';
    const size_t len = colon != NULL ? (size_t)(colon - listen) : 0;
    struct in6_addr address;
    char text[PAS_CONFIG_HOST_MAX];
    unsigned long port = 65536;
    char *end = NULL;

    if (colon != NULL && colon[1] >= '0' && colon[1] <= '9' && strlen(colon) <= 6)
        port = strtoul(colon + 1, &end, 10);
    if (port <= 65535 && end != NULL && *end == '\0' && len < sizeof(text) &&
        (!six || (len > 2 && listen[len - 1] == ']'))) {
        (void)snprintf(
            text, sizeof(text), "%.*s", (int)(six ? len - 2 : len), six ? listen + 1 : listen);
        if (inet_pton(six ? AF_INET6 : AF_INET, text, &address) == 1) {
            memcpy(host, text, sizeof(text));
            *ret_port = (uint16_t)port;
            return BH_OK;
        }
    }
    const enum bh_err e = bh_refuse(diag, BH_ERR_USAGE, "server.json.listen",
        "ADDR:PORT or [ADDR]:PORT, numeric", listen, "server.json, field \"listen\": no address");
    bh_hint(diag, "for example 127.0.0.1:8443, 0.0.0.0:8443, [::]:8443; names belong to \"dns\"");
    return e;
}

/* ---- writing ---- */

/* In the largest unit of which there are two or more: "24h", not "1d". */
static json_t *
duration_json(int64_t seconds)
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;

    while (
        units[i].seconds > 1 && (seconds % units[i].seconds != 0 || seconds < 2 * units[i].seconds))
        i++;
    return json_sprintf("%lld%c", (long long)(seconds / units[i].seconds), units[i].unit);
}

static json_t *
field_json(const struct field *f, const struct pas_config *c)
{
    const uint8_t *at = (const uint8_t *)c + f->at;
    int64_t n = 0;
    bool flag = false;

    switch (f->kind) {
    case TEXT:
        return json_string((const char *)at);
    case BOOL:
        memcpy(&flag, at, sizeof(flag));
        return json_boolean(flag);
    default:
        memcpy(&n, at, sizeof(n));
        return f->kind == COUNT ? json_integer(n) : duration_json(n);
    }
}

enum bh_err
pas_config_text(const struct pas_config *config, char **ret_text, struct bh_diag *diag)
{
    json_t *root = json_object(), *rate = json_object(), *dns = json_array();
    bool good = root != NULL && rate != NULL && dns != NULL;
    char *text = NULL;

    for (size_t i = 0; good && i < config->dns_len; i++)
        good = json_array_append_new(dns, json_string(config->dns[i])) == 0;
    for (size_t i = 0; good && i < BH_COUNT(fields); i++) {
        const bool inner = strncmp(fields[i].name, "rate.", 5) == 0;
        /* In the order of the table, "rate" where its first member stands. */
        if (inner)
            good = json_object_set(root, "rate", rate) == 0;
        good = good && json_object_set_new(inner ? rate : root, fields[i].name + (inner ? 5 : 0),
                           field_json(&fields[i], config)) == 0;
        if (strcmp(fields[i].name, "listen") == 0)
            good = good && json_object_set(root, "dns", dns) == 0;
    }
    if (good)
        text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    json_decref(rate);
    json_decref(dns);
    if (text == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "server.json");
    *ret_text = text;
    return BH_OK;
}
