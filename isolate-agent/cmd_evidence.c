/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "core/binding.h"
#include "core/cli.h"
#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"

#include "isolate-agent/attester/attester.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#define COMMAND "beachhead-agent evidence"
#define KEY_MAX (64 * 1024)
#define CHALLENGE_MAX 256

struct options {
    const char *challenge, *key, *context, *attester, *simulator, *out;
};

/* A private key, a public one (SPKI) or a certificate would do as well: the key pair is what an
 * enrolment has. */
static enum bh_err
read_spki(const char *path, uint8_t *spki, size_t cap, size_t *ret_len, struct bh_diag *diag)
{
    EVP_PKEY *key = NULL;
    uint8_t *pem = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_file_read(path, KEY_MAX, &pem, &len, diag)) != BH_OK)
        return e;
    if ((e = bh_key_from_pem(bh_span(pem, len), NULL, &key, diag)) == BH_OK)
        e = bh_spki_encode(key, spki, cap, ret_len, diag);
    else
        bh_hint(diag, "--key takes an unencrypted private key in PEM");
    EVP_PKEY_free(key);
    OPENSSL_cleanse(pem, len);
    free(pem);
    return e;
}

static enum bh_err
make_binding(const struct options *o, struct bh_span spki, uint8_t binding[BH_BINDING_LEN],
    struct bh_diag *diag)
{
    uint8_t challenge[CHALLENGE_MAX], context[BH_CONTEXT_MAX];
    size_t challenge_len = 0, context_len = 0;

    if (bh_unbase64url(bh_span_str(o->challenge), challenge, sizeof(challenge), &challenge_len) !=
            BH_OK ||
        challenge_len == 0)
        return bh_refuse(diag, BH_ERR_USAGE, "challenge", "base64url without padding", o->challenge,
            "--challenge is none");
    if (o->context != NULL &&
        bh_unhex(bh_span_str(o->context), context, sizeof(context), &context_len) != BH_OK)
        return bh_refuse(diag, BH_ERR_USAGE, "context", "hex of at most 64 bytes", o->context,
            "--context is none");
    return bh_binding(
        bh_span(challenge, challenge_len), spki, bh_span(context, context_len), binding);
}

static enum bh_err
write_out(const char *path, const char *text, struct bh_diag *diag)
{
    if (strcmp(path, "-") != 0)
        return bh_file_write(path, bh_span_str(text), 0644, diag);
    return fputs(text, stdout) != EOF && fflush(stdout) == 0
               ? BH_OK
               : bh_fail(diag, BH_ERR_IO, "cannot write to standard output");
}

static enum bh_err
evidence(const struct options *o, struct bh_diag *diag)
{
    const struct agent_attester_config config = {.simulator = o->simulator};
    const struct agent_attester *attester = NULL;
    uint8_t spki[BH_SPKI_MAX], binding[BH_BINDING_LEN];
    size_t spki_len = 0;
    char *cmw = NULL;
    enum bh_err e;

    if ((e = agent_attester_find(o->attester, &config, &attester, diag)) != BH_OK ||
        (e = read_spki(o->key, spki, sizeof(spki), &spki_len, diag)) != BH_OK ||
        (e = make_binding(o, bh_span(spki, spki_len), binding, diag)) != BH_OK)
        return e;
    e = attester->evidence(
        attester, &config, binding, bh_span(spki, spki_len), bh_time_now(), &cmw, diag);
    if (e == BH_OK)
        e = write_out(o->out, cmw, diag);
    free(cmw);
    return e;
}

int
agent_cmd_evidence(int argc, char **argv)
{
    struct options o = {.attester = "auto"};
    const struct bh_cli_option options[] = {
        {.name = "challenge",
            .value = "B64",
            .help = "the server's challenge, base64url",
            .needed = true,
            .text = &o.challenge},
        {.name = "key",
            .value = "FILE",
            .help = "private key to bind, PEM",
            .needed = true,
            .text = &o.key},
        {.name = "context", .value = "HEX", .help = "what else to commit to", .text = &o.context},
        {.name = "attester",
            .value = "NAME",
            .help = "auto, a platform, or sim:PLATFORM",
            .text = &o.attester},
        {.name = "simulator",
            .value = "DIR",
            .help = "folder of the simulated devices",
            .text = &o.simulator},
        {.name = "out",
            .letter = 'o',
            .value = "FILE",
            .help = "where to write the CMW (JSON); - for standard output",
            .needed = true,
            .text = &o.out},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Produce this isolate's native evidence over the binding of a challenge, a key "
                   "and a context.",
        .example = "beachhead-agent evidence --challenge AAECAw --key tls.key --attester sim:psa "
                   "--simulator SIM -o evidence.cmw",
        .options = options,
    };
    struct bh_diag diag = {0};
    const int done = bh_cli_parse(&usage, argc, argv, NULL);

    if (done >= 0)
        return done;
    agent_harden();
    return evidence(&o, &diag) == BH_OK ? 0 : bh_cli_failed(COMMAND, &diag);
}
