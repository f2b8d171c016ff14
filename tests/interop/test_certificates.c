/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of ours in the hands of programs made by others: certtool (GnuTLS), openssl, curl.
 */
#include "unit/server/signer/fixture.h"

#include "core/cose.h"
#include "core/file.h"
#include "core/x509.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

extern char **environ;

static struct fixture f;
static char leaf_chain[600], server_chain[600], leaf_only[600], root[600], issuing[600];

static char *
name_file(char out[600], const char *name)
{
    (void)snprintf(out, 600, "%s/%s", f.dir, name);
    return out;
}

static void
put_certs(const char *path, X509 *a, X509 *b, X509 *c)
{
    X509 *const certs[] = {a, b, c};
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    for (size_t i = 0; i < 3; i++)
        if (certs[i] != NULL)
            cr_assert_eq(PEM_write_X509(file, certs[i]), 1);
    (void)fclose(file);
}

static X509 *
make_leaf(void)
{
    struct pas_issuing *i = NULL;
    struct bh_diag diag = {0};
    uint8_t cwt[BH_EAR_MAX], der[PAS_LEAF_MAX];
    size_t cwt_len, len;
    X509 *leaf = NULL;

    cr_assert_eq(pas_issuing_load(f.dir, &f.config, f.now, &i, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(
        pas_leaf_check(&i->facts, &f.request, &f.ear, f.now, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(
        bh_cose_sign(f.request.ear, i->key, true, cwt, sizeof(cwt), &cwt_len, &diag), BH_OK);
    cr_assert_eq(pas_leaf_make(&i->facts, &f.request, bh_span(cwt, cwt_len), pas_issuing_sign, i,
                     der, &len, &diag),
        BH_OK);
    cr_assert_eq(bh_x509_der(bh_span(der, len), &leaf, &diag), BH_OK);
    pas_issuing_free(i);
    return leaf;
}

static void
setup(void)
{
    X509 *leaf;

    (void)signal(SIGPIPE, SIG_IGN);
    fixture_init(&f, true);
    leaf = make_leaf();
    put_certs(name_file(leaf_chain, "leaf-chain.pem"), leaf, f.ca.issuing, f.ca.root);
    put_certs(name_file(server_chain, "server-chain.pem"), f.ca.server, f.ca.issuing, f.ca.root);
    put_certs(name_file(leaf_only, "leaf.pem"), leaf, NULL, NULL);
    (void)name_file(root, "ca/root.crt");
    (void)name_file(issuing, "ca/issuing.crt");
    X509_free(leaf);
}

static void
teardown(void)
{
    (void)unlink(leaf_chain);
    (void)unlink(server_chain);
    (void)unlink(leaf_only);
    fixture_clear(&f);
}

TestSuite(certificates, .init = setup, .fini = teardown);

/* The exit code; what the program said goes to this test's standard error. */
static int
run(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    int status = -1;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    cr_assert_eq(posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ), 0,
        "%s is not installed (deploy/install-deps test)", argv[0]);
    (void)posix_spawn_file_actions_destroy(&actions);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
certtool(char *chain)
{
    char *argv[] = {"certtool", "--verify", "--load-ca-certificate", root, "--infile", chain, NULL};

    return run(argv);
}

Test(certificates, gnutls)
{
    struct fixture other;
    char mine[600];

    cr_assert_eq(certtool(leaf_chain), 0);
    cr_assert_eq(certtool(server_chain), 0);
    /* Another deployment's root says no: certtool does look. */
    fixture_init(&other, true);
    memcpy(mine, root, sizeof(mine));
    (void)snprintf(root, sizeof(root), "%s/ca/root.crt", other.dir);
    cr_assert_neq(certtool(leaf_chain), 0);
    memcpy(root, mine, sizeof(mine));
    fixture_clear(&other);
}

Test(certificates, openssl)
{
    char *leaf[] = {"openssl", "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver",
        "-CAfile", root, "-untrusted", issuing, leaf_only, NULL};
    char *client[] = {"openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root,
        "-untrusted", issuing, leaf_only, NULL};
    char *server[] = {"openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip",
        "127.0.0.1", "-CAfile", root, "-untrusted", issuing, server_chain, NULL};
    char *without[] = {"openssl", "verify", "-x509_strict", "-CAfile", root, leaf_only, NULL};

    cr_assert_eq(run(leaf), 0);
    cr_assert_eq(run(client), 0);
    cr_assert_eq(run(server), 0);
    cr_assert_neq(run(without), 0);
}

/* ---- curl against a TLS server of one answer at a time ---- */

static void
serve(int listener, const char *chain, EVP_PKEY *key)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char request[4096];

    if (SSL_CTX_use_certificate_chain_file(ctx, chain) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, key) != 1)
        _exit(9);
    for (;;) {
        const int fd = accept(listener, NULL, NULL);
        SSL *ssl = SSL_new(ctx);

        (void)SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof(request)) > 0)
            (void)SSL_write(ssl, answer, sizeof(answer) - 1);
        (void)SSL_shutdown(ssl);
        SSL_free(ssl);
        (void)close(fd);
    }
}

static pid_t
start_server(const char *chain, EVP_PKEY *key, unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t pid;

    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 8), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    cr_assert_geq(pid = fork(), 0);
    if (pid == 0)
        serve(fd, chain, key);
    (void)close(fd);
    return pid;
}

static int
curl(const char *ca, const char *host, unsigned port)
{
    char url[300], resolve[300];
    char *argv[] = {"curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*",
        "--output", "/dev/null", "--resolve", resolve, "--cacert", (char *)(uintptr_t)ca, url,
        NULL};

    (void)snprintf(resolve, sizeof(resolve), "%s:%u:127.0.0.1", host, port);
    (void)snprintf(url, sizeof(url), "https://%s:%u/", host, port);
    return run(argv);
}

Test(certificates, curl)
{
    struct fixture other;
    char theirs[600];
    unsigned port = 0;
    pid_t pid = start_server(server_chain, f.ca.server_key, &port);

    cr_assert_eq(curl(root, "127.0.0.1", port), 0);
    cr_assert_eq(curl(root, "attest.fleet.example", port), 0);
    cr_assert_eq(curl(root, "elsewhere.fleet.example", port), 60);
    fixture_init(&other, true);
    (void)snprintf(theirs, sizeof(theirs), "%s/ca/root.crt", other.dir);
    cr_assert_eq(curl(theirs, "127.0.0.1", port), 60);
    fixture_clear(&other);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);

    pid = start_server(leaf_chain, f.key, &port);
    cr_assert_eq(curl(root, "payments.fleet.example", port), 0);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}
