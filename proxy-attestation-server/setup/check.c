/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead-server check`: every problem of a server's folder; it changes nothing. */
#include "commands.h"
#include "examine.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/text.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMAND "beachhead-server check"
#define PATH_SIZE 4608
#define CONFIG_MAX (64 * 1024)

/* ---- folders ---- */

static bool
is_hidden_or_folder(const char *path, const char *name)
{
    struct stat st;

    return name[0] == '.' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* The name ends in one of the words. */
static bool
has_suffix(const char *name, const char *suffixes)
{
    const size_t len = strlen(name);

    while (*suffixes != '\0') {
        const size_t one = strcspn(suffixes, " ");

        if (len > one && strncmp(name + len - one, suffixes, one) == 0)
            return true;
        suffixes += one + (suffixes[one] == ' ' ? 1 : 0);
    }
    return false;
}

static void
examine_file(struct pas_examination *x, const char *folder, const char *name, const char *suffixes,
    size_t max, pas_file_fn each)
{
    char path[PATH_SIZE], file[512];
    struct bh_diag diag = {0};
    uint8_t *bytes = NULL;
    size_t bytes_len = 0;

    if (snprintf(path, sizeof(path), "%s/%s/%s", x->dir, folder, name) >= (int)sizeof(path) ||
        is_hidden_or_folder(path, name))
        return;
    (void)snprintf(file, sizeof(file), "%s/%s", folder, name);
    if (!has_suffix(name, suffixes)) {
        pas_problem(&x->problems, false, file, NULL, "remove it, or give it the right name",
            "not read: the name does not end in %s", suffixes);
        return;
    }
    if (bh_file_read(path, max, &bytes, &bytes_len, &diag) != BH_OK)
        pas_problem_diag(&x->problems, file, NULL, &diag);
    else
        each(x, file, name, bh_span(bytes, bytes_len));
    free(bytes);
}

void
pas_examine_folder(struct pas_examination *x, const char *folder, const char *suffixes, size_t max,
    pas_file_fn each)
{
    struct dirent **entries = NULL;
    char path[PATH_SIZE];
    int n;

    if (bh_path_join(path, sizeof(path), x->dir, folder) != BH_OK)
        return;
    if ((n = scandir(path, &entries, NULL, alphasort)) < 0) {
        pas_problem(&x->problems, true, folder, NULL, "make the folder, even if it stays empty",
            "cannot be read: %s", strerror(errno));
        return;
    }
    for (int i = 0; i < n; i++) {
        examine_file(x, folder, entries[i]->d_name, suffixes, max, each);
        free(entries[i]);
    }
    free(entries);
}

/* ---- server.json, store, the folder itself ---- */

static void
config_problem(void *arg, const struct bh_diag *diag)
{
    struct pas_examination *x = arg;

    pas_problem_diag(&x->problems, "server.json", "server.json.", diag);
}

static void
examine_config(struct pas_examination *x)
{
    char path[PATH_SIZE];
    struct bh_diag diag = {0};
    uint8_t *text = NULL;
    size_t len = 0;

    pas_config_defaults(&x->config);
    if (bh_path_join(path, sizeof(path), x->dir, "server.json") != BH_OK)
        return;
    if (bh_file_read(path, CONFIG_MAX, &text, &len, &diag) != BH_OK) {
        pas_problem_diag(&x->problems, "server.json", NULL, &diag);
        return;
    }
    /* Each failure is told by the callback. */
    x->config_good = pas_config_examine(bh_span(text, len), &x->config, config_problem, x) == BH_OK;
    free(text);
}

static void
examine_store(struct pas_examination *x)
{
    char path[PATH_SIZE];
    struct bh_diag diag = {0};

    if (bh_path_join(path, sizeof(path), x->dir, "store") == BH_OK &&
        pas_store_check(path, &diag) != BH_OK)
        pas_problem_diag(&x->problems, "store/state.db", NULL, &diag);
}

static void
examine_mode(struct pas_examination *x)
{
    struct stat st;

    if (stat(x->dir, &st) == 0 && (st.st_mode & 077) != 0)
        pas_problem(&x->problems, true, ".", "mode", "chmod 0700 on the server's folder",
            "the folder of a server is its owner's alone; expected 0700, found %04o",
            (unsigned)(st.st_mode & 07777));
}

static void
examine_all(struct pas_examination *x)
{
    examine_mode(x);
    examine_config(x);
    pas_examine_policies(x);
    pas_examine_trust(x);
    pas_examine_endorsed(x);
    pas_examine_collateral(x);
    pas_examine_ca(x);
    pas_examine_tls(x);
    examine_store(x);
}

static int
demand_folder(const char *dir)
{
    struct bh_diag diag = {0};
    DIR *d = opendir(dir);

    if (d != NULL) {
        (void)closedir(d);
        return 0;
    }
    (void)bh_fail(&diag, BH_ERR_IO, "cannot open %s: %s", dir, strerror(errno));
    bh_hint(&diag, "give the folder that `beachhead-server init --dir` made");
    return bh_cli_failed(COMMAND, &diag);
}

int
pas_check_command(int argc, char **argv)
{
    const char *dir = NULL;
    bool json = false, good;
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
        .command = COMMAND,
        .purpose =
            "Report every problem of configuration, policy, trust, collateral, keys and store.",
        .example = COMMAND " --dir /srv/beachhead",
        .options = options,
    };
    struct pas_examination *x;
    int code = bh_cli_parse(&usage, argc, argv, NULL);

    if (code >= 0)
        return code;
    if ((code = demand_folder(dir)) != 0)
        return code;
    if ((x = calloc(1, sizeof(*x))) == NULL || !pas_problems_init(&x->problems)) {
        free(x);
        return 1;
    }
    x->dir = dir;
    x->now = bh_time_now();
    examine_all(x);
    good = pas_problems_print(&x->problems, dir, json) && !x->problems.failed;
    code = good && x->problems.errors == 0 ? 0 : 1;
    pas_problems_clear(&x->problems);
    free(x);
    return code;
}
