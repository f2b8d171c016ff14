/* SPDX-License-Identifier: Apache-2.0 */
#include "isolate-agent/proxy/address.h"

#include <criterion/criterion.h>
#include <unistd.h>

Test(address, listen)
{
    static const char *const good[] = {"127.0.0.1:0", "127.0.0.1:8443", "[::1]:8443", "vsock:8443"};
    static const char *const bad[] = {"", ":8443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
        "127.0.0.1:-1", "127.0.0.1:80x", "::1:80", "[::1:80", "[]:80", "host.example:80",
        "vsock:", "vsock:-1", "vsock:4294967295", "vsock:1x", "127.0.0.1: 80",
        "999999999999999999999999999999999999999999999999999999999999999999:1"};
    char text[AGENT_ADDRESS_TEXT_MAX];
    struct agent_address address;

    for (size_t i = 0; i < BH_COUNT(good); i++) {
        cr_assert_eq(agent_listen_parse(good[i], &address, NULL), BH_OK, "%s", good[i]);
        cr_expect_str_eq(agent_address_text(&address, text, sizeof(text)), good[i]);
    }
    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        struct bh_diag diag = {0};
        cr_expect_eq(agent_listen_parse(bad[i], &address, &diag), BH_ERR_USAGE, "%s", bad[i]);
        cr_expect_str_eq(diag.check, "address");
        cr_expect_str_neq(diag.expected, "");
    }
}

Test(address, target)
{
    static const char *const bad[] = {"", "host", "host:0", "host:99999", "unix:", "::1:80",
        "unix:/"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
        "567890123456789012345678"};
    char text[AGENT_ADDRESS_TEXT_MAX];
    struct agent_target target;
    struct bh_diag diag = {0};

    cr_assert_eq(agent_target_parse("unix:/run/x", true, &target, NULL), BH_OK);
    cr_expect_eq(target.count, 1);
    cr_expect_str_eq(agent_address_text(&target.addresses[0], text, sizeof(text)), "unix:/run/x");
    cr_expect_eq(agent_target_resolve(&target, NULL), BH_OK);
    cr_expect_eq(agent_target_parse("unix:/run/x", false, &target, NULL), BH_ERR_USAGE);
    cr_assert_eq(agent_target_parse("10.0.0.7:8443", true, &target, NULL), BH_OK);
    cr_expect_eq(target.count, 1);
    cr_expect_str_eq(target.host, "");
    cr_assert_eq(agent_target_parse("localhost:8443", true, &target, NULL), BH_OK);
    cr_expect_eq(target.count, 0);
    cr_assert_eq(agent_target_resolve(&target, &diag), BH_OK, "%s", diag.detail);
    cr_expect_gt(target.count, 0);
    cr_assert_eq(agent_target_parse("no-such-host.invalid:1", true, &target, NULL), BH_OK);
    cr_expect_eq(agent_target_resolve(&target, &diag), BH_ERR_NETWORK);
    cr_expect_str_eq(diag.check, "address");
    for (size_t i = 0; i < BH_COUNT(bad); i++)
        cr_expect_eq(agent_target_parse(bad[i], true, &target, NULL), BH_ERR_USAGE, "%s", bad[i]);
}

Test(address, taken)
{
    struct agent_address address;
    struct bh_diag diag = {0};
    int fd = -1, other = -1;

    cr_assert_eq(agent_listen_parse("127.0.0.1:0", &address, NULL), BH_OK);
    cr_assert_eq(agent_listen(&address, &fd, NULL), BH_OK);
    cr_assert_eq(agent_bound_address(fd, &address, NULL), BH_OK);
    cr_expect_eq(agent_listen(&address, &other, &diag), BH_ERR_IO);
    cr_expect_eq(strncmp(diag.detail, "cannot listen on 127.0.0.1:", 27), 0);
    cr_expect_eq(agent_bound_address(-1, &address, NULL), BH_ERR_INTERNAL);
    close(fd);
}

/* Where the kernel has no vsock this says so. */
Test(address, vsock)
{
    char text[AGENT_ADDRESS_TEXT_MAX];
    struct agent_address address;
    const int probe = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = -1;

    if (probe < 0) {
        cr_log_warn("SKIP: this kernel has no vsock");
        return;
    }
    close(probe);
    cr_assert_eq(agent_listen_parse("vsock:54329", &address, NULL), BH_OK);
    cr_assert_eq(agent_listen(&address, &fd, NULL), BH_OK);
    cr_assert_eq(agent_bound_address(fd, &address, NULL), BH_OK);
    cr_expect_str_eq(agent_address_text(&address, text, sizeof(text)), "vsock:54329");
    agent_socket_tune(fd);
    close(fd);
}
