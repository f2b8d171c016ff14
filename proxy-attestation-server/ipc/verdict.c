/* SPDX-License-Identifier: Apache-2.0 */
/* ISSUE and RESULT: the verdict of a verifier in fixed fields, and what it is about. */
#include "core/limits.h"
#include "core/text.h"
#include "ipc/messages.h"

#define CHALLENGE_MAX 128
#define PEER_MAX 64

static void
put_claims(struct bh_writer *w, const struct bh_ear_submod *s)
{
    if (s->claims_len > BH_EAR_CLAIMS_MAX)
        bh_writer_spoil(w);
    bh_writer_u8(w, (uint8_t)s->claims_len);
    for (size_t i = 0; i < s->claims_len && bh_writer_ok(w); i++) {
        bh_writer_vec16(w, bh_span_str(s->claims[i].name));
        bh_writer_u8(w, s->claims[i].text ? 1 : 0);
        bh_writer_vec16(w, bh_span(s->claims[i].value, s->claims[i].len));
    }
}

static void
put_verdict(struct bh_writer *w, const struct ev_verdict *v)
{
    bh_writer_vec16(w, bh_span_str(v->submod.platform));
    bh_writer_u8(w, (uint8_t)v->submod.status);
    bh_writer_u8(w, v->submod.has_vector ? 1 : 0);
    for (size_t i = 0; i < BH_TRUST_COUNT; i++)
        bh_writer_u8(w, (uint8_t)v->submod.trust[i]);
    bh_writer_put(w, bh_span(v->submod.policy_digest, sizeof(v->submod.policy_digest)));
    put_claims(w, &v->submod);
    bh_writer_u8(w, v->simulated ? 1 : 0);
    bh_writer_u8(w, v->debug ? 1 : 0);
    bh_writer_u8(w, v->owner_pinned ? 1 : 0);
    bh_writer_vec16(w, bh_span(v->hardware_id, v->hardware_id_len));
    bh_writer_vec16(w, bh_span(v->measurement, v->measurement_len));
    bh_writer_u64be(w, (uint64_t)v->not_after);
    bh_writer_u64be(w, (uint64_t)v->lifetime);
}

void
pas_issue_encode(struct bh_writer *w, const struct pas_issue *m)
{
    bh_writer_vec16(w, m->challenge);
    bh_writer_vec16(w, m->workload);
    bh_writer_vec16(w, m->spki);
    bh_writer_vec16(w, m->context);
    bh_writer_vec32(w, m->evidence);
    bh_writer_vec16(w, m->peer);
    bh_writer_vec32(w, m->checks);
    bh_writer_put(w, bh_span(m->binding, sizeof(m->binding)));
    bh_writer_u64be(w, m->generation);
    put_verdict(w, &m->verdict);
}

static bool
get_bool(struct bh_reader *r)
{
    const uint8_t v = bh_reader_u8(r);

    if (v > 1)
        bh_reader_spoil(r);
    return v == 1;
}

static bool
is_printable(struct bh_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    return true;
}

/* A printable name into a field of @p size bytes, which is zero before. */
static void
get_name(struct bh_reader *r, char *out, size_t size)
{
    const struct bh_span name = bh_reader_vec16(r, 1, size - 1);

    if (!is_printable(name))
        bh_reader_spoil(r);
    else if (name.len > 0)
        memcpy(out, name.ptr, name.len);
}

static size_t
get_bytes(struct bh_reader *r, uint8_t *out, size_t size)
{
    const struct bh_span bytes = bh_reader_vec16(r, 0, size);

    if (bytes.len > 0)
        memcpy(out, bytes.ptr, bytes.len);
    return bytes.len;
}

static enum bh_ear_status
get_status(struct bh_reader *r)
{
    const enum bh_ear_status status = (enum bh_ear_status)bh_reader_u8(r);

    switch (status) {
    case BH_EAR_NONE:
    case BH_EAR_AFFIRMING:
    case BH_EAR_WARNING:
    case BH_EAR_CONTRAINDICATED:
        return status;
    }
    bh_reader_spoil(r);
    return BH_EAR_NONE;
}

static void
get_claims(struct bh_reader *r, struct bh_ear_submod *s)
{
    s->claims_len = bh_reader_u8(r);
    if (s->claims_len > BH_EAR_CLAIMS_MAX) {
        bh_reader_spoil(r);
        s->claims_len = 0;
    }
    for (size_t i = 0; i < s->claims_len && bh_reader_ok(r); i++) {
        struct bh_ear_claim *c = &s->claims[i];

        get_name(r, c->name, sizeof(c->name));
        c->text = get_bool(r);
        c->len = (uint8_t)get_bytes(r, c->value, sizeof(c->value));
        if (c->text &&
            (memchr(c->value, '\0', c->len) != NULL || !bh_is_utf8(bh_span(c->value, c->len))))
            bh_reader_spoil(r);
    }
}

static void
get_verdict(struct bh_reader *r, struct ev_verdict *v)
{
    get_name(r, v->submod.platform, sizeof(v->submod.platform));
    v->submod.status = get_status(r);
    v->submod.has_vector = get_bool(r);
    for (size_t i = 0; i < BH_TRUST_COUNT; i++)
        v->submod.trust[i] = (int8_t)bh_reader_u8(r);
    bh_reader_copy(r, v->submod.policy_digest, sizeof(v->submod.policy_digest));
    get_claims(r, &v->submod);
    v->simulated = get_bool(r);
    v->debug = get_bool(r);
    v->owner_pinned = get_bool(r);
    v->hardware_id_len = get_bytes(r, v->hardware_id, sizeof(v->hardware_id));
    v->measurement_len = get_bytes(r, v->measurement, sizeof(v->measurement));
    v->not_after = (int64_t)bh_reader_u64be(r);
    v->lifetime = (int64_t)bh_reader_u64be(r);
    if (v->not_after < 0 || v->lifetime < 0)
        bh_reader_spoil(r);
}

enum bh_err
pas_issue_decode(struct bh_span in, struct pas_issue *ret_m)
{
    struct bh_reader r;

    /* The verdict is 6 KiB: it is read in place and wiped when the rest does not hold. */
    memset(ret_m, 0, sizeof(*ret_m));
    bh_reader_init(&r, in);
    ret_m->challenge = bh_reader_vec16(&r, 0, CHALLENGE_MAX);
    ret_m->workload = bh_reader_vec16(&r, 1, 63);
    ret_m->spki = bh_reader_vec16(&r, 1, BH_SPKI_MAX);
    ret_m->context = bh_reader_vec16(&r, 0, BH_CONTEXT_MAX);
    ret_m->evidence = bh_reader_vec32(&r, 1, BH_BODY_MAX);
    ret_m->peer = bh_reader_vec16(&r, 0, PEER_MAX);
    ret_m->checks = bh_reader_vec32(&r, 0, BH_IPC_MAX);
    bh_reader_copy(&r, ret_m->binding, sizeof(ret_m->binding));
    ret_m->generation = bh_reader_u64be(&r);
    get_verdict(&r, &ret_m->verdict);
    if (bh_reader_end(&r) == BH_OK && bh_is_workload(ret_m->workload) && is_printable(ret_m->peer))
        return BH_OK;
    memset(ret_m, 0, sizeof(*ret_m));
    return BH_ERR_MALFORMED;
}
