/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `beachhead measure`: enclave images made by hand, measured here by other means; recorded event
 * logs whose PCRs are known.
 */
#include "run.h"

#include "core/cose.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"
#include "support/vectors.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADER 548
#define IMAGE_MAX (64 * 1024)
#define PCR 48

/* PCR2 of every image with one ramdisk, as builders publish it beside their images. */
#define NOTHING                                                                                    \
    "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc" \
    "500a"

enum {
    KERNEL = 1,
    CMDLINE,
    RAMDISK,
    SIGNATURE,
    METADATA
};

struct section {
    unsigned type;
    struct bh_span bytes;
};

struct image {
    uint8_t bytes[IMAGE_MAX];
    size_t len;
};

/* ---- making images ---- */

static void
put_be(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

static uint32_t
crc_of(const struct image *m)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < m->len; i++) {
        if (i >= HEADER - 4 && i < HEADER)
            continue;
        crc ^= m->bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void
seal(struct image *m)
{
    put_be(m->bytes + HEADER - 4, crc_of(m), 4);
}

static void
make(struct image *m, const struct section *sections, size_t count)
{
    memset(m, 0, sizeof(*m));
    memcpy(m->bytes, ".eif", 4);
    put_be(m->bytes + 4, 4, 2); /* version */
    put_be(m->bytes + 8, 512 << 20, 8);
    put_be(m->bytes + 16, 2, 8);
    put_be(m->bytes + 26, count, 2);
    m->len = HEADER;
    for (size_t i = 0; i < count; i++) {
        put_be(m->bytes + 28 + 8 * i, m->len, 8);
        put_be(m->bytes + 28 + 256 + 8 * i, sections[i].bytes.len, 8);
        put_be(m->bytes + m->len, sections[i].type, 2);
        put_be(m->bytes + m->len + 4, sections[i].bytes.len, 8);
        m->len += 12;
        memcpy(m->bytes + m->len, sections[i].bytes.ptr, sections[i].bytes.len);
        m->len += sections[i].bytes.len;
    }
    seal(m);
}

#define TEXT(type, text)                                                                           \
    {                                                                                              \
        (type),                                                                                    \
        {                                                                                          \
            (const uint8_t *)(text), sizeof(text) - 1                                              \
        }                                                                                          \
    }
static const struct section plain[] = {TEXT(KERNEL, "the kernel"), TEXT(CMDLINE, "quiet"),
    TEXT(RAMDISK, "init and nsm.ko"), TEXT(RAMDISK, "the application"), TEXT(METADATA, "{}")};

/* SHA-384(48 zero bytes || SHA-384(@p text)) in hex. */
static const char *
pcr_of(struct bh_span bytes, uint8_t raw[PCR])
{
    static char ring[4][2 * PCR + 1];
    static unsigned at;
    char *out = ring[at++ % 4];
    uint8_t both[2 * PCR] = {0};
    unsigned len = 0;

    cr_assert_eq(EVP_Digest(bytes.ptr, bytes.len, both + PCR, &len, EVP_sha384(), NULL), 1);
    cr_assert_eq(EVP_Digest(both, sizeof(both), raw, &len, EVP_sha384(), NULL), 1);
    for (size_t i = 0; i < PCR; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", raw[i]);
    return out;
}

static const char *
pcr_of_text(const char *text)
{
    uint8_t raw[PCR];

    return pcr_of(bh_span_str(text), raw);
}

static const char *
printed(const struct ran *r, const char *index)
{
    const json_t *list = json_object_get(json_object_get(r->json, "pcrs"), index);

    cr_assert_eq(json_array_size(list), list != NULL ? 1 : 0);
    return list != NULL ? json_string_value(json_array_get(list, 0)) : "";
}

static void
measure(struct ran *r, const struct image *m)
{
    RUN(r, "measure", "nitro", put("image.eif", bh_span(m->bytes, m->len)));
}

/* ---- nitro ---- */

Test(measure, nitro, .fini = end_folder)
{
    static struct image m;
    struct ran r = {0};

    make(&m, plain, BH_COUNT(plain));
    measure(&r, &m);
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "platform"), "aws-nitro");
    cr_expect_str_eq(
        printed(&r, "0"), pcr_of_text("the kernelquietinit and nsm.kothe application"));
    cr_expect_str_eq(printed(&r, "1"), pcr_of_text("the kernelquietinit and nsm.ko"));
    cr_expect_str_eq(printed(&r, "2"), pcr_of_text("the application"));
    cr_expect_str_eq(printed(&r, "8"), "");

    /* Arm, and what is not measured: memory, CPUs, metadata. */
    put_be(m.bytes + 6, 1, 2);
    put_be(m.bytes + 8, 64 << 20, 8);
    m.bytes[m.len - 1] = ']';
    seal(&m);
    measure(&r, &m);
    expect_json(&r, 0);
    cr_expect_str_eq(printed(&r, "2"), pcr_of_text("the application"));

    /* One ramdisk: PCR1 is PCR0, and PCR2 what it always is. */
    make(&m, plain, 3);
    measure(&r, &m);
    expect_json(&r, 0);
    cr_expect_str_eq(printed(&r, "0"), printed(&r, "1"));
    cr_expect_str_eq(printed(&r, "2"), NOTHING);
    ran_clear(&r);
}

struct fault {
    size_t at;     /* byte to be changed; 0: none */
    uint8_t by;    /* XOR */
    bool resealed; /* with a CRC that fits again */
    const char *check;
};

Test(measure, nitro_images_that_are_not_whole, .fini = end_folder)
{
    static const struct fault faults[] = {
        {0, 0, false, NULL},
        {1, 0x20, true, "eif.header"},
        {5, 0x01, true, "eif.version"},             /* 5 */
        {7, 0x02, true, "eif.header"},              /* a flag */
        {25, 0x01, true, "eif.header"},             /* reserved */
        {HEADER - 5, 0x01, true, "eif.header"},     /* unused */
        {27, 0x40, true, "eif.sections"},           /* 69 of them */
        {27, 0x01, true, "eif.sections"},           /* 4 of 5 */
        {28 + 7, 0x01, true, "eif.sections"},       /* the first begins a byte later */
        {28 + 256, 0x80, true, "eif.sections"},     /* of 2^63 bytes */
        {28 + 256 + 7, 0x01, true, "eif.sections"}, /* another size than the second's place */
        {28 + 256 + 4 * 8 + 7, 0x01, true, "eif.sections"}, /* than the last's own header says */
        {28 + 8 * 9, 0x01, true, "eif.sections"},           /* an uncounted one */
        {HEADER + 1, 0x07, true, "eif.sections"},           /* of type 6 */
        {HEADER + 1, 0x01, true, "eif.sections"},           /* of type 0 */
        {HEADER + 1, 0x03, true, "eif.sections"},           /* a second command line */
        {HEADER + 3, 0x01, true, "eif.sections"},           /* flags */
        {HEADER + 11, 0x01, true, "eif.sections"},          /* another size */
        {HEADER + 12, 0x01, false, "eif.crc"},
        {HEADER - 1, 0x01, false, "eif.crc"},
        {9, 0x01, false, "eif.crc"},
    };
    static struct image m;
    struct ran r = {0};

    for (size_t i = 1; i < BH_COUNT(faults); i++) {
        make(&m, plain, BH_COUNT(plain));
        m.bytes[faults[i].at] ^= faults[i].by;
        if (faults[i].resealed)
            seal(&m);
        measure(&r, &m);
        cr_expect_eq(r.status, 1, "fault %zu: %s", i, r.err);
        cr_expect(strstr(r.err, faults[i].check) != NULL, "fault %zu: %s", i, r.err);
        cr_expect_str_empty(r.out);
    }
    make(&m, plain, BH_COUNT(plain));
    m.len++;
    measure(&r, &m);
    expect_run(&r, 1, "eif.size");
    for (size_t len = 0; len + 1 < m.len; len += len < HEADER ? 91 : 17) {
        struct image cut = m;

        cut.len = len;
        measure(&r, &cut);
        expect_run(&r, 1, "eif.size");
    }
    make(&m, plain, 2); /* no ramdisk */
    measure(&r, &m);
    expect_run(&r, 1, "eif.sections");
    make(&m, plain + 1, 4); /* no kernel */
    measure(&r, &m);
    expect_run(&r, 1, "eif.sections");
    RUN(&r, "measure", "nitro", "/no/such/image");
    expect_run(&r, 2, "/no/such/image");
    ran_clear(&r);
}

/* ---- signed images ---- */

struct signer {
    EVP_PKEY *key;
    X509 *cert;
    char *pem;
    uint8_t *der;
    size_t der_len;
};

static void
signer_open(struct signer *s)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long len;

    cr_assert_eq(bh_key_generate("P-384", &s->key, NULL), BH_OK);
    s->cert = X509_new();
    cr_assert_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(s->cert), "CN", MBSTRING_ASC,
                     (const uint8_t *)"signer", -1, -1, 0),
        1);
    cr_assert_eq(X509_set_issuer_name(s->cert, X509_get_subject_name(s->cert)), 1);
    cr_assert_not_null(X509_gmtime_adj(X509_getm_notBefore(s->cert), 0));
    cr_assert_not_null(X509_gmtime_adj(X509_getm_notAfter(s->cert), 3600));
    cr_assert_eq(X509_set_pubkey(s->cert, s->key), 1);
    cr_assert_gt(X509_sign(s->cert, s->key, EVP_sha384()), 0);
    cr_assert_eq(PEM_write_bio_X509(bio, s->cert), 1);
    len = BIO_get_mem_data(bio, &text);
    s->pem = strndup(text, (size_t)len);
    BIO_free(bio);
    cr_assert_eq(bh_x509_to_der(s->cert, &s->der, &s->der_len), BH_OK);
}

static void
signer_close(struct signer *s)
{
    EVP_PKEY_free(s->key);
    X509_free(s->cert);
    free(s->pem);
    OPENSSL_free(s->der);
}

/* As serde writes a vector of bytes: an array of numbers. */
static void
put_numbers(struct bh_writer *w, struct bh_span bytes)
{
    bh_writer_cbor_array(w, bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        bh_writer_cbor_uint(w, bytes.ptr[i]);
}

/* The section over @p pcr; @p index is 0 where all is right. */
static size_t
make_signature(const struct signer *s, unsigned index, const uint8_t pcr[PCR], bool as_bytes,
    uint8_t *out, size_t cap)
{
    uint8_t payload[256], cose[512];
    struct bh_span all = {0};
    struct bh_writer w;
    size_t cose_len = 0;

    bh_writer_init(&w, payload, sizeof(payload));
    bh_writer_cbor_map(&w, 2);
    bh_writer_cbor_tstr(&w, "register_index");
    bh_writer_cbor_uint(&w, index);
    bh_writer_cbor_tstr(&w, "register_value");
    put_numbers(&w, bh_span(pcr, PCR));
    cr_assert_eq(bh_writer_end(&w, &all), BH_OK);
    cr_assert_eq(bh_cose_sign(all, s->key, false, cose, sizeof(cose), &cose_len, NULL), BH_OK);
    bh_writer_init(&w, out, cap);
    bh_writer_cbor_array(&w, 1);
    bh_writer_cbor_map(&w, 2);
    bh_writer_cbor_tstr(&w, "signing_certificate");
    if (as_bytes)
        bh_writer_cbor_bstr(&w, bh_span_str(s->pem));
    else
        put_numbers(&w, bh_span_str(s->pem));
    bh_writer_cbor_tstr(&w, "signature");
    put_numbers(&w, bh_span(cose, cose_len));
    cr_assert_eq(bh_writer_end(&w, &all), BH_OK);
    return all.len;
}

static void
make_signed(struct image *m, struct bh_span section)
{
    struct section sections[BH_COUNT(plain) + 1];

    memcpy(sections, plain, sizeof(plain));
    sections[BH_COUNT(plain)] = (struct section){SIGNATURE, section};
    make(m, sections, BH_COUNT(sections));
}

Test(measure, nitro_signed, .fini = end_folder)
{
    static uint8_t section[8192];
    static struct image m;
    struct signer s, other;
    uint8_t pcr0[PCR], pcr8[PCR];
    struct ran r = {0};
    size_t len;

    signer_open(&s);
    signer_open(&other);
    (void)pcr_of(bh_span_str("the kernelquietinit and nsm.kothe application"), pcr0);
    for (int as_bytes = 0; as_bytes < 2; as_bytes++) {
        len = make_signature(&s, 0, pcr0, as_bytes != 0, section, sizeof(section));
        make_signed(&m, bh_span(section, len));
        measure(&r, &m);
        expect_json(&r, 0);
        cr_expect_str_eq(printed(&r, "8"), pcr_of(bh_span(s.der, s.der_len), pcr8));
    }
    /* Cut, longer, of another register, of another value, by another key. */
    make_signed(&m, bh_span(section, len - 1));
    measure(&r, &m);
    expect_run(&r, 1, "eif.signature");
    section[len] = 0;
    make_signed(&m, bh_span(section, len + 1));
    measure(&r, &m);
    expect_run(&r, 1, "eif.signature");
    len = make_signature(&s, 1, pcr0, false, section, sizeof(section));
    make_signed(&m, bh_span(section, len));
    measure(&r, &m);
    expect_run(&r, 1, "eif.signature");
    pcr0[0] ^= 1;
    len = make_signature(&s, 0, pcr0, false, section, sizeof(section));
    make_signed(&m, bh_span(section, len));
    measure(&r, &m);
    expect_run(&r, 1, "eif.signature");
    pcr0[0] ^= 1;
    EVP_PKEY *key = s.key;
    s.key = other.key;
    len = make_signature(&s, 0, pcr0, false, section, sizeof(section));
    s.key = key;
    make_signed(&m, bh_span(section, len));
    measure(&r, &m);
    expect_run(&r, 1, "eif.signature");
    make_signed(&m, bh_span("\x80", 1)); /* no signature in it */
    measure(&r, &m);
    expect_run(&r, 1, "eif.signature");
    make_signed(&m, bh_span("\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9));
    measure(&r, &m);
    expect_run(&r, 1, "eif.signature");
    signer_close(&s);
    signer_close(&other);
    ran_clear(&r);
}

/* ---- event logs ---- */

Test(measure, pcr, .fini = end_folder)
{
    static const char *const logs[] = {
        "ubuntu-2404-amd-sevsnp", "rhel8-gce", "arch-linux-workstation", "debian-10-legacy-sha1"};
    struct ran r = {0};

    if (bh_vectors() == NULL)
        cr_skip_test("recorded evidence is not at hand");
    for (size_t i = 0; i < BH_COUNT(logs); i++) {
        char name[128], log[512];
        json_t *known, *bank;
        const char *bank_name, *index;
        size_t compared = 0;
        json_t *value;

        (void)snprintf(log, sizeof(log), "%s/tpm/eventlogs/%s.bin", bh_vectors(), logs[i]);
        (void)snprintf(name, sizeof(name), "tpm/eventlogs/%s.pcrs.json", logs[i]);
        known = bh_vector_json(name);
        RUN(&r, "measure", "pcr", "--sha1", log);
        expect_json(&r, 0);
        cr_expect_str_eq(text_of(&r, "platform"), "tpm2");
        json_object_foreach(known, bank_name, bank)
        {
            const json_t *ours = json_object_get(json_object_get(r.json, "pcrs"), bank_name);

            json_object_foreach(bank, index, value)
            {
                const json_t *list = json_object_get(ours, index);

                if (list == NULL)
                    continue; /* never extended: zero */
                compared++;
                cr_expect(json_equal(json_array_get(list, 0), value), "%s %s %s", logs[i],
                    bank_name, index);
            }
            cr_expect_geq(json_object_size(ours), 8, "%s %s", logs[i], bank_name);
        }
        cr_expect_geq(compared, 8);
        json_decref(known);
    }
    ran_clear(&r);
}

Test(measure, pcr_selection_and_refusals, .fini = end_folder)
{
    char log[512], legacy[512];
    struct ran r = {0};

    RUN(&r, "measure", "pcr", put("log", bh_span_str("no log")));
    cr_expect_eq(r.status, 1);
    RUN(&r, "measure", "pcr", "/no/such/log");
    expect_run(&r, 2, "/no/such/log");
    RUN(&r, "measure", "pcr", "--pcr", "16", put("log", bh_span_str("no log")));
    expect_run(&r, 2, "16");
    RUN(&r, "measure", "pcr", "--pcr", "04", put("log", bh_span_str("no log")));
    expect_run(&r, 2, "04");
    RUN(&r, "measure", "ouija");
    expect_run(&r, 2, "ouija");
    RUN(&r, "measure", "--help");
    cr_expect_eq(r.status, 0);
    if (bh_vectors() != NULL) {
        (void)snprintf(log, sizeof(log), "%s/tpm/eventlogs/rhel8-gce.bin", bh_vectors());
        (void)snprintf(
            legacy, sizeof(legacy), "%s/tpm/eventlogs/debian-10-legacy-sha1.bin", bh_vectors());
        RUN(&r, "measure", "pcr", "--pcr", "4", "--pcr", "7", log);
        expect_json(&r, 0);
        cr_expect_null(json_object_get(json_object_get(r.json, "pcrs"), "sha1"));
        cr_expect_eq(
            json_object_size(json_object_get(json_object_get(r.json, "pcrs"), "sha256")), 2);
        RUN(&r, "measure", "pcr", "--pcr", "22", log);
        expect_run(&r, 1, "pcrs");
        RUN(&r, "measure", "pcr", legacy);
        expect_run(&r, 1, "--sha1");
    }
    ran_clear(&r);
}

/* The RTMRs of a log are those that the TD's quote holds. */
Test(measure, tdx, .fini = end_folder)
{
    char path[512];
    struct ran log = {0}, quote = {0};

    RUN(&log, "measure", "tdx", "/no/such/log");
    expect_run(&log, 2, "/no/such/log");
    RUN(&log, "measure", "tdx", put("log", bh_span_str("no log")));
    cr_expect_eq(log.status, 1);
    if (bh_vectors() != NULL) {
        /* A machine's log is no TD's. */
        (void)snprintf(path, sizeof(path), "%s/tpm/eventlogs/rhel8-gce.bin", bh_vectors());
        RUN(&log, "measure", "tdx", path);
        expect_run(&log, 1, "register");
        (void)snprintf(
            path, sizeof(path), "%s/tdx/v4-00806f050000-gce-ccel/quote.bin", bh_vectors());
        RUN(&quote, "inspect", "--json", path);
        expect_json(&quote, 0);
        (void)snprintf(
            path, sizeof(path), "%s/tdx/v4-00806f050000-gce-ccel/ccel_data.bin", bh_vectors());
        RUN(&log, "measure", "tdx", path);
        expect_json(&log, 0);
        cr_expect_str_eq(text_of(&log, "platform"), "intel-tdx");
        const json_t *rtmrs = json_object_get(log.json, "rtmr");
        const json_t *claims = json_object_get(quote.json, "claims");
        cr_assert_eq(json_object_size(rtmrs), 3);
        cr_assert_not_null(json_object_get(claims, "rtmr2"));
        for (unsigned i = 0; i < 3; i++) {
            char index[4], name[8];

            (void)snprintf(index, sizeof(index), "%u", i);
            (void)snprintf(name, sizeof(name), "rtmr%u", i);
            cr_expect(json_equal(json_array_get(json_object_get(rtmrs, index), 0),
                          json_object_get(claims, name)),
                "RTMR %u", i);
        }
    }
    ran_clear(&log);
    ran_clear(&quote);
}
