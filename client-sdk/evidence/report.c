/* SPDX-License-Identifier: Apache-2.0 */
/* The list of checks of one appraisal, and the measured values of its verdict. */
#include "platform.h"

#include "core/json.h"
#include "core/text.h"

#include <stdio.h>

void
ev_report_init(struct ev_report *report, bool detailed)
{
    /* The checks are not cleared: there are many, and those beyond len are never read. */
    report->detailed = detailed;
    report->err = BH_OK;
    report->len = 0;
    bh_diag_clear(&report->diag);
}

static void
append(struct ev_report *report, bool ok, const char *source, const char *name,
    const char *expected, const char *found)
{
    struct ev_check *check;

    if (report->len == EV_CHECKS_MAX)
        return;
    check = &report->checks[report->len++];
    check->ok = ok;
    check->source = source;
    (void)snprintf(check->name, sizeof(check->name), "%s", name);
    (void)snprintf(
        check->expected, sizeof(check->expected), "%s", expected != NULL ? expected : "");
    (void)snprintf(check->found, sizeof(check->found), "%s", found != NULL ? found : "");
}

void
ev_pass(struct ev_report *report, const char *source, const char *name, const char *expected,
    const char *found)
{
    if (report->detailed)
        append(report, true, source, name, expected, found);
}

enum bh_err
ev_refuse(struct ev_report *report, enum bh_err err, const char *source, const char *name,
    const char *expected, const char *found, const char *hint)
{
    /* A full report must still say what failed. */
    if (report->len == EV_CHECKS_MAX)
        report->len--;
    append(report, false, source, name, expected, found);
    if (report->err != BH_OK)
        return err;
    report->err = err;
    (void)bh_refuse(&report->diag, err, name, expected, found, "%s: expected %s, found %s", name,
        expected != NULL ? expected : "nothing", found != NULL ? found : "nothing");
    if (hint != NULL)
        bh_hint(&report->diag, "%s", hint);
    return err;
}

json_t *
ev_report_json(const struct ev_report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < report->len; i++) {
        const struct ev_check *c = &report->checks[i];
        json_t *row = json_pack("{s:s, s:b, s:o, s:o, s:s}", "check", c->name, "ok", (int)c->ok,
            "expected", bh_json_lossy(c->expected), "found", bh_json_lossy(c->found), "source",
            c->source != NULL ? c->source : "");

        if (row == NULL || json_array_append_new(list, row) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

enum bh_err
ev_check_hex(
    struct ev_report *report, const char *name, const struct ev_hexlist *list, struct bh_span found)
{
    const bool held = ev_hexlist_has(list, found);
    char want[BH_VALUE_MAX];
    char have[BH_VALUE_MAX];

    if (held && !report->detailed)
        return BH_OK;
    (void)ev_hexlist_text(list, want, sizeof(want));
    (void)bh_hex(found, have, sizeof(have));
    if (held) {
        ev_pass(report, "policy", name, want, have);
        return BH_OK;
    }
    return ev_refuse(report, BH_ERR_POLICY, "policy", name, want, found.len > 0 ? have : "nothing",
        "if this is the code or device you mean to admit, add its value to the policy");
}

static struct bh_ear_claim *
next_claim(struct ev_verdict *verdict, const char *name)
{
    struct bh_ear_claim *claim;

    if (verdict->submod.claims_len == BH_EAR_CLAIMS_MAX)
        return NULL;
    claim = &verdict->submod.claims[verdict->submod.claims_len++];
    (void)snprintf(claim->name, sizeof(claim->name), "%s", name);
    return claim;
}

void
ev_claim_bytes(struct ev_verdict *verdict, const char *name, struct bh_span value)
{
    struct bh_ear_claim *claim;

    if (value.len > sizeof(claim->value) || (claim = next_claim(verdict, name)) == NULL)
        return;
    claim->text = false;
    if (value.len > 0)
        memcpy(claim->value, value.ptr, value.len);
    claim->len = (uint8_t)value.len;
}

void
ev_claim_text(struct ev_verdict *verdict, const char *name, const char *value)
{
    const size_t len = strlen(value);
    struct bh_ear_claim *claim;

    if (len > sizeof(claim->value) || (claim = next_claim(verdict, name)) == NULL)
        return;
    claim->text = true;
    memcpy(claim->value, value, len);
    claim->len = (uint8_t)len;
}
