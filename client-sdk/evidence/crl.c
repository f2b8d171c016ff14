/* SPDX-License-Identifier: Apache-2.0 */
#include "crl.h"

#include "cert.h"

#include "core/reader.h"

enum tag { /* X.690, 8.1 */
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_BITS = 0x03,
    TAG_OCTETS = 0x04,
    TAG_OID = 0x06,
    TAG_SEQUENCE = 0x30,
    TAG_EXTENSIONS = 0xa0,
};

#define SERIAL_MAX 21

static enum bh_err
malformed(struct bh_diag *diag, const char *what)
{
    return bh_fail(diag, BH_ERR_MALFORMED, "revocation list (RFC 5280, 5.1): %s", what);
}

/* No extension of a list or of an entry may be critical: each would change what the list means. */
static bool
has_only_plain_extensions(struct bh_span all)
{
    struct bh_reader list, r;

    bh_reader_init(&list, all);
    while (bh_reader_left(&list) > 0) {
        bh_reader_init(&r, bh_reader_der(&list, TAG_SEQUENCE, NULL));
        (void)bh_reader_der(&r, TAG_OID, NULL);
        if (bh_reader_der_is(&r, TAG_BOOLEAN))
            return false;
        (void)bh_reader_der(&r, TAG_OCTETS, NULL);
        if (bh_reader_end(&r) != BH_OK)
            return false;
    }
    return bh_reader_end(&list) == BH_OK;
}

/* The serial of the next entry. */
static struct bh_span
read_entry(struct bh_reader *list)
{
    struct bh_reader r;
    struct bh_span serial;

    bh_reader_init(&r, bh_reader_der(list, TAG_SEQUENCE, NULL));
    serial = bh_reader_der(&r, TAG_INTEGER, NULL);
    (void)ev_cert_time(&r);
    if (bh_reader_der_is(&r, TAG_SEQUENCE) &&
        !has_only_plain_extensions(bh_reader_der(&r, TAG_SEQUENCE, NULL)))
        bh_reader_spoil(list);
    if (bh_reader_end(&r) != BH_OK || serial.len == 0 || serial.len > SERIAL_MAX)
        bh_reader_spoil(list);
    return serial;
}

static enum bh_err
read_tbs(struct bh_span content, struct ev_crl *crl, struct bh_diag *diag)
{
    struct bh_span version, algorithm, extensions = bh_span_none();
    struct bh_reader tbs, wrapped, list;

    bh_reader_init(&tbs, content);
    version = bh_reader_der(&tbs, TAG_INTEGER, NULL);
    if (version.len != 1 || version.ptr[0] != 1)
        return malformed(diag, "expected version 2");
    (void)bh_reader_der(&tbs, TAG_SEQUENCE, &algorithm);
    (void)bh_reader_der(&tbs, TAG_SEQUENCE, &crl->issuer);
    crl->this_update = ev_cert_time(&tbs);
    crl->next_update = ev_cert_time(&tbs);
    if (bh_reader_der_is(&tbs, TAG_SEQUENCE))
        crl->revoked = bh_reader_der(&tbs, TAG_SEQUENCE, NULL);
    if (bh_reader_der_is(&tbs, TAG_EXTENSIONS)) {
        bh_reader_init(&wrapped, bh_reader_der(&tbs, TAG_EXTENSIONS, NULL));
        extensions = bh_reader_der(&wrapped, TAG_SEQUENCE, NULL);
        if (bh_reader_end(&wrapped) != BH_OK)
            return malformed(diag, "the extensions are not a sequence");
    }
    if (bh_reader_end(&tbs) != BH_OK)
        return malformed(diag, "the list's fields are not those of version 2");
    if (!bh_span_equal(algorithm, crl->algorithm))
        return malformed(diag, "two different signature algorithms (5.1.1.2)");
    if (!has_only_plain_extensions(extensions))
        return malformed(diag, "an extension that is critical or not well-formed (5.2)");
    bh_reader_init(&list, crl->revoked);
    while (bh_reader_left(&list) > 0)
        (void)read_entry(&list);
    return bh_reader_end(&list) == BH_OK
               ? BH_OK
               : malformed(diag, "an entry that is not well-formed (5.3)");
}

enum bh_err
ev_crl_read(struct bh_span der, struct ev_crl *ret_crl, struct bh_diag *diag)
{
    struct ev_crl crl = {.der = der};
    struct bh_reader all, outer, bits;
    struct bh_span tbs;
    enum bh_err e;

    bh_reader_init(&all, der);
    bh_reader_init(&outer, bh_reader_der(&all, TAG_SEQUENCE, NULL));
    if (bh_reader_end(&all) != BH_OK)
        return malformed(diag, "no DER sequence that fills its bytes exactly");
    tbs = bh_reader_der(&outer, TAG_SEQUENCE, &crl.tbs);
    (void)bh_reader_der(&outer, TAG_SEQUENCE, &crl.algorithm);
    bh_reader_init(&bits, bh_reader_der(&outer, TAG_BITS, NULL));
    if (bh_reader_u8(&bits) != 0)
        bh_reader_spoil(&bits);
    crl.signature = bh_reader_take(&bits, bh_reader_left(&bits));
    if (bh_reader_end(&outer) != BH_OK || bh_reader_end(&bits) != BH_OK)
        return malformed(diag, "expected content, algorithm and signature");
    if ((e = read_tbs(tbs, &crl, diag)) != BH_OK)
        return e;
    *ret_crl = crl;
    return BH_OK;
}

bool
ev_crl_revokes(const struct ev_crl *crl, struct bh_span serial)
{
    struct bh_reader list;

    bh_reader_init(&list, crl->revoked);
    while (bh_reader_left(&list) > 0)
        if (bh_span_equal(read_entry(&list), serial))
            return true;
    return false;
}
