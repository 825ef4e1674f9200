/* What is said of a statement that a step makes another of. */
#include "check/changed.h"

#define OTHER_COLUMN                                                                               \
    "put the new values into a column of their own (sync:, backfill:), or let the statement take " \
    "both values in a release before this one, and bind this to a release whose window has no "    \
    "other"

void trial_report_failure(struct trial *t, const struct app_statement *a, const struct asked *s,
                          const struct cat_relation *r, const struct cat_column *c)
{
    struct proof *p = t->p;
    struct finding *f = finding_of_state(
        p, a, world_met(p, a, t->state), t->state, "old-query-fails",
        arena_printf(p->a, "it changes what rows of \"%s\" hold in \"%s\", and then: %s", r->name,
                     c->name, s->after.message),
        OTHER_COLUMN);

    f->probe = "X";
    f->sqlstate = arena_strdup(p->a, s->after.sqlstate);
}

void trial_report_rows(struct trial *t, const struct app_statement *a, bool finds,
                       const struct cat_relation *r, const struct cat_column *c)
{
    struct proof *p = t->p;
    struct finding *f = finding_of_state(
        p, a, world_met(p, a, t->state), t->state, "row-visibility-changed",
        arena_printf(p->a,
                     finds ? "it changes what rows of \"%s\" hold in \"%s\", and the same "
                             "statement with the same values finds other rows than before"
                           : "it changes what rows of \"%s\" hold in \"%s\", which the statement "
                             "hands out",
                     r->name, c->name),
        OTHER_COLUMN);

    f->probe = "X";
    if (!finds)
        f->severity = SEVERITY_WARNING;
}

void trial_report_emptied(struct trial *t, const struct app_statement *a,
                          const struct cat_relation *r)
{
    struct proof *p = t->p;
    struct finding *f = finding_of_state(
        p, a, world_met(p, a, t->state), t->state, "row-visibility-changed",
        arena_printf(p->a,
                     "it takes rows of \"%s\" away, and the same statement with the same values "
                     "gives another answer than before",
                     r->name),
        "let the statement leave such rows out in a release before this one, or bind this to a "
        "release whose window has no other");

    f->probe = "X";
    f->severity = SEVERITY_WARNING; /* that they go is what the step says itself */
}

/* The rows of another table are its own from then on. */
void trial_report_brought(struct trial *t, const struct app_statement *a)
{
    struct proof *p = t->p;
    struct finding *f = finding_of_state(
        p, a, world_met(p, a, t->state), t->state, "row-visibility-changed",
        arena_printf(p->a,
                     "the rows that \"%s\" has become those of the table that the statement names, "
                     "and the same statement with the same values finds other rows than before",
                     t->brought->name),
        "let the statement say which rows it means (ONLY, a condition) in a release before this "
        "one, "
        "or bind this to a release whose window has no other");

    f->probe = "X";
}

/* They are still there, and none of the whole's. */
void trial_report_taken(struct trial *t, const struct app_statement *a)
{
    struct proof *p = t->p;
    struct finding *f = finding_of_state(
        p, a, world_met(p, a, t->state), t->state, "row-visibility-changed",
        arena_printf(
            p->a,
            "rows of \"%s\" are no longer those of the table that the statement names, and "
            "the same statement with the same values finds others than before",
            t->taken->name),
        "let the statement leave such rows out (a condition on the partition's key) in a release "
        "before this one, or bind this to a release whose window has no other");

    f->probe = "X";
}

/* Over what rows; "" as they are. */
static const char *rows_words(struct proof *p, const struct turn *turn)
{
    AUTO(str) words = {0};

    if (!turn)
        return "";
    str_add(&words, ": ");
    if (turn->words)
        str_add(&words, turn->words);
    for (int i = 0; !turn->words && i < turn->n && i < 2; i++) {
        str_addf(&words, i ? ", and \"%s\"" : "where \"%s\" of \"%s\" is", turn->columns[i],
                 turn->r->name);
        str_addf(&words, turn->values[i] ? " '%s'" : " NULL", turn->values[i]);
    }
    if (turn->base)
        str_addf(&words, ", and %s", turn->base->words);
    return arena_strdup(p->a, str_text(&words));
}

void trial_report_type(struct trial *t, const struct app_statement *a, const struct asked *s,
                       const struct turn *turn, bool fewer)
{
    struct proof *p = t->p;
    struct finding *f = finding_of_state(
        p, a, world_met(p, a, t->state), t->state, "session-meaning-changed",
        arena_printf(p->a,
                     "other values are equal by the new type, and the same statement finds %s rows "
                     "than before%s%s",
                     fewer ? "fewer" : "more", s->call ? arena_printf(p->a, ", %s", s->words) : "",
                     rows_words(p, turn)),
        "let the statement itself say what is the same (lower(), a cast on both sides) in a "
        "release "
        "before this one, or make a column of the new type beside it");

    f->probe = "X";
    f->severity = SEVERITY_ERROR; /* it was seen */
}

void trial_report_view(struct trial *t, const struct app_statement *a, const struct asked *s,
                       const struct turn *turn)
{
    struct proof *p = t->p;
    struct finding *f = finding_of_state(
        p, a, world_met(p, a, t->state), t->state,
        t->of_functions ? "function-signature-changed" : "row-visibility-changed",
        arena_printf(p->a, "the same statement gives another answer than before%s",
                     s->call ? arena_printf(p->a, " %s", s->words)
                             : arena_printf(p->a, ", over the same rows%s", rows_words(p, turn))),
        arena_printf(p->a,
                     "leave the %s as it is for live releases, and make one of another name beside "
                     "it",
                     t->of_functions ? "function" : "view"));

    f->probe = "X";
}
