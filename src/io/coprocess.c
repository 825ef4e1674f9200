/* A program that stays: what is fed to it and what it says go on side by side, so that neither side can block the
 * other by a pipe that is full. */
#include "fault.h"
#include "host_posix.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINES_MAX = 64 << 20, /* that nobody has taken yet; one line too */
    SAID_MAX = 64 << 10,
    SLICE_MS = 50,
    END_GRACE_MS = 2000
};

struct talk {
    struct coprocess base;
    struct host_posix *h;
    struct child child;
    struct str fed, got, said;
    size_t written, taken,
        looked; /* of fed; of got: handed out, and searched for the end of a line */
};

static void feed(struct coprocess *program, const char *bytes, size_t n)
{
    struct talk *t = (struct talk *) program;

    if (t->written == t->fed.len) {
        str_clear(&t->fed);
        t->written = 0;
    }
    str_addn(&t->fed, bytes, n);
}

/* What fits into its pipe. One that reads no more has closed it, and may still have something to say. */
static void write_some(struct talk *t)
{
    while (t->child.in >= 0 && t->written < t->fed.len) {
        ssize_t n = write(t->child.in, t->fed.text + t->written, t->fed.len - t->written);

        if (n > 0) {
            t->written += (size_t) n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        close(t->child.in);
        t->child.in = -1;
    }
}

static bool take_line(struct talk *t, struct str *line)
{
    char *end = t->got.len > t->looked
                    ? memchr(t->got.text + t->looked, '\n', t->got.len - t->looked)
                    : NULL;

    t->looked = t->got.len;
    if (!end)
        return false;
    size_t n = (size_t) (end - (t->got.text + t->taken));
    str_clear(line);
    str_addn(line, t->got.text + t->taken, n);
    t->taken += n + 1;
    t->looked = t->taken;
    if (t->taken == t->got.len) {
        str_clear(&t->got);
        t->taken = t->looked = 0;
    }
    return true;
}

static void forget_taken(struct talk *t)
{
    if (t->taken == 0)
        return;
    memmove(t->got.text, t->got.text + t->taken, t->got.len - t->taken);
    t->got.len -= t->taken;
    t->got.text[t->got.len] = '\0';
    t->looked -= t->taken;
    t->taken = 0;
}

static void step(struct talk *t, int64_t most_ms)
{
    bool writes = t->child.in >= 0 && t->written < t->fed.len;
    struct pollfd fds[] = {{.fd = t->child.out, .events = POLLIN},
                           {.fd = t->child.err, .events = POLLIN},
                           {.fd = writes ? t->child.in : -1, .events = POLLOUT}};
    bool is_idle = t->child.out < 0 && t->child.err < 0 && !writes;
    int64_t ms = is_idle ? 5 : SLICE_MS;

    poll(fds, 3, (int) (most_ms < ms ? most_ms : ms));
    write_some(t);
    forget_taken(t);
    child_drain(&t->child.out, &t->got);
    child_drain(&t->child.err, &t->said);
    child_look_for_end(&t->child);
}

static enum coprocess_turn next(struct coprocess *program, int64_t until, bool (*may_wait)(void *),
                                void *ctx, struct str *line)
{
    struct talk *t = (struct talk *) program;

    for (;;) {
        int64_t left = until - clock_mono_ms(t->h->clock);

        if (take_line(t, line))
            return COPROCESS_LINE;
        if (t->child.out < 0 || t->got.full)
            return COPROCESS_ENDED;
        if (left <= 0)
            return COPROCESS_LATE;
        if (!may_wait(ctx))
            return COPROCESS_LEFT;
        bool had_ended = t->child.has_ended;
        step(t, left);
        /* What it started may hold its pipe: nobody waits for that. */
        if (had_ended && t->got.len == t->looked)
            return COPROCESS_ENDED;
    }
}

static void said(struct coprocess *program, struct str *out)
{
    struct talk *t = (struct talk *) program;

    child_drain(&t->child.err, &t->said);
    str_set(out, str_text(&t->said));
    str_free(&t->said);
}

static int end(struct coprocess *program, bool gently)
{
    struct talk *t = (struct talk *) program;
    int64_t by = clock_mono_ms(t->h->clock) + END_GRACE_MS;

    if (t->child.in >= 0)
        close(t->child.in);
    t->child.in = -1;
    for (; gently && !t->child.has_ended && clock_mono_ms(t->h->clock) < by;) {
        step(t, SLICE_MS);
        str_clear(&t->got);
        t->taken = t->looked = 0;
    }
    int code = child_finish(&t->child);
    str_free(&t->fed);
    str_free(&t->got);
    str_free(&t->said);
    free(t);
    return code;
}

bool host_posix_open_coprocess(struct host *host, const char *const *argv, const char *const *env,
                               struct coprocess **out, struct err *err)
{
    static const struct coprocess_ops ops = {.feed = feed, .next = next, .said = said, .end = end};
    const struct child_how how = {.argv = argv, .env = env, .stays = true};
    struct talk *t = calloc(1, sizeof *t);

    if (!t)
        return err_set(err, ERR_UNREACHABLE, "can't start %s: no memory", argv[0]);
    t->base.ops = &ops;
    t->h = (struct host_posix *) host;
    t->fed.ceiling = t->got.ceiling = LINES_MAX;
    t->said.ceiling = SAID_MAX;
    fault_point();
    if (!child_start(&how, &t->child, err)) {
        free(t);
        return false;
    }
    *out = &t->base;
    return true;
}
