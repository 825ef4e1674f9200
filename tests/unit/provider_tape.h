/* provider_tape: drives a provider with canned answers and checks each request that it asks for.
 *
 * A case is a row: what is asked of the provider, the exchanges in order, and what must come
 * out. Exchanges that the provider doesn't ask for, or asks for in another order, fail the row.
 * */
#ifndef PHASEGATE_TEST_PROVIDER_TAPE_H
#define PHASEGATE_TEST_PROVIDER_TAPE_H

#include "phasegate/flags.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TAPE_MAX 8
#define TAPE_NOW INT64_C(1790000000000) /* 2026-09-21T14:13:20Z */

struct exchange {
    const char *ask;    /* "PUT http://flags/..." */
    const char *body;   /* must be in the request's body; "": no body; NULL: don't look */
    const char *header; /* must be one of the request's headers; NULL: don't look */
    int status;         /* 0: the outcome below */
    const char *answer; /* body */
    const char *type;   /* NULL: application/json */
    const char *etag, *retry_after, *rate_reset;
    enum http_outcome outcome;
};

struct tape_case {
    const char *name;
    enum flag_verb verb;
    int percent;        /* SET */
    const char *expect; /* SET: fingerprint; NULL */
    enum flag_level level;
    bool seen_before;
    struct exchange tape[TAPE_MAX];
    enum flag_answer answer;
    enum flag_state state;
    int seen; /* obs.percent */
    bool wrote;
    const char *detail; /* must be in the detail; NULL: don't look */
    const char *why;    /* must be in obs.why; NULL: don't look */
};

static inline bool tape_has_header(const struct http_req *req, const char *line)
{
    for (int i = 0; req->headers[i]; i++)
        if (strcmp(req->headers[i], line) == 0)
            return true;
    return false;
}

static inline void tape_check_request(const struct tape_case *c, int i, const struct http_req *req)
{
    const struct exchange *x = &c->tape[i];
    char asked[1024];

    snprintf(asked, sizeof asked, "%s %s", req->method, req->url);
    CHECK(x->ask, "%s: request %d wasn't expected: %s %s", c->name, i + 1, asked,
          req->body ? req->body : "");
    CHECK(strcmp(asked, x->ask) == 0, "%s: request %d is %s, not %s", c->name, i + 1, asked,
          x->ask);
    if (x->body && !*x->body)
        CHECK(!req->body, "%s: request %d has a body: %s", c->name, i + 1, req->body);
    else if (x->body)
        CHECK(req->body && strstr(req->body, x->body), "%s: request %d: %s isn't in %s", c->name,
              i + 1, x->body, req->body ? req->body : "nothing");
    if (x->header)
        CHECK(tape_has_header(req, x->header), "%s: request %d lacks %s", c->name, i + 1,
              x->header);
    CHECK((strcmp(req->method, "GET") == 0) <= !req->is_write,
          "%s: request %d: a GET isn't a write", c->name, i + 1);
}

static inline struct http_res tape_answer(const struct exchange *x)
{
    struct http_res res = {.outcome = x->status ? HTTP_ANSWERED : x->outcome,
                           .status = x->status,
                           .content_type = x->type ? x->type : "application/json",
                           .etag = x->etag,
                           .retry_after = x->retry_after,
                           .rate_reset = x->rate_reset,
                           .body = x->answer ? x->answer : "",
                           .why = x->status ? NULL : "it was cut"};

    res.body_len = strlen(res.body);
    return res;
}

static inline void tape_prepare(struct flag_call *call, const struct flag_ref *ref, struct arena *a,
                                const struct tape_case *c)
{
    *call = (struct flag_call) {.ref = ref,
                                .verb = c->verb,
                                .level = c->level,
                                .desired = flag_value_percent(c->percent),
                                .expect = c->expect,
                                .op_id = "op-1",
                                .reason = "rung 1",
                                .connect_ms = 1000,
                                .total_ms = 3000,
                                .seen_before = c->seen_before,
                                .arena = a,
                                .now_ms = TAPE_NOW};
}

/* Runs the row; call holds the result. */
static inline void tape_run(struct flag_call *call, const struct tape_case *c)
{
    const struct flag_provider *p = call->ref->service->provider;
    struct http_res res, *last = NULL;
    struct http_req req;
    int i = 0;

    while (p->next(call, last, &req) == FLAG_REQUEST) {
        CHECK(i < TAPE_MAX, "%s: no end", c->name);
        tape_check_request(c, i, &req);
        res = tape_answer(&c->tape[i++]);
        last = &res;
    }
    CHECK(i == TAPE_MAX || !c->tape[i].ask, "%s: %s was never asked for (answer %s, %s)", c->name,
          c->tape[i].ask, flag_answer_word(call->answer), call->detail ? call->detail : "");
}

static inline void tape_check(const struct flag_call *call, const struct tape_case *c)
{
    CHECK(call->answer == c->answer, "%s: answer %s, not %s (%s)", c->name,
          flag_answer_word(call->answer), flag_answer_word(c->answer),
          call->detail ? call->detail : "");
    CHECK(call->obs.state == c->state, "%s: state %s, not %s (%s)", c->name,
          flag_state_word(call->obs.state), flag_state_word(c->state),
          call->obs.why ? call->obs.why : "");
    CHECK(call->obs.percent == c->seen, "%s: %d %%, not %d %%", c->name, call->obs.percent,
          c->seen);
    CHECK(call->wrote == c->wrote, "%s: wrote is %d", c->name, call->wrote);
    if (c->detail)
        CHECK(call->detail && strstr(call->detail, c->detail), "%s: detail is %s", c->name,
              call->detail ? call->detail : "NULL");
    if (c->why)
        CHECK(call->obs.why && strstr(call->obs.why, c->why), "%s: why is %s", c->name,
              call->obs.why ? call->obs.why : "NULL");
}

static inline void tape_table(const struct flag_ref *ref, const struct tape_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(arena) a = {0};
        struct flag_call call;

        tape_prepare(&call, ref, &a, &cases[i]);
        tape_run(&call, &cases[i]);
        tape_check(&call, &cases[i]);
    }
}

#endif
