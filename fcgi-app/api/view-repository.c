/* Repositories as the REST API shows them in lists. */
#include "api/view-repository.h"

#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/request.h"

enum {
	I_ID,
	I_NAMESPACE,
	I_NAME,
	I_DESCRIPTION,
	I_IS_PUBLIC,
	I_STATE,
	I_LAST_MODIFIED_MS,
	I_ACTIONS,
	I_IS_STARRED,
	I_SIZE_BYTES,
	I_QUOTA_BYTES,
	I_COLS
};
_Static_assert((int)I_COLS == REPO_ITEM_COLS, "listing.sql and view-repository.c differ");

const char *
view_repo_state(int64_t state)
{
	static const char *const NAME[] = { "NORMAL", "READ_ONLY", "MIRROR", "MARKED_FOR_DELETION",
		                            "ORG_MIRROR" };

	return state >= 0 && state < (int64_t)(sizeof NAME / sizeof *NAME) ? NAME[state] : NAME[0];
}

/* What the repository stores, and what its namespace may. */
static void
put_quota_report(json_t *o, const struct db_result *r, int row, int first_col)
{
	json_t *report = jo_object(o, "quota_report");

	jo_i64(report, "quota_bytes", db_get_i64(r, row, first_col + I_SIZE_BYTES));
	if (db_is_null(r, row, first_col + I_QUOTA_BYTES))
		jo_null(report, "configured_quota");
	else
		jo_i64(report, "configured_quota", db_get_i64(r, row, first_col + I_QUOTA_BYTES));
}

/* A description is cut to 4,000 characters in a list, so that no page grows beyond bounds (Differs: Quay gives all of it). */
json_t *
view_repo_item(struct req *rq, const struct db_result *r, int row, int first_col,
               const struct view_repo_wants *w)
{
	json_t *o = json_object();

	jo_str(o, "namespace", db_get_str(r, row, first_col + I_NAMESPACE));
	jo_str(o, "name", db_get_str(r, row, first_col + I_NAME));
	jo_str(o, "description", db_get_str(r, row, first_col + I_DESCRIPTION));
	jo_bool(o, "is_public", db_get_bool(r, row, first_col + I_IS_PUBLIC));
	jo_str(o, "kind", "image");
	jo_str(o, "state", view_repo_state(db_get_i64(r, row, first_col + I_STATE)));
	if (w->last_modified && db_is_null(r, row, first_col + I_LAST_MODIFIED_MS))
		jo_null(o, "last_modified");
	else if (w->last_modified)
		jo_i64(o, "last_modified", db_get_i64(r, row, first_col + I_LAST_MODIFIED_MS) / 1000);
	if (w->popularity)
		jo_take(o, "popularity", json_real((double)db_get_i64(r, row, first_col + I_ACTIONS)));
	if (rq->ident.kind != IDENTITY_ANONYMOUS)
		jo_bool(o, "is_starred", db_get_bool(r, row, first_col + I_IS_STARRED));
	if (rq->c->conf->feature_quota_management && rq->c->conf->feature_edit_quota)
		put_quota_report(o, r, row, first_col);
	return o;
}
