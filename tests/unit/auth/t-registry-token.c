/* Registry tokens: every identity kind there and back, what is refused, and the token cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "auth/registry-token.h"
#include "auth/scope.h"
#include "auth/token-cache.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"

#define NOW 1800000000

static struct ctx C;
static struct jose_key *KEY;

static int
setup(void **state)
{
	(void)state;
	C = (struct ctx){ .mem = arena_new(0) };
	return jose_key_make(&C, JOSE_ES256, &KEY);
}

static int
teardown(void **state)
{
	(void)state;
	jose_key_free(KEY);
	arena_free(C.mem);
	return 0;
}

static enum err_kind
find(struct ctx *c, void *arg, struct str kid, const struct jose_key **out)
{
	(void)c, (void)arg;
	*out = str_eq_c(kid, jose_key_id(KEY)) ? KEY : NULL;
	return ERR_NONE;
}

static struct registry_token_want
want(void)
{
	return (struct registry_token_want){
		.find = find, .iss = STR("quay"), .aud = STR("reg.example"), .now_s = NOW + 5
	};
}

static const struct identity PEOPLE[] = {
	{.kind = IDENTITY_ANONYMOUS },
	{	                 .kind = IDENTITY_USER,            .name = "alice", .account_uuid = "uuid-a", .scopes = SCOPE_DIRECT },
	{     .kind = IDENTITY_ROBOT,	                            .name = "org+bot", .account_uuid = "uuid-r", .scopes = SCOPE_DIRECT },
	{ .kind = IDENTITY_APP_TOKEN,
         .name = "alice",
         .account_uuid = "uuid-a",
         .token_uuid = "uuid-t",
         .scopes = SCOPE_DIRECT },
	{	                               .kind = IDENTITY_OAUTH,
         .name = "alice",
         .account_uuid = "uuid-a",
         .token_uuid = "uuid-o",
         .scopes = SCOPE_REPO_READ },
	{	                     .kind = IDENTITY_ACCESS_TOKEN, .token_uuid = "uuid-x", .scopes = SCOPE_DIRECT },
};
#define N_PEOPLE (sizeof PEOPLE / sizeof PEOPLE[0])

static void
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		assert_ptr_equal(a, b);
	else
		assert_string_equal(a, b);
}

static void
same(const struct identity *a, const struct identity *b)
{
	assert_int_equal(a->kind, b->kind);
	same_text(a->name, b->name);
	same_text(a->account_uuid, b->account_uuid);
	same_text(a->token_uuid, b->token_uuid);
	assert_int_equal(a->scopes, b->scopes);
}

static void
every_kind_there_and_back(void **state)
{
	const struct access access[] = {
		{STR("org/app"),   ACTION_PUSH | ACTION_PULL},
		{ STR("org/base"), ACTION_PULL              },
		{ STR("org/none"), 0                        },
		{ STR("org/own"),  ACTION_ALL               }
	};

	(void)state;
	for (size_t i = 0; i < N_PEOPLE; i++) {
		const struct registry_token_args a = { .who = &PEOPLE[i],
			                               .access = access,
			                               .n_access = 4,
			                               .iss = STR("quay"),
			                               .aud = STR("reg.example"),
			                               .now_s = NOW };
		struct registry_token_want w = want();
		struct identity id;
		struct str token;
		int64_t exp_s = 0;
		assert_int_equal(registry_token_make(&C, KEY, &a, &token), ERR_NONE);
		assert_int_equal(registry_token_verify(&C, token, &w, &id, &exp_s), ERR_NONE);
		same(&id, &PEOPLE[i]);
		assert_int_equal(exp_s, NOW + REGISTRY_TOKEN_LIFE_S);
		assert_string_equal(id.key_id, jose_key_id(KEY));
		assert_true(id.has_grants);
		assert_int_equal(id.n_grants, 4);
		assert_int_equal(registry_token_role(&id, STR("org/app")), ROLE_WRITE);
		assert_int_equal(registry_token_role(&id, STR("org/base")), ROLE_READ);
		assert_int_equal(registry_token_role(&id, STR("org/none")), ROLE_NONE);
		assert_int_equal(registry_token_role(&id, STR("org/own")), ROLE_ADMIN);
		assert_int_equal(registry_token_role(&id, STR("org/ap")), ROLE_NONE);
		/* refused at another registry, by another issuer, when old, as an exchange token */
		w.aud = STR("other.example");
		assert_int_equal(registry_token_verify(&C, token, &w, &id, &exp_s), ERR_UNAUTHENTICATED);
		w = want();
		w.iss = STR("other");
		assert_int_equal(registry_token_verify(&C, token, &w, &id, &exp_s), ERR_UNAUTHENTICATED);
		w = want();
		w.now_s = NOW + REGISTRY_TOKEN_LIFE_S + JOSE_LEEWAY_S;
		assert_int_equal(registry_token_verify(&C, token, &w, &id, &exp_s), ERR_UNAUTHENTICATED);
		w = want();
		w.use = REGISTRY_TOKEN_EXCHANGE;
		assert_int_equal(registry_token_verify(&C, token, &w, &id, &exp_s), ERR_UNAUTHENTICATED);
	}
}

/* The claims that Quay's tokens have, by value. */
static void
claims_as_quay_has_them(void **state)
{
	static const struct {
		const char *kind, *reference, *old_kind;
	} V[N_PEOPLE] = {
		{"anonymous",         NULL,      "anonymous"},
                { "user",             "uuid-a",  "user"     },
		{ "robot",            "org+bot", "user"     },
                { "appspecifictoken", "uuid-t",  "user"     },
		{ "oauthtoken",       "uuid-o",  "oauth"    },
                { "token",            "uuid-x",  "token"    }
	};

	(void)state;
	for (size_t i = 0; i < N_PEOPLE; i++) {
		const struct access one = { STR("org/app"), ACTION_PULL | ACTION_PUSH };
		const struct registry_token_args a = { .who = &PEOPLE[i],
			                               .access = &one,
			                               .n_access = 1,
			                               .iss = STR("quay"),
			                               .aud = STR("reg.example"),
			                               .now_s = NOW };
		struct jose_verified v;
		struct str token;
		assert_int_equal(registry_token_make(&C, KEY, &a, &token), ERR_NONE);
		assert_int_equal(jose_verify_key(&C, token, KEY, &v), ERR_NONE);
		const json_t *ctx = json_object_get(v.claims, "context");
		assert_true(str_eq_c(js_str(v.claims, "sub"),
		                     PEOPLE[i].name != NULL ? PEOPLE[i].name : "(anonymous)"));
		assert_true(str_eq_c(js_str(ctx, "entity_kind"), V[i].kind));
		assert_true(str_eq_c(js_str(ctx, "entity_reference"), V[i].reference));
		assert_true(str_eq_c(js_str(ctx, "kind"), V[i].old_kind));
		assert_int_equal(js_i64(ctx, "version", 0), 2);
		assert_true(
		    str_eq(js_str(json_object_get(ctx, "com.apostille.roots"), "org/app"), STR("$disabled")));
		char *access = json_dumps(json_object_get(v.claims, "access"), JSON_COMPACT);
		assert_string_equal(
		    access,
		    "[{\"type\":\"repository\",\"name\":\"org/app\",\"actions\":[\"push\",\"pull\"]}]");
		free(access);
	}
}

static void
blank_access_and_exchange(void **state)
{
	struct registry_token_args a = {
		.who = &PEOPLE[2], .iss = STR("quay"), .aud = STR("reg.example"), .now_s = NOW
	};
	struct registry_token_want w = want();
	struct identity id;
	struct str token;
	int64_t exp_s;

	(void)state;
	assert_int_equal(registry_token_make(&C, KEY, &a, &token), ERR_NONE);
	assert_int_equal(registry_token_verify(&C, token, &w, &id, &exp_s), ERR_NONE);
	assert_true(id.has_grants);
	assert_int_equal(id.n_grants, 0);
	assert_int_equal(registry_token_role(&id, STR("org/app")), ROLE_NONE);
	a.use = w.use = REGISTRY_TOKEN_EXCHANGE;
	assert_int_equal(registry_token_make(&C, KEY, &a, &token), ERR_NONE);
	assert_int_equal(registry_token_verify(&C, token, &w, &id, &exp_s), ERR_NONE);
	same(&id, &PEOPLE[2]);
	w.use = REGISTRY_TOKEN_ACCESS;
	assert_int_equal(registry_token_verify(&C, token, &w, &id, &exp_s), ERR_UNAUTHENTICATED);
}

/* Rightly signed claims that no registry token has. */
static void
foreign_claims(void **state)
{
	static const char *const V[][3] = {
  /* sub, access, our member */
		{"alice",        "[]",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           }, /* the good
  one */
		{ "bob",         "[]",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           },
		{ "alice",       "{}",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           },
		{ "alice",       "null",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           },
		{ "alice",       "[]",		                                                    "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\"}"    },
		{ "alice",       "[]",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\",\"token\":"
		  "\"t\"}"		                                                                                                                               },
		{ "alice",       "[]",
                 "{\"use\":\"access\",\"kind\":\"app\",\"name\":\"alice\",\"account\":\"u\"}"                                                                            },
		{ "alice",       "[]",
                 "{\"use\":\"access\",\"kind\":\"root\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           },
		{ "alice",       "[]",		                                                    "{\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"     },
		{ "alice",       "[]",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":[\"alice\"],\"account\":\"u\"}"                                                                         },
		{ "(anonymous)", "[]",		                                                    "{\"use\":\"access\",\"kind\":\"anonymous\",\"account\":\"u\"}"},
		{ "alice",       "[]",		                                                    "null"		                                         },
		{ "alice",       "[{\"type\":\"repository\",\"name\":\"a/b\",\"actions\":[\"delete\"]}]",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           },
		{ "alice",       "[{\"type\":\"registry\",\"name\":\"a/b\",\"actions\":[\"*\"]}]",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           },
		{ "alice",       "[{\"type\":\"repository\",\"name\":\"a/b\",\"actions\":\"*\"}]",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           },
		{ "alice",       "[{\"type\":\"repository\",\"actions\":[\"pull\"]}]",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           },
		{ "alice",       "[7]",
                 "{\"use\":\"access\",\"kind\":\"user\",\"name\":\"alice\",\"account\":\"u\"}"                                                                           },
	};

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++) {
		const struct registry_token_want w = want();
		const char *text = str_fmt(C.mem,
		                           "{\"iss\":\"quay\",\"aud\":\"reg.example\",\"exp\":1800003600,"
		                           "\"iat\":1800000000,\"nbf\":1800000000,"
		                           "\"sub\":\"%s\",\"access\":%s,\"context\":{\"io.kade\":%s}}",
		                           V[i][0], V[i][1], V[i][2]);
		json_t *claims;
		struct identity id;
		struct str token;
		int64_t exp_s;
		assert_int_equal(js_parse(&C, str_of(text), &JS_API, &claims), ERR_NONE);
		assert_int_equal(jose_sign(&C, KEY, claims, &token), ERR_NONE);
		assert_int_equal(registry_token_verify(&C, token, &w, &id, &exp_s),
		                 i == 0 ? ERR_NONE : ERR_UNAUTHENTICATED);
	}
}

/* -----------------------------------------------------------------------------------------------------------
 * cache */

static const struct grant GRANTS[] = {
	{STR("org/app"),   ROLE_WRITE},
        { STR("org/base"), ROLE_READ }
};

static void
cache_keeps_until_exp(void **state)
{
	struct token_cache *k = token_cache_new(64, 65536);
	struct identity id = PEOPLE[4], got;

	(void)state;
	id.key_id = "kid";
	id.has_grants = true;
	id.grants = GRANTS;
	id.n_grants = 2;
	assert_false(token_cache_find(k, C.mem, STR("token"), NOW, &got));
	token_cache_put(k, STR("token"), NOW + 10, &id);
	assert_true(token_cache_find(k, C.mem, STR("token"), NOW + 9, &got));
	same(&id, &got);
	assert_string_equal(got.key_id, "kid");
	assert_true(got.has_grants);
	assert_int_equal(got.n_grants, 2);
	assert_int_equal(registry_token_role(&got, STR("org/app")), ROLE_WRITE);
	assert_false(token_cache_find(k, C.mem, STR("token"), NOW + 10, &got));
	assert_false(token_cache_find(k, C.mem, STR("tokem"), NOW, &got));
	token_cache_put(k, STR("anon"), NOW + 10, &PEOPLE[0]);
	assert_true(token_cache_find(k, C.mem, STR("anon"), NOW, &got));
	same(&PEOPLE[0], &got);
	assert_null(got.name);
	token_cache_free(k);
}

static void
cache_is_bounded(void **state)
{
	struct token_cache *k = token_cache_new(64, 16384);
	struct grant big = { STR0, ROLE_READ };
	struct identity id = PEOPLE[1], got;
	size_t hits = 0;

	(void)state;
	big.repository = (struct str){ arena_zalloc(C.mem, TOKEN_CACHE_BLOB_MAX), TOKEN_CACHE_BLOB_MAX };
	id.grants = &big;
	id.n_grants = 1;
	token_cache_put(k, STR("big"), NOW + 10, &id);
	assert_false(token_cache_find(k, C.mem, STR("big"), NOW, &got)); /* does not fit: not kept */
	for (int i = 0; i < 5000; i++) {
		char name[32];
		snprintf(name, sizeof name, "user%d", i);
		const struct identity one = { .kind = IDENTITY_USER, .name = name, .account_uuid = "u" };
		token_cache_put(k, str_of(name), NOW + 10, &one);
		assert_true(token_cache_find(k, C.mem, str_of(name), NOW, &got));
		assert_string_equal(got.name, name);
	}
	for (int i = 0; i < 5000; i++) {
		char name[32];
		snprintf(name, sizeof name, "user%d", i);
		if (token_cache_find(k, C.mem, str_of(name), NOW, &got)) {
			assert_string_equal(got.name, name); /* never somebody else */
			hits++;
		}
	}
	assert_in_range(hits, 32, 64);
	token_cache_free(k);
}

struct job {
	struct token_cache *cache;
	int seed, wrong;
};

static void *
hammer(void *p)
{
	struct job *j = p;
	struct arena *mem = arena_new(0);
	unsigned x = (unsigned)j->seed;

	for (int i = 0; i < 20000; i++) {
		char name[32];
		struct identity got;
		x = x * 1664525 + 1013904223;
		snprintf(name, sizeof name, "u%u", (x >> 16) % 300);
		if (token_cache_find(j->cache, mem, str_of(name), NOW, &got)) {
			j->wrong += strcmp(got.name, name) != 0;
		} else {
			const struct identity one = { .kind = IDENTITY_USER,
				                      .name = name,
				                      .account_uuid = name };
			token_cache_put(j->cache, str_of(name), NOW + 10, &one);
		}
		arena_reset(mem, 0);
	}
	arena_free(mem);
	return NULL;
}

static void
cache_under_threads(void **state)
{
	struct token_cache *k =
	    token_cache_new(128, 8192); /* too small for 300: the ring turns all the time */
	struct job jobs[4];
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		jobs[i] = (struct job){ .cache = k, .seed = i + 1 };
		assert_int_equal(pthread_create(&t[i], NULL, hammer, &jobs[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(jobs[i].wrong, 0);
	}
	token_cache_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_there_and_back), cmocka_unit_test(claims_as_quay_has_them),
		cmocka_unit_test(blank_access_and_exchange), cmocka_unit_test(foreign_claims),
		cmocka_unit_test(cache_keeps_until_exp),     cmocka_unit_test(cache_is_bounded),
		cmocka_unit_test(cache_under_threads),
	};

	return cmocka_run_group_tests_name("auth/registry-token", tests, setup, teardown);
}
