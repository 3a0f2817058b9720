/* Parameters as a web server could send them, NUL between name and value and behind each value: headers are lower case, met
 * once, and lengths are sane; then the router sees the path. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "http/client-addr.h"
#include "http/fcgi.h"
#include "http/head.h"
#include "http/http-conf.h"
#include "http/incoming.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"
#include "http/uri.h"

#define PARAMS_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum err_kind
run(struct req *rq)
{
	(void)rq;
	return ERR_NONE;
}

static const struct route ROUTES[] = {
	{.id = "a",
         .methods = HTTP_GET,
         .path = "/v2/<repo:r>/blobs/<ref:d>",
         .proto = PROTO_V2,
         .run = run },
	{ .id = "b",
         .methods = HTTP_POST,
         .path = "/v2/<repo:r>/blobs/uploads",
         .proto = PROTO_V2,
         .run = run },
	{ .id = "c",
         .methods = HTTP_GET,
         .path = "/api/v1/repository/<repopath:r>/tag/<int:t>",
         .proto = PROTO_API,
         .run = run },
	{ .id = "d",	                   .methods = HTTP_PUT, .path = "/x/<name:r>", .run = run },
	{ 0},
};

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static size_t
split(struct str rest, struct fcgi_param *out)
{
	size_t n = 0;

	while (rest.n > 0 && n < PARAMS_MAX) {
		str_cut(rest, '\0', &out[n].name, &rest);
		str_cut(rest, '\0', &out[n].value, &rest);
		n++;
	}
	return n;
}

static void
check_request(const struct req *rq)
{
	must(rq->content_length >= -1);
	for (size_t i = 0; i < rq->n_headers; i++) {
		for (const char *p = rq->headers[i].name; *p != '\0'; p++)
			must(*p != '_' && (*p < 'A' || *p > 'Z'));
		for (size_t k = 0; k < i; k++)
			must(strcmp(rq->headers[i].name, rq->headers[k].name) != 0);
		must(strcmp(rq->headers[i].name, "proxy") != 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct route *const TABLES[] = { ROUTES, NULL };
	struct fcgi_param *p = calloc(PARAMS_MAX, sizeof *p);
	struct ctx c = { .mem = arena_new(0) };
	struct cidr proxy = { .bits = 0 };
	const struct http_conf http = {
		.scheme = "https", .host = "h", .mount = "", .trusted = &proxy, .n_trusted = 1
	};
	struct req rq = { .c = &c, .http = &http, .content_length = -1, .res.length = -1 };
	struct buf head = BUF(c.mem);
	struct uri uri = { .n = -1 };
	char why[200];
	struct router *r = router_build(TABLES, why, sizeof why);

	must(p != NULL && r != NULL);
	if (req_take(&rq, p, split((struct str){ (const char *)data, n }, p), &uri) == ERR_NONE)
		router_match(r, &rq, &uri);
	else
		res_problem(&rq);
	check_request(&rq);
	if (rq.res.status == 0)
		res_empty(&rq, 200);
	head_put(&rq, &head);
	must(head.n > 4 && memcmp(head.p + head.n - 4, "\r\n\r\n", 4) == 0);
	router_free(r);
	arena_free(c.mem);
	free(p);
	return 0;
}
