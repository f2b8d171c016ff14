/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-2, randomness and OpenSSL's error text; digests are fetched once for the life of the process.
 */
#include "x509.h"

#include <pthread.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/rand.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256, *sha384, *sha512;

static void
fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha384 = EVP_MD_fetch(NULL, "SHA384", NULL);
    sha512 = EVP_MD_fetch(NULL, "SHA512", NULL);
}

const EVP_MD *
bh_sha2_md(unsigned bits)
{
    (void)pthread_once(&once, fetch);
    return bits == 256 ? sha256 : bits == 384 ? sha384 : bits == 512 ? sha512 : NULL;
}

enum bh_err
bh_sha2(unsigned bits, struct bh_span in, uint8_t *out)
{
    const EVP_MD *md = bh_sha2_md(bits);

    if (md == NULL || EVP_Digest(in.ptr, in.len, out, NULL, md, NULL) != 1)
        return BH_ERR_INTERNAL;
    return BH_OK;
}

enum bh_err
bh_random(void *out, size_t len)
{
    if (len > INT32_MAX || RAND_bytes(out, (int)len) != 1)
        return BH_ERR_INTERNAL;
    return BH_OK;
}

const char *
bh_openssl_why(char *out, size_t size)
{
    const unsigned long e = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(e);

    (void)snprintf(out, size, "%s",
        e == 0           ? "no error"
        : reason != NULL ? reason
                         : "unknown error");
    ERR_clear_error();
    return out;
}
