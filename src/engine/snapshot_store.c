/* Where an environment's snapshots lie, by what the project says and, of a bucket, who we are there. */
#include "snapshot.h"

#include <string.h>

/* A variable of the environment; NULL: unset or empty. */
static const char *variable(struct engine *e, const char *name)
{
    const char *value = e->ports->host->ops->env(e->ports->host, name);

    return value && *value ? value : NULL;
}

static bool resolved(struct engine *e, struct arena *a, const struct text *t, const char **out,
                     struct err *err)
{
    *out = NULL;
    return !t->s || text_resolved(e, a, t, out, err) ||
           err_note(err, "snapshots: of environment %s", e->env->name.s);
}

/* The names that every tool of S3 knows. */
static bool bucket(struct engine *e, struct arena *a, const char *location,
                   const struct store **out, struct err *err)
{
    struct store_bucket b = {.location = location,
                             .key = variable(e, "AWS_ACCESS_KEY_ID"),
                             .secret = variable(e, "AWS_SECRET_ACCESS_KEY"),
                             .token = variable(e, "AWS_SESSION_TOKEN"),
                             .ca_file = variable(e, "AWS_CA_BUNDLE")};

    if (!resolved(e, a, &e->env->snapshots_endpoint, &b.endpoint, err) ||
        !resolved(e, a, &e->env->snapshots_region, &b.region, err))
        return false;
    if (!b.region)
        b.region = variable(e, "AWS_REGION");
    if (!b.key || !b.secret) {
        err_set(err, ERR_CONFIG, "snapshots lie in %s, and %s isn't set", location,
                b.key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
        return err_hint(err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment "
                             "of the command");
    }
    return store_bucket(e->ports, a, &b, out, err) ||
           err_note(err, "snapshots: of environment %s", e->env->name.s);
}

bool snapshot_store_at(struct engine *e, struct arena *a, const char *location,
                       const struct store **out, struct err *err)
{
    if (strncmp(location, STORE_BUCKET, strlen(STORE_BUCKET)) == 0)
        return bucket(e, a, location, out, err);
    if (strstr(location, "://")) {
        err_set(err, ERR_CONFIG,
                "snapshots to \"%s\" aren't possible: expected a folder, or "
                "s3://BUCKET/PREFIX",
                location);
        return err_hint(err, "name one that is kept apart from the database's disks");
    }
    *out = store_folder(e->ports, a, location);
    return true;
}

bool snapshot_store_needed(struct engine *e, struct arena *a, const struct store **out,
                           struct err *err)
{
    const struct text *to = &e->env->snapshots_to;
    const char *location;

    if (!to->s) {
        err_set(err, ERR_CONFIG, "%s:%d: environment %s has no snapshots:", e->env->at.file,
                e->env->at.line, e->env->name.s);
        return err_hint(err, "add to it: snapshots: {to: FOLDER, keep: 30d}");
    }
    if (!resolved(e, a, to, &location, err))
        return false;
    size_t len = strlen(location);
    while (len > 1 && location[len - 1] == '/' && location[len - 2] != '/')
        location = arena_strndup(a, location, --len);
    if (location[0] != '/' && !strstr(location, "://"))
        location = arena_printf(a, "%s/%s", e->set->project.root, location);
    return snapshot_store_at(e, a, location, out, err) ||
           err_note(err, "%s:%d:%d", to->at.file, to->at.line, to->at.col);
}
