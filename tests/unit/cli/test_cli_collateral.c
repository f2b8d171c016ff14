/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead collateral` on recorded files of AMD's and Intel's, and what it must not import. */
#include "run.h"

#include "core/text.h"
#include "support/vectors.h"

#include <criterion/criterion.h>

#include <openssl/pem.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TDX "tdx/v4-20a06f000000/"
#define QVL "sgx/neg-intel-qvl-sample-testroot/"
#define AT_TDX "2025-09-10T00:00:00Z"
#define AT_SNP "2026-03-01T00:00:00Z"
#define MILAN "vcek-milan-4ffb5cb4fd594f3f-04000000000018db.der"

static struct ran r;

static void
end(void)
{
    ran_clear(&r);
    r = (struct ran){0};
    end_folder();
}

TestSuite(collateral, .fini = end);

/* The absolute path of a vector; some stay valid. */
static const char *
vector(const char *name)
{
    static char paths[16][512];
    static size_t next;
    char *path = paths[next++ % COUNT(paths)];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", bh_vectors(), name);
    return path;
}

/* A folder inside the test's own. */
static const char *
dir(const char *name)
{
    static char paths[8][512];
    static size_t next;
    char *path = paths[next++ % COUNT(paths)];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder(), name);
    (void)mkdir(path, 0700);
    return path;
}

static bool
holds(const char *dir, const char *name)
{
    char path[1024];

    (void)snprintf(path, sizeof(path), "%s/collateral/%s", dir, name);
    return access(path, R_OK) == 0;
}

/* A changed copy of a vector under its own name. */
static const char *
changed(const char *name, const char *as, size_t from_end)
{
    size_t len = 0;
    uint8_t *bytes = bh_vector(name, &len);
    const char *path;

    bytes[len - from_end] ^= 1;
    path = put(as, bh_span(bytes, len));
    free(bytes);
    return path;
}

/* The "result" of the file of this name in the last document; "" when it is not there. */
static const char *
result_of(const char *file)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(r.json, "files"), i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "file")), file) == 0)
            return json_string_value(json_object_get(one, "result"));
    }
    return "";
}

Test(collateral, usage)
{
    RUN(&r, "collateral");
    expect_run(&r, 2, "a command is needed");
    RUN(&r, "collateral", "import", "x.der");
    expect_run(&r, 2, "--dir DIR is needed");
    RUN(&r, "collateral", "import", "--dir", folder());
    cr_expect_eq(r.status, 2);
    RUN(&r, "collateral", "import", "--dir", folder(), "--at", "yesterday", "x.der");
    expect_run(&r, 2, "--at yesterday");
    RUN(&r, "collateral", "import", "--dir", folder(), "/nonexistent/x.der");
    expect_run(&r, 2, "/nonexistent/x.der");
    RUN(&r, "collateral", "import", "--dir", "/nonexistent", "x.der");
    expect_run(&r, 2, "/nonexistent");
    RUN(&r, "collateral", "list", "--dir", "/nonexistent");
    expect_run(&r, 2, "beachhead-server init");
    RUN(&r, "collateral", "export", "--dir", "/nonexistent", "-o", "/nonexistent/x");
    expect_run(&r, 2, "beachhead-server init");
    RUN(&r, "collateral", "fetch");
    expect_run(&r, 2, "--dir DIR is needed");
}

Test(collateral, import_list_and_inspect)
{
    const char *server = dir("server");
    char where[600];

    if (bh_vectors() == NULL)
        return;
    RUN(&r, "collateral", "import", "--json", "--dir", server, "--at", AT_SNP,
        vector("snp/milan-v3-vcek-aci/vcek.der"), vector("snp/turin-v5-vcek-aci/vcek.der"),
        vector("snp/ca/milan_crl.der"));
    expect_json(&r, 0);
    cr_expect_str_eq(result_of(MILAN), "imported");
    cr_expect_str_eq(result_of("vcek-turin-59790fb1c39f35c1-0101010400000051.der"), "imported");
    cr_expect_str_eq(result_of("crl-milan.der"), "imported");
    cr_expect(holds(server, MILAN));
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_TDX, vector(TDX "tcb_info.json"),
        vector(TDX "qe_identity.json"), vector(TDX "tcb_signing_chain.pem"),
        vector(TDX "pck_crl.der"), vector(TDX "pck_crl_chain.pem"), vector(TDX "root_crl.der"));
    expect_run(&r, 0, "");
    cr_expect_not_null(strstr(r.out, "tcb_info-tdx-20a06f000000.json"), "%s", r.out);
    cr_expect_not_null(strstr(r.out, "SIGHUP"));

    RUN(&r, "collateral", "list", "--json", "--dir", server);
    expect_json(&r, 0);
    cr_expect_eq(json_array_size(json_object_get(r.json, "files")), 9);
    cr_expect_str_eq(result_of(MILAN), "good");
    cr_expect_str_eq(result_of("crl-milan.der"), "expired");
    RUN(&r, "collateral", "list", "--dir", server);
    expect_run(&r, 0, "");
    cr_expect_not_null(strstr(r.out, "Milan, TCB bootloader 4 tee 0 snp 24"), "%s", r.out);

    /* What a server reads, the command reads: by content, of many machines. */
    (void)snprintf(where, sizeof(where), "%s/collateral", server);
    RUN(&r, "inspect", "--json", "--verify", "--at", AT_SNP, "--collateral", where,
        vector("snp/milan-v3-vcek-aci/report.bin"));
    expect_json(&r, 0);
    cr_expect_not_null(strstr(r.out, "\"not revoked\""), "%s", r.out);
    RUN(&r, "inspect", "--json", "--verify", "--at", AT_SNP, "--collateral", where,
        vector("snp/turin-v5-vcek-aci/report.bin"));
    expect_json(&r, 0);
    RUN(&r, "inspect", "--json", "--verify", "--at", AT_TDX, "--collateral", where,
        vector(TDX "quote.bin"));
    expect_json(&r, 0);
    RUN(&r, "inspect", "--json", "--verify", "--at", AT_SNP, "--collateral", where,
        vector("snp/genoa-v3-vcek-aci/report.bin"));
    expect_json(&r, 1);
    cr_expect_str_eq(failed_check(&r), "amd-sev-snp.vcek");
}

Test(collateral, what_is_wrong_is_not_imported)
{
    const char *server = dir("server");

    if (bh_vectors() == NULL)
        return;
    const char *good = vector("snp/milan-v3-vcek-aci/vcek.der");
    RUN(&r, "collateral", "import", "--dir", server, good, put("x.bin", bh_span_str("hello")));
    expect_run(&r, 1, "collateral.kind");
    cr_expect_not_null(strstr(r.err, "nothing was imported"));
    cr_expect_not(holds(server, MILAN));
    RUN(&r, "collateral", "import", "--dir", server, good,
        changed("snp/turin-v5-vcek-aci/vcek.der", "v.der", 9));
    expect_run(&r, 1, "collateral.signature");
    cr_expect_not(holds(server, MILAN));
    RUN(&r, "collateral", "import", "--dir", server, vector("snp/ca/milan_crl.der"));
    expect_run(&r, 1, "collateral.validity");
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_TDX, vector(TDX "pck_crl.der"));
    expect_run(&r, 1, "collateral.issuer");
    cr_expect_not_null(strstr(r.err, "pck_crl_chain.pem"));
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_TDX, vector(TDX "tcb_info.json"));
    expect_run(&r, 1, "collateral.issuer");
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_TDX,
        changed(TDX "tcb_info.json", "tcb.json", 20), vector(TDX "tcb_signing_chain.pem"));
    expect_run(&r, 1, "collateral.signature");
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_TDX,
        changed(TDX "root_crl.der", "root.der", 3));
    expect_run(&r, 1, "collateral.signature");
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_TDX,
        vector("snp/neg-vcek-fake-legacy/vcek.der"));
    cr_expect_eq(r.status, 1, "%s", r.err);
    RUN(&r, "collateral", "list", "--json", "--dir", server);
    expect_json(&r, 0);
    cr_expect_eq(json_array_size(json_object_get(r.json, "files")), 0);
}

/* A root that is not built in counts when it is given, or when the server trusts it. */
Test(collateral, anchors)
{
    const char *server = dir("server");
    char trust[600];

    if (bh_vectors() == NULL)
        return;
#define GIVE                                                                                       \
    vector(QVL "tcb_info.json"), vector(QVL "qe_identity.json"),                                   \
        vector(QVL "tcb_signing_chain.pem"), vector(QVL "pck_crl.der"),                            \
        vector(QVL "pck_crl_chain.pem"), vector(QVL "root_crl.der")
#define AT_QVL "2022-01-01T00:00:00Z"
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_QVL, GIVE);
    expect_run(&r, 1, "collateral.signature");
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_QVL, "--trust-anchor",
        vector(QVL "root_ca.pem"), GIVE);
    expect_run(&r, 0, "");
    cr_expect(holds(server, "tcb_signing_chain.pem"));
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_QVL, "--trust-anchor",
        put("no.pem", bh_span_str("no")), GIVE);
    cr_expect_neq(r.status, 0);

    /* The folder trusts AMD's roots only. */
    server = dir("other");
    (void)snprintf(trust, sizeof(trust), "other/trust");
    (void)dir(trust);
    size_t len = 0;
    uint8_t *pem = bh_vector("snp/ca/milan_vcek_chain.pem", &len);
    (void)put("other/trust/amd-sev-snp-x.pem", bh_span(pem, len));
    free(pem);
    RUN(&r, "collateral", "import", "--dir", server, vector("snp/milan-v3-vcek-aci/vcek.der"));
    expect_run(&r, 0, "");
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_TDX, vector(TDX "root_crl.der"));
    expect_run(&r, 1, "collateral.issuer");
}

Test(collateral, an_old_list_does_not_come_back)
{
    static const char old[] = "sgx/v3-processor-00906ed50000-debug/root_crl.der";
    const char *server = dir("server");

    if (bh_vectors() == NULL)
        return;
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_TDX, vector(TDX "root_crl.der"));
    expect_run(&r, 0, "");
    RUN(&r, "collateral", "import", "--json", "--dir", server, "--at", "2022-05-01T00:00:00Z",
        vector(old));
    expect_json(&r, 0);
    cr_expect_str_eq(result_of("root_crl.der"), "kept");
    RUN(&r, "collateral", "list", "--json", "--dir", server);
    cr_expect_not_null(strstr(r.out, "2026-04-03T11:21:57Z"), "%s", r.out);
}

Test(collateral, over_an_air_gap)
{
    const char *here = dir("here"), *there = dir("there");
    char bundle[600], *text;

    if (bh_vectors() == NULL)
        return;
    (void)snprintf(bundle, sizeof(bundle), "%s/bundle.json", folder());
    RUN(&r, "collateral", "import", "--dir", here, "--at", AT_SNP,
        vector("snp/milan-v3-vcek-aci/vcek.der"), vector("snp/genoa-v3-vcek-aci/vcek.der"),
        vector("snp/ca/milan_crl.der"));
    expect_run(&r, 0, "");
    RUN(&r, "collateral", "export", "--dir", here, "-o", bundle);
    expect_run(&r, 0, "");
    cr_expect_not_null(strstr(r.out, "2 files, without 1"), "%s", r.out);
    RUN(&r, "collateral", "import", "--dir", there, bundle);
    expect_run(&r, 0, "");
    cr_expect(holds(there, MILAN));
    cr_expect_not(holds(there, "crl-milan.der"));

    static const char *const broken[] = {"{\"beachhead_collateral\":2,\"files\":[]}",
        "{\"beachhead_collateral\":1}", "{\"beachhead_collateral\":1,\"files\":[],\"x\":1}",
        "{\"beachhead_collateral\":1,\"files\":[1]}", "{\"beachhead_collateral\"",
        "{\"beachhead_collateral\":1,\"files\":[{\"name\":\"x\",\"data\":\"*\"}]}"};
    for (size_t i = 0; i < COUNT(broken); i++) {
        RUN(&r, "collateral", "import", "--dir", there, put("b", bh_span_str(broken[i])));
        cr_expect_eq(r.status, 1, "%s: %d", broken[i], r.status);
        cr_expect_not_null(strstr(r.err, "collateral export"), "%s: %s", broken[i], r.err);
    }
    /* Names in a bundle choose no path. */
    RUN(&r, "collateral", "import", "--dir", there,
        put("b", bh_span_str("{\"beachhead_collateral\":1,\"files\":[{\"name\":\"../../x\\u001b\","
                             "\"data\":\"aGVsbG8\"}]}")));
    expect_run(&r, 1, "collateral.kind");
    text = r.err;
    cr_expect_null(strchr(text, 0x1b));
}

static const char *
as_pem(const char *name, const char *what, const char *as)
{
    size_t len = 0;
    uint8_t *der = bh_vector(name, &len);
    BIO *bio = BIO_new(BIO_s_mem());
    const char *path;
    char *pem;
    long n;

    cr_assert_gt(PEM_write_bio(bio, what, "", der, (long)len), 0);
    n = BIO_get_mem_data(bio, &pem);
    path = put(as, bh_span(pem, (size_t)n));
    BIO_free(bio);
    free(der);
    return path;
}

/* As the header of an answer has it. */
static const char *
escaped(const char *name, const char *as)
{
    size_t len = 0, at = 0;
    uint8_t *text = bh_vector(name, &len);
    char *out = malloc(3 * len + 1);
    const char *path;

    for (size_t i = 0; i < len; i++)
        at += (size_t)snprintf(
            out + at, 4, strchr(" \n+/=", text[i]) != NULL ? "%%%02X" : "%c", text[i]);
    path = put(as, bh_span(out, at));
    free(out);
    free(text);
    return path;
}

Test(collateral, forms_in_which_files_are_handed_out)
{
    const char *server = dir("server");

    if (bh_vectors() == NULL)
        return;
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_TDX,
        as_pem("snp/milan-v3-vlek-aws/vlek.der", "CERTIFICATE", "vlek.pem"),
        as_pem(TDX "root_crl.der", "X509 CRL", "root.pem"),
        escaped(TDX "tcb_signing_chain.pem", "chain"));
    expect_run(&r, 0, "");
    cr_expect(holds(server, "vlek-milan-04000000000018d9-cf4a89c9.der"));
    cr_expect(holds(server, "root_crl.der"));
    cr_expect(holds(server, "tcb_signing_chain.pem"));
    RUN(&r, "collateral", "list", "--dir", server);
    expect_run(&r, 0, "");
    /* What lies there and is none makes the list fail, as it would a server's start. */
    (void)put("server/collateral/notes.json", bh_span_str("{}"));
    RUN(&r, "collateral", "list", "--json", "--dir", server);
    expect_json(&r, 1);
    cr_expect_str_eq(result_of("notes.json"), "unknown");
    RUN(&r, "collateral", "list", "--dir", server);
    expect_run(&r, 1, "notes.json: no collateral");
}

/* A list named for VLEKs keeps saying so. */
Test(collateral, lists_of_one_issuer)
{
    const char *server = dir("server");
    size_t len = 0;
    uint8_t *bytes;
    const char *path;

    if (bh_vectors() == NULL)
        return;
    bytes = bh_vector("snp/ca/milan_crl.der", &len);
    path = put("vlek-milan-list.der", bh_span(bytes, len));
    free(bytes);
    RUN(&r, "collateral", "import", "--dir", server, "--at", AT_SNP, path,
        vector("snp/ca/milan_crl.der"));
    expect_run(&r, 0, "");
    cr_expect(holds(server, "crl-milan-vlek.der"));
    cr_expect(holds(server, "crl-milan.der"));
}
