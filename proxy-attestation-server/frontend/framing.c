/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a request ends must not be a matter of opinion: whoever stands in front of the server could
 * see other requests than the server does (RFC 9112, 6.3 and 11.2). The HTTP library takes the
 * first of two lengths, any Transfer-Encoding, and names with spaces.
 */
#include "frontend.h"

#include <stdio.h>
#include <strings.h>

struct seen {
    unsigned lengths, encodings, hosts;
    bool length_is_number, is_chunked;
    bool name_is_bad, value_is_bad;
};

/* token (RFC 9110, 5.6.2) */
static bool
is_token(const char *text, size_t len)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < len; i++) {
        const char c = text[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return len > 0;
}

static bool
is_value(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* The library joins a folded line (RFC 9112, 5.2) to the name when the first line had no value. */
static bool
begins_with(const char *name, const char *framing)
{
    return strncasecmp(name, framing, strlen(framing)) == 0;
}

static enum MHD_Result
look(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value,
    size_t value_len)
{
    struct seen *seen = cls;

    (void)kind;
    if (value == NULL) {
        value = "";
        value_len = 0;
    }
    seen->name_is_bad = seen->name_is_bad || !is_token(name, name_len);
    seen->value_is_bad = seen->value_is_bad || !is_value(value, value_len);
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        seen->lengths++;
        seen->length_is_number = value_len > 0 && strspn(value, "0123456789") == value_len;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        seen->encodings++;
        seen->is_chunked = strcasecmp(value, "chunked") == 0;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0) {
        seen->hosts++;
    } else if (begins_with(name, MHD_HTTP_HEADER_CONTENT_LENGTH) ||
               begins_with(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
        seen->name_is_bad = true;
    }
    return MHD_YES;
}

enum bh_err
pas_fe_framing_check(struct MHD_Connection *connection, const char *version, struct bh_diag *diag)
{
    struct seen seen = {0};
    const char *expected = NULL, *found = NULL;

    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look, &seen);
    if (seen.name_is_bad || seen.value_is_bad) {
        expected = "header fields of RFC 9110, 5";
        found = seen.name_is_bad ? "a field name that is none" : "control characters";
    } else if (seen.lengths > 0 && seen.encodings > 0) {
        expected = "Content-Length or Transfer-Encoding";
        found = "both";
    } else if (seen.lengths > 1 || seen.encodings > 1 || seen.hosts > 1) {
        expected = "each of Host, Content-Length and Transfer-Encoding once";
        found = "one of them more than once";
    } else if (seen.lengths == 1 && !seen.length_is_number) {
        expected = "a number as Content-Length";
        found = "something else";
    } else if (seen.encodings == 1 && (!seen.is_chunked || strcmp(version, "HTTP/1.1") != 0)) {
        expected = "chunked as Transfer-Encoding, in HTTP/1.1";
        found = "something else";
    } else {
        return BH_OK;
    }
    return bh_refuse(diag, BH_ERR_MALFORMED, "request.framing", expected, found,
        "where the request ends is ambiguous");
}
