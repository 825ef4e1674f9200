/* out_int: what the files of out share. Private to out. */
#ifndef PHASEGATE_OUT_INT_H
#define PHASEGATE_OUT_INT_H

#include "phasegate/out.h"

extern const struct events_ops out_events_ops;

/* Takes the progress line off the terminal before something else is written. */
void out_bar_clear(struct out *o);
const char *out_message_style(const struct out *o, enum out_style s);
void out_put_line(struct out *o, FILE *f, const struct str *line);

#endif
