/* shop: the example project of plans/demo, and its data. */
#ifndef PHASEGATE_DEMO_SHOP_H
#define PHASEGATE_DEMO_SHOP_H

#include "phasegate/ports.h"

struct shop_size {
    int customers;
    int accounts; /* spread evenly over the customers */
    int orders;   /* with two items each */
};

/* The folder with phasegate.yaml: plans/demo here or above, else where the program was installed to. */
bool shop_folder(struct str *out, struct err *err);
/* Makes database `name` (conninfo is of another one on that server). */
bool shop_create_database(const char *conninfo, const char *name, struct err *err);
/* Baseline and data, in one transaction, then VACUUM ANALYZE. The same rows for the same size. A signal
 * ends it: ERR_INTERRUPTED. */
bool shop_fill(const char *conninfo, const char *folder, const struct shop_size *size,
               const struct interrupt *interrupt_or_null, struct err *err);

#endif
