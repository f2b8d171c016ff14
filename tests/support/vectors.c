/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors.h"

#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *
bh_vectors(void)
{
    static const char beside[] = BH_SOURCE_DIR "/../shared/vectors";
    const char *dir = getenv("BEACHHEAD_VECTORS");

    if (dir == NULL || dir[0] == '\0')
        dir = beside;
    if (access(dir, R_OK) == 0)
        return dir;
    (void)fprintf(
        stderr, "SKIP: recorded evidence is not at hand: %s (set BEACHHEAD_VECTORS)\n", dir);
    return NULL;
}

uint8_t *
bh_vector(const char *name, size_t *ret_len)
{
    struct bh_diag diag = {0};
    uint8_t *bytes = NULL;
    char path[4096];

    if (bh_path_join(path, sizeof(path), bh_vectors(), name) != BH_OK ||
        bh_file_read(path, 16 * 1024 * 1024, &bytes, ret_len, &diag) != BH_OK) {
        (void)fprintf(stderr, "vector %s: %s\n", name, diag.detail);
        abort();
    }
    return bytes;
}

json_t *
bh_vector_json(const char *name)
{
    json_error_t error;
    json_t *json;
    size_t len;
    uint8_t *text = bh_vector(name, &len);

    if ((json = json_loadb((const char *)text, len, 0, &error)) == NULL) {
        (void)fprintf(stderr, "vector %s: line %d: %s\n", name, error.line, error.text);
        abort();
    }
    free(text);
    return json;
}
