/* The HTTP client against a real server: requests, bodies, limits, time-outs, redirects, the SSRF guard,
 * proxies. */
#include "context.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/js.h"
#include "net/http-client.h"
#include "net/ssrf.h"
#include "server.h"
#include "web.h"

struct run {
	struct ctx c;
	struct web web;
	struct hc_shared *shared;
	struct hc_client *h;
	int port, other;
};
static struct run R;

static int
begin(void **state)
{
	(void)state;
	R.c = t_ctx();
	/* a proxy of the environment must never be used: nobody is there */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	web_dir(&R.web);
	if (web_start(&R.web, (const char *const[]){ "one", "two", NULL })) {
		R.port = web_port(&R.web, "one");
		R.other = web_port(&R.web, "two");
	}
	assert_ok(&R.c, hc_shared_new(&R.c, &(struct hc_conf){ 0 }, &R.shared));
	R.h = hc_client_new(R.shared);
	return R.h == NULL ? -1 : 0;
}

static int
end(void **state)
{
	(void)state;
	arena_reset(R.c.mem, 0);
	hc_client_free(R.h);
	hc_shared_free(R.shared);
	web_stop(&R.web);
	arena_free(R.c.mem);
	return 0;
}

static const char *
at(const char *path)
{
	return str_fmt(R.c.mem, "http://127.0.0.1:%d%s", R.port, path);
}

static json_t *
echo(struct hc_request rq, struct hc_result *r)
{
	json_t *o = NULL;

	assert_ok(&R.c, hc_perform(&R.c, R.h, &rq, r));
	assert_int_equal(r->status, 200);
	assert_ok(&R.c, js_parse(&R.c, r->body, &JS_API, &o));
	return o;
}

static void
methods_and_bodies(void **state)
{
	static const char *const M[] = { "GET", "PUT", "POST", "DELETE", "PATCH" };
	const struct hc_header heads[] = {
		{STR("X-Meta"),   STR("a b"), false},
                { STR("X-Empty"), STR(""),    false}
	};
	struct hc_result r;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		json_t *o = echo(
		    (struct hc_request){
		        .method = M[i], .url = at("/echo?a=%2f../b"), .headers = heads, .n_headers = 2 },
		    &r);
		assert_true(str_eq_c(js_str(o, "method"), M[i]));
		assert_true(str_eq_c(js_str(o, "target"), "/echo?a=%2f../b"));
		const json_t *h = json_object_get(o, "headers");
		assert_true(str_eq_c(js_str(h, "x-meta"), "a b"));
		assert_non_null(json_object_get(h, "x-empty"));
		assert_null(json_object_get(h, "expect"));
		assert_true(str_eq_c(js_str(h, "user-agent"), "Kade"));
		assert_true(str_eq_c(js_str(h, "content-length"), "0") == (M[i][0] == 'P'));
		o = echo((struct hc_request){ .method = M[i], .url = at("/echo"), .body = STR("payload") },
		         &r);
		assert_true(str_eq_c(js_str(o, "body"), "payload"));
	}
	assert_true(str_eq_c(hc_header_of(&r, "X-ONE"), "a b"));
	assert_non_null(hc_header_of(&r, "x-two").p);
	assert_null(hc_header_of(&r, "x-three").p);
	assert_true(r.total_us > 0 && r.sent_bytes == 7);
	assert_ok(
	    &R.c,
	    hc_perform(&R.c, R.h, &(struct hc_request){ .method = "HEAD", .url = at("/big?n=5000000") }, &r));
	assert_true(str_eq_c(hc_header_of(&r, "content-length"), "5000000"));
	assert_int_equal(r.body.n, 0);
	assert_ok(&R.c, hc_perform(&R.c, R.h, &(struct hc_request){ .url = at("/nothing") }, &r));
	assert_int_equal(r.status, 404);
	assert_true(str_eq_c(r.body, "not here"));
}

static void
connections_are_reused(void **state)
{
	struct hc_result r;
	const int64_t first = js_i64(echo((struct hc_request){ .url = at("/echo") }, &r), "peer", 0);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(js_i64(echo((struct hc_request){ .url = at("/echo") }, &r), "peer", 0),
		                 first);
}

static void
forbidden_headers(void **state)
{
	const struct hc_header bad[] = {
		{STR("X-A"),   STR("b\r\nX-Evil: 1"), false},
		{ STR("X A"),  STR("b"),              false},
		{ STR("X-A:"), STR("b"),              false},
		{ STR(""),     STR("b"),              false},
		{ STR("X-A"),  STR("b\0c"),           false}
	};
	struct hc_result r;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(
		    hc_perform(&R.c, R.h,
		               &(struct hc_request){ .url = at("/echo"), .headers = &bad[i], .n_headers = 1 },
		               &r),
		    ERR_BAD_INPUT);
}

struct flow {
	size_t at, size;
	int rewinds;
	size_t fail_at;
	size_t got;
	bool wrong;
};

static ssize_t
flow_read(void *arg, char *p, size_t cap)
{
	struct flow *f = arg;
	const size_t n = cap < f->size - f->at ? cap : f->size - f->at;

	if (f->fail_at > 0 && f->at >= f->fail_at)
		return -1;
	memset(p, 'q', n);
	f->at += n;
	return (ssize_t)n;
}

static bool
flow_rewind(void *arg)
{
	struct flow *f = arg;

	f->at = 0;
	f->rewinds++;
	return true;
}

static bool
flow_sink(void *arg, const char *p, size_t n)
{
	struct flow *f = arg;

	f->got += n;
	for (size_t i = 0; i < n; i++)
		f->wrong = f->wrong || (p[i] != 'x' && p[i] != 'y');
	return f->fail_at == 0 || f->got < f->fail_at;
}

static void
sources(void **state)
{
	struct flow f = { .size = 100000 };
	const struct hc_source known = { flow_read, flow_rewind, &f, 100000 },
	                       chunked = { flow_read, NULL, &f, -1 };
	struct hc_result r;
	json_t *o;

	(void)state;
	o = echo((struct hc_request){ .method = "PUT", .url = at("/echo"), .source = &known }, &r);
	assert_int_equal(js_str(o, "body").n, 100000);
	assert_true(str_eq_c(js_str(json_object_get(o, "headers"), "content-length"), "100000"));
	f.at = 0;
	o = echo((struct hc_request){ .method = "POST", .url = at("/echo"), .source = &chunked }, &r);
	assert_int_equal(js_str(o, "body").n, 100000);
	assert_true(str_eq_c(js_str(json_object_get(o, "headers"), "transfer-encoding"), "chunked"));
	f.at = 0;
	o = echo((struct hc_request){ .method = "PUT",
	                              .url = at(str_fmt(R.c.mem, "/redirect?status=307&to=%s", "/echo")),
	                              .source = &known,
	                              .max_redirects = 1 },
	         &r);
	assert_int_equal(js_str(o, "body").n, 100000);
	assert_int_equal(f.rewinds, 1);
	f.at = 0;
	assert_int_equal(hc_perform(&R.c, R.h,
	                            &(struct hc_request){ .method = "PUT",
	                                                  .url = at("/redirect?status=307&to=/echo"),
	                                                  .source = &chunked,
	                                                  .max_redirects = 1 },
	                            &r),
	                 ERR_UPSTREAM);
	assert_int_equal(r.error, HC_REDIRECTS);
	f = (struct flow){ .size = 5000000, .fail_at = 1000 };
	assert_int_equal(
	    hc_perform(&R.c, R.h,
	               &(struct hc_request){ .method = "PUT", .url = at("/echo"), .source = &chunked }, &r),
	    ERR_CLIENT_GONE);
	assert_int_equal(r.error, HC_GIVEN_UP);
}

static void
sinks(void **state)
{
	struct flow f = { 0 };
	struct hc_result r;

	(void)state;
	assert_ok(&R.c, hc_perform(&R.c, R.h,
	                           &(struct hc_request){
	                               .url = at("/big?n=3000000"), .sink = flow_sink, .sink_arg = &f },
	                           &r));
	assert_int_equal(f.got, 3000000);
	assert_int_equal(r.body.n, 0);
	assert_ok(&R.c, hc_perform(&R.c, R.h,
	                           &(struct hc_request){
	                               .url = at("/chunked?n=300000"), .sink = flow_sink, .sink_arg = &f },
	                           &r));
	assert_int_equal(f.got, 3300000);
	assert_false(f.wrong);
	assert_ok(&R.c,
	          hc_perform(&R.c, R.h,
	                     &(struct hc_request){ .url = at("/gone"), .sink = flow_sink, .sink_arg = &f },
	                     &r));
	assert_int_equal(f.got, 3300000); /* an error's body goes to memory */
	assert_true(str_eq_c(r.body, "not here"));
	f = (struct flow){ 0 };
	assert_int_equal(hc_perform(&R.c, R.h,
	                            &(struct hc_request){ .url = at("/chunked?n=300000"),
	                                                  .sink = flow_sink,
	                                                  .sink_arg = &f,
	                                                  .max_sink_bytes = 299999 },
	                            &r),
	                 ERR_UPSTREAM);
	assert_int_equal(r.error, HC_TOO_LARGE);
	assert_true(f.got <= 299999);
	f = (struct flow){ .fail_at = 1000 };
	assert_int_equal(
	    hc_perform(&R.c, R.h,
	               &(struct hc_request){ .url = at("/big?n=3000000"), .sink = flow_sink, .sink_arg = &f },
	               &r),
	    ERR_CLIENT_GONE);
}

static void
body_limits(void **state)
{
	struct hc_result r;
	struct ctx small = R.c;

	(void)state;
	assert_ok(&R.c, hc_perform(&R.c, R.h, &(struct hc_request){ .url = at("/big?n=1048576") }, &r));
	assert_int_equal(r.body.n, 1048576);
	assert_int_equal(hc_perform(&R.c, R.h, &(struct hc_request){ .url = at("/big?n=1048577") }, &r),
	                 ERR_UPSTREAM);
	assert_int_equal(r.error, HC_TOO_LARGE);
	assert_ok(&R.c,
	          hc_perform(&R.c, R.h,
	                     &(struct hc_request){ .url = at("/chunked?n=5000"), .max_body_bytes = 5000 },
	                     &r));
	assert_int_equal(r.body.n, 5000);
	assert_int_equal(
	    hc_perform(&R.c, R.h,
	               &(struct hc_request){ .url = at("/chunked?n=5001"), .max_body_bytes = 5000 }, &r),
	    ERR_UPSTREAM);
	assert_ok(&R.c, hc_perform(&R.c, R.h,
	                           &(struct hc_request){ .url = at("/big?n=9000&status=500"),
	                                                 .max_body_bytes = 100 },
	                           &r));
	assert_int_equal(r.status, 500);
	assert_int_equal(r.body.n, 100);
	assert_true(r.is_cut);
	assert_int_equal(hc_perform(&R.c, R.h, &(struct hc_request){ .url = at("/heads?n=300") }, &r),
	                 ERR_UPSTREAM);
	const char *url = at("/big?n=500000");
	small.mem = arena_new(100000); /* a full arena inside a callback ends the transfer, not the process */
	assert_int_equal(hc_perform(&small, R.h, &(struct hc_request){ .url = url }, &r), ERR_BUSY);
	assert_int_equal(r.error, HC_MEMORY);
	arena_free(small.mem);
}

static void
time_outs(void **state)
{
	struct hc_result r;

	(void)state;
	assert_int_equal(
	    hc_perform(&R.c, R.h, &(struct hc_request){ .url = at("/slow"), .total_timeout_ms = 300 }, &r),
	    ERR_UPSTREAM);
	assert_int_equal(r.error, HC_TIMEOUT);
	assert_int_equal(r.status, 200);
	assert_int_equal(
	    hc_perform(&R.c, R.h, &(struct hc_request){ .url = at("/silent"), .total_timeout_ms = 300 }, &r),
	    ERR_UPSTREAM);
	assert_int_equal(r.error, HC_TIMEOUT);
	assert_int_equal(hc_perform(&R.c, R.h,
	                            &(struct hc_request){ .url = at("/slow"),
	                                                  .total_timeout_ms = -1,
	                                                  .low_speed_s = 1,
	                                                  .low_speed_bytes_s = 100 },
	                            &r),
	                 ERR_UPSTREAM);
	assert_int_equal(r.error, HC_TIMEOUT);
}

static void
broken_answers(void **state)
{
	struct hc_result r;

	(void)state;
	assert_int_equal(hc_perform(&R.c, R.h, &(struct hc_request){ .url = at("/cut") }, &r), ERR_UPSTREAM);
	assert_int_equal(r.error, HC_PROTOCOL);
	assert_int_equal(
	    hc_perform(&R.c, R.h, &(struct hc_request){ .url = at("/garbage?token=s3cret") }, &r),
	    ERR_UPSTREAM);
	assert_null(strstr(R.c.err.text, "s3cret"));
	assert_has(R.c.err.text, str_fmt(R.c.mem, "http://127.0.0.1:%d: ", R.port));
	assert_int_equal(
	    hc_perform(&R.c, R.h, &(struct hc_request){ .url = "http://no-such-host.invalid/" }, &r),
	    ERR_UPSTREAM);
	assert_int_equal(r.error, HC_DNS);
	assert_int_equal(
	    hc_perform(&R.c, R.h,
	               &(struct hc_request){ .url = str_fmt(R.c.mem, "http://127.0.0.1:%d/", srv_port()) },
	               &r),
	    ERR_UPSTREAM);
	assert_int_equal(r.error, HC_CONNECT);
	static const char *const BAD[] = { "ftp://127.0.0.1/", "file:///etc/passwd", "", "127.0.0.1",
		                           "http://",          "http://a b/" };
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		assert_int_equal(hc_perform(&R.c, R.h, &(struct hc_request){ .url = BAD[i] }, &r),
		                 ERR_BAD_INPUT);
		assert_int_equal(r.error, HC_BAD_URL);
	}
	assert_int_equal(
	    hc_perform(&R.c, R.h, &(struct hc_request){ .url = at("/echo"), .https_only = true }, &r),
	    ERR_BAD_INPUT);
}

static const char *
redirect(int status, const char *to)
{
	return at(str_fmt(R.c.mem, "/redirect?status=%d&to=%s", status, to));
}

static void
redirects(void **state)
{
	const struct hc_header heads[] = {
		{STR("Authorization"), STR("Bearer t"),   false},
		{ STR("X-Auth-Token"), STR("t"),          true },
		{ STR("X-Plain"),      STR("p"),          false},
		{ STR("Content-Type"), STR("text/plain"), false}
	};
	struct hc_request rq = { .method = "POST",
		                 .url = redirect(302, "/echo"),
		                 .headers = heads,
		                 .n_headers = 4,
		                 .body = STR("b") };
	struct hc_result r;
	json_t *o;
	const json_t *h;

	(void)state;
	assert_ok(&R.c, hc_perform(&R.c, R.h, &rq, &r));
	assert_int_equal(r.status, 302); /* off by default */
	rq.max_redirects = 1;
	o = echo(rq, &r);
	h = json_object_get(o, "headers");
	assert_true(str_eq_c(js_str(o, "method"), "GET"));
	assert_int_equal(js_str(o, "body").n, 0);
	assert_non_null(json_object_get(h, "authorization")); /* same origin */
	assert_non_null(json_object_get(h, "x-auth-token"));
	assert_null(json_object_get(h, "content-type"));
	assert_int_equal(r.redirects, 1);
	rq.url = redirect(308, str_fmt(R.c.mem, "http://127.0.0.1:%d/echo", R.other));
	o = echo(rq, &r);
	h = json_object_get(o, "headers");
	assert_true(str_eq_c(js_str(o, "method"), "POST"));
	assert_true(str_eq_c(js_str(o, "body"), "b"));
	assert_null(json_object_get(h, "authorization")); /* another port is another origin */
	assert_null(json_object_get(h, "x-auth-token"));
	assert_non_null(json_object_get(h, "x-plain"));
	rq.url = redirect(302, "/redirect%3Fto=/echo");
	assert_int_equal(hc_perform(&R.c, R.h, &rq, &r), ERR_UPSTREAM);
	assert_int_equal(r.error, HC_REDIRECTS);
	rq.url = redirect(302, "file:///etc/passwd");
	assert_int_equal(hc_perform(&R.c, R.h, &rq, &r), ERR_UPSTREAM);
	assert_int_equal(r.error, HC_REDIRECTS);
}

static void
refused(const struct ssrf_rules *rules, const char *url, const char *why)
{
	struct hc_result r;

	assert_int_equal(
	    hc_perform(&R.c, R.h, &(struct hc_request){ .url = url, .guard = rules, .max_redirects = 3 }, &r),
	    ERR_BAD_INPUT);
	assert_int_equal(r.error, HC_REFUSED);
	assert_has(r.reason, why);
}

static void
guard(void **state)
{
	const struct str_list none = { NULL, 0 };
	const char *const v[] = { "localhost" };
	const struct str_list by_name = { v, 1 };
	const struct ssrf_rules *strict, *local;
	struct hc_result r;
	char host[256];

	(void)state;
	at("/");
	assert_ok(&R.c, ssrf_rules_new(&R.c, &none, &strict));
	assert_ok(&R.c, ssrf_rules_new(&R.c, &by_name, &local));
	refused(strict, at("/echo"), "loopback");
	refused(strict, str_fmt(R.c.mem, "http://localhost:%d/echo", R.port), "local service");
	refused(strict, str_fmt(R.c.mem, "http://2130706433:%d/echo", R.port), "loopback");
	refused(strict, str_fmt(R.c.mem, "http://0x7f000001:%d/echo", R.port), "loopback");
	refused(strict, str_fmt(R.c.mem, "http://0177.0.0.1:%d/echo", R.port), "loopback");
	refused(strict, str_fmt(R.c.mem, "http://[::ffff:127.0.0.1]:%d/echo", R.port), "loopback");
	refused(strict, str_fmt(R.c.mem, "http://[::1]:%d/echo", R.port), "loopback");
	refused(strict, str_fmt(R.c.mem, "http://0.0.0.0:%d/echo", R.port), "unspecified");
	assert_ok(&R.c, hc_perform(
	                    &R.c, R.h,
	                    &(struct hc_request){ .url = str_fmt(R.c.mem, "http://localhost:%d/echo", R.port),
	                                          .guard = local },
	                    &r));
	/* an admitted host redirects to one that is not: by address, by name */
	refused(local,
	        str_fmt(R.c.mem, "http://localhost:%d/redirect?to=http://127.0.0.1:%d/echo", R.port, R.port),
	        "loopback");
	refused(local, str_fmt(R.c.mem, "http://localhost:%d/redirect?to=http://169.254.169.254/", R.port),
	        "metadata");
	/* a name that resolves to this machine: only the connected address can tell */
	assert_int_equal(gethostname(host, sizeof host), 0);
	const char *named = str_fmt(R.c.mem, "http://%s:%d/echo", host, R.port);
	if (strcmp(host, "localhost") != 0 &&
	    hc_perform(&R.c, R.h, &(struct hc_request){ .url = named }, &r) == ERR_NONE) {
		/* …and the connection that the unguarded request left open must not help */
		refused(strict, named, "address ");
	} else {
		print_message(
		    "# the name of this machine does not lead to the server: that part was left out\n");
	}
}

static void
proxies(void **state)
{
	const char *const skip_list[] = { "10.0.0.0/8", ".direct.example", "127.0.0.0/8" };
	const struct str_list no_proxy = { skip_list, 3 };
	struct hc_conf conf = { .proxy = str_fmt(R.c.mem, "http://127.0.0.1:%d", R.other),
		                .no_proxy = &no_proxy };
	struct hc_shared *s = NULL;
	struct hc_result r;
	json_t *o = NULL;

	(void)state;
	at("/");
	assert_ok(&R.c, hc_shared_new(&R.c, &conf, &s));
	struct hc_client *h = hc_client_new(s);
	assert_non_null(h);
	assert_ok(&R.c,
	          hc_perform(&R.c, h, &(struct hc_request){ .url = "http://elsewhere.invalid/echo" }, &r));
	assert_int_equal(r.status, 200);
	assert_ok(&R.c, js_parse(&R.c, r.body, &JS_API, &o));
	assert_true(str_eq_c(js_str(o, "target"), "http://elsewhere.invalid/echo"));
	assert_ok(&R.c, hc_perform(&R.c, h, &(struct hc_request){ .url = at("/echo") }, &r));
	assert_ok(&R.c, js_parse(&R.c, r.body, &JS_API, &o));
	assert_true(str_eq_c(js_str(o, "target"), "/echo"));
	assert_int_equal(
	    hc_perform(&R.c, h, &(struct hc_request){ .url = "http://a.direct.example.invalid/" }, &r),
	    ERR_NONE);
	assert_int_equal(hc_perform(&R.c, h, &(struct hc_request){ .url = "http://a.direct.example/" }, &r),
	                 ERR_UPSTREAM);
	assert_int_equal(r.error, HC_DNS);
	hc_client_free(h);
	hc_shared_free(s);
}

static void
several_at_once(void **state)
{
	struct hc_transfer *t[8];
	struct hc_request rq[8];
	struct hc_result r;
	bool all = false;

	(void)state;
	for (int i = 0; i < 8; i++) {
		rq[i] = (struct hc_request){ .url = at(str_fmt(R.c.mem, "/big?n=%d", 100000 + i)) };
		assert_ok(&R.c, hc_start(&R.c, R.h, &rq[i], &t[i]));
	}
	while (!all) {
		assert_ok(&R.c, hc_step(&R.c, R.h, 100));
		all = true;
		for (int i = 0; i < 8; i++)
			all = all && hc_is_done(t[i]);
	}
	for (int i = 0; i < 8; i++) {
		assert_ok(&R.c, hc_finish(&R.c, t[i], &r));
		assert_int_equal(r.body.n, 100000 + i);
	}
	/* one that is left alone goes with the arena */
	struct ctx c = t_ctx();
	assert_ok(&c, hc_start(&c, R.h, &(struct hc_request){ .url = at("/silent") }, &t[0]));
	assert_ok(&c, hc_step(&c, R.h, 10));
	arena_free(c.mem);
	assert_ok(&R.c, hc_perform(&R.c, R.h, &rq[0], &r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_and_bodies),
		cmocka_unit_test(connections_are_reused),
		cmocka_unit_test(forbidden_headers),
		cmocka_unit_test(sources),
		cmocka_unit_test(sinks),
		cmocka_unit_test(body_limits),
		cmocka_unit_test(time_outs),
		cmocka_unit_test(broken_answers),
		cmocka_unit_test(redirects),
		cmocka_unit_test(guard),
		cmocka_unit_test(proxies),
		cmocka_unit_test(several_at_once),
	};

	if (!srv_needs("python3"))
		return 0;
	return cmocka_run_group_tests_name("net/http", tests, begin, end);
}
