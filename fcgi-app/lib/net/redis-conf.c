/* The Redis blocks of config.yaml as options of our client. */
#include "net/redis-conf.h"

#include <openssl/ssl.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "net/redis.h"

/* Older versions than TLS 1.2 are not spoken: a block that allows them gets 1.2 at least. */
static int
tls_version(const char *name)
{
	return name != NULL && strcmp(name, "TLSv1.3") == 0 ? TLS1_3_VERSION : 0;
}

static enum tls_verify
tls_verify(enum conf_redis_verify v)
{
	switch (v) {
	case CONF_REDIS_VERIFY_NONE:
		return TLS_VERIFY_NONE;
	case CONF_REDIS_VERIFY_OPTIONAL:
		return TLS_VERIFY_OPTIONAL;
	case CONF_REDIS_VERIFY_REQUIRED:
		break;
	}
	return TLS_VERIFY_REQUIRED;
}

static struct rdb_node
node_of(struct ctx *c, const char *text)
{
	struct str host, port;
	int64_t n = 0;

	if (!str_rcut(str_of(text), ':', &host, &port) || !str_to_i64(port, 1, 65535, &n))
		host = str_of(text);
	return (struct rdb_node){ str_dup(c->mem, host), (uint16_t)n };
}

void
rdb_conf_from(struct ctx *c, const struct conf_redis *r, struct rdb_conf *out)
{
	struct rdb_node *sentinels = ARENA_ARRAY(c->mem, struct rdb_node, r->sentinels.n);

	for (size_t i = 0; i < r->sentinels.n; i++)
		sentinels[i] = node_of(c, r->sentinels.v[i]);
	*out = (struct rdb_conf){
		.node = {r->host,                   (uint16_t)r->port  },
		.unix_socket_path = r->unix_socket_path,
		.username = r->username,
		.password = r->password,
		.client_name = r->client_name,
		.db = r->db,
		.ssl = r->ssl,
		.tls = { .verify = tls_verify(r->ssl_cert_reqs),
		         .any_host = !r->ssl_check_hostname,
		         .ca_file = r->ssl_ca_certs,
		         .ca_path = r->ssl_ca_path,
		         .cert_file = r->ssl_certfile,
		         .key_file = r->ssl_keyfile,
		         .ciphers = r->ssl_ciphers,
		         .min_version = tls_version(r->ssl_min_version) },
		.sentinels = sentinels,
		.n_sentinels = r->sentinels.n,
		.sentinel_master = r->sentinel_primary,
		.sentinel_username = r->sentinel_username,
		.sentinel_password = r->sentinel_password,
	};
}
