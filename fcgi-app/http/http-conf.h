/* What the HTTP side takes from the configuration, ready for use: filled once by app.c, read-only afterwards. */
#ifndef KADE_HTTP_HTTP_CONF_H
#define KADE_HTTP_HTTP_CONF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct cidr; /* http/client-addr.h */
enum access_mode { ACCESS_OFF, ACCESS_ERRORS, ACCESS_SAMPLED, ACCESS_ALL };

struct http_conf {
	const char *scheme; /* PREFERRED_URL_SCHEME: "http" or "https" */
	const char *host;   /* SERVER_HOSTNAME: host[:port]; also the service of a challenge */
	const char *
	    mount; /* path prefix that the web server leaves in REQUEST_URI: "" or "/x", no slash at its end */
	const struct cidr
	    *trusted; /* TRUSTED_PROXY_CIDR: whose X-Forwarded-For counts; nobody's by default */
	size_t n_trusted;
	const struct cidr *metrics; /* KADE.METRICS_FROM: who may read /metrics */
	size_t n_metrics;
	struct str_list cors_origins; /* CORS_ORIGIN; empty or "*" = any origin, without credentials */
	enum access_mode access;      /* KADE.ACCESS_LOG */
	unsigned access_every;        /* of ACCESS_SAMPLED: one in so many */
	int slow_ms;                  /* a request that took longer is always logged; 0 = 5000 */
	int io_timeout_s;             /* idle time on the web server's connection; 0 = 300 */
};
#endif
