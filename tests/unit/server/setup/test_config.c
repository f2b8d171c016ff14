/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static enum bh_err
parse(const char *text, struct pas_config *c, struct bh_diag *diag)
{
    memset(diag, 0, sizeof(*diag));
    return pas_config_parse(bh_span_str(text), c, diag);
}

Test(config, defaults)
{
    struct pas_config c;
    struct bh_diag diag;

    cr_assert_eq(
        parse("{\"trust_domain\":\"fleet.example\"}", &c, &diag), BH_OK, "%s", diag.detail);
    cr_assert_str_eq(c.trust_domain, "fleet.example");
    cr_assert_str_eq(c.listen, "127.0.0.1:8443");
    cr_assert_str_eq(c.store, "sqlite");
    cr_assert_eq(c.rate_per_second, 100);
    cr_assert_eq(c.rate_burst, 500);
    cr_assert_eq(c.challenge_life, 120);
    cr_assert_eq(c.certificate_lifetime, 86400);
    cr_assert_eq(c.certificate_lifetime_max, 7 * 86400);
    cr_assert_not(c.allow_simulated);
    cr_assert_not(c.tls12);
}

Test(config, what_is_written_is_read_back)
{
    struct pas_config c, back;
    struct bh_diag diag = {0};
    char *text = NULL, *again = NULL;

    pas_config_defaults(&c);
    (void)snprintf(c.trust_domain, sizeof(c.trust_domain), "fleet.example");
    c.dns_len = 2;
    (void)snprintf(c.dns[0], sizeof(c.dns[0]), "a.fleet.example");
    (void)snprintf(c.dns[1], sizeof(c.dns[1]), "b.fleet.example");
    c.allow_simulated = true;
    c.challenge_life = 1;
    c.rate_burst = 7;
    cr_assert_eq(pas_config_text(&c, &text, &diag), BH_OK);
    cr_assert_not_null(strstr(text, "\"certificate_lifetime\": \"24h\""));
    cr_assert_eq(parse(text, &back, &diag), BH_OK, "%s: %s", diag.check, diag.detail);
    cr_assert_eq(pas_config_text(&back, &again, &diag), BH_OK);
    cr_assert_str_eq(text, again);
    cr_assert_eq(back.challenge_life, 1);
    cr_assert_eq(back.rate_burst, 7);
    cr_assert(back.allow_simulated);
    cr_assert_str_eq(back.dns[1], "b.fleet.example");
    free(text);
    free(again);
}

#define DOMAIN "\"trust_domain\":\"fleet.example\","

Test(config, every_bad_field_is_named)
{
    static const struct {
        const char *text, *check;
    } bad[] = {
        {"", "server.json.(text)"},
        {"[]", "server.json.(text)"},
        {"{\"trust_domain\":\"a\",\"trust_domain\":\"b\"}", "server.json.(text)"},
        {"{\"trust_domain\":\"a\"} x", "server.json.(text)"},
        {"{}", "server.json.trust_domain"},
        {"{\"trust_domain\":\"Fleet\"}", "server.json.trust_domain"},
        {"{\"trust_domain\":7}", "server.json.trust_domain"},
        {"{\"trust_domain\":\"\"}", "server.json.trust_domain"},
        {"{\"trust_domain\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}",
            "server.json.trust_domain"},
        {"{" DOMAIN "\"listen\":\"8443\"}", "server.json.listen"},
        {"{" DOMAIN "\"listen\":\"localhost:8443\"}", "server.json.listen"},
        {"{" DOMAIN "\"listen\":\"127.0.0.1:65536\"}", "server.json.listen"},
        {"{" DOMAIN "\"listen\":\"127.0.0.1:\"}", "server.json.listen"},
        {"{" DOMAIN "\"listen\":\"::1:80\"}", "server.json.listen"},
        {"{" DOMAIN "\"listen\":\"[::1:80\"}", "server.json.listen"},
        {"{" DOMAIN "\"dns\":\"a\"}", "server.json.dns"},
        {"{" DOMAIN "\"dns\":[\"ok\",\"*.x\"]}", "server.json.dns[1]"},
        {"{" DOMAIN "\"allow_simulated\":1}", "server.json.allow_simulated"},
        {"{" DOMAIN "\"store\":\"postgresql://x\"}", "server.json.store"},
        {"{" DOMAIN "\"store\":\"file\"}", "server.json.store"},
        {"{" DOMAIN "\"rate\":7}", "server.json.rate"},
        {"{" DOMAIN "\"rate\":{\"burst\":0}}", "server.json.rate.burst"},
        {"{" DOMAIN "\"rate\":{\"per_second\":-1}}", "server.json.rate.per_second"},
        {"{" DOMAIN "\"rate\":{\"x\":1}}", "server.json.rate.x"},
        {"{" DOMAIN "\"connections\":0}", "server.json.connections"},
        {"{" DOMAIN "\"connections\":1.5}", "server.json.connections"},
        {"{" DOMAIN "\"connections_per_address\":9999999}", "server.json.connections_per_address"},
        {"{" DOMAIN "\"idle_timeout\":30}", "server.json.idle_timeout"},
        {"{" DOMAIN "\"idle_timeout\":\"2h\"}", "server.json.idle_timeout"},
        {"{" DOMAIN "\"request_timeout\":\"0s\"}", "server.json.request_timeout"},
        {"{" DOMAIN "\"challenge_life\":\"2d\"}", "server.json.challenge_life"},
        {"{" DOMAIN "\"clock_skew\":\"x\"}", "server.json.clock_skew"},
        {"{" DOMAIN "\"evidence_max_age\":\"60d\"}", "server.json.evidence_max_age"},
        {"{" DOMAIN "\"certificate_lifetime\":\"8d\"}", "server.json.certificate_lifetime"},
        {"{" DOMAIN "\"certificate_lifetime_max\":\"1000d\"}",
            "server.json.certificate_lifetime_max"},
        {"{" DOMAIN "\"retention\":\"\"}", "server.json.retention"},
        {"{" DOMAIN "\"verifiers\":1000}", "server.json.verifiers"},
        {"{" DOMAIN "\"tls12\":\"yes\"}", "server.json.tls12"},
        {"{" DOMAIN "\"unheard\":1}", "server.json.unheard"},
        {"{" DOMAIN "\"public_url\":\"http://x\"}", "server.json.public_url"},
        {"{" DOMAIN "\"proxy_protocol_from\":[]}", "server.json.proxy_protocol_from"},
        {"{" DOMAIN "\"on_event\":\"x\"}", "server.json.on_event"},
        {"{" DOMAIN "\"issuing_key\":\"pkcs11:x\"}", "server.json.issuing_key"},
    };

    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        struct pas_config c;
        struct bh_diag diag;

        cr_assert_eq(parse(bad[i].text, &c, &diag), BH_ERR_USAGE, "%s", bad[i].text);
        cr_assert_str_eq(diag.check, bad[i].check);
        cr_assert_neq(diag.detail[0], '\0');
    }
}

Test(config, later_fields_say_so)
{
    struct pas_config c;
    struct bh_diag diag;

    cr_assert_eq(parse("{" DOMAIN "\"on_event\":\"x\"}", &c, &diag), BH_ERR_USAGE);
    cr_assert_not_null(strstr(diag.detail, "not built yet"));
    cr_assert_eq(parse("{" DOMAIN "\"store\":\"postgresql://x\"}", &c, &diag), BH_ERR_USAGE);
    cr_assert_not_null(strstr(diag.detail, "not built yet"));
}

static void
count(void *arg, const struct bh_diag *diag)
{
    size_t *n = arg;

    cr_assert_neq(diag->err, BH_OK);
    ++*n;
}

Test(config, all_problems_are_told)
{
    struct pas_config c;
    size_t n = 0;

    cr_assert_eq(
        pas_config_examine(
            bh_span_str("{\"dns\":[\"*\"],\"tls12\":7,\"x\":1,\"listen\":\"y\"}"), &c, count, &n),
        BH_ERR_USAGE);
    cr_assert_eq(n, 5);
}

Test(config, listen)
{
    char host[PAS_CONFIG_HOST_MAX];
    uint16_t port;

    cr_assert_eq(pas_config_listen("0.0.0.0:0", host, &port, NULL), BH_OK);
    cr_assert_str_eq(host, "0.0.0.0");
    cr_assert_eq(port, 0);
    cr_assert_eq(pas_config_listen("[2001:db8::1]:65535", host, &port, NULL), BH_OK);
    cr_assert_str_eq(host, "2001:db8::1");
    cr_assert_eq(port, 65535);
    cr_assert_eq(pas_config_listen("", host, &port, NULL), BH_ERR_USAGE);
}
