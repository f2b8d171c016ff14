/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Nitro enclave images (EIF versions 2 to 4, aws-nitro-enclaves-image-format): a header with a
 * table of at most 32 sections and a CRC-32 over all else, then the sections one behind the other.
 *
 * What the hypervisor measures (SHA-384, one extension of a zero PCR each): PCR0 kernel, command
 * line and all ramdisks, PCR1 the same with the first ramdisk alone, PCR2 the other ramdisks (of an
 * image without them: nothing, the same value for every such image), PCR8 the certificate that
 * signed PCR0. The image is read in one pass, whatever its size.
 *
 * Names of the checks: "eif.header", "eif.version", "eif.sections", "eif.size", "eif.crc",
 * "eif.signature".
 */
#ifndef BH_CLI_MEASURE_EIF_H
#define BH_CLI_MEASURE_EIF_H

#include "core/err.h"

#include <stdio.h>

#define BH_EIF_PCR_LEN 48

struct bh_eif_pcrs {
    uint8_t pcr0[BH_EIF_PCR_LEN], pcr1[BH_EIF_PCR_LEN], pcr2[BH_EIF_PCR_LEN];
    bool is_signed;
    uint8_t pcr8[BH_EIF_PCR_LEN];
};

/**
 * Measure the image that @p in stands at the beginning of. Refuses sections that overlap or leave
 * gaps, are of unknown types, missing or twice, bytes behind the last one, a CRC that does not fit,
 * and a signature that is not over this PCR0. BH_ERR_MALFORMED, BH_ERR_TOO_LARGE,
 * BH_ERR_NOT_AUTHENTIC (the signature), BH_ERR_IO.
 */
BH_MUST_USE enum bh_err bh_eif_measure(
    FILE *in, struct bh_eif_pcrs *ret_pcrs, struct bh_diag *diag);

#endif
