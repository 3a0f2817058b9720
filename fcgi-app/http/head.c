/* What stands on every answer, and what depends on the protocol family. */
#include "http/head.h"

#include <strings.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "http/http-conf.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"

const char *
head_reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} REASON[] = {
		{200,  "OK"		             },
		{ 201, "Created"                        },
		{ 202, "Accepted"                       },
		{ 204, "No Content"                     },
		{ 206, "Partial Content"                },
		{ 301, "Moved Permanently"              },
		{ 302, "Found"                          },
		{ 303, "See Other"                      },
		{ 304, "Not Modified"                   },
		{ 307, "Temporary Redirect"             },
		{ 308, "Permanent Redirect"             },
		{ 400, "Bad Request"                    },
		{ 401, "Unauthorized"                   },
		{ 402, "Payment Required"               },
		{ 403, "Forbidden"                      },
		{ 404, "Not Found"                      },
		{ 405, "Method Not Allowed"             },
		{ 406, "Not Acceptable"                 },
		{ 409, "Conflict"                       },
		{ 410, "Gone"                           },
		{ 411, "Length Required"                },
		{ 412, "Precondition Failed"            },
		{ 413, "Content Too Large"              },
		{ 414, "URI Too Long"                   },
		{ 415, "Unsupported Media Type"         },
		{ 416, "Range Not Satisfiable"          },
		{ 422, "Unprocessable Content"          },
		{ 429, "Too Many Requests"              },
		{ 431, "Request Header Fields Too Large"},
		{ 500, "Internal Server Error"          },
		{ 501, "Not Implemented"                },
		{ 502, "Bad Gateway"                    },
		{ 503, "Service Unavailable"            },
		{ 504, "Gateway Timeout"                },
		{ 520, "Downstream Issue"               },
	};

	for (size_t i = 0; i < sizeof REASON / sizeof *REASON; i++) {
		if (REASON[i].status == status)
			return REASON[i].text;
	}
	return "Status";
}

static bool
is_yes(const struct req *rq)
{
	return rq->authorizer && rq->res.status >= 200 && rq->res.status < 300;
}

bool
head_has_body(const struct req *rq)
{
	const int s = rq->res.status;

	return rq->method != HTTP_HEAD && s >= 200 && s != 204 && s != 304 && !is_yes(rq);
}

static bool
has_header(const struct req *rq, const char *name)
{
	for (size_t i = 0; i < rq->res.n_headers; i++) {
		if (strcasecmp(rq->res.headers[i].name, name) == 0)
			return true;
	}
	return false;
}

static void
put(struct buf *b, const char *name, struct str value)
{
	buf_puts(b, name);
	buf_puts(b, ": ");
	buf_put(b, value);
	buf_puts(b, "\r\n");
}

static void
put_unless_set(const struct req *rq, struct buf *b, const char *name, const char *value)
{
	if (!has_header(rq, name))
		put(b, name, str_of(value));
}

/* CORS_ORIGIN: any origin without credentials, one fixed origin, or the request's own when it is listed. */
static void
put_cors(const struct req *rq, struct buf *b)
{
	const struct str_list *l = &rq->http->cors_origins;
	const struct str origin = req_header(rq, "origin");
	struct str allow = STR("*");

	if (l->n == 1 && !str_eq_c(STR("*"), l->v[0]))
		allow = str_of(l->v[0]);
	else if (l->n > 1 && origin.n > 0 && str_list_has(l, origin))
		allow = origin;
	const bool concrete = !str_eq(allow, STR("*"));
	buf_puts(b, "Access-Control-Allow-Origin: ");
	buf_put_header(b, allow);
	buf_puts(b, "\r\n");
	if (l->n > 1)
		put(b, "Vary", STR("Origin"));
	put(b, "Access-Control-Allow-Methods", STR("GET, HEAD, OPTIONS, POST, DELETE, PUT"));
	put(b, "Access-Control-Max-Age", STR("21600"));
	if (concrete) {
		put(b, "Access-Control-Allow-Headers",
		    STR("Authorization, Content-Type, X-Requested-With, Cookie, X-CSRF-Token"));
		put(b, "Access-Control-Allow-Credentials", STR("true"));
	} else {
		put(b, "Access-Control-Allow-Headers", STR("Authorization, Content-Type, X-Requested-With"));
	}
}

static void
put_common(const struct req *rq, struct buf *b)
{
	put(b, "X-Request-Id", str_of(rq->c->id));
	put_unless_set(rq, b, "X-Content-Type-Options", "nosniff");
	put_unless_set(rq, b, "X-Frame-Options", "DENY");
	if (rq->proto == PROTO_SITE || rq->proto == PROTO_API)
		put_unless_set(rq, b, "Referrer-Policy", "same-origin");
	if (rq->proto == PROTO_V2)
		put_unless_set(rq, b, "Docker-Distribution-API-Version", "registry/2.0");
	if (rq->proto == PROTO_API && !has_header(rq, "Access-Control-Allow-Origin"))
		put_cors(rq, b);
	if (rq->res.status == 405 && !has_header(rq, "Allow")) {
		/* An unknown path allows nothing; GET and HEAD of it answer 404. */
		buf_puts(b, "Allow: ");
		router_put_methods(b, rq->allowed == 0 ? HTTP_GET | HTTP_HEAD : rq->allowed | HTTP_OPTIONS);
		buf_puts(b, "\r\n");
	}
}

void
head_put(struct req *rq, struct buf *b)
{
	const struct res *r = &rq->res;

	buf_putf(b, "Status: %d %s\r\n", r->status, head_reason(r->status));
	if (is_yes(rq)) { /* anything more would reach the client or the next request's variables */
		buf_puts(b, "\r\n");
		return;
	}
	put_common(rq, b);
	for (size_t i = 0; i < r->n_headers; i++) {
		/* no charset and no type where there is nothing */
		if ((r->status == 204 || r->status == 304) &&
		    strcasecmp(r->headers[i].name, "Content-Type") == 0)
			continue;
		put(b, r->headers[i].name, r->headers[i].value);
	}
	if (r->length >= 0 && !r->no_length && r->status >= 200 && r->status != 204 && r->status != 304) {
		/* httpd takes a HEAD's "Content-Length: 0" for a handler's mistake and drops it; with the blank that may follow a
		 * value (RFC 9110, 5.5) it passes. Clients want the length of an empty blob. */
		if (rq->method == HTTP_HEAD && r->length == 0 && rq->behind_httpd)
			buf_puts(b, "Content-Length: 0 \r\n");
		else
			buf_putf(b, "Content-Length: %lld\r\n", (long long)r->length);
	}
	buf_puts(b, "\r\n");
}
