/* The one table of failures. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"

static const struct err_info INFO[ERR_KINDS] = {
	[ERR_NONE] = { "none", 200, "UNKNOWN", "unknown error", "unknown", "Unknown", false },
	[ERR_BAD_INPUT] = { "bad_input", 400, "INVALID_REQUEST", "Invalid request", "invalid_request", "Invalid request", false },
	[ERR_UNAUTHENTICATED] = { "unauthenticated", 401, "UNAUTHORIZED", "access to the requested resource is not authorized",
	                          "invalid_token", "Requires authentication", false },
	[ERR_FRESH_LOGIN] = { "fresh_login", 401, "UNAUTHORIZED", "access to the requested resource is not authorized",
	                      "fresh_login_required", "Requires fresh login", false },
	[ERR_DENIED] = { "denied", 403, "DENIED", "requested access to the resource is denied", "insufficient_scope",
	                 "Unauthorized", false },
	[ERR_NOT_FOUND] = { "not_found", 404, "NAME_UNKNOWN", "repository name not known to registry", "not_found", "Not Found",
	                    false },
	[ERR_CONFLICT] = { "conflict", 409, "DENIED", "conflict with the current state", "invalid_request", "Conflict", false },
	[ERR_TOO_LARGE] = { "too_large", 413, "SIZE_INVALID", "request is too large", "invalid_request", "Request too large",
	                    false },
	[ERR_RANGE] = { "range", 416, "BLOB_UPLOAD_INVALID", "requested range not satisfiable", "invalid_request",
	                "Range not satisfiable", false },
	[ERR_QUOTA] = { "quota", 403, "DENIED", "Quota has been exceeded on namespace", "exceeds_quota",
	                "Quota has been exceeded on namespace", false },
	[ERR_RATE] = { "rate", 429, "TOOMANYREQUESTS", "too many requests", "too_many_requests", "Too many requests", true },
	[ERR_UNSUPPORTED] = { "unsupported", 405, "UNSUPPORTED", "The operation is unsupported.", "invalid_request",
	                      "Method not allowed", false },
	[ERR_READ_ONLY] = { "read_only", 405, "DENIED",
	                    "System is currently read-only. Pulls will succeed but all write operations are currently suspended.",
	                    "invalid_request",
	                    "System is currently read-only. Pulls will succeed but all write operations are currently suspended.",
	                    false },
	[ERR_BUSY] = { "busy", 503, "UNAVAILABLE", "the service is busy, try again", "service_unavailable", "Service busy", true },
	[ERR_UPSTREAM] = { "upstream", 502, "UNAVAILABLE", "an upstream service failed", "downstream_issue",
	                   "An upstream service failed", true },
	[ERR_DB] = { "db", 503, "UNAVAILABLE", "the database is not available, try again", "service_unavailable",
	             "The database is not available", true },
	[ERR_STORE] = { "store", 503, "UNAVAILABLE", "the blob storage is not available, try again", "service_unavailable",
	                "The blob storage is not available", true },
	[ERR_CLIENT_GONE] = { "client_gone", 400, "SIZE_INVALID", "the request ended before its body was complete",
	                      "invalid_request", "The request ended before its body was complete", false },
	[ERR_BUG] = { "bug", 500, "UNKNOWN", "internal error", "internal_error", "Internal error", false },
};

const struct err_info *
err_info(enum err_kind k)
{
	return &INFO[(unsigned)k < ERR_KINDS ? k : ERR_BUG];
}

static void
err_begin(struct ctx *c, enum err_kind k)
{
	c->err.kind = k;
	c->err.say = NULL;
	c->err.message = NULL;
	c->err.detail_json = NULL;
	c->err.retry_after_s = 0;
	c->err.text[0] = '\0';
}

enum err_kind
err_set(struct ctx *c, enum err_kind k, const char *fmt, ...)
{
	va_list ap;

	err_begin(c, k);
	va_start(ap, fmt);
	vsnprintf(c->err.text, sizeof c->err.text, fmt, ap);
	va_end(ap);
	return k;
}

enum err_kind
err_say(struct ctx *c, enum err_kind k, const struct say *say)
{
	err_begin(c, k);
	c->err.say = say;
	snprintf(c->err.text, sizeof c->err.text, "%s", say->message);
	return k;
}

enum err_kind
err_say_fmt(struct ctx *c, enum err_kind k, const struct say *say, const char *fmt, ...)
{
	va_list ap;

	err_begin(c, k);
	c->err.say = say;
	va_start(ap, fmt);
	vsnprintf(c->err.text, sizeof c->err.text, fmt, ap);
	va_end(ap);
	c->err.message = arena_copy(c->mem, c->err.text, strlen(c->err.text) + 1);
	return k;
}

enum err_kind
err_detail(struct ctx *c, const char *detail_json)
{
	c->err.detail_json = detail_json;
	return c->err.kind;
}

enum err_kind
err_retry_after(struct ctx *c, int seconds)
{
	c->err.retry_after_s = seconds;
	return c->err.kind;
}

void
err_clear(struct ctx *c)
{
	err_begin(c, ERR_NONE);
}
