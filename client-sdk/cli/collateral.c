/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead collateral: vendor collateral in a server's folder. */
#include "collateral.h"

#include "commands.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#define LIST "beachhead collateral list"
#define EXPORT "beachhead collateral export"

enum bh_err
bh_collateral_folder(const char *dir, char path[BH_COLLATERAL_PATH], struct bh_diag *diag)
{
    const enum bh_err e = bh_path_join(path, BH_COLLATERAL_PATH, dir, "collateral");

    return e == BH_OK ? e : bh_fail(diag, e, "%.80s...: the path is too long", dir);
}

json_t *
bh_collateral_json(const char *file, const struct ev_collateral *what, const char *result)
{
    char from[BH_TIME_MAX], until[BH_TIME_MAX];

    return json_pack("{s:o, s:s, s:o, s:s, s:s, s:b, s:s}", "file", bh_json_lossy(file), "kind",
        ev_collateral_kind_name(what->kind), "about", bh_json_lossy(what->about), "from",
        bh_time_text(what->from, from), "until", bh_time_text(what->until, until), "simulated",
        what->simulated, "result", result);
}

void
bh_collateral_print(const char *file, const struct ev_collateral *what, const char *result)
{
    char until[BH_TIME_MAX];

    bh_cli_show(stdout, file);
    (void)printf(": %s, ", ev_collateral_kind_name(what->kind));
    bh_cli_show(stdout, what->about);
    (void)printf(", until %s: %s\n", bh_time_text(what->until, until), result);
}

/* ---- list ---- */

static const char *
state_of(struct bh_collateral_files *files, const struct bh_collateral_file *f, int64_t now)
{
    if (f->what.until < now)
        return "expired";
    if (f->what.from > now)
        return "early";
    return ev_collateral_set_shadows(files->set, &f->what, bh_span(f->bytes, f->len)) ? "unused"
                                                                                      : "good";
}

/* False when something there is no collateral, which a server would refuse to start with. */
static bool
list_one(struct bh_collateral_files *files, const struct bh_collateral_file *f, json_t *doc)
{
    const char *state = f->known ? state_of(files, f, bh_time_now()) : "unknown";
    const char *why = f->why.found[0] != '\0' ? f->why.found : f->why.detail;
    struct bh_diag named = {0};

    if (f->known) {
        if (doc != NULL)
            return json_array_append_new(doc, bh_collateral_json(f->name, &f->what, state)) == 0;
        bh_collateral_print(f->name, &f->what, state);
        return true;
    }
    if (doc != NULL)
        (void)json_array_append_new(
            doc, json_pack("{s:o, s:s, s:o}", "file", bh_json_lossy(f->name), "result", state,
                     "found", bh_json_lossy(why)));
    (void)bh_refuse(
        &named, f->why.err, f->why.check, f->why.expected, why, "%s: %s", f->name, f->why.detail);
    bh_name_check(&named, "collateral.file");
    bh_hint(&named, "%s", f->why.hint);
    (void)bh_cli_failed(LIST, &named);
    return false;
}

static enum bh_err
read_dir(const char *dir, struct bh_collateral_files *files, struct bh_diag *diag)
{
    char path[BH_COLLATERAL_PATH];
    enum bh_err e;

    if ((e = bh_collateral_folder(dir, path, diag)) != BH_OK)
        return e;
    if ((e = bh_collateral_files_read(path, files, diag)) != BH_OK)
        bh_hint(diag, "give the folder that `beachhead-server init --dir` made");
    return e;
}

static int
cmd_list(int argc, char **argv)
{
    struct bh_collateral_files files = {0};
    struct bh_diag diag = {0};
    const char *dir = NULL;
    bool json = false, good = true;
    json_t *list = NULL, *doc = NULL;
    const struct bh_cli_option options[] = {
        {.name = "dir",
            .value = "DIR",
            .help = "the server's folder",
            .needed = true,
            .text = &dir},
        {.name = "json", .help = "print one JSON document", .flag = &json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = LIST,
        .purpose = "Say what stands in DIR/collateral, and until when it is good.",
        .example = LIST " --dir /srv/beachhead",
        .options = options,
    };
    int code = bh_cli_parse(&usage, argc, argv, NULL);

    if (code >= 0)
        return code;
    if (read_dir(dir, &files, &diag) != BH_OK) {
        code = bh_cli_failed(LIST, &diag);
        goto out;
    }
    list = json ? json_array() : NULL;
    for (size_t i = 0; i < files.len; i++)
        good = list_one(&files, &files.items[i], list) && good;
    code = good ? 0 : 1;
    if (json && ((doc = json_pack("{s:O}", "files", list)) == NULL || !bh_cli_print_json(doc)))
        code = 2;
    if (fflush(stdout) != 0)
        code = 2;
out:
    json_decref(doc);
    json_decref(list);
    bh_collateral_files_clear(&files);
    return code;
}

/* ---- export ---- */

static int
cmd_export(int argc, char **argv)
{
    struct bh_collateral_files files = {0};
    struct bh_diag diag = {0};
    const char *dir = NULL, *out = NULL;
    char *text = NULL;
    size_t count = 0;
    enum bh_err e;
    const struct bh_cli_option options[] = {
        {.name = "dir",
            .value = "DIR",
            .help = "the server's folder",
            .needed = true,
            .text = &dir},
        {.name = "output",
            .letter = 'o',
            .value = "FILE",
            .help = "the bundle to write",
            .needed = true,
            .text = &out},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = EXPORT,
        .purpose = "Write DIR/collateral into one file that `import` takes elsewhere.",
        .example = EXPORT " --dir /srv/beachhead -o collateral.bundle",
        .options = options,
    };
    const int code = bh_cli_parse(&usage, argc, argv, NULL);

    if (code >= 0)
        return code;
    if ((e = read_dir(dir, &files, &diag)) == BH_OK &&
        (e = bh_collateral_bundle_make(&files, bh_time_now(), &text, &count, &diag)) == BH_OK)
        e = bh_file_write(out, bh_span_str(text), 0644, &diag);
    if (e == BH_OK)
        (void)printf(
            "%zu files, without %zu that have expired or are none\n", count, files.len - count);
    free(text);
    bh_collateral_files_clear(&files);
    return e == BH_OK && fflush(stdout) == 0 ? 0 : e == BH_OK ? 2 : bh_cli_failed(EXPORT, &diag);
}

int
bh_cmd_collateral(int argc, char **argv)
{
    static const struct bh_cli_command commands[] = {
        {"import", "verify files and put them into a server's folder", bh_collateral_import},
        {"list", "what stands there", cmd_list},
        {"export", "write all of it into one file", cmd_export},
        {"fetch", "renew it from the vendors' services", bh_collateral_fetch},
        {0},
    };

    return bh_cli_run("beachhead collateral", "Vendor collateral in a server's folder.",
        "beachhead collateral import --dir /srv/beachhead vcek.der", commands, argc, argv);
}
