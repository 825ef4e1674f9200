/* kill: what kill and its drill share. Private to the engine. */
#ifndef PHASEGATE_ENGINE_KILL_H
#define PHASEGATE_ENGINE_KILL_H

#include "flag_journal.h"
#include "flag_op.h"

struct kill_job { /* one flag in one target */
    struct flag_ref ref;
    struct flag_kill_result *r;
    int role;
    bool by_name, is_file;
    const struct kill_job *plan_first, *plan_next; /* those of one plan; first NULL: of none */
    struct flag_call call;
    struct arena arena; /* of the call */
    struct arena kept;  /* of known and etag */
    struct flag_obs known, before;
    const char *etag;
    /* state */
    bool begun, over, busy, refused;
    bool accepted; /* the newest attempt was answered yes, and nothing since says otherwise */
    bool ever_accepted;
    bool unanswered; /* some attempt's answer never came */
    bool configured_off, seen_off, missing, held_for_good;
    const char *seen_other;
    bool want_look, want_configured, look_again;
    int sends, looks, flips;
    int64_t begun_at, last_send, next_send, next_look, poll_ms, reached_at; /* mono */
    /* somebody else's change in flight */
    bool rival;
    const char *rival_op;
    int64_t rival_ends_ms; /* wall */
};

struct kill {
    struct flag_ops *ops;
    const struct flag_kill_options *o;
    struct arena *a;
    struct flag_kill_report *out;
    struct flag_times t;
    struct flag_pool pool;
    struct kill_job *jobs;
    int n;
    int64_t start, wait_ms;
};

void kill_begin(struct kill *k, struct flag_ops *ops, const struct flag_kill_target *targets, int n,
                const struct flag_kill_options *o, struct arena *a, struct flag_kill_report *out);
/* Finds for each job those of the same plan. */
void kill_chain_plans(struct kill *k);
void kill_journal_intents(struct kill *k);
void kill_run(struct kill *k);
void kill_verdicts(struct kill *k);
void kill_journal_answers(struct kill *k);
void kill_end(struct kill *k);
/* Observe, kill, measure, back to where it was. */
void kill_drill(struct kill *k);

#endif
