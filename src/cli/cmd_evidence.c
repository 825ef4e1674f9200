/* evidence PLAN --out FILE: one bundle of what was done with a plan. --verify FILE: is a bundle what it was? */
#include "cli.h"

#include "phasegate/evidence.h"
#include "phasegate/io.h"

#include <inttypes.h>

static bool check_usage(struct context *c, struct err *err)
{
    bool verifies = opt_has(c, OPT_EVIDENCE_VERIFY);

    if (verifies && (c->line.n_args || opt_has(c, OPT_OUT)))
        err_set(err, ERR_USAGE, "evidence: --verify takes a bundle, and neither PLAN nor --out");
    else if (!verifies && !c->line.n_args)
        err_set(err, ERR_USAGE, "evidence: of which plan?");
    else if (!verifies && !opt_has(c, OPT_OUT))
        err_set(err, ERR_USAGE, "evidence: needs --out FILE");
    else
        return true;
    return err_hint(err, "phasegate evidence PLAN --out FILE.tar, or: phasegate evidence --verify "
                         "FILE.tar");
}

/* What was in force, as `show config` says it: no URL, no token. */
static bool add_settings(struct context *c, struct bundle *to, struct err *err)
{
    struct setting settings[POLICY_SETTINGS];
    int n = policy_settings(c, settings);
    const struct environment *e = c->env;
    struct json_out j;
    AUTO(str) text = {0};

    (void) err;
    json_begin(&j, &text, true);
    json_object_begin(&j, NULL);
    json_object_begin(&j, "policy");
    for (int i = 0; i < n; i++) {
        json_object_begin(&j, settings[i].name);
        json_str(&j, "value", settings[i].value);
        json_str(&j, "from", settings[i].origin);
        json_object_end(&j);
    }
    json_object_end(&j);
    json_str(&j, "flag_provider", e->flags.present ? e->flags.provider.s : NULL);
    json_bool(&j, "kill_file", e->flags.kill_file.s != NULL);
    json_bool(&j, "snapshots", e->snapshots_to.s != NULL);
    json_str(&j, "pgbackrest_stanza", e->backup_stanza.s);
    json_object_end(&j);
    to->files = arena_new(&c->arena, struct bundle_file);
    to->files[0] = (struct bundle_file) {
        "settings.json", arena_strndup(&c->arena, str_text(&text), text.len), text.len};
    to->n = 1;
    return true;
}

static void show_faults(struct context *c, const struct evidence_found *f)
{
    for (int i = 0; i < f->n_faults; i++)
        out_print(&c->out, "%sdiffers%s  %s: %s\n", out_style(&c->out, STYLE_BAD),
                  out_style(&c->out, STYLE_PLAIN), out_clean(&c->arena, f->faults[i].where, false),
                  out_clean(&c->arena, f->faults[i].what, false));
}

static void show_json(struct context *c, const char *file, const struct evidence_found *f)
{
    struct json_out *j = out_json(&c->out);

    json_str(j, "file", file);
    json_str(j, "plan", f->plan);
    json_str(j, "environment", f->environment);
    json_str(j, "as_of", f->as_of);
    json_int(j, "files", f->n_files);
    json_int(j, "journal_rows", f->n_rows);
    json_int(j, "journal_rows_of_the_plan", f->n_own);
    json_str(j, "journal_head", f->head);
    json_str(j, "manifest_sha256", f->manifest_sha256);
    json_array_begin(j, "differs");
    for (int i = 0; i < f->n_faults; i++) {
        json_object_begin(j, NULL);
        json_str(j, "where", f->faults[i].where);
        json_str(j, "what", f->faults[i].what);
        json_object_end(j);
    }
    json_array_end(j);
}

static void show(struct context *c, const char *file, const struct evidence_found *f)
{
    show_faults(c, f);
    out_print(&c->out, "%s: %d files, %d rows of the journal, %d of them of plan %s%s%s\n", file,
              f->n_files, f->n_rows, f->n_own, f->plan ? out_clean(&c->arena, f->plan, false) : "?",
              f->as_of ? ", as of " : "", f->as_of ? out_clean(&c->arena, f->as_of, false) : "");
    out_print(&c->out, "manifest sha256 %s\n", f->manifest_sha256);
    if (out_is_json(&c->out))
        show_json(c, file, f);
    if (f->n_faults)
        c->exit_code = 1;
}

static bool no_bundle(struct err *err, const char *where)
{
    if (!err->hint.len)
        err_hint(err, "phasegate evidence PLAN --out FILE.tar makes one");
    return err_note(err, "%s", where);
}

static bool verify(struct context *c, const char *file, struct err *err)
{
    struct evidence_found found;
    struct bundle b;
    AUTO(str) bytes = {0};

    if (!c->host->ops->read_file(c->host, file, BUNDLE_MAX, &bytes, err))
        return no_bundle(err, "--verify");
    if (!tar_unpack(str_text(&bytes), bytes.len, &c->arena, &b, err) ||
        !evidence_check(&b, &c->arena, &found, err))
        return no_bundle(err, file);
    if (!found.n_faults)
        out_print(&c->out, "%swhole%s: every sum is right and the chain holds\n",
                  out_style(&c->out, STYLE_GOOD), out_style(&c->out, STYLE_PLAIN));
    show(c, file, &found);
    return true;
}

bool cmd_evidence(struct context *c, struct err *err)
{
    const char *file = opt_text(c, OPT_OUT);
    struct evidence_found found;
    struct bundle settings = {0}, b;
    AUTO(str) bytes = {0};
    struct engine *e;

    if (!check_usage(c, err))
        return false;
    if (opt_has(c, OPT_EVIDENCE_VERIFY))
        return verify(c, opt_text(c, OPT_EVIDENCE_VERIFY), err);
    if (!context_engine(c, c->plans[0], &e, err) || !add_settings(c, &settings, err) ||
        !engine_evidence(e, c->plans[0], &settings, &c->arena, &b, err) ||
        !tar_pack(&b, &bytes, err) ||
        !c->host->ops->write_atomic(c->host, file, str_text(&bytes), bytes.len, 0600, err))
        return false;
    /* What was written is what can be checked. */
    if (!evidence_check(&b, &c->arena, &found, err))
        return false;
    show(c, file, &found);
    return true;
}
