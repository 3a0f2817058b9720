/* Scanners for names; the rules stand in name.h. Each looks at every byte once. */
#include "oci/name.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "oci/digest-ref.h"
#include "oci/say.h"

#define NAMESPACE_RULE "^([a-z0-9]+(?:[._-][a-z0-9]+)*)$"
#define SHOWN_BYTES    255 /* of a refused name in a message */

const struct say OCI_SAY_NAMESPACE_LENGTH = { 400, "invalid_request",
	                                      "Namespace must be between 2 and 255 characters in length" };
const struct say OCI_SAY_NAMESPACE_CHARACTERS = { 400, "invalid_request",
	                                          "Namespace must match expression " NAMESPACE_RULE };

static bool
is_lower_alnum(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
}

static bool
is_lower_hex(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	return true;
}

/* Letters and digits, single separators between them. */
static bool
namespace_characters(struct str s)
{
	bool separator = true; /* a name begins like after one: with a letter or digit */

	for (size_t i = 0; i < s.n; i++) {
		const char ch = s.p[i];
		if (is_lower_alnum(ch))
			separator = false;
		else if (separator || (ch != '.' && ch != '_' && ch != '-'))
			return false;
		else
			separator = true;
	}
	return !separator;
}

bool
oci_namespace_valid(struct str s)
{
	return s.n >= OCI_NAMESPACE_MIN && s.n <= OCI_NAMESPACE_MAX && namespace_characters(s);
}

/* What may be shown of a refused name: cut, and not at all when it is no UTF-8. */
static struct str
shown(struct str s)
{
	if (s.n > SHOWN_BYTES) {
		s.n = SHOWN_BYTES;
		while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
			s.n--;
	}
	return str_is_utf8(s) && str_find(s, '\0') < 0 ? s : STR0;
}

enum err_kind
oci_namespace_check(struct ctx *c, struct str s)
{
	const struct str name = shown(s);
	const struct say *say;

	if (s.n < OCI_NAMESPACE_MIN || s.n > OCI_NAMESPACE_MAX)
		say = &OCI_SAY_NAMESPACE_LENGTH;
	else if (!namespace_characters(s))
		say = &OCI_SAY_NAMESPACE_CHARACTERS;
	else
		return ERR_NONE;
	return err_say_fmt(c, ERR_BAD_INPUT, say, "Invalid namespace %.*s: %s", STRF(name), say->message);
}

bool
oci_repo_valid(struct str s, bool extended)
{
	bool starts = true; /* the next character begins a segment */

	if (s.n > OCI_REPO_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char ch = s.p[i];
		if (is_lower_alnum(ch))
			starts = false;
		else if (starts)
			return false;
		else if (ch == '/' && extended)
			starts = true;
		else if (ch != '.' && ch != '_' && ch != '-')
			return false;
	}
	return !starts;
}

enum err_kind
oci_repo_check(struct ctx *c, struct str s, bool extended)
{
	const struct str name = shown(s);

	if (oci_repo_valid(s, extended))
		return ERR_NONE;
	if (!extended && str_find(s, '/') >= 0)
		return err_say_fmt(c, ERR_BAD_INPUT, &OCI_SAY_NAME_INVALID,
		                   "Nested repositories are not supported. Found: %.*s", STRF(name));
	return err_say_fmt(c, ERR_BAD_INPUT, &OCI_SAY_NAME_INVALID, "Invalid repository name: %.*s",
	                   STRF(name));
}

bool
oci_tag_valid(struct str s)
{
	if (s.n == 0 || s.n > OCI_TAG_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char ch = s.p[i];
		const bool word = is_lower_alnum(ch) || (ch >= 'A' && ch <= 'Z') || ch == '_';
		if (!word && (i == 0 || (ch != '.' && ch != '-')))
			return false;
	}
	return true;
}

enum err_kind
oci_name_split(struct ctx *c, struct str path, const struct oci_name_rules *rules, struct str *ns,
               struct str *repo)
{
	struct str head, tail;

	if (path.n > 0 && path.p[path.n - 1] == '/')
		path.n--;
	if (!str_cut(path, '/', &head, &tail)) {
		if (!rules->library_support && head.n > 0)
			return err_say(c, ERR_BAD_INPUT, &OCI_SAY_NAMESPACE_MISSING);
		tail = head;
		head = rules->library;
	}
	if (head.n == 0 || tail.n == 0)
		return err_say(c, ERR_BAD_INPUT, &OCI_SAY_NAME_INVALID);
	*ns = head;
	*repo = tail;
	return ERR_NONE;
}

bool
oci_robot_split(struct str s, struct str *ns, struct str *short_name)
{
	struct str head, tail;

	if (!str_cut(s, '+', &head, &tail) || !oci_namespace_valid(head) || !oci_namespace_valid(tail))
		return false;
	*ns = head;
	*short_name = tail;
	return true;
}

char *
oci_robot_name(struct ctx *c, struct str ns, struct str short_name)
{
	return str_fmt(c->mem, "%.*s+%.*s", STRF(ns), STRF(short_name));
}

static const char *const SIBLING[OCI_SIBLINGS] = {
	[OCI_SIBLING_SIG] = ".sig", [OCI_SIBLING_ATT] = ".att", [OCI_SIBLING_SBOM] = ".sbom"
};

bool
oci_sibling_parse(struct str tag, struct oci_digest *subject)
{
	const size_t n = 7 + 64; /* "sha256-" and the hex */
	struct str suffix;
	bool known = false;

	if (tag.n <= n || !str_starts(tag, STR("sha256-")) || !is_lower_hex(str_sub(tag, 7, n)))
		return false;
	suffix = str_sub(tag, n, tag.n);
	for (int i = 0; i < OCI_SIBLINGS; i++)
		known = known || str_eq_c(suffix, SIBLING[i]);
	if (known && subject != NULL) {
		subject->alg = OCI_SHA256;
		snprintf(subject->text, sizeof subject->text, "sha256:%.64s", tag.p + 7);
	}
	return known;
}

void
oci_sibling_tag(const struct oci_digest *subject, enum oci_sibling which, char out[OCI_SIBLING_TEXT])
{
	out[0] = '\0';
	if (subject->alg == OCI_SHA256)
		snprintf(out, OCI_SIBLING_TEXT, "sha256-%.64s%s", oci_digest_hex(subject).p, SIBLING[which]);
}

void
oci_referrers_tag(const struct oci_digest *subject, char out[OCI_REFERRERS_TAG_TEXT])
{
	snprintf(out, OCI_REFERRERS_TAG_TEXT, "%.32s-%.64s", oci_alg_name(subject->alg),
	         oci_digest_hex(subject).p);
}

bool
oci_referrers_tag_valid(struct str tag)
{
	return tag.n == 7 + 64 && (str_starts(tag, STR("sha256-")) || str_starts(tag, STR("sha512-"))) &&
	       is_lower_hex(str_sub(tag, 7, tag.n));
}
