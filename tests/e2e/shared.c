/* SPDX-License-Identifier: Apache-2.0 */
#include "shared.h"

#include "core/file.h"
#include "core/json.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLICY_MAX 65536

static struct bh_test_server server;

/* ---- made once, before all tests ---- */

static void
demand(bool good, const char *what, const struct bh_diag *diag)
{
    if (good)
        return;
    (void)fprintf(stderr, "e2e: %s: %s\n", what, diag != NULL ? diag->detail : "");
    abort();
}

static void
simulator(const char *const *argv)
{
    demand(bh_test_server_run(&server, argv, NULL) == 0, argv[1], NULL);
}

static json_t *
read_policy(const char *name)
{
    char path[400];
    struct bh_diag diag = {0};
    uint8_t *bytes = NULL;
    json_t *json = NULL;
    size_t len = 0;

    demand(bh_test_server_path(&server, name, path, sizeof(path)) == BH_OK &&
               bh_file_read(path, POLICY_MAX, &bytes, &len, &diag) == BH_OK &&
               bh_json_parse(bh_span(bytes, len), POLICY_MAX, &json, &diag) == BH_OK,
        name, &diag);
    free(bytes);
    return json;
}

static void
write_policy(const char *workload, json_t *policy)
{
    char path[400], name[96], *text;
    struct bh_diag diag = {0};

    (void)snprintf(name, sizeof(name), "policy/%s.json", workload);
    (void)json_object_set_new(policy, "workload", json_string(workload));
    (void)json_object_del(json_object_get(policy, "certificate"), "dns");
    demand((text = bh_json_text(policy, true)) != NULL, name, NULL);
    demand(bh_test_server_path(&server, name, path, sizeof(path)) == BH_OK &&
               bh_file_write(path, bh_span_str(text), 0600, &diag) == BH_OK,
        name, &diag);
    free(text);
    json_decref(policy);
}

static json_t *
entry_of(json_t *policy, const char *platform)
{
    json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(policy, "accept"), i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "platform")), platform) == 0)
            return entry;
    }
    demand(false, platform, NULL);
    return NULL;
}

/* The last hex digit of the one value in this list becomes another one. */
static void
change_tail(json_t *list)
{
    char *text = strdup(json_string_value(json_array_get(list, 0)));

    demand(text != NULL, "policy", NULL);
    char *last = text + strlen(text) - 1;
    *last = *last == '0' ? '1' : '0';
    (void)json_array_set_new(list, 0, json_string(text));
    free(text);
}

static void
write_policies(void)
{
    json_t *policy = read_policy("policy/w.json"), *entry;
    char hex[2 * sizeof(PINNED_CONTEXT)] = "";
    size_t i;

    for (i = 0; PINNED_CONTEXT[i] != '\0'; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)PINNED_CONTEXT[i]);

    json_array_foreach(json_object_get(policy, "accept"), i, entry)(void)
        json_object_set_new(entry, "context", json_pack("[s]", hex));
    write_policy(W_CONTEXT, policy);

    policy = read_policy("policy/w.json");
    json_array_foreach(json_object_get(policy, "accept"), i, entry)
    {
        (void)json_object_del(entry, "simulated");
        (void)json_object_set_new(entry, "owner", json_string("any"));
    }
    write_policy(W_GENUINE, policy);

    policy = read_policy("policy/w.json");
    change_tail(json_object_get(json_object_get(entry_of(policy, "aws-nitro"), "pcrs"), "0"));
    change_tail(json_object_get(
        json_object_get(entry_of(policy, "arm-cca"), "realm"), "initial_measurement"));
    change_tail(json_object_get(entry_of(policy, "psa"), "implementation_id"));
    write_policy(W_TRUNCATED, policy);

    policy = read_policy("policy/w.json");
    entry = json_deep_copy(entry_of(policy, "psa"));
    (void)json_object_set_new(policy, "accept", json_pack("[o]", entry));
    write_policy(W_PSA_ONLY, policy);
}

static void
write_p384(void)
{
    json_t *policy = read_policy("policy/w.json");
    char path[400], *text;

    (void)json_object_set_new(policy, "workload", json_string(W_P384));
    (void)json_object_set_new(policy, "certificate",
        json_pack("{s:s,s:[s,s],s:[s]}", "lifetime", "15m", "dns", "p384." DOMAIN,
            "also.p384." DOMAIN, "keys", "P-384"));
    demand((text = bh_json_text(policy, true)) != NULL, W_P384, NULL);
    demand(bh_test_server_path(&server, "policy/" W_P384 ".json", path, sizeof(path)) == BH_OK &&
               bh_file_write(path, bh_span_str(text), 0600, NULL) == BH_OK,
        W_P384, NULL);
    free(text);
    json_decref(policy);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    static const char *const more[] = {"--allow-simulated", "--dns", "attest." DOMAIN, NULL};
    struct bh_diag diag = {0};
    char folder[300];

    (void)tests;
    skip_without_programs();
    demand(bh_test_server_folder(bin_dir(), &server, &diag) == BH_OK, "folder", &diag);
    (void)snprintf(folder, sizeof(folder), "%s/sim", server.dir);
    const char *const make[] = {"beachhead-simulator", "init", "--dir", folder, NULL};
    const char *const admit[] = {"beachhead-simulator", "admit", "--dir", folder, "--server-dir",
        server.home, "--workload", "w", NULL};
    demand(bh_test_server_init(&server, DOMAIN, more, &diag) == BH_OK, "init", &diag);
    simulator(make);
    simulator(admit);
    write_policies();
    write_p384();
    demand(bh_test_server_start(&server, &diag) == BH_OK, "run", &diag);
    (void)setenv("BH_E2E_HOME", server.home, 1);
    (void)setenv("BH_E2E_SIMULATOR", folder, 1);
    (void)setenv("BH_E2E_URL", server.url, 1);
}

/* A server that did not survive the tests, or did not end well, fails them all. */
ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    bool clean;
    int status;

    (void)stats;
    clean = !bh_test_server_logged(&server, 0, "Sanitizer", 0) &&
            !bh_test_server_logged(&server, 0, "runtime error", 0) &&
            !bh_test_server_logged(&server, 0, "child-subverted", 0) &&
            !bh_test_server_logged(&server, 0, "child-restarted", 0);
    status = bh_test_server_stop(&server);
    if (!clean || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)fprintf(stderr, "e2e: the server did not serve to its end: status %d, log %s\n",
            status, server.log);
        _exit(1);
    }
    bh_test_server_end(&server);
}

/* ---- used by every test ---- */

static const char *
from_environment(const char *name)
{
    const char *value = getenv(name);

    cr_assert_not_null(value, "%s", name);
    return value;
}

const char *
shared_home(void)
{
    return from_environment("BH_E2E_HOME");
}

const char *
shared_simulator(void)
{
    return from_environment("BH_E2E_SIMULATOR");
}

const char *
shared_url(void)
{
    return from_environment("BH_E2E_URL");
}

struct bh_span
shared_roots(void)
{
    char path[400];
    uint8_t *bytes = NULL;
    size_t len = 0;

    cr_assert_eq(bh_path_join(path, sizeof(path), shared_home(), "ca/root.crt"), BH_OK);
    cr_assert_eq(bh_file_read(path, 65536, &bytes, &len, NULL), BH_OK);
    return bh_span(bytes, len);
}

void
shared_client(struct client *c, const char *platform)
{
    const struct bh_span roots = shared_roots();

    client_open(c, platform, shared_simulator());
    client_connect(c, shared_url(), roots);
    free((void *)(uintptr_t)roots.ptr);
}

static sqlite3 *
open_store(void)
{
    char path[400];
    sqlite3 *db = NULL;

    cr_assert_eq(bh_path_join(path, sizeof(path), shared_home(), "store/state.db"), BH_OK);
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_busy_timeout(db, 5000), SQLITE_OK);
    return db;
}

static void
take_text(sqlite3_stmt *st, int column, char *out, size_t size)
{
    (void)snprintf(out, size, "%s", (const char *)sqlite3_column_text(st, column));
}

static bool
find_refusal(sqlite3 *db, const char *request_id, struct refusal_row *row)
{
    sqlite3_stmt *st = NULL;
    bool found = false;

    cr_assert_eq(sqlite3_prepare_v2(db,
                     "SELECT code, name, workload, platform, peer FROM refusal"
                     " WHERE request_id = ?",
                     -1, &st, NULL),
        SQLITE_OK, "%s", sqlite3_errmsg(db));
    (void)sqlite3_bind_text(st, 1, request_id, -1, SQLITE_STATIC);
    if (sqlite3_step(st) == SQLITE_ROW) {
        take_text(st, 0, row->code, sizeof(row->code));
        take_text(st, 1, row->check, sizeof(row->check));
        take_text(st, 2, row->workload, sizeof(row->workload));
        take_text(st, 3, row->platform, sizeof(row->platform));
        take_text(st, 4, row->peer, sizeof(row->peer));
        found = true;
    }
    (void)sqlite3_finalize(st);
    return found;
}

void
shared_refusal(const char *request_id, struct refusal_row *ret_row)
{
    sqlite3 *db = open_store();
    bool found = false;

    for (int i = 0; i < 500 && !found; i++) {
        if (!(found = find_refusal(db, request_id, ret_row)))
            (void)usleep(10000);
    }
    (void)sqlite3_close(db);
    cr_assert(found, "refusal %s is not in the store", request_id);
}

void
assert_recorded(const struct reply *r, const char *code, const char *check)
{
    struct refusal_row row;

    shared_refusal(reply_string(r, "request_id"), &row);
    cr_assert_str_eq(row.code, code);
    cr_assert_str_eq(row.check, check);
    cr_assert_str_eq(row.peer, "127.0.0.1");
}

int
shared_certificates_with(struct bh_span bytes)
{
    sqlite3 *db = open_store();
    sqlite3_stmt *st = NULL;
    int n;

    cr_assert_eq(sqlite3_prepare_v2(
                     db, "SELECT count(*) FROM certificate WHERE instr(der, ?) > 0", -1, &st, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_blob(st, 1, bytes.ptr, (int)bytes.len, SQLITE_STATIC);
    cr_assert_eq(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int(st, 0);
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
    return n;
}
