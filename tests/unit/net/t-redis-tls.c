/* The Redis client over TLS against a real server: trust, host names, client certificates, versions. */
#include "context.h"

#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>

#include "net/redis.h"
#include "pki.h"
#include "server.h"

struct run {
	struct ctx c;
	char *dir, *program;
	pid_t pid;
	int port;
	const char *ca, *other_ca, *cert, *key, *client, *client_key;
};
static struct run R;

static char *
in(const char *name)
{
	return str_fmt(R.c.mem, "%s/%s", R.dir, name);
}

static void
make_files(void)
{
	const struct pki_cert *ca = pki_make(&(struct pki_want){ .cn = "Test CA", .is_ca = 1 });
	const struct pki_cert *other = pki_make(&(struct pki_want){ .cn = "Other CA", .is_ca = 1 });
	const struct pki_cert *server =
	    pki_make(&(struct pki_want){ .cn = "redis", .san = "IP:127.0.0.1", .issuer = ca });
	const struct pki_cert *client = pki_make(&(struct pki_want){ .cn = "kade", .issuer = ca });

	R.ca = in("ca.pem");
	R.other_ca = in("other.pem");
	R.cert = in("server.pem");
	R.key = in("server.key");
	R.client = in("client.pem");
	R.client_key = in("client.key");
	pki_write_certs(R.ca, (const struct pki_cert *const[]){ ca, NULL });
	pki_write_certs(R.other_ca, (const struct pki_cert *const[]){ other, NULL });
	pki_write_certs(R.cert, (const struct pki_cert *const[]){ server, NULL });
	pki_write_key(R.key, server);
	pki_write_certs(R.client, (const struct pki_cert *const[]){ client, NULL });
	pki_write_key(R.client_key, client);
}

static int
begin(void **state)
{
	(void)state;
	R.c = t_ctx();
	R.dir = srv_dir();
	R.program = srv_program("redis-server");
	make_files();
	R.port = srv_port();
	const char *const argv[] = { R.program,
		                     "--port",
		                     "0",
		                     "--tls-port",
		                     str_fmt(R.c.mem, "%d", R.port),
		                     "--bind",
		                     "127.0.0.1",
		                     "--tls-cert-file",
		                     R.cert,
		                     "--tls-key-file",
		                     R.key,
		                     "--tls-ca-cert-file",
		                     R.ca,
		                     "--tls-auth-clients",
		                     "yes",
		                     "--save",
		                     "",
		                     "--requirepass",
		                     "pw",
		                     NULL };
	R.pid = srv_start(R.dir, "redis", argv);
	return srv_wait_port(R.port) ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	srv_stop(R.pid, SIGKILL);
	srv_remove(R.dir);
	free(R.program);
	pki_free_all();
	arena_free(R.c.mem);
	return 0;
}

/* One PING with these options on a pool of its own. */
static enum err_kind
ping(const char *host, struct tls_conf tls)
{
	struct rdb_pool *p = NULL;

	assert_ok(
	    &R.c,
	    rdb_pool_new(&R.c,
	                 &(struct rdb_conf){
	                     .node = {host, (uint16_t)R.port},
                               .password = "pw", .ssl = true, .tls = tls
        },
	                 &p));
	const enum err_kind k = rdb_ping(&R.c, p);
	rdb_pool_free(p);
	return k;
}

static struct tls_conf
good(void)
{
	return (struct tls_conf){ .ca_file = R.ca, .cert_file = R.client, .key_file = R.client_key };
}

static void
trusted(void **state)
{
	struct tls_conf t = good();

	(void)state;
	assert_ok(&R.c, ping("127.0.0.1", t));
	t.min_version = TLS1_3_VERSION;
	assert_ok(&R.c, ping("127.0.0.1", t));
	t.verify = TLS_VERIFY_OPTIONAL;
	assert_ok(&R.c, ping("127.0.0.1", t));
}

static void
untrusted(void **state)
{
	struct tls_conf t = good();

	(void)state;
	t.ca_file = R.other_ca;
	assert_int_equal(ping("127.0.0.1", t), ERR_BUSY);
	assert_has(R.c.err.text, "certificate");
	t.verify = TLS_VERIFY_OPTIONAL;
	assert_int_equal(ping("127.0.0.1", t), ERR_BUSY);
	t.verify = TLS_VERIFY_NONE;
	assert_ok(&R.c, ping("127.0.0.1", t));
}

static void
wrong_host(void **state)
{
	struct tls_conf t = good();

	(void)state;
	assert_int_equal(ping("localhost", t), ERR_BUSY);
	assert_has(R.c.err.text, "ostname mismatch");
	t.any_host = true;
	assert_ok(&R.c, ping("localhost", t));
}

static void
no_client_certificate(void **state)
{
	(void)state;
	assert_int_equal(ping("127.0.0.1", (struct tls_conf){ .ca_file = R.ca }), ERR_BUSY);
}

static void
missing_files_are_named(void **state)
{
	struct rdb_pool *p = NULL;
	struct rdb_conf k = { .node = { .host = "127.0.0.1" },
		              .ssl = true,
		              .tls = { .ca_file = "/nowhere/ca.pem" } };

	(void)state;
	assert_int_equal(rdb_pool_new(&R.c, &k, &p), ERR_BAD_INPUT);
	assert_has(R.c.err.text, "/nowhere/ca.pem");
	k.tls = (struct tls_conf){ .cert_file = "/nowhere/client.pem" };
	assert_int_equal(rdb_pool_new(&R.c, &k, &p), ERR_BAD_INPUT);
	assert_has(R.c.err.text, "/nowhere/client.pem");
}

/* TLS 1.3 session tickets wait unread on a fresh connection: it must still count as quiet, and be used again.
 */
static void
connections_are_kept(void **state)
{
	struct ctx *c = &R.c;
	struct rdb_pool *p = NULL;
	struct rdb_state s;
	char *big = arena_zalloc(c->mem, 1000000);
	struct str v;

	(void)state;
	assert_ok(
	    c,
	    rdb_pool_new(
	        c,
	        &(struct rdb_conf){
	            .node = {"127.0.0.1", (uint16_t)R.port},
                      .password = "pw", .ssl = true, .tls = good()
        },
	        &p));
	for (int i = 0; i < 20; i++)
		assert_ok(c, rdb_ping(c, p));
	assert_ok(c, rdb_set_ex(c, p, STR("big"), (struct str){ big, 1000000 }, 60000));
	assert_ok(c, rdb_find(c, p, STR("big"), &v));
	assert_int_equal(v.n, 1000000);
	rdb_pool_state(p, &s);
	assert_int_equal(s.connects, 1);
	srv_stop(R.pid, SIGKILL);
	R.pid = 0;
	assert_int_equal(rdb_ping(c, p), ERR_BUSY);
	rdb_pool_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(trusted),
		                            cmocka_unit_test(untrusted),
		                            cmocka_unit_test(wrong_host),
		                            cmocka_unit_test(no_client_certificate),
		                            cmocka_unit_test(missing_files_are_named),
		                            cmocka_unit_test(connections_are_kept) };

	if (!srv_needs("redis-server"))
		return 0;
	return cmocka_run_group_tests_name("net/redis-tls", tests, begin, end);
}
