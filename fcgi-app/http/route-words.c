/* Rows of the route tables in words. */
#include "http/route-words.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "conf/key.h"

const char *
route_path_words(struct arena *mem, const struct route *rt)
{
	struct buf b = BUF(mem);

	for (const char *p = rt->path; *p != '\0'; p++) {
		const char *colon = strchr(p, ':'), *end = strchr(p, '>');
		if (*p != '<' || colon == NULL || end == NULL) {
			buf_putc(&b, *p);
			continue;
		}
		buf_putf(&b, "{%.*s}", (int)(end - colon - 1), colon + 1);
		p = end;
	}
	return buf_cstr(&b);
}

const char *
route_capture(struct arena *mem, const struct route *rt, size_t i, const char **name)
{
	const char *p = strchr(rt->path, '<');

	for (; p != NULL && i > 0; i--)
		p = strchr(p + 1, '<');
	if (p == NULL)
		return NULL;
	const char *colon = strchr(p, ':'), *end = strchr(p, '>');
	*name = str_fmt(mem, "%.*s", (int)(end - colon - 1), colon + 1);
	return str_fmt(mem, "%.*s", (int)(colon - p - 1), p + 1);
}

const char *
route_perm_words(enum perm p)
{
	static const char *const WORDS[] = {
		[PERM_NONE] = "anybody",
		[PERM_CALLER] = "any known caller",
		[PERM_TOKEN] = "any valid credential",
		[PERM_REPO_READ] = "repository read",
		[PERM_REPO_READ_OR_CREATE] = "repository read, or the right to create it",
		[PERM_REPO_WRITE] = "repository write, or the right to create it",
		[PERM_REPO_WRITE_EXISTING] = "repository write",
		[PERM_REPO_ADMIN] = "repository admin",
		[PERM_NS_ANY] = "anybody; some members of the answer depend on the right on the namespace",
		[PERM_NS_MEMBER] = "member of the organization",
		[PERM_NS_CREATE] = "the right to create repositories in the namespace",
		[PERM_NS_ADMIN] = "administrator of the namespace",
		[PERM_NS_TEAM] = "member of the team, or administrator of the organization",
		[PERM_NS_SUPERUSER] = "superuser with full access",
		[PERM_USER_READ] = "the own account (read)",
		[PERM_USER_ADMIN] = "the own account",
		[PERM_NEW_ORGANIZATION] = "any user who may make organizations",
		[PERM_SUPERUSER] = "superuser",
		[PERM_SUPERUSER_READ] = "superuser, or global read-only superuser",
		[PERM_SU_FULL_READ] = "superuser with full access, or global read-only superuser",
	};

	return (size_t)p < sizeof WORDS / sizeof *WORDS && WORDS[p] != NULL ? WORDS[p] : "";
}

/* The key that fills that member of struct conf. */
static const char *
flag_name(size_t flag)
{
	for (size_t i = 0; i < CONF_N_KEYS; i++)
		if (CONF_KEYS[i].type == CONF_BOOL && CONF_KEYS[i].offset == flag - 1)
			return CONF_KEYS[i].name;
	return "?";
}

void
route_features(const struct route *rt, const char *names[ROUTE_FEATURES + 1])
{
	const size_t flags[ROUTE_FEATURES] = { rt->feature, rt->feature_too, rt->feature_third };
	size_t n = 0;

	for (size_t i = 0; i < ROUTE_FEATURES; i++)
		if (flags[i] != 0)
			names[n++] = flag_name(flags[i]);
	names[n] = NULL;
}

const char *
field_type_words(enum field_type t)
{
	static const char *const TYPE[] = {
		[FIELD_END] = "",        [FIELD_STR] = "string",   [FIELD_INT] = "integer",
		[FIELD_NUM] = "number",  [FIELD_BOOL] = "boolean", [FIELD_OBJECT] = "object",
		[FIELD_ARRAY] = "array", [FIELD_ANY] = ""
	};

	return TYPE[t];
}
