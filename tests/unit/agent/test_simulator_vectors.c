/* SPDX-License-Identifier: Apache-2.0 */
/* Every vector of tests/vectors, judged as a server does it, at its own time. */
#include "judge.h"

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOT BH_SOURCE_DIR "/tests/vectors"

struct set {
    struct court court;
    uint8_t binding[BH_BINDING_LEN];
    int64_t at;
};

static char *
read_text(const char *dir, const char *name, const char *suffix)
{
    char path[2048];
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix);
    cr_assert_eq(bh_file_read(path, 1 << 20, &bytes, &len, NULL), BH_OK, "%s", path);
    return (char *)bytes;
}

static json_t *
read_json(const char *dir, const char *name)
{
    char *text = read_text(dir, name, ".json");
    json_t *json = NULL;

    cr_assert_eq(bh_json_parse(bh_span_str(text), 1 << 20, &json, NULL), BH_OK, "%s", name);
    free(text);
    return json;
}

static const char *
text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    cr_assert_not_null(text, "%s", name);
    return text;
}

static void
open_set(const char *name, struct set *s)
{
    char dir[512];
    json_t *json;
    const json_t *endorsed;
    char *text;
    size_t len = 0;

    memset(s, 0, sizeof(*s));
    (void)snprintf(dir, sizeof(dir), ROOT "/%s", name);
    json = read_json(dir, "set");
    cr_assert_eq(bh_time_read(text_of(json, "at"), &s->at), BH_OK);
    cr_assert_eq(bh_unhex(bh_span_str(text_of(json, "binding")), s->binding, 64, &len), BH_OK);
    cr_assert_eq(len, 64);
    if (json_object_get(json, "anchor") != NULL)
        court_anchor(&s->court, text_of(json, "anchor"), text_of(json, "platform"));
    if ((endorsed = json_object_get(json, "endorsed")) != NULL) {
        text = bh_json_text(endorsed, false);
        court_endorse(&s->court, bh_span_str(text));
        free(text);
    }
    text = bh_json_text(json_object_get(json, "policy"), false);
    court_policy(&s->court, bh_span_str(text));
    s->court.trust.allow_simulated = true;
    free(text);
    json_decref(json);
}

static void
has_claim(const struct ev_verdict *v, const char *name, const char *value)
{
    for (size_t i = 0; i < v->submod.claims_len; i++) {
        const struct bh_ear_claim *c = &v->submod.claims[i];
        char hex[2 * BH_EAR_CLAIM_VALUE_MAX + 1];

        if (strcmp(c->name, name) != 0)
            continue;
        if (c->text)
            (void)snprintf(hex, sizeof(hex), "%.*s", (int)c->len, (const char *)c->value);
        else
            (void)bh_hex(bh_span(c->value, c->len), hex, sizeof(hex));
        cr_expect_str_eq(hex, value, "%s", name);
        return;
    }
    cr_expect_fail("no claim %s", name);
}

static void
judge_one(struct set *s, const char *dir, const char *name)
{
    struct ev_verdict verdict = {0};
    struct bh_diag diag = {0};
    json_t *expected = read_json(dir, name);
    char *cmw = read_text(dir, name, ".cmw");
    const enum bh_err e =
        court_judge(&s->court, cmw, s->binding, bh_span_none(), s->at, &verdict, &diag);

    if (strcmp(text_of(expected, "verdict"), "accept") == 0) {
        const char *claim;
        json_t *value;

        cr_expect_eq(e, BH_OK, "%s/%s: %s: %s", dir, name, diag.check, diag.detail);
        cr_expect_str_eq(text_of(expected, "status"), "warning");
        cr_expect_eq(verdict.submod.status, BH_EAR_WARNING);
        json_object_foreach(json_object_get(expected, "claims"), claim, value)
            has_claim(&verdict, claim, json_string_value(value));
    } else {
        cr_expect_str_eq(text_of(expected, "verdict"), "refuse");
        cr_expect_str_eq(bh_err_code(e), text_of(expected, "code"), "%s/%s", dir, name);
        cr_expect_str_eq(
            diag.check, text_of(expected, "check"), "%s/%s: %s", dir, name, diag.check);
    }
    free(cmw);
    json_decref(expected);
}

static void
judge_all(const char *set, size_t at_least)
{
    const char *const kinds[] = {"accept", "reject"};
    size_t judged = 0;
    struct set s;

    open_set(set, &s);
    for (size_t k = 0; k < BH_COUNT(kinds); k++) {
        const struct dirent *entry;
        char dir[512], name[300];
        DIR *d;

        (void)snprintf(dir, sizeof(dir), ROOT "/%s/%s", set, kinds[k]);
        cr_assert_not_null(d = opendir(dir), "%s", dir);
        while ((entry = readdir(d)) != NULL) {
            const size_t len = strlen(entry->d_name);

            if (len < 5 || strcmp(entry->d_name + len - 4, ".cmw") != 0)
                continue;
            (void)snprintf(name, sizeof(name), "%.*s", (int)(len - 4), entry->d_name);
            judge_one(&s, dir, name);
            judged++;
        }
        (void)closedir(d);
    }
    cr_assert_geq(judged, at_least, "%s: %zu vectors", set, judged);
    court_close(&s.court);
}

Test(vectors, psa)
{
    judge_all("psa", 9);
}

Test(vectors, arm_cca)
{
    judge_all("arm-cca", 8);
}

Test(vectors, arm_cca_rmm1)
{
    judge_all("arm-cca-rmm1", 3);
}

Test(vectors, aws_nitro)
{
    judge_all("aws-nitro", 8);
}

/* The vectors hold for their own time and binding only. */
Test(vectors, not_at_another_time_or_binding)
{
    const char *const sets[] = {"psa", "arm-cca", "aws-nitro"};
    const char *const checks[] = {"psa.binding", "arm-cca.binding", "aws-nitro.binding"};

    for (size_t i = 0; i < BH_COUNT(sets); i++) {
        struct ev_verdict verdict = {0};
        struct bh_diag diag = {0};
        char dir[512];
        struct set s;
        char *cmw;

        open_set(sets[i], &s);
        (void)snprintf(dir, sizeof(dir), ROOT "/%s/accept", sets[i]);
        cmw = read_text(dir, "genuine", ".cmw");
        s.binding[0] ^= 1;
        cr_expect_eq(court_judge(&s.court, cmw, s.binding, bh_span_none(), s.at, &verdict, &diag),
            BH_ERR_BINDING);
        cr_expect_str_eq(diag.check, checks[i]);
        s.binding[0] ^= 1;
        if (strcmp(sets[i], "aws-nitro") == 0) {
            cr_expect_eq(court_judge(&s.court, cmw, s.binding, bh_span_none(), s.at + 4 * 3600,
                             &verdict, &diag),
                BH_ERR_NOT_AUTHENTIC);
            cr_expect_str_eq(diag.check, "aws-nitro.validity", "%s", diag.check);
        }
        free(cmw);
        court_close(&s.court);
    }
}
