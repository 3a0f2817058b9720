/* Failures as answers, in the form of each protocol family. The text that a client sees is a constant or was made for it;
 * c->err.text stays in the log. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/head.h"
#include "http/http-conf.h"
#include "http/response.h"

struct problem {
	int status;
	const char *code, *message;
	struct str detail; /* JSON */
	bool is_read_only;
};

static bool
is_name_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       ch == '.' || ch == '_' || ch == '-' || ch == '/' || ch == '+';
}

/* The scope stands in a quoted string: a name with other characters gets none, and its request fails anyway. */
static bool
is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_name_char(s.p[i]))
			return false;
	}
	return s.n > 0;
}

void
res_challenge(struct req *rq)
{
	struct buf b = BUF(rq->c->mem);
	const enum perm p = rq->route == NULL ? PERM_NONE : rq->route->perm;

	buf_putf(&b, "Bearer realm=\"%s/v2/auth\",service=\"%s\"", req_base_url(rq), rq->http->host);
	if (p >= PERM_REPO_READ && p <= PERM_REPO_ADMIN && is_plain(rq->ns) && is_plain(rq->repo))
		buf_putf(&b, ",scope=\"repository:%.*s/%.*s:%s\"", STRF(rq->ns), STRF(rq->repo),
		         p == PERM_REPO_READ ? "pull" : "pull,push");
	res_header_set(rq, "WWW-Authenticate", buf_str(&b));
}

/* Kinds for which REST clients of Quay look at `message`: its plain aborts. */
static bool
has_plain_message(enum err_kind k)
{
	return k == ERR_RATE || k == ERR_READ_ONLY || k == ERR_BUSY || k == ERR_DB || k == ERR_STORE ||
	       k == ERR_BUG || k == ERR_UNSUPPORTED || k == ERR_NOT_FOUND || k == ERR_TOO_LARGE ||
	       k == ERR_CLIENT_GONE;
}

static void
put_member(struct buf *b, const char *name, const char *value)
{
	if (b->p[b->n - 1] != '{')
		buf_putc(b, ',');
	buf_put_json(b, str_of(name));
	buf_putc(b, ':');
	buf_put_json(b, str_of(value));
}

static void
body_v2(struct buf *b, const struct problem *p)
{
	buf_puts(b, "{\"errors\":[{");
	put_member(b, "code", p->code);
	put_member(b, "message", p->message);
	buf_puts(b, ",\"detail\":");
	buf_put(b, p->detail);
	if (p->is_read_only)
		buf_puts(b, ",\"is_readonly\":true");
	buf_puts(b, "}]}");
}

/* {"reason":"x"} → ,"reason":"x": what a handler adds to the fixed members. */
static void
put_extra_members(struct buf *b, struct str object)
{
	const struct str s = str_trim(object);

	if (s.n > 2 && s.p[0] == '{' && s.p[s.n - 1] == '}') {
		buf_putc(b, ',');
		buf_put(b, str_sub(s, 1, s.n - 1));
	}
}

/* Quay's plain aborts and the data layer's refusals have one member only: a say with one of these names as its code. */
static bool
is_short_form(const char *code)
{
	return strcmp(code, "message") == 0 || strcmp(code, "error") == 0 || strcmp(code, "detail") == 0;
}

static void
body_api(struct req *rq, struct buf *b, const struct problem *p)
{
	if (strcmp(p->code, "message-of") == 0) { /* {"message": {"limit": "…"}}: what is wrong with each parameter */
		buf_puts(b, "{\"message\":");
		buf_put(b, p->detail);
		buf_puts(b, "}\n");
		return;
	}
	if (is_short_form(p->code)) {
		buf_putc(b, '{');
		put_member(b, p->code, p->message);
		put_extra_members(b, p->detail);
		if (p->is_read_only)
			buf_puts(b, ",\"is_readonly\":true");
		buf_puts(b, "}\n");
		return;
	}
	buf_putc(b, '{');
	put_member(b, "detail", p->message);
	put_member(b, "error_message", p->message);
	put_member(b, "error_type", p->code);
	put_member(b, "title", p->code);
	put_member(b, "type", str_fmt(rq->c->mem, "%s/api/v1/error/%s", req_base_url(rq), p->code));
	buf_putf(b, ",\"status\":%d", p->status);
	if (has_plain_message(rq->c->err.kind))
		put_member(b, "message", p->message);
	if (p->is_read_only)
		buf_puts(b, ",\"is_readonly\":true");
	put_extra_members(b, p->detail);
	buf_puts(b, "}\n");
}

static void
body_cnr(struct buf *b, const struct problem *p)
{
	buf_puts(b, "{\"error\":{");
	put_member(b, "code", p->code);
	put_member(b, "message", p->message);
	buf_puts(b, ",\"details\":");
	buf_put(b, p->detail);
	buf_puts(b, "}}");
}

static void
body_plain(struct buf *b, const struct problem *p)
{
	buf_putc(b, '{');
	put_member(b, p->is_read_only ? "message" : "error", p->message);
	if (p->is_read_only)
		buf_puts(b, ",\"is_readonly\":true");
	buf_putc(b, '}');
}

static const char *
cnr_code(enum err_kind k, int status)
{
	switch (k) {
	case ERR_UNAUTHENTICATED:
	case ERR_FRESH_LOGIN:
		return "unauthorized-access";
	case ERR_DENIED:
	case ERR_QUOTA:
		return "forbidden";
	case ERR_NOT_FOUND:
		return "resource-not-found";
	case ERR_CONFLICT:
		return "resource-in-use";
	case ERR_READ_ONLY:
		return "read-only";
	case ERR_UNSUPPORTED:
		return "unsupported";
	default:
		return status >= 500 ? "internal-error" : "invalid-usage";
	}
}

/* The kind's own words for the family, where the place of failure gave none. A status of the answer that differs from the
 * kind's: /v2 refuses writes of a read-only registry with 405, the others with 503. */
static void
own_words(const struct req *rq, struct problem *p)
{
	const enum err_kind k = rq->c->err.kind == ERR_NONE ? ERR_BUG : rq->c->err.kind;
	const struct err_info *info = err_info(k);
	const bool api = rq->proto == PROTO_API;

	p->status = info->status;
	if (k == ERR_READ_ONLY &&
	    (rq->proto == PROTO_V1 || rq->proto == PROTO_API || rq->proto == PROTO_SITE))
		p->status = 503;
	p->code = rq->proto == PROTO_CNR ? cnr_code(k, info->status) : api ? info->api_type : info->v2_code;
	p->message = rq->proto == PROTO_V2 ? info->v2_message : info->api_message;
	p->is_read_only = k == ERR_READ_ONLY;
}

static void
put_body(struct req *rq, struct buf *b, const struct problem *p)
{
	switch (rq->proto) {
	case PROTO_V2:
		body_v2(b, p);
		break;
	case PROTO_API:
		body_api(rq, b, p);
		break;
	case PROTO_CNR:
		body_cnr(b, p);
		break;
	case PROTO_V1:
	case PROTO_SITE:
		body_plain(b, p);
		break;
	}
}

/* Of what a handler set before it failed, these stay: a 416 or a conflict tells the client where to go on. */
static void
keep_headers(struct res *r)
{
	static const char *const KEEP[] = { "Location",           "Range",
		                            "Docker-Upload-UUID", "Allow",
		                            "WWW-Authenticate",   "Set-Cookie",
		                            "X-Next-CSRF-Token",  "Retry-After" };
	size_t kept = 0;

	for (size_t i = 0; i < r->n_headers; i++) {
		for (size_t k = 0; k < sizeof KEEP / sizeof *KEEP; k++) {
			if (strcmp(r->headers[i].name, KEEP[k]) == 0) {
				r->headers[kept++] = r->headers[i];
				break;
			}
		}
	}
	r->n_headers = kept;
}

void
res_problem(struct req *rq)
{
	const struct err *e = &rq->c->err;
	struct problem p = { .detail = e->detail_json == NULL ? STR("{}") : str_of(e->detail_json) };
	struct buf b = BUF(rq->c->mem);

	if (rq->res.sent)
		return;
	own_words(rq, &p);
	if (e->say != NULL) {
		p.status = e->say->status != 0 ? e->say->status : p.status;
		p.code = e->say->code != NULL ? e->say->code : p.code;
		p.message = e->say->message;
	}
	if (e->message != NULL)
		p.message = e->message;
	keep_headers(&rq->res);
	rq->res.no_length = false;
	rq->res.length = -1;
	put_body(rq, &b, &p);
	res_body(rq, p.status, "application/json", buf_str(&b));
	if (e->retry_after_s > 0)
		res_header_set(rq, "Retry-After", str_of(str_fmt(rq->c->mem, "%d", e->retry_after_s)));
	if (rq->proto == PROTO_V2 && p.status == 401)
		res_challenge(rq);
}
