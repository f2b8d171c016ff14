/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead-server init`: a deployment's folder, whole or not at all. */
#include "ca.h"
#include "commands.h"
#include "tree.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"
#include "evidence/vendor_roots.h"
#include "signer/issuing.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define COMMAND "beachhead-server init"
#define PASSPHRASE_MAX 1024

struct options {
    const char *dir, *trust_domain, *listen, *public_url, *issuing_key, *root_out, *passphrase_file,
        *store;
    struct bh_cli_list dns;
    bool allow_simulated, json;
};

struct made {
    struct pas_config config;
    struct pas_tree tree;
    struct pas_tree root_out; /* where the root key goes when it does not stay */
    bool has_tree, made_root_out, wrote_root_out;
    EVP_PKEY *issuing_key; /* the one that was given, or NULL */
    char *passphrase;      /* or NULL */
    struct pas_ca ca;
    char root_key[PAS_PATH_MAX + 32]; /* its path */
};

/* ---- options ---- */

static int
parse(int argc, char **argv, struct options *o)
{
    const struct bh_cli_option options[] = {
        {.name = "dir",
            .value = "DIR",
            .help = "the folder to make",
            .needed = true,
            .text = &o->dir},
        {.name = "trust-domain",
            .value = "NAME",
            .help = "of every name: spiffe://NAME/...",
            .needed = true,
            .text = &o->trust_domain},
        {.name = "listen",
            .value = "ADDR:PORT",
            .help = "default 127.0.0.1:8443; port 0: any free",
            .text = &o->listen},
        {.name = "dns",
            .value = "NAME",
            .help = "a DNS name of this server; isolates may have names below it",
            .list = &o->dns},
        {.name = "root-out",
            .value = "DIR2",
            .help = "write the root's private key there",
            .text = &o->root_out},
        {.name = "root-passphrase-file",
            .value = "FILE",
            .help = "keep the root's private key here, encrypted with FILE's first line",
            .text = &o->passphrase_file},
        {.name = "issuing-key",
            .value = "FILE",
            .help = "use this P-256 key (PEM) and not a new one",
            .text = &o->issuing_key},
        {.name = "allow-simulated",
            .help = "for trials: accept simulated devices; the certificates say SIMULATED for ever",
            .flag = &o->allow_simulated},
        {.name = "store", .value = "sqlite", .help = "where the state is kept", .text = &o->store},
        {.name = "public-url",
            .value = "URL",
            .help = "refused: not built yet",
            .text = &o->public_url},
        {.name = "json", .help = "print one JSON document", .flag = &o->json},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Make a deployment: its root, its issuing CA and the folder of its server.",
        .example = COMMAND " --dir /srv/beachhead --trust-domain fleet.example "
                           "--dns attest.fleet.example --root-out /media/offline",
        .options = options,
    };

    return bh_cli_parse(&usage, argc, argv, NULL);
}

static enum bh_err
not_built(struct bh_diag *diag, const char *flag, const char *what, const char *instead)
{
    char check[BH_CHECK_MAX];

    (void)snprintf(check, sizeof(check), "init.%s", flag);
    const enum bh_err e = bh_refuse(
        diag, BH_ERR_USAGE, check, instead, what, "--%s: %s is not built yet", flag, what);
    bh_hint(diag, "use %s", instead);
    return e;
}

static enum bh_err
refuse_later(const struct options *o, struct bh_diag *diag)
{
    if (o->public_url != NULL)
        return not_built(diag, "public-url", "the plain-HTTP listener for revocation", "no URL");
    if (o->store != NULL && strncmp(o->store, "postgresql:", 11) == 0)
        return not_built(diag, "store", "PostgreSQL", "the embedded store, sqlite");
    if (o->issuing_key != NULL && strncmp(o->issuing_key, "pkcs11:", 7) == 0)
        return not_built(diag, "issuing-key", "PKCS#11", "a key in a file, or a new one");
    return BH_OK;
}

static enum bh_err
check_root_choice(const struct options *o, struct bh_diag *diag)
{
    enum bh_err e;

    if (o->root_out != NULL && o->passphrase_file != NULL)
        return bh_refuse(diag, BH_ERR_USAGE, "init.root_key",
            "one of --root-out and --root-passphrase-file", "both",
            "the root's private key is kept in one place");
    if (o->root_out != NULL || o->passphrase_file != NULL || o->allow_simulated)
        return BH_OK;
    e = bh_refuse(diag, BH_ERR_USAGE, "init.root_key",
        "--root-out DIR2 or --root-passphrase-file FILE", "neither",
        "the root's private key must not lie readable beside the server");
    bh_hint(diag, "give a folder on removable media, or a file with a passphrase");
    return e;
}

static bool
copy(char *out, size_t size, const char *text)
{
    return (size_t)snprintf(out, size, "%s", text) < size;
}

static enum bh_err
read_config(const struct options *o, struct pas_config *ret_config, struct bh_diag *diag)
{
    struct pas_config c;
    char *text = NULL;
    bool fits;
    enum bh_err e;

    pas_config_defaults(&c);
    fits = o->dns.len <= PAS_CONFIG_DNS_MAX &&
           copy(c.trust_domain, sizeof(c.trust_domain), o->trust_domain) &&
           (o->listen == NULL || copy(c.listen, sizeof(c.listen), o->listen)) &&
           (o->store == NULL || copy(c.store, sizeof(c.store), o->store));
    for (size_t i = 0; fits && i < o->dns.len; i++)
        fits = copy(c.dns[c.dns_len++], sizeof(c.dns[0]), o->dns.items[i]);
    if (!fits)
        return bh_refuse(diag, BH_ERR_USAGE, "init.names",
            "at most 16 --dns, and names of at most 253 bytes", "more",
            "a name on the command line is too long, or there are too many");
    c.allow_simulated = o->allow_simulated;
    /* What is written must be what `run` reads. */
    if ((e = pas_config_text(&c, &text, diag)) != BH_OK)
        return e;
    e = pas_config_parse(bh_span_str(text), ret_config, diag);
    free(text);
    return e;
}

static enum bh_err
read_passphrase(const char *path, char **ret_passphrase, struct bh_diag *diag)
{
    uint8_t *text = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_file_read(path, PASSPHRASE_MAX, &text, &len, diag)) != BH_OK)
        return e;
    const size_t line = strcspn((char *)text, "\r\n");
    if (line == 0 || strspn((char *)text + line, "\r\n") != len - line) {
        OPENSSL_cleanse(text, len);
        free(text);
        return bh_refuse(diag, BH_ERR_USAGE, "init.root_passphrase", "one line that is not empty",
            line == 0 ? "nothing" : "more than one line", "%s holds no passphrase", path);
    }
    text[line] = '\0';
    *ret_passphrase = (char *)text;
    return BH_OK;
}

/* ---- making ---- */

static enum bh_err
refuse_root_out(struct bh_diag *diag, const char *expected, const char *found, const char *dir)
{
    const enum bh_err e = bh_refuse(diag, BH_ERR_USAGE, "init.root_out", expected, found,
        "--root-out %s: the root's private key cannot go there", dir);

    bh_hint(diag, "give a folder outside --dir, best on removable media");
    return e;
}

/* A folder that is there may hold other things, but no root.key. */
static enum bh_err
begin_root_out(const char *dir, struct made *m, struct bh_diag *diag)
{
    const size_t len = strlen(m->tree.dir);
    struct stat st;
    char *path;

    m->made_root_out = mkdir(dir, 0700) == 0;
    if ((path = realpath(dir, NULL)) == NULL)
        return refuse_root_out(diag, "a folder", strerror(errno), dir);
    (void)snprintf(m->root_out.dir, sizeof(m->root_out.dir), "%s", path);
    free(path);
    if (bh_path_join(m->root_key, sizeof(m->root_key), m->root_out.dir, "root.key") != BH_OK)
        return refuse_root_out(diag, "a shorter path", "one that is too long", dir);
    if (strncmp(m->root_out.dir, m->tree.dir, len) == 0 &&
        (m->root_out.dir[len] == '/' || m->root_out.dir[len] == '\0'))
        return refuse_root_out(diag, "a folder outside --dir", "one inside it", dir);
    if (lstat(m->root_key, &st) == 0)
        return refuse_root_out(diag, "no root.key in it", "a root.key", dir);
    return BH_OK;
}

static enum bh_err
begin(const struct options *o, struct made *m, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = pas_tree_begin(o->dir, "init.dir", &m->tree, diag)) != BH_OK)
        return e;
    m->has_tree = true;
    if (o->root_out != NULL)
        return begin_root_out(o->root_out, m, diag);
    if (bh_path_join(m->root_key, sizeof(m->root_key), m->tree.dir, "ca/root.key") != BH_OK)
        return bh_fail(diag, BH_ERR_IO, "%s: the path is too long", m->tree.dir);
    return BH_OK;
}

static enum bh_err
write_root_key(struct made *m, bool out, struct bh_diag *diag)
{
    m->wrote_root_out = out;
    return pas_tree_write_key(out ? &m->root_out : &m->tree, out ? "root.key" : "ca/root.key",
        m->ca.root_key, m->passphrase, diag);
}

static enum bh_err
write_folders(const struct made *m, struct bh_diag *diag)
{
    static const char *const folders[] = {
        "policy", "trust", "trust/simulated", "endorsed", "collateral", "ca", "tls", "run"};
    enum bh_err e = BH_OK;

    for (size_t i = 0; e == BH_OK && i < BH_COUNT(folders); i++)
        e = pas_tree_mkdir(&m->tree, folders[i], diag);
    return e;
}

static enum bh_err
write_anchors(const struct made *m, struct bh_diag *diag)
{
    size_t len = 0;
    const struct ev_vendor_root *roots = ev_vendor_roots(&len);
    char name[256];
    enum bh_err e = BH_OK;

    for (size_t i = 0; e == BH_OK && i < len; i++) {
        if ((e = bh_path_join(name, sizeof(name), "trust", roots[i].file)) == BH_OK)
            e = pas_tree_write(&m->tree, name, bh_span_str(roots[i].pem), 0644, diag);
    }
    return e;
}

static enum bh_err
write_store(const struct made *m, struct bh_diag *diag)
{
    char path[PAS_PATH_MAX + 16];

    if (bh_path_join(path, sizeof(path), m->tree.dir, "store") != BH_OK)
        return bh_fail(diag, BH_ERR_IO, "%s: the path is too long", m->tree.dir);
    return pas_store_create(path, diag);
}

/* server.json comes last: without it the folder is no server's. */
static enum bh_err
write_config(const struct made *m, struct bh_diag *diag)
{
    char *text = NULL;
    enum bh_err e;

    if ((e = pas_config_text(&m->config, &text, diag)) != BH_OK)
        return e;
    e = pas_tree_write(&m->tree, "server.json", bh_span_str(text), 0600, diag);
    free(text);
    return e;
}

static enum bh_err
write_all(const struct options *o, struct made *m, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = write_folders(m, diag)) != BH_OK || (e = write_anchors(m, diag)) != BH_OK ||
        (e = pas_tree_write_certs(&m->tree, "ca/root.crt", m->ca.root, NULL, diag)) != BH_OK ||
        (e = pas_tree_write_certs(&m->tree, "ca/issuing.crt", m->ca.issuing, NULL, diag)) !=
            BH_OK ||
        (e = pas_tree_write_key(&m->tree, "ca/issuing.key", m->ca.issuing_key, NULL, diag)) !=
            BH_OK ||
        (e = pas_tree_write_certs(&m->tree, "tls/server.crt", m->ca.server, m->ca.issuing, diag)) !=
            BH_OK ||
        (e = pas_tree_write_key(&m->tree, "tls/server.key", m->ca.server_key, NULL, diag)) !=
            BH_OK ||
        (e = write_root_key(m, o->root_out != NULL, diag)) != BH_OK ||
        (e = write_store(m, diag)) != BH_OK)
        return e;
    return write_config(m, diag);
}

static enum bh_err
make(const struct options *o, struct made *m, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = refuse_later(o, diag)) != BH_OK || (e = check_root_choice(o, diag)) != BH_OK ||
        (e = read_config(o, &m->config, diag)) != BH_OK)
        return e;
    if (o->passphrase_file != NULL &&
        (e = read_passphrase(o->passphrase_file, &m->passphrase, diag)) != BH_OK)
        return e;
    if (o->issuing_key != NULL &&
        (e = pas_key_file_load(o->issuing_key, "init.issuing_key", &m->issuing_key, diag)) != BH_OK)
        return e;
    if ((e = pas_ca_make(&m->config, m->issuing_key, bh_time_now(), &m->ca, diag)) != BH_OK ||
        (e = begin(o, m, diag)) != BH_OK)
        return e;
    return write_all(o, m, diag);
}

static void
undo(const struct made *m)
{
    if (m->wrote_root_out)
        (void)unlink(m->root_key);
    if (m->made_root_out)
        (void)rmdir(m->root_out.dir);
    if (m->has_tree)
        pas_tree_remove(&m->tree);
}

static void
clear(struct made *m)
{
    EVP_PKEY_free(m->issuing_key);
    pas_ca_clear(&m->ca);
    if (m->passphrase != NULL)
        OPENSSL_cleanse(m->passphrase, strlen(m->passphrase));
    free(m->passphrase);
}

/* ---- what was made ---- */

static const char *
until(const X509 *cert, char out[BH_TIME_MAX])
{
    struct tm tm;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
        return "?";
    return bh_time_text((int64_t)timegm(&tm), out);
}

static const char *
root_key_state(const struct made *m)
{
    return m->passphrase != NULL ? "encrypted" : m->wrote_root_out ? "moved out" : "readable";
}

static bool
print_json(const struct made *m)
{
    char root[BH_TIME_MAX], issuing[BH_TIME_MAX], server[BH_TIME_MAX];
    json_t *json = json_pack("{s:s, s:s, s:s, s:b, s:s+, s:s, s:s, s:s, s:s, s:s}", "dir",
        m->tree.dir, "trust_domain", m->config.trust_domain, "listen", m->config.listen,
        "simulated", m->config.allow_simulated, "root", m->tree.dir, "/ca/root.crt", "root_key",
        m->root_key, "root_key_state", root_key_state(m), "root_not_after", until(m->ca.root, root),
        "issuing_not_after", until(m->ca.issuing, issuing), "server_not_after",
        until(m->ca.server, server));
    const bool good = json != NULL && bh_cli_print_json(json);

    json_decref(json);
    return good;
}

static bool
print_text(const struct made *m)
{
    const char *dir = m->tree.dir;
    char at[BH_TIME_MAX];

    (void)printf("Made %s for the trust domain %s%s.\n\n", dir, m->config.trust_domain,
        m->config.allow_simulated ? " (SIMULATED devices are accepted)" : "");
    (void)printf("  root          %s/ca/root.crt, until %s\n", dir, until(m->ca.root, at));
    (void)printf("                give this one file to clients and agents\n");
    (void)printf("  root key      %s, %s\n", m->root_key, root_key_state(m));
    (void)printf("  issuing CA    %s/ca/issuing.crt, until %s\n", dir, until(m->ca.issuing, at));
    (void)printf("  server        %s/tls/server.crt, until %s\n", dir, until(m->ca.server, at));
    (void)printf("                renew both before that; `check` warns 30 days ahead\n");
    (void)printf("\nNext: put one policy per workload into %s/policy/, then\n", dir);
    (void)printf("  beachhead-server check --dir %s\n  beachhead-server run --dir %s\n", dir, dir);
    if (m->wrote_root_out)
        (void)printf("and keep %s offline: the server never needs it.\n", m->root_key);
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}

int
pas_init_command(int argc, char **argv)
{
    struct options o = {0};
    struct made *m = NULL;
    struct bh_diag diag = {0};
    int code = parse(argc, argv, &o);

    if (code >= 0)
        return code;
    (void)umask(077);
    if ((m = calloc(1, sizeof(*m))) == NULL)
        return 1;
    if (make(&o, m, &diag) == BH_OK) {
        code = (o.json ? print_json(m) : print_text(m)) ? 0 : 1;
    } else {
        undo(m);
        code = bh_cli_failed(COMMAND, &diag);
    }
    clear(m);
    free(m);
    return code;
}
