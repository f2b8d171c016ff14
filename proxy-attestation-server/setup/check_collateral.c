/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collateral/: what each file is, until when it is good, and what refuses a start. Signatures are
 * verified by `beachhead collateral import` and at each appraisal, not here.
 */
#include "examine.h"

#include "core/json.h"
#include "core/text.h"
#include "evidence/collateral.h"

#include <stdio.h>
#include <stdlib.h>

#define EXPIRY_WARNING (INT64_C(3) * 86400) /* lists and documents live for a month */

struct file {
    char name[512]; /* "collateral/x.der" */
    uint8_t *bytes; /* a copy, which the set borrows */
    size_t len;
    struct ev_collateral what;
};

struct pas_collateral_files {
    struct ev_collateral_set *set;
    size_t len, cap;
    struct file *files;
};

static bool
grow(struct pas_collateral_files *all)
{
    const size_t cap = all->cap == 0 ? 16 : 2 * all->cap;
    struct file *grown;

    if (all->len < all->cap)
        return true;
    if ((grown = realloc(all->files, cap * sizeof(*grown))) == NULL)
        return false;
    all->files = grown;
    all->cap = cap;
    return true;
}

static void
examine_file(struct pas_examination *x, const char *file, const char *name, struct bh_span bytes)
{
    struct pas_collateral_files *all = x->collateral;
    struct bh_diag diag = {0};
    struct file *f;

    if (!grow(all) || (all->files[all->len].bytes = malloc(bytes.len + 1)) == NULL) {
        x->problems.failed = true;
        return;
    }
    f = &all->files[all->len];
    if (bytes.len > 0)
        memcpy(f->bytes, bytes.ptr, bytes.len);
    f->len = bytes.len;
    (void)snprintf(f->name, sizeof(f->name), "%s", file);
    if (ev_collateral_set_add(all->set, bh_span(f->bytes, f->len), name, &f->what, &diag) !=
        BH_OK) {
        pas_problem_diag(&x->problems, file, "collateral.", &diag);
        free(f->bytes);
        return;
    }
    all->len++;
}

static void
examine_dates(struct pas_examination *x, const struct file *f)
{
    char from[BH_TIME_MAX], until[BH_TIME_MAX];

    if (f->what.until < x->now)
        pas_problem(&x->problems, false, f->name, "until", "fetch the current file",
            "%s expired at %s", ev_collateral_kind_name(f->what.kind),
            bh_time_text(f->what.until, until));
    else if (f->what.until < x->now + EXPIRY_WARNING)
        pas_problem(&x->problems, false, f->name, "until", "fetch the next file in time",
            "%s expires at %s", ev_collateral_kind_name(f->what.kind),
            bh_time_text(f->what.until, until));
    if (f->what.from > x->now)
        pas_problem(&x->problems, false, f->name, "from", "compare the clock of this machine",
            "%s is good from %s", ev_collateral_kind_name(f->what.kind),
            bh_time_text(f->what.from, from));
}

static void
report(struct pas_examination *x, const struct file *f)
{
    char from[BH_TIME_MAX], until[BH_TIME_MAX];

    examine_dates(x, f);
    if (f->what.kind == EV_COLLATERAL_PCK_CRL_CHAIN)
        pas_problem(&x->problems, false, f->name, NULL, "it may stay, or go",
            "a server looks this chain up for nobody: quotes bring the certificates themselves");
    else if (ev_collateral_set_shadows(x->collateral->set, &f->what, bh_span(f->bytes, f->len)))
        pas_problem(&x->problems, false, f->name, NULL, "remove it",
            "another file about the same (%s) answers in its place: this one is never used",
            f->what.about);
    if (json_array_append_new(x->problems.collateral,
            json_pack("{s:s, s:s, s:o, s:s, s:s, s:b}", "file", f->name, "kind",
                ev_collateral_kind_name(f->what.kind), "about", bh_json_lossy(f->what.about),
                "from", bh_time_text(f->what.from, from), "until",
                bh_time_text(f->what.until, until), "simulated", f->what.simulated)) != 0)
        x->problems.failed = true;
}

void
pas_examine_collateral(struct pas_examination *x)
{
    struct pas_collateral_files all = {.set = ev_collateral_set_new()};

    if (all.set == NULL) {
        x->problems.failed = true;
        return;
    }
    x->collateral = &all;
    pas_examine_folder(x, "collateral", ".der .json .pem", BH_COLLATERAL_MAX, examine_file);
    for (size_t i = 0; i < all.len; i++)
        report(x, &all.files[i]);
    for (size_t i = 0; i < all.len; i++)
        free(all.files[i].bytes);
    free(all.files);
    ev_collateral_set_free(all.set);
    x->collateral = NULL;
}
