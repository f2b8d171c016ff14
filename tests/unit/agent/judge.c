/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include "core/file.h"
#include "core/x509.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static enum bh_err
find_endorsed(void *arg, const char *platform, const uint8_t key[32], struct ev_endorsement *ret_e,
    struct bh_diag *diag)
{
    const struct court *court = arg;

    for (size_t i = 0; i < court->endorsed_len; i++)
        if (bh_span_equal(bh_span(court->endorsed[i].key, 32), bh_span(key, 32))) {
            *ret_e = court->endorsed[i].e;
            return BH_OK;
        }
    return bh_fail(diag, BH_ERR_ENDORSEMENT_UNKNOWN, "no endorsed %s key", platform);
}

static enum bh_err
keep_endorsed(void *arg, const uint8_t key[32], const struct ev_endorsement *e)
{
    struct court *court = arg;

    cr_assert_lt(court->endorsed_len, ENDORSED_MAX);
    memcpy(court->endorsed[court->endorsed_len].key, key, 32);
    court->endorsed[court->endorsed_len++].e = *e;
    return BH_OK;
}

void
court_anchor(struct court *court, const char *pem, const char *platform)
{
    struct ev_trust *t = &court->trust;
    X509 *certs[8];
    size_t count = 0;

    cr_assert_eq(bh_x509_pem(bh_span_str(pem), certs, BH_COUNT(certs), &count, NULL), BH_OK);
    for (size_t i = 0; i < count; i++) {
        struct ev_anchor *a = &t->anchors[t->anchors_len++];

        a->cert = certs[i];
        a->simulated = true;
        (void)snprintf(a->platform, sizeof(a->platform), "%s", platform);
    }
}

void
court_endorse(struct court *court, struct bh_span json)
{
    struct bh_diag diag = {0};

    cr_assert_eq(ev_endorsement_file(json, keep_endorsed, court, &diag), BH_OK, "%s: %s",
        diag.check, diag.detail);
}

void
court_policy(struct court *court, struct bh_span json)
{
    struct bh_diag diag = {0};

    ev_policy_free(court->policy);
    court->policy = NULL;
    cr_assert_eq(
        ev_policy_parse(json, &court->policy, &diag), BH_OK, "%s: %s", diag.check, diag.detail);
}

static void
each_file(struct court *court, const char *dir, const char *folder,
    void (*take)(struct court *court, const char *name, struct bh_span bytes))
{
    const struct dirent *entry;
    char path[512], file[1024];
    uint8_t *bytes = NULL;
    size_t len = 0;
    DIR *d;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, folder);
    if ((d = opendir(path)) == NULL)
        return;
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        cr_assert_eq(bh_file_read(file, 1 << 20, &bytes, &len, NULL), BH_OK);
        take(court, entry->d_name, bh_span(bytes, len));
        free(bytes);
    }
    (void)closedir(d);
}

static void
take_anchor(struct court *court, const char *name, struct bh_span bytes)
{
    for (const char *const *p = ev_platforms(); *p != NULL; p++)
        if (strncmp(name, *p, strlen(*p)) == 0)
            court_anchor(court, (const char *)bytes.ptr, *p);
}

static void
take_endorsed(struct court *court, const char *name, struct bh_span bytes)
{
    (void)name;
    court_endorse(court, bytes);
}

void
court_open(struct court *court, const char *dir, const char *workload)
{
    char path[512];
    uint8_t *bytes = NULL;
    size_t len = 0;

    memset(court, 0, sizeof(*court));
    each_file(court, dir, "trust/simulated", take_anchor);
    each_file(court, dir, "endorsed", take_endorsed);
    (void)snprintf(path, sizeof(path), "%s/policy/%s.json", dir, workload);
    cr_assert_eq(bh_file_read(path, 1 << 20, &bytes, &len, NULL), BH_OK);
    court_policy(court, bh_span(bytes, len));
    free(bytes);
    court->trust.allow_simulated = true;
}

void
court_close(struct court *court)
{
    for (size_t i = 0; i < court->trust.anchors_len; i++)
        X509_free(court->trust.anchors[i].cert);
    ev_policy_free(court->policy);
    memset(court, 0, sizeof(*court));
}

enum bh_err
court_judge(struct court *court, const char *cmw_json, const uint8_t binding[BH_BINDING_LEN],
    struct bh_span spki, int64_t now, struct ev_verdict *ret_verdict, struct bh_diag *diag)
{
    struct ev_report *report = calloc(1, sizeof(*report));
    struct ev_evidence *ev = NULL;
    struct bh_cmw cmw = {0};
    enum bh_err e;

    cr_assert_not_null(report);
    ev_report_init(report, true);
    court->trust.now = now;
    court->trust.max_age = 300;
    court->trust.skew = 60;
    court->trust.lookup = find_endorsed;
    court->trust.lookup_arg = court;
    cr_assert_eq(bh_cmw_from_json(bh_span_str(cmw_json), &cmw, NULL), BH_OK);
    if ((e = ev_decode(&cmw, report, &ev)) == BH_OK &&
        (e = ev_bind(ev, binding, spki, report)) == BH_OK &&
        (e = ev_authenticate(ev, &court->trust, report)) == BH_OK)
        e = ev_appraise(ev, court->policy, bh_span_none(), report, ret_verdict);
    if (diag != NULL)
        *diag = report->diag;
    ev_evidence_free(ev);
    bh_cmw_clear(&cmw);
    free(report);
    return e;
}
