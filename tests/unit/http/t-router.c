/* The tree of routes: converters, preference, methods, features, and tables that must not start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "http/request.h"
#include "http/router.h"
#include "http/uri.h"

/* Features are read from the configuration through an offset. */
struct conf {
	char pad[8];
	bool feature_on, feature_off;
};
static const struct conf CONF = { .feature_on = true };

static enum err_kind
run(struct req *rq)
{
	(void)rq;
	return ERR_NONE;
}

#define R(name, m, p)                                                                                        \
	{                                                                                                    \
		.id = name, .methods = m, .path = p, .run = run                                              \
	}
static const struct route ROUTES[] = {
	R("root", HTTP_GET, "/"),
	R("ping", HTTP_GET, "/v2/"),
	R("catalog", HTTP_GET, "/v2/_catalog"),
	R("blob", HTTP_GET | HTTP_HEAD, "/v2/<repo:r>/blobs/<ref:d>"),
	R("blobDelete", HTTP_DELETE, "/v2/<repo:r>/blobs/<ref:d>"),
	R("uploads", HTTP_POST, "/v2/<repo:r>/blobs/uploads/"),
	R("upload", HTTP_PATCH | HTTP_PUT, "/v2/<repo:r>/blobs/uploads/<ref:u>"),
	R("manifest", HTTP_GET | HTTP_PUT, "/v2/<repo:r>/manifests/<ref:t>"),
	R("tags", HTTP_GET, "/v2/<repo:r>/tags/list"),
	R("repo", HTTP_GET, "/api/v1/repository/<repopath:r>"),
	R("repoTags", HTTP_GET, "/api/v1/repository/<repopath:r>/tag/"),
	R("repoTag", HTTP_DELETE, "/api/v1/repository/<repopath:r>/tag/<ref:t>"),
	R("repoList", HTTP_GET, "/api/v1/repository"),
	R("number", HTTP_GET, "/n/<int:n>"),
	R("name", HTTP_GET, "/n/<name:x>"),
	R("literal", HTTP_GET, "/n/me"),
	R("one", HTTP_GET, "/one/<ref:x>"),
	R("pair", HTTP_GET, "/p/<ref:a>/x/<int:b>"),
	{.id = "on",
	                                            .methods = HTTP_GET,
	                                            .path = "/f/on",
	                                            .run = run,
	                                            .feature = offsetof(struct conf, feature_on) + 1 },
	{ .id = "off",
	                                            .methods = HTTP_GET,
	                                            .path = "/f/off",
	                                            .run = run,
	                                            .feature = offsetof(struct conf, feature_off) + 1 },
	{ .id = "repoOff",
	                                            .methods = HTTP_POST,
	                                            .path = "/api/v1/repository/<repopath:r>/off",
	                                            .run = run,
	                                            .feature = offsetof(struct conf, feature_off) + 1 },
	{ 0},
};
static const struct route *const TABLES[] = { ROUTES, NULL };

struct bench {
	struct ctx c;
	struct router *r;
	struct req rq;
};

static int
open_bench(void **state)
{
	static struct bench b;
	char why[200];

	b = (struct bench){
		.c = {.conf = &CONF, .mem = arena_new(0)}
	};
	b.r = router_build(TABLES, why, sizeof why);
	*state = &b;
	return b.r == NULL ? -1 : 0;
}

static int
close_bench(void **state)
{
	struct bench *b = *state;

	arena_free(b->c.mem);
	router_free(b->r);
	return 0;
}

static const char *
match(struct bench *b, enum http_method m, const char *path)
{
	struct uri u;

	b->rq = (struct req){ .c = &b->c, .method = m };
	if (uri_parse(b->c.mem, str_of(path), "", &u) != URI_OK)
		u.n = -1;
	router_match(b->r, &b->rq, &u);
	return b->rq.route == NULL ? "-" : b->rq.route->id;
}

static const struct {
	enum http_method method;
	const char *path, *id, *first, *second;
} FOUND[] = {
	{HTTP_GET,     "/",	                          "root",       NULL,                  NULL       },
	{ HTTP_GET,    "/v2",	                        "ping",       NULL,                  NULL       },
	{ HTTP_GET,    "/v2/",	                       "ping",       NULL,                  NULL       },
	{ HTTP_GET,    "/v2/_catalog",                       "catalog",    NULL,                  NULL       },
	{ HTTP_GET,    "/v2/a/blobs/sha256:x",               "blob",       "a",                   "sha256:x" },
	{ HTTP_HEAD,   "/v2/a/b/c/blobs/sha256:x",           "blob",       "a/b/c",               "sha256:x" },
	{ HTTP_DELETE, "/v2/a/b/blobs/x/",                   "blobDelete", "a/b",                 "x"        },
	{ HTTP_POST,   "/v2/a/b/blobs/uploads/",             "uploads",    "a/b",                 NULL       },
	{ HTTP_POST,   "/v2/a/b/blobs/uploads",              "uploads",    "a/b",                 NULL       },
	{ HTTP_PUT,    "/v2/a/b/blobs/uploads/u-1",          "upload",     "a/b",                 "u-1"      },
 /* segments of a repository that are called like the tails */
	{ HTTP_GET,    "/v2/blobs/blobs/x",                  "blob",       "blobs",               "x"        },
	{ HTTP_GET,    "/v2/a/manifests/b/manifests/latest", "manifest",   "a/manifests/b",       "latest"   },
	{ HTTP_GET,    "/v2/manifests/manifests/manifests",  "manifest",   "manifests",           "manifests"},
	{ HTTP_GET,    "/v2/a/tags/list/tags/list",          "tags",       "a/tags/list",         NULL       },
	{ HTTP_GET,    "/v2/tags/tags/list",                 "tags",       "tags",                NULL       },
	{ HTTP_GET,    "/v2/a/blobs/uploads/manifests/x",    "manifest",   "a/blobs/uploads",     "x"        },
	{ HTTP_POST,   "/v2/a/blobs/uploads/blobs/uploads",  "uploads",    "a/blobs/uploads",     NULL       },
	{ HTTP_GET,    "/v2/a/blobs/uploads",                "blob",       "a",                   "uploads"  }, /* the literal row has no GET */
	{ HTTP_GET,    "/v2/_catalog/tags/list",             "tags",       "_catalog",            NULL       },
	{ HTTP_GET,    "/v2/a%2Fb/tags/list",                "tags",       "a/b",                 NULL       },
 /* two segments at least */
	{ HTTP_GET,    "/api/v1/repository/a/b",             "repo",       "a/b",                 NULL       },
	{ HTTP_GET,    "/api/v1/repository/a%2Fb",           "repo",       "a/b",                 NULL       },
	{ HTTP_GET,    "/api/v1/repository/a",               "-",          NULL,                  NULL       },
	{ HTTP_GET,    "/api/v1/repository/",                "repoList",   NULL,                  NULL       },
	{ HTTP_GET,    "/api/v1/repository/a/b/tag/",        "repoTags",   "a/b",                 NULL       },
	{ HTTP_GET,    "/api/v1/repository/a/tag",           "repo",       "a/tag",               NULL       },
	{ HTTP_GET,    "/api/v1/repository/a/b/tag",         "repoTags",   "a/b",                 NULL       },
	{ HTTP_GET,    "/api/v1/repository/a/b/tag/tag",     "repoTags",   "a/b/tag",             NULL       },
	{ HTTP_DELETE, "/api/v1/repository/a/b/c/tag/v1",    "repoTag",    "a/b/c",               "v1"       },
	{ HTTP_GET,    "/n/12",	                      "number",     "12",                  NULL       },
	{ HTTP_GET,    "/n/12x",                             "name",       "12x",                 NULL       },
	{ HTTP_GET,    "/n/a%2Fb",                           "name",       "a/b",                 NULL       },
	{ HTTP_GET,    "/n/me",	                      "literal",    NULL,                  NULL       },
	{ HTTP_GET,    "/n/9999999999999999999",             "name",       "9999999999999999999", NULL       },
	{ HTTP_GET,    "/one/a%2Fb",                         "-",          NULL,                  NULL       },
	{ HTTP_GET,    "/one/a%20b",                         "one",        "a b",                 NULL       },
	{ HTTP_GET,    "/p/q/x/7",                           "pair",       "q",                   "7"        },
	{ HTTP_GET,    "/p/q/x/y",                           "-",          NULL,                  NULL       },
	{ HTTP_GET,    "/f/on",	                      "on",         NULL,                  NULL       },
	{ HTTP_GET,    "/f/off",                             "-",          NULL,                  NULL       },
	{ HTTP_GET,    "/v2/a",	                      "-",          NULL,                  NULL       },
	{ HTTP_GET,    "/v2/a//tags/list",                   "-",          NULL,                  NULL       },
	{ HTTP_GET,    "/v2/%2e%2e/tags/list",               "-",          NULL,                  NULL       },
};

static void
finds_rows_and_captures(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof FOUND / sizeof *FOUND; i++) {
		const char *id = match(b, FOUND[i].method, FOUND[i].path);
		const char *want[2] = { FOUND[i].first, FOUND[i].second };
		if (strcmp(id, FOUND[i].id) != 0)
			fail_msg("%s: %s, expected %s", FOUND[i].path, id, FOUND[i].id);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(b->rq.n_captures > k, want[k] != NULL);
			if (want[k] != NULL && !str_eq_c(b->rq.captures[k].value, want[k]))
				fail_msg("%s: %.*s", FOUND[i].path, STRF(b->rq.captures[k].value));
		}
	}
	match(b, HTTP_GET, "/p/q/x/7");
	assert_true(str_eq_c(req_capture(&b->rq, "b"), "7"));
	assert_null(req_capture(&b->rq, "c").p);
}

/* What is switched off is no longer name of a repository either. */
static void
a_path_that_is_off_is_taken_for_nothing_else(void **state)
{
	assert_string_equal(match(*state, HTTP_GET, "/api/v1/repository/a/b/off"), "-");
	assert_int_equal(((struct bench *)*state)->rq.allowed, 0);
	assert_string_equal(match(*state, HTTP_POST, "/api/v1/repository/a/b/off"), "-");
	assert_string_equal(match(*state, HTTP_GET, "/api/v1/repository/a/off"), "repo");
}

static void
tells_methods(void **state)
{
	struct bench *b = *state;
	struct buf text = BUF(b->c.mem);

	assert_string_equal(match(b, HTTP_POST, "/v2/a/blobs/x"), "-");
	assert_int_equal(b->rq.allowed, HTTP_GET | HTTP_HEAD | HTTP_DELETE);
	assert_string_equal(match(b, HTTP_OTHER, "/v2/a/blobs/uploads"), "-");
	assert_int_equal(b->rq.allowed, HTTP_POST | HTTP_GET | HTTP_HEAD | HTTP_DELETE);
	assert_string_equal(match(b, HTTP_GET, "/f/off"), "-");
	assert_int_equal(b->rq.allowed, 0);
	router_put_methods(&text, HTTP_GET | HTTP_PATCH | HTTP_DELETE | HTTP_OTHER);
	assert_string_equal(buf_cstr(&text), "GET, PATCH, DELETE");
}

static void
refuses_tables(void **state)
{
	static const struct {
		const char *part;
		struct route rows[3];
	} CASE[] = {
		{"one path and method",
                 { R("a", HTTP_GET, "/x/<ref:a>"), R("b", HTTP_GET | HTTP_PUT, "/x/<ref:b>/") }         },
		{ "unknown converter",  { R("a", HTTP_GET, "/x/<uuid:a>") }                             },
		{ "expected",           { R("a", HTTP_GET, "/x/<a>") }                                  },
		{ "expected",           { R("a", HTTP_GET, "/x/<ref:a") }                               },
		{ "expected",           { R("a", HTTP_GET, "/x/<ref:>") }                               },
		{ "slash",              { R("a", HTTP_GET, "x") }                                       },
		{ "empty segment",      { R("a", HTTP_GET, "/x//y") }                                   },
		{ "captures",           { R("a", HTTP_GET, "/<ref:a>/<ref:b>/<ref:c>/<ref:d>/<ref:e>") }},
		{ "no method",          { R("a", 0, "/x") }                                             },
		{ "no handler",         { { .id = "a", .methods = HTTP_GET, .path = "/x" } }            },
	};
	char why[256];

	(void)state;
	for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
		const struct route *const tables[] = { CASE[i].rows, NULL };
		why[0] = '\0';
		assert_null(router_build(tables, why, sizeof why));
		if (strstr(why, CASE[i].part) == NULL)
			fail_msg("%s: expected %s", why, CASE[i].part);
	}
}

/* A long path of equal segments must not cost more than its square. */
static void
backtracking_is_bounded(void **state)
{
	struct bench *b = *state;
	char path[URI_SEGMENTS * 10] = "/v2";

	for (int i = 1; i < URI_SEGMENTS; i++)
		snprintf(path + strlen(path), sizeof path - strlen(path), "/blobs");
	assert_string_equal(match(b, HTTP_GET, path), "blob");
	assert_string_equal(match(b, HTTP_POST, path), "-");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_rows_and_captures),
		cmocka_unit_test(tells_methods),
		cmocka_unit_test(a_path_that_is_off_is_taken_for_nothing_else),
		cmocka_unit_test(refuses_tables),
		cmocka_unit_test(backtracking_is_bounded),
	};

	return cmocka_run_group_tests_name("http/router", tests, open_bench, close_bench);
}
