/* flag_rig: operations on flags against the double of tests/lib/flag_double.py, on the real ports.
 * Times are those of the rules divided by a hundred or so. */
#ifndef PHASEGATE_TEST_FLAG_RIG_H
#define PHASEGATE_TEST_FLAG_RIG_H

#include "flag_client.h"
#include "phasegate/flag_ops.h"
#include "phasegate/io.h"

#include <sys/types.h>

struct rig {
    struct interrupt interrupt;
    struct ports ports;
    struct flag_service unleash, builtin, generic, file;
    struct flag_ops ops; /* on unleash, without kill file */
    struct arena arena;
    pid_t double_pid;
    int double_stdin;
    char url[64];
    char *folder; /* state_dir and kill file */
};

/* A double, the ports, and services that point at it. */
void rig_open(struct rig *r);
void rig_close(struct rig *r);
static inline void rig_auto(struct rig *r) { rig_close(r); }
/* The ports again, in a child after fork: libcurl's handles aren't to be shared. */
void rig_ports(struct rig *r);

void double_start(struct rig *r, int port); /* 0: any */
void double_stop(struct rig *r);            /* connections are refused then */
void double_faults(const struct rig *r, const char *json_list);
void double_state(const struct rig *r, const char *json); /* merged into it */
/* How many requests came whose "METHOD path" contains this text. */
int double_count(const struct rig *r, const char *text);
/* Milliseconds between the first and the last of them. */
long double_span_ms(const struct rig *r, const char *text);
/* What the double has stored, compact JSON of the flag; "" when there is none. Freed by the
 * caller. */
char *double_flag(const struct rig *r, const char *api, const char *key);
/* The percentage that users get of an Unleash flag: 0 when it is off; -1: no such flag, or several
 * strategies. */
int double_percent(const struct rig *r, const char *key);

/* The journal's text; "" when there is none. Freed by the caller. */
char *rig_journal(const struct rig *r);
/* Runs what in a child process with ports of its own, after delay_ms. */
pid_t rig_fork(struct rig *r, int delay_ms, int (*what)(struct rig *));
int rig_join(pid_t child); /* its exit code, or 128 + signal */

#endif
