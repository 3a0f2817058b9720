/* Keys of objects: see key.h. The blob layout is that of Quay's content-addressed paths. */
#include "store/key.h"

#include <stdio.h>
#include <string.h>

#define SEGMENT_MAX 255

bool
store_key_ok(struct str key)
{
	struct str seg, rest = key;
	bool more;

	if (key.n == 0 || key.n >= STORE_KEY_MAX || !str_is_utf8(key))
		return false;
	for (size_t i = 0; i < key.n; i++) {
		const unsigned char ch = (unsigned char)key.p[i];
		if (ch < 0x20 || ch == 0x7f)
			return false;
	}
	do {
		more = str_cut(rest, '/', &seg, &rest);
		if (seg.n == 0 || seg.n > SEGMENT_MAX || str_eq(seg, STR(".")) || str_eq(seg, STR("..")))
			return false;
	} while (more);
	return true;
}

static bool
is_hex(char ch)
{
	return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f') || (ch >= 'A' && ch <= 'F');
}

static bool
digest_parts(struct str digest, struct str *alg, struct str *hex)
{
	if (!str_cut(digest, ':', alg, hex) || alg->n == 0 || alg->n > 64 || hex->n == 0 ||
	    hex->n > SEGMENT_MAX)
		return false;
	for (size_t i = 0; i < hex->n; i++)
		if (!is_hex(hex->p[i]))
			return false;
	for (size_t i = 0; i < alg->n; i++) {
		const char ch = alg->p[i];
		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
		      ch == '+' || ch == '.' || ch == '_' || ch == '-'))
			return false;
	}
	if (str_eq(*alg, STR("sha256")))
		return hex->n == 64;
	if (str_eq(*alg, STR("sha512")))
		return hex->n == 128;
	return true;
}

/* "tarsum.v1+sha256" → "tarsum/v1/sha256": no leading slash, none repeated. Returns the length. */
static size_t
alg_folder(struct str alg, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < alg.n; i++) {
		const char ch = alg.p[i] == '+' || alg.p[i] == '.' ? '/' : alg.p[i];
		if (ch == '/' && (n == 0 || out[n - 1] == '/'))
			continue;
		out[n++] = ch;
	}
	while (n > 0 && out[n - 1] == '/')
		n--;
	return n;
}

static bool
blob_key(struct str digest, const char *suffix, char out[STORE_KEY_MAX])
{
	struct str alg, hex;
	char folder[65], text[STORE_KEY_MAX];

	if (!digest_parts(digest, &alg, &hex))
		return false;
	const size_t n = alg_folder(alg, folder);
	if (n == 0)
		return false;
	const int len =
	    snprintf(text, sizeof text, "%.*s/%c%c/%.*s%s", (int)n, folder, hex.n < 2 ? '0' : hex.p[0],
	             hex.n < 2 ? hex.p[0] : hex.p[1], STRF(hex), suffix);
	if (len < 0 || (size_t)len >= sizeof text || !store_key_ok((struct str){ text, (size_t)len }))
		return false;
	memcpy(out, text, (size_t)len + 1);
	return true;
}

bool
store_key_blob(struct str digest, char out[STORE_KEY_MAX])
{
	return blob_key(digest, "", out);
}

bool
store_key_own(struct str digest, struct str uuid, char out[STORE_KEY_MAX])
{
	char suffix[38];

	if (!store_uuid_ok(uuid))
		return false;
	snprintf(suffix, sizeof suffix, ".%.*s", STRF(uuid));
	return blob_key(digest, suffix, out);
}

bool
store_key_digest(const char *key, char out[STORE_KEY_MAX])
{
	char text[STORE_KEY_MAX], again[STORE_KEY_MAX];
	struct str alg, rest, folder, hex;
	const struct str k = str_of(key);

	if (k.n >= STORE_KEY_MAX || !str_cut(k, '/', &alg, &rest) || !str_cut(rest, '/', &folder, &hex))
		return false;
	if (!str_eq(alg, STR("sha256")) && !str_eq(alg, STR("sha512")))
		return false;
	snprintf(text, sizeof text, "%.*s:%.*s", STRF(alg), STRF(hex));
	if (!store_key_blob(str_of(text), again) || strcmp(again, key) != 0)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

bool
store_uuid_ok(struct str uuid)
{
	if (uuid.n != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		const char ch = uuid.p[i];
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (ch != '-')
				return false;
		} else if (!is_hex(ch) || (ch >= 'A' && ch <= 'F')) {
			return false;
		}
	}
	return true;
}

bool
store_key_upload(struct str uuid, char out[STORE_KEY_MAX])
{
	if (!store_uuid_ok(uuid))
		return false;
	snprintf(out, STORE_KEY_MAX, STORE_UPLOADS_PREFIX "%.*s", STRF(uuid));
	return true;
}

bool
store_key_v1_layer(struct str uuid, char out[STORE_KEY_MAX])
{
	if (!store_uuid_ok(uuid))
		return false;
	snprintf(out, STORE_KEY_MAX, "sharedimages/%.*s/layer", STRF(uuid));
	return true;
}
