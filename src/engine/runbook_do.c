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

/* What the WAL can be replayed up to: the newest restore point, else the newest snapshot's moment. */
static const char *write_target(struct page *g)
{
    const struct runbook_facts *f = g->f;

    for (int i = 0; i < f->n_points; i++) {
        const struct restore_point *p = &f->points[i];
        const char *archive =
            p->archived_at_ms
                ? arena_printf(g->a, "%s is in the archive", p->segment)
                : arena_printf(g->a, "%s isn't known to be in the archive%s%s", p->segment,
                               p->why_not ? ": " : "", p->why_not ? p->why_not : "");
        document_bullet(&g->d, "restore point %s at %s on timeline %lld, set before %s, %s; %s",
                        p->name, p->lsn, (long long) p->timeline, p->phase, page_when(g, p->at_ms),
                        archive);
    }
    if (f->n_points)
        return arena_printf(g->a, "%s --target-exclusive --target-timeline=%lld",
                            f->points[f->n_points - 1].lsn,
                            (long long) f->points[f->n_points - 1].timeline);
    const char *lsn = NULL;
    for (int i = 0; i < f->n_snapshots; i++)
        lsn = f->snapshots[i].lsn ? f->snapshots[i].lsn : lsn;
    if (!lsn)
        document_paragraph(&g->d, "%s",
                           f->readable ? "No restore point and no snapshot is known, so there is "
                                         "no WAL position to go to yet."
                                       : "The WAL position to go to is not readable.");
    return lsn;
}

static const char *pgbackrest_of(struct page *g)
{
    const struct environment *env = g->e->env;
    AUTO(str) line = {0};

    shell_word(&line, env->backup_program.s ? env->backup_program.s : "pgbackrest");
    str_add(&line, " --stanza=");
    shell_word(&line, env->backup_stanza.s);
    if (env->backup_config.s) {
        str_add(&line, " --config=");
        shell_word(&line, env->backup_config.s);
    }
    return arena_strdup(g->a, str_text(&line));
}

/* What was restored is a server like any other, but for its name: nobody but this machine is to find it. */
/* As a keyword of a connection string within double quotes of a shell; NULL: it would need more quotes. */
static const char *plain_variable(const struct page *g, const char *name)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

    for (int i = 0; g->e->db_variables && g->e->db_variables[i]; i++) {
        const char *v = g->e->db_variables[i];
        size_t n = strlen(name);

        if (strncmp(v, name, n) == 0 && v[n] == '=' && v[n + 1] &&
            strspn(v + n + 1, safe) == strlen(v + n + 1))
            return v + n + 1;
    }
    return NULL;
}

/* Of one moment and verified like any other; from there on it is compared and brought back by key. */
static void write_aside(struct page *g)
{
    const char *db = plain_variable(g, "PGDATABASE"), *user = plain_variable(g, "PGUSER");

    if (!page_has_contract(g->p))
        return;
    titled(g, "What it holds of what the plan destroys, as a snapshot; it says its name",
           page_say(g, "snapshot %s --side \"host=$SIDE dbname=%s%s%s\"", g->id,
                    db ? db : "${DATABASE:?}", user ? " user=" : "", user ? user : ""));
    titled(g,
           "What would come back, what has changed since and what is gone; the column or table has "
           "to be there again",
           page_say(g, "restore %s --from \"${SNAPSHOT:?its name}\" --dry-run", g->id));
    titled(g, "Back by key; nothing that was written since is overwritten",
           page_say(g, "restore %s --from \"$SNAPSHOT\"", g->id));
}

static void write_start(struct page *g)
{
    document_paragraph(
        &g->d,
        "The commands are for the server's own account, with its version's programs in PATH. Where "
        "postgresql.conf isn't in the data folder, name it to pg_ctl: -o \"-c config_file=...\".");
    titled(g, "Start it; it is found by its socket in that folder only",
           "pg_ctl -D \"$SIDE\" -l \"$SIDE/log\" -w -t 3600 -o \"-c listen_addresses='' "
           "-c unix_socket_directories='$SIDE'\" start");
    titled(g, "Is it there, and how far; f: it may be read and compared",
           "psql -h \"$SIDE\" -d postgres -At -c \"SELECT pg_is_in_recovery(), "
           "pg_last_wal_replay_lsn()\"");
    write_aside(g);
    titled(g, "When the rows are back", "pg_ctl -D \"$SIDE\" -w stop");
}

static void write_pitr(struct page *g)
{
    const char *stanza = g->e->env->backup_stanza.s;

    document_heading(&g->d, 3, "From the backup, aside");
    document_paragraph(
        &g->d,
        "Never over the live server: every other write since then would be lost. Restore aside, "
        "compare, bring rows back by key.");
    const char *target = write_target(g);
    if (!stanza) {
        document_paragraph(
            &g->d,
            "The environment names no backup (backup.pgbackrest in the project's file), so there "
            "is no command to print.");
        return;
    }
    titled(g, "Is there a backup, and from when", arena_printf(g->a, "%s info", pgbackrest_of(g)));
    if (!target)
        return;
    titled(g, "Into an empty folder with room for the whole server, up to that moment",
           arena_printf(g->a,
                        "%s --pg1-path=\"${SIDE:?an empty folder}\" "
                        "--archive-mode=off --type=lsn --target=%s --target-action=promote restore",
                        pgbackrest_of(g), target));
    write_start(g);
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
    for (int i = 0; i < g->f->status.touches.n; i++)
        document_bullet(&g->d, "%s", touch_text(g->a, &g->f->status.touches.items[i]));
    if (g->f->status.touches.unseen)
        document_bullet(&g->d, "Who reads what is hidden can't be seen, or not all of it: %s",
                        g->f->status.touches.unseen);
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
