/* SPDX-License-Identifier: Apache-2.0 */
/* Every message between the processes: the first byte chooses which, the rest is its payload. */
#include "fuzz.h"

#include "ipc/messages.h"

static uint8_t buffer[BH_IPC_MAX];

/* A message that decodes is encoded to the same bytes: no two payloads mean the same. */
static void
must_be_same(const struct bh_writer *w, struct bh_span in)
{
    struct bh_span out;

    must(bh_writer_end(w, &out) == BH_OK && bh_span_equal(in, out));
}

static void
snapshot(struct bh_span in)
{
    struct pas_snapshot_record record;
    struct bh_reader r;

    bh_reader_init(&r, in);
    while (pas_snapshot_next(&r, &record))
        must(record.bytes.len <= in.len);
    (void)!bh_reader_end(&r);
}

static void
message(uint8_t which, struct bh_span in, struct bh_writer *w)
{
    static union {
        struct bh_diag diag;
        struct pas_answer answer;
        struct pas_request request;
        struct pas_lookup lookup;
        struct pas_value value;
        struct pas_issue issue;
        struct pas_refusal refusal;
        struct pas_certificate certificate;
        struct pas_signed signature;
    } m;
    enum bh_err e = BH_ERR_MALFORMED;

    memset(&m, 0, sizeof(m));
    switch (which) {
    case 0:
        if ((e = pas_diag_decode(in, &m.diag)) == BH_OK)
            pas_diag_encode(w, &m.diag);
        break;
    case 1:
        if ((e = pas_answer_decode(in, &m.answer)) == BH_OK)
            pas_answer_encode(w, &m.answer);
        break;
    case 2:
        if ((e = pas_request_decode(in, &m.request)) == BH_OK)
            pas_request_encode(w, &m.request);
        break;
    case 3:
        if ((e = pas_lookup_decode(in, &m.lookup)) == BH_OK)
            pas_lookup_encode(w, &m.lookup);
        break;
    case 4:
        if ((e = pas_value_decode(in, &m.value)) == BH_OK)
            pas_value_encode(w, &m.value);
        break;
    case 5:
        if ((e = pas_issue_decode(in, &m.issue)) == BH_OK)
            pas_issue_encode(w, &m.issue);
        break;
    case 6:
        if ((e = pas_refusal_decode(in, &m.refusal)) == BH_OK)
            pas_refusal_encode(w, &m.refusal);
        break;
    case 7:
        if ((e = pas_certificate_decode(in, &m.certificate)) == BH_OK)
            pas_certificate_encode(w, &m.certificate);
        break;
    case 8:
        if ((e = pas_signed_decode(in, &m.signature)) == BH_OK)
            pas_signed_encode(w, &m.signature);
        break;
    default:
        snapshot(in);
    }
    if (e == BH_OK)
        must_be_same(w, in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_writer w;

    if (size == 0)
        return 0;
    bh_writer_init(&w, buffer, sizeof(buffer));
    message(data[0] % 10, bh_span(data + 1, size - 1), &w);
    return 0;
}
