/* SPDX-License-Identifier: Apache-2.0 */
/* The authority's counters in Prometheus' text format (exposition format 0.0.4). */
#include "authority.h"

#include "core/writer.h"

static void
put(struct bh_writer *w, const char *name, const char *type, const char *help, uint64_t value)
{
    bh_writer_printf(w, "# HELP beachhead_%s %s\n# TYPE beachhead_%s %s\nbeachhead_%s %llu\n", name,
        help, name, type, name, (unsigned long long)value);
}

static void
put_refused(const struct pas_authority *a, struct bh_writer *w)
{
    const char *code;

    bh_writer_str(w, "# HELP beachhead_refused_total Requests refused by verifiers and authority.\n"
                     "# TYPE beachhead_refused_total counter\n");
    for (size_t i = 0; (code = pas_refusal_code(i)) != NULL; i++)
        bh_writer_printf(w, "beachhead_refused_total{code=\"%s\"} %llu\n", code,
            (unsigned long long)a->count.refused[i]);
}

void
pas_metrics_put(struct pas_authority *a, struct bh_writer *w)
{
    const struct pas_counters *c = &a->count;
    struct pas_store_stats stats = {0};
    const bool read = pas_store_stats(a->store, &stats, NULL) == BH_OK;

    put(w, "challenges_minted_total", "counter", "Challenges handed out.", c->minted);
    put(w, "certificates_issued_total", "counter", "Certificates issued by this process.",
        c->issued);
    put(w, "appraisal_results_total", "counter", "Attestation results signed for appraisals.",
        c->results);
    put_refused(a, w);
    put(w, "pending", "gauge", "Requests that wait for the signer or the disk.", a->pending_len);
    put(w, "commit_batches_total", "counter", "Transactions that recorded issuances.", c->batches);
    put(w, "commit_batched_total", "counter", "Issuances recorded in them.", c->batched);
    put(w, "store_errors_total", "counter", "Failed transactions and lookups.", c->store_errors);
    put(w, "signer_errors_total", "counter", "Requests that the signer refused.", c->signer_errors);
    put(w, "refusals_dropped_total", "counter", "Refusals that could not be recorded.",
        c->refusals_dropped);
    put(w, "peers_refused_total", "counter", "Channels closed for what came over them.",
        c->peers_refused);
    put(w, "policies", "gauge", "Policies in force.", a->current != NULL ? a->current->len : 0);
    if (!read)
        return;
    put(w, "certificates_stored", "gauge", "Certificates in the store, at most.",
        (uint64_t)stats.certificates);
    put(w, "refusals_stored", "gauge", "Refusals in the store, at most.", (uint64_t)stats.refusals);
    put(w, "endorsed_keys", "gauge", "Endorsed keys in the store.", (uint64_t)stats.endorsed);
}
