/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#define SERVER_JSON_MAX (64 * 1024)

static int
cmd_init(int argc, char **argv)
{
    const char *dir = NULL;
    const struct bh_cli_option options[] = {
        {.name = "dir", .value = "SIM", .help = "the folder to make", .needed = true, .text = &dir},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = "beachhead-simulator init",
        .purpose = "Make a folder with simulated vendor roots and one device of each platform.",
        .example = "beachhead-simulator init --dir sim",
        .options = options,
    };
    struct bh_diag diag = {0};
    const int done = bh_cli_parse(&usage, argc, argv, NULL);

    if (done >= 0)
        return done;
    if (agent_simulator_init(dir, &diag) != BH_OK)
        return bh_cli_failed(usage.command, &diag);
    printf("%s: simulated devices aws-nitro, arm-cca, psa, amd-sev-snp, intel-sgx, intel-tdx, "
           "aws-nitrotpm, tpm2\n"
           "next: beachhead-simulator admit --dir %s --server-dir DIR --workload NAME\n",
        dir, dir);
    return 0;
}

/* The two fields of a server's configuration that matter here; the server checks all of it. */
static enum bh_err
read_server(
    const char *dir, char *ret_domain, size_t size, bool *ret_simulated, struct bh_diag *diag)
{
    char path[4096];
    const char *domain = NULL;
    uint8_t *bytes = NULL;
    json_t *json = NULL;
    size_t len = 0;
    enum bh_err e;

    if (bh_path_join(path, sizeof(path), dir, "server.json") != BH_OK)
        return bh_fail(diag, BH_ERR_USAGE, "the path %.80s... is too long", dir);
    if ((e = bh_file_read(path, SERVER_JSON_MAX, &bytes, &len, diag)) != BH_OK) {
        bh_hint(diag, "make the server's folder with: beachhead-server init --dir %s", dir);
        return e;
    }
    if ((e = bh_json_parse(bh_span(bytes, len), SERVER_JSON_MAX, &json, diag)) != BH_OK ||
        (e = bh_json_string(json, "trust_domain", false, &domain, diag)) != BH_OK ||
        (e = bh_json_bool(json, "allow_simulated", true, ret_simulated, diag)) != BH_OK)
        goto out;
    (void)snprintf(ret_domain, size, "%s", domain);
out:
    json_decref(json);
    free(bytes);
    return e;
}

static enum bh_err
admit_platform(const char *sim, const char *platform, const char *dir, const char *workload,
    const char *domain, struct bh_diag *diag)
{
    struct agent_device *device = NULL;
    enum bh_err e;

    if ((e = agent_device_load(sim, platform, &device, diag)) != BH_OK)
        return e;
    e = agent_device_admit(device, dir, workload, domain, diag);
    agent_device_free(device);
    if (e == BH_OK)
        printf("%s: admitted to workload %s\n", platform, workload);
    return e;
}

static int
admit(const char *sim, const char *dir, const char *workload, struct bh_cli_list *platforms)
{
    static const char command[] = "beachhead-simulator admit";
    bool allow_simulated = false;
    struct bh_diag diag = {0};
    char domain[254] = "";

    if (read_server(dir, domain, sizeof(domain), &allow_simulated, &diag) != BH_OK)
        return bh_cli_failed(command, &diag);
    if (platforms->len == 0)
        for (const char *const *p = agent_simulator_platforms(); *p != NULL; p++)
            platforms->items[platforms->len++] = *p;
    for (size_t i = 0; i < platforms->len; i++)
        if (admit_platform(sim, platforms->items[i], dir, workload, domain, &diag) != BH_OK)
            return bh_cli_failed(command, &diag);
    printf("%s/policy/%s.json: names %s.%s\n"
           "next: send the server SIGHUP or start it: beachhead-server run --dir %s\n",
        dir, workload, workload, domain, dir);
    if (!allow_simulated)
        fprintf(stderr,
            "%s: warning: %s/server.json does not allow simulated devices: the server will refuse "
            "this evidence (simulated-refused).\n"
            "  to do     make a server for trials: beachhead-server init --allow-simulated\n",
            command, dir);
    return 0;
}

static int
cmd_admit(int argc, char **argv)
{
    const char *sim = NULL, *dir = NULL, *workload = NULL;
    struct bh_cli_list platforms = {0};
    const struct bh_cli_option options[] = {
        {.name = "dir",
            .value = "SIM",
            .help = "the simulator's folder",
            .needed = true,
            .text = &sim},
        {.name = "server-dir",
            .value = "DIR",
            .help = "the server's folder",
            .needed = true,
            .text = &dir},
        {.name = "workload",
            .value = "NAME",
            .help = "the workload the devices may be",
            .needed = true,
            .text = &workload},
        {.name = "platform",
            .value = "P",
            .help =
                "aws-nitro, arm-cca, psa, amd-sev-snp, intel-sgx, intel-tdx, aws-nitrotpm or tpm2; "
                "default all",
            .list = &platforms},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = "beachhead-simulator admit",
        .purpose = "Write into a server's folder what an administrator would: trust anchors,\n"
                   "endorsed keys and the workload's policy for these simulated devices.",
        .example = "beachhead-simulator admit --dir sim --server-dir server --workload payments",
        .options = options,
    };
    const int done = bh_cli_parse(&usage, argc, argv, NULL);

    return done >= 0 ? done : admit(sim, dir, workload, &platforms);
}

/* A SubjectPublicKeyInfo from a file, PEM or DER. */
static enum bh_err
read_spki(const char *path, uint8_t *out, size_t cap, size_t *ret_len, struct bh_diag *diag)
{
    uint8_t *bytes = NULL;
    EVP_PKEY *key = NULL;
    size_t len = 0;
    BIO *bio = NULL;
    enum bh_err e;

    if ((e = bh_file_read(path, 16 * 1024, &bytes, &len, diag)) != BH_OK)
        return e;
    if (len > 10 && strncmp((const char *)bytes, "-----BEGIN", 10) == 0) {
        bio = BIO_new_mem_buf(bytes, (int)len);
        key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
        e = key != NULL ? BH_OK
                        : bh_fail(diag, BH_ERR_USAGE, "%s holds no public key in PEM", path);
    } else if (bh_spki_decode(bh_span(bytes, len), &key, NULL) != BH_OK) {
        e = bh_fail(diag, BH_ERR_USAGE, "%s holds no SubjectPublicKeyInfo, PEM or DER", path);
    }
    if (e == BH_OK)
        e = bh_spki_encode(key, out, cap, ret_len, diag);
    EVP_PKEY_free(key);
    BIO_free(bio);
    free(bytes);
    return e;
}

static enum bh_err
write_out(const char *path, const char *text, struct bh_diag *diag)
{
    if (strcmp(path, "-") != 0)
        return bh_file_write(path, bh_span_str(text), 0644, diag);
    if (puts(text) < 0 || fflush(stdout) != 0)
        return bh_fail(diag, BH_ERR_IO, "standard output: %s", strerror(errno));
    return BH_OK;
}

struct evidence_options {
    const char *sim, *platform, *binding, *spki, *tamper, *out;
};

static enum bh_err
make_evidence(const struct evidence_options *o, struct bh_diag *diag)
{
    enum agent_tamper tamper = AGENT_TAMPER_NONE;
    uint8_t binding[BH_BINDING_LEN], spki[BH_SPKI_MAX];
    struct agent_device *device = NULL;
    size_t binding_len = 0, spki_len = 0;
    char *cmw = NULL;
    enum bh_err e;

    if (bh_unhex(bh_span_str(o->binding), binding, sizeof(binding), &binding_len) != BH_OK ||
        binding_len != sizeof(binding))
        return bh_refuse(diag, BH_ERR_USAGE, "binding", "64 bytes in hex", o->binding,
            "--binding is not a key binding");
    if ((o->tamper != NULL &&
            (e = agent_tamper_read(o->tamper, o->platform, &tamper, diag)) != BH_OK) ||
        (o->spki != NULL &&
            (e = read_spki(o->spki, spki, sizeof(spki), &spki_len, diag)) != BH_OK) ||
        (e = agent_device_load(o->sim, o->platform, &device, diag)) != BH_OK)
        return e;
    if ((e = agent_device_evidence(
             device, binding, bh_span(spki, spki_len), tamper, bh_time_now(), &cmw, diag)) == BH_OK)
        e = write_out(o->out, cmw, diag);
    free(cmw);
    agent_device_free(device);
    return e;
}

static int
cmd_evidence(int argc, char **argv)
{
    struct evidence_options o = {0};
    const struct bh_cli_option options[] = {
        {.name = "dir",
            .value = "SIM",
            .help = "the simulator's folder",
            .needed = true,
            .text = &o.sim},
        {.name = "platform",
            .value = "P",
            .help =
                "aws-nitro, arm-cca, psa, amd-sev-snp, intel-sgx, intel-tdx, aws-nitrotpm or tpm2",
            .needed = true,
            .text = &o.platform},
        {.name = "binding",
            .value = "HEX",
            .help = "the key binding, 64 bytes",
            .needed = true,
            .text = &o.binding},
        {.name = "output",
            .letter = 'o',
            .value = "FILE",
            .help = "where to write it; - is standard output",
            .needed = true,
            .text = &o.out},
        {.name = "spki",
            .value = "FILE",
            .help = "public key for Nitro's public_key, PEM or DER",
            .text = &o.spki},
        {.name = "tamper", .value = "KIND", .help = AGENT_TAMPER_HELP, .text = &o.tamper},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = "beachhead-simulator evidence",
        .purpose = "Write evidence over a binding as a CMW (RFC 9999) in JSON.",
        .example = "beachhead-simulator evidence --dir sim --platform psa --binding $(openssl rand "
                   "-hex 64) -o psa.cmw",
        .options = options,
    };
    struct bh_diag diag = {0};
    const int done = bh_cli_parse(&usage, argc, argv, NULL);

    if (done >= 0)
        return done;
    return make_evidence(&o, &diag) == BH_OK ? 0 : bh_cli_failed(usage.command, &diag);
}

int
main(int argc, char **argv)
{
    static const struct bh_cli_command commands[] = {
        {"init", "make simulated roots and devices", cmd_init},
        {"admit", "let a server accept them", cmd_admit},
        {"evidence", "write evidence over a binding", cmd_evidence},
        {"enrol", "enrol with a server", agent_cmd_enrol},
        {0},
    };

    return bh_cli_run("beachhead-simulator",
        "Software devices of each platform under simulated roots: genuine formats, no hardware.",
        "beachhead-simulator init --dir sim", commands, argc, argv);
}
