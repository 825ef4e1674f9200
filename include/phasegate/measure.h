/* measure: one value out of an answer's bytes. No I/O; JSON is read with jansson. */
#ifndef PHASEGATE_MEASURE_H
#define PHASEGATE_MEASURE_H

#include "phasegate/err.h"

/* The scalar at an RFC 6901 pointer of a JSON text: strings as they are, numbers in their shortest exact
 * form, "true", "false"; *out NULL for null. ERR_INPUT: the pointer itself is malformed. ERR_UNREACHABLE:
 * not JSON, nothing there, an array or object there, a number that can't be held exactly. */
bool measure_json_pointer(const char *body, size_t n, const char *pointer, struct arena *a,
                          const char **out, struct err *err) MUST_CHECK;
/* The answer of a Prometheus instant query (vector or scalar). *out NULL: no sample, or NaN. More than one
 * sample is ERR_INPUT: the query must aggregate. ERR_UNREACHABLE: not such an answer. */
bool measure_prometheus(const char *body, size_t n, struct arena *a, const char **out,
                        int *out_samples, struct err *err) MUST_CHECK;
/* The values of a label over all samples of an instant query's vector, but for samples of 0. A sample without the
 * label is ERR_INPUT; ERR_UNREACHABLE: not such an answer. */
bool measure_prometheus_label(const char *body, size_t n, const char *label, struct arena *a,
                              const char ***out, int *out_n, struct err *err) MUST_CHECK;

#endif
