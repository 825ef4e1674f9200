/* capture_text: one text as it was seen -> the statement that it is an instance of. Private to load. */
#ifndef PHASEGATE_LOAD_CAPTURE_TEXT_H
#define PHASEGATE_LOAD_CAPTURE_TEXT_H

#include "phasegate/arena.h"
#include "phasegate/model.h"
#include "phasegate/statements.h"

/* Without comments, outer blanks and final semicolons. NULL: something in it isn't closed. */
const char *text_bare(struct arena *a, const char *sql);
/* The query of DECLARE ... CURSOR FOR query and PREPARE ... AS query, which is what is run; NULL: it is neither. */
const char *text_inner(const char *bare);
/* Constants -> parameters behind those that are there; their texts are added to values. NULL: the parser can't. */
const char *text_normalised(struct arena *a, const char *sql, struct text_list *values);
/* What normalising breaks and no server takes back: interval $1 -> $1::interval, extract($1 from x) ->
 * pg_catalog.extract($1, x). */
const char *text_mended(struct arena *a, const char *sql);
/* What two instances of one statement have in common. */
const char *text_identity(struct arena *a, const char *sql);
/* Parameters in another style; true when it reads back as the same statement. */
bool text_in_style(struct arena *a, const char *sql, enum param_style style, const char **out);
/* An argument on one line: newlines become \n of an E'' text. NULL: it can't be. */
const char *text_one_line(struct arena *a, const char *value);
int text_params(const char *sql); /* the highest $n */

#endif
