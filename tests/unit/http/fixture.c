/* Handlers that behave well and badly. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/js.h"
#include "http/http-conf.h"
#include "http/metrics.h"
#include "http/request.h"
#include "http/response.h"

static enum err_kind
ping(struct req *rq)
{
	res_body(rq, 200, "application/json", STR("true"));
	return ERR_NONE;
}

/* What arrived: for the tests of parameters. */
static enum err_kind
show(struct req *rq)
{
	json_t *o = res_json(rq, 200);

	jo_str(o, "method", rq->method_text);
	jo_strn(o, "path", rq->path);
	jo_strn(o, "query", rq->query);
	jo_strn(o, "client", rq->remote_addr);
	jo_strn(o, "accept", req_header(rq, "accept"));
	jo_strn(o, "cookie", req_header(rq, "cookie"));
	jo_strn(o, "proxy", req_header(rq, "proxy"));
	jo_strn(o, "type", req_header(rq, "content-type"));
	jo_strn(o, "authorization", req_header(rq, "authorization"));
	jo_str(o, "base", req_base_url(rq));
	jo_i64(o, "length", rq->content_length);
	jo_bool(o, "chunked", rq->chunked);
	jo_i64(o, "pid", getpid());
	return ERR_NONE;
}

static enum err_kind
upload(struct req *rq)
{
	char piece[10000], hex[2 * SHA256_BYTES + 1];
	uint8_t sum[SHA256_BYTES];
	struct sha256 s;
	size_t got;

	sha256_start(&s);
	do {
		TRY(req_body_read(rq, piece, sizeof piece, &got));
		sha256_feed(&s, piece, got);
	} while (got > 0);
	sha256_end(&s, sum);
	hex_put(hex, sum, sizeof sum);
	json_t *o = res_json(rq, 201);
	jo_i64(o, "bytes", rq->body_read);
	jo_str(o, "sha256", hex);
	jo_i64(o, "pid", getpid());
	return ERR_NONE;
}

static enum err_kind
echo(struct req *rq)
{
	struct str body;

	TRY(req_body_all(rq, 1000, &body));
	res_body(rq, 200, "application/octet-stream", body);
	return ERR_NONE;
}

static enum err_kind
refuse(struct req *rq)
{
	return err_set(rq->c, ERR_UNAUTHENTICATED, "always");
}

/* /stream/N: N bytes in pieces; ?known=1 with a length, ?short=1 fails half-way. */
static enum err_kind
stream(struct req *rq)
{
	char piece[70000];
	const int64_t n = req_query_i64(rq, "bytes", 0, 1 << 30, 0);

	memset(piece, 'x', sizeof piece);
	if (req_query(rq, "known").p != NULL)
		res_length(rq, n);
	TRY(res_stream_begin(rq));
	for (int64_t at = 0; at < n;) {
		const size_t k = n - at > (int64_t)sizeof piece ? sizeof piece : (size_t)(n - at);
		if (req_query(rq, "short").p != NULL && at > n / 2)
			return err_set(rq->c, ERR_STORE, "the store is gone");
		TRY(res_stream_write(rq, piece, k));
		TRY(res_stream_flush(rq));
		at += (int64_t)k;
	}
	return ERR_NONE;
}

static enum err_kind
greedy(struct req *rq)
{
	for (;;)
		memset(arena_alloc(rq->c->mem, 10000), 1, 10000);
	return ERR_NONE;
}

static enum err_kind
big(struct req *rq)
{
	char *p = arena_alloc(rq->c->mem, 200000);

	memset(p, 'b', 200000);
	res_body(rq, 200, "text/plain", (struct str){ p, 200000 });
	return ERR_NONE;
}

static enum err_kind
no_content(struct req *rq)
{
	res_empty(rq, 204);
	return ERR_NONE;
}

static enum err_kind
send_file(struct req *rq)
{
	res_body(rq, 200, "application/octet-stream", STR(""));
	res_header(rq, "X-Sendfile", STR("/srv/blob"));
	return ERR_NONE;
}

static enum err_kind
silent(struct req *rq)
{
	(void)rq;
	return ERR_NONE;
}

static enum err_kind
metrics(struct req *rq)
{
	struct buf b = BUF(rq->c->mem);

	metrics_put(&b, rq->c->counters);
	res_body(rq, 200, "text/plain; version=0.0.4", buf_str(&b));
	return ERR_NONE;
}

const struct route FIXTURE_ROUTES[] = {
	{.id = "ping",	                                     .methods = HTTP_GET | HTTP_HEAD, .path = "/v2", .proto = PROTO_V2, .run = ping },
	{ .id = "show",
         .methods = HTTP_GET | HTTP_HEAD | HTTP_POST,
         .path = "/api/v1/show",
         .proto = PROTO_API,
         .run = show },
	{ .id = "upload",
         .methods = HTTP_PUT | HTTP_PATCH,
         .path = "/v2/<repo:repository>/blobs/uploads/<ref:uuid>",
         .proto = PROTO_V2,
         .perm = PERM_REPO_WRITE,
         .run = upload },
	{ .id = "refuse",
         .methods = HTTP_PUT | HTTP_PATCH,
         .path = "/v2/refuse",
         .proto = PROTO_V2,
         .run = refuse },
	{ .id = "echo",	                           .methods = HTTP_POST, .path = "/echo", .run = echo },
	{ .id = "stream",	                                      .methods = HTTP_GET | HTTP_HEAD, .path = "/stream", .run = stream },
	{ .id = "greedy",	                                  .methods = HTTP_GET, .path = "/v2/greedy", .proto = PROTO_V2, .run = greedy },
	{ .id = "big", .methods = HTTP_GET | HTTP_HEAD, .path = "/big", .run = big },
	{ .id = "empty",	                          .methods = HTTP_DELETE | HTTP_GET, .path = "/empty", .run = no_content },
	{ .id = "sendfile",	                                               .methods = HTTP_GET | HTTP_HEAD, .path = "/sendfile", .run = send_file },
	{ .id = "silent",                         .methods = HTTP_GET, .path = "/silent", .run = silent },
	{ .id = "metrics",	                                .methods = HTTP_GET, .path = "/metrics", .run = metrics, .mem_bytes = 4 << 20 },
	{ 0	                                              },
};

void
fixture_dispatch(struct req *rq)
{
	if (rq->route->run(rq) != ERR_NONE && !rq->res.sent)
		res_problem(rq);
}
