/* Parameters → request. Rules:
 * - The path is REQUEST_URI; PATH_INFO, SCRIPT_NAME and QUERY_STRING differ by server and are not looked at.
 * - A header that comes more than once is joined with ", " (nginx repeats the parameter), cookies with "; ". Of other
 *   parameters the last counts (nginx sends one twice when its stock file is included and then overridden).
 * - REMOTE_USER says nothing: nginx fills it from an unchecked Basic header. HTTP_PROXY is no header of ours. Content-Type
 *   and Content-Length come under their own names; the HTTP_ forms, which nginx sends too, are dropped.
 * - An absent or empty CONTENT_LENGTH is an unknown length. */
#include "http/incoming.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "http/client-addr.h"
#include "http/fcgi.h"
#include "http/http-conf.h"
#include "http/request.h"
#include "http/uri.h"

#define HEADERS_MAX  128   /* distinct ones */
#define HEADER_BYTES 65536 /* of all parameters */

static const struct say SAY_BAD_PATH = { 400, "INVALID_REQUEST", "The request's path is malformed" };
static const struct say SAY_BAD_LENGTH = { 400, "INVALID_REQUEST",
	                                   "The request's Content-Length is malformed" };
static const struct say SAY_LONG_URI = { 414, "INVALID_REQUEST", "The request's URI is too long" };
static const struct say SAY_MANY_HEADERS = { 431, "INVALID_REQUEST", "The request's headers are too large" };

/* What is kept of the parameters that are no headers. */
struct server_params {
	struct str uri, method, addr, length, type, software, redirect_auth;
};

static enum http_method
method_of(struct str s)
{
	static const struct {
		const char *name;
		enum http_method method;
	} KNOWN[] = {
		{"GET",      HTTP_GET    },
                { "HEAD",    HTTP_HEAD   },
                { "POST",    HTTP_POST   },
		{ "PUT",     HTTP_PUT    },
                { "PATCH",   HTTP_PATCH  },
                { "DELETE",  HTTP_DELETE },
		{ "OPTIONS", HTTP_OPTIONS}
	};

	for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
		if (str_eq_c(s, KNOWN[i].name))
			return KNOWN[i].method;
	}
	return HTTP_OTHER;
}

static enum proto
proto_of(struct str path)
{
	static const struct {
		const char *prefix;
		enum proto proto;
	} FAMILY[] = {
		{"/v2",      PROTO_V2 },
                { "/v1",     PROTO_V1 },
                { "/cnr",    PROTO_CNR},
                { "/api/v1", PROTO_API}
	};

	for (size_t i = 0; i < sizeof FAMILY / sizeof *FAMILY; i++) {
		const struct str p = str_of(FAMILY[i].prefix);
		if (str_starts(path, p) && (path.n == p.n || path.p[p.n] == '/'))
			return FAMILY[i].proto;
	}
	return PROTO_SITE;
}

/* HTTP_ACCEPT_ENCODING → accept-encoding. Given. */
static char *
header_name(struct arena *mem, struct str param)
{
	char *p = arena_alloc(mem, param.n + 1);

	for (size_t i = 0; i < param.n; i++) {
		const char ch = param.p[i];
		p[i] = ch == '_' ? '-' : ch >= 'A' && ch <= 'Z' ? (char)(ch + ('a' - 'A')) : ch;
	}
	p[param.n] = '\0';
	return p;
}

static void
join(struct arena *mem, struct header *h, struct str more)
{
	struct buf b = BUF(mem);

	buf_reserve(&b, h->value.n + more.n + 2);
	buf_put(&b, h->value);
	buf_puts(&b, strcmp(h->name, "cookie") == 0 ? "; " : ", ");
	buf_put(&b, more);
	h->value = buf_str(&b);
}

/* False when there are too many. */
static bool
add_header(struct req *rq, struct header *all, struct str param, struct str value)
{
	const char *name = header_name(rq->c->mem, param);

	if (strcmp(name, "proxy") == 0)
		return true;
	for (size_t i = 0; i < rq->n_headers; i++) {
		if (strcmp(all[i].name, name) == 0) {
			join(rq->c->mem, &all[i], value);
			return true;
		}
	}
	if (rq->n_headers == HEADERS_MAX)
		return false;
	all[rq->n_headers++] = (struct header){ .name = name, .value = value };
	return true;
}

static void
take_server_param(struct server_params *sp, const struct fcgi_param *p)
{
	if (str_eq_c(p->name, "REQUEST_URI"))
		sp->uri = p->value;
	else if (str_eq_c(p->name, "REQUEST_METHOD"))
		sp->method = p->value;
	else if (str_eq_c(p->name, "REMOTE_ADDR"))
		sp->addr = p->value;
	else if (str_eq_c(p->name, "CONTENT_LENGTH"))
		sp->length = p->value;
	else if (str_eq_c(p->name, "SERVER_SOFTWARE"))
		sp->software = p->value;
	else if (str_eq_c(p->name, "CONTENT_TYPE"))
		sp->type = p->value;
	else if (str_eq_c(p->name,
	                  "REDIRECT_HTTP_AUTHORIZATION")) /* httpd renames it behind an internal redirect */
		sp->redirect_auth = p->value;
}

static bool
take_headers(struct req *rq, const struct fcgi_param *p, size_t n, struct server_params *sp)
{
	struct header *all = ARENA_ARRAY(rq->c->mem, struct header, HEADERS_MAX);
	size_t bytes = 0;
	bool fits = true;

	rq->headers = all;
	for (size_t i = 0; i < n; i++) {
		bytes += p[i].name.n + p[i].value.n;
		if (bytes > HEADER_BYTES)
			fits = false;
		if (!str_starts(p[i].name, STR("HTTP_"))) {
			take_server_param(sp, &p[i]);
			continue;
		}
		const struct str name = str_sub(p[i].name, 5, p[i].name.n);
		if (!str_eq_nocase(name, STR("CONTENT_LENGTH")) && !str_eq_nocase(name, STR("CONTENT_TYPE")))
			fits = fits && add_header(rq, all, name, p[i].value);
	}
	if (fits && sp->type.n > 0)
		fits = add_header(rq, all, STR("CONTENT_TYPE"), sp->type);
	if (fits && sp->redirect_auth.n > 0 && req_header(rq, "authorization").p == NULL)
		fits = add_header(rq, all, STR("AUTHORIZATION"), sp->redirect_auth);
	return fits;
}

static enum err_kind
take_length(struct req *rq, struct str length)
{
	rq->chunked = str_eq_nocase(str_trim(req_header(rq, "transfer-encoding")), STR("chunked"));
	rq->content_length = -1;
	if (length.n == 0)
		return ERR_NONE;
	if (!str_to_i64(length, 0, INT64_MAX, &rq->content_length)) {
		rq->content_length = -1;
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_BAD_LENGTH);
	}
	return ERR_NONE;
}

static enum err_kind
take_uri(struct req *rq, struct uri *uri)
{
	const enum uri_result r = uri_parse(rq->c->mem, rq->uri, rq->http->mount, uri);

	rq->path = uri->path;
	rq->query = uri->query;
	rq->proto = proto_of(uri->path);
	if (r == URI_ABSENT)
		uri->n = -1;
	if (r == URI_BAD)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_BAD_PATH);
	if (r == URI_TOO_LONG)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_LONG_URI);
	return ERR_NONE;
}

enum err_kind
req_take(struct req *rq, const struct fcgi_param *p, size_t n, struct uri *uri)
{
	struct server_params sp = { 0 };
	const bool fits = take_headers(rq, p, n, &sp);
	const char *method = str_dup(rq->c->mem, sp.method);

	rq->method_text = method == NULL ? "" : method;
	rq->method = method_of(sp.method);
	rq->behind_httpd = str_starts(sp.software, STR("Apache"));
	rq->uri = sp.uri;
	rq->remote_addr = client_addr(rq->c->mem, sp.addr, req_header(rq, "x-forwarded-for"),
	                              rq->http->trusted, rq->http->n_trusted);
	rq->user_agent = req_header(rq, "user-agent");
	const enum err_kind e = take_uri(rq, uri);
	const enum err_kind bad_length = e == ERR_NONE ? take_length(rq, sp.length) : e;
	if (bad_length == ERR_NONE && !fits)
		return err_say(rq->c, ERR_TOO_LARGE, &SAY_MANY_HEADERS);
	return bad_length;
}
