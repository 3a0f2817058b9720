/* Service keys. */
#include "model/service-key.h"

#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"

#define NAME_MAX_BYTES 255
static const struct say SAY_EXISTS = { 400, "invalid_request", "A service key with this id exists already" };

bool
service_name_valid(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
			return false;
	return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

bool
service_key_name_valid(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		const char ch = s.p[i];
		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == ' ' || (ch >= '\t' && ch <= '\r') ||
		      ch == '-' || ch == '_' || ch == ':' || ch == '/'))
			return false;
	}
	return s.n <= NAME_MAX_BYTES;
}

enum err_kind
service_key_add(struct ctx *c, const struct service_key *k)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_SERVICE_KEY_SWEEP, DB_ARGS(db_strn(k->service)), NULL));
	TRY(db_exec(c, STMT_SERVICE_KEY_ADD,
	            DB_ARGS(db_strn(k->kid), db_strn(k->service), db_strn(k->name.p == NULL ? STR("") : k->name), db_strn(k->jwk), db_strn(k->metadata),
	                    db_i64_or_null(k->expires_ms), db_i64_or_null(k->rotation_s), db_str(k->approval), db_i64_or_null(k->approver_id), db_strn(k->notes)),
	            &r));
	return r->rows == 1 ? ERR_NONE : err_say(c, ERR_CONFLICT, &SAY_EXISTS);
}

json_t *
service_key_audit(struct ctx *c, struct str kid, struct str service, struct str name, int64_t expires_ms)
{
	json_t *o = js_object(c);

	jo_strn(o, "kid", kid);
	jo_strn(o, "service", service);
	jo_strn(o, "name", name.p == NULL ? STR("") : name);
	jo_str(o, "expiration_date", expires_ms == 0 ? NULL : clock_http(c->mem, expires_ms));
	return o;
}
