/* verify PLAN: the checklist, measured; what people see to is signed. */
#include "cli.h"
#include "token.h"

#include "phasegate/validation.h"

static enum out_style style_of(enum validation_verdict v)
{
    return v == VALIDATION_HOLDS ? STYLE_GOOD : v == VALIDATION_FAILS ? STYLE_BAD : STYLE_WARN;
}

static void print_item(struct context *c, const struct validation_item *it)
{
    struct arena *a = &c->arena;

    out_print(&c->out, "%s%-5s%s  %s: %s", out_style(&c->out, style_of(it->verdict)),
              validation_verdict_word(it->verdict), out_style(&c->out, STYLE_PLAIN), it->v->id.s,
              out_clean(a, it->value ? it->value : "no value", false));
    if (it->before)
        out_print(&c->out, " (before: %s)", out_clean(a, it->before, false));
    if (it->by && it->verdict == VALIDATION_HOLDS)
        out_print(&c->out, ", signed by %s at %s", out_clean(a, it->by, false),
                  when_text(a, it->at_ms));
    out_print(&c->out, "\n");
    if (it->why)
        out_print(&c->out, "       %s (%s:%d:%d)\n", out_clean(a, it->why, false), it->v->at.file,
                  it->v->at.line, it->v->at.col);
    if (it->next)
        out_print(&c->out, "       next: %s\n", it->next);
}

static void put_item(struct json_out *j, const struct validation_item *it)
{
    json_object_begin(j, NULL);
    json_str(j, "id", it->v->id.s);
    json_str(j, "kind", it->kind);
    json_str(j, "verdict", validation_verdict_word(it->verdict));
    json_str(j, "value", it->value);
    json_str(j, "before", it->before);
    json_str(j, "why", it->why);
    json_str(j, "next_command", it->next);
    json_str(j, "by", it->by);
    when_json(j, "at", it->at_ms);
    json_str(j, "file", it->v->at.file);
    json_int(j, "line", it->v->at.line);
    json_object_end(j);
}

static void print_sum(struct context *c, const struct plan *p, const struct validation_report *r)
{
    int held = r->n - r->n_open - r->n_failed;

    if (!r->n)
        out_print(&c->out, "%s: the plan has no checklist (validation:)\n", p->id.s);
    else if (r->accepted)
        out_print(&c->out, "%s: accepted by %s, since %s: %d of %d items hold\n", p->id.s,
                  out_clean(&c->arena, r->accepted_by, false),
                  when_text(&c->arena, r->accepted_at_ms), held, r->n);
    else
        out_print(&c->out, "%s: %d of %d items hold, %d fail, %d open%s\n", p->id.s, held, r->n,
                  r->n_failed, r->n_open,
                  r->is_due ? "" : "; to be accepted once the last phase is done");
}

static void put_report(struct json_out *j, const struct plan *p, const struct validation_report *r)
{
    json_str(j, "plan", p->id.s);
    json_bool(j, "due", r->is_due);
    json_bool(j, "accepted", r->accepted);
    json_str(j, "accepted_by", r->accepted ? r->accepted_by : NULL);
    when_json(j, "accepted_at", r->accepted ? r->accepted_at_ms : 0);
    json_int(j, "open", r->n_open);
    json_int(j, "failed", r->n_failed);
    json_array_begin(j, "items");
    for (int i = 0; i < r->n; i++)
        put_item(j, &r->items[i]);
    json_array_end(j);
}

#define LOOK_MS 10000
#define TICK_MS 200

/* As often as the gates are measured in a rollout: readings too far apart prove nothing of the time between. */
static int64_t look_every_ms(const struct plan *p)
{
    int64_t ms = LOOK_MS;

    for (int i = 0; i < p->n_validation; i++) {
        const struct gate *g =
            p->validation[i].gate.s ? plan_gate(p, p->validation[i].gate.s) : NULL;
        if (g && g->interval_ms > 0 && g->interval_ms < ms)
            ms = g->interval_ms;
    }
    return ms;
}

static bool rest(struct context *c, int64_t until, struct err *err)
{
    while (clock_mono_ms(c->clock) < until) {
        if (ports_interrupted(&c->ports)) {
            err_set(err, ERR_INTERRUPTED, "stopped by a signal; what was found is recorded");
            return err_hint(err, "the same command goes on from here");
        }
        int64_t left = until - clock_mono_ms(c->clock);
        clock_sleep_ms(c->clock, left < TICK_MS ? left : TICK_MS);
    }
    return true;
}

/* Nothing is held meanwhile, no lease either. It may last for days: only the newest report is kept, in room. */
static bool look_again(struct context *c, struct engine *e, struct plan *p,
                       struct validation_report *r, struct arena *room, struct err *err)
{
    const struct validation_options only_look = {0};
    int64_t end = clock_mono_ms(c->clock) + c->line.number[OPT_WAIT_HELD];
    bool is_last = false;

    while ((r->n_open || r->n_failed) && !is_last) {
        int64_t next = clock_mono_ms(c->clock) + look_every_ms(p);

        is_last = next >= end;
        if (!rest(c, is_last ? end : next, err))
            return false;
        arena_free(room);
        if (!engine_validate(e, p, &only_look, room, r, err))
            return false;
    }
    return true;
}

bool cmd_verify(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    struct validation_options o = {.sign = opt_text(c, OPT_SIGN),
                                   .refuse = opt_has(c, OPT_REFUSE_ITEM),
                                   .because = opt_text(c, OPT_BECAUSE)};
    struct validation_report r;
    AUTO(arena) room = {0};
    struct engine *e;

    if (!o.sign && (o.refuse || o.because)) {
        err_set(err, ERR_USAGE, "verify: --%s without --sign: which item?",
                o.refuse ? "refuse" : "because");
        return err_hint(err, "phasegate verify %s --sign ID", p->id.s);
    }
    if (o.sign && !context_token(c, err))
        return false;
    if (!context_engine(c, p, &e, err) || !engine_validate(e, p, &o, &c->arena, &r, err))
        return false;
    if (o.sign)
        out_print(&c->out, "%s: %s %s by %s\n", p->id.s, out_clean(&c->arena, o.sign, false),
                  o.refuse ? "refused" : "signed", out_clean(&c->arena, r.signed_by, false));
    if (opt_has(c, OPT_WAIT_HELD) && !look_again(c, e, p, &r, &room, err))
        return false;
    for (int i = 0; i < r.n; i++)
        print_item(c, &r.items[i]);
    print_sum(c, p, &r);
    if (out_is_json(&c->out))
        put_report(out_json(&c->out), p, &r);
    c->exit_code = r.n_open || r.n_failed ? 1 : 0;
    return true;
}
