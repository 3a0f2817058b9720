/* Authorization headers, token shapes, scopes, networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/credential.h"
#include "auth/network.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"

static struct ctx C;

static int
setup(void **state)
{
	(void)state;
	C = (struct ctx){ .mem = arena_new(0) };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(C.mem);
	return 0;
}

static struct credential
basic(struct str pair)
{
	return credential_parse(&C, str_of(str_fmt(C.mem, "Basic %s", base64_put(C.mem, pair))), true);
}

static void
basic_kinds(void **state)
{
	static const struct {
		const char *name;
		enum credential_kind kind;
	} V[] = {
		{"alice",              CREDENTIAL_USER         },
                { "alice@example.com", CREDENTIAL_USER         },
		{ "$token",            CREDENTIAL_ACCESS_TOKEN },
                { "$app",              CREDENTIAL_APP_TOKEN    },
		{ "$oauthtoken",       CREDENTIAL_OAUTH        },
                { "$other",            CREDENTIAL_USER         },
		{ "org+bot",           CREDENTIAL_ROBOT        },
                { "a+b+c",             CREDENTIAL_ROBOT_REFUSED},
		{ "+bot",              CREDENTIAL_ROBOT_REFUSED},
                { "org+",              CREDENTIAL_ROBOT_REFUSED},
		{ "+",                 CREDENTIAL_ROBOT_REFUSED},
                { "$token+x",          CREDENTIAL_ROBOT        },
		{ "$APP",              CREDENTIAL_USER         },
	};

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++) {
		const struct credential k = basic(str_of(str_fmt(C.mem, "%s:pa:ss wörd", V[i].name)));
		assert_int_equal(k.kind, V[i].kind);
		assert_true(str_eq_c(k.name, V[i].name));
		assert_true(str_eq(k.secret, STR("pa:ss wörd"))); /* the first colon splits */
		assert_false(k.is_jwt);
	}
	assert_int_equal(credential_kind_of(STR("$app"), false), CREDENTIAL_USER);
	assert_int_equal(basic(STR("alice:")).kind, CREDENTIAL_USER);
	assert_int_equal(basic(STR("alice:")).secret.n, 0);
}

static void
unreadable_headers(void **state)
{
	static const char *const V[] = {
		"Basic",        "Basic ",      "Basic  YTpi", " Basic YTpi",     "Basic YTpi ",
		"Basic YTpi x", "Basic YTp",   "Basic YT*i",  "Basic YWI=",      "Basic OmI=",
		"Digest YTpi",  "Basic\tYTpi", "YTpi",        "Token sigv2=abc", "Bearer",
		"Bearer ",      "Bearer  abc", "Bearer a b",  "Bearer a\"b",     "Bearer a\xc3\xa4",
		"Bearer a,b",
	};

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++)
		assert_int_equal(credential_parse(&C, str_of(V[i]), true).kind, CREDENTIAL_UNREADABLE);
	assert_int_equal(credential_parse(&C, STR0, true).kind, CREDENTIAL_NONE);
	assert_int_equal(credential_parse(&C, STR(""), true).kind, CREDENTIAL_NONE);
	assert_int_equal(basic(STR("al\0ice:x")).kind, CREDENTIAL_UNREADABLE);
	assert_int_equal(basic(STR("alice:x\0y")).kind, CREDENTIAL_UNREADABLE);
	assert_int_equal(basic(STR("alice:\xff")).kind, CREDENTIAL_UNREADABLE);
	assert_int_equal(basic(STR("\xc0\xaf:x")).kind, CREDENTIAL_UNREADABLE);
	assert_int_equal(credential_parse(&C, STR("Bearer a\0b"), true).kind, CREDENTIAL_UNREADABLE);
	char *big = arena_alloc(C.mem, 40000);
	memset(big, 'A', 40000);
	memcpy(big, "Bearer ", 7);
	assert_int_equal(credential_parse(&C, (struct str){ big, 7 + 16384 }, true).kind, CREDENTIAL_BEARER);
	assert_int_equal(credential_parse(&C, (struct str){ big, 7 + 16385 }, true).kind,
	                 CREDENTIAL_UNREADABLE);
	assert_int_equal(credential_parse(&C, (struct str){ big, 40000 }, true).kind, CREDENTIAL_UNREADABLE);
}

static void
bearer_and_jwt(void **state)
{
	const char *jwt =
	    str_fmt(C.mem, "%s.e30.AA", base64url_put(C.mem, STR("{\"alg\":\"RS256\",\"typ\":\"JWT\"}")));
	struct credential k = credential_parse(&C, str_of(str_fmt(C.mem, "bEARER %s", jwt)), true);

	(void)state;
	assert_int_equal(k.kind, CREDENTIAL_BEARER);
	assert_true(str_eq_c(k.secret, jwt));
	k = basic(str_of(str_fmt(C.mem, "org+bot:%s", jwt)));
	assert_true(k.kind == CREDENTIAL_ROBOT && k.is_jwt);
	k = basic(str_of(str_fmt(C.mem, "$oauthtoken:%s", jwt)));
	assert_true(k.kind == CREDENTIAL_OAUTH && k.is_jwt);
	k = basic(str_of(str_fmt(C.mem, "alice:%s", jwt))); /* a user's password is a password */
	assert_true(k.kind == CREDENTIAL_USER && !k.is_jwt);
}

static void
token_formats(void **state)
{
	static const struct {
		enum token_format f;
		size_t name_n, code_n;
	} V[] = {
		{TOKEN_APP,            60, 60},
                { TOKEN_OAUTH,         20, 20},
                { TOKEN_OAUTH_FLOW,    20, 20},
		{ TOKEN_OAUTH_CODE,    20, 20},
                { TOKEN_ACCESS,        32, 32},
                { TOKEN_ROBOT,         0,  64},
		{ TOKEN_CLIENT_ID,     20, 0 },
                { TOKEN_CLIENT_SECRET, 0,  40},
                { TOKEN_MAIL_CODE,     16, 20}
	};
	char a[TOKEN_TEXT_MAX + 1], b[TOKEN_TEXT_MAX + 1];
	struct str name, code;

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++) {
		token_make(V[i].f, a);
		token_make(V[i].f, b);
		assert_string_not_equal(a, b);
		assert_int_equal(strlen(a), V[i].name_n + V[i].code_n);
		assert_true(token_split(V[i].f, str_of(a), &name, &code));
		assert_int_equal(name.n, V[i].name_n);
		assert_int_equal(code.n, V[i].code_n);
		assert_false(token_split(V[i].f, str_sub(str_of(a), 1, strlen(a)), &name, &code));
		a[3] = '-';
		assert_false(token_split(V[i].f, str_of(a), &name, &code));
		a[3] = '\0';
		assert_false(token_split(V[i].f, (struct str){ a, V[i].name_n + V[i].code_n }, &name, &code));
	}
	assert_false(token_split(TOKEN_ROBOT,
	                         STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	                         &name, &code));
	token_make(TOKEN_MAIL_CODE, a);
	assert_true(mail_code_get(&C, str_of(mail_code_put(&C, a)), &name, &code));
	assert_memory_equal(name.p, a, 16);
	assert_memory_equal(code.p, a + 16, 20);
	assert_false(mail_code_get(&C, STR("QUJD"), &name, &code));
	assert_false(mail_code_get(&C, STR0, &name, &code));
}

static void
scopes(void **state)
{
	(void)state;
	assert_int_equal(scope_parse(STR("repo:read")), SCOPE_REPO_READ);
	assert_int_equal(scope_parse(STR("repo:read user:admin,org:admin")),
	                 SCOPE_REPO_READ | SCOPE_USER_ADMIN | SCOPE_ORG_ADMIN);
	assert_int_equal(
	    scope_parse(
	        STR("org:admin repo:admin repo:create repo:read repo:write super:user user:admin user:read")),
	    SCOPE_GRANTABLE);
	static const char *const VOID[] = { "",
		                            " ",
		                            "repo:delete",
		                            "repo:read nonsense",
		                            "repo:read  repo:write",
		                            "repo:read ",
		                            ",repo:read",
		                            "repo:read, repo:write",
		                            "Repo:read",
		                            "direct_user_login",
		                            "repo:read\trepo:write" };
	for (size_t i = 0; i < sizeof VOID / sizeof VOID[0]; i++)
		assert_int_equal(scope_parse(str_of(VOID[i])), 0);
	assert_string_equal(scope_text(C.mem, SCOPE_USER_READ | SCOPE_REPO_READ), "repo:read user:read");
	assert_string_equal(scope_text(C.mem, 0), "");
	assert_true(scope_covers(SCOPE_REPO_ADMIN, SCOPE_REPO_READ | SCOPE_REPO_WRITE));
	assert_false(scope_covers(SCOPE_REPO_WRITE, SCOPE_REPO_ADMIN));
	assert_false(scope_covers(SCOPE_USER_ADMIN, SCOPE_USER_READ)); /* as in Quay */
	assert_false(scope_covers(SCOPE_DIRECT, 0));
	assert_true(scope_covers(SCOPE_DIRECT, SCOPE_GRANTABLE));
	assert_false(scope_covers(SCOPE_GRANTABLE, SCOPE_DIRECT));
	static const struct {
		unsigned scopes;
		enum role role;
		enum org_role org;
		enum user_role user;
		bool superuser;
	} CAPS[] = {
		{0,                  ROLE_NONE,  ORG_ROLE_NONE,    USER_ROLE_NONE,  false},
		{ SCOPE_REPO_READ,   ROLE_READ,  ORG_ROLE_NONE,    USER_ROLE_NONE,  false},
		{ SCOPE_REPO_WRITE,  ROLE_WRITE, ORG_ROLE_NONE,    USER_ROLE_NONE,  false},
		{ SCOPE_REPO_ADMIN,  ROLE_ADMIN, ORG_ROLE_NONE,    USER_ROLE_NONE,  false},
		{ SCOPE_REPO_CREATE, ROLE_NONE,  ORG_ROLE_CREATOR, USER_ROLE_NONE,  false},
		{ SCOPE_ORG_ADMIN,   ROLE_NONE,  ORG_ROLE_ADMIN,   USER_ROLE_NONE,  false},
		{ SCOPE_USER_READ,   ROLE_NONE,  ORG_ROLE_NONE,    USER_ROLE_READ,  false},
		{ SCOPE_USER_ADMIN,  ROLE_NONE,  ORG_ROLE_NONE,    USER_ROLE_ADMIN, false},
		{ SCOPE_SUPER_USER,  ROLE_NONE,  ORG_ROLE_NONE,    USER_ROLE_NONE,  true },
		{ SCOPE_DIRECT,      ROLE_ADMIN, ORG_ROLE_ADMIN,   USER_ROLE_ADMIN, true },
	};
	for (size_t i = 0; i < sizeof CAPS / sizeof CAPS[0]; i++) {
		assert_int_equal(scope_max_role(CAPS[i].scopes), CAPS[i].role);
		assert_int_equal(scope_max_org_role(CAPS[i].scopes), CAPS[i].org);
		assert_int_equal(scope_max_user_role(CAPS[i].scopes), CAPS[i].user);
		assert_int_equal(scope_allows_superuser(CAPS[i].scopes), CAPS[i].superuser);
	}
}

static void
networks(void **state)
{
	static const struct {
		const char *address, *network;
	} V[] = {
		{"192.0.2.1",		                                               "192.0.2.1"        },
		{ "::ffff:192.0.2.1",		                                       "192.0.2.1"        },
		{ "2001:db8:1:2:3:4:5:6",		                                   "2001:db8:1:2::/64"},
		{ "2001:db8:1:2::",		                                         "2001:db8:1:2::/64"},
		{ "fe80::1%eth0",		                                           "fe80::/64"        },
		{ "::1",		                                                    "::/64"            },
		{ "",		                                                       "unknown"          },
		{ "localhost",		                                              "unknown"          },
		{ "192.0.2.1:80",		                                           "unknown"          },
		{ "192.0.2",		                                                "unknown"          },
		{ "1234567890123456789012345678901234567890123456789012345678901234567890", "unknown"          },
	};

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++) {
		char text[NETWORK_TEXT];
		network_text(network_of(str_of(V[i].address)), text);
		assert_string_equal(text, V[i].network);
	}
	const struct network a = network_of(STR("2001:db8::1")), b = network_of(STR("2001:db8::ffff"));
	const struct network x = network_of(STR("2001:db8:0:1::1"));
	assert_memory_equal(&a, &b, sizeof a);
	assert_memory_not_equal(&a, &x, sizeof a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(basic_kinds),    cmocka_unit_test(unreadable_headers),
		cmocka_unit_test(bearer_and_jwt), cmocka_unit_test(token_formats),
		cmocka_unit_test(scopes),         cmocka_unit_test(networks),
	};

	return cmocka_run_group_tests_name("auth/credential", tests, setup, teardown);
}
