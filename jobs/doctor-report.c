/* kade-doctor: what is said to the user. One line per check as it is found, the advice at the end; or one
 * JSON object. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/js.h"
#include "doctor.h"

static const char *const WORD[] = {
	[SEEN_OK] = "ok", [SEEN_WARN] = "warn", [SEEN_FAIL] = "FAIL", [SEEN_SKIP] = "skip"
};
#define SEEN_BYTES 600

/* A server may send back what it was sent: a secret that stands in a line is replaced. */
static void
hide(char *text, const char *secret)
{
	const size_t n = secret == NULL ? 0 : strlen(secret);

	if (n < 4)
		return;
	for (char *at = strstr(text, secret); at != NULL; at = strstr(at + n, secret))
		memset(at, '*', n);
}

static const char *
kept(struct doctor *d, const char *fmt, va_list ap)
{
	char text[SEEN_BYTES];

	vsnprintf(text, sizeof text, fmt, ap);
	hide(text, d->password);
	hide(text, d->basic == NULL ? NULL : d->basic + strlen("Basic "));
	hide(text, d->bearer == NULL ? NULL : d->bearer + strlen("Bearer "));
	for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
	return str_dup_c(d->c->mem, text);
}

void
report(struct doctor *d, enum verdict v, enum trouble t, const char *name, const char *fmt, ...)
{
	struct finding f = { .verdict = v, .trouble = t, .name = name };
	va_list ap;

	va_start(ap, fmt);
	f.seen = kept(d, fmt, ap);
	va_end(ap);
	if (!d->json) {
		printf("%-4s %s: %s\n", WORD[v], f.name, f.seen);
		fflush(stdout);
	}
	vec_push(d->c->mem, &d->findings, f);
}

void
report_advice(struct doctor *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	d->findings.v[d->findings.n - 1].advice = kept(d, fmt, ap);
	va_end(ap);
}

const char *
report_clean(struct doctor *d, struct str s)
{
	const bool long_ = s.n > 120;
	char *p = arena_zalloc(d->c->mem, 124);

	for (size_t i = 0; i < (long_ ? 117 : s.n); i++)
		p[i] = s.p[i] >= 0x20 && s.p[i] < 0x7f ? s.p[i] : '?';
	if (long_)
		memcpy(p + 117, "...", 3);
	return p;
}

static bool
is_bad(const struct finding *f)
{
	return f->verdict == SEEN_FAIL || f->verdict == SEEN_WARN;
}

/* The first line that names this trouble prints its advice; the others do not repeat it. */
static bool
said_before(const struct doctor *d, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_bad(&d->findings.v[k]) && d->findings.v[k].trouble == d->findings.v[i].trouble)
			return true;
	return false;
}

static void
print_indented(const char *text)
{
	struct str line, rest = str_of(text);

	do {
		str_cut(rest, '\n', &line, &rest);
		printf("  %.*s\n", STRF(line));
	} while (rest.n > 0);
}

/* Servers that advice is printed for: the one there is, or all when it does not say. */
static bool
applies(const struct doctor *d, enum server s)
{
	if (d->server == SERVER_UNKNOWN)
		return s != SERVER_APACHE && s != SERVER_UNKNOWN;
	if (d->server == SERVER_APACHE)
		return s == SERVER_PROXY_FCGI || s == SERVER_FCGID;
	return s == d->server;
}

static void
print_advice(struct doctor *d, size_t i)
{
	const struct finding *f = &d->findings.v[i];

	if (f->advice != NULL) {
		printf("\n%s:\n", f->name);
		print_indented(f->advice);
	}
	if (f->trouble == NO_TROUBLE || said_before(d, i))
		return;
	if (f->advice == NULL)
		printf("\n%s:\n", f->name);
	for (enum server s = SERVER_LIGHTTPD; s < SERVERS; s++) {
		const char *text = applies(d, s) ? advice_for(f->trouble, s) : NULL;
		if (text == NULL)
			continue;
		printf(" %s:\n", advice_server_name(s));
		print_indented(text);
	}
}

static void
print_json(struct doctor *d, int code)
{
	json_t *root = js_object(d->c), *list = jo_array(root, "checks");

	jo_str(root, "server", d->server_text);
	jo_str(root, "server_kind", advice_server_name(d->server));
	jo_bool(root, "ok", code == 0);
	for (size_t i = 0; i < d->findings.n; i++) {
		const struct finding *f = &d->findings.v[i];
		json_t *o = ja_object(list), *a = NULL;
		jo_str(o, "name", f->name);
		jo_str(o, "verdict", WORD[f->verdict]);
		jo_str(o, "seen", f->seen);
		if (!is_bad(f))
			continue;
		a = jo_array(o, "advice");
		if (f->advice != NULL)
			ja_str(a, f->advice);
		for (enum server s = SERVER_LIGHTTPD; s < SERVERS && f->trouble != NO_TROUBLE; s++)
			if (applies(d, s) && advice_for(f->trouble, s) != NULL)
				ja_str(a, str_fmt(d->c->mem, "%s: %s", advice_server_name(s),
				                  advice_for(f->trouble, s)));
	}
	const struct str text = js_dump(d->c, root);
	printf("%.*s\n", STRF(text));
}

int
report_end(struct doctor *d)
{
	int count[4] = { 0 };

	for (size_t i = 0; i < d->findings.n; i++)
		count[d->findings.v[i].verdict]++;
	const int code = count[SEEN_FAIL] > 0 ? 1 : 0;
	if (d->json) {
		print_json(d, code);
		return code;
	}
	for (size_t i = 0; i < d->findings.n; i++)
		if (is_bad(&d->findings.v[i]))
			print_advice(d, i);
	printf("\n%d ok, %d warn, %d FAIL, %d skipped; web server: %s%s%s%s\n", count[SEEN_OK],
	       count[SEEN_WARN], count[SEEN_FAIL], count[SEEN_SKIP], advice_server_name(d->server),
	       d->server_text[0] == '\0' ? "" : " (", d->server_text, d->server_text[0] == '\0' ? "" : ")");
	return code;
}
