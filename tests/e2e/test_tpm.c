/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment with quotes of a real implementation of a TPM (swtpm), made by tpm2-tools: nothing of
 * what is judged here was written by this project.
 */
#include "own.h"
#include "refused.h"

#include "core/binding.h"
#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"

#include <criterion/criterion.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKLOAD "tpm"
#define PCR_LEN 32
#define QUOTED "sha256:0,4,7"
#define EXTENSION "0101010101010101010101010101010101010101010101010101010101010101"
#define WAIT_MS 5000

static struct own o;
static struct client c;
static char dir[64];
static pid_t tpm = -1;
static bool skipped;
static const char *scheme;

/* ---- a TPM ---- */

static const char *
in_dir(const char *name)
{
    static char paths[8][96];
    static size_t next;
    char *path = paths[next++ % 8];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static pid_t
start(const char *const *argv)
{
    const pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
        _exit(126);
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static int
run(const char *const *argv)
{
    const pid_t pid = start(argv);
    int status = 0;

    cr_assert_geq(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RUN(...)                                                                                   \
    do {                                                                                           \
        const char *const words[] = {__VA_ARGS__, NULL};                                           \
        cr_assert_eq(run(words), 0, "%s", words[0]);                                               \
    } while (0)
/* There is no resource manager: what a command left in the TPM must go. */
#define FLUSH() RUN("tpm2_flushcontext", "-t")

static bool
has_programs(void)
{
    const char *const swtpm[] = {"swtpm", "--version", NULL};
    const char *const tools[] = {"tpm2_quote", "--version", NULL};

    return run(swtpm) == 0 && run(tools) == 0;
}

static void
start_tpm(void)
{
    char state[128], server[128], control[128], tcti[128];
    const char *const argv[] = {"swtpm", "socket", "--tpm2", "--tpmstate", state, "--server",
        server, "--ctrl", control, "--flags", "not-need-init,startup-clear", NULL};

    (void)snprintf(dir, sizeof(dir), "/tmp/bh-tpm-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(state, sizeof(state), "dir=%s", dir);
    (void)snprintf(server, sizeof(server), "type=unixio,path=%s", in_dir("tpm"));
    (void)snprintf(control, sizeof(control), "type=unixio,path=%s", in_dir("tpm.ctrl"));
    (void)snprintf(tcti, sizeof(tcti), "swtpm:path=%s", in_dir("tpm"));
    cr_assert_eq(setenv("TPM2TOOLS_TCTI", tcti, 1), 0);
    cr_assert_geq(tpm = start(argv), 0);
    for (int i = 0; i < WAIT_MS / 10 && access(in_dir("tpm.ctrl"), F_OK) != 0; i++)
        (void)usleep(10000);
    RUN("tpm2_createek", "-Q", "-G", "ecc", "-c", in_dir("ek"), "-u", in_dir("ek.pub"));
    FLUSH();
}

static void
make_ak(const char *algorithm)
{
    RUN("tpm2_createak", "-Q", "-C", in_dir("ek"), "-c", in_dir("ak"), "-G", algorithm, "-g",
        "sha256", "-s", scheme, "-u", in_dir("ak.pub"), "-n", in_dir("ak.name"));
    FLUSH();
}

static void
stop_tpm(void)
{
    if (tpm <= 0)
        return;
    (void)kill(tpm, SIGKILL);
    (void)waitpid(tpm, NULL, 0);
    tpm = -1;
    RUN("rm", "-rf", dir);
}

TestSuite(tpm, .fini = stop_tpm);

/* ---- what an administrator writes ---- */

static struct bh_span
load(const char *name, uint8_t **ret_bytes)
{
    size_t len = 0;

    cr_assert_eq(bh_file_read(in_dir(name), 65536, ret_bytes, &len, NULL), BH_OK, "%s", name);
    return bh_span(*ret_bytes, len);
}

/* Hex of a file; the last @p len bytes of it, where not 0. */
static void
hex_of(const char *name, size_t len, char *out, size_t size)
{
    uint8_t *bytes = NULL;
    struct bh_span s = load(name, &bytes);

    if (len > 0)
        s = bh_span(s.ptr + s.len - len, len);
    (void)bh_hex(s, out, size);
    free(bytes);
}

static void
endorse(const char *file, const char *name)
{
    own_write(
        &o, file, json_pack("{s:s,s:s,s:s}", "platform", "tpm2", "name", name, "class", "tpm"));
}

/* PCR 4 after one extension of zeros. */
static void
admit(void)
{
    uint8_t both[2 * PCR_LEN] = {0}, pcr[PCR_LEN];
    char name[140], value[2 * PCR_LEN + 1];

    memset(both + PCR_LEN, 1, PCR_LEN);
    cr_assert_eq(bh_sha2(256, bh_span(both, sizeof(both)), pcr), BH_OK);
    (void)bh_hex(bh_span(pcr, PCR_LEN), value, sizeof(value));
    hex_of("ak.name", 0, name, sizeof(name));
    endorse("endorsed/tpm.json", name);
    own_write(&o, "policy/" WORKLOAD ".json",
        json_pack("{s:s,s:[{s:s,s:[s],s:[s],s:{s:{s:[s]}}}]}", "workload", WORKLOAD, "accept",
            "platform", "tpm2", "key_class", "tpm", "ak_name", name, "pcrs", "sha256", "4", value));
}

static void
extend(void)
{
    RUN("tpm2_pcrextend", "4:sha256=" EXTENSION);
}

static void
begin(const char *algorithm, const char *signs)
{
    scheme = signs;
    if ((skipped = !has_programs())) {
        (void)fprintf(stderr,
            "\n*** SKIP: swtpm and tpm2-tools are not installed: no quote of a TPM is enrolled.\n"
            "*** deploy/install-deps test\n\n");
        return;
    }
    start_tpm();
    make_ak(algorithm);
    own_init(&o);
    admit();
    client_open(&c, "psa", NULL);
    own_start(&o);
    client_connect(&c, o.server.url, bh_span(o.server.roots, o.server.roots_len));
}

static void
end(void)
{
    if (skipped)
        return;
    own_end(&o);
    client_close(&c);
}

/* ---- what an agent sends ---- */

static void
put_record(json_t *cmw, const char *label, struct bh_span bytes)
{
    (void)json_object_set_new(cmw, label, cmw_of("application/octet-stream", bytes));
}

static void
put_pcrs(json_t *cmw)
{
    static const char *const names[] = {"0", "4", "7"};
    json_t *bank = json_object(), *all = json_pack("{s:o}", "sha256", bank);
    uint8_t *bytes = NULL;
    const struct bh_span values = load("pcrs", &bytes);
    char hex[2 * PCR_LEN + 1], *text;

    cr_assert_eq(values.len, BH_COUNT(names) * PCR_LEN);
    for (size_t i = 0; i < BH_COUNT(names); i++)
        (void)json_object_set_new(bank, names[i],
            json_string(bh_hex(bh_span(values.ptr + i * PCR_LEN, PCR_LEN), hex, sizeof(hex))));
    cr_assert_not_null(text = json_dumps(all, 0));
    put_record(cmw, "pcrs", bh_span_str(text));
    free(text);
    free(bytes);
    json_decref(all);
}

static void
quote(const char *challenge)
{
    uint8_t raw[BH_CHALLENGE_LEN], binding[BH_BINDING_LEN];
    char nonce[2 * 32 + 1];
    size_t len = 0;

    cr_assert_eq(bh_unbase64url(bh_span_str(challenge), raw, sizeof(raw), &len), BH_OK);
    cr_assert_eq(
        bh_binding(bh_span(raw, len), bh_span(c.spki, c.spki_len), bh_span_none(), binding), BH_OK);
    RUN("tpm2_quote", "-Q", "-c", in_dir("ak"), "-l", QUOTED, "-q",
        bh_hex(bh_span(binding, 32), nonce, sizeof(nonce)), "-m", in_dir("quote"), "-s",
        in_dir("signature"), "-o", in_dir("pcrs"), "-F", "values", "--scheme", scheme);
    FLUSH();
}

/* Send what lies in the folder for this challenge. */
static void
enrol(const char *challenge, struct reply *r)
{
    static const char *const labels[] = {"quote", "signature"};
    json_t *cmw = json_pack("{s:s}", "__cmwc_t", "tag:beachhead,2026:tpm2");
    uint8_t *bytes = NULL;
    struct bh_span s;

    for (size_t i = 0; i < BH_COUNT(labels); i++) {
        put_record(cmw, labels[i], load(labels[i], &bytes));
        free(bytes);
    }
    put_pcrs(cmw);
    /* The tools write a TPM2B_PUBLIC: the same behind its size. */
    s = load("ak.pub", &bytes);
    put_record(cmw, "ak", bh_span(s.ptr + 2, s.len - 2));
    free(bytes);
    client_post_json(&c, "/v1/certificates",
        json_pack("{s:s,s:s,s:s,s:o}", "challenge", challenge, "workload", WORKLOAD, "csr", c.csr,
            "evidence", cmw),
        r);
}

static void
must_enrol(void)
{
    char *challenge = client_challenge(&c);
    struct reply r;

    quote(challenge);
    enrol(challenge, &r);
    cr_assert_eq(r.status, 201, "%s", r.text);
    cr_expect_str_eq(reply_string(&r, "platform"), "tpm2");
    cr_expect_str_eq(reply_string(&r, "status"), "warning", "a TPM is not the machine's silicon");
    cr_expect(json_is_false(json_object_get(r.json, "simulated")));
    reply_clear(&r);
    free(challenge);
}

static void
must_refuse(const char *code, const char *check)
{
    char *challenge = client_challenge(&c);
    struct reply r;

    quote(challenge);
    enrol(challenge, &r);
    assert_refused(&r, 403, code, check);
    reply_clear(&r);
    free(challenge);
}

static void
life_of_a_machine(const char *algorithm, const char *signs)
{
    char *challenge;
    struct reply r;

    begin(algorithm, signs);
    if (skipped)
        return;
    must_refuse("policy-refused", "tpm2.pcrs.sha256.4"); /* nothing was started yet */
    extend();
    must_enrol();
    /* The same quote for another challenge. */
    challenge = client_challenge(&c);
    enrol(challenge, &r);
    assert_refused(&r, 403, "binding-mismatch", "tpm2.binding");
    reply_clear(&r);
    free(challenge);
    /* Another key of the same TPM. */
    make_ak(algorithm);
    must_refuse("endorsement-unknown", "tpm2.ak");
    end();
}

Test(tpm, ecdsa)
{
    life_of_a_machine("ecc", "ecdsa");
}

Test(tpm, rsassa)
{
    life_of_a_machine("rsa", "rsassa");
}

Test(tpm, rsapss)
{
    life_of_a_machine("rsa", "rsapss");
}

/* ---- the agent's own attester ---- */

static int
agent_evidence(const char *challenge)
{
    char program[600];
    const char *const words[] = {program, "evidence", "--attester", "tpm2", "--challenge",
        challenge, "--key", in_dir("tls.key"), "-o", in_dir("evidence"), NULL};

    cr_assert_eq(bh_path_join(program, sizeof(program), bin_dir(), "beachhead-agent"), BH_OK);
    return run(words);
}

static json_t *
read_evidence(void)
{
    json_t *json = json_load_file(in_dir("evidence"), 0, NULL);

    cr_assert_not_null(json);
    return json;
}

/* What an administrator would read of the evidence: the AK's Name. */
static void
admit_agent(void)
{
    uint8_t ak[1024], name[2 + PCR_LEN] = {0x00, 0x0b}, both[2 * PCR_LEN] = {0}, pcr[PCR_LEN];
    char hex[2 * sizeof(name) + 1], value[2 * PCR_LEN + 1];
    json_t *json = read_evidence();
    size_t len = 0;

    cr_assert_eq(bh_unbase64url(
                     bh_span_str(json_string_value(json_array_get(json_object_get(json, "ak"), 1))),
                     ak, sizeof(ak), &len),
        BH_OK);
    json_decref(json);
    memset(both + PCR_LEN, 1, PCR_LEN);
    cr_assert_eq(bh_sha2(256, bh_span(ak, len), name + 2), BH_OK);
    cr_assert_eq(bh_sha2(256, bh_span(both, sizeof(both)), pcr), BH_OK);
    (void)bh_hex(bh_span(name, sizeof(name)), hex, sizeof(hex));
    (void)bh_hex(bh_span(pcr, PCR_LEN), value, sizeof(value));
    endorse("endorsed/agent.json", hex);
    own_write(&o, "policy/" WORKLOAD ".json",
        json_pack("{s:s,s:[{s:s,s:[s],s:{s:{s:[s]}}}]}", "workload", WORKLOAD, "accept", "platform",
            "tpm2", "ak_name", hex, "pcrs", "sha256", "4", value));
    own_reload(&o, "reloaded");
}

static void
agent_enrols(long status, const char *check)
{
    char *challenge = client_challenge(&c);
    struct reply r;

    cr_assert_eq(agent_evidence(challenge), 0);
    client_post_json(&c, "/v1/certificates",
        json_pack("{s:s,s:s,s:s,s:o}", "challenge", challenge, "workload", WORKLOAD, "csr", c.csr,
            "evidence", read_evidence()),
        &r);
    cr_expect_eq(r.status, status, "%s", r.text);
    cr_expect_str_eq(reply_string(&r, "check"), check);
    reply_clear(&r);
    free(challenge);
}

Test(tpm, the_agent)
{
    char *pem = NULL;

    begin("ecc", "ecdsa");
    if (skipped)
        return;
    (void)setenv("BEACHHEAD_TCTI", getenv("TPM2TOOLS_TCTI"), 1);
    cr_assert_eq(bh_key_to_pem(c.key, NULL, &pem, NULL), BH_OK);
    cr_assert_eq(bh_file_write(in_dir("tls.key"), bh_span_str(pem), 0600, NULL), BH_OK);
    free(pem);
    if (agent_evidence("AAECAw") != 0) {
        (void)fprintf(stderr,
            "\n*** SKIP: this agent was built without libtss2-dev: it makes no quotes.\n\n");
    } else {
        admit_agent();
        agent_enrols(403, "tpm2.pcrs.sha256.4");
        extend();
        agent_enrols(201, "");
        agent_enrols(201, ""); /* the same AK again */
        extend();
        agent_enrols(403, "tpm2.pcrs.sha256.4");
    }
    end();
}

Test(tpm, what_is_started_later_counts)
{
    begin("ecc", "ecdsa");
    if (skipped)
        return;
    extend();
    must_enrol();
    extend();
    must_refuse("policy-refused", "tpm2.pcrs.sha256.4");
    end();
}
