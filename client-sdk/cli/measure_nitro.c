/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead measure nitro: the PCRs of an enclave image, as a policy entry. */
#include "measure.h"
#include "measure_eif.h"

#include "core/cli.h"
#include "core/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#define COMMAND "beachhead measure nitro"

static enum bh_err
measure_file(const char *path, struct bh_eif_pcrs *ret_pcrs, struct bh_diag *diag)
{
    FILE *in = fopen(path, "rbe");
    enum bh_err e;

    if (in == NULL)
        return bh_refuse(diag, BH_ERR_USAGE, "input", "an enclave image (EIF)", path,
            "cannot open %s: %s", path, strerror(errno));
    e = bh_eif_measure(in, ret_pcrs, diag);
    (void)fclose(in);
    return e;
}

static void
set(json_t *pcrs, const char *index, const uint8_t value[BH_EIF_PCR_LEN])
{
    char hex[2 * BH_EIF_PCR_LEN + 1];

    (void)json_object_set_new(
        pcrs, index, json_pack("[s]", bh_hex(bh_span(value, BH_EIF_PCR_LEN), hex, sizeof(hex))));
}

int
bh_measure_nitro(int argc, char **argv)
{
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose =
            "Compute the PCRs of an enclave image and print them as an entry of a policy's "
            "\"accept\".\nPCR 0: kernel, command line, ramdisks. 1: the same with the first "
            "ramdisk alone. 2: the other\nramdisks. 8: the certificate of a signed image, whose "
            "signature is verified. Add the owner:\nPCR 3 or 4, or \"owner\": \"any\".",
        .example = COMMAND " enclave.eif",
        .args = "EIF",
        .args_min = 1,
        .args_max = 1,
    };
    struct bh_eif_pcrs m = {0};
    struct bh_diag diag = {0};
    struct bh_cli_list args;
    json_t *pcrs, *entry;
    const int rc = bh_cli_parse(&usage, argc, argv, &args);

    if (rc >= 0)
        return rc;
    if (measure_file(args.items[0], &m, &diag) != BH_OK)
        return bh_cli_failed(COMMAND, &diag);
    pcrs = json_object();
    set(pcrs, "0", m.pcr0);
    set(pcrs, "1", m.pcr1);
    set(pcrs, "2", m.pcr2);
    if (m.is_signed)
        set(pcrs, "8", m.pcr8);
    entry = json_pack("{s:s, s:o}", "platform", "aws-nitro", "pcrs", pcrs);
    const bool written = bh_cli_print_json(entry);
    json_decref(entry);
    return written ? 0 : 2;
}
