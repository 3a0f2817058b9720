/* Keyset pages of the REST API. */
#include "api/page.h"

#include "app.h"
#include "auth/page-token.h"
#include "base/ctx.h"
#include "base/js.h"
#include "http/request.h"

#define MEMBER "start_index" /* as in Quay's tokens */
static const struct js_limits LIMITS = { .bytes = 1024, .depth = 2, .values = 16 };

int64_t
page_start(struct req *rq)
{
	const struct str token = req_query(rq, "next_page");
	struct str       plain;
	json_t          *o;

	if (token.n == 0 || !page_token_get(rq->c, rq->app->page_key, rq->c->now_ms / 1000, token, &plain))
		return 0;
	if (js_parse(rq->c, plain, &LIMITS, &o) != ERR_NONE) {
		err_clear(rq->c);
		return 0;
	}
	return js_i64(o, MEMBER, 0);
}

enum err_kind
page_next(struct req *rq, json_t *out, int64_t id)
{
	json_t    *o = js_object(rq->c);
	struct str token;

	jo_i64(o, MEMBER, id);
	TRY(page_token_put(rq->c, rq->app->page_key, rq->c->now_ms / 1000, NULL, js_dump(rq->c, o), &token));
	jo_strn(out, "next_page", token);
	return ERR_NONE;
}
