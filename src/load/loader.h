/* loader: what plan_set.c shares with plan_parse, so that many plans cost no set-up each. */
#ifndef PHASEGATE_LOAD_LOADER_H
#define PHASEGATE_LOAD_LOADER_H

#include "load/yaml_tree.h"

#include <openssl/evp.h>

struct hasher {
    EVP_MD *md; /* fetched once: a fetch costs more than the digest of a step */
    EVP_MD_CTX *ctx;
    struct str canon; /* what is gathered for the next digest */
};
void hasher_init(struct hasher *h);
void hasher_free(struct hasher *h);
static inline void hasher_auto(struct hasher *h) { hasher_free(h); }
void plan_checksums_by(struct hasher *h, struct arena *a, struct plan *p);

struct parsing {
    struct arena scratch; /* the tree of one file; reset for each */
    struct hasher hasher;
};
static inline void parsing_init(struct parsing *p) { hasher_init(&p->hasher); }
static inline void parsing_auto(struct parsing *p)
{
    arena_free(&p->scratch);
    hasher_free(&p->hasher);
}

/* As plan_parse. file must outlive *out. */
bool plan_parse_with(struct parsing *parsing, struct arena *a, const char *file, const char *bytes,
                     size_t n, struct plan *out, struct problem_list *problems);

/* by_id and undoers of the plans as they are now. */
void plan_set_index(struct plan_set *set);

#endif
