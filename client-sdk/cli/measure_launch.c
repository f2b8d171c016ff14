/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_launch.h"

#include "core/writer.h"
#include "core/x509.h"

#define FIRST_EIP 0xfffffff0U
#define VMSA_GPA UINT64_C(0xfffffffff000)
#define PAGE_INFO_LEN 0x70
#define HASHES_LEN (16 + 2 + 3 * (16 + 2 + 32))
#define HASHES_PADDED ((HASHES_LEN + 15) / 16 * 16)

enum page_type { /* ABI, table 65 */
    PAGE_NORMAL = 1,
    PAGE_VMSA = 2,
    PAGE_ZERO = 3,
    PAGE_UNMEASURED = 4,
    PAGE_SECRETS = 5,
    PAGE_CPUID = 6,
};

/* PAGE_INFO (ABI, table 67); @p contents is zero where the page's contents do not count. */
static enum bh_err
add_page(uint8_t digest[BH_LAUNCH_LEN], enum page_type type, uint64_t gpa, const uint8_t *page)
{
    uint8_t contents[BH_LAUNCH_LEN] = {0}, info[PAGE_INFO_LEN];
    struct bh_span all;
    struct bh_writer w;
    enum bh_err e;

    if (page != NULL && (e = bh_sha2(384, bh_span(page, BH_PAGE), contents)) != BH_OK)
        return e;
    bh_writer_init(&w, info, sizeof(info));
    bh_writer_put(&w, bh_span(digest, BH_LAUNCH_LEN));
    bh_writer_put(&w, bh_span(contents, sizeof(contents)));
    bh_writer_u8(&w, PAGE_INFO_LEN);
    bh_writer_u8(&w, 0);
    bh_writer_u8(&w, (uint8_t)type);
    for (int i = 0; i < 5; i++) /* no migration image, no permissions of VMPL 1 to 3 */
        bh_writer_u8(&w, 0);
    for (unsigned i = 0; i < 8; i++)
        bh_writer_u8(&w, (uint8_t)(gpa >> 8 * i));
    if ((e = bh_writer_end(&w, &all)) != BH_OK)
        return e;
    return bh_sha2(384, all, digest);
}

static enum bh_err
add_empty(uint8_t digest[BH_LAUNCH_LEN], enum page_type type, uint64_t gpa, uint64_t size)
{
    enum bh_err e = BH_OK;

    for (uint64_t at = 0; at < size && e == BH_OK; at += BH_PAGE)
        e = add_page(digest, type, gpa + at, NULL);
    return e;
}

/* ---- kernel hashes ---- */

static void
put_hash(struct bh_writer *w, const uint8_t guid[16], const uint8_t hash[32])
{
    bh_writer_put(w, bh_span(guid, 16));
    bh_writer_u8(w, 16 + 2 + 32);
    bh_writer_u8(w, 0);
    bh_writer_put(w, bh_span(hash, 32));
}

/* The table as QEMU lays it into the page that the firmware names. */
static enum bh_err
add_hashes(uint8_t digest[BH_LAUNCH_LEN], const struct bh_launch *l, uint32_t gpa)
{
    static const uint8_t table[16] = {0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c, 0xb4, 0x79,
        0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21}; /* 9438d606-4f22-4cc9-b479-a793d411fd21 */
    static const uint8_t kernel[16] = {0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42, 0xb8, 0x35,
        0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b}; /* 4de79437-abd2-427f-b835-d5b172d2045b */
    static const uint8_t initrd[16] = {0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b, 0x9a, 0xf1,
        0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d}; /* 44baf731-3a2f-4bd7-9af1-41e29169781d */
    static const uint8_t cmdline[16] = {0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c, 0xaa, 0x78,
        0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a}; /* 97d02dd8-bd20-4c94-aa78-e7714d36ab2a */
    const size_t offset = l->ovmf->hashes_gpa % BH_PAGE;
    uint8_t page[BH_PAGE] = {0};
    struct bh_span all;
    struct bh_writer w;
    enum bh_err e;

    bh_writer_init(&w, page + offset, HASHES_LEN);
    bh_writer_put(&w, bh_span(table, 16));
    bh_writer_u8(&w, HASHES_LEN);
    bh_writer_u8(&w, 0);
    put_hash(&w, cmdline, l->cmdline);
    put_hash(&w, initrd, l->initrd);
    put_hash(&w, kernel, l->kernel);
    if ((e = bh_writer_end(&w, &all)) != BH_OK)
        return e;
    return add_page(digest, PAGE_NORMAL, gpa, page);
}

/* ---- registers ---- */

static void
put_le(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void
put_segment(uint8_t *at, uint64_t selector, uint64_t attributes, uint64_t base)
{
    put_le(at, selector, 2);
    put_le(at + 2, attributes, 2);
    put_le(at + 4, 0xffff, 4);
    put_le(at + 8, base, 8);
}

/* The state of a vCPU that begins at @p eip; what is not set is zero. */
static void
make_registers(const struct bh_launch *l, uint32_t eip, uint8_t page[BH_PAGE])
{
    const bool qemu = l->vmm == BH_VMM_QEMU, ec2 = l->vmm == BH_VMM_EC2;

    memset(page, 0, BH_PAGE);
    put_segment(page + 0x00, 0, 0x93, 0); /* ES */
    put_segment(
        page + 0x10, 0xf000, ec2 && eip == FIRST_EIP ? 0x9a : 0x9b, eip & 0xffff0000U); /* CS */
    put_segment(page + 0x20, 0, ec2 ? 0x92 : 0x93, 0);                                  /* SS */
    put_segment(page + 0x30, 0, 0x93, 0);                                               /* DS */
    put_segment(page + 0x40, 0, 0x93, 0);                                               /* FS */
    put_segment(page + 0x50, 0, 0x93, 0);                                               /* GS */
    put_segment(page + 0x60, 0, 0, 0);                                                  /* GDTR */
    put_segment(page + 0x70, 0, 0x82, 0);                                               /* LDTR */
    put_segment(page + 0x80, 0, 0, 0);                                                  /* IDTR */
    put_segment(page + 0x90, 0, ec2 ? 0x83 : 0x8b, 0);                                  /* TR */
    put_le(page + 0xd0, 0x1000, 8);        /* EFER: SVME, set by KVM */
    put_le(page + 0x148, 0x40, 8);         /* CR4: MCE, set by KVM */
    put_le(page + 0x158, 0x10, 8);         /* CR0 */
    put_le(page + 0x160, 0x400, 8);        /* DR7 */
    put_le(page + 0x168, 0xffff0ff0, 8);   /* DR6 */
    put_le(page + 0x170, 0x2, 8);          /* RFLAGS */
    put_le(page + 0x178, eip & 0xffff, 8); /* RIP */
    put_le(page + 0x268, l->vmm == BH_VMM_GCE ? UINT64_C(0x00070106) : UINT64_C(0x0007040600070406),
        8);                                                    /* PAT */
    put_le(page + 0x310, qemu ? l->vcpu_signature : 0x600, 8); /* RDX */
    put_le(page + 0x3b0, l->guest_features, 8);
    put_le(page + 0x3e8, 0x1, 8);               /* XCR0 */
    put_le(page + 0x408, qemu ? 0x1f80 : 0, 4); /* MXCSR */
    put_le(page + 0x410, qemu ? 0x37f : 0, 2);  /* x87 control word */
}

/* ---- the launch ---- */

static enum bh_err
add_section(
    uint8_t digest[BH_LAUNCH_LEN], const struct bh_launch *l, const struct bh_ovmf_section *s)
{
    switch (s->type) {
    case BH_OVMF_MEMORY:
        return add_empty(
            digest, l->vmm == BH_VMM_GCE ? PAGE_UNMEASURED : PAGE_ZERO, s->gpa, s->size);
    case BH_OVMF_SECRETS:
        return add_page(digest, PAGE_SECRETS, s->gpa, NULL);
    case BH_OVMF_CPUID:
        /* EC2 adds it behind all others. */
        return l->vmm == BH_VMM_EC2 ? BH_OK : add_page(digest, PAGE_CPUID, s->gpa, NULL);
    case BH_OVMF_CAA:
        return add_empty(digest, PAGE_ZERO, s->gpa, s->size);
    case BH_OVMF_KERNEL_HASHES:
        return l->direct ? add_hashes(digest, l, s->gpa)
                         : add_empty(digest, PAGE_ZERO, s->gpa, s->size);
    }
    return BH_ERR_INTERNAL;
}

static enum bh_err
add_sections(uint8_t digest[BH_LAUNCH_LEN], const struct bh_launch *l)
{
    const struct bh_ovmf *o = l->ovmf;
    enum bh_err e = BH_OK;

    for (size_t i = 0; i < o->sections_len && e == BH_OK; i++)
        e = add_section(digest, l, &o->sections[i]);
    for (size_t i = 0; i < o->sections_len && e == BH_OK && l->vmm == BH_VMM_EC2; i++)
        if (o->sections[i].type == BH_OVMF_CPUID)
            e = add_page(digest, PAGE_CPUID, o->sections[i].gpa, NULL);
    return e;
}

static enum bh_err
add_vcpus(uint8_t digest[BH_LAUNCH_LEN], const struct bh_launch *l)
{
    uint8_t page[BH_PAGE];
    enum bh_err e = BH_OK;

    for (unsigned i = 0; i < l->vcpus && e == BH_OK; i++) {
        if (i < 2)
            make_registers(l, i == 0 ? FIRST_EIP : l->ovmf->reset_eip, page);
        e = add_page(digest, PAGE_VMSA, VMSA_GPA, page);
    }
    return e;
}

static enum bh_err
check(const struct bh_launch *l, struct bh_diag *diag)
{
    const struct bh_ovmf *o = l->ovmf;
    const struct bh_ovmf_section *hashes = NULL;

    for (size_t i = 0; i < o->sections_len; i++)
        if (o->sections[i].type == BH_OVMF_KERNEL_HASHES)
            hashes = &o->sections[i];
    if (l->vcpus > 1 && (!o->has_reset || o->reset_eip == 0))
        return bh_refuse(diag, BH_ERR_MALFORMED, "ovmf.reset",
            "the address where further vCPUs begin", "none",
            "the firmware is not built for several vCPUs under SEV");
    if (!l->direct)
        return BH_OK;
    if (hashes == NULL || o->hashes_gpa == 0 || o->hashes_gpa / BH_PAGE != hashes->gpa / BH_PAGE ||
        o->hashes_gpa % BH_PAGE > BH_PAGE - HASHES_PADDED)
        return bh_refuse(diag, BH_ERR_MALFORMED, "ovmf.hashes",
            "a firmware with a page for the hashes of kernel, initrd and command line", "none",
            "this firmware does not check a kernel that it is given: build OVMF's AmdSev platform");
    return BH_OK;
}

enum bh_err
bh_launch_measure(
    const struct bh_launch *l, uint8_t ret_digest[BH_LAUNCH_LEN], struct bh_diag *diag)
{
    const struct bh_span image = l->ovmf->bytes;
    uint8_t digest[BH_LAUNCH_LEN] = {0};
    enum bh_err e;

    if ((e = check(l, diag)) != BH_OK)
        return e;
    for (size_t at = 0; at < image.len && e == BH_OK; at += BH_PAGE)
        e = add_page(digest, PAGE_NORMAL, l->ovmf->gpa + at, image.ptr + at);
    if (e != BH_OK || (e = add_sections(digest, l)) != BH_OK || (e = add_vcpus(digest, l)) != BH_OK)
        return bh_fail(diag, e, "launch digest");
    memcpy(ret_digest, digest, sizeof(digest));
    return BH_OK;
}
