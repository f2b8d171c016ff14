/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/messages.h"

#include "core/limits.h"
#include "core/text.h"

#define CHALLENGE_MAX                                                                              \
    128 /* a client may send one of any length; the authority says which is right */
#define PEER_MAX 64
#define TYPE_MAX 160
#define DNS_MAX 253
#define REQUEST_ID_MAX 32
#define SIGNING_MAX (64 * 1024)

/* ---- who may send what to whom ---- */

static const struct {
    enum pas_role from, to;
    uint16_t type;
} permitted[] = {
    {PAS_PARENT, PAS_FRONTEND, PAS_CTL_START},
    {PAS_PARENT, PAS_FRONTEND, PAS_CTL_LINK},
    {PAS_PARENT, PAS_FRONTEND, PAS_CTL_LISTEN},
    {PAS_PARENT, PAS_FRONTEND, PAS_CTL_TLS},
    {PAS_PARENT, PAS_FRONTEND, PAS_CTL_CONFINE},
    {PAS_PARENT, PAS_FRONTEND, PAS_CTL_DRAIN},
    {PAS_PARENT, PAS_FRONTEND, PAS_CTL_UNLINK},
    {PAS_PARENT, PAS_VERIFIER, PAS_CTL_START},
    {PAS_PARENT, PAS_VERIFIER, PAS_CTL_LINK},
    {PAS_PARENT, PAS_VERIFIER, PAS_CTL_SNAPSHOT},
    {PAS_PARENT, PAS_VERIFIER, PAS_CTL_CONFINE},
    {PAS_PARENT, PAS_VERIFIER, PAS_CTL_DRAIN},
    {PAS_PARENT, PAS_VERIFIER, PAS_CTL_UNLINK},
    {PAS_PARENT, PAS_AUTHORITY, PAS_CTL_START},
    {PAS_PARENT, PAS_AUTHORITY, PAS_CTL_LINK},
    {PAS_PARENT, PAS_AUTHORITY, PAS_CTL_SNAPSHOT},
    {PAS_PARENT, PAS_AUTHORITY, PAS_CTL_CONFINE},
    {PAS_PARENT, PAS_AUTHORITY, PAS_CTL_DRAIN},
    {PAS_PARENT, PAS_AUTHORITY, PAS_CTL_UNLINK},
    {PAS_PARENT, PAS_SIGNER, PAS_CTL_START},
    {PAS_PARENT, PAS_SIGNER, PAS_CTL_LINK},
    {PAS_PARENT, PAS_SIGNER, PAS_CTL_CONFINE},
    {PAS_PARENT, PAS_SIGNER, PAS_CTL_DRAIN},
    {PAS_PARENT, PAS_SIGNER, PAS_CTL_UNLINK},
    {PAS_FRONTEND, PAS_PARENT, PAS_CTL_READY},
    {PAS_FRONTEND, PAS_PARENT, PAS_CTL_REFUSED},
    {PAS_FRONTEND, PAS_PARENT, PAS_CTL_FAILED},
    {PAS_FRONTEND, PAS_PARENT, PAS_CTL_CUT},
    {PAS_VERIFIER, PAS_PARENT, PAS_CTL_READY},
    {PAS_VERIFIER, PAS_PARENT, PAS_CTL_REFUSED},
    {PAS_VERIFIER, PAS_PARENT, PAS_CTL_FAILED},
    {PAS_AUTHORITY, PAS_PARENT, PAS_CTL_READY},
    {PAS_AUTHORITY, PAS_PARENT, PAS_CTL_REFUSED},
    {PAS_AUTHORITY, PAS_PARENT, PAS_CTL_FAILED},
    {PAS_AUTHORITY, PAS_PARENT, PAS_CTL_CUT},
    {PAS_SIGNER, PAS_PARENT, PAS_CTL_READY},
    {PAS_SIGNER, PAS_PARENT, PAS_CTL_REFUSED},
    {PAS_SIGNER, PAS_PARENT, PAS_CTL_FAILED},
    {PAS_FRONTEND, PAS_VERIFIER, PAS_ENROL},
    {PAS_FRONTEND, PAS_VERIFIER, PAS_APPRAISE},
    {PAS_VERIFIER, PAS_FRONTEND, PAS_ANSWER},
    {PAS_VERIFIER, PAS_FRONTEND, PAS_PASSED},
    {PAS_FRONTEND, PAS_AUTHORITY, PAS_MINT},
    {PAS_FRONTEND, PAS_AUTHORITY, PAS_CERTIFICATE},
    {PAS_FRONTEND, PAS_AUTHORITY, PAS_ROOTS_PEM},
    {PAS_FRONTEND, PAS_AUTHORITY, PAS_ISSUERS_PEM},
    {PAS_FRONTEND, PAS_AUTHORITY, PAS_INFO},
    {PAS_FRONTEND, PAS_AUTHORITY, PAS_READY},
    {PAS_FRONTEND, PAS_AUTHORITY, PAS_METRICS},
    {PAS_AUTHORITY, PAS_FRONTEND, PAS_ANSWER},
    {PAS_VERIFIER, PAS_AUTHORITY, PAS_LOOKUP},
    {PAS_VERIFIER, PAS_AUTHORITY, PAS_ISSUE},
    {PAS_VERIFIER, PAS_AUTHORITY, PAS_RESULT},
    {PAS_VERIFIER, PAS_AUTHORITY, PAS_REFUSAL},
    {PAS_AUTHORITY, PAS_VERIFIER, PAS_VALUE},
    {PAS_AUTHORITY, PAS_SIGNER, PAS_SIGN_CERTIFICATE},
    {PAS_AUTHORITY, PAS_SIGNER, PAS_SIGN_JWT},
    {PAS_SIGNER, PAS_AUTHORITY, PAS_SIGNED},
    {PAS_SIGNER, PAS_AUTHORITY, PAS_NOT_SIGNED},
};

bool
pas_msg_permitted(enum pas_role from, enum pas_role to, uint16_t type)
{
    for (size_t i = 0; i < BH_COUNT(permitted); i++)
        if (permitted[i].from == from && permitted[i].to == to && permitted[i].type == type)
            return true;
    return false;
}

/* ---- a diag ---- */

static void
get_text(struct bh_reader *r, char *out, size_t size)
{
    const struct bh_span text = bh_reader_vec16(r, 0, size - 1);

    if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL)
        bh_reader_spoil(r);
    else if (text.len > 0)
        memcpy(out, text.ptr, text.len);
}

static void
get_diag(struct bh_reader *r, struct bh_diag *ret_diag)
{
    ret_diag->err = (enum bh_err)bh_reader_u16be(r);
    get_text(r, ret_diag->check, sizeof(ret_diag->check));
    get_text(r, ret_diag->expected, sizeof(ret_diag->expected));
    get_text(r, ret_diag->found, sizeof(ret_diag->found));
    get_text(r, ret_diag->detail, sizeof(ret_diag->detail));
    get_text(r, ret_diag->hint, sizeof(ret_diag->hint));
    /* A diag that says nothing failed would turn a refusal into silence. */
    if (ret_diag->err == BH_OK)
        bh_reader_spoil(r);
}

void
pas_diag_encode(struct bh_writer *w, const struct bh_diag *diag)
{
    bh_writer_u16be(w, (uint16_t)diag->err);
    bh_writer_vec16(w, bh_span_str(diag->check));
    bh_writer_vec16(w, bh_span_str(diag->expected));
    bh_writer_vec16(w, bh_span_str(diag->found));
    bh_writer_vec16(w, bh_span_str(diag->detail));
    bh_writer_vec16(w, bh_span_str(diag->hint));
}

enum bh_err
pas_diag_decode(struct bh_span in, struct bh_diag *ret_diag)
{
    struct bh_diag diag = {0};
    struct bh_reader r;

    bh_reader_init(&r, in);
    get_diag(&r, &diag);
    if (bh_reader_end(&r) != BH_OK)
        return BH_ERR_MALFORMED;
    *ret_diag = diag;
    return BH_OK;
}

/* ---- frontend ---- */

void
pas_answer_encode(struct bh_writer *w, const struct pas_answer *m)
{
    bh_writer_u16be(w, m->status);
    bh_writer_vec16(w, m->content_type);
    bh_writer_vec32(w, m->body);
}

/* A header's value: printable, so that it cannot begin another header. */
static bool
is_printable(struct bh_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    return true;
}

enum bh_err
pas_answer_decode(struct bh_span in, struct pas_answer *ret_m)
{
    struct pas_answer m;
    struct bh_reader r;

    bh_reader_init(&r, in);
    m.status = bh_reader_u16be(&r);
    m.content_type = bh_reader_vec16(&r, 0, TYPE_MAX);
    m.body = bh_reader_vec32(&r, 0, BH_IPC_MAX);
    if (bh_reader_end(&r) != BH_OK || m.status < 200 || m.status > 599 ||
        !is_printable(m.content_type))
        return BH_ERR_MALFORMED;
    *ret_m = m;
    return BH_OK;
}

void
pas_request_encode(struct bh_writer *w, const struct pas_request *m)
{
    bh_writer_vec16(w, m->peer);
    bh_writer_vec32(w, m->body);
}

enum bh_err
pas_request_decode(struct bh_span in, struct pas_request *ret_m)
{
    struct pas_request m;
    struct bh_reader r;

    bh_reader_init(&r, in);
    m.peer = bh_reader_vec16(&r, 0, PEER_MAX);
    m.body = bh_reader_vec32(&r, 0, BH_BODY_MAX);
    if (bh_reader_end(&r) != BH_OK || !is_printable(m.peer))
        return BH_ERR_MALFORMED;
    *ret_m = m;
    return BH_OK;
}

/* ---- verifier ---- */

void
pas_lookup_encode(struct bh_writer *w, const struct pas_lookup *m)
{
    bh_writer_u8(w, m->kind);
    bh_writer_u8(w, m->appraisal ? 1 : 0);
    bh_writer_vec16(w, m->challenge);
    bh_writer_vec16(w, m->platform);
    bh_writer_vec16(w, m->key);
}

enum bh_err
pas_lookup_decode(struct bh_span in, struct pas_lookup *ret_m)
{
    struct pas_lookup m;
    struct bh_reader r;

    bh_reader_init(&r, in);
    m.kind = bh_reader_u8(&r);
    const uint8_t appraisal = bh_reader_u8(&r);
    m.challenge = bh_reader_vec16(&r, 0, CHALLENGE_MAX);
    m.platform = bh_reader_vec16(&r, 0, BH_EAR_PLATFORM_MAX - 1);
    m.key = bh_reader_vec16(&r, 0, BH_LOOKUP_KEY_MAX);
    if (bh_reader_end(&r) != BH_OK || m.kind > PAS_LOOKUP_ENDORSEMENT || appraisal > 1 ||
        !is_printable(m.platform))
        return BH_ERR_MALFORMED;
    m.appraisal = appraisal == 1;
    *ret_m = m;
    return BH_OK;
}

void
pas_value_encode(struct bh_writer *w, const struct pas_value *m)
{
    bh_writer_u16be(w, m->err);
    bh_writer_vec32(w, m->value);
}

enum bh_err
pas_value_decode(struct bh_span in, struct pas_value *ret_m)
{
    struct pas_value m;
    struct bh_reader r;

    bh_reader_init(&r, in);
    m.err = bh_reader_u16be(&r);
    m.value = bh_reader_vec32(&r, 0, BH_LOOKUP_VALUE_MAX);
    if (bh_reader_end(&r) != BH_OK)
        return BH_ERR_MALFORMED;
    *ret_m = m;
    return BH_OK;
}

void
pas_refusal_encode(struct bh_writer *w, const struct pas_refusal *m)
{
    bh_writer_vec16(w, m->workload);
    bh_writer_vec16(w, m->platform);
    bh_writer_vec16(w, m->peer);
    bh_writer_vec16(w, m->request_id);
    pas_diag_encode(w, &m->diag);
}

enum bh_err
pas_refusal_decode(struct bh_span in, struct pas_refusal *ret_m)
{
    struct pas_refusal m = {0};
    struct bh_reader r;

    bh_reader_init(&r, in);
    m.workload = bh_reader_vec16(&r, 0, 63);
    m.platform = bh_reader_vec16(&r, 0, BH_EAR_PLATFORM_MAX - 1);
    m.peer = bh_reader_vec16(&r, 0, PEER_MAX);
    m.request_id = bh_reader_vec16(&r, 0, REQUEST_ID_MAX);
    get_diag(&r, &m.diag);
    if (bh_reader_end(&r) != BH_OK || !is_printable(m.workload) || !is_printable(m.platform) ||
        !is_printable(m.peer) || !is_printable(m.request_id))
        return BH_ERR_MALFORMED;
    *ret_m = m;
    return BH_OK;
}

/* ---- signer ---- */

void
pas_certificate_encode(struct bh_writer *w, const struct pas_certificate *m)
{
    bh_writer_put(w, bh_span(m->serial, sizeof(m->serial)));
    bh_writer_u64be(w, (uint64_t)m->not_before);
    bh_writer_u64be(w, (uint64_t)m->not_after);
    bh_writer_vec16(w, m->workload);
    if (m->dns_len > BH_COUNT(m->dns))
        bh_writer_spoil(w);
    bh_writer_u8(w, (uint8_t)m->dns_len);
    for (size_t i = 0; i < m->dns_len && bh_writer_ok(w); i++)
        bh_writer_vec16(w, m->dns[i]);
    bh_writer_vec16(w, m->spki);
    bh_writer_vec16(w, m->ear);
}

enum bh_err
pas_certificate_decode(struct bh_span in, struct pas_certificate *ret_m)
{
    struct pas_certificate m = {0};
    struct bh_reader r;
    bool names = true;

    bh_reader_init(&r, in);
    bh_reader_copy(&r, m.serial, sizeof(m.serial));
    m.not_before = (int64_t)bh_reader_u64be(&r);
    m.not_after = (int64_t)bh_reader_u64be(&r);
    m.workload = bh_reader_vec16(&r, 1, 63);
    m.dns_len = bh_reader_u8(&r);
    if (m.dns_len > BH_COUNT(m.dns))
        return BH_ERR_MALFORMED;
    for (size_t i = 0; i < m.dns_len; i++) {
        m.dns[i] = bh_reader_vec16(&r, 1, DNS_MAX);
        names = names && bh_is_dns_name(m.dns[i]);
    }
    m.spki = bh_reader_vec16(&r, 1, BH_SPKI_MAX);
    m.ear = bh_reader_vec16(&r, 1, BH_EAR_MAX);
    if (bh_reader_end(&r) != BH_OK || !names || !bh_is_workload(m.workload) || m.not_before < 0 ||
        m.not_after <= m.not_before)
        return BH_ERR_MALFORMED;
    *ret_m = m;
    return BH_OK;
}

void
pas_signed_encode(struct bh_writer *w, const struct pas_signed *m)
{
    bh_writer_vec32(w, m->ear);
    bh_writer_vec32(w, m->certificate);
}

enum bh_err
pas_signed_decode(struct bh_span in, struct pas_signed *ret_m)
{
    struct pas_signed m;
    struct bh_reader r;

    bh_reader_init(&r, in);
    m.ear = bh_reader_vec32(&r, 1, SIGNING_MAX);
    m.certificate = bh_reader_vec32(&r, 0, BH_CERT_MAX);
    if (bh_reader_end(&r) != BH_OK)
        return BH_ERR_MALFORMED;
    *ret_m = m;
    return BH_OK;
}

/* ---- parent ---- */

void
pas_start_encode(struct bh_writer *w, const struct pas_start *m)
{
    bh_writer_u32be(w, m->index);
    bh_writer_vec16(w, m->dir);
    bh_writer_vec32(w, m->config);
}

enum bh_err
pas_start_decode(struct bh_span in, struct pas_start *ret_m)
{
    struct pas_start m;
    struct bh_reader r;

    bh_reader_init(&r, in);
    m.index = bh_reader_u32be(&r);
    m.dir = bh_reader_vec16(&r, 1, PAS_DIR_MAX - 1);
    m.config = bh_reader_vec32(&r, 1, BH_POLICY_MAX);
    if (bh_reader_end(&r) != BH_OK || m.index > 0xffff || m.dir.ptr[0] != '/' ||
        memchr(m.dir.ptr, '\0', m.dir.len) != NULL)
        return BH_ERR_MALFORMED;
    *ret_m = m;
    return BH_OK;
}

void
pas_tls_encode(struct bh_writer *w, const struct pas_tls *m)
{
    bh_writer_vec32(w, m->chain);
    bh_writer_vec32(w, m->key);
}

enum bh_err
pas_tls_decode(struct bh_span in, struct pas_tls *ret_m)
{
    struct pas_tls m;
    struct bh_reader r;

    bh_reader_init(&r, in);
    m.chain = bh_reader_vec32(&r, 1, PAS_TLS_MAX);
    m.key = bh_reader_vec32(&r, 1, PAS_TLS_MAX);
    if (bh_reader_end(&r) != BH_OK)
        return BH_ERR_MALFORMED;
    *ret_m = m;
    return BH_OK;
}
