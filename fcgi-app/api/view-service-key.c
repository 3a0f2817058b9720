/* Service keys as superusers see them. */
#include "api/view-service-key.h"

#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/request.h"
#include "api/view-superuser.h"

enum { K_KID, K_SERVICE, K_NAME, K_JWK, K_METADATA, K_CREATED_MS, K_EXPIRES_MS, K_ROTATION_S, K_APPROVED_MS, K_APPROVAL, K_NOTES, K_IS_EXPIRED, K_COLS };
_Static_assert((int)K_COLS == KEY_ITEM_COLS, "service-key.sql and view-service-key.c differ");
enum { A_NAME = K_COLS, A_EMAIL, A_VERIFIED, A_ENABLED };

static void
put_json(struct req *rq, json_t *o, const char *name, struct str text)
{
	json_t *v;

	if (js_parse(rq->c, text, &JS_API, &v) == ERR_NONE)
		jo_take(o, name, json_incref(v));
	else
		jo_take(o, name, json_object());
}

static void
put_date(struct req *rq, json_t *o, const char *name, int64_t ms)
{
	jo_str(o, name, ms == 0 ? NULL : clock_http(rq->c->mem, ms));
}

static void
put_approval(struct req *rq, json_t *o, const struct db_result *r, int row)
{
	json_t *a;

	if (db_is_null(r, row, K_APPROVED_MS)) {
		jo_null(o, "approval");
		return;
	}
	a = jo_object(o, "approval");
	if (db_is_null(r, row, A_NAME))
		jo_null(a, "approver");
	else
		jo_take(a, "approver",
		        view_su_user(rq->c->conf, &(struct su_account){ .name = db_get_str(r, row, A_NAME), .email = db_get_str(r, row, A_EMAIL),
		                                                          .is_verified = db_get_bool(r, row, A_VERIFIED),
		                                                          .is_enabled = db_get_bool(r, row, A_ENABLED) }));
	jo_str(a, "approval_type", db_get_str(r, row, K_APPROVAL));
	put_date(rq, a, "approved_date", db_get_i64(r, row, K_APPROVED_MS));
	jo_str(a, "notes", db_is_null(r, row, K_NOTES) ? "" : db_get_str(r, row, K_NOTES));
}

json_t *
view_service_key(struct req *rq, const struct db_result *r, int row)
{
	json_t *o = json_object();

	jo_str(o, "name", db_get_str(r, row, K_NAME));
	jo_str(o, "kid", db_get_str(r, row, K_KID));
	jo_str(o, "service", db_get_str(r, row, K_SERVICE));
	put_json(rq, o, "jwk", db_get_strn(r, row, K_JWK));
	put_json(rq, o, "metadata", db_get_strn(r, row, K_METADATA));
	put_date(rq, o, "created_date", db_get_i64(r, row, K_CREATED_MS));
	put_date(rq, o, "expiration_date", db_get_i64(r, row, K_EXPIRES_MS));
	if (db_is_null(r, row, K_ROTATION_S))
		jo_null(o, "rotation_duration");
	else
		jo_i64(o, "rotation_duration", db_get_i64(r, row, K_ROTATION_S));
	put_approval(rq, o, r, row);
	return o;
}
