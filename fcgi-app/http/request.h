/* One request from accept to last byte. Handlers see only this and the response functions (http/response.h). */
#ifndef KADE_HTTP_REQUEST_H
#define KADE_HTTP_REQUEST_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"
#include "base/ctx.h"
#include "base/str.h"
#include "http/route.h"
#include "http/session.h"
#include "model/facts.h"

struct app;       /* app.h: what the process holds; for registry, api, site */
struct fcgi_conn; /* transport: http/fcgi.c */
struct http_conf;
struct header {
	const char *name; /* lower case, '-' as in HTTP */
	struct str value;
};
struct res {
	int status; /* 0 = not set yet */
	struct header *headers;
	size_t n_headers, cap_headers;
	struct str body; /* borrowed until sent */
	bool has_body;
	void *json;     /* json_t made by res_json(), dumped when sent; NULL = body */
	bool streamed;  /* res_stream_begin(): the handler writes the body */
	bool broken;    /* nobody reads any more */
	int64_t length; /* Content-Length of a streamed or HEAD answer; -1 = unknown */
	bool sent;      /* the head is out: nothing may be changed */
	bool no_length; /* a send-file header is present: the web server sets Content-Length */
	int64_t bytes_out;
};
struct req {
	struct ctx *c;
	struct app *app;
	const struct http_conf *http;
	struct fcgi_conn *conn;
	const struct route *route; /* NULL = no row */
	unsigned route_index;      /* of its counters; 0 = none */
	unsigned allowed;          /* HTTP_* bits of the rows of this path; 0 = no such path */
	enum http_method method;
	const char *method_text;
	enum proto proto;
	bool behind_httpd; /* Apache httpd: see head.c */
	bool authorizer;  /* FCGI_AUTHORIZER: decide, never answer with content */
	struct str uri;   /* REQUEST_URI as received */
	struct str path;  /* up to '?', raw, mount prefix removed */
	struct str query; /* after '?', raw */
	struct {
		const char *name;
		struct str value; /* decoded, NUL-free */
	} captures[ROUTE_CAPTURES];
	int n_captures;
	const struct header *headers; /* HTTP_* parameters, duplicates merged with ", " */
	size_t n_headers;
	struct str remote_addr; /* client, X-Forwarded-For from listed proxies honoured */
	struct str user_agent;
	int64_t content_length; /* -1 = unknown (chunked) */
	bool chunked;           /* Transfer-Encoding was chunked */
	int64_t body_read;      /* bytes taken so far */
	bool body_ended;
	int64_t start_us; /* monotonic */
	struct identity ident;
	struct str ns, repo; /* of a repository route: split from its capture; library namespace applied */
	struct facts facts;
	struct session session; /* of /api and the site: loaded when the row takes cookies */
	const json_t *body; /* the JSON body of a row that declares one */
	void *prepared;     /* what the row's .prepare made */
	enum stmt load_stmt; /* what was loaded: the row's .load, or what its bind chose instead */
	const struct db_result
	    *load; /* result of the row's .load; the handler's columns start at FACTS_COLS */
	struct res res;
};

/* The value of a header (lower-case name), or an empty slice with p == NULL. */
struct str req_header(const struct req *rq, const char *name);
struct str req_capture(const struct req *rq, const char *name);
/* First value of a query parameter, decoded in c->mem; p == NULL when absent. `+` is a blank. */
struct str req_query(struct req *rq, const char *name);
/* All values of a query parameter, in order. */
size_t req_query_all(struct req *rq, const char *name, struct str *out, size_t max);
int64_t req_query_i64(struct req *rq, const char *name, int64_t min, int64_t max,
                      int64_t def); /* clamped; malformed = def */
/* Parses an application/x-www-form-urlencoded text; as req_query(). */
struct str form_value(struct ctx *c, struct str form, const char *name);

/* Next bytes of the body, as they arrive: *got = 0 at its end. ERR_CLIENT_GONE when the client vanished or the length is
 * not what was announced: nothing may be committed then. */
enum err_kind req_body_read(struct req *rq, void *p, size_t n, size_t *got) MUST_CHECK;
/* The whole body in c->mem, at most max bytes (ERR_TOO_LARGE, before reading where the length is known). */
enum err_kind req_body_all(struct req *rq, size_t max, struct str *out) MUST_CHECK;
/* True when the client announced a body of which something is still to come. */
bool req_body_left(const struct req *rq);
/* "https://host[:port]" of this registry, from the configuration, never from Host. Given. */
const char *req_base_url(struct req *rq);
#endif
