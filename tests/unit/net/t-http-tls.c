/* The HTTP client against real TLS servers with good and bad certificates: each failure is told apart and
 * named. */
#include "context.h"

#include <stdlib.h>

#include "net/http-client.h"
#include "pki.h"
#include "server.h"
#include "web.h"

struct run {
	struct ctx c;
	struct web web;
	struct hc_shared *shared;
	struct hc_client *h;
	const char *client, *client_key, *only_self;
};
static struct run R;

static char *
in(const char *name)
{
	return str_fmt(R.c.mem, "%s/%s", R.web.dir, name);
}

/* "name=cert,key" for http-server.py; chain ends with NULL. */
static const char *
listener(const char *name, const struct pki_cert *const *chain, const char *client_ca)
{
	char *cert = str_fmt(R.c.mem, "%s/%s.pem", R.web.dir, name),
	     *key = str_fmt(R.c.mem, "%s/%s.key", R.web.dir, name);

	pki_write_certs(cert, chain);
	pki_write_key(key, chain[0]);
	return str_fmt(R.c.mem, "%s=%s,%s%s%s", name, cert, key, client_ca == NULL ? "" : ",",
	               client_ca == NULL ? "" : client_ca);
}
#define CHAIN(...) ((const struct pki_cert *const[]){ __VA_ARGS__, NULL })

static int
begin(void **state)
{
	static const char SAN[] = "DNS:localhost,IP:127.0.0.1";

	(void)state;
	R.c = t_ctx();
	web_dir(&R.web);
	const struct pki_cert *root = pki_make(&(struct pki_want){ .cn = "Test Root", .is_ca = 1 });
	const struct pki_cert *mid =
	    pki_make(&(struct pki_want){ .cn = "Test Intermediate", .is_ca = 1, .issuer = root });
	const struct pki_cert *good = pki_make(&(struct pki_want){ .cn = "good", .san = SAN, .issuer = mid });
	const struct pki_cert *old = pki_make(
	    &(struct pki_want){ .cn = "old", .san = SAN, .issuer = root, .from_s = -9000, .until_s = -10 });
	const struct pki_cert *early =
	    pki_make(&(struct pki_want){ .cn = "early", .san = SAN, .issuer = root, .from_s = 9000 });
	const struct pki_cert *self = pki_make(&(struct pki_want){ .cn = "self", .san = SAN });
	const struct pki_cert *host = pki_make(
	    &(struct pki_want){ .cn = "host", .san = "DNS:kade.test,DNS:*.kade.test", .issuer = root });
	const struct pki_cert *strange = pki_make(&(struct pki_want){ .cn = "Strange Root", .is_ca = 1 });
	const struct pki_cert *foreign =
	    pki_make(&(struct pki_want){ .cn = "foreign", .san = SAN, .issuer = strange });
	const struct pki_cert *client = pki_make(&(struct pki_want){ .cn = "client", .issuer = root });

	pki_write_certs(in("ca.pem"), CHAIN(root));
	pki_write_certs(R.client = in("client.pem"), CHAIN(client));
	pki_write_key(R.client_key = in("client.key"), client);
	pki_write_certs(R.only_self = in("self-ca.pem"), CHAIN(self));
	const char *const l[] = { listener("good", CHAIN(good, mid), NULL),
		                  listener("chainless", CHAIN(good), NULL),
		                  listener("expired", CHAIN(old), NULL),
		                  listener("early", CHAIN(early), NULL),
		                  listener("self", CHAIN(self), NULL),
		                  listener("host", CHAIN(host), NULL),
		                  listener("foreign", CHAIN(foreign, strange), NULL),
		                  listener("client", CHAIN(good, mid), in("ca.pem")),
		                  "plain",
		                  NULL };
	web_start(&R.web, l);
	const struct hc_conf conf = { .ca_file = in("ca.pem") };
	assert_ok(&R.c, hc_shared_new(&R.c, &conf, &R.shared));
	R.h = hc_client_new(R.shared);
	return R.h == NULL ? -1 : 0;
}

static int
end(void **state)
{
	(void)state;
	hc_client_free(R.h);
	hc_shared_free(R.shared);
	web_stop(&R.web);
	pki_free_all();
	arena_free(R.c.mem);
	return 0;
}

static struct hc_request
to(const char *name)
{
	return (struct hc_request){ .url = str_fmt(R.c.mem, "https://localhost:%d/echo?secret",
		                                   web_port(&R.web, name)) };
}

static void
fails(const char *name, enum hc_error error, const char *reason)
{
	const struct hc_request rq = to(name);
	struct hc_result r;

	assert_int_equal(hc_perform(&R.c, R.h, &rq, &r), ERR_UPSTREAM);
	assert_has(r.reason, reason);
	assert_int_equal(r.error, error);
	assert_has(R.c.err.text, str_fmt(R.c.mem, "https://localhost:%d: ", web_port(&R.web, name)));
	assert_has(R.c.err.text, reason);
	assert_null(strstr(R.c.err.text, "secret"));
}

static void
works(struct hc_request rq)
{
	struct hc_result r;

	assert_ok(&R.c, hc_perform(&R.c, R.h, &rq, &r));
	assert_int_equal(r.status, 200);
}

static void
trusted(void **state)
{
	struct hc_request rq = to("good");

	(void)state;
	works(rq);
	works(rq);
	rq.url = str_fmt(R.c.mem, "https://127.0.0.1:%d/echo", web_port(&R.web, "good"));
	works(rq);
}

static void
bad_certificates(void **state)
{
	(void)state;
	fails("expired", HC_TLS_EXPIRED, "CN = old has expired");
	fails("early", HC_TLS_EXPIRED, "CN = early is not valid yet");
	fails("self", HC_TLS_SELF_SIGNED, "CN = self is self-signed");
	fails("host", HC_TLS_WRONG_HOST, "CN = host is not for this host (it is for kade.test, *.kade.test)");
	fails("chainless", HC_TLS_NO_ISSUER,
	      "CN = good: its issuer CN = Test Intermediate is not trusted here, and the server sends no "
	      "intermediate");
	fails("foreign", HC_TLS_NO_ISSUER, "CN = Strange Root is not trusted");
	fails("plain", HC_TLS_OTHER, "");
	fails("client", HC_TLS_OTHER, "the server refused the connection: ");
}

static void
own_trust_and_none(void **state)
{
	struct hc_request rq = to("self");

	(void)state;
	rq.ca_file = R.only_self;
	works(rq);
	rq = to("expired");
	rq.no_verify = true;
	works(rq);
	/* the unverified connection must not serve one that asks for verification */
	fails("expired", HC_TLS_EXPIRED, "has expired");
	rq = to("good");
	rq.ca_file = "/nowhere/ca.pem";
	struct hc_result r;
	assert_int_equal(hc_perform(&R.c, R.h, &rq, &r), ERR_UPSTREAM);
	assert_has(R.c.err.text, "/nowhere/ca.pem");
}

static void
client_certificate(void **state)
{
	struct hc_request rq = to("client");

	(void)state;
	rq.client_cert = R.client;
	rq.client_key = R.client_key;
	works(rq);
}

static void
no_way_back_to_http(void **state)
{
	struct hc_request rq = to("good");
	struct hc_result r;

	(void)state;
	rq.max_redirects = 3;
	rq.url = str_fmt(R.c.mem, "https://localhost:%d/redirect?to=http://localhost:%d/echo",
	                 web_port(&R.web, "good"), web_port(&R.web, "plain"));
	assert_int_equal(hc_perform(&R.c, R.h, &rq, &r), ERR_UPSTREAM);
	assert_int_equal(r.error, HC_REDIRECTS);
	assert_has(r.reason, "from https to http");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(trusted), cmocka_unit_test(bad_certificates),
		                            cmocka_unit_test(own_trust_and_none),
		                            cmocka_unit_test(client_certificate),
		                            cmocka_unit_test(no_way_back_to_http) };

	if (!srv_needs("python3"))
		return 0;
	return cmocka_run_group_tests_name("net/http-tls", tests, begin, end);
}
