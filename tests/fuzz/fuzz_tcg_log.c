/* SPDX-License-Identifier: Apache-2.0 */
/* ev_tcg_log_read, ev_tcg_walk_next, ev_tcg_replay: event logs of both forms. */
#include "fuzz.h"

#include "evidence/tcg_log.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t algorithms[] = {
        EV_TCG_SHA1, EV_TCG_SHA256, EV_TCG_SHA384, EV_TCG_SHA512, 0x12};
    struct ev_tcg_registers registers;
    struct ev_tcg_event event;
    struct ev_tcg_walk walk;
    struct ev_tcg_log log;
    struct bh_diag diag = {0};
    size_t events = 0;

    if (ev_tcg_log_read(bh_span(data, size), &log, &diag) != BH_OK) {
        must_explain(diag.err, &diag);
        must(diag.err != BH_OK);
        return 0;
    }
    ev_tcg_walk_init(&walk, &log);
    while (ev_tcg_walk_next(&walk, &event))
        events++;
    must(events == log.events);
    for (size_t i = 0; i < BH_COUNT(algorithms); i++) {
        bh_diag_clear(&diag);
        must_explain(ev_tcg_replay(&log, algorithms[i], &registers, &diag), &diag);
    }
    return 0;
}
