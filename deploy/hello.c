/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unmodified service of the quickstart: plain HTTP on a free loopback port, one answer. Writes
 * its port to the file that is its first argument and says its second argument to everybody. Ends
 * with SIGTERM.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static enum MHD_Result
answer(void *text, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_len, void **state)
{
    struct MHD_Response *response;
    enum MHD_Result queued;

    (void)url;
    (void)version;
    (void)upload;
    (void)state;
    *upload_len = 0;
    response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    queued = MHD_queue_response(connection,
        strcmp(method, "GET") == 0 ? MHD_HTTP_OK : MHD_HTTP_METHOD_NOT_ALLOWED, response);
    MHD_destroy_response(response);
    return queued;
}

static int
write_port(const char *path, unsigned port)
{
    char temporary[4096];
    FILE *f;

    (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
    if ((f = fopen(temporary, "w")) == NULL)
        return -1;
    const int written = fprintf(f, "%u\n", port);
    return fclose(f) == 0 && written > 0 ? rename(temporary, path) : -1;
}

int
main(int argc, char **argv)
{
    static char text[256];
    sigset_t ends;
    int signal_number;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: beachhead-hello PORT-FILE WORDS\n");
        return 2;
    }
    (void)snprintf(text, sizeof(text), "%s\n", argv[2]);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    struct sockaddr_in loopback = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
        answer, text, MHD_OPTION_SOCK_ADDR, &loopback, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        daemon == NULL ? NULL : MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    if (info == NULL || write_port(argv[1], info->port) != 0) {
        (void)fprintf(stderr, "beachhead-hello: cannot listen on loopback or write %s\n", argv[1]);
        return 1;
    }
    (void)sigwait(&ends, &signal_number);
    MHD_stop_daemon(daemon);
    return 0;
}
