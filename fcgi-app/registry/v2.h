/* What the /v2 handlers share: names in URLs, headers that several answers carry, route loads. */
#ifndef KADE_REGISTRY_V2_H
#define KADE_REGISTRY_V2_H
#include "http/request.h"
#include "http/route.h"
#include "oci/digest-ref.h"

extern const struct route REG_PING_ROUTES[], REG_TOKEN_ROUTES[], REG_BLOB_ROUTES[], REG_UPLOAD_ROUTES[], REG_MANIFEST_ROUTES[],
    REG_LIST_ROUTES[];

#define REG_SAY_END { .id = NULL }
/* "https://host/v2/ns/repo/TAIL": Location of blobs and uploads. */
void reg_location(struct req *rq, const char *tail_fmt, ...) __attribute__((format(printf, 2, 3)));
/* The digest in a capture. False: it is none that could be stored (the caller answers 404 or 400). */
bool reg_digest(const struct req *rq, const char *capture, struct oci_digest *out);
/* Binds the digest capture and the push window: the loads of blobs. */
enum err_kind reg_bind_digest(struct req *rq, struct db_args *a);
/* The repository of a write: made now if it is absent (model/repo.h). ERR_UNAUTHENTICATED when somebody else made it meanwhile
 * and the caller may not write to it; ERR_NOT_FOUND when one of that name waits to be removed. */
enum err_kind reg_ensure_repository(struct req *rq) MUST_CHECK;
/* Asks for the facts of a write once more: after a body that came slowly. Same errors. */
enum err_kind reg_write_right_again(struct req *rq) MUST_CHECK;
/* Metadata for the audit log of this request, without its closing brace. Given. */
struct str reg_audit_track(struct req *rq);
/* True when If-None-Match names this entity tag. */
bool reg_not_modified(const struct req *rq, const char *etag);
/* 404 MANIFEST_UNKNOWN, BLOB_UNKNOWN and so on need no more than err_say(); these two are the common ones. */
enum err_kind reg_blob_unknown(struct req *rq, const char *digest) MUST_CHECK;
#endif
