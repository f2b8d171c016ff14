/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From inside each role: every forbidden thing is denied or kills, every needed thing works. Each
 * attempt runs in a process of its own, which tells by its end what happened.
 */
#include "sandbox/sandbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKED 0
#define DENIED 1
#define NOT_CONFINED 2

/* What the attempts use; opened before the confinement. */
static char dir[64], store[80], secret[80];
static int listener, accepted, link_fds[2], memfd, low_fd;

typedef bool (*attempt_fn)(void); /* true: the system let it happen */

/* ---- forbidden everywhere ---- */

static bool
read_passwd(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool
read_key(void)
{
    return open(secret, O_RDONLY) >= 0;
}

static bool
write_tmp(void)
{
    char path[96];

    (void)snprintf(path, sizeof(path), "%s/new", dir);
    return open(path, O_WRONLY | O_CREAT, 0600) >= 0;
}

static bool
remove_key(void)
{
    return unlink(secret) == 0;
}

static bool
rename_key(void)
{
    char to[96];

    (void)snprintf(to, sizeof(to), "%s/renamed", dir);
    return rename(secret, to) == 0;
}

static bool
make_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool
connect_out(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(low_fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == ECONNREFUSED;
}

static bool
bind_port(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(low_fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

static bool
listen_port(void)
{
    return listen(low_fd, 1) == 0;
}

static bool
fork_process(void)
{
    const pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool
run_program(void)
{
    char *const argv[] = {"true", NULL};

    execve("/bin/true", argv, argv + 1);
    return false;
}

static bool
trace_parent(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool
signal_parent(void)
{
    return kill(getppid(), 0) == 0;
}

static bool
signal_thread_of_parent(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0;
}

static bool
map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static bool
protect_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool
become_root(void)
{
    return syscall(SYS_setuid, 0) == 0;
}

static bool
mount_something(void)
{
    return mount("none", dir, "tmpfs", 0, NULL) == 0;
}

static bool
load_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno != EPERM;
}

static bool
set_up_uring(void)
{
    char params[120] = {0};

    return syscall(425, 1, params) >= 0;
}

static bool
catch_faults(void)
{
    return syscall(SYS_userfaultfd, O_CLOEXEC) >= 0;
}

static bool
read_parent(void)
{
    char byte;
    struct iovec to = {&byte, 1}, from = {&listener, 1};

    return process_vm_readv(getppid(), &to, 1, &from, 1, 0) == 1;
}

static bool
new_namespace(void)
{
    return syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */) == 0;
}

static bool
change_root(void)
{
    return chroot(dir) == 0;
}

static bool
make_memfd(void)
{
    return syscall(SYS_memfd_create, "x", 0) >= 0;
}

static bool
take_keyring(void)
{
    return syscall(SYS_keyctl, 0, -2, 0) >= 0;
}

static bool
raise_limit(void)
{
    struct rlimit core = {4096, 4096};

    return setrlimit(RLIMIT_CORE, &core) == 0;
}

static bool
inject_input(void)
{
    return syscall(SYS_ioctl, 2, 0x5412 /* TIOCSTI */, "x") == 0;
}

/* ---- forbidden to most ---- */

static void *
nothing(void *arg)
{
    return arg;
}

static bool
start_thread(void)
{
    pthread_t t;

    return pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0;
}

static bool
accept_connection(void)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    return fd >= 0 || errno == EAGAIN;
}

static bool
set_option(void)
{
    const int on = 1;

    return setsockopt(accepted, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0;
}

static bool
write_store(void)
{
    char path[96];
    const int fd = (snprintf(path, sizeof(path), "%s/state.db", store) > 0)
                       ? open(path, O_RDWR | O_CREAT, 0600)
                       : -1;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    void *shared;

    if (fd < 0 || fcntl(fd, F_SETLK, &lock) != 0 || ftruncate(fd, 8192) != 0 ||
        pwrite(fd, "x", 1, 5) != 1 || fdatasync(fd) != 0 || fsync(fd) != 0)
        return false;
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return shared != MAP_FAILED && munmap(shared, 4096) == 0 && unlink(path) == 0;
}

static bool
leave_store(void)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/../secret", store);
    return open(path, O_RDONLY) >= 0;
}

/* ---- needed everywhere ---- */

static bool
talk(void)
{
    struct iovec iov = {"y", 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    char in[1];
    struct pollfd p = {.fd = link_fds[1], .events = POLLIN};
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN}, got;

    return sendmsg(link_fds[0], &msg, MSG_NOSIGNAL) == 1 &&
           syscall(SYS_write, link_fds[0], "z", 1) == 1 && ep >= 0 &&
           epoll_ctl(ep, EPOLL_CTL_ADD, link_fds[1], &ev) == 0 &&
           epoll_wait(ep, &got, 1, 1000) == 1 && ppoll(&p, 1, NULL, NULL) == 1 &&
           recv(link_fds[1], in, 1, 0) == 1 && read(link_fds[1], in, 1) == 1 && close(ep) == 0;
}

static bool
log_line(void)
{
    return write(2, "", 0) == 0;
}

static bool
use_memory(void)
{
    char *big = malloc(8u << 20), *grown;

    if (big == NULL || (grown = realloc(big, 32u << 20)) == NULL)
        return false;
    grown[0] = 1;
    free(grown);
    return true;
}

static bool
map_snapshot(void)
{
    struct stat st;
    void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memfd, 0);

    return p != MAP_FAILED && fstat(memfd, &st) == 0 && st.st_size == 4096 &&
           fcntl(memfd, F_GET_SEALS) >= 0 && munmap(p, 4096) == 0;
}

static bool
tell_time(void)
{
    struct timespec ts, nap = {0, 1000};

    return clock_gettime(CLOCK_REALTIME, &ts) == 0 && syscall(SYS_clock_gettime, 1, &ts) == 0 &&
           clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL) == 0;
}

static bool
make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    EVP_PKEY_free(key);
    return key != NULL;
}

/* ---- the table ---- */

#define F (1u << PAS_FRONTEND)
#define V (1u << PAS_VERIFIER)
#define A (1u << PAS_AUTHORITY)
#define S (1u << PAS_SIGNER)
#define NONE 0u
#define ALL (F | V | A | S)

static const struct {
    const char *name;
    attempt_fn attempt;
    unsigned permitted;
} attempts[] = {
    {"open /etc/passwd", read_passwd, NONE},
    {"open the CA key", read_key, NONE},
    {"create a file", write_tmp, NONE},
    {"unlink the CA key", remove_key, NONE},
    {"rename the CA key", rename_key, NONE},
    {"socket", make_socket, NONE},
    {"connect", connect_out, NONE},
    {"bind", bind_port, NONE},
    {"listen", listen_port, NONE},
    {"fork", fork_process, NONE},
    {"execve", run_program, NONE},
    {"ptrace", trace_parent, NONE},
    {"kill the parent", signal_parent, NONE},
    {"tgkill the parent", signal_thread_of_parent, NONE},
    {"mmap PROT_EXEC", map_code, NONE},
    {"mprotect PROT_EXEC", protect_code, NONE},
    {"setuid", become_root, NONE},
    {"mount", mount_something, NONE},
    {"bpf", load_bpf, NONE},
    {"io_uring_setup", set_up_uring, NONE},
    {"userfaultfd", catch_faults, NONE},
    {"process_vm_readv", read_parent, NONE},
    {"unshare", new_namespace, NONE},
    {"chroot", change_root, NONE},
    {"memfd_create", make_memfd, NONE},
    {"keyctl", take_keyring, NONE},
    {"setrlimit", raise_limit, NONE},
    {"ioctl TIOCSTI", inject_input, NONE},
    {"leave the store's folder", leave_store, NONE},
    {"start a thread", start_thread, F | A},
    {"accept a connection", accept_connection, F},
    {"setsockopt", set_option, F},
    {"write the store", write_store, A},
    {"channels", talk, ALL},
    {"standard error", log_line, ALL},
    {"memory", use_memory, ALL},
    {"map a snapshot", map_snapshot, ALL},
    {"time", tell_time, ALL},
    {"make a key", make_key, ALL},
};

static void
set_up(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int pair[2];
    FILE *f;

    (void)snprintf(dir, sizeof(dir), "/tmp/bh-sandbox-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(store, sizeof(store), "%s/store", dir);
    (void)snprintf(secret, sizeof(secret), "%s/secret", dir);
    cr_assert_eq(mkdir(store, 0700), 0);
    cr_assert_not_null(f = fopen(secret, "w"));
    (void)fclose(f);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_geq(listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_geq(low_fd = socket(AF_INET, SOCK_STREAM, 0), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, link_fds), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    accepted = pair[0];
    cr_assert_geq(memfd = memfd_create("snapshot", MFD_ALLOW_SEALING), 0);
    cr_assert_eq(ftruncate(memfd, 4096), 0);
}

static void
tear_down(void)
{
    char path[96];

    /* An attempt that was stopped half-way leaves these. */
    (void)snprintf(path, sizeof(path), "%s/state.db", store);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/new", dir);
    (void)unlink(path);
    (void)unlink(secret);
    (void)rmdir(store);
    (void)rmdir(dir);
}

static int
confined(enum pas_role role, attempt_fn attempt)
{
    struct bh_diag diag = {0};
    EVP_PKEY *warm = EVP_EC_gen("P-256"); /* the library finds its files before the confinement */
    int abi;

    EVP_PKEY_free(warm);
    if (pas_sandbox_restrict(role, role == PAS_AUTHORITY ? store : NULL, &abi, &diag) != BH_OK ||
        pas_sandbox_seccomp(role, &diag) != BH_OK) {
        (void)fprintf(stderr, "%s\n", diag.detail);
        return NOT_CONFINED;
    }
    return attempt() ? WORKED : DENIED;
}

/* Criterion's own pipes stay open in the child and are of no use there. */
static int
outcome(enum pas_role role, attempt_fn attempt)
{
    int status;
    const pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(confined(role, attempt));
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? DENIED : 100 + WTERMSIG(status);
    return WEXITSTATUS(status);
}

static void
try_all(enum pas_role role)
{
    for (size_t i = 0; i < BH_COUNT(attempts); i++) {
        const int got = outcome(role, attempts[i].attempt);
        const int want = (attempts[i].permitted & (1u << role)) != 0 ? WORKED : DENIED;

        cr_expect_eq(
            got, want, "role %d: %s: outcome %d, not %d", role, attempts[i].name, got, want);
    }
}

TestSuite(sandbox, .init = set_up, .fini = tear_down);

Test(sandbox, the_attempts_work_outside)
{
    /* An attempt that cannot succeed outside proves nothing inside. */
    cr_expect(read_passwd() && read_key() && write_tmp() && make_socket() && bind_port());
    cr_expect(fork_process() && signal_parent() && map_code() && protect_code() && make_memfd());
    cr_expect(leave_store() && start_thread() && write_store() && talk() && map_snapshot());
    cr_expect(signal_thread_of_parent() && accept_connection() && set_option());
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/new", dir);
    (void)unlink(path);
}

Test(sandbox, frontend)
{
    try_all(PAS_FRONTEND);
}

Test(sandbox, verifier)
{
    try_all(PAS_VERIFIER);
}

Test(sandbox, authority)
{
    try_all(PAS_AUTHORITY);
}

Test(sandbox, signer)
{
    try_all(PAS_SIGNER);
}

/* The filter reaches threads that were started before it. */
static int thread_verdict = NOT_CONFINED;
static pthread_barrier_t filtered;

static void *
late_socket(void *arg)
{
    (void)pthread_barrier_wait(&filtered);
    thread_verdict = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) >= 0 ? WORKED : DENIED;
    return arg;
}

Test(sandbox, threads_are_confined_too)
{
    int status;
    const pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        pthread_t t;
        int abi;

        (void)pthread_barrier_init(&filtered, NULL, 2);
        if (pas_sandbox_restrict(PAS_FRONTEND, NULL, &abi, NULL) != BH_OK ||
            pthread_create(&t, NULL, late_socket, NULL) != 0 ||
            pas_sandbox_seccomp(PAS_FRONTEND, NULL) != BH_OK)
            _exit(NOT_CONFINED);
        (void)pthread_barrier_wait(&filtered);
        (void)pthread_join(t, NULL);
        _exit(thread_verdict);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* Without seccomp: what the first half does by itself. */
Test(sandbox, the_first_half_alone)
{
    int status;
    const pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        const bool root = geteuid() == 0;
        struct bh_diag diag = {0};
        int abi;

        if (pas_sandbox_restrict(PAS_VERIFIER, NULL, &abi, &diag) != BH_OK)
            _exit(1);
        if (root && (getuid() != 65534 || getgroups(0, NULL) != 0 || setuid(0) == 0))
            _exit(2);
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0)
            _exit(3);
        if (abi > 0 && (read_passwd() || write_tmp()))
            _exit(4);
        if (abi >= 4 && bind_port())
            _exit(5);
        if (abi >= 6 && signal_parent())
            _exit(6);
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
