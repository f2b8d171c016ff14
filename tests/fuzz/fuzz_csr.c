/* SPDX-License-Identifier: Apache-2.0 */
/* bh_csr_read, bh_spki_decode, bh_spki_point. */
#include "fuzz.h"

#include "core/x509.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_span in = bh_span(data, size);
    struct bh_diag diag = {0};
    struct bh_csr csr;
    struct bh_span point;
    const char *name;
    EVP_PKEY *key = NULL;
    enum bh_err e;

    e = bh_csr_read(in, &csr, &diag);
    must_explain(e, &diag);
    if (e == BH_OK)
        must(csr.key_name != NULL && csr.spki_len > 0);
    bh_diag_clear(&diag);
    e = bh_spki_decode(in, &key, &diag);
    must_explain(e, &diag);
    must((e == BH_OK) == (key != NULL));
    EVP_PKEY_free(key);
    if (bh_spki_point(in, &name, &point) == BH_OK)
        must(name != NULL && point.len > 0);
    return 0;
}
