/* The reader of Redis answers: whole, in pieces, nested, over a limit, malformed. */
#include "context.h"

#include "net/redis-reply.h"

static struct ctx C;

static const char *
read_all(struct rdb_reader *rd, const char *wire, size_t n, size_t step, struct rdb_reply *out)
{
	bool ready = false;
	const char *why = NULL;

	rdb_reader_target(rd, C.mem);
	for (size_t i = 0; i < n && why == NULL && !ready; i += step) {
		why = rdb_reader_feed(rd, wire + i, step < n - i ? step : n - i);
		why = why != NULL ? why : rdb_reader_next(rd, out, &ready);
	}
	return why != NULL ? why : ready ? NULL : "incomplete";
}

static void
nested_in_pieces(void **state)
{
	static const char W[] = "*5\r\n:-7\r\n$-1\r\n*2\r\n+OK\r\n$5\r\na\0b\r\n\r\n-ERR no\r\n*-1\r\n";

	(void)state;
	for (size_t step = 1; step < sizeof W; step++) {
		struct rdb_reader *rd = rdb_reader_new(1000, 100);
		struct rdb_reply r = { 0 };
		assert_null(read_all(rd, W, sizeof W - 1, step, &r));
		assert_int_equal(r.type, RDB_ARRAY);
		assert_int_equal(r.n, 5);
		assert_int_equal(r.elem[0].integer, -7);
		assert_int_equal(r.elem[1].type, RDB_NIL);
		assert_int_equal(r.elem[2].n, 2);
		assert_int_equal(r.elem[2].elem[0].type, RDB_STATUS);
		assert_true(str_eq(r.elem[2].elem[1].str, STR("a\0b\r\n")));
		assert_int_equal(r.elem[3].type, RDB_ERROR);
		assert_int_equal(r.elem[4].type, RDB_NIL);
		assert_true(rdb_reader_is_empty(rd));
		rdb_reader_free(rd);
	}
}

static const char *
refusal(const char *wire, size_t bytes, size_t elements)
{
	struct rdb_reader *rd = rdb_reader_new(bytes, elements);
	struct rdb_reply r = { 0 };
	const char *why = read_all(rd, wire, strlen(wire), 7, &r);

	rdb_reader_free(rd);
	return why == NULL ? "" : why;
}

static void
limits_and_garbage(void **state)
{
	(void)state;
	assert_string_equal(refusal("$20\r\n01234567890123456789\r\n", 20, 10), "the answer is too large");
	assert_string_equal(refusal("*11\r\n", 1000, 10), "the answer has too many elements");
	assert_string_equal(refusal("*2\r\n*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n*5\r\n", 1000, 10),
	                    "the answer has too many elements");
	assert_string_equal(refusal("*2147483647\r\n", 1000, 65536), "the answer has too many elements");
	assert_string_equal(
	    refusal("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", 1000, 100),
	    "the answer is not Redis protocol");
	assert_string_equal(refusal("HTTP/1.1 400 Bad Request\r\n\r\n", 1000, 100),
	                    "the answer is not Redis protocol");
	assert_string_equal(refusal("%1\r\n+a\r\n+b\r\n", 1000, 100), "the answer is not Redis protocol");
	assert_string_equal(refusal("$-2\r\n", 1000, 100), "the answer is not Redis protocol");
	assert_string_equal(refusal(":12a\r\n", 1000, 100), "the answer is not Redis protocol");
	assert_string_equal(refusal("$99999999999999999999\r\n", 1000, 100),
	                    "the answer is not Redis protocol");
}

static void
a_full_arena_is_a_refusal(void **state)
{
	struct rdb_reader *rd = rdb_reader_new(1 << 20, 1 << 20);
	struct ctx was = C;
	struct rdb_reply r = { 0 };

	(void)state;
	C.mem = arena_new(4096);
	assert_string_equal(read_all(rd, "*1000\r\n", 7, 7, &r), "no memory left for the answer");
	arena_free(C.mem);
	C = was;
	rdb_reader_free(rd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nested_in_pieces),
		                            cmocka_unit_test(limits_and_garbage),
		                            cmocka_unit_test(a_full_arena_is_a_refusal) };

	C = t_ctx();
	const int rc = cmocka_run_group_tests_name("net/redis-reply", tests, NULL, NULL);
	arena_free(C.mem);
	return rc;
}
