/* Password rules, bcrypt, and the check with gate and cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "auth/gate.h"
#include "auth/password.h"
#include "base/arena.h"
#include "base/ctx.h"

#define VECTOR "$2b$12$abcdefghijklmnopqrstuutwZ1IOTtu3SsEBT5lI/LFncP31tIybm"

static struct ctx C;
static struct gate *G;

static int
setup(void **state)
{
	(void)state;
	C = (struct ctx){ .mem = arena_new(0) };
	void *mem = mmap(NULL, gate_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	G = mem == MAP_FAILED ? NULL : gate_init(mem);
	return G == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	munmap(G, gate_bytes());
	arena_free(C.mem);
	return 0;
}

static void
rules(void **state)
{
	static const char *const BAD[] = { "",
		                           "short",
		                           "1234567",
		                           "pass word",
		                           "password\t",
		                           "password\n",
		                           " password",
		                           "passw\xc2\xa0rd1",
		                           "passw\xe3\x80\x80rd",
		                           "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
		                           "password\xff" };
	static const char *const GOOD[] = {
		"12345678", "correcthorse", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
	};

	(void)state;
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		assert_int_equal(password_check_rules(&C, str_of(BAD[i])), ERR_BAD_INPUT);
		assert_string_equal(
		    C.err.say->message,
		    "Invalid password, password must be at least 8 characters and contain no whitespace.");
	}
	assert_int_equal(password_check_rules(&C, STR("pass\0word1")), ERR_BAD_INPUT);
	for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
		assert_int_equal(password_check_rules(&C, str_of(GOOD[i])), ERR_NONE);
}

static void
known_hash_and_its_relatives(void **state)
{
	(void)state;
	assert_true(password_fits(C.mem, STR("password"), STR(VECTOR)));
	assert_false(password_fits(C.mem, STR("Password"), STR(VECTOR)));
	assert_false(password_fits(C.mem, STR("password\0"), STR(VECTOR)));
	assert_false(password_fits(C.mem, STR(""), STR(VECTOR)));
	/* cost 4, the three prefixes; made with this very function, so bent below */
	char hash[PASSWORD_HASH_TEXT];
	assert_int_equal(password_hash(&C, STR("s3cret pass"), 4, hash), ERR_NONE);
	assert_true(str_starts(str_of(hash), STR("$2b$04$")));
	assert_int_equal(strlen(hash), 60);
	for (const char *p = "aby"; *p != '\0'; p++) {
		hash[2] = *p;
		assert_true(password_fits(C.mem, STR("s3cret pass"), str_of(hash)));
		assert_false(password_fits(C.mem, STR("s3cret pasS"), str_of(hash)));
	}
	char again[PASSWORD_HASH_TEXT];
	assert_int_equal(password_hash(&C, STR("s3cret pass"), 4, again), ERR_NONE);
	assert_memory_not_equal(hash + 7, again + 7, 22); /* a salt of its own */
	assert_int_equal(password_hash(&C, STR("a\0b"), 4, again), ERR_BAD_INPUT);
}

static void
only_72_bytes_count(void **state)
{
	char *p = arena_alloc(C.mem, 200), hash[PASSWORD_HASH_TEXT];

	(void)state;
	memset(p, 'x', 200);
	assert_int_equal(password_hash(&C, (struct str){ p, 72 }, 4, hash), ERR_NONE);
	assert_true(password_fits(C.mem, (struct str){ p, 200 }, str_of(hash)));
	assert_false(password_fits(C.mem, (struct str){ p, 71 }, str_of(hash)));
}

static void
no_hash_at_all(void **state)
{
	static const char *const BAD[] = {
		"",
		"*",
		"*0",
		"password",
		"$1$abc$def",
		"$6$rounds=5000$x$y",
		"$2x$12$abcdefghijklmnopqrstuutwZ1IOTtu3SsEBT5lI/LFncP31tIybm",
		"$2b$12$abcdefghijklmnopqrstuutwZ1IOTtu3SsEBT5lI/LFncP31tIyb",
		"$2b$99$abcdefghijklmnopqrstuutwZ1IOTtu3SsEBT5lI/LFncP31tIybm",
	};
	struct timespec t0, t1, t2;
	(void)state;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	assert_false(password_fits(C.mem, STR("password1"), STR(VECTOR)));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	assert_false(password_fits(C.mem, STR("password1"), STR0));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t2);
	/* the dummy does the same work: CPU time, compared with itself on this machine, with wide room */
	const double real = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
	const double dummy = (double)(t2.tv_sec - t1.tv_sec) + (double)(t2.tv_nsec - t1.tv_nsec) / 1e9;
	assert_true(dummy > real / 3 && dummy < real * 3);
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
		assert_false(password_fits(C.mem, str_of(BAD[i]), str_of(BAD[i])));
}

static void
check_with_cache(void **state)
{
	struct password_cache *cache = password_cache_new();
	char hash[PASSWORD_HASH_TEXT], other[PASSWORD_HASH_TEXT];
	struct gate_pass pass;
	bool fits = false;

	(void)state;
	assert_int_equal(password_hash(&C, STR("correcthorse"), 4, hash), ERR_NONE);
	assert_int_equal(password_hash(&C, STR("correcthorse"), 4, other), ERR_NONE);
	struct password_check q = { .password = STR("correcthorse"),
		                    .hash = str_of(hash),
		                    .uuid = STR("u1"),
		                    .gate = G,
		                    .gate_slots = 1,
		                    .wait_ms = 20,
		                    .cache = cache };
	assert_int_equal(password_check(&C, &q, &fits), ERR_NONE);
	assert_true(fits);
	/* The gate is shut from here: what passes comes from the cache, what does not is told to wait. */
	assert_int_equal(gate_enter(&C, G, 1, 0, &pass), ERR_NONE);
	fits = false;
	assert_int_equal(password_check(&C, &q, &fits), ERR_NONE);
	assert_true(fits);
	q.password = STR("wronghorse");
	assert_int_equal(password_check(&C, &q, &fits), ERR_RATE);
	assert_true(C.err.retry_after_s > 0);
	gate_leave(G, &pass);
	assert_int_equal(password_check(&C, &q, &fits), ERR_NONE);
	assert_false(fits);
	/* wrong ones are not kept; a new hash or uuid is another question */
	assert_int_equal(gate_enter(&C, G, 1, 0, &pass), ERR_NONE);
	assert_int_equal(password_check(&C, &q, &fits), ERR_RATE);
	q.password = STR("correcthorse");
	q.hash = str_of(other);
	assert_int_equal(password_check(&C, &q, &fits), ERR_RATE);
	q.hash = str_of(hash);
	q.uuid = STR("u2");
	assert_int_equal(password_check(&C, &q, &fits), ERR_RATE);
	gate_leave(G, &pass);
	/* no such account */
	q.hash = STR0;
	q.uuid = STR0;
	assert_int_equal(password_check(&C, &q, &fits), ERR_NONE);
	assert_false(fits);
	free(cache);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(known_hash_and_its_relatives),
		cmocka_unit_test(only_72_bytes_count),
		cmocka_unit_test(no_hash_at_all),
		cmocka_unit_test(check_with_cache),
	};

	return cmocka_run_group_tests_name("auth/password", tests, setup, teardown);
}
