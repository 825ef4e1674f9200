#include "load/canon.h"
#include "load/loader.h"
#include "load/tables.h"

#include <stdlib.h>
#include <string.h>

void hasher_init(struct hasher *h)
{
    h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->ctx = EVP_MD_CTX_new();
    if (!h->md || !h->ctx)
        abort();
    h->canon.ceiling = (size_t) 64 << 20;
}

void hasher_free(struct hasher *h)
{
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    str_free(&h->canon);
}

static void hasher_hex(struct hasher *h, const void *bytes, size_t n, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[32];

    if (!EVP_DigestInit_ex2(h->ctx, h->md, NULL) || !EVP_DigestUpdate(h->ctx, bytes, n) ||
        !EVP_DigestFinal_ex(h->ctx, digest, NULL))
        abort();
    for (int i = 0; i < 32; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[64] = '\0';
}

void sha256_hex(const void *bytes, size_t n, char out[65])
{
    AUTO(hasher) h = {0};

    hasher_init(&h);
    hasher_hex(&h, bytes, n, out);
}

/* Of what was gathered, which is then forgotten. */
static const char *checksum_take(struct arena *a, struct hasher *h)
{
    char hex[65];

    hasher_hex(h, h->canon.text, h->canon.len, hex);
    h->canon.len = 0;
    return arena_strndup(a, hex, 64);
}

static void add_gates(struct str *canon, const struct plan *p, const struct text_list *names)
{
    for (int i = 0; i < names->n; i++) {
        const struct gate *gate = names->items[i].s ? plan_gate(p, names->items[i].s) : NULL;
        if (gate) {
            canon_add_text(canon, "gate", names->items[i].s);
            canon_add(canon, &gate_table, gate, false);
        }
    }
}

/* What decides what the phase does; not title, author, runbook and the other phases. */
static void add_phase(struct str *canon, const struct plan *p, enum phase phase)
{
    const struct phase_plan *pp = &p->phases[phase];

    canon_add_text(canon, "plan", p->id.s);
    canon_add_text(canon, "phase", phase_word(phase));
    canon_add_text(canon, "database", p->database.s);
    canon_add(canon, &flags_table, p, false);
    canon_add_text(canon, "part", "sync");
    canon_add(canon, &sync_table, &p->sync, false);
    canon_add_text(canon, "part", "phase");
    canon_add(canon, &phase_tables[phase], pp, false);
    add_gates(canon, p, &pp->gates);
    /* Who approves a phase approves what is mended for it. */
    for (int i = 0; i < p->data_checks.n && pp->present; i++)
        if (p->data_checks.items[i].fix.s)
            canon_add(canon, &data_check_table, &p->data_checks.items[i], false);
}

static void step_checksums(struct arena *a, struct hasher *h, struct step_list *steps)
{
    for (int i = 0; i < steps->n; i++) {
        canon_add(&h->canon, &step_table, &steps->items[i], true);
        steps->items[i].checksum = checksum_take(a, h);
    }
}

/* What people sign, and what a recorded value belongs to: an item that reads otherwise is another one. */
static void item_checksums(struct arena *a, struct hasher *h, struct plan *p)
{
    for (int i = 0; i < p->n_validation; i++) {
        struct validation *v = &p->validation[i];
        const struct gate *gate = v->gate.s ? plan_gate(p, v->gate.s) : NULL;

        canon_add(&h->canon, &validation_table, v, false);
        if (gate)
            canon_add(&h->canon, &gate_table, gate, false);
        v->checksum = checksum_take(a, h);
    }
    for (int i = 0; i < p->n_validation; i++)
        canon_add_text(&h->canon, "item", p->validation[i].checksum);
    p->validation_checksum = checksum_take(a, h);
    for (int i = 0; i < p->runbook.n_go + p->runbook.n_no_go; i++) {
        struct criterion *c =
            i < p->runbook.n_go ? &p->runbook.go[i] : &p->runbook.no_go[i - p->runbook.n_go];

        canon_add(&h->canon, &criterion_table, c, false);
        c->checksum = checksum_take(a, h);
    }
}

void plan_checksums_by(struct hasher *h, struct arena *a, struct plan *p)
{
    for (int i = 0; i < p->data_checks.n; i++) {
        struct check *k = &p->data_checks.items[i];

        canon_add(&h->canon, &data_check_table, k, false);
        k->checksum = checksum_take(a, h);
    }
    for (enum phase phase = PHASE_FIRST; phase <= PHASE_LAST; phase++) {
        step_checksums(a, h, &p->phases[phase].steps);
        step_checksums(a, h, &p->phases[phase].finish);
        add_phase(&h->canon, p, phase);
        p->phase_checksum[phase] = checksum_take(a, h);
    }
    item_checksums(a, h, p);
    canon_add(&h->canon, &plan_table, p, false);
    for (enum phase phase = PHASE_FIRST; phase <= PHASE_LAST; phase++)
        canon_add_text(&h->canon, phase_word(phase), p->phase_checksum[phase]);
    p->checksum = checksum_take(a, h);
}

void plan_checksums(struct arena *a, struct plan *p)
{
    AUTO(hasher) h = {0};

    hasher_init(&h);
    plan_checksums_by(&h, a, p);
}
