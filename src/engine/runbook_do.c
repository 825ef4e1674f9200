/* The parts of a runbook that are typed: a first command for each symptom, commands, and what brings data back. */
#include "runbook_page.h"

/* ---- symptoms -------------------------------------------------------------------------------- */

static void symptom(struct page *g, const char *see, const char *first, const char *then,
                    const char *more)
{
    document_heading(&g->d, 3, see);
    page_command(g, first);
    document_paragraph(&g->d, "%s More: %s.", then,
                       page_code(g, arena_printf(g->a, "runbooks/%s.md", more)));
}

static void write_flag_symptoms(struct page *g)
{
    symptom(g, "Errors or slow requests since a rung",
            page_say(g, "kill %s --because 'errors since the rollout'", g->id),
            "A line off for each flag and exit code 0: done. 5: the same again with --watch. 3: "
            "the flag service "
            "didn't get it, see below. No data is lost by it.",
            "kill");
    symptom(g, "The flag service is down", page_say(g, "kill %s --wait 5s", g->id),
            "NOT SENT and exit code 3: the same again until it answers. A kill file, where there "
            "is one, works by "
            "itself. Else roll the application back to the release before the rollout.",
            "flag-service-down");
    symptom(g, "A flag is in doubt, or stands where nobody left it", page_say(g, "flags reconcile"),
            "Each difference with who made it. A kill goes before everything else; what is higher "
            "than it was left "
            "is put back with flags set.",
            "flag-in-doubt");
}

static void write_run_symptoms(struct page *g)
{
    symptom(g, "Requests queue behind a lock",
            page_say(g, "pause %s --because 'lock queue'", g->id),
            "A run stops at its next safe point, and it never waits for a lock longer than its "
            "lock_timeout. Who "
            "holds what: preflight names the session.",
            "lock-queue");
    symptom(g, "The ledger says halted or paused", page_say(g, "status %s --flags", g->id),
            "It says by whom, since when and why. Once the cause is gone: resume, then the command "
            "that it names.",
            "halted");
    symptom(g, "A run is gone: host rebooted, terminal closed", page_say(g, "doctor"),
            "What is half made, with the command that mends it. The command that was running goes "
            "on where it was.",
            "crashed-run");
    symptom(g, "Somebody edited a step that was applied", page_say(g, "status %s", g->id),
            "Undo the edit, or have it signed with accept.", "edited-step");
    if (!page_has_backfill(g->p))
        return;
    symptom(g, "The backfill stands still", page_say(g, "backfill %s status", g->id),
            "What throttles it, since when, and which rows can't be filled.", "backfill-stuck");
    symptom(g, "Replicas fall behind", page_say(g, "backfill %s pause", g->id),
            "Workers stop after their batch. Then set replica_lag lower, and resume.",
            "replica-lag");
}

void page_write_symptoms(struct page *g)
{
    document_heading(&g->d, 2, "If something is wrong");
    document_paragraph(&g->d, "In doubt the first one. Type the commands in the project's folder.");
    if (page_has_flags(g->p))
        write_flag_symptoms(g);
    symptom(g, "The database is down", page_say(g, "flags list"),
            "Flags don't depend on it: look, and kill. Everything else ends with exit code 3 and "
            "changes nothing; "
            "once the database is back, the same command goes on.",
            "database-down");
    write_run_symptoms(g);
    if (g->p->sync.by != SYNC_NONE || page_has_backfill(g->p))
        symptom(g, "Wrong data is seen in the new shape", page_say(g, "backfill %s verify", g->id),
                "Row by row, and exit code 1 where one is wrong. Take the reads back first: kill.",
                "wrong-data");
    if (page_has_contract(g->p))
        symptom(g, "An application misses what contract has hidden",
                page_say(g, "restore %s --dry-run", g->id),
                "Without --dry-run it is back in one command, until the purge.", "restore");
}

/* ---- commands -------------------------------------------------------------------------------- */

static void titled(struct page *g, const char *title, const char *line)
{
    document_paragraph(&g->d, "%s:", title);
    page_command(g, line);
}

void page_write_commands(struct page *g)
{
    const char *id = g->id;
    const struct plan_status *s = &g->f->status;

    document_heading(&g->d, 2, "Commands");
    if (page_has_flags(g->p)) {
        titled(g, "Flags to safe", page_say(g, "kill %s", id));
        titled(g, "How long a kill takes, flags put back afterwards",
               page_say(g, "kill %s --drill", id));
    }
    titled(g, "Hold still, flags stay", page_say(g, "pause %s", id));
    titled(g, "Go on, once the cause is gone", page_say(g, "resume %s", id));
    titled(g, "Where it stands", page_say(g, "status %s --flags", id));
    titled(g, "What would stand against the next phase", page_say(g, "preflight %s", id));
    if (s->next_phase && s->next_release) {
        titled(g, "What the next phase would do",
               page_say(g, "advance %s --release %s --dry-run", id, s->next_release));
        titled(g, "The next phase", page_say(g, "advance %s --release %s", id, s->next_release));
    }
    titled(g, "What going back one phase would do", page_say(g, "rollback %s --dry-run", id));
    titled(g, "Back one phase", page_say(g, "rollback %s", id));
    titled(g, "Half states and drift", page_say(g, "doctor"));
    titled(g, "The journal, and whether it was tampered with",
           page_say(g, "history %s --verify", id));
}

/* ---- bringing back --------------------------------------------------------------------------- */

static void write_pitr(struct page *g)
{
    const char *stanza = g->e->env->backup_stanza.s, *lsn = NULL;
    AUTO(str) word = {0};

    for (int i = 0; i < g->f->n_snapshots; i++)
        lsn = g->f->snapshots[i].lsn ? g->f->snapshots[i].lsn : lsn;
    document_heading(&g->d, 3, "From the backup, aside");
    if (!stanza) {
        document_paragraph(
            &g->d,
            "The environment names no backup (backup.pgbackrest in the project's file), so there "
            "is "
            "no command to print. Restore the whole server aside to a moment before the purge, "
            "compare, and bring rows back by key. Never restore over the live server: every other "
            "write since then would be lost.");
        return;
    }
    shell_word(&word, stanza);
    document_paragraph(
        &g->d,
        "Never over the live server: every other write since then would be lost. Restore aside, "
        "compare, bring rows back by key.");
    titled(g, "Is there a backup, and from when",
           arena_printf(g->a, "pgbackrest --stanza=%s info", str_text(&word)));
    if (!lsn) {
        document_paragraph(&g->d, "%s",
                           g->f->readable
                               ? "No snapshot is known, so there is no WAL position to go to yet."
                               : "The WAL position to go to is not readable.");
        return;
    }
    titled(
        g,
        "Into an empty folder with room for the whole server, up to the newest snapshot's moment",
        arena_printf(g->a,
                     "pgbackrest --stanza=%s --pg1-path=\"${SIDE:?an empty folder}\" "
                     "--archive-mode=off --type=lsn "
                     "--target=%s --target-action=promote restore",
                     str_text(&word), lsn));
}

static void write_hidden(struct page *g)
{
    if (!page_has_contract(g->p)) {
        document_paragraph(&g->d, "The plan destroys nothing.");
        return;
    }
    document_heading(&g->d, 3, "Until the purge");
    for (int i = 0; i < g->f->n_hidden; i++) {
        const struct soft_drop *h = &g->f->hidden[i];
        document_bullet(&g->d, "%s %s of %s is hidden since %s, until %s at least", h->object_kind,
                        h->original_name, or_none(h->table, "the schema"),
                        page_when(g, h->dropped_at_ms), page_when(g, h->expires_at_ms));
    }
    if (!g->f->readable)
        document_paragraph(&g->d, "What is hidden is not readable.");
    titled(g, "What it would do", page_say(g, "restore %s --dry-run", g->id));
    titled(g, "Back at once, with everything written since", page_say(g, "restore %s", g->id));
    titled(g, "What the purge would destroy", page_say(g, "purge %s --dry-run", g->id));
    titled(g, "For good: the point of no return",
           page_say(g, "purge %s --confirm %s", g->id, g->id));
}

static void write_snapshots(struct page *g)
{
    if (!page_has_contract(g->p))
        return;
    document_heading(&g->d, 3, "After the purge, from a snapshot");
    document_paragraph(&g->d,
                       "The column or table has to be there again first; a plan that compensates "
                       "makes it (%s). Rows "
                       "come back by key, and nothing that was written since is overwritten.",
                       page_code(g, page_say(g, "new undo-%.57s --compensates %s", g->id, g->id)));
    for (int i = 0; i < g->f->n_snapshots; i++) {
        const struct runbook_snapshot *s = &g->f->snapshots[i];
        AUTO(str) name = {0};
        shell_word(&name, s->name);
        titled(g,
               arena_printf(g->a, "%lld rows as of %s", (long long) s->rows,
                            page_when(g, s->taken_at_ms)),
               page_say(g, "restore --from %s %s", str_text(&name), g->id));
    }
    if (!g->f->n_snapshots)
        document_paragraph(&g->d, "%s",
                           !g->f->readable ? "Which snapshots there are is not readable."
                           : g->e->env->snapshots_to.s
                               ? "None was taken yet; the purge takes one."
                               : "None is taken: the environment has no snapshots:.");
}

void page_write_way_back(struct page *g)
{
    document_heading(&g->d, 2, "Bringing back");
    write_hidden(g);
    if (!page_has_contract(g->p))
        return;
    write_snapshots(g);
    write_pitr(g);
}
