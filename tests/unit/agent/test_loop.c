/* SPDX-License-Identifier: Apache-2.0 */
/* The loop itself, jobs in children, and the hook's helper. */
#include "isolate-agent/proxy/hook.h"
#include "isolate-agent/proxy/job.h"

#include "core/file.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned order[8];
static size_t ordered;

static void
note(void *arg)
{
    order[ordered++] = (unsigned)(uintptr_t)arg;
}

Test(loop, deferred_in_order)
{
    struct agent_deferred work[3] = {{.fn = note, .arg = (void *)1}, {.fn = note, .arg = (void *)2},
        {.fn = note, .arg = (void *)3}};
    struct agent_loop *loop = NULL;

    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    agent_loop_defer(loop, &work[0]);
    agent_loop_defer(loop, &work[1]);
    agent_loop_defer(loop, &work[0]); /* once is enough */
    cr_assert_eq(agent_loop_turn(loop, 1000, NULL), BH_OK);
    cr_expect_eq(ordered, 2);
    cr_expect(order[0] == 1 && order[1] == 2);
    agent_loop_defer(loop, &work[2]);
    agent_loop_free(loop);
    cr_expect_eq(ordered, 3);
    agent_loop_free(NULL);
}

struct timers {
    struct agent_loop *loop;
    struct agent_timer a, b;
    unsigned fired;
};

static void
on_a(void *arg)
{
    struct timers *t = arg;

    t->fired++;
    agent_loop_timer_off(t->loop, &t->b);
    if (t->fired < 3)
        agent_loop_timer(t->loop, &t->a, 1);
    else
        agent_loop_stop(t->loop);
}

static void
on_b(void *arg)
{
    (void)arg;
    cr_assert_fail("a timer that was taken off has fired");
}

Test(loop, timers)
{
    struct timers t = {.fired = 0};

    cr_assert_eq(agent_loop_new(&t.loop, NULL), BH_OK);
    t.a = (struct agent_timer){.fn = on_a, .arg = &t};
    t.b = (struct agent_timer){.fn = on_b, .arg = &t};
    agent_loop_timer(t.loop, &t.b, 50);
    agent_loop_timer(t.loop, &t.a, 1000);
    agent_loop_timer(t.loop, &t.a, 1); /* armed anew */
    cr_assert_eq(agent_loop_run(t.loop, NULL), BH_OK);
    cr_expect_eq(t.fired, 3);
    agent_loop_timer_off(t.loop, &t.b);
    agent_loop_free(t.loop);
}

/* ---- jobs ---- */

struct outcome {
    struct agent_loop *loop;
    char text[64];
    size_t len;
    bool ended, called;
};

static void
on_done(void *arg, struct bh_span output, bool ended)
{
    struct outcome *o = arg;

    o->called = true;
    o->ended = ended;
    o->len = output.len;
    memcpy(o->text, output.ptr, output.len < sizeof(o->text) ? output.len : sizeof(o->text) - 1);
    agent_loop_stop(o->loop);
}

static void
run_job(agent_job_fn work, void *arg, size_t max, int64_t deadline, struct outcome *o)
{
    struct agent_job *job = NULL;

    memset(o, 0, sizeof(*o));
    cr_assert_eq(agent_loop_new(&o->loop, NULL), BH_OK);
    cr_assert_eq(agent_job_start(o->loop, work, arg, max, deadline, on_done, o, &job, NULL), BH_OK);
    cr_assert_eq(agent_loop_run(o->loop, NULL), BH_OK);
    cr_assert(o->called);
    agent_loop_free(o->loop);
}

static void
say(void *arg, int fd)
{
    (void)agent_job_write(fd, bh_span_str(arg));
}

static void
hang(void *arg, int fd)
{
    say(arg, fd);
    for (;;)
        (void)pause();
}

static void
crash(void *arg, int fd)
{
    say(arg, fd);
    (void)raise(SIGKILL);
}

/* Whether a descriptor of the parent's is open here. */
static void
look(void *arg, int fd)
{
    say(lseek(*(int *)arg, 0, SEEK_CUR) >= 0 ? "open" : "closed", fd);
}

Test(job, ends)
{
    char text[] = "hello";
    struct outcome o;

    run_job(say, text, 5, 5000, &o);
    cr_expect(o.ended);
    cr_expect_str_eq(o.text, "hello");
    run_job(say, text, 4, 5000, &o);
    cr_expect_not(o.ended, "more than it may say");
    run_job(hang, text, 64, 50, &o);
    cr_expect_not(o.ended);
    cr_expect_str_eq(o.text, "hello");
    run_job(crash, text, 64, 5000, &o);
    cr_expect_not(o.ended);
}

Test(job, has_no_descriptors_of_ours)
{
    char path[] = "/tmp/bh-job-XXXXXX";
    int fd = mkstemp(path);
    struct outcome o;

    cr_assert_geq(fd, 0);
    run_job(look, &fd, 64, 5000, &o);
    cr_expect_str_eq(o.text, "closed");
    close(fd);
    unlink(path);
}

Test(job, cancelled)
{
    struct agent_loop *loop = NULL;
    struct agent_job *job = NULL;
    struct outcome o = {0};
    char text[] = "";

    cr_assert_eq(agent_loop_new(&loop, NULL), BH_OK);
    cr_assert_eq(agent_job_start(loop, hang, text, 64, 60000, on_done, &o, &job, NULL), BH_OK);
    agent_job_cancel(job);
    agent_job_cancel(NULL);
    cr_assert_eq(agent_loop_turn(loop, 10, NULL), BH_OK);
    cr_expect_not(o.called);
    agent_loop_free(loop);
}

/* ---- the hook ---- */

struct hooked {
    struct agent_loop *loop;
    int statuses[8];
    size_t count, wanted;
};

static void
on_status(void *arg, int status)
{
    struct hooked *h = arg;

    h->statuses[h->count++ % 8] = status;
    if (h->count >= h->wanted)
        agent_loop_stop(h->loop);
}

static struct agent_hook *
open_hook(struct hooked *h, const char *command, const char *dir, int64_t timeout)
{
    struct agent_hook *hook = NULL;

    memset(h, 0, sizeof(*h));
    h->wanted = 1;
    cr_assert_eq(agent_hook_new(command, dir, timeout, &hook, NULL), BH_OK);
    cr_assert_eq(agent_loop_new(&h->loop, NULL), BH_OK);
    cr_assert_eq(agent_hook_attach(hook, h->loop, on_status, h, NULL), BH_OK);
    return hook;
}

static void
close_hook(struct hooked *h, struct agent_hook *hook)
{
    agent_hook_free(hook);
    agent_loop_free(h->loop);
}

Test(hook, runs_with_the_folder)
{
    char dir[] = "/tmp/bh-hook-XXXXXX", path[64];
    struct hooked h;
    uint8_t *text = NULL;
    size_t len = 0;

    cr_assert_not_null(mkdtemp(dir));
    struct agent_hook *hook =
        open_hook(&h, "echo \"$BEACHHEAD_OUT\" >> \"$BEACHHEAD_OUT/ran\"", dir, 5000);
    agent_hook_run(hook);
    cr_assert_eq(agent_loop_run(h.loop, NULL), BH_OK);
    cr_expect_eq(h.statuses[0], 0);
    snprintf(path, sizeof(path), "%s/ran", dir);
    cr_assert_eq(bh_file_read(path, 4096, &text, &len, NULL), BH_OK);
    cr_expect_eq(strncmp((char *)text, dir, strlen(dir)), 0);
    free(text);
    unlink(path);
    rmdir(dir);
    close_hook(&h, hook);
}

Test(hook, failures_are_told)
{
    struct hooked h;
    struct agent_hook *hook = open_hook(&h, "exit 7", "/", 5000);

    agent_hook_run(hook);
    cr_assert_eq(agent_loop_run(h.loop, NULL), BH_OK);
    cr_expect_eq(h.statuses[0], 7);
    close_hook(&h, hook);
    hook = open_hook(&h, "kill -9 $$", "/", 5000);
    agent_hook_run(hook);
    cr_assert_eq(agent_loop_run(h.loop, NULL), BH_OK);
    cr_expect_eq(h.statuses[0], 128 + SIGKILL);
    close_hook(&h, hook);
}

/* What the command started is killed with it. */
Test(hook, too_long)
{
    struct hooked h;
    struct agent_hook *hook = open_hook(&h, "sleep 600 & sleep 600; wait", "/", 100);

    agent_hook_run(hook);
    cr_assert_eq(agent_loop_run(h.loop, NULL), BH_OK);
    cr_expect_eq(h.statuses[0], 128 + SIGKILL);
    close_hook(&h, hook);
}

Test(hook, ends_with_the_agent)
{
    struct hooked h;
    struct agent_hook *hook = open_hook(&h, "sleep 600", "/", 600000);

    agent_hook_run(hook);
    cr_assert_eq(agent_loop_turn(h.loop, 50, NULL), BH_OK);
    close_hook(&h, hook); /* returns at once, or this test times out */
    agent_hook_free(NULL);
}

/* A burst of renewals while one runs makes one more run. */
Test(hook, requests_are_gathered)
{
    struct hooked h;
    struct agent_hook *hook = open_hook(&h, "sleep 0.2", "/", 5000);

    for (int i = 0; i < 5; i++) {
        agent_hook_run(hook);
        usleep(20000);
    }
    h.wanted = 2;
    cr_assert_eq(agent_loop_run(h.loop, NULL), BH_OK);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(agent_loop_turn(h.loop, 50, NULL), BH_OK);
    cr_expect_eq(h.count, 2);
    close_hook(&h, hook);
}
