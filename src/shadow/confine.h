/* confine: what a child of ours can't do, whatever it is told. */
#ifndef PHASEGATE_SHADOW_CONFINE_H
#define PHASEGATE_SHADOW_CONFINE_H

#include <stdbool.h>

/* In a child, right before execv(program, ...): from then on it starts no other program, writes no file but below
 * `writable` (and those that are open) and, unless may_connect, reaches no network and no socket of another server. That
 * holds for its children too. `program` has to be the very pointer that is given to execv. What the kernel can't do
 * doesn't happen: it's the second line of defence. Async-signal-safe. */
void confine(const char *program, bool may_connect, const char *writable);

#endif
