/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator.h"

#include <stdio.h>

static const struct {
    const char *word;
    enum agent_tamper tamper;
} words[] = {
    {"signature", AGENT_TAMPER_SIGNATURE},
    {"chain", AGENT_TAMPER_CHAIN},
    {"measurement", AGENT_TAMPER_MEASUREMENT},
    {"debug", AGENT_TAMPER_DEBUG},
    {"binding", AGENT_TAMPER_BINDING},
    {"expired", AGENT_TAMPER_EXPIRED},
    {"trailing", AGENT_TAMPER_TRAILING},
    {"root", AGENT_TAMPER_ROOT},
    {"duplicate", AGENT_TAMPER_DUPLICATE},
    {"nitrotpm", AGENT_TAMPER_NITROTPM},
    {"no-alg", AGENT_TAMPER_NO_ALG},
    {"profile", AGENT_TAMPER_PROFILE},
    {"mixed", AGENT_TAMPER_MIXED},
    {"missing-component", AGENT_TAMPER_MISSING_COMPONENT},
    {"extra-component", AGENT_TAMPER_EXTRA_COMPONENT},
    {"tcb", AGENT_TAMPER_TCB},
    {"chip", AGENT_TAMPER_CHIP},
    {"vmpl", AGENT_TAMPER_VMPL},
    {"enclave", AGENT_TAMPER_ENCLAVE},
};

static void
list_words(const struct agent_platform *platform, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        if ((platform->tampers & 1U << words[i].tamper) == 0)
            continue;
        (void)snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "", words[i].word);
        len += strlen(out + len);
    }
}

static enum bh_err
refuse(const struct agent_platform *platform, const char *found, struct bh_diag *diag)
{
    char list[BH_VALUE_MAX];

    list_words(platform, list, sizeof(list));
    (void)bh_refuse(diag, BH_ERR_USAGE, "tamper", list, found,
        "%s evidence cannot be broken in this way", platform->name);
    bh_hint(diag, "use one of: %s", list);
    return BH_ERR_USAGE;
}

enum bh_err
agent_tamper_read(
    const char *word, const char *platform, enum agent_tamper *ret_tamper, struct bh_diag *diag)
{
    const struct agent_platform *p = NULL;
    enum bh_err e;

    if ((e = agent_platform_find(platform, &p, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < BH_COUNT(words); i++)
        if (strcmp(words[i].word, word) == 0 && (p->tampers & 1U << words[i].tamper) != 0) {
            *ret_tamper = words[i].tamper;
            return BH_OK;
        }
    return refuse(p, word, diag);
}

enum bh_err
agent_tamper_allowed(
    const struct agent_platform *platform, enum agent_tamper tamper, struct bh_diag *diag)
{
    if (tamper == AGENT_TAMPER_NONE || (platform->tampers & 1U << tamper) != 0)
        return BH_OK;
    for (size_t i = 0; i < BH_COUNT(words); i++)
        if (words[i].tamper == tamper)
            return refuse(platform, words[i].word, diag);
    return refuse(platform, "unknown", diag);
}
