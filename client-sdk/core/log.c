/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include "text.h"
#include "writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define LOG_VALUE_MAX 512

static char process_name[32] = "beachhead";
static enum bh_log_level least_level = BH_LOG_INFO;

void
bh_log_init(const char *process, enum bh_log_level least)
{
    (void)snprintf(process_name, sizeof(process_name), "%s", process);
    least_level = least;
}

/* Valid UTF-8 goes through; everything that could end a string or a line does not. */
static void
put_string(struct bh_writer *w, const char *s)
{
    const size_t len = strnlen(s, LOG_VALUE_MAX);
    const bool utf8 = bh_is_utf8(bh_span(s, len));
    size_t plain = 0; /* where what needs no escape begins */

    bh_writer_u8(w, '"');
    for (size_t i = 0; i <= len; i++) {
        const uint8_t c = (uint8_t)(i < len ? s[i] : '"');

        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && (c < 0x80 || utf8))
            continue;
        bh_writer_put(w, bh_span(s + plain, i - plain));
        plain = i + 1;
        if (i == len)
            break;
        if (c == '"' || c == '\\') {
            bh_writer_u8(w, '\\');
            bh_writer_u8(w, c);
        } else {
            bh_writer_printf(w, "\\u%04x", c);
        }
    }
    bh_writer_u8(w, '"');
}

static void
put_pair(struct bh_writer *w, const char *name, const char *value)
{
    const bool number = name[0] == '#';

    bh_writer_str(w, ",\"");
    bh_writer_str(w, number ? name + 1 : name);
    bh_writer_str(w, "\":");
    if (number)
        bh_writer_str(w, value);
    else
        put_string(w, value);
}

void
bh_log(enum bh_log_level level, const char *event, ...)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    uint8_t line[LINE_MAX_BYTES];
    char seconds[BH_TIME_MAX];
    struct timeval now;
    struct bh_span out;
    struct bh_writer w;
    const char *name;
    va_list ap;

    if (level < least_level)
        return;
    (void)gettimeofday(&now, NULL);
    (void)bh_time_text((int64_t)now.tv_sec, seconds);
    bh_writer_init(&w, line, sizeof(line));
    bh_writer_printf(&w,
        "{\"time\":\"%.19s.%03dZ\",\"level\":\"%s\",\"process\":\"%s\",\"event\":\"%s\"", seconds,
        (int)(now.tv_usec / 1000), levels[level], process_name, event);
    va_start(ap, event);
    while ((name = va_arg(ap, const char *)) != NULL) {
        const char *value = va_arg(ap, const char *);
        struct bh_writer before = w;

        if (value == NULL)
            continue;
        put_pair(&w, name, value);
        /* Room for the end of the line must stay. */
        if (!bh_writer_ok(&w) || bh_writer_len(&w) + 2 > sizeof(line))
            w = before;
    }
    va_end(ap);
    bh_writer_str(&w, "}\n");
    if (bh_writer_end(&w, &out) != BH_OK)
        return;
    while (write(STDERR_FILENO, out.ptr, out.len) < 0)
        return;
}

static const char *
or_null(const char *s)
{
    return s[0] != '\0' ? s : NULL;
}

void
bh_log_diag(enum bh_log_level level, const char *event, const struct bh_diag *diag)
{
    bh_log(level, event, "code", bh_err_code(diag->err), "check", or_null(diag->check), "expected",
        or_null(diag->expected), "found", or_null(diag->found), "detail", or_null(diag->detail),
        "hint", or_null(diag->hint), NULL);
}
