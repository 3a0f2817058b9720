/* Labels from a config and from annotations, and what some of them do. */
#include "oci/label.h"

#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"

#define LABEL_KEY_MAX   255
#define DAY_MS          INT64_C(86400000)
#define DURATION_MAX_MS (1000 * 365 * DAY_MS)

static struct str
string_of(const json_t *v)
{
	return (struct str){ json_string_value(v), json_string_length(v) };
}

static bool
brackets(struct str s)
{
	return s.n >= 2 && ((s.p[0] == '{' && s.p[s.n - 1] == '}') || (s.p[0] == '[' && s.p[s.n - 1] == ']'));
}

bool
oci_label_is_json(struct str value)
{
	const struct str s = str_trim(value);
	json_t *v;

	if (!brackets(s) || !js_count(s, &JS_API))
		return false;
	v = json_loadb(s.p, s.n, 0, NULL);
	json_decref(v);
	return v != NULL;
}

/* Appends the members of src that win: those whose key is not in `except`. */
static void
take(struct oci_labels *out, const json_t *src, const json_t *except)
{
	const char *key;
	const json_t *v;
	void *it;

	for (it = json_object_iter((json_t *)(uintptr_t)src); it != NULL;
	     it = json_object_iter_next((json_t *)(uintptr_t)src, it)) {
		key = json_object_iter_key(it);
		v = json_object_iter_value(it);
		if (key[0] == '\0' || strlen(key) > LABEL_KEY_MAX || !json_is_string(v) ||
		    json_is_string(json_object_get(except, key)))
			continue;
		out->v[out->n++] =
		    (struct oci_label){ str_of(key), string_of(v), oci_label_is_json(string_of(v)) };
	}
}

void
oci_labels_merge(struct ctx *c, const json_t *config_labels, const json_t *annotations,
                 struct oci_labels *out)
{
	out->n = 0;
	out->v = ARENA_ARRAY(c->mem, struct oci_label,
	                     json_object_size(config_labels) + json_object_size(annotations));
	take(out, config_labels, annotations);
	take(out, annotations, NULL);
}

const struct oci_label *
oci_labels_find(const struct oci_labels *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq_c(l->v[i].key, key))
			return &l->v[i];
	return NULL;
}

void
oci_labels_common(struct ctx *c, const struct oci_labels *a, const struct oci_labels *b,
                  struct oci_labels *out)
{
	static const char *const acting[] = { OCI_LABEL_EXPIRES_AFTER, OCI_LABEL_IMMUTABLE };
	struct oci_labels both = { ARENA_ARRAY(c->mem, struct oci_label, 2), 0 };

	for (size_t i = 0; i < 2; i++) {
		const struct oci_label *x = oci_labels_find(a, acting[i]), *y = oci_labels_find(b, acting[i]);
		if (x != NULL && y != NULL && str_eq(x->value, y->value))
			both.v[both.n++] = *x;
	}
	*out = both;
}

static bool
is_lower_alnum(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
}

bool
oci_label_key_valid(struct str key)
{
	bool separator = true;

	if (key.n > LABEL_KEY_MAX)
		return false;
	for (size_t i = 0; i < key.n; i++) {
		if (is_lower_alnum(key.p[i]))
			separator = false;
		else if (separator || (key.p[i] != '-' && key.p[i] != '.'))
			return false;
		else
			separator = true;
	}
	return !separator;
}

bool
oci_duration_parse(struct str s, int64_t *out_ms)
{
	static const struct {
		char name;
		int64_t ms;
	} unit[] = {
		{'s',  1000        },
                { 'm', 60000       },
                { 'h', 3600000     },
		{ 'd', DAY_MS      },
                { 'w', 7 * DAY_MS  },
                { 'y', 365 * DAY_MS}
	};
	int64_t n;

	if (s.n < 2)
		return false;
	for (size_t i = 0; i < sizeof unit / sizeof unit[0]; i++)
		if (s.p[s.n - 1] == unit[i].name &&
		    str_to_i64(str_sub(s, 0, s.n - 1), 1, DURATION_MAX_MS / unit[i].ms, &n)) {
			*out_ms = n * unit[i].ms;
			return true;
		}
	return false;
}

void
oci_labels_acting(const struct oci_labels *l, struct oci_acting *out)
{
	const struct oci_label *expires = oci_labels_find(l, OCI_LABEL_EXPIRES_AFTER),
	                       *immutable = oci_labels_find(l, OCI_LABEL_IMMUTABLE);

	*out = (struct oci_acting){ 0 };
	if (expires != NULL && !oci_duration_parse(str_trim(expires->value), &out->expires_after_ms))
		out->expires_after_ms = 0;
	out->is_immutable = immutable != NULL && str_eq_nocase(str_trim(immutable->value), STR("true"));
}
