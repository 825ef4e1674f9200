#include "load/canon.h"
#include "load/tables.h"

#include <openssl/sha.h>
#include <string.h>

void sha256_hex(const void *bytes, size_t n, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256(bytes, n, digest);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[64] = '\0';
}

static const char *checksum_of(struct arena *a, struct str *canon)
{
    char hex[65];

    sha256_hex(str_text(canon), canon->len, hex);
    str_clear(canon);
    return arena_strndup(a, hex, 64);
}

static void add_gates(struct str *canon, const struct plan *p, const struct text_list *names)
{
    for (int i = 0; i < names->n; i++) {
        const struct gate *gate = names->items[i].s ? plan_gate(p, names->items[i].s) : NULL;
        if (gate) {
            str_add(canon, "gate{");
            canon_add(canon, &gate_table, gate, false);
            str_addc(canon, '}');
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
    str_add(canon, "sync{");
    canon_add(canon, &sync_table, &p->sync, false);
    str_add(canon, "}{");
    canon_add(canon, &phase_tables[phase], pp, false);
    str_addc(canon, '}');
    add_gates(canon, p, &pp->gates);
}

static void step_checksums(struct arena *a, struct str *canon, struct step_list *steps)
{
    for (int i = 0; i < steps->n; i++) {
        canon_add(canon, &step_table, &steps->items[i], true);
        steps->items[i].checksum = checksum_of(a, canon);
    }
}

void plan_checksums(struct arena *a, struct plan *p)
{
    AUTO(str) canon = {.ceiling = (size_t) 64 << 20};

    for (enum phase phase = PHASE_FIRST; phase <= PHASE_LAST; phase++) {
        step_checksums(a, &canon, &p->phases[phase].steps);
        step_checksums(a, &canon, &p->phases[phase].finish);
        add_phase(&canon, p, phase);
        p->phase_checksum[phase] = checksum_of(a, &canon);
    }
    canon_add(&canon, &plan_table, p, false);
    p->checksum = checksum_of(a, &canon);
}
