/* Heads and error bodies of each protocol family. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "http/access-log.h"
#include "http/head.h"
#include "http/http-conf.h"
#include "http/response.h"

struct bench {
	struct ctx c;
	struct http_conf http;
	struct req rq;
};

static int
open_bench(void **state)
{
	static struct bench b;

	b = (struct bench){
		.c = {.mem = arena_new(0),         .id = "0123456789abcdef"},
		.http = { .scheme = "https", .host = "reg.example:8443",              .mount = "" }
	};
	b.rq = (struct req){ .c = &b.c, .http = &b.http, .method = HTTP_GET, .res.length = -1 };
	*state = &b;
	return 0;
}

static int
close_bench(void **state)
{
	arena_free(((struct bench *)*state)->c.mem);
	return 0;
}

static const char *
body(struct bench *b)
{
	return str_dup(b->c.mem, b->rq.res.body);
}

static const char *
head(struct bench *b)
{
	struct buf t = BUF(b->c.mem);

	if (b->rq.res.length < 0)
		b->rq.res.length = (int64_t)b->rq.res.body.n;
	head_put(&b->rq, &t);
	return buf_cstr(&t);
}

static const char *
problem(struct bench *b, enum proto proto, enum err_kind k)
{
	b->rq.proto = proto;
	b->rq.res = (struct res){ .length = -1 };
	err_set(&b->c, k, "secret detail for the log");
	res_problem(&b->rq);
	assert_null(strstr(body(b), "secret"));
	json_t *j = json_loads(body(b), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	json_decref(j);
	return body(b);
}

static void
v2_bodies(void **state)
{
	static const struct say SAY = { 404, "BLOB_UNKNOWN", "blob unknown to registry" };
	struct bench *b = *state;

	assert_string_equal(
	    problem(b, PROTO_V2, ERR_NOT_FOUND),
	    "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"repository name not known to registry\","
	    "\"detail\":{}}]}");
	assert_non_null(
	    strstr(problem(b, PROTO_V2, ERR_READ_ONLY), ",\"detail\":{},\"is_readonly\":true}]}"));
	assert_int_equal(b->rq.res.status, 405);
	err_say(&b->c, ERR_NOT_FOUND, &SAY);
	err_detail(&b->c, "{\"digest\":\"sha256:x\"}");
	res_problem(&b->rq);
	assert_string_equal(
	    body(b), "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"blob unknown to registry\","
	             "\"detail\":{\"digest\":\"sha256:x\"}}]}");
	assert_non_null(strstr(head(b), "\r\nDocker-Distribution-API-Version: registry/2.0\r\n"));
	assert_non_null(strstr(head(b), "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(head(b), "\r\nX-Request-Id: 0123456789abcdef\r\n"));
	assert_null(strstr(head(b), "WWW-Authenticate"));
}

static void
challenges(void **state)
{
	static const struct route READ = { .id = "r", .perm = PERM_REPO_READ },
	                          WRITE = { .id = "w", .perm = PERM_REPO_WRITE };
	struct bench *b = *state;

	problem(b, PROTO_V2, ERR_UNAUTHENTICATED);
	assert_non_null(strstr(head(b),
	                       "\r\nWWW-Authenticate: Bearer realm=\"https://reg.example:8443/v2/auth\","
	                       "service=\"reg.example:8443\"\r\n"));
	b->rq.route = &READ;
	b->rq.ns = STR("devtable");
	b->rq.repo = STR("a/b");
	problem(b, PROTO_V2, ERR_UNAUTHENTICATED);
	assert_non_null(strstr(head(b), ",scope=\"repository:devtable/a/b:pull\"\r\n"));
	b->rq.route = &WRITE;
	problem(b, PROTO_V2, ERR_UNAUTHENTICATED);
	assert_non_null(strstr(head(b), ",scope=\"repository:devtable/a/b:pull,push\"\r\n"));
	b->rq.repo = STR("a\",x=\"y");
	problem(b, PROTO_V2, ERR_UNAUTHENTICATED);
	assert_null(strstr(head(b), "scope"));
	problem(b, PROTO_API, ERR_UNAUTHENTICATED);
	assert_null(strstr(head(b), "WWW-Authenticate"));
}

static void
api_bodies(void **state)
{
	static const struct say SAY = { 400, "invalid_request", "Bad \"name\"" };
	struct bench *b = *state;

	assert_string_equal(
	    problem(b, PROTO_API, ERR_UNAUTHENTICATED),
	    "{\"detail\":\"Requires authentication\",\"error_message\":\"Requires authentication\","
	    "\"error_type\":\"invalid_token\",\"title\":\"invalid_token\","
	    "\"type\":\"https://reg.example:8443/api/v1/error/invalid_token\",\"status\":401}\n");
	assert_non_null(
	    strstr(problem(b, PROTO_API, ERR_READ_ONLY), "\"message\":\"System is currently read-only."));
	assert_non_null(strstr(body(b), "\"is_readonly\":true"));
	assert_int_equal(b->rq.res.status, 503);
	err_say(&b->c, ERR_BAD_INPUT, &SAY);
	err_detail(&b->c, "{\"reason\":\"x\"}");
	res_problem(&b->rq);
	assert_non_null(strstr(body(b), "\"detail\":\"Bad \\\"name\\\"\","));
	assert_non_null(strstr(body(b), "\"status\":400,\"reason\":\"x\"}\n"));
}

static void
other_bodies(void **state)
{
	struct bench *b = *state;

	assert_string_equal(problem(b, PROTO_V1, ERR_DENIED), "{\"error\":\"Unauthorized\"}");
	assert_string_equal(problem(b, PROTO_SITE, ERR_NOT_FOUND), "{\"error\":\"Not Found\"}");
	assert_non_null(strstr(problem(b, PROTO_V1, ERR_READ_ONLY), "{\"message\":\"System is"));
	assert_int_equal(b->rq.res.status, 503);
	assert_string_equal(
	    problem(b, PROTO_CNR, ERR_DENIED),
	    "{\"error\":{\"code\":\"forbidden\",\"message\":\"Unauthorized\",\"details\":{}}}");
	problem(b, PROTO_CNR, ERR_READ_ONLY);
	assert_int_equal(b->rq.res.status, 405);
	/* every kind has a body in every family */
	for (int p = PROTO_SITE; p <= PROTO_API; p++) {
		for (int k = ERR_BAD_INPUT; k < ERR_KINDS; k++) {
			problem(b, (enum proto)p, (enum err_kind)k);
			assert_true(b->rq.res.status >= 400);
		}
	}
}

static void
retry_after_and_kept_headers(void **state)
{
	struct bench *b = *state;

	b->rq.proto = PROTO_V2;
	res_header(&b->rq, "Range", STR("0-9"));
	res_header(&b->rq, "Content-Encoding", STR("gzip"));
	err_set(&b->c, ERR_RATE, "x");
	err_retry_after(&b->c, 17);
	res_problem(&b->rq);
	assert_int_equal(b->rq.res.status, 429);
	assert_non_null(strstr(head(b), "\r\nRetry-After: 17\r\n"));
	assert_non_null(strstr(head(b), "\r\nRange: 0-9\r\n"));
	assert_null(strstr(head(b), "gzip"));
}

static void
header_values_cannot_break_out(void **state)
{
	struct bench *b = *state;

	res_body(&b->rq, 200, "text/plain", STR("x"));
	res_header(&b->rq, "X-A", STR("1\r\nSet-Cookie: evil=1\n\nbody"));
	res_headerf(&b->rq, "Location", "/x/%s", "y\r\nX: 1");
	assert_non_null(strstr(head(b), "\r\nX-A: 1Set-Cookie: evil=1body\r\n"));
	assert_non_null(strstr(head(b), "\r\nLocation: /x/yX: 1\r\n"));
	res_header_set(&b->rq, "x-a", STR("2"));
	assert_null(strstr(head(b), "evil"));
}

static void
origins(void **state)
{
	static const char *const ANY[] = { "*" }, *const ONE[] = { "https://a.example" },
	                         *const TWO[] = { "https://a.example", "https://b.example" };
	const struct header asked = { "origin", STR("https://b.example") },
	                    stranger = { "origin", STR("https://b.exampl") };
	struct bench *b = *state;

	b->rq.proto = PROTO_API;
	b->rq.headers = &asked;
	b->rq.n_headers = 1;
	res_empty(&b->rq, 200);
	assert_non_null(strstr(head(b), "\r\nAccess-Control-Allow-Origin: *\r\n"));
	b->http.cors_origins = (struct str_list){ ANY, 1 };
	assert_non_null(strstr(head(b), "\r\nAccess-Control-Allow-Origin: *\r\n"));
	assert_null(strstr(head(b), "Allow-Credentials"));
	b->http.cors_origins = (struct str_list){ ONE, 1 };
	assert_non_null(strstr(head(b), "\r\nAccess-Control-Allow-Origin: https://a.example\r\n"));
	assert_non_null(strstr(head(b), "\r\nAccess-Control-Allow-Credentials: true\r\n"));
	b->http.cors_origins = (struct str_list){ TWO, 2 };
	assert_non_null(strstr(head(b), "\r\nAccess-Control-Allow-Origin: https://b.example\r\n"));
	b->rq.headers = &stranger;
	assert_non_null(strstr(head(b), "\r\nAccess-Control-Allow-Origin: *\r\n"));
	assert_null(strstr(head(b), "Allow-Credentials"));
	b->rq.proto = PROTO_V2;
	assert_null(strstr(head(b), "Access-Control"));
}

static void
queries(void **state)
{
	struct bench *b = *state;
	struct str all[4];

	b->rq.query = STR("n=7&big=99999999999999999999&neg=-5&t=a%2Fb+c&t=2&e=&n=8");
	assert_int_equal(req_query_i64(&b->rq, "n", 1, 100, 50), 7);
	assert_int_equal(req_query_i64(&b->rq, "n", 10, 100, 50), 10);
	assert_int_equal(req_query_i64(&b->rq, "neg", 1, 100, 50), 1);
	assert_int_equal(req_query_i64(&b->rq, "big", 1, 100, 50), 50);
	assert_int_equal(req_query_i64(&b->rq, "absent", 1, 100, 50), 50);
	assert_int_equal(req_query_i64(&b->rq, "e", 1, 100, 50), 50);
	assert_true(str_eq_c(req_query(&b->rq, "t"), "a/b c"));
	assert_int_equal(req_query_all(&b->rq, "t", all, 4), 2);
	assert_true(str_eq_c(all[1], "2"));
	assert_non_null(req_query(&b->rq, "e").p);
	assert_null(req_query(&b->rq, "x").p);
}

static void
access_modes(void **state)
{
	struct http_conf h = { 0 };

	(void)state;
	assert_true(access_parse(STR("off"), &h));
	assert_false(access_wanted(&h, 404, 10, 0));
	assert_true(access_wanted(&h, 500, 10, 0));
	assert_true(access_wanted(&h, 200, 6000000, 0));
	assert_true(access_parse(STR("errors"), &h));
	assert_false(access_wanted(&h, 404, 10, 0)); /* usual */
	assert_true(access_wanted(&h, 403, 10, 0));
	assert_true(access_wanted(&h, 429, 10, 0));
	assert_false(access_wanted(&h, 200, 10, 0));
	assert_true(access_parse(STR("sampled:10"), &h));
	assert_true(access_wanted(&h, 200, 10, 20));
	assert_false(access_wanted(&h, 200, 10, 21));
	assert_true(access_parse(STR("all"), &h));
	assert_true(access_wanted(&h, 200, 10, 1));
	assert_false(access_parse(STR("sampled:0"), &h));
	assert_false(access_parse(STR("sampled"), &h));
	assert_false(access_parse(STR("yes"), &h));
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)
int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(v2_bodies),
		T(challenges),
		T(api_bodies),
		T(other_bodies),
		T(retry_after_and_kept_headers),
		T(header_values_cannot_break_out),
		T(origins),
		T(queries),
		T(access_modes),
	};

	return cmocka_run_group_tests_name("http/answer", tests, NULL, NULL);
}
