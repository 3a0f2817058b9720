/* kade-doctor: requests in the registry's protocol, and the list of what the run has made there. Credentials
 * go to the server named on the command line alone, whatever realm or Location it answers with. */
#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/js.h"
#include "doctor.h"

#define TARGET_MAX       4096
#define CLEANUP_TRIES    20
#define CLEANUP_PAUSE_MS 250
#define SILENT_TRIES     2 /* without any answer: each costs a time-out */

static void
note_server(struct doctor *d, const struct answer *r)
{
	const struct str s = answer_header(r, "Server");

	if (s.n == 0 || d->server_text[0] != '\0')
		return;
	d->server_text = report_clean(d, s);
	if (!d->server_told)
		d->server = advice_server_of_header(s);
}

void
talk(struct doctor *d, const struct ask *a, struct answer *r)
{
	ask_run(d->w, a, r);
	note_server(d, r);
}

bool
talk_is_registry(const struct answer *r)
{
	const struct str type = answer_header(r, "Content-Type");

	if (answer_header(r, "Docker-Distribution-API-Version").n > 0 ||
	    answer_header(r, "Docker-Content-Digest").n > 0)
		return true;
	return str_starts(type, STR("application/json")) && str_starts(str_trim(r->body), STR("{")) &&
	       r->body.n > 2;
}

const char *
talk_seen(struct doctor *d, const struct answer *r)
{
	const struct str type = answer_header(r, "Content-Type");

	if (r->status == 0)
		return r->fail;
	if (type.n == 0)
		return str_fmt(d->c->mem, "HTTP %d", r->status);
	return str_fmt(d->c->mem, "HTTP %d (%s)%s%s", r->status, report_clean(d, type),
	               r->fail == NULL ? "" : ", ", r->fail == NULL ? "" : r->fail);
}

static bool
is_target(struct str s)
{
	if (s.n == 0 || s.n > TARGET_MAX || s.p[0] != '/')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f || s.p[i] == '#')
			return false;
	return true;
}

const char *
talk_location(struct doctor *d, const struct answer *r)
{
	struct str s = answer_header(r, "Location");

	if (str_starts(s, STR("http://")) || str_starts(s, STR("https://"))) {
		const size_t from = str_starts(s, STR("https")) ? 8 : 7;
		const struct str rest = str_sub(s, from, s.n);
		const ptrdiff_t slash = str_find(rest, '/');
		s = slash < 0 ? STR0 : str_sub(rest, (size_t)slash, rest.n);
	}
	return is_target(s) ? str_dup(d->c->mem, s) : NULL;
}

/* True when the token's own list (not verified: it is only read) grants a push. A token that is no JWT
 * passes. */
static bool
grants_push(struct doctor *d, struct str token)
{
	struct str head, rest, payload, text;
	json_t *root = NULL, *entry, *action;
	size_t i, k;

	if (!str_cut(token, '.', &head, &rest) || !str_cut(rest, '.', &payload, &head) ||
	    !base64url_get(d->c->mem, payload, &text) || js_parse(d->c, text, &JS_API, &root) != ERR_NONE)
		return true;
	if (!json_is_array(json_object_get(root, "access")))
		return true;
	json_array_foreach(json_object_get(root, "access"), i, entry) json_array_foreach(
	    json_object_get(entry, "actions"), k,
	    action) if (json_is_string(action) && strcmp(json_string_value(action), "push") == 0) return true;
	return false;
}

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n > 0 && s.n <= 32768;
}

bool
talk_token(struct doctor *d, const char **why)
{
	struct buf target = BUF(d->c->mem);
	struct answer r;
	json_t *root = NULL;

	buf_puts(&target, d->realm_path);
	buf_puts(&target, "?service=");
	buf_put_url(&target, str_of(d->service));
	buf_puts(&target, "&scope=");
	buf_put_url(&target, str_of(str_fmt(d->c->mem, "repository:%s:pull,push", d->repo)));
	const struct ask a = { .method = "GET", .target = buf_cstr(&target), .auth = d->basic };
	talk(d, &a, &r);
	if (r.status != 200 || r.fail != NULL) {
		*why = talk_seen(d, &r);
		return false;
	}
	if (js_parse(d->c, r.body, &JS_API, &root) != ERR_NONE || !json_is_object(root)) {
		*why = "the answer is no JSON object";
		return false;
	}
	const struct str token = js_str(root, "token");
	if (!is_token(token)) {
		*why = "the answer holds no usable token";
		return false;
	}
	d->bearer = str_fmt(d->c->mem, "Bearer %.*s", STRF(token));
	if (!grants_push(d, token)) {
		*why = str_fmt(d->c->mem, "the token does not allow a push to %s", d->repo);
		return false;
	}
	return true;
}

const char *
talk_upload(struct doctor *d, struct answer *r)
{
	const struct ask a = { .method = "POST",
		               .target = str_fmt(d->c->mem, "/v2/%s/blobs/uploads/", d->repo),
		               .auth = d->bearer };
	const char *where;

	/* the answer alone names the upload: a signal waits for it, so that the upload can be removed */
	const int signal_fd = d->w->signal_fd;
	d->w->signal_fd = -1;
	talk(d, &a, r);
	d->w->signal_fd = signal_fd;
	where = r->status == 202 ? talk_location(d, r) : NULL;
	if (where != NULL)
		talk_made(d, "upload", where);
	return where;
}

const char *
talk_with_digest(struct doctor *d, const char *upload, const char *digest)
{
	return str_fmt(d->c->mem, "%s%cdigest=%s", upload, strchr(upload, '?') == NULL ? '?' : '&', digest);
}

const char *
talk_fill_digest(struct doctor *d, uint64_t seed, int64_t n)
{
	struct sha256 s;
	uint8_t sum[SHA256_BYTES];
	char piece[4096], hex[2 * SHA256_BYTES + 1];

	sha256_start(&s);
	for (int64_t at = 0; at < n; at += (int64_t)sizeof piece) {
		const size_t m = n - at < (int64_t)sizeof piece ? (size_t)(n - at) : sizeof piece;
		ask_fill(seed, at, piece, m);
		sha256_feed(&s, piece, m);
	}
	sha256_end(&s, sum);
	hex_put(hex, sum, sizeof sum);
	return str_fmt(d->c->mem, "sha256:%s", hex);
}

int64_t
talk_offset(const struct answer *r, bool zero_is_empty)
{
	struct str range = answer_header(r, "Range"), from, to;
	int64_t last;

	if (str_starts(range, STR("bytes=")))
		range = str_sub(range, 6, range.n);
	if (!str_cut(range, '-', &from, &to) || !str_eq_c(from, "0") ||
	    !str_to_i64(to, -1, INT64_MAX - 1, &last))
		return -1;
	return last == 0 && zero_is_empty ? 0 : last + 1;
}

void
talk_made(struct doctor *d, const char *what, const char *target)
{
	vec_push(d->c->mem, &d->made, ((struct made){ .what = what, .target = target }));
}

void
talk_forget(struct doctor *d, const char *target)
{
	for (size_t i = 0; i < d->made.n; i++)
		if (d->made.v[i].target != NULL && strcmp(d->made.v[i].target, target) == 0)
			d->made.v[i].target = NULL;
}

static bool
is_gone(int status)
{
	return (status >= 200 && status < 300) || status == 404;
}

/* An upload whose request was cut may be held by the registry for a moment: the answer, not the clock, ends
 * the loop. */
static bool
removed(struct doctor *d, const struct made *m, struct answer *r)
{
	const struct timespec pause = { .tv_nsec = CLEANUP_PAUSE_MS * 1000000L };

	for (int i = 0; i < CLEANUP_TRIES; i++) {
		const struct ask a = { .method = "DELETE", .target = m->target, .auth = d->bearer };
		talk(d, &a, r);
		if (is_gone(r->status))
			return true;
		if (r->status == 405 || r->status == 401 || r->status == 403 ||
		    (r->status == 0 && i >= SILENT_TRIES))
			return false;
		nanosleep(&pause, NULL);
	}
	return false;
}

void
talk_cleanup(struct doctor *d)
{
	size_t gone = 0, left = 0;
	const char *why, *first = NULL;
	struct answer r;

	if (d->made.n == 0)
		return;
	d->w->stopped = false;
	d->w->signal_fd = -1; /* a second signal does not keep the run from tidying up; SIGKILL does */
	(void)talk_token(d, &why);
	for (size_t i = d->made.n; i-- > 0;) {
		const struct made *m = &d->made.v[i];
		if (m->target == NULL)
			continue;
		if (removed(d, m, &r)) {
			gone++;
		} else {
			left++;
			first =
			    first != NULL ? first : str_fmt(d->c->mem, "%s: %s", m->what, talk_seen(d, &r));
		}
	}
	if (left == 0)
		report(d, SEEN_OK, NO_TROUBLE, "cleanup",
		       "%zu things removed; the repository %s itself stays", gone, d->repo);
	else
		report(d, SEEN_WARN, NO_TROUBLE, "cleanup", "%zu things removed, %zu left in %s (%s)", gone,
		       left, d->repo, first);
}
