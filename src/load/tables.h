/* tables: what the keys of a plan are, for decoding and for checksums. */
#ifndef PHASEGATE_LOAD_TABLES_H
#define PHASEGATE_LOAD_TABLES_H

#include "load/decode.h"

extern const struct table plan_table, data_check_table, step_table, gate_table, sync_table,
    flags_table, validation_table, criterion_table;
extern const struct table phase_tables[PHASE_SLOTS]; /* slot 0 is unused */
extern const char *const phase_words[];              /* expand first, NULL at the end */

/* Scalars of FT_WITH rows, shared by plan and project. */
void decode_phasegate(struct decoder *d, const struct node *n, void *base, const struct field *f);

#endif
