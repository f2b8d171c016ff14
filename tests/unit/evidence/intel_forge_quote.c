/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a forged quote, little-endian. */
#include "intel_forge.h"

#include "core/cose.h"
#include "core/writer.h"
#include "core/x509.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const uint8_t vendor[16] = {
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

static void
u16le(struct bh_writer *w, unsigned v)
{
    bh_writer_u8(w, (uint8_t)v);
    bh_writer_u8(w, (uint8_t)(v >> 8));
}

static void
u32le(struct bh_writer *w, size_t v)
{
    u16le(w, (unsigned)(v & 0xffff));
    u16le(w, (unsigned)(v >> 16));
}

static void
fill(struct bh_writer *w, uint8_t byte, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bh_writer_u8(w, byte);
}

static void
put_enclave(struct bh_writer *w, uint8_t misc, const uint8_t attributes[16], uint8_t mrsigner,
    unsigned prod_id, unsigned svn, const uint8_t report_data[64])
{
    fill(w, 0, 16); /* CPUSVN */
    bh_writer_u8(w, misc);
    fill(w, 0, 3 + 12 + 16);
    bh_writer_put(w, bh_span(attributes, 16));
    fill(w, 0xe1, 32); /* MRENCLAVE */
    fill(w, 0, 32);
    fill(w, mrsigner, 32);
    fill(w, 0, 32);
    fill(w, 0xc1, 64); /* CONFIGID */
    u16le(w, prod_id);
    u16le(w, svn);
    u16le(w, 2); /* CONFIGSVN */
    fill(w, 0, 42);
    fill(w, 0xfa, 16);
    bh_writer_put(w, bh_span(report_data, 64));
}

static void
put_td(struct bh_writer *w, const struct intel_plan *p)
{
    bh_writer_put(w, bh_span(p->tee_tcb_svn, 16));
    fill(w, p->mrseam_byte, 48);
    bh_writer_put(w, bh_span(p->mrsignerseam, 48));
    bh_writer_put(w, bh_span(p->seam_attributes, 8));
    bh_writer_put(w, bh_span(p->attributes, 8));
    bh_writer_put(w, bh_span(p->attributes + 8, 8)); /* XFAM */
    fill(w, 0xd1, 48);                               /* MRTD */
    fill(w, 0xd2, 48);
    fill(w, 0xd3, 48);
    fill(w, 0xd4, 48);
    for (int i = 0; i < 4; i++)
        bh_writer_put(w, bh_span(p->rtmr[i], 48));
    bh_writer_put(w, bh_span(p->report_data, 64));
    if (p->version == 5 && p->body_type == 3) {
        bh_writer_put(w, bh_span(p->tee_tcb_svn2, 16));
        fill(w, 0xd5, 48);
    }
}

static void
put_signed_part(struct bh_writer *w, const struct intel_plan *p)
{
    static const size_t sizes[] = {0, 384, 584, 648};
    uint8_t id[16];

    memcpy(id, vendor, sizeof(id));
    id[15] ^= p->vendor_byte;
    u16le(w, p->version);
    u16le(w, p->key_type);
    u32le(w, p->tee_type);
    u16le(w, 8);
    u16le(w, 13);
    bh_writer_put(w, bh_span(id, sizeof(id)));
    fill(w, 0, 20);
    if (p->version == 5) {
        u16le(w, p->body_type);
        u32le(w, sizes[p->body_type & 3]);
    }
    if (p->tdx)
        put_td(w, p);
    else
        put_enclave(w, 0, p->attributes, 0x51, p->isv_prod_id, p->isv_svn, p->report_data);
}

static void
sign(struct bh_writer *w, EVP_PKEY *key, struct bh_span message)
{
    uint8_t sig[BH_ECDSA_RAW_MAX];
    size_t len = 0;

    cr_assert_eq(bh_ecdsa_sign(key, message, sig, &len, NULL), BH_OK);
    bh_writer_put(w, bh_span(sig, len));
}

/* QE report, its signature, authentication data, certification data. */
static void
put_certification(struct bh_writer *w, const struct intel_forge *f, const uint8_t key[64])
{
    static const uint8_t auth[32] = {9, 8, 7};
    const struct intel_plan *p = &f->plan;
    X509 *const chain[] = {f->certs[INTEL_PCK], f->certs[INTEL_CA], f->certs[INTEL_ROOT]};
    uint8_t both[96], data[64] = {0}, attributes[16] = {p->qe_attributes};
    char *pem = intel_forge_pem(chain, p->chain_len, p->pem_tail);
    const size_t start = bh_writer_len(w);

    memcpy(both, key, 64);
    memcpy(both + 64, auth, sizeof(auth));
    both[0] ^= p->qe_report_of_other_key;
    cr_assert_eq(bh_sha2(256, bh_span(both, sizeof(both)), data), BH_OK);
    data[63] = p->qe_report_tail;
    put_enclave(w, p->qe_misc, attributes, p->qe_mrsigner_byte, p->qe_prod_id, p->qe_isv_svn, data);
    sign(w, p->qe_signed_by_stranger ? f->stranger : f->keys[INTEL_PCK],
        bh_span(w->buf + start, 384));
    u16le(w, sizeof(auth));
    bh_writer_put(w, bh_span(auth, sizeof(auth)));
    u16le(w, p->cert_type);
    u32le(w, strlen(pem));
    bh_writer_str(w, pem);
    free(pem);
}

void
intel_forge_quote(struct intel_forge *f, struct intel_pieces *p)
{
    static uint8_t buf[16 * 1024], inner_buf[12 * 1024];
    const struct intel_plan *plan = &f->plan;
    uint8_t spki[BH_SPKI_MAX];
    struct bh_span point, inner, all;
    struct bh_writer w, in;
    const char *name;
    size_t len = 0;

    cr_assert_eq(bh_spki_encode(f->attestation, spki, sizeof(spki), &len, NULL), BH_OK);
    cr_assert_eq(bh_spki_point(bh_span(spki, len), &name, &point), BH_OK);
    bh_writer_init(&in, inner_buf, sizeof(inner_buf));
    put_certification(&in, f, point.ptr + 1);
    cr_assert_eq(bh_writer_end(&in, &inner), BH_OK);
    bh_writer_init(&w, buf, sizeof(buf));
    put_signed_part(&w, plan);
    const size_t body = bh_writer_len(&w);
    u32le(&w, 128 + inner.len + (plan->version > 3 ? 6 : 0));
    sign(&w, plan->quote_signed_by_stranger ? f->stranger : f->attestation, bh_span(buf, body));
    bh_writer_put(&w, bh_span(point.ptr + 1, 64));
    if (plan->version > 3) {
        u16le(&w, plan->outer_type);
        u32le(&w, inner.len);
    }
    bh_writer_put(&w, inner);
    fill(&w, plan->trailing_byte, plan->trailing);
    cr_assert_eq(bh_writer_end(&w, &all), BH_OK);
    intel_put(p, "quote", all);
}
