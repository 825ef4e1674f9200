/* app_sim_int: what the files of the simulator share.
 *
 *   app_sim.c           instances: threads, sessions, requests, statistics
 *   app_sim_flags.c     an instance's flag client
 *   app_sim_requests.c  what the shop does: transactions, statements, parameters
 */
#ifndef PHASEGATE_DEMO_APP_SIM_INT_H
#define PHASEGATE_DEMO_APP_SIM_INT_H

#include "demo/app_sim.h"

#include <pthread.h>
#include <stdatomic.h>

int64_t app_now_us(void); /* CLOCK_MONOTONIC */

/* ---- flags of an instance ----------------------------------------------------------------------- */

struct app_flags;
struct app_flags *app_flags_start(const char *url, const char *read_token, int poll_ms);
void app_flags_stop(struct app_flags *f);
/* The flags for this bucket value (accountId and targetingKey), for one request: a change in the middle
 * of a request is for the next one. One thread may ask. */
uint8_t app_flags_view(struct app_flags *f, const char *bucket);
bool app_flags_is_on(struct app_flags *f, uint8_t view, const char *key);
int64_t app_flags_errors(struct app_flags *f);

/* ---- requests -------------------------------------------------------------------------------------- */

enum app_param {
    APP_PARAM_NONE,
    APP_PARAM_CUSTOMER,
    APP_PARAM_ACCOUNT,
    APP_PARAM_AMOUNT,
    APP_PARAM_MINIMUM,
    APP_PARAM_LINE_1,
    APP_PARAM_LINE_2,
    APP_PARAM_PRODUCT,
    APP_PARAM_QUANTITY
};
#define APP_PARAMS 5 /* and one for the end */

struct app_call {
    const char *statement;
    enum app_param params[APP_PARAMS];
    bool must_hit; /* no row: the application gives up the transaction, which is no failure */
};

#define APP_CALLS 5
struct app_transaction {
    const char *name;
    int weight;            /* of 100 */
    enum app_param bucket; /* ACCOUNT or CUSTOMER: whose flags decide */
    struct app_call calls[APP_CALLS];
};
extern const struct app_transaction app_transactions[];
extern const int app_n_transactions;

struct app_dice { /* the random part of one request */
    uint64_t state;
    int customers, accounts;
    int customer, account, amount, quantity;
};
void app_dice_seed(struct app_dice *d, uint64_t seed, int customers, int accounts);
const struct app_transaction *app_dice_roll(struct app_dice *d); /* and new parameters */
void app_param_text(const struct app_dice *d, enum app_param p, struct str *out);
/* Does the release have every statement that the shop runs? */
bool app_release_check(const struct app_release *r, struct err *err);

/* ---- statistics --------------------------------------------------------------------------------------- */

/* 32 steps for each doubling: 3 % wide. */
#define APP_BUCKETS (32 * 32)
int app_bucket(int64_t us);
int64_t app_bucket_us(int bucket);

#endif
