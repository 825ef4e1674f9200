/* Syncs whose trigger is in place: where their writes come from, and what is restricted by them. */
#include "check/synced.h"
#include "check/types.h"
#include "check/words.h"

#include <ctype.h>

/* ---- where it is --------------------------------------------------------------------------------------------- */

bool sync_is_on(const struct proof *p, int state, const struct plan *plan)
{
    for (; state >= 0; state = p->t.states[state].from) {
        const struct timeline_state *at = &p->t.states[state];
        if (at->by != STATE_TASK || !at->task || p->t.plans[at->plan] != plan)
            continue;
        if (at->task->kind == TASK_SYNC_INSTALL || at->task->kind == TASK_SYNC_REMOVE)
            return at->task->kind == TASK_SYNC_INSTALL;
    }
    return false;
}

const struct plan *sync_begins(const struct proof *p, int state)
{
    const struct timeline_state *s = &p->t.states[state];

    return s->by == STATE_TASK && s->task && s->task->kind == TASK_SYNC_INSTALL
               ? p->t.plans[s->plan]
               : NULL;
}

bool sync_is_of(const struct plan *plan, const struct cat_relation *r)
{
    return strcmp(plan->sync.table.s, r->name) == 0 &&
           (!plan->sync.schema.s || strcmp(plan->sync.schema.s, r->schema) == 0);
}

const struct pair *sync_target(const struct plan *plan, const char *column)
{
    for (int i = 0; i < plan->sync.forward.n; i++)
        if (strcmp(plan->sync.forward.items[i].key.s, column) == 0)
            return &plan->sync.forward.items[i];
    return NULL;
}

bool sync_reads(const struct plan *plan, const char *column)
{
    return text_list_has(&plan->sync.forward_columns, column);
}

const struct pair *sync_writes(const struct proof *p, int state, const struct cat_relation *r,
                               const char *column, const struct plan **plan)
{
    for (int i = 0; i < p->t.n_plans; i++) {
        const struct plan *of = p->t.plans[i];
        const struct pair *pair =
            of->sync.by == SYNC_TRIGGER && sync_is_of(of, r) ? sync_target(of, column) : NULL;

        if (pair && sync_is_on(p, state, of)) {
            *plan = of;
            return pair;
        }
    }
    return NULL;
}

const struct cat_relation *written_table(const struct proof *p, const struct cat_relation *r)
{
    while (r && r->kind == 'v' && r->n_uses == 1 && r->n_triggers == 0)
        r = cat_by_oid(&p->now, r->uses[0]);
    return r;
}

/* ---- who comes to it ----------------------------------------------------------------------------------------- */

/* What a row has that doesn't say: it differs from row to row. */
static bool is_counted(const struct cat_column *c)
{
    return c->is_identity || (c->fallback && (strstr(c->fallback, "nextval(") != NULL ||
                                              strstr(c->fallback, "uuid") != NULL));
}

const struct cat_column *sync_source(struct proof *p, const struct cat_relation *r,
                                     const struct fact_write *w, const struct pair *target,
                                     const struct plan *plan, bool *fresh)
{
    const struct cat_column *found = NULL;
    struct column_expr e;
    bool null_stays = expr_of_column(p->scratch, target->value.s, &e);

    *fresh = false;
    for (int i = 0; i < plan->sync.forward_columns.n; i++) {
        const char *name = plan->sync.forward_columns.items[i].s;
        const struct cat_column *c = cat_column(r, name);
        bool said = w->positional || text_list_has(&w->columns, name);

        if (!c || !has_name(target->value.s, name) || w->verb == VERB_DELETE ||
            (null_stays && text_list_has(&w->nulls, name)))
            continue;
        if (said && !text_list_has(&w->defaulted, name))
            found = c;
        else if ((said || w->verb == VERB_INSERT) && is_counted(c))
            *fresh = true;
        else if (!found && (said || w->verb == VERB_INSERT) && c->fallback)
            found = c;
    }
    return found;
}

/* ---- what the old side keeps apart --------------------------------------------------------------------------- */

static unsigned type_of(const char *name)
{
    static const struct {
        const char *name;
        unsigned type;
    } known[] = {{"int2", T_INT2},      {"int4", T_INT4},       {"int8", T_INT8},
                 {"text", T_TEXT},      {"float4", T_FLOAT4},   {"float8", T_FLOAT8},
                 {"date", T_DATE},      {"varchar", T_VARCHAR}, {"timestamp", T_TIMESTAMP},
                 {"numeric", T_NUMERIC}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].type;
    return 0;
}

static bool is_integer(unsigned type) { return type == T_INT2 || type == T_INT4 || type == T_INT8; }

static int scale_of(int64_t typmod) { return typmod < 4 ? 1000 : (int) ((typmod - 4) & 0x7ff); }

struct kind {
    unsigned type; /* 0: not one that is known here */
    int64_t typmod;
};

/* Do values that differ as the one still differ as the other, or are refused? by_hand: a cast that is written, which cuts
 * what is too long. */
static bool keeps_apart(struct kind from, struct kind to, bool by_hand)
{
    bool is_text = to.type == T_TEXT || to.type == T_VARCHAR;

    if (from.type == 0 || to.type == 0)
        return false;
    if (is_text)
        return !by_hand || to.typmod < 0 || (from.type == T_VARCHAR && from.typmod == to.typmod);
    if (to.type == T_NUMERIC)
        return is_integer(from.type) ||
               (from.type == T_NUMERIC && scale_of(from.typmod) <= scale_of(to.typmod));
    if (is_integer(to.type))
        return is_integer(from.type) || (from.type == T_NUMERIC && scale_of(from.typmod) == 0);
    return (from.type == to.type && (by_hand ? to.typmod < 0 : from.typmod == to.typmod)) ||
           (from.type == T_FLOAT4 && to.type == T_FLOAT8) ||
           (from.type == T_DATE && to.type == T_TIMESTAMP);
}

static bool is_of_texts(const struct cat_column *c)
{
    return c && (c->base == T_TEXT || c->base == T_VARCHAR);
}

/* The column whose values the expression of a target keeps apart; NULL: none. */
static const struct cat_column *kept_of(struct proof *p, const struct cat_relation *r,
                                        const struct pair *target, bool nulls_too)
{
    const struct cat_column *to = cat_column(r, target->key.s);
    struct column_expr e;

    if (!to || !expr_of_column(p->scratch, target->value.s, &e))
        return NULL;
    const struct cat_column *from = cat_column(r, e.column);
    if (!from || (nulls_too && e.makes_null) ||
        (to->collation && (!from->collation || strcmp(from->collation, to->collation) != 0)))
        return NULL;
    /* Added to, numbers of another order of size are one, and so are days at the ends of months. */
    if (!is_integer(from->base) && from->base != T_NUMERIC && !is_of_texts(from) &&
        strpbrk(target->value.s, "+-"))
        return NULL;
    struct kind now = {from->base, from->typmod};
    for (int i = 0; i < e.n_casts; i++) {
        struct kind next = {type_of(e.casts[i].type), e.casts[i].typmod};
        if (!keeps_apart(now, next, true))
            return NULL;
        now = next;
    }
    return keeps_apart(now, (struct kind) {to->base, to->typmod}, false) ? from : NULL;
}

static const char *lowered(char *word)
{
    for (char *c = word; *c; c++)
        *c = (char) tolower((unsigned char) *c);
    return word;
}

/* Is what an expression makes stored as it is made? */
static bool is_stored_as_made(struct proof *p, const struct cat_relation *r,
                              const struct pair *target)
{
    const struct cat_column *to = cat_column(r, target->key.s);
    struct column_expr e;

    if (!to || expr_of_column(p->scratch, target->value.s, &e))
        return to && kept_of(p, r, target, false);
    return to->typmod < 0 ? to->category != 'S' || to->base == T_TEXT || to->base == T_VARCHAR
                          : to->base == T_VARCHAR;
}

/* ---- definitions, compared ------------------------------------------------------------------------------------ */

static size_t quoted_length(const char *s)
{
    size_t n = 1;

    for (; s[n] && (s[n] != *s || s[n + 1] == *s); n++)
        n += s[n] == *s;
    return s[n] ? n + 1 : n;
}

static size_t word_length(const char *s)
{
    size_t n = 0;

    while (isalnum((unsigned char) s[n]) || s[n] == '_' || (n > 0 && s[n] == '$'))
        n++;
    return n;
}

/* The ")" of the "(" that s begins with; NULL: it has none. */
static const char *end_of_pair(const char *s)
{
    int depth = 0;

    for (; *s; s += *s == '\'' || *s == '"' ? quoted_length(s) : 1) {
        depth += *s == '(' ? 1 : *s == ')' ? -1 : 0;
        if (depth == 0)
            return s;
    }
    return NULL;
}

/* "((x))" is "(x)". */
static void drop_double_pairs(char *text)
{
    for (char *s = text; *s;) {
        const char *outer = *s == '(' && s[1] == '(' ? end_of_pair(s) : NULL;
        const char *inner = outer ? end_of_pair(s + 1) : NULL;

        if (inner && inner + 1 == outer) {
            size_t at = (size_t) (inner - text);
            memmove(text + at, text + at + 1, strlen(text + at));
            memmove(s, s + 1, strlen(s));
        } else {
            s += *s == '\'' || *s == '"' ? quoted_length(s) : 1;
        }
    }
}

/* One word, or the call of a function: nothing that needs parentheses around it. */
static bool stands_alone(const char *text)
{
    size_t n = *text == '"' ? quoted_length(text) : word_length(text);
    const char *end = n > 0 && text[n] == '(' ? end_of_pair(text + n) : NULL;

    return n > 0 && (!text[n] || (end && !end[1]));
}

struct plain {
    struct proof *p;
    int state;
    const struct cat_relation *r;
    bool put_in; /* what triggers write, for the columns of the new side */
    struct str text;
    bool is_text; /* what was put last is one already: ::text behind it says nothing */
};

static const char *plain_of(struct proof *p, int state, const struct cat_relation *r,
                            const char *definition, bool put_in);

/* word: as the catalogue has it. */
static void put_word(struct plain *out, const char *word, bool is_quoted)
{
    const struct plan *plan = NULL;
    const struct pair *pair =
        out->put_in ? sync_writes(out->p, out->state, out->r, word, &plan) : NULL;
    const char *value = pair ? plain_of(out->p, out->state, out->r, pair->value.s, false) : NULL;

    out->is_text = is_of_texts(cat_column(out->r, word));
    if (pair && !is_stored_as_made(out->p, out->r, pair))
        str_add(&out->text, "?"); /* like nothing else */
    else if (pair)
        str_addf(&out->text, stands_alone(value) ? "%s" : "(%s)", value);
    else if (is_quoted && word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_")])
        str_addf(&out->text, "\"%s\"", word);
    else
        str_add(&out->text, word);
}

/* A name in quotes without them. */
static char *unquoted(struct arena *a, const char *s, size_t n)
{
    AUTO(str) name = {0};

    for (size_t i = 1; i + 1 < n; i++) {
        str_addc(&name, s[i]);
        i += s[i] == '"';
    }
    return arena_strdup(a, str_text(&name));
}

/* What there is at s besides blanks; how long it is. */
static size_t put_one(struct plain *out, const char *s)
{
    static const char cast[] = "::text";
    size_t n = *s == '"' ? quoted_length(s) : word_length(s);

    if (n > 0) {
        const char *word = *s == '"' ? unquoted(out->p->scratch, s, n)
                                     : lowered(arena_strndup(out->p->scratch, s, n));
        if (s[n] == '.' && strcmp(word, out->r->name) == 0)
            return n + 1;
        put_word(out, word, *s == '"');
        return n;
    }
    n = strlen(cast);
    if (out->is_text && strncmp(s, cast, n) == 0 && word_length(s + n) == 0)
        return n;
    n = *s == '\'' ? quoted_length(s) : 1;
    str_addn(&out->text, s, n);
    out->is_text = *s == '\'' || (*s == ')' && out->is_text);
    return n;
}

/* A definition with what the trigger writes put in for the columns of the new side, and without what is only spelling. */
static const char *plain_of(struct proof *p, int state, const struct cat_relation *r,
                            const char *definition, bool put_in)
{
    struct plain out = {.p = p, .state = state, .r = r, .put_in = put_in};

    for (const char *s = definition; *s;) {
        size_t blanks = strspn(s, " \t\n"), len = out.text.len;

        s += blanks;
        /* Between words only. */
        if (blanks > 0 && len > 0 && word_length(s) > 0 &&
            word_length(str_text(&out.text) + len - 1) > 0)
            str_addc(&out.text, ' ');
        if (*s)
            s += put_one(&out, s);
    }
    char *text = arena_strdup(p->scratch, str_text(&out.text));
    str_free(&out.text);
    drop_double_pairs(text);
    return text;
}

static const char *constraint_of(const struct cat_relation *r, const struct cat_index *index)
{
    for (int i = 0; i < r->n_constraints; i++)
        if (strchr("pux", r->constraints[i].type) &&
            strcmp(r->constraints[i].name, index->name) == 0)
            return r->constraints[i].definition;
    return NULL;
}

/* What can't be told by columns: expressions, conditions, exclusions. Behind the table's name. */
static const char *body_of(const struct cat_relation *r, const struct cat_index *index)
{
    const char *constraint = index->is_unique ? NULL : constraint_of(r, index);
    const char *using = strstr(index->definition, " USING ");

    return constraint ? constraint : using ? using : index->definition;
}

bool takes_nulls_alike(const struct cat_index *index)
{
    return strstr(index->definition, "NULLS NOT DISTINCT") != NULL;
}

/* Has the index a way to compare that isn't the column's own? */
static bool compares_its_own_way(const struct cat_index *index)
{
    return strstr(index->definition, " COLLATE ") != NULL;
}

/* Each column of the old index is one of the new one, or what one of the new one is made of and keeps apart. */
static bool is_within(struct proof *p, int state, const struct cat_relation *r,
                      const struct cat_index *old, const struct cat_index *index)
{
    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];
        const struct plan *plan = NULL;
        bool found = false;

        if (!index_has_column(old, c->number))
            continue;
        if (sync_writes(p, state, r, c->name, &plan))
            return false;
        found = index_has_column(index, c->number);
        for (int k = 0; !found && k < r->n_columns; k++) {
            const struct pair *target = index_has_column(index, r->columns[k].number)
                                            ? sync_writes(p, state, r, r->columns[k].name, &plan)
                                            : NULL;
            found = target && kept_of(p, r, target, takes_nulls_alike(index)) == c;
        }
        if (!found)
            return false;
    }
    return true;
}

static bool waits(const struct cat_relation *r, const struct cat_index *index)
{
    const char *constraint = constraint_of(r, index);

    return constraint && strstr(constraint, "DEFERRABLE");
}

bool sync_is_implied(struct proof *p, int state, const struct cat_relation *r,
                     const struct cat_index *index)
{
    const char *body = plain_of(p, state, r, body_of(r, index), true);

    for (int i = 0; i < r->n_indexes; i++) {
        const struct cat_index *old = &r->indexes[i];

        if (old == index || !old->is_valid || old->is_unique != index->is_unique ||
            (waits(r, old) && !waits(r, index)))
            continue;
        if (strcmp(plain_of(p, state, r, body_of(r, old), false), body) == 0)
            return true;
        if (old->is_unique && !old->is_partial && !index_has_column(old, 0) &&
            !compares_its_own_way(index) && (takes_nulls_alike(old) || !takes_nulls_alike(index)) &&
            is_within(p, state, r, old, index))
            return true;
    }
    return false;
}

/* ---- whose fault it is ----------------------------------------------------------------------------------------- */

int sync_culprit(const struct proof *p, int state, const struct cat_relation *r,
                 const struct plan *plan, const char *thing)
{
    int found = state;

    for (int s = state; s > 0; s = p->t.states[s].from) {
        const struct task *t = p->t.states[s].by == STATE_TASK ? p->t.states[s].task : NULL;

        for (int i = 0; t && t->step && i < t->step->n_stmts; i++) {
            const struct sql_stmt *stmt = &t->step->stmts[i];
            bool names = false;

            if (!stmt->table || strcmp(stmt->table, r->name) != 0)
                continue;
            if (thing && has_name(stmt->sql, thing))
                return s;
            for (int k = 0; k < plan->sync.forward.n; k++)
                names |= has_name(stmt->sql, plan->sync.forward.items[k].key.s);
            found = names && found == state ? s : found;
        }
    }
    return found;
}
