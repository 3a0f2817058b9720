/* kade-doctor: uploads. Image clients push layers as PATCH with Transfer-Encoding: chunked and without a
 * length; others send the length. Both must arrive whole, whatever their size, and what nobody may push
 * should be refused before the server has taken it. */
#include "base/arena.h"
#include "doctor.h"

#define MIB               ((int64_t)1 << 20)
#define ANNOUNCED_SENT    4096
#define SMALL_BYTES       65536
#define REFUSED_BYTES_MIN (64 * MIB) /* what socket buffers on the way may take is no sign of spooling */
#define ANNOUNCED_WAIT_MS 2000

/* mod_fcgid alone answers a long body with 500: that tells the two Apache modules apart. */
static void
guess_fcgid(struct doctor *d)
{
	if (d->server == SERVER_APACHE && !d->server_told)
		d->server = SERVER_FCGID;
}

static void
judge_refused(struct doctor *d, const char *name, const char *what, const struct answer *r)
{
	const char *seen = talk_seen(d, r);

	if (talk_is_registry(r)) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "%s: %s from the registry itself", what, seen);
		if (r->status == 413)
			report_advice(d, "MAXIMUM_LAYER_SIZE in config.yaml is smaller than this body.");
		return;
	}
	switch (r->status) {
	case 411:
		report(d, SEEN_FAIL, TROUBLE_CHUNKED_411, name,
		       "%s: 411 Length Required; every docker and podman push fails", what);
		return;
	case 413:
		report(d, SEEN_FAIL, TROUBLE_BODY_LIMIT, name,
		       "%s: 413 by the web server: its body limit is too small", what);
		return;
	case 500:
		if (r->sent <= SMALL_BYTES) { /* below every default limit: not the body's size */
			report(d, SEEN_FAIL, NO_TROUBLE, name, "%s: 500 by the web server", what);
			report_advice(d, "The program behind it ended without an answer, or was not started: "
			                 "look into the web "
			                 "server's error log and the registry's.");
			return;
		}
		guess_fcgid(d);
		report(d, SEEN_FAIL, TROUBLE_BODY_500, name, "%s: 500 by the web server", what);
		return;
	case 408:
	case 502:
	case 503:
	case 504:
		report(d, SEEN_FAIL, TROUBLE_BODY_TIME, name, "%s: %s", what, seen);
		return;
	case 0:
		report(d, SEEN_FAIL, r->early ? TROUBLE_BODY_LIMIT : TROUBLE_BODY_TIME, name,
		       "%s: %s (%lld bytes were sent)", what, seen, (long long)r->sent);
		return;
	default:
		report(d, SEEN_FAIL, NO_TROUBLE, name, "%s: %s", what, seen);
	}
}

/* True when a PATCH of n bytes to an empty upload was taken whole; else the line is written. */
static bool
judge_patch(struct doctor *d, const char *name, const char *what, const struct answer *r, int64_t n)
{
	if (r->status != 202) {
		judge_refused(d, name, what, r);
		return false;
	}
	const int64_t got = talk_offset(r, n != 1);
	if (got == n)
		return true;
	if (got < 0)
		report(d, SEEN_FAIL, NO_TROUBLE, name, "%s: 202 without a usable Range (\"%s\")", what,
		       report_clean(d, answer_header(r, "Range")));
	else
		report(d, SEEN_FAIL, TROUBLE_BODY_CUT, name,
		       "%s: %lld of %lld bytes reached the registry and the answer was 202: data"
		       " is lost silently",
		       what, (long long)got, (long long)n);
	return false;
}

static const char *
mib(struct doctor *d, int64_t bytes)
{
	return bytes % MIB == 0 ? str_fmt(d->c->mem, "%lld MiB", (long long)(bytes / MIB))
	                        : str_fmt(d->c->mem, "%lld bytes", (long long)bytes);
}

void
check_chunked(struct doctor *d)
{
	const char *name = "chunked upload",
	           *what = str_fmt(d->c->mem, "PATCH of %s without a length", mib(d, d->chunked_bytes));
	struct answer r;
	const char *up = talk_upload(d, &r);

	if (up == NULL) {
		judge_refused(d, name, "POST of an upload", &r);
		return;
	}
	const struct ask patch = { .method = "PATCH",
		                   .target = up,
		                   .auth = d->bearer,
		                   .chunked = true,
		                   .lines = "Content-Type: application/octet-stream\r\n",
		                   .fill_bytes = d->chunked_bytes,
		                   .fill_seed = d->seed + 1 };
	talk(d, &patch, &r);
	if (!judge_patch(d, name, what, &r, d->chunked_bytes))
		return;
	const char *next = talk_location(d, &r), *digest = talk_fill_digest(d, d->seed + 1, d->chunked_bytes);
	const struct ask put = { .method = "PUT",
		                 .target = talk_with_digest(d, next == NULL ? up : next, digest),
		                 .auth = d->bearer };
	talk_made(d, "blob", str_fmt(d->c->mem, "/v2/%s/blobs/%s", d->repo, digest));
	talk(d, &put, &r);
	if (r.status != 201) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "%s was taken, but the closing PUT: %s", what,
		       talk_seen(d, &r));
		return;
	}
	talk_forget(d, up);
	report(d, SEEN_OK, NO_TROUBLE, name, "%s arrived whole, digest right", what);
}

void
check_large(struct doctor *d)
{
	const char *name = "large upload",
	           *what = str_fmt(d->c->mem, "PATCH of %s with its length", mib(d, d->large_bytes));
	struct answer r;
	const char *up = talk_upload(d, &r);

	if (up == NULL) {
		judge_refused(d, name, "POST of an upload", &r);
		return;
	}
	const struct ask patch = { .method = "PATCH",
		                   .target = up,
		                   .auth = d->bearer,
		                   .lines = "Content-Type: application/octet-stream\r\n",
		                   .fill_bytes = d->large_bytes,
		                   .fill_seed = d->seed + 2 };
	talk(d, &patch, &r);
	if (judge_patch(d, name, what, &r, d->large_bytes))
		report(d, SEEN_OK, NO_TROUBLE, name, "%s arrived whole in %lld ms", what,
		       (long long)(r.waited_us / 1000));
}

/* A limit far above what one wants to send: the length is announced, 4 KiB follow, then the connection is
 * cut. Servers with a limit answer at once. One that answers 202 has told the application another length. */
void
check_limit(struct doctor *d)
{
	const char *name = "body limit",
	           *what = str_fmt(d->c->mem, "PATCH that announces %s", mib(d, d->announce_bytes));
	struct answer r;
	const char *up = talk_upload(d, &r);

	if (up == NULL) {
		judge_refused(d, name, "POST of an upload", &r);
		return;
	}
	const struct ask patch = { .method = "PATCH",
		                   .target = up,
		                   .auth = d->bearer,
		                   .lines = "Content-Type: application/octet-stream\r\n",
		                   .fill_seed = d->seed + 3,
		                   .fill_bytes = ANNOUNCED_SENT + 1,
		                   .announce = d->announce_bytes,
		                   .cut_after = ANNOUNCED_SENT,
		                   .cut_wait_ms = ANNOUNCED_WAIT_MS };
	talk(d, &patch, &r);
	if (r.status == 202)
		report(d, SEEN_FAIL, TROUBLE_BODY_CUT, name,
		       "%s: 202 before the body was sent: the registry was given a shorter"
		       " one; data is lost silently above the limit",
		       what);
	else if (r.status != 0)
		judge_refused(d, name, what, &r);
	else
		report(d, SEEN_OK, NO_TROUBLE, name, "%s is not refused in advance", what);
}

void
check_expect(struct doctor *d)
{
	const char *name = "expect";
	struct answer r;
	const char *up = talk_upload(d, &r);

	if (up == NULL) {
		judge_refused(d, name, "POST of an upload", &r);
		return;
	}
	const struct ask patch = { .method = "PATCH",
		                   .target = up,
		                   .auth = d->bearer,
		                   .expect = true,
		                   .lines = "Content-Type: application/octet-stream\r\n",
		                   .fill_bytes = 8192,
		                   .fill_seed = d->seed + 4 };
	talk(d, &patch, &r);
	if (r.status == 417)
		report(d, SEEN_FAIL, TROUBLE_EXPECT, name, "Expect: 100-continue is refused with 417");
	else if (judge_patch(d, name, "PATCH with Expect: 100-continue", &r, 8192))
		report(d, r.saw_100 ? SEEN_OK : SEEN_WARN, r.saw_100 ? NO_TROUBLE : TROUBLE_EXPECT, name,
		       "%s",
		       r.saw_100 ? "100 Continue, then the body arrived whole"
		                 : "no 100 Continue within 5 s; clients lose that time");
}

/* A push by nobody. 401 must come; how much of the body the server took first says whether it spools. */
static void
refuse_one(struct doctor *d, const char *name, bool chunked)
{
	const int64_t n = d->large_bytes > REFUSED_BYTES_MIN ? d->large_bytes : REFUSED_BYTES_MIN;
	const struct ask a = { .method = "PATCH",
		               .chunked = chunked,
		               .fill_bytes = n,
		               .fill_seed = d->seed + 5,
		               .target = str_fmt(d->c->mem,
		                                 "/v2/%s/blobs/uploads/00000000-0000-4000-8000-000000000000",
		                                 d->repo),
		               .lines = "Content-Type: application/octet-stream\r\n" };
	struct answer r;

	talk(d, &a, &r);
	if (r.status != 401) {
		if (r.status >= 200 && r.status < 300)
			report(d, SEEN_FAIL, NO_TROUBLE, name,
			       "an upload without credentials: %s, expected 401", talk_seen(d, &r));
		else
			judge_refused(d, name, "an upload without credentials", &r);
		return;
	}
	const long long ms = (long long)(r.waited_us / 1000);
	if (r.sent < n)
		report(d, SEEN_OK, NO_TROUBLE, name, "401 after %lld ms and %lld of %lld bytes", ms,
		       (long long)r.sent, (long long)n);
	else
		report(d, SEEN_WARN, TROUBLE_SPOOLED, name,
		       "401 only after the whole body (%s, %lld ms): anybody may fill the spool"
		       " folder",
		       mib(d, n), ms);
}

void
check_refusal(struct doctor *d)
{
	refuse_one(d, "refusal, length known", false);
	if (!d->w->stopped)
		refuse_one(d, "refusal, chunked", true);
}
