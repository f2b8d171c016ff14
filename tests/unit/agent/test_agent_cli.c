/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of beachhead-agent, as a shell sees them. */
#include "core/file.h"
#include "core/json.h"
#include "support/ca.h"

#include "isolate-agent/attester/attester.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct ran {
    int status;
    char out[16384], err[8192];
};

static size_t
slurp(int fd, char *buf, size_t size)
{
    size_t len = 0;
    ssize_t n;

    while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
        len += (size_t)n;
    buf[len] = '\0';
    close(fd);
    return len;
}

static void
run(struct ran *r, const char *const *args)
{
    const char *argv[32] = {BH_BIN_DIR "/beachhead-agent"};
    int out[2], err[2], status = 0;

    for (size_t i = 0; args[i] != NULL; i++)
        argv[i + 1] = args[i];
    cr_assert(pipe(out) == 0 && pipe(err) == 0);
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)dup2(out[1], 1);
        (void)dup2(err[1], 2);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(126);
    }
    close(out[1]);
    close(err[1]);
    (void)slurp(out[0], r->out, sizeof(r->out));
    (void)slurp(err[0], r->err, sizeof(r->err));
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#define RUN(r, ...) run(r, (const char *const[]){__VA_ARGS__, NULL})

static void
expect(const struct ran *r, int status, const char *in_err)
{
    cr_expect_eq(r->status, status, "status %d: %s", r->status, r->err);
    cr_expect_neq(strstr(r->err, in_err), NULL, "'%s' is not in: %s", in_err, r->err);
}

static void
write_root(char *path, size_t size, struct bh_test_ca *ca)
{
    (void)snprintf(path, size, "/tmp/bh-agent-root-%d", (int)getpid());
    bh_test_ca_make(ca, &(struct bh_test_root){.domain = "fleet.example"});
    cr_assert_eq(bh_file_write(path, bh_span_str(ca->root_pem), 0600, NULL), BH_OK);
}

Test(agent, detect)
{
    json_t *json = NULL;
    struct ran r;

    RUN(&r, "detect");
    cr_expect_eq(r.status, 0);
    cr_expect_neq(strstr(r.out, "/dev/nsm"), NULL);
    cr_expect_neq(strstr(r.out, "not built yet"), NULL);
    RUN(&r, "detect", "--json");
    cr_expect_eq(r.status, 0);
    cr_assert_eq(bh_json_parse(bh_span_str(r.out), 65536, &json, NULL), BH_OK);
    json_t *list = json_object_get(json, "attesters"), *one;
    size_t i, simulated = 0;
    cr_expect_eq(json_array_size(list), agent_attesters_len);
    json_array_foreach(list, i, one)
    {
        simulated += json_is_true(json_object_get(one, "simulated"));
        cr_expect(json_is_string(json_object_get(one, "attester")));
        /* A TPM's attester is built where the TPM's software stack is installed. */
        if (strcmp(json_string_value(json_object_get(one, "attester")), "tpm2") != 0)
            cr_expect_eq(json_is_true(json_object_get(one, "built")),
                json_is_true(json_object_get(one, "simulated")));
    }
    cr_expect_eq(simulated, 8);
    json_decref(json);
    RUN(&r, "detect", "--nonsense");
    cr_expect_eq(r.status, 2);
}

Test(agent, wrong_usage_of_run)
{
    char root[64];
    struct bh_test_ca ca;
    struct ran r;

    write_root(root, sizeof(root), &ca);
#define BASE "run", "--server", "https://127.0.0.1:1", "--root", root
    RUN(&r, "run", "--root", root, "--workload", "payments");
    expect(&r, 2, "server");
    RUN(&r, BASE, "--workload", "payments");
    expect(&r, 2, "nothing to do");
    RUN(&r, BASE, "--workload", "Pay ments", "--out", "/tmp/x");
    expect(&r, 2, "workload");
    RUN(&r, BASE, "--workload", "payments", "--listen", "127.0.0.1:0");
    expect(&r, 2, "--upstream");
    RUN(&r, BASE, "--workload", "payments", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1",
        "--on-renew", "true");
    expect(&r, 2, "--on-renew needs --out");
    RUN(&r, BASE, "--workload", "payments", "--listen", "nowhere", "--upstream", "127.0.0.1:1");
    expect(&r, 2, "nowhere");
    RUN(&r, BASE, "--workload", "payments", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1");
    expect(&r, 2, "HOST:PORT");
    RUN(&r, BASE, "--workload", "payments", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1",
        "--connections", "0");
    expect(&r, 2, "--connections");
    RUN(&r, BASE, "--workload", "payments", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1",
        "--idle", "soon");
    expect(&r, 2, "--idle");
    RUN(&r, "run", "--server", "https://127.0.0.1:1", "--root", "/no/such", "--workload",
        "payments", "--out", "/tmp/x");
    expect(&r, 2, "/no/such");
    RUN(&r, "run", "--server", "https://127.0.0.1:1", "--root", "/etc/passwd", "--workload",
        "payments", "--out", "/tmp/x");
    expect(&r, 2, "root");
    unlink(root);
    bh_test_ca_clear(&ca);
}

Test(agent, attesters_by_name)
{
    static const char *const later[] = {
        "aws-nitro", "arm-cca", "psa", "amd-sev-snp", "intel-tdx", "intel-sgx", "aws-nitrotpm"};
    char root[64];
    struct bh_test_ca ca;
    struct ran r;

    write_root(root, sizeof(root), &ca);
    for (size_t i = 0; i < BH_COUNT(later); i++) {
        RUN(&r, BASE, "--workload", "payments", "--out", "/tmp/x", "--attester", later[i]);
        expect(&r, 1, "not built yet");
        expect(&r, 1, later[i]);
    }
    RUN(&r, BASE, "--workload", "payments", "--out", "/tmp/x");
    expect(&r, 1, "--attester sim:psa");
    expect(&r, 1, "attester");
    RUN(&r, BASE, "--workload", "payments", "--out", "/tmp/x", "--attester", "abacus");
    expect(&r, 2, "sim:aws-nitro");
    RUN(&r, BASE, "--workload", "payments", "--out", "/tmp/x", "--attester", "sim:psa");
    expect(&r, 2, "--simulator DIR");
    RUN(&r, BASE, "--workload", "payments", "--out", "/tmp/x", "--attester", "sim:nvidia-gpu");
    expect(&r, 2, "sim:nvidia-gpu");
    unlink(root);
    bh_test_ca_clear(&ca);
}

Test(agent, print_context)
{
    char root[64];
    struct bh_test_ca ca;
    struct ran r;

    write_root(root, sizeof(root), &ca);
    RUN(&r, BASE, "--workload", "payments", "--listen", "127.0.0.1:0", "--upstream",
        "127.0.0.1:8080", "--print-context");
    cr_expect_eq(r.status, 0, "%s", r.err);
    cr_expect_eq(strncmp(r.out, "beachhead-agent.config.v1\nworkload=payments\n", 43), 0);
    cr_expect_neq(strstr(r.out, "\ncontext: "), NULL);
    unlink(root);
    bh_test_ca_clear(&ca);
}

Test(agent, wrong_usage_of_dial)
{
    char root[64];
    struct bh_test_ca ca;
    struct ran r;

    write_root(root, sizeof(root), &ca);
    RUN(&r, "dial", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--root", root);
    expect(&r, 2, "workload");
    RUN(&r, "dial", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--root", root, "--workload",
        "No");
    expect(&r, 2, "workload");
    RUN(&r, "dial", "--listen", "x", "--to", "127.0.0.1:1", "--root", root, "--workload", "p");
    expect(&r, 2, "address");
    RUN(&r, "dial", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:0", "--root", root, "--workload",
        "p");
    expect(&r, 2, "port 0");
    RUN(&r, "dial", "--listen", "127.0.0.1:0", "--to", "no-such-host.invalid:1", "--root", root,
        "--workload", "p");
    expect(&r, 3, "no-such-host.invalid");
    unlink(root);
    bh_test_ca_clear(&ca);
}

Test(agent, wrong_usage_of_evidence)
{
    struct ran r;

    RUN(&r, "evidence", "--key", "/no/such", "-o", "-", "--attester", "sim:psa");
    expect(&r, 2, "challenge");
    RUN(&r, "evidence", "--challenge", "AAEC", "--key", "/no/such", "-o", "-", "--attester", "psa");
    expect(&r, 1, "not built yet");
    RUN(&r, "evidence", "--challenge", "AAEC", "--key", "/no/such", "-o", "-", "--attester",
        "sim:psa", "--simulator", "/no/such");
    cr_expect_neq(r.status, 0);
    RUN(&r, "nonsense");
    cr_expect_eq(r.status, 2);
    RUN(&r, "--help");
    cr_expect_eq(r.status, 0);
    cr_expect_neq(strstr(r.out, "dial"), NULL);
}
