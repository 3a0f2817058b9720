/* The Redis client with Sentinel: two real servers, a sentinel, the master killed, and a server that is no
 * master. */
#include "context.h"

#include <signal.h>
#include <stdlib.h>

#include "net/redis.h"
#include "server.h"

struct run {
	struct ctx c;
	char *dir, *program;
	pid_t pid[3];
	int port[3]; /* two servers, the sentinel */
};
static struct run R;

static pid_t
start_server(int i, int master)
{
	const char *name = str_fmt(R.c.mem, "server%d", i), *port = str_fmt(R.c.mem, "%d", R.port[i]);
	const char *const argv[] = { R.program,
		                     "--port",
		                     port,
		                     "--bind",
		                     "127.0.0.1",
		                     "--save",
		                     "",
		                     "--dbfilename",
		                     str_fmt(R.c.mem, "%s.rdb", name),
		                     "--requirepass",
		                     "pw",
		                     "--masterauth",
		                     "pw",
		                     "--repl-diskless-sync-delay",
		                     "0",
		                     master ? "--replicaof" : NULL,
		                     str_fmt(R.c.mem, "127.0.0.1 %d", master),
		                     NULL };
	const pid_t pid = srv_start(R.dir, name, argv);

	assert_true(srv_wait_port(R.port[i]));
	return pid;
}

static void
start_sentinel(void)
{
	char *path = str_fmt(R.c.mem, "%s/sentinel.conf", R.dir);

	srv_write(path, str_fmt(R.c.mem,
	                        "port %d\nbind 127.0.0.1\nsentinel monitor kade 127.0.0.1 %d 1\n"
	                        "sentinel auth-pass kade pw\nsentinel down-after-milliseconds kade 500\n"
	                        "sentinel failover-timeout kade 4000\nrequirepass sentinel-pw\n",
	                        R.port[2], R.port[0]));
	const char *const argv[] = { R.program, path, "--sentinel", NULL };
	R.pid[2] = srv_start(R.dir, "sentinel", argv);
	assert_true(srv_wait_port(R.port[2]));
}

static int
begin(void **state)
{
	(void)state;
	R.c = t_ctx();
	R.dir = srv_dir();
	R.program = srv_program("redis-server");
	for (int i = 0; i < 3; i++)
		R.port[i] = srv_port();
	R.pid[0] = start_server(0, 0);
	R.pid[1] = start_server(1, R.port[0]);
	start_sentinel();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		srv_stop(R.pid[i], SIGKILL);
	srv_remove(R.dir);
	free(R.program);
	arena_free(R.c.mem);
	return 0;
}

static struct rdb_pool *
pool_of(const struct rdb_conf *conf)
{
	struct rdb_pool *p = NULL;

	assert_ok(&R.c, rdb_pool_new(&R.c, conf, &p));
	return p;
}

static struct rdb_reply
ask(struct rdb_pool *p, size_t n, const struct str argv[])
{
	struct rdb_reply r = { 0 };

	assert_ok(&R.c, rdb_command(&R.c, p, n, argv, &r));
	return r;
}

static bool
replica_is_known(void *arg)
{
	struct rdb_reply r = ask(arg, RDB_ARGV(STR("SENTINEL"), STR("replicas"), STR("kade")));

	if (r.n != 1)
		return false;
	for (size_t i = 0; i + 1 < r.elem[0].n; i += 2)
		if (str_eq(r.elem[0].elem[i].str, STR("master-link-status")))
			return str_eq(r.elem[0].elem[i + 1].str, STR("ok"));
	return false;
}

static bool
set_works(void *arg)
{
	return rdb_set_ex(&R.c, arg, STR("after"), STR("failover"), 60000) == ERR_NONE;
}

static void
follows_a_failover(void **state)
{
	struct ctx *c = &R.c;
	const struct rdb_node nodes[] = {
		{"127.0.0.1",  (uint16_t)srv_port()}, /* nobody there: the next one is asked */
		{ "127.0.0.1", (uint16_t)R.port[2] }
	};
	const struct rdb_conf conf = { .password = "pw",
		                       .sentinels = nodes,
		                       .n_sentinels = 2,
		                       .sentinel_master = "kade",
		                       .sentinel_password = "sentinel-pw" };
	struct rdb_state s;
	struct str v;

	(void)state;
	struct rdb_pool *sentinel =
	    pool_of(&(struct rdb_conf){ .node = nodes[1], .password = "sentinel-pw" });
	assert_true(srv_until(replica_is_known, sentinel, 20000));
	struct rdb_pool *p = pool_of(&conf);
	assert_ok(c, rdb_set_ex(c, p, STR("before"), STR("x"), 600000));
	assert_int_equal(ask(p, RDB_ARGV(STR("WAIT"), STR("1"), STR("1500"))).integer, 1);
	rdb_pool_state(p, &s);
	assert_string_equal(s.master, str_fmt(c->mem, "127.0.0.1:%d", R.port[0]));
	srv_stop(R.pid[0], SIGKILL);
	R.pid[0] = 0;
	assert_int_equal(rdb_ping(c, p), ERR_BUSY);
	assert_true(srv_until(set_works, p, 30000));
	rdb_pool_state(p, &s);
	assert_string_equal(s.master, str_fmt(c->mem, "127.0.0.1:%d", R.port[1]));
	assert_ok(c, rdb_find(c, p, STR("before"), &v));
	assert_true(str_eq(v, STR("x")));

	/* The new master is made a replica behind the sentinel's back: a write says READONLY, and ROLE keeps
	 * us away. */
	struct rdb_pool *direct = pool_of(&(struct rdb_conf){
	    .node = {"127.0.0.1", (uint16_t)R.port[1]},
              .password = "pw"
        });
	ask(direct, RDB_ARGV(STR("REPLICAOF"), STR("127.0.0.1"), str_of(str_fmt(c->mem, "%d", R.port[0]))));
	assert_int_equal(rdb_set_ex(c, p, STR("k"), STR("v"), 1000), ERR_BUSY);
	assert_has(c->err.text, "is not a master");
	rdb_pool_free(direct);
	rdb_pool_free(p);
	rdb_pool_free(sentinel);
}

static void
unknown_master(void **state)
{
	const struct rdb_node node = { "127.0.0.1", (uint16_t)R.port[2] };

	(void)state;
	struct rdb_pool *p = pool_of(&(struct rdb_conf){ .sentinels = &node,
	                                                 .n_sentinels = 1,
	                                                 .sentinel_master = "other",
	                                                 .sentinel_password = "sentinel-pw" });
	assert_int_equal(rdb_ping(&R.c, p), ERR_BUSY);
	assert_has(R.c.err.text, "knows no master \"other\"");
	rdb_pool_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(unknown_master),
		                            cmocka_unit_test(follows_a_failover) };

	if (!srv_needs("redis-server"))
		return 0;
	return cmocka_run_group_tests_name("net/redis-sentinel", tests, begin, end);
}
