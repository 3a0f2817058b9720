/* The audit log's writer. */
#include "model/audit.h"

#include <string.h>

#include "base/ctx.h"
#include "db/db.h"

static enum stmt
audit_stmt(const struct ctx *c)
{
	return c->audit_overflow ? STMT_AUDIT_ADD_OVERFLOW : STMT_AUDIT_ADD;
}

#define ROW_ARGS(r)                                                                                                    \
	DB_ARGS(db_i32((int32_t)(r)->kind), db_i64_or_null((r)->namespace_id), db_i64_or_null((r)->performer_id),      \
	        db_i64_or_null((r)->repository_id), db_strn((r)->ip), db_strn((r)->metadata),                           \
	        db_i64_or_null((r)->oauth_token_id))

enum err_kind
audit_add(struct ctx *c, const struct audit_row *row)
{
	enum err_kind e = db_exec(c, audit_stmt(c), ROW_ARGS(row), NULL);

	if (e != ERR_NONE && audit_was_overflow(c) && !db_in_tx(c))
		e = db_exec(c, audit_stmt(c), ROW_ARGS(row), NULL);
	return e;
}

enum err_kind
audit_queue(struct ctx *c, const struct audit_row *row)
{
	return db_queue(c, audit_stmt(c), ROW_ARGS(row), NULL);
}

enum err_kind
audit_add_many(struct ctx *c, const struct audit_row *row, const struct str *metadata, size_t n)
{
	return db_exec(c, c->audit_overflow ? STMT_AUDIT_ADD_MANY_OVERFLOW : STMT_AUDIT_ADD_MANY,
	               DB_ARGS(db_i32((int32_t)row->kind), db_i64_or_null(row->namespace_id), db_i64_or_null(row->repository_id), db_str_array(metadata, n)),
	               NULL);
}

bool
audit_was_overflow(struct ctx *c)
{
	/* 23514 check_violation: "no partition of relation … found for row" is reported under it */
	if (strcmp(db_sqlstate(c), "23514") != 0 || c->audit_overflow)
		return false;
	c->audit_overflow = true;
	return true;
}

void
audit_track(struct buf *b, struct str ns, struct str repo, struct str user_agent, const struct identity *id)
{
	buf_puts(b, "{\"repo\":");
	buf_put_json(b, repo);
	buf_puts(b, ",\"namespace\":");
	buf_put_json(b, ns);
	buf_puts(b, ",\"user-agent\":");
	buf_put_json(b, user_agent);
	if (id->name != NULL) {
		buf_puts(b, ",\"username\":");
		buf_put_json(b, str_of(id->name));
	}
	if (id->kind == IDENTITY_ROBOT)
		buf_puts(b, ",\"is_robot\":true");
	if (id->token_uuid != NULL) {
		buf_puts(b, id->kind == IDENTITY_OAUTH       ? ",\"oauth_token_id\":"
		            : id->kind == IDENTITY_APP_TOKEN ? ",\"app_specific_token\":"
		                                             : ",\"token\":");
		buf_put_json(b, str_of(id->token_uuid));
	}
}

enum err_kind
audit_kinds_store(struct ctx *c)
{
	static const struct str NAMES[] = {
#define X(number, name) STR(#name),
#include "model/audit-kinds.def"
#undef X
	};
	static const int64_t IDS[] = {
#define X(number, name) number,
#include "model/audit-kinds.def"
#undef X
	};
	const size_t n = sizeof IDS / sizeof *IDS;

	return db_exec(c, STMT_AUDIT_KIND_ENSURE, DB_ARGS(db_i64_array(IDS, n), db_str_array(NAMES, n)), NULL);
}
