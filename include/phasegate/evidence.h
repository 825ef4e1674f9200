/* evidence: what was done with a plan, by whom, and how it was proved, in one bundle that can be checked anywhere.
 *
 * manifest.json comes first and names every other file with its size and SHA-256. journal.jsonl is the chain of the whole
 * journal: of the plan's rows with what was hashed, of others only their hashes. No secret is in it: URLs are as they are
 * shown, ${VAR} as it is written.
 */
#ifndef PHASEGATE_EVIDENCE_H
#define PHASEGATE_EVIDENCE_H

#include "phasegate/engine.h"

#define EVIDENCE_VERSION 1

/* more: files of the caller's (settings). The same ledger, files and answers of the database give the same bytes. */
bool engine_evidence(struct engine *e, struct plan *p, const struct bundle *more, struct arena *a,
                     struct bundle *out, struct err *err) MUST_CHECK;

struct evidence_fault {
    const char *where, *what; /* "plan.yaml", "journal row 12"; a sentence */
};
struct evidence_found {
    const char *plan, *environment, *as_of; /* as the manifest says; NULL: it doesn't */
    const char *head;                       /* hash of the newest row of the journal; NULL: none */
    const char *manifest_sha256;
    int n_files, n_rows, n_own;
    struct evidence_fault *faults;
    int n_faults; /* 0: it is whole, and the chain holds */
};
/* Everything that differs. ERR_INPUT: it's no bundle of evidence, or of a later version. */
bool evidence_check(const struct bundle *b, struct arena *a, struct evidence_found *out,
                    struct err *err) MUST_CHECK;

#endif
