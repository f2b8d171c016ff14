/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include "core/file.h"
#include "core/json.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)
#define LONG_MS 20000

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    skip_without_programs();
}

static void
admit(struct own *o, struct client *c, const char *platform)
{
    struct bh_diag diag = {0};

    client_open(c, platform, NULL);
    cr_assert_eq(agent_device_admit(c->device, o->server.home, "w", DOMAIN, &diag), BH_OK, "%s",
        diag.detail);
}

void
own_init(struct own *o)
{
    static const char *const more[] = {"--allow-simulated", NULL};
    struct bh_diag diag = {0};

    *o = (struct own){0};
    cr_assert_eq(bh_test_server_folder(bin_dir(), &o->server, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(bh_test_server_init(&o->server, DOMAIN, more, &diag), BH_OK, "%s", diag.detail);
    admit(o, &o->psa, "psa");
    admit(o, &o->cca, "arm-cca");
    admit(o, &o->nitro, "aws-nitro");
}

void
own_start(struct own *o)
{
    struct bh_span roots;
    struct bh_diag diag = {0};

    cr_assert_eq(bh_test_server_start(&o->server, &diag), BH_OK, "%s", diag.detail);
    roots = bh_span(o->server.roots, o->server.roots_len);
    client_connect(&o->psa, o->server.url, roots);
    client_connect(&o->cca, o->server.url, roots);
    client_connect(&o->nitro, o->server.url, roots);
}

void
own_stop(struct own *o)
{
    const int status = bh_test_server_stop(&o->server);

    cr_assert(WIFEXITED(status), "status %d", status);
    cr_assert_eq(WEXITSTATUS(status), 0, "exit code %d", WEXITSTATUS(status));
}

void
own_end(struct own *o)
{
    const bool bad = bh_test_server_logged(&o->server, 0, "Sanitizer", 0) ||
                     bh_test_server_logged(&o->server, 0, "runtime error", 0) ||
                     bh_test_server_logged(&o->server, 0, "subverted", 0);
    uint8_t *log = NULL;
    size_t len = 0;

    if (bad && bh_file_read(o->server.log, FILE_MAX, &log, &len, NULL) == BH_OK)
        (void)fprintf(stderr, "%s\n", (char *)log);
    free(log);
    bh_test_server_end(&o->server);
    client_close(&o->psa);
    client_close(&o->cca);
    client_close(&o->nitro);
    cr_assert_not(bad, "the server's log holds a report");
}

void
own_enrol(struct client *c)
{
    const struct enrolment how = {0};
    struct reply r;

    client_enrol(c, &how, &r);
    cr_assert_eq(r.status, 201, "%s", r.text);
    reply_clear(&r);
}

void
own_reload(struct own *o, const char *event)
{
    const size_t from = bh_test_server_log_len(&o->server);
    char text[64];

    (void)snprintf(text, sizeof(text), "\"event\":\"%s\"", event);
    cr_assert_eq(kill(o->server.parent, SIGHUP), 0);
    cr_assert(bh_test_server_logged(&o->server, from, text, LONG_MS), "no %s", event);
}

json_t *
own_read(struct own *o, const char *name)
{
    char path[400];
    struct bh_diag diag = {0};
    uint8_t *bytes = NULL;
    json_t *json = NULL;
    size_t len = 0;

    cr_assert_eq(bh_test_server_path(&o->server, name, path, sizeof(path)), BH_OK);
    cr_assert_eq(bh_file_read(path, FILE_MAX, &bytes, &len, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(bh_json_parse(bh_span(bytes, len), FILE_MAX, &json, &diag), BH_OK);
    free(bytes);
    return json;
}

void
own_write_text(struct own *o, const char *name, const char *text)
{
    char path[400];
    struct bh_diag diag = {0};

    cr_assert_eq(bh_test_server_path(&o->server, name, path, sizeof(path)), BH_OK);
    cr_assert_eq(bh_file_write(path, bh_span_str(text), 0600, &diag), BH_OK, "%s", diag.detail);
}

void
own_write(struct own *o, const char *name, json_t *json)
{
    char *text = bh_json_text(json, true);

    cr_assert_not_null(text);
    own_write_text(o, name, text);
    free(text);
    json_decref(json);
}

void
own_set(struct own *o, const char *member, json_t *value)
{
    struct bh_diag diag = {0};

    cr_assert_eq(bh_test_server_set(&o->server, member, value, &diag), BH_OK, "%s", diag.detail);
}
