/* An upload inside one request: its row, its bytes in the store, its answers. */
#ifndef KADE_REGISTRY_UPLOAD_STATE_H
#define KADE_REGISTRY_UPLOAD_STATE_H
#include "http/request.h"
#include "model/upload.h"
#include "oci/digest-ref.h"
#include "store/upload.h"

/* The row of the uuid in the path: `.load` was upload_load. ERR_NOT_FOUND BLOB_UPLOAD_UNKNOWN. */
enum err_kind up_find(struct req *rq, struct upload *u) MUST_CHECK;
/* Headers that every answer about an upload carries. */
void up_headers(struct req *rq, const char *uuid, int64_t received);
/* 416 with those headers; the session stays. */
enum err_kind up_out_of_range(struct req *rq, const char *uuid, int64_t received) MUST_CHECK;
/* Content-Range, if there is one, against what is stored. *skip: bytes of the body that are there already. */
enum err_kind up_check_range(struct req *rq, const struct upload *u, int64_t *skip) MUST_CHECK;
/* Takes the body into su, past `skip` bytes, keeping the lease of u (u->id 0: no row, no lease). ERR_CLIENT_GONE: nothing
 * of it counts. ERR_TOO_LARGE over MAXIMUM_LAYER_SIZE. */
enum err_kind up_take_body(struct req *rq, struct upload *u, struct store_upload *su, int64_t skip) MUST_CHECK;
/* Compares the digest, makes the object, writes blob and link, answers 201. The upload is gone afterwards, whatever came. */
enum err_kind up_complete(struct req *rq, struct upload *u, struct store_upload *su, const struct oci_digest *want) MUST_CHECK;
/* Removes row and bytes; keeps c->err. */
void up_discard(struct req *rq, const struct upload *u, struct store_upload *su);
/* The digest query parameter. ERR_BAD_INPUT when it is missing or none. */
enum err_kind up_digest_param(struct req *rq, struct oci_digest *out) MUST_CHECK;
/* 201 for a blob that this repository has. */
void up_created(struct req *rq, const char *digest);
#endif
