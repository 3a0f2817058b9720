/* The Redis client against a real server on a Unix socket: commands, log-in, limits, and a server that dies
 * or hangs. */
#include "context.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/redis-pool.h"
#include "net/redis.h"
#include "server.h"

struct run {
	struct ctx c;
	char *dir, *sock, *program;
	pid_t pid;
	const char *users; /* ACL lines */
};
static struct run R;

static void
start(void)
{
	const char *const argv[] = { R.program, "--port",       "0",  "--unixsocket", R.sock,  "--save",
		                     "",        "--appendonly", "no", "--user",       "alice", "on",
		                     ">wonder", "~a:*",         "&*", "+@all",        NULL };

	R.pid = srv_start(R.dir, "redis", argv);
	assert_true(srv_wait_socket(R.sock));
}

static int
begin(void **state)
{
	(void)state;
	R.c = t_ctx();
	R.dir = srv_dir();
	R.sock = str_fmt(R.c.mem, "%s/redis.sock", R.dir);
	R.program = srv_program("redis-server");
	start();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	srv_stop(R.pid, SIGKILL);
	srv_remove(R.dir);
	free(R.program);
	arena_free(R.c.mem);
	return 0;
}

static struct rdb_pool *
pool_of(struct rdb_conf conf)
{
	struct rdb_pool *p = NULL;

	conf.unix_socket_path = R.sock;
	assert_ok(&R.c, rdb_pool_new(&R.c, &conf, &p));
	return p;
}

static struct rdb_state
state_of(struct rdb_pool *p)
{
	struct rdb_state s;

	rdb_pool_state(p, &s);
	return s;
}

static void
values(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of((struct rdb_conf){ .db = 3, .client_name = "kade-test" });
	struct str v;
	struct rdb_reply r;
	int64_t n = 0;

	(void)state;
	assert_ok(c, rdb_ping(c, p));
	assert_ok(c, rdb_find(c, p, STR("absent"), &v));
	assert_null(v.p);
	assert_ok(c, rdb_set_ex(c, p, STR("k\0\r\n"), STR("v\0alue\r\n"), 60000));
	assert_ok(c, rdb_find(c, p, STR("k\0\r\n"), &v));
	assert_true(str_eq(v, STR("v\0alue\r\n")));
	assert_ok(c, rdb_command(c, p, RDB_ARGV(STR("PTTL"), STR("k\0\r\n")), &r));
	assert_true(r.integer > 0 && r.integer <= 60000);
	assert_ok(c, rdb_remove(c, p, STR("k\0\r\n")));
	assert_ok(c, rdb_find(c, p, STR("k\0\r\n"), &v));
	assert_null(v.p);
	assert_ok(c, rdb_set_ex(c, p, STR("empty"), STR(""), 60000));
	assert_ok(c, rdb_find(c, p, STR("empty"), &v));
	assert_non_null(v.p);
	assert_int_equal(v.n, 0);
	for (int i = 1; i <= 3; i++) {
		assert_ok(c, rdb_incr_ex(c, p, STR("count"), 50000, &n));
		assert_int_equal(n, i);
	}
	assert_ok(c, rdb_command(c, p, RDB_ARGV(STR("PTTL"), STR("count")), &r));
	assert_true(r.integer > 0 && r.integer <= 50000);
	assert_ok(c, rdb_publish(c, p, STR("user/x/events/y"), STR("{}"), &n));
	assert_int_equal(n, 0);
	assert_ok(c, rdb_command(c, p, RDB_ARGV(STR("CLIENT"), STR("LIST")), &r));
	assert_has(r.str.p, "name=kade-test");
	assert_has(r.str.p, "db=3");
	assert_int_equal(state_of(p).connects, 1);
	rdb_pool_free(p);
}

static void
scripts_after_a_flush(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of((struct rdb_conf){ 0 });
	const struct str key = STR("s"), arg = STR("7");
	struct rdb_call call = { .script = STR("return {KEYS[1], ARGV[1] + 1}"),
		                 .keys = &key,
		                 .n_keys = 1,
		                 .args = &arg,
		                 .n_args = 1 };
	struct rdb_reply r;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_ok(c, rdb_eval(c, p, &call, &r));
		assert_int_equal(r.n, 2);
		assert_true(str_eq(r.elem[0].str, STR("s")));
		assert_int_equal(r.elem[1].integer, 8);
		if (i == 1)
			assert_ok(c, rdb_command(c, p, RDB_ARGV(STR("SCRIPT"), STR("FLUSH")), &r));
	}
	call.script = STR("return redis.error_reply('OOPS secret')");
	assert_int_equal(rdb_eval(c, p, &call, &r), ERR_UPSTREAM);
	assert_null(strstr(c->err.text, "secret"));
	rdb_pool_free(p);
}

static void
token_bucket(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of((struct rdb_conf){ 0 });
	const struct rdb_bucket b = { .rate_per_s = 0.001, .burst = 3, .cost = 1 };
	struct rdb_taken t;
	struct rdb_reply r;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_ok(c, rdb_bucket_take(c, p, STR("bucket"), &b, &t));
		assert_true(t.allowed);
		assert_int_equal(t.left, 2 - i);
	}
	assert_ok(c, rdb_bucket_take(c, p, STR("bucket"), &b, &t));
	assert_false(t.allowed);
	assert_true(t.retry_after_ms > 900000 && t.retry_after_ms <= 1000000);
	assert_ok(c, rdb_command(c, p, RDB_ARGV(STR("PTTL"), STR("bucket")), &r));
	assert_true(r.integer > 0);
	/* set back the stored clock by 2,500 s: two tokens more */
	assert_ok(
	    c, rdb_command(c, p, RDB_ARGV(STR("HINCRBY"), STR("bucket"), STR("t"), STR("-2500000000")), &r));
	assert_ok(c, rdb_bucket_take(c, p, STR("bucket"), &b, &t));
	assert_true(t.allowed);
	assert_int_equal(t.left, 1);
	rdb_pool_free(p);
}

static void
pipeline_keeps_the_order(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of((struct rdb_conf){ 0 });
	const struct str a[] = { STR("MULTI") }, b[] = { STR("RPUSH"), STR("log"), STR("one"), STR("two") },
	                 d[] = { STR("EXPIRE"), STR("log"), STR("100") }, e[] = { STR("EXEC") },
	                 f[] = { STR("NOSUCH") }, g[] = { STR("LLEN"), STR("log") };
	const struct rdb_cmd cmds[] = {
		{a,  1},
                { b, 4},
                { d, 3},
                { e, 1},
                { f, 1},
                { g, 2}
	};
	struct rdb_reply r[6];

	(void)state;
	assert_ok(c, rdb_pipeline(c, p, 6, cmds, r));
	assert_true(str_eq(r[0].str, STR("OK")));
	assert_true(str_eq(r[2].str, STR("QUEUED")));
	assert_int_equal(r[3].n, 2);
	assert_int_equal(r[3].elem[0].integer, 2);
	assert_int_equal(r[4].type, RDB_ERROR);
	assert_int_equal(r[5].integer, 2);
	rdb_pool_free(p);
}

static void
users(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of((struct rdb_conf){ .username = "alice", .password = "wonder" });
	struct str v;

	(void)state;
	assert_ok(c, rdb_find(c, p, STR("a:1"), &v));
	assert_int_equal(rdb_find(c, p, STR("b:1"), &v), ERR_UPSTREAM);
	assert_has(c->err.text, "NOPERM");
	assert_int_equal(state_of(p).failures, 0);
	rdb_pool_free(p);
	p = pool_of((struct rdb_conf){ .username = "alice", .password = "s3cret-wrong" });
	assert_int_equal(rdb_ping(c, p), ERR_BUSY);
	assert_has(c->err.text, "AUTH refused: WRONGPASS");
	assert_null(strstr(c->err.text, "s3cret"));
	assert_int_equal(state_of(p).failures, 1);
	rdb_pool_free(p);
}

static void
limits(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p =
	    pool_of((struct rdb_conf){ .max_reply_bytes = 100000, .max_reply_elements = 100 });
	const struct str lua = STR("local t = {} for i = 1, tonumber(ARGV[1]) do t[i] = i end return t");
	char *big = arena_zalloc(c->mem, 200000);
	struct str v, arg = STR("100");
	struct rdb_reply r;
	struct rdb_call call = { .script = lua, .args = &arg, .n_args = 1 };

	(void)state;
	assert_ok(c, rdb_set_ex(c, p, STR("big"), (struct str){ big, 200000 }, 60000));
	assert_int_equal(rdb_find(c, p, STR("big"), &v), ERR_UPSTREAM);
	assert_has(c->err.text, "too large");
	assert_ok(c, rdb_eval(c, p, &call, &r));
	assert_int_equal(r.n, 100);
	arg = STR("101");
	assert_int_equal(rdb_eval(c, p, &call, &r), ERR_UPSTREAM);
	assert_has(c->err.text, "too many elements");
	assert_ok(c, rdb_ping(c, p)); /* the bad connection is gone, the next one works */
	assert_ok(c, rdb_remove(c, p, STR("big")));
	rdb_pool_free(p);
}

static void
a_closed_idle_connection_is_replaced(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of((struct rdb_conf){ 0 }), *q = pool_of((struct rdb_conf){ 0 });
	struct rdb_reply r;

	(void)state;
	assert_ok(c, rdb_ping(c, p));
	assert_ok(c, rdb_command(c, q,
	                         RDB_ARGV(STR("CLIENT"), STR("KILL"), STR("TYPE"), STR("normal"),
	                                  STR("SKIPME"), STR("yes")),
	                         &r));
	assert_true(r.integer >= 1);
	assert_ok(c, rdb_ping(c, p));
	assert_int_equal(state_of(p).connects, 2);
	rdb_pool_free(p);
	rdb_pool_free(q);
}

static bool
ping_works(void *arg)
{
	return rdb_ping(&R.c, arg) == ERR_NONE;
}

static void
kill_and_come_back(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of((struct rdb_conf){ 0 });
	struct rdb_state s;

	(void)state;
	assert_ok(c, rdb_ping(c, p));
	srv_stop(R.pid, SIGKILL);
	assert_int_equal(rdb_ping(c, p),
	                 ERR_BUSY); /* noticed before anything is sent; the new connection is refused */
	s = state_of(p);
	assert_int_equal(s.failures, 1);
	assert_true(s.retry_in_ms > 0);
	const uint64_t before = s.refused;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(rdb_ping(c, p), ERR_BUSY);
	s = state_of(p);
	assert_true(s.refused - before + s.failures - 1 == 1000); /* each was refused, or was a due attempt */
	assert_true(s.failures <= 3);
	start();
	assert_true(srv_until(ping_works, p, 10000));
	assert_int_equal(state_of(p).failures, 0);
	assert_int_equal(state_of(p).connects, 2);
	rdb_pool_free(p);
}

static void
a_hanging_server(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p =
	    pool_of((struct rdb_conf){ .command_timeout_ms = 200, .connect_timeout_ms = 200 });

	(void)state;
	assert_ok(c, rdb_ping(c, p));
	kill(R.pid, SIGSTOP);
	assert_int_equal(rdb_ping(c, p), ERR_UPSTREAM);
	assert_has(c->err.text, "no answer in time");
	assert_int_equal(rdb_ping(c, p), ERR_BUSY);
	assert_int_equal(state_of(p).refused, 1);
	kill(R.pid, SIGCONT);
	assert_true(srv_until(ping_works, p, 10000));
	rdb_pool_free(p);
}

struct blocked {
	struct rdb_pool *p;
	enum err_kind k;
	bool popped;
};

static void *
pop(void *arg)
{
	struct blocked *b = arg;
	struct ctx c = t_ctx();
	struct rdb_reply r = { 0 };

	b->k = rdb_command(&c, b->p, RDB_ARGV(STR("BLPOP"), STR("queue"), STR("0")), &r);
	b->popped = b->k == ERR_NONE && r.n == 2 && str_eq(r.elem[1].str, STR("item"));
	arena_free(c.mem);
	return NULL;
}

static bool
somebody_waits(void *arg)
{
	struct rdb_reply r = { 0 };

	assert_ok(&R.c, rdb_command(&R.c, arg, RDB_ARGV(STR("CLIENT"), STR("LIST")), &r));
	return strstr(r.str.p, "cmd=blpop") != NULL;
}

/* While the only connection is in use a second caller waits within its budget, then is refused; later it gets
 * it. */
static void
one_connection_for_two(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of(
	    (struct rdb_conf){ .max_connections = 1, .command_timeout_ms = 20000, .budget_ms = 20000 });
	struct rdb_pool *q = pool_of((struct rdb_conf){ 0 });
	struct blocked b = { .p = p };
	pthread_t t;
	struct rdb_reply r;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, pop, &b), 0);
	assert_true(srv_until(somebody_waits, q, 10000));
	assert_int_equal(state_of(p).busy, 1);
	struct blocked second = { .p = p };
	pthread_t u;
	assert_int_equal(pthread_create(&u, NULL, pop, &second), 0);
	assert_ok(c, rdb_command(c, q, RDB_ARGV(STR("RPUSH"), STR("queue"), STR("item"), STR("item")), &r));
	pthread_join(t, NULL);
	pthread_join(u, NULL);
	assert_true(b.popped && second.popped);
	assert_int_equal(state_of(p).connects, 1);
	rdb_pool_free(p);
	rdb_pool_free(q);
}

static void
nobody_waits_longer_than_the_budget(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of((struct rdb_conf){ .max_connections = 1 });
	struct rdb_conn *first = NULL, *second = NULL;

	(void)state;
	assert_ok(c, rdb_pool_take(c, p, clock_mono_us() + 5000000, &first));
	assert_int_equal(rdb_pool_take(c, p, clock_mono_us() + 50000, &second), ERR_BUSY);
	assert_has(c->err.text, "all 1 connections are in use");
	assert_int_equal(state_of(p).failures, 0);
	rdb_pool_give(p, first, RDB_KEEP, NULL);
	assert_ok(c, rdb_pool_take(c, p, clock_mono_us() + 50000, &second));
	assert_ptr_equal(first, second);
	rdb_pool_give(p, second, RDB_KEEP, NULL);
	rdb_pool_free(p);
}

struct worker {
	struct rdb_pool *p;
	int bad;
};

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct ctx c = t_ctx();

	for (int i = 0; i < 300; i++) {
		int64_t n = 0;
		if (rdb_incr_ex(&c, w->p, STR("threads"), 60000, &n) != ERR_NONE)
			w->bad++;
		arena_reset(c.mem, 1 << 20);
	}
	arena_free(c.mem);
	return NULL;
}

static void
threads_share_the_pool(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = pool_of((struct rdb_conf){ .max_connections = 3 });
	struct worker w[8];
	pthread_t t[8];
	struct str v;

	(void)state;
	for (int i = 0; i < 8; i++) {
		w[i] = (struct worker){ .p = p };
		assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].bad, 0);
	}
	assert_ok(c, rdb_find(c, p, STR("threads"), &v));
	assert_true(str_eq(v, STR("2400")));
	assert_true(state_of(p).connects <= 3);
	assert_int_equal(state_of(p).busy, 0);
	rdb_pool_free(p);
}

static void
nobody_there(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = NULL;
	const struct rdb_conf name = { .node = { .host = "no-such-host.invalid" } };
	const struct rdb_conf port = {
		.node = {.host = "127.0.0.1", .port = (uint16_t)srv_port()}
	};

	(void)state;
	assert_int_equal(rdb_pool_new(c, &(struct rdb_conf){ 0 }, &p), ERR_BAD_INPUT);
	assert_ok(c, rdb_pool_new(c, &name, &p));
	assert_int_equal(rdb_ping(c, p), ERR_BUSY);
	assert_has(c->err.text, "no-such-host.invalid:6379");
	rdb_pool_free(p);
	assert_ok(c, rdb_pool_new(c, &port, &p));
	assert_int_equal(rdb_ping(c, p), ERR_BUSY);
	assert_has(c->err.text, "Connection refused");
	rdb_pool_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(values),
		                            cmocka_unit_test(scripts_after_a_flush),
		                            cmocka_unit_test(token_bucket),
		                            cmocka_unit_test(pipeline_keeps_the_order),
		                            cmocka_unit_test(users),
		                            cmocka_unit_test(limits),
		                            cmocka_unit_test(one_connection_for_two),
		                            cmocka_unit_test(nobody_waits_longer_than_the_budget),
		                            cmocka_unit_test(a_closed_idle_connection_is_replaced),
		                            cmocka_unit_test(kill_and_come_back),
		                            cmocka_unit_test(a_hanging_server),
		                            cmocka_unit_test(threads_share_the_pool),
		                            cmocka_unit_test(nobody_there) };

	if (!srv_needs("redis-server"))
		return 0;
	return cmocka_run_group_tests_name("net/redis", tests, begin, end);
}
