/* Keys: relative paths of objects in a store. The layout is that of existing Quay buckets, so that one can be adopted.
 * Pure functions. Serves upload.c, the models and the jobs. */
#ifndef KADE_STORE_KEY_H
#define KADE_STORE_KEY_H
#include <stdbool.h>

#include "base/str.h"
#include "store/driver.h"

#define STORE_UPLOADS_PREFIX "uploads/"
#define STORE_KEY_INSTANCE   "kade-instance"
#define STORE_KEY_VERIFY     "_verify"

/* True for 1 … STORE_KEY_MAX - 1 bytes of UTF-8 without control characters, in segments between single slashes, each of
 * 1 … 255 bytes and neither "." nor "..". What passes cannot leave a storage_path. */
bool store_key_ok(struct str key);

/* "sha256:abcd…" → "sha256/ab/abcd…". Also sha512 and, for old buckets, any algorithm name: in it + and . become slashes,
 * repeated ones one; hex keeps its case; a hex below two digits is padded by zeros in the folder's name. False (out
 * untouched) for text that is not a digest: sha256 needs 64 hex digits, sha512 128, others 1 … 255. */
bool store_key_blob(struct str digest, char out[STORE_KEY_MAX]);
/* The reverse for keys that list() shows: "sha256/ab/<64 hex>" → "sha256:<hex>". False for any other key. */
bool store_key_digest(const char *key, char out[STORE_KEY_MAX]);
/* A key of its own for the bytes of a digest whose standard key is being deleted: "sha256/ab/<hex>.<uuid>". `uuid` is that
 * of the upload, so that a repeated completion finds the same key. */
bool store_key_own(struct str digest, struct str uuid, char out[STORE_KEY_MAX]);
/* "uploads/<uuid>". False unless uuid is 36 characters of lower-case hex and dashes in their places. */
bool store_key_upload(struct str uuid, char out[STORE_KEY_MAX]);
/* Layers of registry version 1 in adopted buckets: "sharedimages/<uuid>/layer". */
bool store_key_v1_layer(struct str uuid, char out[STORE_KEY_MAX]);
bool store_uuid_ok(struct str uuid);
#endif
