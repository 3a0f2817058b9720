/* Accounts on a real database, in a transaction that is rolled back. Needs KADE_TEST_DB: a database with the schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "auth/password.h"
#include "auth/secret.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "model/account.h"

#define PAIRS_MAX 48

struct fixture {
	struct ctx c;
	struct conf conf;
	struct secrets secrets;
	PQconninfoOption *options;
	const char *keywords[PAIRS_MAX + 1], *values[PAIRS_MAX + 1];
};

static int
open_db(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	const char *uri = getenv("KADE_TEST_DB");
	char *why = NULL;
	int n = 0;

	*state = f;
	f->conf.default_tag_expiration_s = 86400;
	f->c.conf = &f->conf;
	f->c.mem = arena_new(0);
	if (uri == NULL)
		return 0;
	f->options = PQconninfoParse(uri, &why);
	if (f->options == NULL) {
		fprintf(stderr, "KADE_TEST_DB: %s", why);
		PQfreemem(why);
		return -1;
	}
	for (const PQconninfoOption *o = f->options; o->keyword != NULL && n < PAIRS_MAX; o++) {
		if (o->val != NULL) {
			f->keywords[n] = o->keyword;
			f->values[n++] = o->val;
		}
	}
	f->c.db = db_pool_new(&(struct db_pool_conf){ .keywords = f->keywords,
	                                              .values = f->values,
	                                              .size = 1,
	                                              .statement_timeout_ms = 10000,
	                                              .lock_timeout_ms = 3000 });
	return secrets_init(&f->c, STR("an application key of the tests!"),
	                    STR("a database key for the tests too"), &f->secrets) == ERR_NONE
	           ? 0
	           : -1;
}

static int
close_db(void **state)
{
	struct fixture *f = *state;

	arena_free(f->c.mem);
	db_pool_free(f->c.db);
	PQconninfoFree(f->options);
	free(f);
	return 0;
}

static struct fixture *
begin(void **state)
{
	struct fixture *f = *state;

	if (f->c.db == NULL) {
		print_message("KADE_TEST_DB is not set\n");
		skip();
	}
	assert_int_equal(db_begin(&f->c, DB_TX_DEFAULT), ERR_NONE);
	return f;
}

static int
roll_back(void **state)
{
	struct fixture *f = *state;

	db_rollback(&f->c);
	arena_reset(f->c.mem, 0);
	return 0;
}

static int64_t
make_user(struct fixture *f, const char *name)
{
	const struct user_new u = { .name = str_of(name), .password = STR("a-good-password") };
	const char *uuid;
	int64_t id;

	assert_int_equal(account_make_user(&f->c, &u, &id, &uuid), ERR_NONE);
	return id;
}

static void
a_password_changes_with_the_uuid(void **state)
{
	struct fixture *f = begin(state);
	const int64_t id = make_user(f, "unit-alice");
	const struct db_result *before, *after;

	assert_int_equal(
	    db_exec(&f->c, STMT_USER_BY_LOGIN, DB_ARGS(db_str("unit-alice"), db_str("x")), &before),
	    ERR_NONE);
	assert_int_equal(account_set_password(&f->c, id, STR("another-password")), ERR_NONE);
	assert_int_equal(
	    db_exec(&f->c, STMT_USER_BY_LOGIN, DB_ARGS(db_str("unit-alice"), db_str("x")), &after), ERR_NONE);
	assert_string_not_equal(db_get_str(before, 0, USER_BY_LOGIN_UUID),
	                        db_get_str(after, 0, USER_BY_LOGIN_UUID));
	const struct str hash = db_get_strn(after, 0, USER_BY_LOGIN_PASSWORD_HASH);
	assert_true(password_fits(f->c.mem, STR("another-password"), hash));
	assert_false(password_fits(f->c.mem, STR("a-good-password"), hash));
	assert_int_equal(account_set_password(&f->c, id, STR("short")), ERR_BAD_INPUT);
	assert_int_equal(account_set_password(&f->c, -1, STR("another-password")), ERR_NOT_FOUND);
}

static void
a_robots_token_is_shown_again_and_renewed(void **state)
{
	struct fixture *f = begin(state);
	char token[TOKEN_TEXT_MAX + 1], fresh[TOKEN_TEXT_MAX + 1];
	const struct db_result *r;
	struct str shown;

	make_user(f, "unit-bob");
	assert_int_equal(account_make_robot(&f->c, &f->secrets, STR("unit-bob"), STR("ci"), token), ERR_NONE);
	assert_int_equal(db_exec(&f->c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_str("unit-bob+ci")), &r), ERR_NONE);
	const int64_t id = db_get_i64(r, 0, ACCOUNT_BY_NAME_ID);
	assert_int_equal(account_robot_token(&f->c, &f->secrets, id, &shown), ERR_NONE);
	assert_true(str_eq_c(shown, token));
	assert_int_equal(account_robot_renew(&f->c, &f->secrets, id, fresh), ERR_NONE);
	assert_string_not_equal(token, fresh);
	assert_int_equal(account_robot_token(&f->c, &f->secrets, id, &shown), ERR_NONE);
	assert_true(str_eq_c(shown, fresh));
	assert_int_equal(account_robot_renew(&f->c, &f->secrets, -1, fresh), ERR_NOT_FOUND);
	assert_int_equal(account_robot_token(&f->c, &f->secrets, -1, &shown), ERR_NOT_FOUND);
}

static void
an_organization_has_its_owner(void **state)
{
	struct fixture *f = begin(state);
	const struct organization_new o = { .name = STR("unit-org"), .owner_id = make_user(f, "unit-carol") };
	const struct db_result *r;
	int64_t id;

	assert_int_equal(account_make_organization(&f->c, &o, &id), ERR_NONE);
	assert_int_equal(db_exec(&f->c, STMT_TEAM_BY_NAME, DB_ARGS(db_i64(id), db_str("owners")), &r),
	                 ERR_NONE);
	assert_int_equal(r->rows, 1);
	const int64_t team = db_get_i64(r, 0, TEAM_BY_NAME_ID);
	assert_int_equal(db_exec(&f->c, STMT_ORGANIZATION_HAS_OTHER_ADMIN,
	                         DB_ARGS(db_i64(id), db_i64(team), db_i64(o.owner_id)), &r),
	                 ERR_NONE);
	assert_false(db_get_bool(r, 0, 0));
	assert_int_equal(db_exec(&f->c, STMT_TEAM_ADD_MEMBER,
	                         DB_ARGS(db_i64(team), db_i64(make_user(f, "unit-dave"))), NULL),
	                 ERR_NONE);
	assert_int_equal(db_exec(&f->c, STMT_ORGANIZATION_HAS_OTHER_ADMIN,
	                         DB_ARGS(db_i64(id), db_i64(team), db_i64(o.owner_id)), &r),
	                 ERR_NONE);
	assert_true(db_get_bool(r, 0, 0));
	assert_int_equal(account_make_organization(&f->c, &o, &id), ERR_CONFLICT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_password_changes_with_the_uuid, roll_back),
		cmocka_unit_test_teardown(a_robots_token_is_shown_again_and_renewed, roll_back),
		cmocka_unit_test_teardown(an_organization_has_its_owner, roll_back),
	};

	return cmocka_run_group_tests_name("model/account", tests, open_db, close_db);
}
