/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead measure snp`: a firmware made by hand, measured by another tool too. */
#include "run.h"

#include "core/text.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* A firmware of two pages: table, reset address, page of hashes, pages of the hypervisor's. */
struct firmware {
    uint8_t bytes[2 * 4096];
    size_t at; /* where the next entry of the table ends */
};

static void
put_le(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* The entry before the last one: data, size, GUID. */
static void
put_entry(struct firmware *f, const char *guid, struct bh_span data)
{
    size_t len = 0;

    cr_assert_eq(bh_unhex(bh_span_str(guid), f->bytes + f->at - 16, 16, &len), BH_OK);
    put_le(f->bytes + f->at - 18, 18 + data.len, 2);
    memcpy(f->bytes + f->at - 18 - data.len, data.ptr, data.len);
    f->at -= 18 + data.len;
}

#define RESET "de71f7007e1acb4f890e68c77e2fb44e"
#define HASHES "1f3755723b3a044b927b1da6efa8d454"
#define PAGES "666588dc4a989847a75e5585a7bf67cc"
#define FOOTER "de82b596b21ff745baeaa366c55a082d"
#define METADATA_AT 4096

static void
firmware_begin(struct firmware *f)
{
    static const uint32_t sections[][3] = {{0x800000, 0x9000, 1}, {0x80a000, 0x3000, 1},
        {0x80d000, 0x1000, 2}, {0x80e000, 0x1000, 3}, {0x811000, 0xf000, 1},
        {0x810000, 0x1000, 0x10}};
    uint8_t *at = f->bytes + METADATA_AT;

    for (size_t i = 0; i < sizeof(f->bytes); i++)
        f->bytes[i] = (uint8_t)(i * 7 + i / 256);
    memcpy(at, "ASEV", 4);
    put_le(at + 4, 16 + 12 * BH_COUNT(sections), 4);
    put_le(at + 8, 1, 4);
    put_le(at + 12, BH_COUNT(sections), 4);
    for (size_t i = 0; i < 3 * BH_COUNT(sections); i++)
        put_le(at + 16 + 4 * i, sections[i / 3][i % 3], 4);
    /* The footer's size is the whole table's: written at the end. */
    f->at = sizeof(f->bytes) - 32 - 18;
}

static void
firmware_end(struct firmware *f)
{
    const size_t footer = sizeof(f->bytes) - 32 - 18;
    size_t len = 0;

    put_le(f->bytes + footer, footer + 18 - f->at, 2);
    cr_assert_eq(bh_unhex(bh_span_str(FOOTER), f->bytes + footer + 2, 16, &len), BH_OK);
}

static void
put_number(struct firmware *f, const char *guid, uint32_t value)
{
    uint8_t bytes[4];

    put_le(bytes, value, 4);
    put_entry(f, guid, bh_span(bytes, 4));
}

static void
firmware(struct firmware *f)
{
    firmware_begin(f);
    put_number(f, RESET, 0x0080b004);
    put_entry(f, "000102030405060708090a0b0c0d0e0f", bh_span("unknown", 7));
    put_entry(f, HASHES, bh_span("\x00\x0c\x81\x00\x00\x04\x00\x00", 8)); /* 0x810c00 */
    put_number(f, PAGES, sizeof(f->bytes) - METADATA_AT);
    firmware_end(f);
}

static const char *
launch_of(const struct ran *r)
{
    const json_t *list = json_object_get(r->json, "measurement");

    cr_assert_eq(json_array_size(list), 1);
    return json_string_value(json_array_get(list, 0));
}

/* What the hypervisors' own tool (sev-snp-measure 0.0.13) says of the same firmware. */
Test(measure, snp, .fini = end_folder)
{
    static struct firmware f;
    struct ran r = {0};
    const char *ovmf, *kernel, *initrd;

    firmware(&f);
    ovmf = put("ovmf.fd", bh_span(f.bytes, sizeof(f.bytes)));
    kernel = put("vmlinuz", bh_span_str("the kernel"));
    initrd = put("initrd", bh_span_str("the ramdisk"));
    RUN(&r, "measure", "snp", ovmf);
    expect_json(&r, 0);
    cr_expect_str_eq(text_of(&r, "platform"), "amd-sev-snp");
    cr_expect_str_eq(launch_of(&r), "661ff0f44c1154ca1328114a821f784f6131c5e98e97d48bde076be27f952b"
                                    "701d5160eed7a0575b27697b3d0a85f590");
    RUN(&r, "measure", "snp", "--vcpus", "4", "--vcpu-type", "EPYC-Milan", "--guest-features",
        "0x21", "--kernel", kernel, "--initrd", initrd, "--append", "console=ttyS0", ovmf);
    expect_json(&r, 0);
    cr_expect_str_eq(launch_of(&r), "7e2ed8695a441a955df84fb2e5dc3a8f4c35ad0cf1374bd628c518097cddc0"
                                    "9f4ac577ba8a8f4d24b381d9642fbe71e8");
    /* The same model by its signature, without initrd and command line. */
    RUN(&r, "measure", "snp", "--vcpu-type", "0x00a00f11", "--kernel", kernel, ovmf);
    expect_json(&r, 0);
    cr_expect_str_eq(launch_of(&r), "5734f59f1d6821a1206f6aae245ce346f5a29df7ef7acd63764f4b70466f6f"
                                    "f0674302d964022832e87bde621663b72a");
    RUN(&r, "measure", "snp", "--vmm", "ec2", "--vcpus", "2", ovmf);
    expect_json(&r, 0);
    cr_expect_str_eq(launch_of(&r), "f7a19e2c67cbbd138dce6f3dbdfe706a0177c9a8c65005bd4e64c8089cbb9f"
                                    "2c227308b453d475e76becd2b2f260c10b");
    RUN(&r, "measure", "snp", "--vmm", "gce", "--vcpus", "2", "--kernel", kernel, ovmf);
    expect_json(&r, 0);
    cr_expect_str_eq(launch_of(&r), "898cfdac4c499a6addc9cfa7c68038f31497822cb1f86cd552cff6da2112f1"
                                    "4a85e2a80db5fc73cc5b24921c6f1e69dd");
    ran_clear(&r);
}

static void
snp_refused(struct ran *r, const struct firmware *f, const char *check)
{
    RUN(r, "measure", "snp", put("ovmf.fd", bh_span(f->bytes, sizeof(f->bytes))));
    expect_run(r, 1, check);
    cr_expect_str_empty(r->out);
}

Test(measure, snp_firmware_that_cannot_be_measured, .fini = end_folder)
{
    static const struct {
        size_t at; /* within the metadata */
        uint8_t by;
    } faults[] = {{0, 1}, {4, 4}, {8, 2}, {12, 1}, {15, 1}, {16, 1}, {20, 1}, {24, 8}, {24, 1},
        {45, 0x10}, {47, 0x01}, {23, 0xff}};
    const size_t footer = sizeof(((struct firmware *)0)->bytes) - 32 - 18;
    static struct firmware f;
    struct ran r = {0};

    for (size_t i = 0; i < BH_COUNT(faults); i++) {
        firmware(&f);
        f.bytes[METADATA_AT + faults[i].at] ^= faults[i].by;
        snp_refused(&r, &f, "ovmf.metadata");
    }
    firmware(&f);
    put_le(f.bytes + METADATA_AT + 16, 0xffffe000, 4); /* where the image itself is */
    snp_refused(&r, &f, "ovmf.metadata");
    firmware(&f);
    f.bytes[footer + 2] ^= 1; /* another GUID */
    snp_refused(&r, &f, "ovmf.table");
    firmware(&f);
    put_le(f.bytes + footer, 17, 2); /* shorter than its own head */
    snp_refused(&r, &f, "ovmf.table");
    put_le(f.bytes + footer, 0xffff, 2); /* longer than the image */
    snp_refused(&r, &f, "ovmf.table");
    firmware(&f);
    put_le(f.bytes + footer - 18, 0, 2); /* an entry of no size */
    snp_refused(&r, &f, "ovmf.table");
    firmware(&f);
    put_number(&f, RESET, 1);
    firmware_end(&f);
    snp_refused(&r, &f, "ovmf.table"); /* twice */
    firmware_begin(&f);
    put_entry(&f, RESET, bh_span("abc", 3));
    firmware_end(&f);
    snp_refused(&r, &f, "ovmf.table");
    firmware_begin(&f);
    put_number(&f, PAGES, sizeof(f.bytes) + 1);
    firmware_end(&f);
    snp_refused(&r, &f, "ovmf.metadata");
    RUN(&r, "measure", "snp", put("ovmf.fd", bh_span(f.bytes, 4095)));
    expect_run(&r, 1, "ovmf.size");
    RUN(&r, "measure", "snp", put("ovmf.fd", bh_span(f.bytes, 0)));
    expect_run(&r, 1, "ovmf.size");
    ran_clear(&r);
}

Test(measure, snp_options_that_do_not_go, .fini = end_folder)
{
    static struct firmware f;
    struct ran r = {0};
    const char *ovmf;

    firmware_begin(&f); /* neither reset address nor hashes */
    firmware_end(&f);
    ovmf = put("bare.fd", bh_span(f.bytes, sizeof(f.bytes)));
    RUN(&r, "measure", "snp", ovmf);
    expect_json(&r, 0);
    RUN(&r, "measure", "snp", "--vcpus", "2", ovmf);
    expect_run(&r, 1, "ovmf.reset");
    RUN(&r, "measure", "snp", "--kernel", ovmf, ovmf);
    expect_run(&r, 1, "ovmf.hashes");
    RUN(&r, "measure", "snp", "--initrd", ovmf, ovmf);
    expect_run(&r, 2, "kernel");
    RUN(&r, "measure", "snp", "--append", "quiet", ovmf);
    expect_run(&r, 2, "kernel");
    RUN(&r, "measure", "snp", "--vcpus", "0", ovmf);
    expect_run(&r, 2, "vcpus");
    RUN(&r, "measure", "snp", "--vcpus", "4097", ovmf);
    expect_run(&r, 2, "vcpus");
    RUN(&r, "measure", "snp", "--vcpus", "2x", ovmf);
    expect_run(&r, 2, "vcpus");
    RUN(&r, "measure", "snp", "--vcpu-type", "486", ovmf);
    expect_run(&r, 2, "vcpu-type");
    RUN(&r, "measure", "snp", "--guest-features", "20", ovmf);
    expect_run(&r, 2, "SNPActive");
    RUN(&r, "measure", "snp", "--guest-features", "g", ovmf);
    expect_run(&r, 2, "guest-features");
    RUN(&r, "measure", "snp", "--guest-features", "10000000000000001", ovmf);
    expect_run(&r, 2, "guest-features");
    RUN(&r, "measure", "snp", "--vmm", "bochs", ovmf);
    expect_run(&r, 2, "vmm");
    RUN(&r, "measure", "snp", "--kernel", "/no/such/kernel", ovmf);
    expect_run(&r, 2, "/no/such/kernel");
    RUN(&r, "measure", "snp", "/no/such/firmware");
    expect_run(&r, 2, "/no/such/firmware");
    ran_clear(&r);
}
