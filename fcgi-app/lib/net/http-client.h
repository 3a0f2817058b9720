/* Outgoing HTTP for everything in Kade that talks to a server: object stores, webhooks, identity providers,
 * mirrors, Clair. Over libcurl. One struct hc_shared per process (configuration, DNS and TLS session caches),
 * one struct hc_client per thread (handles, connections, parsed CA bundle); keep both for the life of their
 * owner.
 *
 * A status of 400 or above is an answer, not a failure. Failures: ERR_UPSTREAM; ERR_BAD_INPUT for a URL that
 * is malformed or refused by the SSRF guard; ERR_BUSY when memory ran out; ERR_CLIENT_GONE when a source or
 * sink gave up; ERR_BUG for a misuse. On each of them out->error and out->reason are set too. Texts name
 * scheme, host and port, never path, query, headers or bodies: those may carry secrets. */
#ifndef KADE_NET_HTTP_CLIENT_H
#define KADE_NET_HTTP_CLIENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct ssrf_rules;
struct hc_shared;
struct hc_client;
struct hc_transfer;

struct hc_conf {                /* strings and lists are borrowed for the life of the process */
	const char *ca_file;    /* the merged bundle (net/ca.h); NULL: libcurl's default */
	const char *user_agent; /* NULL: "Kade" */
	const char
	    *proxy; /* http://host:port for http and https URLs; NULL: none. The environment is never read */
	const struct str_list *no_proxy; /* hosts, ".suffixes", CIDR blocks, "*"; NULL: none */
	const char *proxy_ca_file;       /* for https:// proxies; NULL: ca_file */
};
/* Once per process, before the first thread. ERR_BUG when libcurl cannot start. Taken; freed with
 * hc_shared_free() after all clients. */
enum err_kind hc_shared_new(struct ctx *c, const struct hc_conf *conf, struct hc_shared **out) MUST_CHECK;
void hc_shared_free(struct hc_shared *s);
/* One per thread. NULL: out of memory. */
struct hc_client *hc_client_new(struct hc_shared *s);
void hc_client_free(struct hc_client *h); /* no transfer may be running */

struct hc_header {
	struct str name, value;
	bool is_secret; /* dropped when a redirect leads to another scheme, host or port, as Authorization and
	                   Cookie are */
};
/* Bytes of a request's body. Called inside libcurl: must not jump, so arena_try() only. */
struct hc_source {
	ssize_t (*read)(void *arg, char *p, size_t cap); /* 0: end, -1: give up */
	bool (*rewind)(void *arg); /* to the start, for a second sending; NULL: cannot */
	void *arg;
	int64_t size_bytes; /* -1: unknown (sent chunked) */
};
/* Takes the answer's body piece by piece. Called inside libcurl: must not jump. False: give up. */
typedef bool hc_sink(void *arg, const char *p, size_t n);

struct hc_request {
	const char *method; /* NULL: GET */
	const char *url;    /* http or https */
	const struct hc_header *headers;
	size_t n_headers;
	struct str body; /* p NULL: none, except for PUT, POST and PATCH, which then send an empty one */
	const struct hc_source *source; /* instead of body */
	hc_sink *sink; /* gets the body of a 2xx answer; NULL: to memory. Other bodies always go to memory */
	void *sink_arg;
	size_t max_body_bytes;  /* in memory; 0: 1 MiB. A longer 2xx body is HC_TOO_LARGE, a longer other one
	                           is cut */
	int64_t max_sink_bytes; /* 0: no limit */
	int max_redirects;      /* 0: a 3xx is the answer. https never leads to http */
	const struct ssrf_rules
	    *guard; /* NULL: the URL is the operator's; else user-aimed: every hop and connection checked */
	bool https_only;
	bool no_verify;                       /* neither certificate nor host name */
	const char *ca_file;                  /* NULL: hc_conf's */
	const char *client_cert, *client_key; /* PEM files */
	int connect_timeout_ms;               /* 0: 5,000 */
	int total_timeout_ms;                 /* redirects included; 0: 30,000; -1: none */
	int low_speed_bytes_s;                /* slower than this … ; 0: 1 */
	int low_speed_s;                      /* … for so long is a time-out; 0: 30 */
};

enum hc_error {
	HC_OK,
	HC_BAD_URL,
	HC_REFUSED, /* by the SSRF guard */
	HC_DNS,
	HC_CONNECT,
	HC_TLS_EXPIRED, /* or not yet valid */
	HC_TLS_SELF_SIGNED,
	HC_TLS_WRONG_HOST,
	HC_TLS_NO_ISSUER, /* unknown CA, or the server sends no intermediate certificate */
	HC_TLS_OTHER,
	HC_TIMEOUT, /* total, connect, or too slow */
	HC_TOO_LARGE,
	HC_REDIRECTS, /* too many, to a place that may not be gone to, or the body cannot be sent again */
	HC_PROTOCOL,  /* the answer is not HTTP, or ended too early */
	HC_GIVEN_UP,  /* by a source or sink */
	HC_MEMORY,
	HC_OTHER
};
struct hc_result {
	int status;
	const struct hc_header *headers; /* of the last answer, in its order; given */
	size_t n_headers;
	struct str body; /* given, NUL behind it; empty when a sink took it */
	bool is_cut;     /* a non-2xx body was longer than max_body_bytes */
	const char *url; /* of the last hop; given */
	int redirects;
	int64_t received_bytes, sent_bytes; /* of bodies, last hop */
	int64_t dns_us, connect_us, tls_us, first_byte_us,
	    total_us; /* since the last hop's start, cumulative */
	enum hc_error error;
	const char *reason; /* of a failure, for people; a constant or given */
};

/* Sends one request and waits for the whole answer. */
enum err_kind hc_perform(struct ctx *c, struct hc_client *h, const struct hc_request *rq,
                         struct hc_result *out) MUST_CHECK;

/* The same in steps, for several at once on one client: start each, step until hc_is_done(), finish each. The
 * request and what it points to stay until the finish. A transfer that is not finished when c->mem goes is
 * cancelled. */
enum err_kind hc_start(struct ctx *c, struct hc_client *h, const struct hc_request *rq,
                       struct hc_transfer **out) MUST_CHECK;
/* Lets all transfers of h go on; waits up to wait_ms for something to happen. */
enum err_kind hc_step(struct ctx *c, struct hc_client *h, int wait_ms) MUST_CHECK;
bool hc_is_done(const struct hc_transfer *t);
enum err_kind hc_finish(struct ctx *c, struct hc_transfer *t, struct hc_result *out) MUST_CHECK;

/* Value of the first header of that name (any case); p NULL when absent. */
struct str hc_header_of(const struct hc_result *r, const char *name);
#endif
