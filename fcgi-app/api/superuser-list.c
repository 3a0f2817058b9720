/* Lists of everything for superusers: users, organizations, application tokens. With a limit they come in pages; without, in one
 * answer, which is streamed so that its size costs no memory. */
#include "api/page.h"
#include "api/routes.h"
#include "api/view-quota.h"
#include "api/view-superuser.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"

#define LIMIT_MAX  100
#define BATCH      500 /* rows of one statement of a stream */
#define DEFAULT_LIFE_S 2419200 /* 4 weeks: what "soon" is measured by when tokens do not expire */
enum { KIND_USER = 1, KIND_ORGANIZATION = 2 };

static const struct say SAY_LIMIT = { 400, "invalid_request", "Page limit cannot be above 100" };
static const struct param PAGE[] = {
	{ "disabled", false, "If false, only enabled users will be returned." },
	{ "limit", true, "Limit to the number of results to return per page. Max 100." },
	{ "next_page", false, "The page token for the next page" },
	{ NULL, false, NULL }
};
static const struct param EXPIRING[] = { { "expiring", false, "If true, only returns those tokens expiring soon" }, { NULL, false, NULL } };

/* One kind of list: how its next rows are read, and what is shown of a row. */
struct list {
	const char *member;
	int         kind;
	enum err_kind (*fetch)(struct req *rq, const struct list *l, int64_t after, int page, const struct db_result **out);
	json_t *(*view)(struct req *rq, const struct list *l, const struct db_result *r, int row);
};

static enum err_kind
fetch_accounts(struct req *rq, const struct list *l, int64_t after, int page, const struct db_result **out)
{
	return db_exec(rq->c, STMT_SU_ACCOUNTS,
	               DB_ARGS(db_i32(l->kind), db_i64(after), db_i32(page), db_bool(!param_bool(rq, "disabled", true)), db_bool(quotas_are_on(rq->c->conf))),
	               out);
}

static json_t *
view_account(struct req *rq, const struct list *l, const struct db_result *r, int row)
{
	struct su_account a;
	struct quota      q;
	json_t           *o;

	su_account_from_row(r, row, SU_ACCOUNTS_SU_ACCOUNT0, &a);
	quota_from_row(r, row, SU_ACCOUNTS_QUOTA0, &q);
	o = l->kind == KIND_USER ? view_su_user(rq->c->conf, &a) : view_su_org(&a);
	view_quota_short(rq->c, o, &q);
	return o;
}

static enum err_kind
fetch_tokens(struct req *rq, const struct list *l, int64_t after, int page, const struct db_result **out)
{
	const int64_t life_s = rq->c->conf->app_specific_token_expiration_s;
	const int64_t within_ms = (life_s > 0 ? life_s : DEFAULT_LIFE_S) * 100; /* 10 % */

	(void)l;
	return db_exec(rq->c, STMT_SU_APP_TOKENS,
	               DB_ARGS(db_i64(after), db_i32(page), param_bool(rq, "expiring", false) ? db_i64(within_ms) : db_null()), out);
}

static json_t *
view_token(struct req *rq, const struct list *l, const struct db_result *r, int row)
{
	static const struct {
		const char *name;
		int         col;
	} DATES[] = { { "last_accessed", SU_APP_TOKENS_LAST_USED_MS }, { "created", SU_APP_TOKENS_CREATED_MS }, { "expiration", SU_APP_TOKENS_EXPIRES_MS } };
	json_t *o = json_object();

	(void)l;
	jo_str(o, "uuid", db_get_str(r, row, SU_APP_TOKENS_UUID));
	jo_str(o, "title", db_get_str(r, row, SU_APP_TOKENS_TITLE));
	for (size_t i = 0; i < sizeof DATES / sizeof *DATES; i++) {
		const int64_t ms = db_get_i64(r, row, DATES[i].col);
		jo_str(o, DATES[i].name, ms == 0 ? NULL : clock_rfc2822(rq->c->mem, ms));
	}
	return o;
}

/* One batch into the stream; *after: the id of its last row, and 0 when there are no more. All of its memory is free again. */
static enum err_kind
stream_batch(struct req *rq, const struct list *l, int64_t *after, bool *is_first)
{
	const struct arena_mark m = arena_mark(rq->c->mem);
	const struct db_result *r;
	int64_t                 last;

	TRY(l->fetch(rq, l, *after, BATCH, &r));
	for (int i = 0; i < r->rows; i++) {
		json_t *holder = js_object(rq->c);
		jo_take(holder, "v", l->view(rq, l, r, i));
		const struct str text = js_dump(rq->c, json_object_get(holder, "v"));
		if (!*is_first)
			TRY(res_stream_write(rq, ",", 1));
		*is_first = false;
		TRY(res_stream_write(rq, text.p, text.n));
	}
	last = r->rows == BATCH ? db_get_i64(r, r->rows - 1, 0) : 0; /* the first column of each statement is the id */
	arena_rewind(rq->c->mem, m);
	*after = last;
	return ERR_NONE;
}

/* {"member": [...] and what tail says. A failure after the beginning breaks the answer off. */
static enum err_kind
stream(struct req *rq, const struct list *l, const char *tail)
{
	const char *head = str_fmt(rq->c->mem, "{\"%s\":[", l->member);
	int64_t     after = 0;
	bool        is_first = true;

	res_header_set(rq, "Content-Type", STR("application/json"));
	res_status(rq, 200);
	TRY(res_stream_begin(rq));
	TRY(res_stream_write(rq, head, strlen(head)));
	do
		TRY(stream_batch(rq, l, &after, &is_first));
	while (after != 0);
	TRY(res_stream_write(rq, tail, strlen(tail)));
	return res_stream_flush(rq);
}

static enum err_kind
page(struct req *rq, const struct list *l)
{
	const struct str        text = req_query(rq, "limit");
	const struct db_result *r;
	json_t                 *o, *a;
	int64_t                 limit = 0;

	if (text.p == NULL)
		return stream(rq, l, "]}\n");
	if (!str_to_i64(text, 1, INT64_MAX, &limit))
		limit = 1;
	if (limit > LIMIT_MAX)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_LIMIT);
	TRY(l->fetch(rq, l, page_start(rq), (int)limit + 1, &r));
	o = res_json(rq, 200);
	a = jo_array(o, l->member);
	for (int i = 0; i < r->rows && i < limit; i++)
		ja_take(a, l->view(rq, l, r, i));
	return r->rows > limit ? page_next(rq, o, db_get_i64(r, (int)limit - 1, 0)) : ERR_NONE;
}

static enum err_kind
api_su_users(struct req *rq)
{
	static const struct list USERS = { "users", KIND_USER, fetch_accounts, view_account };

	return page(rq, &USERS);
}

static enum err_kind
api_su_organizations(struct req *rq)
{
	static const struct list ORGANIZATIONS = { "organizations", KIND_ORGANIZATION, fetch_accounts, view_account };

	return page(rq, &ORGANIZATIONS);
}

static enum err_kind
api_su_app_tokens(struct req *rq)
{
	static const struct list TOKENS = { "tokens", 0, fetch_tokens, view_token };
	const bool               is_asked = req_query(rq, "expiring").p != NULL;

	return stream(rq, &TOKENS,
	              !is_asked                             ? "],\"only_expiring\":null}\n"
	              : param_bool(rq, "expiring", false) ? "],\"only_expiring\":true}\n"
	                                                    : "],\"only_expiring\":false}\n");
}

#define LIST_MEM (8 << 20)
const struct route API_SUPERUSER_LIST_ROUTES[] = {
	{ .id = "listAllUsers", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/superuser/users/", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_SUPERUSER_READ, .rate = RATE_API_READ, .flags = ROUTE_FRESH, .feature = CONF_FLAG(feature_super_users), .query = PAGE, .mem_bytes = LIST_MEM,
	  .run = api_su_users, .doc = "All users." },
	{ .id = "listAllOrganizations", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/superuser/organizations/", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_SUPERUSER_READ, .rate = RATE_API_READ, .flags = ROUTE_FRESH, .feature = CONF_FLAG(feature_super_users), .query = PAGE, .mem_bytes = LIST_MEM,
	  .run = api_su_organizations, .doc = "All organizations." },
	{ .id = "listAllAppTokens", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/superuser/apptokens", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_SU_FULL_READ, .rate = RATE_API_READ, .flags = ROUTE_FRESH, .feature = CONF_FLAG(feature_app_specific_tokens),
	  .feature_too = CONF_FLAG(feature_super_users), .query = EXPIRING, .mem_bytes = LIST_MEM, .run = api_su_app_tokens,
	  .doc = "Application tokens of everybody, without their codes." },
	{ .id = NULL }
};
