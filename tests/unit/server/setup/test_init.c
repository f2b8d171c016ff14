/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include "commands.h"
#include "core/json.h"
#include "core/x509.h"
#include "signer/issuing.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct folder f;

static void
setup(void)
{
    folder_init(&f);
}

static void
teardown(void)
{
    folder_clear(&f);
}

TestSuite(init, .init = setup, .fini = teardown);

static int
entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    if (d == NULL)
        return -1;
    while (readdir(d) != NULL)
        n++;
    (void)closedir(d);
    return n - 2;
}

Test(init, simulated_deployment)
{
    static const struct {
        const char *name;
        int mode;
    } tree[] = {{"", 0700}, {"server.json", 0600}, {"policy", 0700}, {"trust", 0700},
        {"trust/aws-nitro-root-g1.pem", 0644}, {"trust/simulated", 0700}, {"endorsed", 0700},
        {"collateral", 0700}, {"ca/root.crt", 0644}, {"ca/issuing.crt", 0644},
        {"ca/issuing.key", 0600}, {"ca/root.key", 0600}, {"tls/server.crt", 0644},
        {"tls/server.key", 0600}, {"store", 0700}, {"store/state.db", 0600}, {"run", 0700}};

    cr_assert_eq(folder_run(&f, pas_init_command, "--dir", f.dir, "--trust-domain", "fleet.example",
                     "--allow-simulated", "--listen", "127.0.0.1:0", NULL),
        0, "%s", f.out);
    for (size_t i = 0; i < BH_COUNT(tree); i++)
        cr_assert_eq(folder_mode(server_path(&f, tree[i].name)), tree[i].mode, "%s: %o",
            tree[i].name, (unsigned)folder_mode(server_path(&f, tree[i].name)));
    cr_assert_not_null(strstr(f.out, "beachhead-server run --dir"));
    cr_assert_not_null(strstr(f.out, "ca/root.crt"));
}

Test(init, what_it_makes_passes_check_and_serves_the_signer)
{
    struct pas_issuing *issuing = NULL;
    struct pas_config config;
    struct bh_diag diag = {0};
    char *text;

    cr_assert_eq(folder_run(&f, pas_init_command, "--dir", f.dir, "--trust-domain", "fleet.example",
                     "--dns", "attest.fleet.example", "--dns", "attest.other.example", "--root-out",
                     folder_path(&f, "offline"), NULL),
        0, "%s", f.out);
    cr_assert_eq(folder_mode(folder_path(&f, "offline/root.key")), 0600);
    cr_assert_eq(folder_mode(server_path(&f, "ca/root.key")), -1);
    cr_assert_eq(folder_run(&f, pas_check_command, "--dir", f.dir, NULL), 0, "%s", f.out);
    cr_assert_not_null(strstr(f.out, "ready to run, 0 errors, 0 warnings"), "%s", f.out);

    text = folder_read(server_path(&f, "server.json"));
    cr_assert_eq(pas_config_parse(bh_span_str(text), &config, &diag), BH_OK);
    cr_assert_eq(pas_issuing_load(f.dir, &config, time(NULL), &issuing, &diag), BH_OK, "%s: %s",
        diag.check, diag.detail);
    cr_assert_eq(issuing->facts.permitted_len, 3);
    cr_assert_not(issuing->facts.simulated);
    pas_issuing_free(issuing);
    free(text);
}

Test(init, passphrase)
{
    EVP_PKEY *key = NULL;
    char *pem;

    folder_write(folder_path(&f, "phrase"), "correct horse\n");
    cr_assert_eq(folder_run(&f, pas_init_command, "--dir", f.dir, "--trust-domain", "fleet.example",
                     "--root-passphrase-file", folder_path(&f, "phrase"), NULL),
        0, "%s", f.out);
    pem = folder_read(server_path(&f, "ca/root.key"));
    cr_assert_not_null(strstr(pem, "ENCRYPTED"));
    cr_assert_neq(bh_key_from_pem(bh_span_str(pem), NULL, &key, NULL), BH_OK);
    cr_assert_neq(bh_key_from_pem(bh_span_str(pem), "wrong horse", &key, NULL), BH_OK);
    cr_assert_eq(bh_key_from_pem(bh_span_str(pem), "correct horse", &key, NULL), BH_OK);
    cr_assert_str_eq(bh_key_name(key), "P-384");
    EVP_PKEY_free(key);
    free(pem);
    cr_assert_eq(folder_run(&f, pas_check_command, "--dir", f.dir, NULL), 0, "%s", f.out);
}

Test(init, issuing_key_of_ones_own)
{
    EVP_PKEY *key = NULL, *used = NULL;
    struct bh_diag diag = {0};
    char *pem = NULL;

    cr_assert_eq(bh_key_generate("P-256", &key, NULL), BH_OK);
    cr_assert_eq(bh_key_to_pem(key, NULL, &pem, NULL), BH_OK);
    folder_write(folder_path(&f, "own.key"), pem);
    free(pem);
    cr_assert_eq(folder_run(&f, pas_init_command, "--dir", f.dir, "--trust-domain", "fleet.example",
                     "--allow-simulated", "--issuing-key", folder_path(&f, "own.key"), NULL),
        0, "%s", f.out);
    cr_assert_eq(pas_key_file_load(server_path(&f, "ca/issuing.key"), "x", &used, &diag), BH_OK);
    cr_assert_eq(EVP_PKEY_eq(key, used), 1);
    EVP_PKEY_free(used);
    EVP_PKEY_free(key);
}

Test(init, json)
{
    json_t *json = NULL;

    cr_assert_eq(folder_run(&f, pas_init_command, "--dir", f.dir, "--trust-domain", "fleet.example",
                     "--allow-simulated", "--json", NULL),
        0);
    cr_assert_eq(bh_json_parse(bh_span_str(f.out), 65536, &json, NULL), BH_OK, "%s", f.out);
    cr_assert_str_eq(json_string_value(json_object_get(json, "trust_domain")), "fleet.example");
    cr_assert_str_eq(json_string_value(json_object_get(json, "root_key_state")), "readable");
    json_decref(json);
}

Test(init, help_and_version)
{
    cr_assert_eq(folder_run(&f, pas_init_command, "--help", NULL), 0);
    cr_assert_not_null(strstr(f.out, "--trust-domain"));
    cr_assert_not_null(strstr(f.out, "/srv/beachhead"));
    cr_assert_eq(folder_run(&f, pas_init_command, "--version", NULL), 0);
    cr_assert_eq(folder_run(&f, pas_init_command, "--dir", f.dir, NULL), 2);
    cr_assert_eq(folder_run(&f, pas_check_command, "--help", NULL), 0);
    cr_assert_eq(folder_mode(f.dir), -1);
}

/* ---- refusals ---- */

#define INIT "--dir", f.dir, "--trust-domain", "fleet.example"

static void
refused(int code, const char *check)
{
    cr_assert_eq(code, 2, "%s: %d\n%s", check, code, f.out);
    cr_assert_not_null(strstr(f.out, check), "%s not named: %s", check, f.out);
}

Test(init, refuses_by_name)
{
    char *pem = NULL;
    EVP_PKEY *key = NULL;

    refused(folder_run(&f, pas_init_command, INIT, NULL), "init.root_key");
    refused(folder_run(&f, pas_init_command, INIT, "--root-out", folder_path(&f, "x"),
                "--root-passphrase-file", "/dev/null", NULL),
        "init.root_key");
    refused(folder_run(
                &f, pas_init_command, INIT, "--allow-simulated", "--public-url", "http://x", NULL),
        "init.public-url");
    refused(folder_run(
                &f, pas_init_command, INIT, "--allow-simulated", "--store", "postgresql://x", NULL),
        "init.store");
    refused(folder_run(&f, pas_init_command, INIT, "--allow-simulated", "--issuing-key",
                "pkcs11:token=x", NULL),
        "init.issuing-key");
    refused(folder_run(&f, pas_init_command, INIT, "--allow-simulated", "--listen", "here", NULL),
        "server.json.listen");
    refused(folder_run(&f, pas_init_command, INIT, "--allow-simulated", "--dns", "*.x", NULL),
        "server.json.dns[0]");
    refused(folder_run(&f, pas_init_command, "--dir", f.dir, "--trust-domain", "Fleet Example",
                "--allow-simulated", NULL),
        "server.json.trust_domain");
    refused(folder_run(&f, pas_init_command, INIT, "--root-passphrase-file", "/dev/null", NULL),
        "init.root_passphrase");
    refused(folder_run(&f, pas_init_command, INIT, "--allow-simulated", "--issuing-key",
                folder_path(&f, "missing"), NULL),
        "missing");
    cr_assert_eq(bh_key_generate("P-384", &key, NULL), BH_OK);
    cr_assert_eq(bh_key_to_pem(key, NULL, &pem, NULL), BH_OK);
    folder_write(folder_path(&f, "p384.key"), pem);
    refused(folder_run(&f, pas_init_command, INIT, "--allow-simulated", "--issuing-key",
                folder_path(&f, "p384.key"), NULL),
        "init.issuing_key");
    cr_assert_eq(chmod(folder_path(&f, "p384.key"), 0644), 0);
    refused(folder_run(&f, pas_init_command, INIT, "--allow-simulated", "--issuing-key",
                folder_path(&f, "p384.key"), NULL),
        "init.issuing_key.mode");
    free(pem);
    EVP_PKEY_free(key);
    cr_assert_eq(folder_mode(f.dir), -1, "a refused init left its folder");
}

Test(init, leaves_what_is_there)
{
    char *text;

    cr_assert_eq(mkdir(f.dir, 0755), 0);
    folder_write(server_path(&f, "mine"), "keep");
    refused(folder_run(&f, pas_init_command, INIT, "--allow-simulated", NULL), "init.dir");
    text = folder_read(server_path(&f, "mine"));
    cr_assert_str_eq(text, "keep");
    cr_assert_eq(entries(f.dir), 1);
    free(text);
}

Test(init, a_failure_leaves_nothing)
{
    const char *out = folder_path(&f, "offline");
    char *text;

    /* An empty folder stays, and stays empty. */
    cr_assert_eq(mkdir(f.dir, 0700), 0);
    cr_assert_eq(mkdir(out, 0700), 0);
    folder_write(folder_path(&f, "offline/root.key"), "another root");
    refused(folder_run(&f, pas_init_command, INIT, "--root-out", folder_path(&f, "offline"), NULL),
        "init.root_out");
    cr_assert_eq(entries(f.dir), 0);
    text = folder_read(folder_path(&f, "offline/root.key"));
    cr_assert_str_eq(text, "another root");
    free(text);
    refused(folder_run(&f, pas_init_command, INIT, "--root-out", server_path(&f, "x"), NULL),
        "init.root_out");
    cr_assert_eq(entries(f.dir), 0);
    /* And then it can be used. */
    cr_assert_eq(folder_run(&f, pas_init_command, INIT, "--allow-simulated", NULL), 0);
}
