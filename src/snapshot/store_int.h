/* What the stores share. */
#ifndef PHASEGATE_STORE_INT_H
#define PHASEGATE_STORE_INT_H

#include "phasegate/store.h"

#define MANIFEST "manifest.json"
#define PROBE "probe" /* see make() of a bucket */

/* Removing a snapshot touches no file of anybody else. */
bool store_is_ours(const char *file);

#endif
