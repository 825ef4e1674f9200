/* confine: what a child of ours can't do, whatever it is told. */
#ifndef PHASEGATE_SHADOW_CONFINE_H
#define PHASEGATE_SHADOW_CONFINE_H

#include <stdbool.h>

/* In a child, right before execv(program, ...): from then on it starts no other program and, unless may_connect,
 * reaches no network and no socket of another server. That holds for its children too. `program` has to be the very
 * pointer that is given to execv. Where the kernel can't do it, nothing happens: it's the second line of defence.
 * Async-signal-safe. */
void confine(const char *program, bool may_connect);

#endif
