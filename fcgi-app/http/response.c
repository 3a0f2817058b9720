/* Building and sending of answers. The head is written here in full: "Status:", then the headers that every answer carries,
 * then the handler's. Rules that hold for all: HEAD has the headers of GET and no body; 204 and 304 have neither length nor
 * body; a send-file header goes without Content-Length; an authorizer's yes is a bare 200. */
#include "http/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/js.h"
#include "http/conditional.h"
#include "http/fcgi.h"
#include "http/head.h"

static bool
is_send_file(const char *name)
{
	return strcasecmp(name, "X-Sendfile") == 0 || strcasecmp(name, "X-LIGHTTPD-send-file") == 0 ||
	       strcasecmp(name, "X-Accel-Redirect") == 0;
}

void
res_status(struct req *rq, int status)
{
	rq->res.status = status;
}

void
res_header(struct req *rq, const char *name, struct str value)
{
	struct res *r = &rq->res;
	struct buf b = BUF(rq->c->mem);

	if (r->sent)
		return;
	if (r->n_headers == r->cap_headers) {
		const size_t cap = r->cap_headers == 0 ? 16 : r->cap_headers * 2;
		struct header *more = ARENA_ARRAY(rq->c->mem, struct header, cap);
		if (r->n_headers > 0)
			memcpy(more, r->headers, r->n_headers * sizeof *more);
		r->headers = more;
		r->cap_headers = cap;
	}
	buf_reserve(&b, value.n + 1);
	buf_put_header(&b, value);
	r->headers[r->n_headers++] = (struct header){ .name = name, .value = buf_str(&b) };
	if (is_send_file(name))
		r->no_length = true;
}

void
res_header_set(struct req *rq, const char *name, struct str value)
{
	struct res *r = &rq->res;
	size_t kept = 0;

	for (size_t i = 0; i < r->n_headers && !r->sent; i++) {
		if (strcasecmp(r->headers[i].name, name) != 0)
			r->headers[kept++] = r->headers[i];
	}
	if (!r->sent)
		r->n_headers = kept;
	res_header(rq, name, value);
}

void
res_headerf(struct req *rq, const char *name, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	const int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n >= 0) {
		char *p = arena_alloc(rq->c->mem, (size_t)n + 1);
		vsnprintf(p, (size_t)n + 1, fmt, again);
		res_header(rq, name, (struct str){ p, (size_t)n });
	}
	va_end(again);
}

static json_t *
take_json(struct req *rq, int status, json_t *v)
{
	rq->res.status = status;
	rq->res.json = v;
	rq->res.has_body = true;
	res_header_set(rq, "Content-Type", STR("application/json"));
	return v;
}

json_t *
res_json(struct req *rq, int status)
{
	return take_json(rq, status, js_object(rq->c));
}

json_t *
res_json_array(struct req *rq, int status)
{
	return take_json(rq, status, js_array(rq->c));
}

void
res_body(struct req *rq, int status, const char *type, struct str body)
{
	rq->res.status = status;
	rq->res.json = NULL;
	rq->res.body = body;
	rq->res.has_body = true;
	res_header_set(rq, "Content-Type", str_of(type));
}

void
res_empty(struct req *rq, int status)
{
	rq->res.status = status;
	rq->res.json = NULL;
	rq->res.body = STR0;
	rq->res.has_body = false;
}

void
res_length(struct req *rq, int64_t bytes)
{
	rq->res.length = bytes;
}

/* The answer as bytes: what res_json() built is written out once. */
static void
settle_body(struct req *rq)
{
	struct res *r = &rq->res;

	if (r->status == 0)
		r->status = 200;
	if (r->json == NULL)
		return;
	const struct str text = js_dump(rq->c, r->json);
	r->json = NULL;
	r->body = text;
	if (rq->proto == PROTO_API) { /* REST answers end with a line feed, as Quay's do */
		struct buf b = BUF(rq->c->mem);
		buf_reserve(&b, text.n + 1);
		buf_put(&b, text);
		buf_putc(&b, '\n');
		r->body = buf_str(&b);
	}
}

static bool
send_head(struct req *rq)
{
	struct buf b = BUF(rq->c->mem);

	buf_reserve(&b, 1024);
	head_put(rq, &b);
	rq->res.sent = true;
	if (!fcgi_write(rq->conn, b.p, b.n))
		rq->res.broken = true;
	return !rq->res.broken;
}

void
res_send(struct req *rq)
{
	struct res *r = &rq->res;

	if (r->sent)
		return;
	settle_body(rq);
	conditional_settle(rq);
	if (!r->has_body)
		r->body = STR0;
	if (r->length < 0)
		r->length = (int64_t)r->body.n;
	if (!send_head(rq) || !head_has_body(rq))
		return;
	if (r->body.n > 0 && !fcgi_write(rq->conn, r->body.p, r->body.n))
		r->broken = true;
	else
		r->bytes_out += (int64_t)r->body.n;
}

enum err_kind
res_stream_begin(struct req *rq)
{
	if (rq->res.sent)
		return err_set(rq->c, ERR_BUG, "the answer has begun already");
	if (rq->res.status == 0)
		rq->res.status = 200;
	rq->res.streamed = true;
	if (!send_head(rq))
		return err_set(rq->c, ERR_CLIENT_GONE, "the client left before the answer");
	return ERR_NONE;
}

enum err_kind
res_stream_write(struct req *rq, const void *p, size_t n)
{
	if (!rq->res.streamed)
		return err_set(rq->c, ERR_BUG, "no stream was begun");
	if (!head_has_body(rq) || n == 0)
		return ERR_NONE;
	if (rq->res.broken || !fcgi_write(rq->conn, p, n)) {
		rq->res.broken = true;
		return err_set(rq->c, ERR_CLIENT_GONE, "the client left after %lld bytes of the answer",
		               (long long)rq->res.bytes_out);
	}
	rq->res.bytes_out += (int64_t)n;
	return ERR_NONE;
}

enum err_kind
res_stream_flush(struct req *rq)
{
	if (rq->res.broken || !fcgi_flush(rq->conn)) {
		rq->res.broken = true;
		return err_set(rq->c, ERR_CLIENT_GONE, "the client left after %lld bytes of the answer",
		               (long long)rq->res.bytes_out);
	}
	return ERR_NONE;
}

bool
res_is_whole(const struct req *rq)
{
	const struct res *r = &rq->res;

	if (!r->sent)
		return false;
	if (!r->streamed || !head_has_body(rq))
		return true;
	return rq->c->err.kind == ERR_NONE && (r->length < 0 || r->length == r->bytes_out);
}
