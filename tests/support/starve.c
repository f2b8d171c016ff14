/* SPDX-License-Identifier: Apache-2.0 */
#include "starve.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>

static unsigned starved;
static size_t left; /* allocations until the one that fails */
static bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t most);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);

/* True when this allocation is the one that fails: it alone does. */
static bool
is_refused(unsigned kind)
{
    if ((starved & kind) == 0 || failed || left-- > 0)
        return false;
    failed = true;
    return true;
}

void *
__wrap_malloc(size_t size)
{
    return is_refused(BH_STARVE_CODE) ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return is_refused(BH_STARVE_CODE) ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    return is_refused(BH_STARVE_CODE) ? NULL : __real_realloc(old, size);
}

char *
__wrap_strdup(const char *text)
{
    return is_refused(BH_STARVE_CODE) ? NULL : __real_strdup(text);
}

char *
__wrap_strndup(const char *text, size_t most)
{
    return is_refused(BH_STARVE_CODE) ? NULL : __real_strndup(text, most);
}

static void *
json_alloc(size_t size)
{
    return is_refused(BH_STARVE_JSON) ? NULL : __real_malloc(size);
}

static void *
openssl_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_refused(BH_STARVE_OPENSSL) ? NULL : __real_malloc(size);
}

static void *
openssl_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0) {
        free(old);
        return NULL;
    }
    return is_refused(BH_STARVE_OPENSSL) ? NULL : __real_realloc(old, size);
}

static void
openssl_free(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

/* OpenSSL takes its functions before its first allocation only. */
__attribute__((constructor)) static void
take_over(void)
{
    (void)CRYPTO_set_mem_functions(openssl_alloc, openssl_realloc, openssl_free);
    json_set_alloc_funcs(json_alloc, free);
}

size_t
bh_starve(unsigned kinds, size_t most, bh_hungry_fn hungry, void *arg)
{
    struct bh_diag diag = {0};
    enum bh_err e = hungry(arg, &diag);
    size_t runs = 0;

    cr_assert_eq(e, BH_OK, "with plenty: %s", diag.detail);
    for (bool more = true; more && runs < most; runs++) {
        bh_diag_clear(&diag);
        failed = false;
        left = runs;
        starved = kinds;
        e = hungry(arg, &diag);
        starved = 0;
        more = failed;
        cr_assert(more || e == BH_OK, "run %zu: %s", runs, diag.detail);
        cr_expect(
            e == BH_OK || diag.err != BH_OK, "run %zu: error %d without a word", runs, (int)e);
    }
    return runs;
}
