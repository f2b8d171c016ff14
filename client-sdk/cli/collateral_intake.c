/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of files into a folder of collateral: every one is recognised and verified before the
 * first is written, so that a folder never holds half of what was meant.
 */
#include "collateral.h"

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PEM_MAX (64 * 1024)

/* ---- whom to believe ---- */

static enum bh_err
add_anchors(struct bh_intake *m, const char *path, struct bh_diag *diag)
{
    const size_t room = EV_ANCHORS_MAX - m->anchors_len;
    uint8_t *bytes = NULL;
    size_t len = 0, count = 0;
    enum bh_err e;

    if ((e = bh_file_read(path, PEM_MAX, &bytes, &len, diag)) != BH_OK)
        return e;
    if (room == 0)
        e = bh_fail(diag, BH_ERR_TOO_LARGE, "more than %d trust anchors", EV_ANCHORS_MAX);
    else if (len > 0 && bytes[0] == 0x30)
        count = (e = bh_x509_der(bh_span(bytes, len), &m->anchors[m->anchors_len], diag)) == BH_OK;
    else
        e = bh_x509_pem(bh_span(bytes, len), m->anchors + m->anchors_len, room, &count, diag);
    m->anchors_len += count;
    free(bytes);
    if (e != BH_OK) {
        bh_name_check(diag, "trust_anchor");
        bh_hint(diag, "%s: give certificates in PEM, or one in DER", path);
    }
    return e;
}

static int
is_pem(const struct dirent *entry)
{
    const size_t len = strlen(entry->d_name);

    return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".pem") == 0;
}

/* The anchors that the server itself judges by. */
static enum bh_err
add_folder(struct bh_intake *m, const char *folder, bool *ret_found, struct bh_diag *diag)
{
    char path[BH_COLLATERAL_PATH], file[BH_COLLATERAL_PATH];
    struct dirent **entries = NULL;
    enum bh_err e;
    int n;

    if ((e = bh_path_join(path, sizeof(path), m->dir, folder)) != BH_OK)
        return bh_fail(diag, e, "%s/%s: the path is too long", m->dir, folder);
    if ((n = scandir(path, &entries, is_pem, alphasort)) < 0)
        return errno == ENOENT ? BH_OK : bh_fail(diag, BH_ERR_IO, "%s: %s", path, strerror(errno));
    *ret_found = true;
    for (int i = 0; i < n; i++) {
        if (e == BH_OK && (e = bh_path_join(file, sizeof(file), path, entries[i]->d_name)) == BH_OK)
            e = add_anchors(m, file, diag);
        free(entries[i]);
    }
    free(entries);
    return e;
}

static enum bh_err
choose_anchors(struct bh_intake *m, struct bh_diag *diag)
{
    bool found = false;
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < m->anchor_files.len && e == BH_OK; i++)
        e = add_anchors(m, m->anchor_files.items[i], diag);
    if (e != BH_OK || m->anchor_files.len > 0)
        return e;
    if ((e = add_folder(m, "trust", &found, diag)) != BH_OK ||
        (e = add_folder(m, "trust/simulated", &found, diag)) != BH_OK || found)
        return e;
    if ((e = ev_trust_add_vendor_roots(&m->vendors, NULL)) != BH_OK)
        return bh_fail(diag, e, "the built-in vendor roots");
    for (size_t i = 0; i < m->vendors.anchors_len; i++) {
        m->anchors[m->anchors_len++] = m->vendors.anchors[i].cert;
        (void)X509_up_ref(m->vendors.anchors[i].cert);
    }
    return BH_OK;
}

/* Certificates of chains; they count only under an anchor. */
static void
add_others(struct bh_intake *m, const struct bh_collateral_files *files)
{
    size_t count;

    for (size_t i = 0; i < files->len && m->others_len < BH_INTAKE_OTHERS_MAX; i++) {
        const struct bh_collateral_file *f = &files->items[i];

        count = 0;
        if (f->known &&
            (f->what.kind == EV_COLLATERAL_TCB_SIGNING_CHAIN ||
                f->what.kind == EV_COLLATERAL_PCK_CRL_CHAIN) &&
            bh_x509_pem(bh_span(f->bytes, f->len), m->others + m->others_len,
                BH_INTAKE_OTHERS_MAX - m->others_len, &count, NULL) == BH_OK)
            m->others_len += count;
    }
}

/* ---- checking ---- */

static enum bh_err
check_one(const struct bh_intake *m, const struct bh_collateral_file *f)
{
    const struct ev_collateral_issuers issuers = {.at = m->at,
        .anchors = m->anchors,
        .anchors_len = m->anchors_len,
        .others = m->others,
        .others_len = m->others_len};
    struct bh_diag diag = f->why, named = {0};
    enum bh_err e = diag.err;

    if (f->known)
        e = ev_collateral_verify(&f->what, bh_span(f->bytes, f->len), &issuers, &diag);
    if (e == BH_OK)
        return BH_OK;
    (void)bh_refuse(
        &named, e, diag.check, diag.expected, diag.found, "%s: %s", f->name, diag.detail);
    bh_hint(&named, "%s", diag.hint);
    (void)bh_cli_failed(m->command, &named);
    return e;
}

/* All of them, so that every fault is told at once. */
static enum bh_err
check_all(const struct bh_intake *m)
{
    enum bh_err first = BH_OK, e;

    for (size_t i = 0; i < m->given.len; i++)
        if ((e = check_one(m, &m->given.items[i])) != BH_OK && first == BH_OK)
            first = e;
    if (first != BH_OK)
        (void)fprintf(stderr, "nothing was imported\n");
    return first;
}

/* ---- writing ---- */

/* Names that narrow a list to one kind of keys (ev_collateral_set_add()) must go on doing so. */
static void
file_name(const struct bh_collateral_file *f, char out[160])
{
    const bool vcek = strstr(f->name, "vcek") != NULL, vlek = strstr(f->name, "vlek") != NULL;
    const size_t stem = strcspn(f->what.file, ".");

    if (f->what.kind == EV_COLLATERAL_AMD_CRL && vcek != vlek)
        (void)snprintf(out, 160, "%.*s-%s%s", (int)stem, f->what.file, vcek ? "vcek" : "vlek",
            f->what.file + stem);
    else
        (void)snprintf(out, 160, "%s", f->what.file);
}

/* What is there, or was given, under the name and is good for longer stays: an old list must not
 * come back. */
static bool
is_newer_there(const struct bh_intake *m, const char *name, const struct bh_collateral_file *f)
{
    char other[160];

    for (size_t i = 0; i < m->there.len; i++) {
        const struct bh_collateral_file *old = &m->there.items[i];

        if (old->known && strcmp(old->name, name) == 0 && old->what.kind == f->what.kind &&
            old->what.until >= f->what.until)
            return true;
    }
    for (size_t i = 0; i < m->given.len; i++) {
        const struct bh_collateral_file *one = &m->given.items[i];

        file_name(one, other);
        if (strcmp(other, name) == 0 &&
            (one->what.until > f->what.until || (one->what.until == f->what.until && one > f)))
            return true;
    }
    return false;
}

static enum bh_err
write_one(struct bh_intake *m, const struct bh_collateral_file *f, struct bh_diag *diag)
{
    char name[160], path[BH_COLLATERAL_PATH];
    const char *result = "imported";
    json_t *one;
    enum bh_err e;

    file_name(f, name);
    if (is_newer_there(m, name, f))
        result = "kept";
    else if ((e = bh_path_join(path, sizeof(path), m->folder, name)) != BH_OK)
        return bh_fail(diag, e, "%s/%s: the path is too long", m->folder, name);
    else if ((e = bh_file_write(path, bh_span(f->bytes, f->len), 0644, diag)) != BH_OK)
        return e;
    if (!m->json)
        bh_collateral_print(name, &f->what, result);
    if ((one = bh_collateral_json(name, &f->what, result)) == NULL ||
        json_object_set_new(one, "source", bh_json_lossy(f->name)) != 0 ||
        json_array_append_new(m->done, one) != 0)
        return bh_fail(diag, BH_ERR_NOMEM, "collateral");
    return BH_OK;
}

static enum bh_err
read_there(struct bh_intake *m, struct bh_diag *diag)
{
    struct stat st;
    enum bh_err e;

    if (stat(m->dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return bh_refuse(
            diag, BH_ERR_USAGE, "dir", "a server's folder", m->dir, "there is no such folder");
    if ((e = bh_collateral_folder(m->dir, m->folder, diag)) != BH_OK)
        return e;
    if (mkdir(m->folder, 0700) != 0 && errno != EEXIST)
        return bh_fail(diag, BH_ERR_IO, "%s: %s", m->folder, strerror(errno));
    return bh_collateral_files_read(m->folder, &m->there, diag);
}

enum bh_err
bh_intake_open(struct bh_intake *m, struct bh_diag *diag)
{
    enum bh_err e;

    if ((m->done = json_array()) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "collateral");
    if ((e = read_there(m, diag)) != BH_OK)
        return e;
    return choose_anchors(m, diag);
}

static void
forget_others(struct bh_intake *m)
{
    while (m->others_len > 0)
        X509_free(m->others[--m->others_len]);
}

enum bh_err
bh_intake_admit(struct bh_intake *m)
{
    struct bh_diag diag = {0};
    enum bh_err e;

    forget_others(m);
    add_others(m, &m->given);
    add_others(m, &m->there);
    if ((e = check_all(m)) == BH_OK)
        for (size_t i = 0; i < m->given.len && e == BH_OK; i++)
            if ((e = write_one(m, &m->given.items[i], &diag)) != BH_OK)
                (void)bh_cli_failed(m->command, &diag);
    bh_collateral_files_clear(&m->given);
    return e;
}

int
bh_intake_finish(struct bh_intake *m, enum bh_err e)
{
    json_t *doc;
    bool good = true;

    if (m->json) {
        doc = json_pack("{s:O}", "files", m->done);
        good = doc != NULL && bh_cli_print_json(doc);
        json_decref(doc);
    } else if (json_array_size(m->done) > 0) {
        (void)printf("send the server SIGHUP, and it judges by them\n");
    }
    if (fflush(stdout) != 0)
        good = false;
    return e != BH_OK ? bh_err_exit(e) : good ? 0 : 2;
}

void
bh_intake_clear(struct bh_intake *m)
{
    bh_collateral_files_clear(&m->given);
    bh_collateral_files_clear(&m->there);
    for (size_t i = 0; i < m->anchors_len; i++)
        X509_free(m->anchors[i]);
    forget_others(m);
    ev_trust_clear(&m->vendors);
    json_decref(m->done);
}
