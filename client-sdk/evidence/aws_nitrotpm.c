/* SPDX-License-Identifier: Apache-2.0 */
/* The row of EC2 instances with a NitroTPM. */
#include "aws_nitrotpm.h"

#include <stdlib.h>

static bool
takes(const char *media_type)
{
    return ev_nitro_is_type(media_type, "application/aws-nitrotpm-document");
}

static bool
recognises(struct bh_span raw)
{
    bool tpm = false;

    return ev_nitro_recognises(raw, &tpm) && tpm;
}

static enum bh_err
decode(struct bh_span raw, const char *media_type, struct ev_report *report, void **ret_state)
{
    (void)media_type;
    return ev_nitro_decode(raw, ev_aws_nitrotpm.name, true, report, ret_state);
}

const struct ev_platform ev_aws_nitrotpm = {
    .name = "aws-nitrotpm",
    .takes = takes,
    .recognises = recognises,
    .decode = decode,
    .free = free,
    .bind = ev_nitro_bind,
    .authenticate = ev_nitro_authenticate,
    .entry_parse = ev_nitrotpm_entry_parse,
    .entry_free = ev_nitrotpm_entry_free,
    .appraise = ev_nitrotpm_appraise,
    .claims = ev_nitro_claims,
};
