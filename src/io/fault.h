/* fault: fault points at the seam, in test builds (PHASEGATE_FAULTS); elsewhere these do nothing. */
#ifndef PHASEGATE_IO_FAULT_H
#define PHASEGATE_IO_FAULT_H

#include "phasegate/ports.h"

struct db *fault_db(struct db *real);       /* takes ownership */
struct http *fault_http(struct http *real); /* takes ownership */
void fault_point(void); /* before a durable file write, before a program is run */

#endif
