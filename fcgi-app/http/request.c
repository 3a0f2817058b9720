/* What handlers ask of a request: headers, captures, query and form values, the body, the base URL. */
#include "http/request.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/fcgi.h"
#include "http/http-conf.h"
#include "http/uri.h"

#define BODY_PIECE 65536

struct str
req_header(const struct req *rq, const char *name)
{
	for (size_t i = 0; i < rq->n_headers; i++) {
		if (strcmp(rq->headers[i].name, name) == 0)
			return rq->headers[i].value;
	}
	return STR0;
}

struct str
req_capture(const struct req *rq, const char *name)
{
	for (int i = 0; i < rq->n_captures; i++) {
		if (strcmp(rq->captures[i].name, name) == 0)
			return rq->captures[i].value;
	}
	return STR0;
}

static size_t
form_values(struct arena *mem, struct str form, const char *name, struct str *out, size_t max)
{
	struct str raw_name, raw_value;
	size_t n = 0;
	int seen = 0;

	while (n < max && form_next(&form, &seen, &raw_name, &raw_value)) {
		if (form_name_is(raw_name, name))
			out[n++] = form_decode(mem, raw_value);
	}
	return n;
}

struct str
req_query(struct req *rq, const char *name)
{
	struct str v = STR0;

	return form_values(rq->c->mem, rq->query, name, &v, 1) == 1 ? v : STR0;
}

size_t
req_query_all(struct req *rq, const char *name, struct str *out, size_t max)
{
	return form_values(rq->c->mem, rq->query, name, out, max);
}

int64_t
req_query_i64(struct req *rq, const char *name, int64_t min, int64_t max, int64_t def)
{
	const struct str s = req_query(rq, name);
	int64_t v;

	if (s.p == NULL || !str_to_i64(s, INT64_MIN, INT64_MAX, &v))
		return def;
	return v < min ? min : v > max ? max : v;
}

struct str
form_value(struct ctx *c, struct str form, const char *name)
{
	struct str v = STR0;

	return form_values(c->mem, form, name, &v, 1) == 1 ? v : STR0;
}

bool
req_body_left(const struct req *rq)
{
	if (rq->body_ended || rq->authorizer)
		return false;
	return rq->content_length >= 0 ? rq->body_read < rq->content_length : rq->chunked;
}

/* Why the body is not whole, for the log. */
static enum err_kind
body_cut(struct req *rq, int why)
{
	rq->res.broken = why < 0 && why != EAGAIN;
	if (why == EAGAIN)
		return err_set(rq->c, ERR_CLIENT_GONE, "the body stopped coming after %lld bytes",
		               (long long)rq->body_read);
	if (why != 0)
		return err_set(rq->c, ERR_CLIENT_GONE, "the client left after %lld bytes of the body (%d)",
		               (long long)rq->body_read, why);
	return err_set(rq->c, ERR_CLIENT_GONE, "the body has %lld bytes, %lld were announced",
	               (long long)rq->body_read, (long long)rq->content_length);
}

enum err_kind
req_body_read(struct req *rq, void *p, size_t n, size_t *got)
{
	int why = 0;

	if (rq->authorizer)
		return err_set(rq->c, ERR_BUG, "an authorizer has no body");
	if (rq->body_ended) {
		*got = 0;
		return ERR_NONE;
	}
	const size_t k = fcgi_read(rq->conn, p, n, &why);
	rq->body_read += (int64_t)k;
	if (why != 0)
		return body_cut(rq, why);
	rq->body_ended = k < n;
	if (rq->content_length >= 0 &&
	    (rq->body_read > rq->content_length || (rq->body_ended && rq->body_read != rq->content_length)))
		return body_cut(rq, 0);
	*got = k;
	return ERR_NONE;
}

static enum err_kind
too_large(struct req *rq, size_t max)
{
	return err_set(rq->c, ERR_TOO_LARGE, "the body is longer than %zu bytes", max);
}

enum err_kind
req_body_all(struct req *rq, size_t max, struct str *out)
{
	struct buf b = BUF(rq->c->mem);
	size_t got;

	if (rq->content_length > 0 && (uint64_t)rq->content_length > max)
		return too_large(rq, max);
	/* One byte of room more than announced, so that the end shows in the first read. */
	buf_reserve(&b, rq->content_length >= 0 ? (size_t)rq->content_length + 1
	                : max < BODY_PIECE      ? max + 1
	                                        : BODY_PIECE);
	do {
		if (b.cap == b.n)
			buf_reserve(&b, b.cap);
		TRY(req_body_read(rq, b.p + b.n, b.cap - b.n, &got));
		b.n += got;
		if (b.n > max)
			return too_large(rq, max);
	} while (got > 0 && !rq->body_ended);
	*out = buf_str(&b);
	return ERR_NONE;
}

const char *
req_base_url(struct req *rq)
{
	return str_fmt(rq->c->mem, "%s://%s%s", rq->http->scheme, rq->http->host, rq->http->mount);
}
