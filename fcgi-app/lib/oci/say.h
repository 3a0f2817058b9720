/* What /v2 says: one constant per refusal, for the handlers under registry/. Codes are upper case with '_'
 * only, as the OCI distribution specification asks; status and wording are those that existing clients know. */
#ifndef KADE_OCI_SAY_H
#define KADE_OCI_SAY_H
#include <stdint.h>

#include "base/err.h"

extern const struct say OCI_SAY_BLOB_UNKNOWN;        /* 404 */
extern const struct say OCI_SAY_BLOB_UPLOAD_INVALID; /* 400: store refused, digest missing */
extern const struct say OCI_SAY_BLOB_UPLOAD_UNKNOWN; /* 404: no such or an expired session */
extern const struct say OCI_SAY_BLOB_TOO_LARGE;      /* 413: message made by oci_blob_too_large() */
extern const struct say OCI_SAY_BLOB_UPLOAD_RANGE;   /* 416: Content-Range does not continue the upload */
extern const struct say OCI_SAY_BLOB_RANGE;          /* 416: Range of a download outside the blob */
extern const struct say OCI_SAY_DIGEST_INVALID;      /* 400 */
extern const struct say
    OCI_SAY_MANIFEST_BLOB_UNKNOWN;                /* 400: a manifest names a blob that the repository lacks */
extern const struct say OCI_SAY_MANIFEST_INVALID; /* 400: see oci_manifest_invalid() */
extern const struct say OCI_SAY_MANIFEST_UNSUPPORTED; /* 415 MANIFEST_INVALID: media type refused */
extern const struct say OCI_SAY_MANIFEST_TOO_LARGE;   /* 413 MANIFEST_INVALID */
extern const struct say OCI_SAY_MANIFEST_UNKNOWN;     /* 404 */
extern const struct say OCI_SAY_MANIFEST_UNVERIFIED;  /* 400: schema 1 signature */
extern const struct say OCI_SAY_TAG_EXPIRED;          /* 404: message made by oci_tag_expired() */
extern const struct say OCI_SAY_NAME_INVALID;         /* 400 */
extern const struct say OCI_SAY_NAMESPACE_MISSING;    /* 400 NAME_INVALID: library support is off */
extern const struct say OCI_SAY_NAMESPACE_MISMATCH;   /* 400 NAME_INVALID: schema 1 names another namespace */
extern const struct say OCI_SAY_REPOSITORY_MISMATCH; /* 400 NAME_INVALID: schema 1 names another repository */
extern const struct say OCI_SAY_NAME_UNKNOWN;        /* 404 */
extern const struct say OCI_SAY_SIZE_INVALID;        /* 400 */
extern const struct say OCI_SAY_TAG_ALREADY_EXISTS;  /* 409 */
extern const struct say OCI_SAY_TAG_IMMUTABLE;       /* 409: detail made by oci_tag_immutable() */
extern const struct say OCI_SAY_TAG_INVALID;         /* 400 */
extern const struct say OCI_SAY_TOO_MANY_TAGS_REQUESTED; /* 413 */
extern const struct say OCI_SAY_TOO_MANY_TAG_PARAMS;     /* 414: ?tag= given too often */
extern const struct say OCI_SAY_QUOTA;                   /* 403 DENIED */
extern const struct say OCI_SAY_UNAUTHORIZED;            /* 401 */
extern const struct say OCI_SAY_CREDENTIALS_INVALID;     /* 401 UNAUTHORIZED, of /v2/auth */
extern const struct say OCI_SAY_UNSUPPORTED;             /* 405 */
extern const struct say OCI_SAY_APP_REPOSITORY;  /* 405 UNSUPPORTED: repository of the application registry */
extern const struct say OCI_SAY_INVALID_REQUEST; /* 400 */
extern const struct say OCI_SAY_CONTENT_RANGE_INVALID; /* 400 INVALID_REQUEST: Content-Range cannot be read */
extern const struct say OCI_SAY_NAMESPACE_DISABLED;    /* 405 DENIED */
extern const struct say OCI_SAY_READ_ONLY;         /* 405 DENIED; the body also carries "is_readonly": true */
extern const struct say OCI_SAY_PUSHES_DISABLED;   /* 405 DENIED */
extern const struct say OCI_SAY_RECOVERY_MODE;     /* 405 DENIED: ACCOUNT_RECOVERY_MODE */
extern const struct say OCI_SAY_TOO_MANY_REQUESTS; /* 429 TOOMANYREQUESTS */

/* The refusals whose words depend on the case. Each records the failure and returns its kind. Sizes in bytes. */
enum err_kind oci_blob_too_large(struct ctx *c, int64_t uploaded, int64_t max_allowed);
enum err_kind oci_blob_unknown_in_manifest(struct ctx *c, const char *digest);
enum err_kind oci_tag_expired(struct ctx *c, const char *tag);
enum err_kind oci_tag_immutable(struct ctx *c, const char *tag);
/* 400 BLOB_UPLOAD_INVALID with detail {"reason": …}. */
enum err_kind oci_upload_invalid(struct ctx *c, const char *reason);
/* 400 MANIFEST_INVALID with detail {"message": …}; at most 511 bytes of it are kept. */
enum err_kind oci_manifest_invalid(struct ctx *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), cold));
#endif
