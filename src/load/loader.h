/* loader: what plan_set.c shares with plan_parse, so that many plans cost no set-up each. */
#ifndef PHASEGATE_LOAD_LOADER_H
#define PHASEGATE_LOAD_LOADER_H

#include "load/yaml_tree.h"

/* As plan_parse, with a scratch arena of the caller's that is reset first. file must outlive *out. */
bool plan_parse_in(struct arena *a, struct arena *scratch, const char *file, const char *bytes, size_t n,
                   struct plan *out, struct problem_list *problems);

#endif
