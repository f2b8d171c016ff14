/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

static enum bh_err
read_all(int fd, const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_len,
    struct bh_diag *diag)
{
    size_t cap = 4096;
    size_t len = 0;
    uint8_t *buf = malloc(cap + 1);
    uint8_t *grown;

    while (buf != NULL) {
        const ssize_t n = read(fd, buf + len, cap - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(buf);
            return bh_fail(diag, BH_ERR_IO, "cannot read %s: %s", path, strerror(errno));
        }
        len += (size_t)n;
        if (len > max) {
            OPENSSL_cleanse(buf, len);
            free(buf);
            return bh_fail(diag, BH_ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max);
        }
        if (n == 0) {
            buf[len] = '\0';
            *ret_bytes = buf;
            *ret_len = len;
            return BH_OK;
        }
        if (len == cap) {
            /* Not realloc: what it leaves behind may be a key. */
            grown = malloc(cap * 2 + 1);
            if (grown != NULL)
                memcpy(grown, buf, len);
            OPENSSL_cleanse(buf, len);
            free(buf);
            buf = grown;
            cap *= 2;
        }
    }
    return bh_fail(diag, BH_ERR_NOMEM, "reading %s", path);
}

enum bh_err
bh_file_read(
    const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_len, struct bh_diag *diag)
{
    enum bh_err e;
    int fd;

    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, "standard input", max, ret_bytes, ret_len, diag);
    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return bh_fail(diag, BH_ERR_IO, "cannot open %s: %s", path, strerror(errno));
    e = read_all(fd, path, max, ret_bytes, ret_len, diag);
    (void)close(fd);
    return e;
}

/* The rename is durable only once the folder is. */
static void
sync_folder(const char *path)
{
    char dir[4096];
    char *slash;
    int fd;

    (void)snprintf(dir, sizeof(dir), "%s", path);
    slash = strrchr(dir, '/');
    if (slash == NULL)
        (void)snprintf(dir, sizeof(dir), ".");
    else
        slash[slash == dir ? 1 : 0] = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

static bool
write_all(int fd, struct bh_span bytes)
{
    while (bytes.len > 0) {
        const ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = bh_span(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return true;
}

enum bh_err
bh_file_write(const char *path, struct bh_span bytes, mode_t mode, struct bh_diag *diag)
{
    char temporary[4096];
    enum bh_err e;
    int fd;

    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
        return bh_fail(diag, BH_ERR_IO, "the path %.80s... is too long", path);
    if ((fd = mkostemp(temporary, O_CLOEXEC)) < 0)
        return bh_fail(diag, BH_ERR_IO, "cannot write %s: %s", path, strerror(errno));
    if (fchmod(fd, mode) != 0 || !write_all(fd, bytes) || fsync(fd) != 0) {
        e = bh_fail(diag, BH_ERR_IO, "cannot write %s: %s", path, strerror(errno));
        (void)close(fd);
        (void)unlink(temporary);
        return e;
    }
    if (close(fd) != 0 || rename(temporary, path) != 0) {
        e = bh_fail(diag, BH_ERR_IO, "cannot write %s: %s", path, strerror(errno));
        (void)unlink(temporary);
        return e;
    }
    sync_folder(path);
    return BH_OK;
}

enum bh_err
bh_path_join(char *out, size_t size, const char *dir, const char *name)
{
    const int n = snprintf(out, size, "%s/%s", dir, name);

    return n >= 0 && (size_t)n < size ? BH_OK : BH_ERR_TOO_LARGE;
}
