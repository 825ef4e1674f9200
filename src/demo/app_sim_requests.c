/* app_sim_requests: the shop's business, as a table. A transaction changes one account at most, so the
 * traffic can't deadlock with itself or with a batch over accounts. */
#include "demo/app_sim_int.h"

#include <string.h>

const struct app_transaction app_transactions[] = {
    {"GetBalance", 38, APP_PARAM_ACCOUNT, {{"GetBalance", {APP_PARAM_ACCOUNT}, true}}},
    {"ListAccounts", 15, APP_PARAM_CUSTOMER, {{"ListAccounts", {APP_PARAM_CUSTOMER}}}},
    {"TopAccounts", 2, APP_PARAM_CUSTOMER, {{"TopAccounts", {APP_PARAM_MINIMUM}}}},
    {"ListOrders", 12, APP_PARAM_CUSTOMER, {{"ListOrders", {APP_PARAM_CUSTOMER}}}},
    {"Deposit", 16, APP_PARAM_ACCOUNT, {{"Deposit", {APP_PARAM_ACCOUNT, APP_PARAM_AMOUNT}, true}}},
    {"PlaceOrder",
     14,
     APP_PARAM_ACCOUNT,
     {{"Withdraw", {APP_PARAM_ACCOUNT, APP_PARAM_AMOUNT}, true},
      {"AddOrder", {APP_PARAM_ACCOUNT, APP_PARAM_AMOUNT}, true},
      {"AddItem", {APP_PARAM_LINE_1, APP_PARAM_PRODUCT, APP_PARAM_QUANTITY, APP_PARAM_AMOUNT}},
      {"AddItem", {APP_PARAM_LINE_2, APP_PARAM_PRODUCT, APP_PARAM_QUANTITY, APP_PARAM_AMOUNT}}}},
    {"OpenAccount",
     3,
     APP_PARAM_CUSTOMER,
     {{"OpenAccount", {APP_PARAM_CUSTOMER, APP_PARAM_AMOUNT}, true}}},
};
const int app_n_transactions = sizeof app_transactions / sizeof *app_transactions;

/* Some accounts are asked for again and again: their flags are in the instances' memory when they change. */
enum { HOT_ACCOUNTS = 50, HOT_OF = 3 /* one request of three */ };

/* splitmix64: a few operations, and equal seeds give equal requests on every machine. */
static uint64_t dice_next(struct app_dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int dice_below(struct app_dice *d, int n) { return (int) (dice_next(d) % (uint64_t) n); }

void app_dice_seed(struct app_dice *d, uint64_t seed, int customers, int accounts)
{
    *d = (struct app_dice) {.state = seed, .customers = customers, .accounts = accounts};
}

const struct app_transaction *app_dice_roll(struct app_dice *d)
{
    int total = 0;

    d->customer = 1 + dice_below(d, d->customers);
    bool hot = dice_below(d, HOT_OF) == 0 && d->accounts > HOT_ACCOUNTS;
    d->account = 1 + dice_below(d, hot ? HOT_ACCOUNTS : d->accounts);
    d->amount = 1 + dice_below(d, 500);
    d->quantity = 1 + dice_below(d, 5);
    for (int i = 0; i < app_n_transactions; i++)
        total += app_transactions[i].weight;
    int at = dice_below(d, total);
    for (int i = 0; i < app_n_transactions; i++) {
        at -= app_transactions[i].weight;
        if (at < 0)
            return &app_transactions[i];
    }
    return &app_transactions[0];
}

void app_param_text(const struct app_dice *d, enum app_param p, struct str *out)
{
    static const char *const products[] = {"tea", "cup", "pot", "tin"};
    int number = 0;

    str_clear(out);
    switch (p) {
    case APP_PARAM_PRODUCT: str_add(out, products[d->amount % 4]); return;
    case APP_PARAM_CUSTOMER: number = d->customer; break;
    case APP_PARAM_ACCOUNT: number = d->account; break;
    case APP_PARAM_AMOUNT: number = d->amount; break;
    case APP_PARAM_MINIMUM: number = d->amount * 100; break;
    case APP_PARAM_LINE_1: number = 1; break;
    case APP_PARAM_LINE_2: number = 2; break;
    case APP_PARAM_QUANTITY: number = d->quantity; break;
    case APP_PARAM_NONE: break;
    }
    str_addf(out, "%d", number);
}

static bool has_statement(const struct app_release *r, const char *name)
{
    for (int i = 0; i < r->statements->n; i++)
        if (strcmp(r->statements->items[i].name, name) == 0)
            return true;
    return false;
}

bool app_release_check(const struct app_release *r, struct err *err)
{
    for (int t = 0; t < app_n_transactions; t++)
        for (const struct app_call *c = app_transactions[t].calls; c->statement; c++)
            if (!has_statement(r, c->statement))
                return err_set(err, ERR_INPUT, "release %s has no statement \"%s\"", r->version,
                               c->statement);
    return true;
}

/* ---- histogram ----------------------------------------------------------------------------------------- */

int app_bucket(int64_t us)
{
    if (us < 32)
        return us < 0 ? 0 : (int) us;
    int power = 63 - __builtin_clzll((unsigned long long) us);
    int bucket = (power - 4) * 32 + (int) (us >> (power - 5)) - 32;
    return bucket < APP_BUCKETS ? bucket : APP_BUCKETS - 1;
}

int64_t app_bucket_us(int bucket)
{
    if (bucket < 32)
        return bucket;
    return (int64_t) (bucket % 32 + 32) << (bucket / 32 - 1);
}
