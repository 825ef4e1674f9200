/* Manual items of the checklist and of go and no-go: who signed them, who refused. */
#include "internal.h"

#include "phasegate/document.h"
#include "phasegate/json_out.h"
#include "phasegate/validation.h"

#include <jansson.h>

/* That somebody is on call, or no incident open, was true when it was looked at. */
#define CRITERION_SIGNED_FOR_MS (24LL * 3600 * 1000)

static bool is_about(const struct validation_row *r, const struct signed_thing *t, bool *refused)
{
    if (r->is_void || strcmp(r->kind, "signature") != 0 || !same_text(r->step, t->step) ||
        !same_text(r->checksum, t->checksum) || (t->phase && !same_text(r->phase, t->phase)))
        return false;
    json_t *d = r->detail ? json_loads(r->detail, 0, NULL) : NULL;
    bool is = !t->item || same_text(json_string_value(json_object_get(d, "item")), t->item);
    *refused = json_is_true(json_object_get(d, "refused"));
    json_decref(d);
    return is;
}

struct signatures signatures_of(const struct policy *pol, const struct validation_row *rows, int n,
                                const struct signed_thing *about)
{
    struct signatures out = {0};

    for (int i = n - 1; i >= 0; i--) {
        bool refused = false, later = false, ignored;

        if (!is_about(&rows[i], about, &refused))
            continue;
        for (int k = i + 1; k < n && !later; k++)
            later =
                is_about(&rows[k], about, &ignored) && is_same_person(pol, rows[k].by, rows[i].by);
        if (later)
            continue;
        if (refused && !out.refused)
            out.refused = &rows[i];
        else if (!refused && !out.given)
            out.given = &rows[i];
    }
    return out;
}

/* ---- go and no-go ------------------------------------------------------------------------------------------ */

const char *criterion_name(const struct criterion *c) { return c->id.s ? c->id.s : c->manual.s; }

static struct signed_thing criterion_thing(struct work *w, const struct criterion *c,
                                           enum phase phase)
{
    return (struct signed_thing) {.step = arena_printf(w->a, "go/%s", criterion_name(c)),
                                  .checksum = w->p->phase_checksum[phase],
                                  .phase = phase_word(phase),
                                  .item = c->checksum};
}

const char *sign_command(struct work *w, const char *name)
{
    AUTO(str) word = {0};

    shell_word(&word, name);
    return arena_printf(w->a, "phasegate verify %s --sign %s", w->p->id.s, str_text(&word));
}

bool criterion_signatures(struct work *w, enum phase phase, const struct criterion *c,
                          struct signatures *out, struct err *err)
{
    struct signed_thing t = criterion_thing(w, c, phase);
    struct validation_row *rows = NULL;
    int n = 0;

    if (w->e->has_ledger && !ledger_validations(w->e->db, w->a, w->p->id.s, &rows, &n, err))
        return false;
    *out = signatures_of(&w->e->policy, rows, n, &t);
    if (out->given && now_ms(w->e) - out->given->at_ms > CRITERION_SIGNED_FOR_MS) {
        out->outdated = out->given;
        out->given = NULL;
    }
    return true;
}

struct missing {
    struct str names;
    const struct criterion *first, *refused;
    const struct validation_row *refusal;
    bool first_is_no_go, is_old;
    int n;
};
static void missing_auto(struct missing *m) { str_free(&m->names); }

static void add_missing(struct missing *m, const struct criterion *c, bool no_go,
                        const struct signatures *s)
{
    if (s->refused && !m->refused) {
        m->refused = c;
        m->refusal = s->refused;
    }
    if (s->refused || s->given)
        return;
    if (m->n++ == 0) {
        m->first = c;
        m->first_is_no_go = no_go;
        m->is_old = s->outdated != NULL;
    }
    str_addf(&m->names, "%s%s", m->n > 1 ? ", " : "", criterion_name(c));
}

bool criteria_look(struct work *w, enum phase phase, struct fact *f, struct err *err)
{
    const struct runbook *rb = &w->p->runbook;
    AUTO(missing) m = {0};
    struct arena *a = w->a;

    for (int i = 0; i < rb->n_go + rb->n_no_go; i++) {
        bool no_go = i >= rb->n_go;
        const struct criterion *c = no_go ? &rb->no_go[i - rb->n_go] : &rb->go[i];
        struct signatures s;
        if (!c->manual.s)
            continue;
        if (!criterion_signatures(w, phase, c, &s, err))
            return false;
        add_missing(&m, c, no_go, &s);
    }
    if (m.refused) {
        const char *why = m.refusal->description;
        fact_no(
            f, arena_printf(a, "%s: %s (%s)", m.refused->manual.s, why, pos_text(a, m.refused->at)),
            arena_printf(a, "%s, by %s: who refused lifts it",
                         sign_command(w, criterion_name(m.refused)), m.refusal->by));
        f->holder = m.refusal->by;
        f->since_ms = m.refusal->at_ms;
    } else if (m.n > 0) {
        fact_no(
            f,
            arena_printf(a, "%s criterion %s for %s: %s (%s)%s", m.first_is_no_go ? "no-go" : "go",
                         m.is_old ? "was signed more than 24 h ago" : "isn't signed",
                         phase_word(phase), m.first->manual.s, pos_text(a, m.first->at),
                         m.n > 1 ? arena_printf(a, "; all that aren't: %s", str_text(&m.names))
                                 : ""),
            arena_printf(a, "%s, by who has seen to it%s", sign_command(w, criterion_name(m.first)),
                         m.first_is_no_go ? " that it is not so" : ""));
    }
    return true;
}

/* ---- signing ------------------------------------------------------------------------------------------------- */

static const struct criterion *find_criterion(const struct runbook *rb, const char *name,
                                              int *found)
{
    const struct criterion *c = NULL;

    for (int i = 0; i < rb->n_go + rb->n_no_go; i++) {
        const struct criterion *k = i < rb->n_go ? &rb->go[i] : &rb->no_go[i - rb->n_go];
        if (k->manual.s && strcmp(criterion_name(k), name) == 0) {
            c = k;
            ++*found;
        }
    }
    return c;
}

static bool no_such_item(const struct work *w, const char *name, int found, struct err *err)
{
    const struct runbook *rb = &w->p->runbook;
    AUTO(str) names = {0};
    const char *only = NULL;

    if (found > 1) {
        err_set(err, ERR_USAGE, "plan %s has %d manual items called \"%s\"", w->p->id.s, found,
                name);
        return err_hint(err, "give each its own id: in %s", w->p->file);
    }
    for (int i = 0; i < w->p->n_validation; i++) {
        const struct validation *v = &w->p->validation[i];
        if (v->manual.s)
            str_addf(&names, "%s%s", names.len ? ", " : "", only = v->id.s);
        else if (strcmp(v->id.s, name) == 0) {
            err_set(err, ERR_USAGE, "%s is measured, and signed by nobody (%s:%d:%d)", name,
                    v->at.file, v->at.line, v->at.col);
            return err_hint(err, "phasegate verify %s", w->p->id.s);
        }
    }
    for (int i = 0; i < rb->n_go + rb->n_no_go; i++) {
        const struct criterion *k = i < rb->n_go ? &rb->go[i] : &rb->no_go[i - rb->n_go];
        if (k->manual.s)
            str_addf(&names, "%s%s", names.len ? ", " : "", only = criterion_name(k));
    }
    err_set(err, ERR_USAGE, "plan %s has no manual item \"%s\"%s%s", w->p->id.s, name,
            only ? "; it has: " : ", and no other one", str_text(&names));
    return err_hint(err, "phasegate show plan %s", w->p->id.s);
}

static enum phase phase_ahead(const struct work *w)
{
    enum phase next = stage_next_phase(w->state.stage);

    while (next != PHASE_NONE && !w->p->phases[next].present)
        next = next < PHASE_LAST ? next + 1 : PHASE_NONE;
    return next;
}

static bool record(struct work *w, const struct signed_thing *t, enum phase phase,
                   const struct validation_options *o, const struct signer *by, struct err *err)
{
    AUTO(str) detail = {0};
    struct json_out j;

    w->phase = phase;
    struct history_row *r = history_new(w, "signature", t->step, "note");
    json_begin(&j, &detail, false);
    json_object_begin(&j, NULL);
    json_bool(&j, "refused", o->refuse);
    json_str(&j, "because", o->because);
    json_str(&j, "item", t->item);
    json_str(&j, "identity", by->identity);
    json_str(&j, "account", os_user(w->e, w->a));
    json_object_end(&j);
    r->applied_by = by->who;
    r->checksum = t->checksum;
    r->detail = str_text(&detail);
    r->description = arena_printf(w->a, "%s by %s%s%s", o->refuse ? "refused" : "signed", by->who,
                                  o->because ? ": " : "", o->because ? o->because : "");
    return ledger_history_append(w->e->db, r, err);
}

static bool sign_item(struct work *w, const struct validation *v,
                      const struct validation_options *o, const struct signer *by, struct err *err)
{
    struct signed_thing t = {.step = v->id.s, .checksum = v->checksum};

    if (!validation_is_due(w)) {
        err_set(err, ERR_REFUSED, "%s is for the end, and plan %s is at \"%s\"", v->id.s,
                w->p->id.s, stage_word(w->state.stage));
        const char *next = next_move(w);
        err_hint(err, "%s first", next ? next : "phasegate status");
        return err_reason(err, "validation");
    }
    return record(w, &t, stage_phase(w->state.stage), o, by, err);
}

static bool validation_sign(struct work *w, const struct validation_options *o,
                            const struct signer *by, struct err *err)
{
    const struct validation *item = NULL;
    int found = 0;
    const struct criterion *c = find_criterion(&w->p->runbook, o->sign, &found);

    for (int i = 0; i < w->p->n_validation; i++)
        if (w->p->validation[i].manual.s && strcmp(w->p->validation[i].id.s, o->sign) == 0) {
            item = &w->p->validation[i];
            found++;
        }
    if (found != 1)
        return no_such_item(w, o->sign, found, err);
    if (item)
        return sign_item(w, item, o, by, err);
    enum phase phase = phase_ahead(w);
    if (phase == PHASE_NONE || stage_is_undoing(w->state.stage)) {
        err_set(err, ERR_REFUSED,
                "no phase is ahead for which %s could be signed: plan %s is at \"%s\"", o->sign,
                w->p->id.s, stage_word(w->state.stage));
        return err_reason(err, "validation");
    }
    struct signed_thing t = criterion_thing(w, c, phase);
    return record(w, &t, phase, o, by, err);
}

/* The lease is only taken to make the ledger: see sign.c. */
bool validation_sign_first(struct work *w, const struct validation_options *o, const char **who,
                           struct err *err)
{
    static const struct advance_options none;
    struct engine *e = w->e;
    AUTO(err) ignored = {0};
    struct signer by;

    if (!signer_find(e, w->a, &by, err))
        return false;
    *who = by.who;
    if (e->has_ledger)
        return validation_sign(w, o, &by, err);
    bool ok = work_open(w, e, w->p, &none, w->a, err) && validation_sign(w, o, &by, err);
    if (db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    return ok;
}
