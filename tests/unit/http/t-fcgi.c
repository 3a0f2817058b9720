/* The transport and the loop against a client that speaks records by hand: what web servers send, and what they do when the
 * client behind them disappears. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/counters.h"
#include "base/digest.h"
#include "fcgi-bench.h"
#include "fixture.h"

static void
answers_and_heads(void **state)
{
	struct bench *b = *state;

	assert_true(fc_ask(b->path, "GET", "/v2/", NULL, &b->r));
	assert_int_equal(b->r.status, 200);
	assert_string_equal(b->r.body, "true");
	assert_true(b->r.ended);
	assert_string_equal(fc_header(&b->r, "Content-Length"), "4");
	assert_string_equal(fc_header(&b->r, "Content-Type"), "application/json");
	assert_string_equal(fc_header(&b->r, "Docker-Distribution-API-Version"), "registry/2.0");
	assert_string_equal(fc_header(&b->r, "X-Content-Type-Options"), "nosniff");
	assert_int_equal(strlen(fc_header(&b->r, "X-Request-Id")), 16);
	assert_true(fc_ask(b->path, "GET", "/v2", NULL, &b->r));
	assert_int_equal(b->r.status, 200);
}

/* HEAD: the headers of GET to the letter, but for the request id. */
static void
head_equals_get(void **state)
{
	static const char *const URI[] = { "/v2/", "/big", "/api/v1/show", "/stream?bytes=100000&known=1" };
	struct bench *b = *state;
	char get[8192], *id;

	for (size_t i = 0; i < sizeof URI / sizeof *URI; i++) {
		assert_true(fc_ask(b->path, "GET", URI[i], NULL, &b->r));
		if (i == 2) { /* the method is in its body: 3 letters against 4 */
			assert_true(fc_ask(b->path, "HEAD", URI[i], NULL, &b->r));
			assert_int_equal(b->r.body_bytes, 0);
			assert_true(strtol(fc_header(&b->r, "Content-Length"), NULL, 10) > 50);
			continue;
		}
		snprintf(get, sizeof get, "%s", b->r.head);
		assert_true(fc_ask(b->path, "HEAD", URI[i], NULL, &b->r));
		assert_int_equal(b->r.body_bytes, 0);
		for (char *h = get; h != NULL; h = h == get ? b->r.head : NULL) {
			id = strstr(h, "X-Request-Id: ");
			assert_non_null(id);
			memset(id + 14, '0', 16);
		}
		assert_string_equal(get, b->r.head);
	}
}

static void
no_length_where_none_belongs(void **state)
{
	struct bench *b = *state;

	assert_true(fc_ask(b->path, "DELETE", "/empty", NULL, &b->r));
	assert_int_equal(b->r.status, 204);
	assert_string_equal(fc_header(&b->r, "Content-Length"), "");
	assert_string_equal(fc_header(&b->r, "Content-Type"), "");
	assert_true(fc_ask(b->path, "GET", "/sendfile", NULL, &b->r));
	assert_string_equal(fc_header(&b->r, "Content-Length"), "");
	assert_string_equal(fc_header(&b->r, "X-Sendfile"), "/srv/blob");
}

static void
unknown_paths_and_methods(void **state)
{
	struct bench *b = *state;

	assert_true(fc_ask(b->path, "GET", "/nothing", NULL, &b->r));
	assert_int_equal(b->r.status, 404);
	assert_string_equal(b->r.body, "{\"error\":\"Not Found\"}");
	assert_true(fc_ask(b->path, "HEAD", "/nothing", NULL, &b->r));
	assert_int_equal(b->r.status, 404);
	assert_int_equal(b->r.body_bytes, 0);
	assert_true(fc_ask(b->path, "POST", "/nothing", "x", &b->r));
	assert_int_equal(b->r.status, 405);
	assert_true(fc_ask(b->path, "DELETE", "/v2/", NULL, &b->r));
	assert_int_equal(b->r.status, 405);
	assert_string_equal(fc_header(&b->r, "Allow"), "GET, HEAD, OPTIONS");
	assert_non_null(strstr(b->r.body, "\"code\":\"UNSUPPORTED\""));
	assert_true(fc_ask(b->path, "FOO", "/v2/", NULL, &b->r));
	assert_int_equal(b->r.status, 405);
	assert_true(fc_ask(b->path, "OPTIONS", "/api/v1/show", NULL, &b->r));
	assert_int_equal(b->r.status, 200);
	assert_string_equal(fc_header(&b->r, "Allow"), "GET, HEAD, POST, OPTIONS");
	assert_string_equal(fc_header(&b->r, "Access-Control-Allow-Origin"), "*");
	assert_true(fc_ask(b->path, "GET", "/v2/%00/blobs/uploads/x", NULL, &b->r));
	assert_int_equal(b->r.status, 400);
	assert_true(fc_ask(b->path, "GET", "/v2/a/%2e%2e/api/v1/show", NULL, &b->r));
	assert_int_equal(b->r.status, 404);
	assert_true(fc_ask(b->path, "GET", "/silent", NULL, &b->r));
	assert_int_equal(b->r.status, 500);
}

static void
parameters(void **state)
{
	struct bench *b = *state;
	const int fd = bench_start(
	    b, FC_RESPONDER, false,
	    PARAMS("REQUEST_METHOD", "POST", "SCRIPT_NAME", "/first", "SCRIPT_NAME", "/last", "REQUEST_URI",
	           "/wrong", "REQUEST_URI", "/api/v1/show?a=1", "HTTP_ACCEPT", "a/b", "HTTP_ACCEPT", "c/d",
	           "HTTP_COOKIE", "x=1", "HTTP_COOKIE", "y=2", "HTTP_PROXY", "evil", "REMOTE_USER", "root",
	           "HTTP_CONTENT_TYPE", "text/evil", "CONTENT_TYPE", "text/plain", "CONTENT_LENGTH", "",
	           "HTTP_TRANSFER_ENCODING", "chunked", "REMOTE_ADDR", "10.1.2.3", "HTTP_X_FORWARDED_FOR",
	           "1.1.1.1, 198.51.100.9, 10.9.9.9", "REDIRECT_HTTP_AUTHORIZATION", "Basic eA=="));

	assert_true(fc_body(fd, "hello", 5));
	assert_true(fc_body(fd, NULL, 0));
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 200);
	assert_non_null(strstr(b->r.body, "\"accept\":\"a/b, c/d\""));
	assert_non_null(strstr(b->r.body, "\"cookie\":\"x=1; y=2\""));
	assert_null(strstr(b->r.body, "evil"));
	assert_non_null(strstr(b->r.body, "\"type\":\"text/plain\""));
	assert_non_null(strstr(b->r.body, "\"client\":\"198.51.100.9\""));
	assert_non_null(strstr(b->r.body, "\"authorization\":\"Basic eA==\""));
	assert_non_null(strstr(b->r.body, "\"path\":\"/api/v1/show\""));
	assert_non_null(strstr(b->r.body, "\"query\":\"a=1\""));
	assert_non_null(strstr(b->r.body, "\"length\":-1"));
	assert_non_null(strstr(b->r.body, "\"chunked\":true"));
	assert_non_null(strstr(b->r.body, "\"base\":\"https://reg.example\""));
	assert_int_equal(b->r.body[b->r.body_bytes - 1], '\n');
}

#define UPLOAD "/v2/a/b/blobs/uploads/u1"

static int
start_upload(struct bench *b, const char *length)
{
	return bench_start(b, FC_RESPONDER, false,
	             PARAMS("REQUEST_METHOD", "PATCH", "REQUEST_URI", UPLOAD, "CONTENT_LENGTH", length,
	                    "HTTP_TRANSFER_ENCODING", length[0] == '\0' ? "chunked" : ""));
}

static void
bodies_arrive_whole(void **state)
{
	static char piece[1000000];
	struct bench *b = *state;
	uint8_t sum[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1], want[128];

	for (size_t i = 0; i < sizeof piece; i++)
		piece[i] = (char)(i * 7 + i / 251);
	digest_sha256((struct str){ piece, sizeof piece }, sum);
	hex_put(hex, sum, sizeof sum);
	snprintf(want, sizeof want, "\"sha256\":\"%s\"", hex);
	for (int chunked = 0; chunked < 2; chunked++) {
		const int fd = start_upload(b, chunked ? "" : "1000000");
		assert_true(fc_body(fd, piece, sizeof piece));
		assert_true(fc_body(fd, NULL, 0));
		fc_reply(fd, &b->r);
		close(fd);
		assert_int_equal(b->r.status, 201);
		assert_non_null(strstr(b->r.body, "\"bytes\":1000000"));
		assert_non_null(strstr(b->r.body, want));
	}
}

static void
cut_bodies_are_refused(void **state)
{
	struct bench *b = *state;
	uint64_t before = counters_get(b->lc.base.counters, CNT_CLIENT_GONE);
	int fd;

	/* the end comes before the length that was announced, and after it */
	for (int i = 0; i < 2; i++) {
		fd = start_upload(b, "10");
		assert_true(fc_body(fd, "0123456789abc", i == 0 ? 7 : 13));
		assert_true(fc_body(fd, NULL, 0));
		fc_reply(fd, &b->r);
		close(fd);
		assert_int_equal(b->r.status, 400);
		assert_non_null(strstr(b->r.body, "\"code\":\"SIZE_INVALID\""));
	}
	/* the client vanishes: the web server closes; with an abort record; with silence */
	fd = start_upload(b, "");
	assert_true(fc_body(fd, "0123456", 7));
	shutdown(fd, SHUT_WR);
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_not_equal(b->r.status, 201);
	fd = start_upload(b, "10");
	assert_true(fc_body(fd, "0123456", 7));
	assert_true(fc_record(fd, FC_ABORT, NULL, 0));
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_not_equal(b->r.status, 201);
	fd = start_upload(b, "10");
	assert_true(fc_body(fd, "0123456", 7));
	fc_reply(fd, &b->r); /* io_timeout_s is 1 here */
	close(fd);
	assert_int_equal(b->r.status, 400);
	/* each of them was counted; the last one is counted after its answer */
	assert_true(fc_ask(b->path, "GET", "/v2/", NULL, &b->r));
	assert_true(counters_get(b->lc.base.counters, CNT_CLIENT_GONE) >= before + 4);
}

static void
lengths_that_are_none(void **state)
{
	static const char *const BAD[] = { "-1", "1x", "99999999999999999999", " 5", "+5" };
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		const int fd = start_upload(b, BAD[i]);
		fc_body(fd, NULL, 0);
		fc_reply(fd, &b->r);
		close(fd);
		assert_int_equal(b->r.status, 400);
	}
}

/* The refusal comes while the client is still sending, and the connection closes soon. */
static void
refusal_without_reading(void **state)
{
	static char piece[65528];
	struct bench *b = *state;
	const int fd = bench_start(
	    b, FC_RESPONDER, false,
	    PARAMS("REQUEST_METHOD", "PATCH", "REQUEST_URI", "/v2/refuse", "CONTENT_LENGTH", "1000000000"));

	assert_true(fc_body(fd, piece, sizeof piece));
	fc_reply(fd, &b->r);
	assert_int_equal(b->r.status, 401);
	assert_true(b->r.ended);
	assert_string_equal(fc_header(&b->r, "WWW-Authenticate"),
	                    "Bearer realm=\"https://reg.example/v2/auth\",service=\"reg.example\"");
	while (fc_body(fd, piece, sizeof piece)) /* ends: what is sent now is not taken for ever */
		;
	close(fd);
}

static void
form_bodies_are_bounded(void **state)
{
	struct bench *b = *state;
	char body[1202];

	memset(body, 'a', sizeof body - 1);
	body[1000] = '\0';
	assert_true(fc_ask(b->path, "POST", "/echo", body, &b->r));
	assert_int_equal(b->r.status, 200);
	assert_int_equal(b->r.body_bytes, 1000);
	body[1000] = 'a';
	body[1001] = '\0';
	assert_true(fc_ask(b->path, "POST", "/echo", body, &b->r));
	assert_int_equal(b->r.status, 413);
	/* of unknown length */
	const int fd = bench_start(
	    b, FC_RESPONDER, false,
	    PARAMS("REQUEST_METHOD", "POST", "REQUEST_URI", "/echo", "HTTP_TRANSFER_ENCODING", "chunked"));
	assert_true(fc_body(fd, body, 1001));
	assert_true(fc_body(fd, NULL, 0));
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 413);
}

static void
authorizer_says_yes_or_no(void **state)
{
	struct bench *b = *state;
	int fd = bench_start(b, FC_AUTHORIZER, false, PARAMS("REQUEST_METHOD", "GET", "REQUEST_URI", "/v2/"));

	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 200);
	assert_string_equal(b->r.head, "Status: 200 OK");
	assert_int_equal(b->r.body_bytes, 0);
	fd = bench_start(b, FC_AUTHORIZER, false,
	           PARAMS("REQUEST_METHOD", "PATCH", "REQUEST_URI", "/v2/refuse", "HTTP_TRANSFER_ENCODING",
	                  "chunked"));
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 401);
	assert_non_null(strstr(b->r.body, "UNAUTHORIZED"));
	fd = bench_start(b, FC_FILTER, false, PARAMS("REQUEST_METHOD", "GET", "REQUEST_URI", "/v2/"));
	fc_body(fd, NULL, 0);
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 501);
}

static void
streams(void **state)
{
	struct bench *b = *state;

	assert_true(fc_ask(b->path, "GET", "/stream?bytes=1000001", NULL, &b->r));
	assert_int_equal(b->r.body_bytes, 1000001);
	assert_true(b->r.ended);
	assert_string_equal(fc_header(&b->r, "Content-Length"), "");
	for (size_t i = 0; i < b->r.body_bytes; i++)
		assert_int_equal(b->r.body[i], 'x');
	assert_true(fc_ask(b->path, "GET", "/stream?bytes=1000001&known=1", NULL, &b->r));
	assert_string_equal(fc_header(&b->r, "Content-Length"), "1000001");
	/* an answer that breaks off must not look whole */
	assert_true(fc_ask(b->path, "GET", "/stream?bytes=1000001&short=1", NULL, &b->r));
	assert_false(b->r.ended);
	assert_true(b->r.body_bytes < 1000001);
	assert_true(fc_ask(b->path, "GET", "/big", NULL, &b->r));
	assert_int_equal(b->r.body_bytes, 200000);
}

/* Nobody reads: the handler learns of it, the thread is free again. */
static void
reader_leaves(void **state)
{
	struct bench *b = *state;
	const uint64_t before = counters_get(b->lc.base.counters, CNT_CLIENT_GONE);

	for (int i = 0; i < 4; i++) { /* more than there are threads */
		const int fd =
		    bench_start(b, FC_RESPONDER, false,
		          PARAMS("REQUEST_METHOD", "GET", "REQUEST_URI", "/stream?bytes=1000000000"));
		char byte;
		assert_int_equal(read(fd, &byte, 1), 1);
		close(fd);
	}
	for (int i = 0; i < 4; i++)
		assert_true(fc_ask(b->path, "GET", "/v2/", NULL, &b->r));
	assert_int_equal(b->r.status, 200);
	assert_true(counters_get(b->lc.base.counters, CNT_CLIENT_GONE) >= before + 3);
}

static void
memory_ends_the_request_only(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 3; i++) {
		assert_true(fc_ask(b->path, "GET", "/v2/greedy", NULL, &b->r));
		assert_int_equal(b->r.status, 503);
		assert_non_null(strstr(b->r.body, "\"errors\""));
	}
	assert_true(counters_get(b->lc.base.counters, CNT_ARENA_FULL) >= 3);
	assert_true(fc_ask(b->path, "GET", "/v2/", NULL, &b->r));
	assert_int_equal(b->r.status, 200);
}

static void
huge_parameters(void **state)
{
	struct bench *b = *state;
	char *value = malloc(400001);
	int fd;

	memset(value, 'v', 400000);
	value[400000] = '\0';
	fd = bench_start(b, FC_RESPONDER, false,
	           PARAMS("REQUEST_METHOD", "GET", "REQUEST_URI", "/v2/", "HTTP_X", value));
	fc_body(fd, NULL, 0);
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 431);
	value[100000] = '\0';
	fd = bench_start(b, FC_RESPONDER, false,
	           PARAMS("REQUEST_METHOD", "GET", "REQUEST_URI", "/v2/", "HTTP_X", value));
	fc_body(fd, NULL, 0);
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 431);
	value[0] = '/';
	value[20000] = '\0';
	fd = bench_start(b, FC_RESPONDER, false, PARAMS("REQUEST_METHOD", "GET", "REQUEST_URI", value));
	fc_body(fd, NULL, 0);
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 414);
	free(value);
}

/* A kept connection serves again, and does not stop the process from ending (bench_close). */
static void
kept_connections(void **state)
{
	struct bench *b = *state;
	const int fd = fc_connect(b->path);

	for (int i = 0; i < 3; i++) {
		assert_true(fc_begin(fd, FC_RESPONDER, true));
		assert_true(fc_params(
		    fd, PARAMS("REQUEST_METHOD", "POST", "REQUEST_URI", "/echo", "CONTENT_LENGTH", "2")));
		assert_true(fc_body(fd, "ok", 2));
		assert_true(fc_body(fd, NULL, 0));
		fc_reply(fd, &b->r);
		assert_string_equal(b->r.body, "ok");
	}
	close(fd);
}

/* httpd may write the end of an empty body when it has the whole answer already. */
static void
late_end_of_no_body(void **state)
{
	struct bench *b = *state;

	for (int keep = 0; keep <= 1; keep++) {
		const int fd =
		    bench_start(b, FC_RESPONDER, keep != 0, PARAMS("REQUEST_METHOD", "GET", "REQUEST_URI", "/v2"));

		fc_reply(fd, &b->r);
		assert_int_equal(b->r.status, 200);
		assert_true(b->r.ended);
		assert_true(fc_body(fd, NULL, 0));
		close(fd);
	}
}

static void
garbage(void **state)
{
	struct bench *b = *state;
	unsigned char junk[4096];
	uint32_t seed = 12345;

	for (int i = 0; i < 200; i++) {
		const int fd = fc_connect(b->path);
		for (size_t k = 0; k < sizeof junk; k++) {
			seed = seed * 1664525 + 1013904223;
			junk[k] = (unsigned char)(seed >> 24 & (i % 3 == 1 ? 0x7f : 0xff));
		}
		if (i % 3 == 0)
			junk[0] = 1;
		if (i % 6 == 1) /* a megabyte is announced for a name and never comes */
			memcpy(junk, "\x80\x10\0\0\x80\x10\0\0", 8);
		if (i % 3 == 1) { /* good records, bad lengths inside */
			fc_begin(fd, FC_RESPONDER, false);
			fc_record(fd, FC_PARAMS, junk, 1 + seed % 512);
			fc_record(fd, FC_PARAMS, NULL, 0);
		} else {
			fc_record(fd, i % 12, junk, sizeof junk);
		}
		close(fd);
	}
	assert_true(fc_ask(b->path, "GET", "/v2/", NULL, &b->r));
	assert_int_equal(b->r.status, 200);
}

static void
metrics_text(void **state)
{
	struct bench *b = *state;

	assert_true(fc_ask(b->path, "GET", "/metrics", NULL, &b->r));
	assert_int_equal(b->r.status, 200);
	assert_non_null(strstr(b->r.body, "\nkade_http_requests_total{route=\"ping\",code=\"2xx\"} "));
	assert_non_null(
	    strstr(b->r.body, "kade_http_request_duration_seconds_bucket{route=\"ping\",le=\"+Inf\"} "));
	assert_non_null(strstr(b->r.body, "kade_worker_requests_in_flight{pool=\"api\",pid=\""));
	assert_non_null(strstr(
	    b->r.body, "quay_registry_image_pulls_total{protocol=\"v2\",ref=\"tag\",status=\"200\"} 0\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_and_heads),
		cmocka_unit_test(head_equals_get),
		cmocka_unit_test(no_length_where_none_belongs),
		cmocka_unit_test(unknown_paths_and_methods),
		cmocka_unit_test(parameters),
		cmocka_unit_test(bodies_arrive_whole),
		cmocka_unit_test(cut_bodies_are_refused),
		cmocka_unit_test(lengths_that_are_none),
		cmocka_unit_test(refusal_without_reading),
		cmocka_unit_test(form_bodies_are_bounded),
		cmocka_unit_test(authorizer_says_yes_or_no),
		cmocka_unit_test(streams),
		cmocka_unit_test(reader_leaves),
		cmocka_unit_test(memory_ends_the_request_only),
		cmocka_unit_test(huge_parameters),
		cmocka_unit_test(kept_connections),
		cmocka_unit_test(late_end_of_no_body),
		cmocka_unit_test(garbage),
		cmocka_unit_test(metrics_text),
	};

	return cmocka_run_group_tests_name("http/fcgi", tests, bench_open, bench_close);
}
