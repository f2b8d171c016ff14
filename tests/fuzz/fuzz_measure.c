/* SPDX-License-Identifier: Apache-2.0 */
/* bh_eif_measure, bh_eif_signer, bh_ovmf_read, bh_launch_measure: images that are measured. */
#include "fuzz.h"

#include "client-sdk/cli/measure_eif.h"
#include "client-sdk/cli/measure_launch.h"
#include "client-sdk/cli/measure_signature.h"

#include <openssl/crypto.h>
#include <stdio.h>

static void
measure_eif(const uint8_t *data, size_t size)
{
    static const uint8_t pcr0[BH_EIF_PCR_LEN] = {1};
    FILE *in = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;
    struct bh_eif_pcrs pcrs;
    struct bh_diag diag = {0};
    uint8_t *der = NULL;
    size_t len = 0;

    if (in != NULL) {
        must_explain(bh_eif_measure(in, &pcrs, &diag), &diag);
        (void)fclose(in);
    }
    bh_diag_clear(&diag);
    must_explain(bh_eif_signer(bh_span(data, size), pcr0, &der, &len, &diag), &diag);
    OPENSSL_free(der);
}

static void
measure_ovmf(struct bh_span image)
{
    struct bh_ovmf ovmf;
    struct bh_launch launch = {.ovmf = &ovmf, .vcpus = 3, .guest_features = 1};
    uint8_t digest[BH_LAUNCH_LEN];
    struct bh_diag diag = {0};
    uint64_t pages = 0;
    enum bh_err e;

    if ((e = bh_ovmf_read(image, &ovmf, &diag)) != BH_OK) {
        must_explain(e, &diag);
        return;
    }
    for (size_t i = 0; i < ovmf.sections_len; i++)
        pages += ovmf.sections[i].size / BH_PAGE;
    if (pages > 256) /* each costs a digest, and says nothing new */
        return;
    for (int direct = 0; direct < 2; direct++) {
        launch.direct = direct != 0;
        bh_diag_clear(&diag);
        must_explain(bh_launch_measure(&launch, digest, &diag), &diag);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t page[BH_PAGE];

    measure_eif(data, size);
    measure_ovmf(bh_span(data, size));
    /* Short inputs become the end of a page: the table stands there. */
    if (size > 0 && size < BH_PAGE) {
        memset(page, 0, sizeof(page));
        memcpy(page + BH_PAGE - size, data, size);
        measure_ovmf(bh_span(page, sizeof(page)));
    }
    return 0;
}
