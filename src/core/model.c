#include "phasegate/model.h"
#include "phasegate/names.h"

#include <string.h>

bool text_list_has(const struct text_list *l, const char *s)
{
    for (int i = 0; i < l->n; i++)
        if (s && l->items[i].s && strcmp(l->items[i].s, s) == 0)
            return true;
    return false;
}

#define COUNT(a) ((int) (sizeof(a) / sizeof *(a)))

/* ---- words ---------------------------------------------------------------------------------------- */

static const char *word_at(const char *const *words, int n, int i)
{
    return i >= 0 && i < n ? words[i] : "?";
}

static const char *const phase_names[] = {"none", "expand", "dual_read", "write_activation",
                                          "contract"};

const char *phase_word(enum phase p) { return word_at(phase_names, COUNT(phase_names), (int) p); }

enum phase phase_from_word(const char *s)
{
    for (int p = PHASE_FIRST; s && p <= PHASE_LAST; p++)
        if (strcmp(s, phase_names[p]) == 0)
            return (enum phase) p;
    return PHASE_NONE;
}

const char *sql_class_word(enum sql_class c)
{
    static const char *const words[] = {"additive", "restrictive", "destructive", "data",
                                        "unknown"};
    return word_at(words, COUNT(words), (int) c);
}

const char *lock_mode_word(enum lock_mode m)
{
    static const char *const words[] = {
        "none",  "ACCESS SHARE",        "ROW SHARE", "ROW EXCLUSIVE",    "SHARE UPDATE EXCLUSIVE",
        "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
    };
    return word_at(words, COUNT(words), (int) m);
}

const char *gate_kind_word(enum gate_kind k)
{
    static const char *const words[] = {"http",     "sql", "prometheus", "command", "sessions",
                                        "approval", "lag", "rehearsal",  "backup"};
    return word_at(words, COUNT(words), (int) k);
}

const char *flag_role_word(enum flag_role r)
{
    static const char *const words[] = {"read", "write"};
    return word_at(words, COUNT(words), (int) r);
}

const char *sync_by_word(enum sync_by s)
{
    static const char *const words[] = {"none", "trigger", "cohort", "application"};
    return word_at(words, COUNT(words), (int) s);
}

/* ---- finding -------------------------------------------------------------------------------------- */

const struct spared *plan_find_spared(const struct plan_set *set, const char *id)
{
    for (int i = 0; i < set->n_spared; i++)
        if (strcmp(set->spared[i].id, id) == 0)
            return &set->spared[i];
    return NULL;
}

const struct plan *plan_find(const struct plan_set *set, const char *id)
{
    if (!id)
        return NULL;
    if (!set->by_id) {
        for (int i = 0; i < set->n_plans; i++)
            if (set->plans[i].id.s && strcmp(set->plans[i].id.s, id) == 0)
                return &set->plans[i];
        return NULL;
    }
    for (int low = 0, high = set->n_plans; low < high;) {
        int middle = low + (high - low) / 2;
        const char *there = set->by_id[middle]->id.s;
        int c = there ? strcmp(id, there) : 1;

        if (c == 0)
            return set->by_id[middle];
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct gate *plan_gate(const struct plan *p, const char *name)
{
    for (int i = 0; name && i < p->n_gates; i++)
        if (p->gates[i].name.s && strcmp(p->gates[i].name.s, name) == 0)
            return &p->gates[i];
    return NULL;
}

const struct environment *project_environment(const struct project *p, const char *name)
{
    for (int i = 0; name && i < p->n_environments; i++)
        if (p->environments[i].name.s && strcmp(p->environments[i].name.s, name) == 0)
            return &p->environments[i];
    return NULL;
}

int project_release_index(const struct project *p, const char *version)
{
    for (int i = 0; version && i < p->n_releases; i++)
        if (p->releases[i].version.s && strcmp(p->releases[i].version.s, version) == 0)
            return i;
    return -1;
}

/* ---- releases ------------------------------------------------------------------------------------- */

static size_t number_length(const char *s) { return strspn(s, "0123456789"); }

/* Two runs of digits of any length, by value. */
static int compare_digits(const char *a, size_t n, const char *b, size_t m)
{
    for (; n > 0 && *a == '0'; n--)
        a++;
    for (; m > 0 && *b == '0'; m--)
        b++;
    if (n != m)
        return n < m ? -1 : 1;
    int c = memcmp(a, b, n);
    return (c > 0) - (c < 0);
}

static int compare_versions(const char *a, const char *b)
{
    const char *x = a, *y = b;

    for (;;) {
        size_t n = number_length(x), m = number_length(y);
        if (n == 0 || m == 0)
            break;
        int c = compare_digits(x, n, y, m);
        if (c != 0)
            return c;
        x += n;
        y += m;
        if (*x != '.' || *y != '.')
            break;
        x++;
        y++;
    }
    /* What isn't numbers any more has no order but that of text; who needs another one lists it. */
    int c = strcmp(x, y);
    if (c == 0)
        c = strcmp(a, b);
    return (c > 0) - (c < 0);
}

int release_compare(const struct project *p, const char *a, const char *b)
{
    int i = project_release_index(p, a), j = project_release_index(p, b);

    if (i >= 0 && j >= 0)
        return (i > j) - (i < j);
    if (i >= 0 || j >= 0)
        return i >= 0 ? -1 : 1;
    return compare_versions(a, b);
}

/* "2.1.0" by "2.1". */
static bool is_begun_by(const char *whole, const char *part)
{
    size_t n = strlen(part);

    return strncmp(whole, part, n) == 0 && whole[n] == '.';
}

bool release_is_known(const struct plan_set *s, struct arena *a, const char *version,
                      const char **near)
{
    const struct project *prj = &s->project;
    const char **words =
        arena_array(a, const char *, prj->n_releases + s->n_plans * PHASE_SLOTS + 1);
    int n = 0;

    for (int i = 0; i < prj->n_releases; i++)
        words[n++] = prj->releases[i].version.s;
    for (int i = 0; i < s->n_plans; i++)
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
            if (s->plans[i].phases[ph].release.s)
                words[n++] = s->plans[i].phases[ph].release.s;
    *near = NULL;
    for (int i = 0; i < n; i++)
        if (strcmp(words[i], version) == 0)
            return true;
    *near = name_nearest(version, words);
    for (int i = 0; i < n && !*near; i++)
        if (is_begun_by(words[i], version) || is_begun_by(version, words[i]))
            *near = words[i];
    return n == 0;
}

/* ---- policy --------------------------------------------------------------------------------------- */

static int64_t stated(const struct environment *e, const struct project *p, size_t offset,
                      int64_t otherwise)
{
    int64_t v =
        e ? *(const int64_t *) (const void *) ((const char *) &e->policy + offset) : MODEL_UNSET;

    if (v == MODEL_UNSET)
        v = *(const int64_t *) (const void *) ((const char *) &p->policy + offset);
    return v == MODEL_UNSET ? otherwise : v;
}

const char *proof_policy_word(enum proof_policy p)
{
    static const char *const words[] = {[PROOF_UNSET] = "",
                                        [PROOF_AUTO] = "auto",
                                        [PROOF_REQUIRED] = "required",
                                        [PROOF_OFF] = "off"};

    return words[p];
}

const char *preflight_policy_word(enum preflight_policy p)
{
    static const char *const words[] = {
        [PREFLIGHT_UNSET] = "", [PREFLIGHT_REQUIRED] = "required", [PREFLIGHT_OFF] = "off"};

    return words[p];
}

const char *snapshot_policy_word(enum snapshot_policy p)
{
    static const char *const words[] = {
        [SNAPSHOT_UNSET] = "", [SNAPSHOT_REQUIRED] = "required", [SNAPSHOT_OFF] = "off"};

    return words[p];
}

const char *failure_policy_word(enum failure_policy p)
{
    static const char *const words[] = {
        [FAILURE_UNSET] = "", [FAILURE_STOP] = "stop", [FAILURE_UNDO] = "undo"};

    return words[p];
}

const char *point_policy_word(enum point_policy p)
{
    static const char *const words[] = {[POINT_UNSET] = "",
                                        [POINT_AUTO] = "auto",
                                        [POINT_REQUIRED] = "required",
                                        [POINT_OFF] = "off"};

    return words[p];
}

static void effective_words(struct policy *out, const struct policy *env)
{
    if (env && env->snapshot != SNAPSHOT_UNSET)
        out->snapshot = env->snapshot;
    if (out->snapshot == SNAPSHOT_UNSET)
        out->snapshot = SNAPSHOT_REQUIRED;
    if (env && env->on_failure != FAILURE_UNSET)
        out->on_failure = env->on_failure;
    if (out->on_failure == FAILURE_UNSET)
        out->on_failure = FAILURE_STOP;
    if (env && env->restore_point != POINT_UNSET)
        out->restore_point = env->restore_point;
    if (out->restore_point == POINT_UNSET)
        out->restore_point = POINT_AUTO;
}

struct policy policy_effective(const struct project *p, const struct environment *e)
{
    bool is_production = e && e->name.s && strcmp(e->name.s, "production") == 0;
    struct policy out = p->policy;
    const struct {
        size_t offset;
        int64_t otherwise;
    } numbers[] = {
        {offsetof(struct policy, one_phase_per_release), 1},
        {offsetof(struct policy, window), 1},
        {offsetof(struct policy, forward_only), is_production},
        {offsetof(struct policy, kill_drill_ms), 0},
        {offsetof(struct policy, rehearsal_max_age_ms), 0},
        {offsetof(struct policy, hold_ms), INT64_C(24) * 3600 * 1000},
        {offsetof(struct policy, lock_timeout_ms), 500},
        {offsetof(struct policy, statement_timeout_ms), 30000},
        {offsetof(struct policy, archive_timeout_ms), 60000},
        {offsetof(struct policy, approvals[PHASE_EXPAND]), 0},
        {offsetof(struct policy, approvals[PHASE_DUAL_READ]), 0},
        {offsetof(struct policy, approvals[PHASE_WRITE_ACTIVATION]), 0},
        {offsetof(struct policy, approvals[PHASE_CONTRACT]), 0},
        {offsetof(struct policy, approvals_purge), 0},
    };

    for (int i = 0; i < COUNT(numbers); i++)
        *(int64_t *) (void *) ((char *) &out + numbers[i].offset) =
            stated(e, p, numbers[i].offset, numbers[i].otherwise);
    out.approvals[PHASE_NONE] = 0;
    for (int i = 0; e && i < PHASE_SLOTS; i++) {
        int64_t stated_here = i ? e->policy.approvals[i] : e->policy.approvals_purge;
        if (stated_here != MODEL_UNSET)
            out.approvals_by_role[i] = e->policy.approvals_by_role[i];
    }
    if (e && e->policy.approvers.n > 0)
        out.approvers = e->policy.approvers;
    if (e && e->policy.tokens.n > 0)
        out.tokens = e->policy.tokens;
    if (e && e->policy.rules.n > 0)
        out.rules = e->policy.rules;
    if (e && e->policy.proof != PROOF_UNSET)
        out.proof = e->policy.proof;
    if (out.proof == PROOF_UNSET)
        out.proof = PROOF_AUTO;
    if (e && e->policy.preflight != PREFLIGHT_UNSET)
        out.preflight = e->policy.preflight;
    if (out.preflight == PREFLIGHT_UNSET)
        out.preflight = PREFLIGHT_REQUIRED;
    effective_words(&out, e ? &e->policy : NULL);
    if (e && e->policy.maintenance_window.s)
        out.maintenance_window = e->policy.maintenance_window;
    return out;
}
