/* The refusals of /v2, one row each. */
#include "oci/say.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/ctx.h"

#define SAY(name, status, code, text) const struct say OCI_SAY_##name = { status, code, text }

SAY(BLOB_UNKNOWN, 404, "BLOB_UNKNOWN", "blob unknown to registry");
SAY(BLOB_UPLOAD_INVALID, 400, "BLOB_UPLOAD_INVALID", "blob upload invalid");
SAY(BLOB_UPLOAD_UNKNOWN, 404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
SAY(BLOB_TOO_LARGE, 413, "BLOB_UPLOAD_INVALID", "Uploaded blob is larger than allowed by this registry");
SAY(BLOB_UPLOAD_RANGE, 416, "BLOB_UPLOAD_INVALID", "blob upload invalid");
SAY(BLOB_RANGE, 416, "RANGE_INVALID", "requested range not satisfiable");
SAY(DIGEST_INVALID, 400, "DIGEST_INVALID", "provided digest did not match uploaded content");
SAY(MANIFEST_BLOB_UNKNOWN, 400, "MANIFEST_BLOB_UNKNOWN", "manifest blob unknown to registry");
SAY(MANIFEST_INVALID, 400, "MANIFEST_INVALID", "manifest invalid");
SAY(MANIFEST_UNSUPPORTED, 415, "MANIFEST_INVALID", "manifest invalid");
SAY(MANIFEST_TOO_LARGE, 413, "MANIFEST_INVALID", "manifest invalid");
SAY(MANIFEST_UNKNOWN, 404, "MANIFEST_UNKNOWN", "manifest unknown");
SAY(MANIFEST_UNVERIFIED, 400, "MANIFEST_UNVERIFIED", "manifest failed signature verification");
SAY(TAG_EXPIRED, 404, "TAG_EXPIRED", "Tag was deleted or has expired. To pull, revive via time machine");
SAY(NAME_INVALID, 400, "NAME_INVALID", "invalid repository name");
SAY(NAMESPACE_MISSING, 400, "NAME_INVALID", "A namespace must be specified explicitly");
SAY(NAMESPACE_MISMATCH, 400, "NAME_INVALID", "namespace name does not match manifest");
SAY(REPOSITORY_MISMATCH, 400, "NAME_INVALID", "repository name does not match manifest");
SAY(NAME_UNKNOWN, 404, "NAME_UNKNOWN", "repository name not known to registry");
SAY(SIZE_INVALID, 400, "SIZE_INVALID", "provided length did not match content length");
SAY(TAG_ALREADY_EXISTS, 409, "TAG_ALREADY_EXISTS", "tag was already pushed");
SAY(TAG_IMMUTABLE, 409, "TAG_IMMUTABLE", "tag is immutable and cannot be overwritten");
SAY(TAG_INVALID, 400, "TAG_INVALID", "manifest tag did not match URI");
SAY(TOO_MANY_TAGS_REQUESTED, 413, "TOO_MANY_TAGS_REQUESTED", "too many tags requested");
SAY(TOO_MANY_TAG_PARAMS, 414, "TOO_MANY_TAGS_REQUESTED", "too many tags requested");
SAY(QUOTA, 403, "DENIED", "Quota has been exceeded on namespace");
SAY(UNAUTHORIZED, 401, "UNAUTHORIZED", "access to the requested resource is not authorized");
SAY(CREDENTIALS_INVALID, 401, "UNAUTHORIZED", "Specified credentials are invalid");
SAY(UNSUPPORTED, 405, "UNSUPPORTED", "The operation is unsupported.");
SAY(APP_REPOSITORY, 405, "UNSUPPORTED",
    "This repository is for managing application and not container images.");
SAY(INVALID_REQUEST, 400, "INVALID_REQUEST", "Invalid request");
SAY(CONTENT_RANGE_INVALID, 400, "INVALID_REQUEST", "Invalid range header");
SAY(NAMESPACE_DISABLED, 405, "DENIED",
    "This namespace is disabled. Please contact your system administrator.");
SAY(READ_ONLY, 405, "DENIED",
    "System is currently read-only. Pulls will succeed but all write operations are currently suspended.");
SAY(PUSHES_DISABLED, 405, "DENIED",
    "Pushes to the registry are currently disabled. Please contact the administrator for more information.");
SAY(RECOVERY_MODE, 405, "DENIED", "Quay running for account recoveries only.");
SAY(TOO_MANY_REQUESTS, 429, "TOOMANYREQUESTS", "too many requests");

static const char *
detail_of(struct ctx *c, const char *key, const char *text)
{
	struct buf b = BUF(c->mem);

	buf_putf(&b, "{\"%s\":", key);
	buf_put_json(&b, str_of(text));
	buf_putc(&b, '}');
	return buf_cstr(&b);
}

enum err_kind
oci_blob_too_large(struct ctx *c, int64_t uploaded, int64_t max_allowed)
{
	const double gib = 1024.0 * 1024.0 * 1024.0;
	struct buf b = BUF(c->mem);

	err_say_fmt(c, ERR_TOO_LARGE, &OCI_SAY_BLOB_TOO_LARGE,
	            "Uploaded blob of %.2f GiB is larger than %.2f GiB allowed by this registry",
	            (double)uploaded / gib, (double)max_allowed / gib);
	buf_putf(&b,
	         "{\"reason\":\"%lld is greater than maximum allowed size %lld\",\"max_allowed\":%lld,"
	         "\"uploaded\":%lld}",
	         (long long)uploaded, (long long)max_allowed, (long long)max_allowed, (long long)uploaded);
	return err_detail(c, buf_cstr(&b));
}

enum err_kind
oci_blob_unknown_in_manifest(struct ctx *c, const char *digest)
{
	struct buf b = BUF(c->mem);

	err_say(c, ERR_BAD_INPUT, &OCI_SAY_MANIFEST_BLOB_UNKNOWN);
	buf_puts(&b, "{\"message\":");
	buf_put_json(&b, str_of(str_fmt(c->mem, "Unknown blob `%s`", digest)));
	buf_puts(&b, ",\"digest\":");
	buf_put_json(&b, str_of(digest));
	buf_putc(&b, '}');
	return err_detail(c, buf_cstr(&b));
}

enum err_kind
oci_tag_expired(struct ctx *c, const char *tag)
{
	return err_say_fmt(c, ERR_NOT_FOUND, &OCI_SAY_TAG_EXPIRED,
	                   "Tag %s was deleted or has expired. To pull, revive via time machine", tag);
}

enum err_kind
oci_tag_immutable(struct ctx *c, const char *tag)
{
	err_say(c, ERR_CONFLICT, &OCI_SAY_TAG_IMMUTABLE);
	return err_detail(c, detail_of(c, "message", str_fmt(c->mem, "tag '%s' is immutable", tag)));
}

enum err_kind
oci_upload_invalid(struct ctx *c, const char *reason)
{
	err_say(c, ERR_BAD_INPUT, &OCI_SAY_BLOB_UPLOAD_INVALID);
	return err_detail(c, detail_of(c, "reason", reason));
}

enum err_kind
oci_manifest_invalid(struct ctx *c, const char *fmt, ...)
{
	char text[sizeof c->err.text];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_set(c, ERR_BAD_INPUT, "manifest invalid: %.*s", (int)sizeof text - 32, text);
	c->err.say = &OCI_SAY_MANIFEST_INVALID;
	return err_detail(c, detail_of(c, "message", text));
}
