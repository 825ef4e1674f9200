/* Approvals: who may give them, who has, and whether that is enough. */
#include "internal.h"

#include "phasegate/json_out.h"

#include <stdlib.h>

/* "alice" in the list is alice@any-host as the actor. */
static bool is_entry(const struct pair *entry, const char *who)
{
    size_t n = strlen(entry->value.s);

    return strncmp(who, entry->value.s, n) == 0 && (who[n] == '\0' || who[n] == '@');
}

/* role NULL: any. Where the policy names nobody, everybody is one. */
static bool may_approve(const struct policy *pol, const char *role, const char *who)
{
    for (int i = 0; i < pol->approvers.n; i++)
        if ((!role || strcmp(pol->approvers.items[i].key.s, role) == 0) &&
            is_entry(&pol->approvers.items[i], who))
            return true;
    return pol->approvers.n == 0;
}

/* One person from two hosts is one person, where the policy knows them. */
static const char *person_of(const struct policy *pol, const char *who)
{
    for (int i = 0; i < pol->approvers.n; i++)
        if (is_entry(&pol->approvers.items[i], who))
            return pol->approvers.items[i].value.s;
    return who;
}

bool is_same_person(const struct policy *pol, const char *a, const char *b)
{
    return strcmp(person_of(pol, a), person_of(pol, b)) == 0;
}

const char *approvers_text(struct arena *a, const struct policy *pol)
{
    AUTO(str) names = {0};

    for (int i = 0; i < pol->approvers.n; i++)
        str_addf(&names, "%s%s (%s)", i ? ", " : ": ", pol->approvers.items[i].value.s,
                 pol->approvers.items[i].key.s);
    return arena_strdup(a, str_text(&names));
}

/* A person's newest word counts: who refused lifts it, and nobody else. */
static void keep_newest(const struct policy *pol, const struct approval *ap, struct approvals *out)
{
    for (int i = 0; i < out->n; i++)
        if (is_same_person(pol, out->words[i].who, ap->who)) {
            out->words[i] = *ap;
            return;
        }
    out->words[out->n++] = *ap;
}

/* By whatever name: the account that runs this is the same person. */
static bool is_runner(struct work *w, const char *who)
{
    return is_same_person(&w->e->policy, who, w->e->actor) ||
           is_same_person(&w->e->policy, who, os_user(w->e, w->a));
}

static bool is_in_role(const struct policy *pol, const struct approval *ap, const char *role)
{
    return ap->role ? strcmp(ap->role, role) == 0
                    : pol->approvers.n > 0 && may_approve(pol, role, ap->who);
}

/* Roles that the policy asks for and that not enough people have approved in. */
static void find_missing(struct work *w, const struct pair_list *roles, struct approvals *out)
{
    const struct policy *pol = &w->e->policy;

    for (int i = 0; i < roles->n; i++) {
        const char *role = roles->items[i].key.s;
        long long left = strtoll(roles->items[i].value.s, NULL, 10);
        for (int k = 0; k < out->n; k++)
            left -= !out->words[k].refused && is_in_role(pol, &out->words[k], role) &&
                    may_approve(pol, role, out->words[k].who);
        if (left > 0)
            out->missing = arena_printf(w->a, "%s%s%lld as %s", out->missing ? out->missing : "",
                                        out->missing ? ", " : "", left, role);
    }
}

static void count_words(struct work *w, const char *role, struct approvals *out)
{
    const struct policy *pol = &w->e->policy;

    for (int i = 0; i < out->n; i++) {
        const struct approval *ap = &out->words[i];
        /* Who isn't an approver any more has no say, either way. */
        if (!may_approve(pol, ap->role, ap->who))
            continue;
        bool in_role = !role || is_in_role(pol, ap, role);
        if (ap->refused)
            out->refused = ap;
        else if (in_role) {
            out->given++;
            out->by_others += !is_runner(w, ap->who);
        }
    }
}

const char *approval_word(enum phase phase, bool purge)
{
    return purge ? "purge" : phase_word(phase);
}

bool approvals_read(struct work *w, enum phase phase, bool purge, const char *role,
                    struct approvals *out, struct err *err)
{
    const struct policy *pol = &w->e->policy;
    const char *checksum = w->p->phase_checksum[phase];
    int64_t needed = purge ? pol->approvals_purge : pol->approvals[phase];
    struct approval *all = NULL;
    int n = 0;

    memset(out, 0, sizeof *out);
    out->needed = needed > 0 ? needed : 0;
    if (w->e->has_ledger && !ledger_approvals(w->e->db, w->a, w->p->id.s, &all, &n, err))
        return false;
    out->words = arena_array(w->a, struct approval, n + 1);
    for (int i = 0; i < n; i++) {
        if (!checksum || !all[i].is_journalled ||
            strcmp(all[i].phase, approval_word(phase, purge)) != 0)
            continue;
        if (strcmp(all[i].checksum, checksum) == 0)
            keep_newest(pol, &all[i], out);
        else if (!all[i].refused)
            out->outdated = &all[i];
    }
    count_words(w, role, out);
    find_missing(w, &pol->approvals_by_role[purge ? PHASE_NONE : phase], out);
    return true;
}

/* ---- is that enough? ------------------------------------------------------------------------------------------- */

static void say_refused(struct work *w, const char *phase, const struct approval *no,
                        struct fact *f)
{
    fact_no(f,
            arena_printf(w->a, "%s refused %s%s%s", no->who, phase, no->because ? ": " : "",
                         no->because ? no->because : ""),
            arena_printf(w->a, "phasegate approve %s %s, by %s: who refused lifts it", w->p->id.s,
                         phase, no->who));
    f->holder = no->who;
    f->since_ms = no->at_ms;
}

static void say_missing(struct work *w, enum phase phase, const char *word,
                        const struct approvals *ap, struct fact *f)
{
    struct arena *a = w->a;
    const char *outdated = "";

    if (ap->outdated)
        outdated = arena_printf(a,
                                "; that of %s is for another text of it (checksum %.12s): it was "
                                "edited since",
                                ap->outdated->who, ap->outdated->checksum);
    fact_no(f,
            arena_printf(a, "%s needs %lld approval%s, it has %d for checksum %.12s%s%s%s", word,
                         (long long) ap->needed, ap->needed == 1 ? "" : "s", ap->given,
                         w->p->phase_checksum[phase], ap->missing ? "; missing: " : "",
                         ap->missing ? ap->missing : "", outdated),
            arena_printf(a, "phasegate approve %s %s, by an approver%s", w->p->id.s, word,
                         approvers_text(a, &w->e->policy)));
}

/* Where the old shape goes, two people have to have looked: who runs it, and somebody else. */
static void say_alone(struct work *w, const char *word, bool purge, struct fact *f)
{
    const char *bound = w->p->phases[PHASE_CONTRACT].release.s, *id = w->p->id.s;
    const char *command =
        purge ? arena_printf(w->a, "phasegate purge %s --confirm %s", id, id)
              : arena_printf(w->a, "phasegate advance %s --release %s", id, bound ? bound : "V");

    fact_no(f,
            arena_printf(w->a,
                         "%s was approved by nobody but %s, who runs it: the way to the point of "
                         "no return takes a second pair of eyes",
                         word, w->e->actor),
            arena_printf(w->a,
                         "%s, by somebody else; or phasegate approve %s %s, by another approver%s",
                         command, id, word, approvers_text(w->a, &w->e->policy)));
    f->holder = w->e->actor;
}

bool approvals_look(struct work *w, enum phase phase, bool purge, struct fact *f, struct err *err)
{
    const char *word = approval_word(phase, purge);
    struct approvals ap;

    fact_yes(f);
    if (!approvals_read(w, phase, purge, NULL, &ap, err))
        return false;
    if (ap.refused)
        say_refused(w, word, ap.refused, f);
    else if (ap.given < ap.needed || ap.missing)
        say_missing(w, phase, word, &ap, f);
    if (!f->holds || phase != PHASE_CONTRACT)
        return true;
    /* A purge that needs no approval of its own goes by that of contract. */
    if (purge && ap.needed == 0) {
        word = phase_word(phase);
        if (!approvals_read(w, phase, false, NULL, &ap, err))
            return false;
    }
    if (ap.needed > 0 && ap.given > 0 && ap.by_others == 0)
        say_alone(w, word, purge, f);
    return true;
}

bool purge_approvals_look(struct work *w, struct fact *f, struct err *err)
{
    return approvals_look(w, PHASE_CONTRACT, true, f, err);
}

/* ---- who signs -------------------------------------------------------------------------------------------------- */

const char *os_user(const struct engine *e, struct arena *a)
{
    struct host *host = e->ports->host;

    return arena_printf(a, "%s@%s", host->ops->user(host), host->ops->hostname(host));
}

static bool no_token(const struct engine *e, const char *why, struct err *err)
{
    const struct pair_list *tokens = &e->policy.tokens;
    AUTO(str) names = {0};

    for (int i = 0; i < tokens->n; i++)
        str_addf(&names, "%s%s", i ? ", " : "", tokens->items[i].key.s);
    err_set(err, ERR_REFUSED, "%s", why);
    if (tokens->n) {
        const struct pos at = tokens->items[0].key.at;
        err_detail(err, "policy.tokens (%s:%d:%d) has those of %s.", at.file, at.line, at.col,
                   str_text(&names));
    }
    err_hint(err, tokens->n
                      ? "the same command with --token-file FILE, or with the token in "
                        "PHASEGATE_TOKEN"
                      : "policy: {tokens: {NAME: SHA-256 of the token}} in phasegate.yaml, or "
                        "the same command without a token");
    return err_reason(err, "token");
}

bool signer_find(const struct engine *e, struct arena *a, struct signer *out, struct err *err)
{
    const struct pair_list *tokens = &e->policy.tokens;
    bool is_stated = strcmp(e->actor, os_user(e, a)) != 0;
    const char *name = NULL;

    *out = (struct signer) {.who = e->actor, .identity = is_stated ? "stated" : "account"};
    if (tokens->n == 0 && !e->token_sha256)
        return true;
    if (tokens->n == 0)
        return no_token(e, "a token was given, and the policy has none to compare it with", err);
    if (!e->token_sha256)
        return no_token(
            e, arena_printf(a, "nobody signs without a token, and %s gave none", e->actor), err);
    for (int i = 0; i < tokens->n; i++)
        if (strcmp(tokens->items[i].value.s, e->token_sha256) == 0)
            name = tokens->items[i].key.s;
    if (!name)
        return no_token(e, "the token that was given is nobody's", err);
    size_t n = strlen(name);
    if (is_stated && (strncmp(e->actor, name, n) != 0 || (e->actor[n] && e->actor[n] != '@')))
        return no_token(e, arena_printf(a, "the token that was given isn't %s's", e->actor), err);
    *out = (struct signer) {.who = name, .identity = "token"};
    return true;
}

/* ---- signing ----------------------------------------------------------------------------------------------------- */

static bool sign(struct work *w, const struct approve_options *o, const struct signer *by,
                 struct err *err)
{
    struct engine *e = w->e;
    const char *word = approval_word(o->phase, o->purge);
    struct approval ap = {.plan = w->p->id.s,
                          .phase = word,
                          .checksum = w->p->phase_checksum[o->phase],
                          .role = o->role,
                          .who = by->who,
                          .because = o->because,
                          .refused = o->refuse,
                          .at_ms = now_ms(e),
                          .host = e->ports->host->ops->hostname(e->ports->host)};
    AUTO(str) detail = {0};
    struct json_out j;

    w->phase = o->phase;
    struct history_row *r = history_new(w, "approval", word, "note");
    json_begin(&j, &detail, false);
    json_object_begin(&j, NULL);
    json_str(&j, "identity", by->identity);
    json_str(&j, "account", os_user(e, w->a));
    json_bool(&j, "refused", o->refuse);
    json_str(&j, "role", o->role);
    json_object_end(&j);
    r->detail = str_text(&detail);
    r->applied_by = by->who;
    r->applied_at_ms = ap.at_ms; /* they are known as one by it */
    r->checksum = ap.checksum;
    r->description = arena_printf(w->a, "%s by %s%s%s", o->refuse ? "refused" : "approved", by->who,
                                  o->because ? ": " : "", o->because ? o->because : "");
    return ledger_approval_add(e->db, &ap, err) && ledger_history_append(e->db, r, err);
}

/* The lease is only taken to make the ledger: an advance holds it while it waits for this very signature. */
static bool sign_first(struct work *w, const struct approve_options *o, const struct signer *by,
                       struct err *err)
{
    static const struct advance_options none;
    struct engine *e = w->e;
    AUTO(err) ignored = {0};
    bool ok = work_open(w, e, w->p, &none, w->a, err) && sign(w, o, by, err);

    if (db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    return ok;
}

bool engine_approve(struct engine *e, struct plan *p, const struct approve_options *o,
                    struct arena *keep, const char **who, struct err *err)
{
    AUTO(arena) a = {0};
    struct work w = {.e = e, .p = p, .a = &a};
    const char *word = approval_word(o->phase, o->purge);
    struct signer by;

    if (!signer_find(e, &a, &by, err))
        return false;
    if (!may_approve(&e->policy, o->role, by.who)) {
        err_set(err, ERR_REFUSED, "%s may not approve%s%s", by.who, o->role ? " as " : "",
                o->role ? o->role : "");
        err_detail(err, "policy.approvers names%s.", approvers_text(&a, &e->policy));
        err_hint(err, "phasegate --as NAME approve %s %s%s, by one of them", p->id.s, word,
                 o->role ? " --role ROLE" : "");
        return err_reason(err, "not_an_approver");
    }
    if (!p->phases[o->phase].present)
        return err_set(err, ERR_USAGE, "plan %s has no %s", p->id.s, phase_word(o->phase));
    *who = arena_strdup(keep, by.who);
    if (!e->facts(e->set, p, err))
        return false;
    if (!e->has_ledger)
        return sign_first(&w, o, &by, err);
    return work_reload(&w, err) && sign(&w, o, &by, err);
}
