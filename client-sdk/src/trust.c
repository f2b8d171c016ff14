/* SPDX-License-Identifier: Apache-2.0 */
/* The trusted roots, each with the trust domain that its name constraints name (RFC
 * 5280, 4.2.1.10). */
#include "src/internal.h"

#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/x509v3.h>

static bool
says_simulated(X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);

    for (int at = -1;
         (at = X509_NAME_get_index_by_NID(name, NID_organizationalUnitName, at)) >= 0;) {
        const ASN1_STRING *ou = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
        if (bh_span_is(
                bh_span(ASN1_STRING_get0_data(ou), (size_t)ASN1_STRING_length(ou)), "SIMULATED"))
            return true;
    }
    return false;
}

/* The one URI host that the constraints permit, or none. */
static struct bh_span
permitted_host(const NAME_CONSTRAINTS *nc)
{
    struct bh_span host = bh_span_none();
    size_t hosts = 0;

    for (int i = 0; i < sk_GENERAL_SUBTREE_num(nc->permittedSubtrees); i++) {
        const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(nc->permittedSubtrees, i)->base;
        if (base->type != GEN_URI)
            continue;
        host = bh_span(ASN1_STRING_get0_data(base->d.uniformResourceIdentifier),
            (size_t)ASN1_STRING_length(base->d.uniformResourceIdentifier));
        hosts++;
    }
    return hosts == 1 ? host : bh_span_none();
}

static enum bh_err
read_domain(X509 *cert, char *out, size_t size, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;
    int critical = 0;
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(cert, NID_name_constraints, &critical, NULL);

    const struct bh_span host = nc != NULL ? permitted_host(nc) : bh_span_none();
    if (nc == NULL || critical != 1 || host.len == 0 || host.len >= size || !bh_is_dns_name(host)) {
        e = bh_refuse(diag, BH_ERR_USAGE, "root.name_constraints",
            "critical, permitting exactly one URI host", nc == NULL ? "none" : "something else",
            "root: its name constraints do not say which trust domain it stands for "
            "(RFC 5280, 4.2.1.10)");
        bh_hint(diag, "take the root of a Beachhead deployment: ca/root.crt, or GET /v1/roots");
        goto out;
    }
    memcpy(out, host.ptr, host.len);
    out[host.len] = '\0';
out:
    NAME_CONSTRAINTS_free(nc);
    return e;
}

static enum bh_err
add_root(struct bh_trust *trust, X509 *cert, struct bh_diag *diag)
{
    struct bh_root *root = &trust->roots[trust->len];
    enum bh_err e;

    if (X509_check_ca(cert) != 1 || X509_self_signed(cert, 1) != 1) {
        e = bh_refuse(diag, BH_ERR_USAGE, "root.self_signed", "a self-signed CA certificate",
            "another certificate", "root: certificate %zu of the file is not a root",
            trust->len + 1);
        bh_hint(diag, "trust the root only; a server sends its issuing CA by itself");
        return e;
    }
    if ((e = read_domain(cert, root->domain, sizeof(root->domain), diag)) != BH_OK)
        return e;
    if (X509_STORE_add_cert(trust->store, cert) != 1)
        return bh_fail(diag, BH_ERR_NOMEM, "root: certificate store");
    root->simulated = says_simulated(cert);
    root->cert = cert;
    trust->len++;
    return BH_OK;
}

static enum bh_err
trust_make(struct bh_span pem, struct bh_trust **ret_trust, struct bh_diag *diag)
{
    X509 *certs[BH_ROOTS_MAX] = {NULL};
    struct bh_trust *trust = NULL;
    size_t count = 0, taken = 0;
    enum bh_err e;

    if (pem.len > BH_ROOTS_PEM_MAX)
        return bh_fail(diag, BH_ERR_USAGE, "root: more than %d bytes", BH_ROOTS_PEM_MAX);
    if (bh_x509_pem(pem, certs, BH_COUNT(certs), &count, diag) != BH_OK) {
        bh_hint(diag, "give the deployment's root certificate in PEM");
        return BH_ERR_USAGE;
    }
    if ((trust = calloc(1, sizeof(*trust))) == NULL || (trust->pem = malloc(pem.len + 1)) == NULL ||
        (trust->store = X509_STORE_new()) == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "root");
        goto out;
    }
    atomic_init(&trust->refs, 1);
    memcpy(trust->pem, pem.ptr, pem.len);
    trust->pem[pem.len] = '\0';
    trust->pem_len = pem.len;
    for (; taken < count; taken++)
        if ((e = add_root(trust, certs[taken], diag)) != BH_OK)
            goto out;
    *ret_trust = trust;
    trust = NULL;
    e = BH_OK;
out:
    for (size_t i = taken; i < count; i++)
        X509_free(certs[i]);
    bh_trust_free(trust);
    return e;
}

enum bh_result
bh_trust_new(const char *pem, size_t len, struct bh_trust **ret_trust, struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    const enum bh_err e = trust_make(bh_span(pem, len), ret_trust, &diag);

    return bh_failure_set(failure, &diag, e);
}

enum bh_result
bh_trust_load(const char *path, struct bh_trust **ret_trust, struct bh_failure *failure)
{
    struct bh_diag diag = {0};
    uint8_t *pem = NULL;
    size_t len = 0;
    enum bh_err e = bh_file_read(path, BH_ROOTS_PEM_MAX, &pem, &len, &diag);

    if (e == BH_OK)
        e = trust_make(bh_span(pem, len), ret_trust, &diag);
    else if (e != BH_ERR_NOMEM)
        e = BH_ERR_USAGE;
    free(pem);
    return bh_failure_set(failure, &diag, e);
}

struct bh_trust *
bh_trust_ref(const struct bh_trust *trust)
{
    /* The count is the only member that ever changes. */
    struct bh_trust *mine = (struct bh_trust *)(uintptr_t)trust;

    atomic_fetch_add(&mine->refs, 1);
    return mine;
}

void
bh_trust_free(struct bh_trust *trust)
{
    if (trust == NULL)
        return;
    if (atomic_load(&trust->refs) > 1 && atomic_fetch_sub(&trust->refs, 1) > 1)
        return;
    for (size_t i = 0; i < trust->len; i++)
        X509_free(trust->roots[i].cert);
    X509_STORE_free(trust->store);
    free(trust->pem);
    free(trust);
}
