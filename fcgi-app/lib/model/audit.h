/* The audit log: one row for each thing that Quay logs, with its kind names and metadata members. */
#ifndef KADE_MODEL_AUDIT_H
#define KADE_MODEL_AUDIT_H
#include <stdint.h>

#include "auth/identity.h"
#include "base/buf.h"
#include "base/err.h"

struct ctx;
enum audit_kind {
#define X(number, name) AUDIT_##name = number,
#include "model/audit-kinds.def"
#undef X
	AUDIT_KIND_LAST
};
struct audit_row {
	enum audit_kind kind;
	int64_t         namespace_id, performer_id, repository_id; /* 0 = none */
	struct str      ip;
	struct str      metadata; /* JSON object */
	int64_t         oauth_token_id; /* the token that was used: metadata gains its id and its application's; 0 = none */
};
/* Writes one row in the open transaction (or alone). A missing partition fails with c->audit_overflow set: the transaction is
 * run again and the row goes to audit_overflow. */
enum err_kind audit_add(struct ctx *c, const struct audit_row *row) MUST_CHECK;
/* The same, queued behind the statements of the open transaction. */
enum err_kind audit_queue(struct ctx *c, const struct audit_row *row) MUST_CHECK;
/* Many rows of one kind that differ in their metadata alone: in the open transaction; nobody performed them. */
enum err_kind audit_add_many(struct ctx *c, const struct audit_row *row, const struct str *metadata, size_t n) MUST_CHECK;
/* After a failed statement: was it a missing partition? Then sets c->audit_overflow; the work is to be run again. */
bool audit_was_overflow(struct ctx *c);
/* Metadata of a registry action, without its closing brace: {"repo","namespace","user-agent", identity members. */
void audit_track(struct buf *b, struct str ns, struct str repo, struct str user_agent, const struct identity *id);
/* Writes the kinds' names into the database (kade-migrate). */
enum err_kind audit_kinds_store(struct ctx *c) MUST_CHECK;
#endif
