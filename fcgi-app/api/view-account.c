/* Accounts as the REST API shows them. */
#include "api/view-account.h"

#include <ctype.h>

#include "base/ctx.h"
#include "base/digest.h"
#include "base/js.h"
#include "conf/conf.h"

#define N_COLORS 32 /* a power of 16 times 2: two hexadecimal digits of the hash choose */
static const char *const COLORS[N_COLORS] = {
	"#969696", "#aec7e8", "#ff7f0e", "#ffbb78", "#2ca02c", "#98df8a", "#d62728", "#ff9896", "#9467bd", "#c5b0d5", "#8c564b",
	"#c49c94", "#e377c2", "#f7b6d2", "#7f7f7f", "#c7c7c7", "#bcbd22", "#1f77b4", "#17becf", "#9edae5", "#393b79", "#5254a3",
	"#6b6ecf", "#9c9ede", "#9ecae1", "#31a354", "#b5cf6b", "#a1d99b", "#8c6d31", "#ad494a", "#e7ba52", "#a55194",
};
#define HASHED_MAX 512 /* bytes: longer than any address or name */

/* SHA-256 of the text, trimmed and in lower case (ASCII: addresses with other letters keep them as they are). */
static void
hash_of(struct str text, uint8_t out[SHA256_BYTES])
{
	const struct str s = str_trim(text);
	char             low[HASHED_MAX];
	const size_t     n = s.n < sizeof low ? s.n : sizeof low;

	for (size_t i = 0; i < n; i++)
		low[i] = (char)tolower((unsigned char)s.p[i]);
	digest_sha256((struct str){ low, n }, out);
}

json_t *
view_avatar(enum avatar_kind kind, const char *name, const char *email)
{
	static const char *const KIND[] = { "user", "robot", "team", "org", "app" };
	uint8_t                  hash[SHA256_BYTES];
	char                     hex[2 * SHA256_BYTES + 1];
	json_t                  *o = json_object();

	hash_of(str_of(email == NULL || email[0] == '\0' || kind == AVATAR_TEAM ? name : email), hash);
	hex_put(hex, hash, sizeof hash);
	jo_str(o, "name", name);
	jo_str(o, "hash", hex);
	jo_str(o, "color", COLORS[hash[0] % N_COLORS]);
	jo_str(o, "kind", KIND[kind]);
	return o;
}

struct str
view_avatar_text(struct ctx *c, enum avatar_kind kind, const char *name, const char *email)
{
	json_t *holder = js_object(c);

	jo_take(holder, "avatar", view_avatar(kind, name, email));
	return js_dump(c, json_object_get(holder, "avatar"));
}

json_t *
view_user_ref(const struct user_ref *u)
{
	json_t *o = json_object();

	jo_str(o, "name", u->name);
	jo_str(o, "kind", "user");
	jo_bool(o, "is_robot", u->is_robot);
	jo_take(o, "avatar", view_avatar(u->is_robot ? AVATAR_ROBOT : AVATAR_USER, u->name, u->email));
	if (u->is_org_member >= 0)
		jo_bool(o, "is_org_member", u->is_org_member != 0);
	return o;
}

void
view_quotas(const struct conf *cf, json_t *o)
{
	json_t *report;

	if (!cf->feature_quota_management || !cf->feature_edit_quota)
		return;
	jo_array(o, "quotas");
	report = jo_object(o, "quota_report");
	jo_i64(report, "quota_bytes", 0);
	jo_null(report, "configured_quota");
	jo_str(report, "running_backfill", "complete");
	jo_str(report, "backfill_status", "complete");
}

const char *
view_email(const char *email)
{
	return email == NULL || strchr(email, '@') == NULL ? "" : email;
}
