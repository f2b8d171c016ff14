/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/messages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

void
pas_snapshot_put(struct bh_writer *w, const struct pas_snapshot_record *r)
{
    bh_writer_u8(w, r->kind);
    bh_writer_vec16(w, r->name);
    bh_writer_vec32(w, r->bytes);
}

bool
pas_snapshot_next(struct bh_reader *r, struct pas_snapshot_record *ret_record)
{
    struct pas_snapshot_record record;

    if (bh_reader_left(r) == 0)
        return false;
    record.kind = bh_reader_u8(r);
    record.name = bh_reader_vec16(r, 1, 255);
    record.bytes = bh_reader_vec32(r, 0, PAS_SNAPSHOT_FILE_MAX);
    if (record.kind < PAS_SNAPSHOT_CONFIG || record.kind > PAS_SNAPSHOT_COLLATERAL)
        bh_reader_spoil(r);
    if (!bh_reader_ok(r))
        return false;
    *ret_record = record;
    return true;
}

enum bh_err
pas_snapshot_map(int fd, struct bh_span *ret_bytes, struct bh_diag *diag)
{
    struct stat st;
    const int seals = fcntl(fd, F_GET_SEALS);
    void *p;

    /* Unsealed, it could shrink under the mapping. */
    if (seals < 0 || (seals & SEALS) != SEALS)
        return bh_fail(diag, BH_ERR_MALFORMED, "the snapshot is not sealed");
    if (fstat(fd, &st) != 0 || st.st_size <= 0)
        return bh_fail(diag, BH_ERR_MALFORMED, "the snapshot is empty");
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return bh_fail(diag, BH_ERR_IO, "map the snapshot: %s", strerror(errno));
    *ret_bytes = bh_span(p, (size_t)st.st_size);
    return BH_OK;
}

void
pas_snapshot_unmap(struct bh_span bytes)
{
    union {
        const uint8_t *in;
        void *out;
    } p = {.in = bytes.ptr};

    if (bytes.ptr != NULL)
        (void)munmap(p.out, bytes.len);
}
