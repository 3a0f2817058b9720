/* kade-doctor: clients that vanish in the middle of a body. What the registry says it has must be what it
 * has, and nothing may be committed. */
#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "doctor.h"

#define WHOLE_BYTES (4 << 20)
#define CUT_AT      (1 << 20) /* a part that is long enough to pass every buffer's first fill */
#define TRIES       40
#define PAUSE_MS    250
#define WATCH_TRIES 8
#define PASS_ON_MS  1000 /* for the server to hand on what it has before it sees the cut */

/* Goes on with an upload from the offset that the registry names. The request before was cut and may still
 * hold the upload: 416 with an offset, 409 and 503 mean "look again". The status of the last answer. */
static int
resume(struct doctor *d, const char *up, uint64_t seed, int64_t *from)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
	struct answer r;

	for (int i = 0; i < TRIES && !d->w->stopped; i++) {
		const struct ask status = { .method = "GET", .target = up, .auth = d->bearer };
		talk(d, &status, &r);
		if (r.status != 204)
			return r.status;
		*from = talk_offset(&r, true);
		if (*from < 0 || *from > CUT_AT)
			return r.status;
		const struct ask rest = { .method = "PATCH",
			                  .target = up,
			                  .auth = d->bearer,
			                  .lines = str_fmt(d->c->mem,
			                                   "Content-Type: application/octet-stream\r\n"
			                                   "Content-Range: %lld-%d\r\n",
			                                   (long long)*from, WHOLE_BYTES - 1),
			                  .fill_bytes = WHOLE_BYTES - *from,
			                  .fill_from = *from,
			                  .fill_seed = seed };
		talk(d, &rest, &r);
		if (r.status != 416 && r.status != 409 && r.status != 503)
			return r.status;
		nanosleep(&pause, NULL);
	}
	return r.status;
}

/* PATCH of 4 MiB cut after 1 MiB; the rest is sent from the offset that the registry then names, and the
 * digest of the whole must come out. */
void
check_cut_patch(struct doctor *d)
{
	const char *name = "cut upload";
	const uint64_t seed = d->seed + 6;
	struct answer r;
	int64_t from = -1;
	const char *up = talk_upload(d, &r);

	if (up == NULL) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "POST of an upload: %s", talk_seen(d, &r));
		return;
	}
	const struct ask cut = { .method = "PATCH",
		                 .target = up,
		                 .auth = d->bearer,
		                 .fill_bytes = WHOLE_BYTES,
		                 .fill_seed = seed,
		                 .lines = "Content-Type: application/octet-stream\r\n",
		                 .cut_after = CUT_AT };
	talk(d, &cut, &r);
	if (r.status != 0) {
		const bool taken = r.status >= 200 && r.status < 300;
		report(d, taken ? SEEN_FAIL : SEEN_SKIP, taken ? TROUBLE_BODY_CUT : NO_TROUBLE, name,
		       "answered before the body was complete: %s", talk_seen(d, &r));
		return;
	}
	const int status = resume(d, up, seed, &from);
	if (from < 0 || from > CUT_AT) {
		report(d, SEEN_FAIL, NO_TROUBLE, name,
		       "after a cut in mid-body the upload's status is %d with offset %lld; at most %d"
		       " bytes were sent",
		       status, (long long)from, CUT_AT);
		return;
	}
	if (status != 202) {
		report(d, SEEN_FAIL,
		       status == 413   ? TROUBLE_BODY_LIMIT
		       : status == 500 ? TROUBLE_BODY_500
		                       : NO_TROUBLE,
		       name, "going on from offset %lld after a cut: HTTP %d", (long long)from, status);
		return;
	}
	const char *digest = talk_fill_digest(d, seed, WHOLE_BYTES);
	const struct ask put = { .method = "PUT",
		                 .target = talk_with_digest(d, up, digest),
		                 .auth = d->bearer };
	talk_made(d, "blob", str_fmt(d->c->mem, "/v2/%s/blobs/%s", d->repo, digest));
	talk(d, &put, &r);
	if (r.status == 201) {
		talk_forget(d, up);
		report(d, SEEN_OK, NO_TROUBLE, name,
		       "cut after %d bytes; offset then %lld, and the rest completed it", CUT_AT,
		       (long long)from);
	} else {
		report(d, SEEN_FAIL, TROUBLE_BODY_CUT, name,
		       "the registry's offset %lld after a cut was wrong: the whole does not match"
		       " its digest (%s)",
		       (long long)from, talk_seen(d, &r));
	}
}

/* PUT that announces 128 KiB, is cut after 64 KiB, and names the digest of just these: whoever takes the part
 * for the whole commits it. */
void
check_cut_put(struct doctor *d)
{
	const char *name = "cut commit";
	const int64_t half = 65536;
	const uint64_t seed = d->seed + 7;
	struct answer r;
	const char *up = talk_upload(d, &r);

	if (up == NULL) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "POST of an upload: %s", talk_seen(d, &r));
		return;
	}
	const char *digest = talk_fill_digest(d, seed, half);
	const char *blob = str_fmt(d->c->mem, "/v2/%s/blobs/%s", d->repo, digest);
	const struct ask put = { .method = "PUT",
		                 .target = talk_with_digest(d, up, digest),
		                 .auth = d->bearer,
		                 .lines = "Content-Type: application/octet-stream\r\n",
		                 .fill_bytes = 2 * half - 100,
		                 .fill_seed = seed,
		                 .cut_after = half,
		                 .cut_wait_ms = PASS_ON_MS };
	const struct ask head = { .method = "HEAD", .target = blob, .auth = d->bearer };
	const struct ask status = { .method = "GET", .target = up, .auth = d->bearer };
	talk_made(d, "blob", blob);
	talk(d, &put, &r);
	if (r.status != 0) {
		const bool taken = r.status >= 200 && r.status < 300;
		report(d, taken ? SEEN_FAIL : SEEN_SKIP, taken ? TROUBLE_BODY_CUT : NO_TROUBLE, name,
		       "answered before the body was complete: %s", talk_seen(d, &r));
		return;
	}
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
	/* the server may notice the cut later than this: the blob is watched for */
	for (int i = 0; i < WATCH_TRIES && !d->w->stopped; i++) {
		talk(d, &head, &r);
		if (r.status != 404)
			break;
		nanosleep(&pause, NULL);
	}
	const int blob_status = r.status;
	const char *blob_seen = talk_seen(d, &r);
	talk(d, &status, &r);
	if (d->w->stopped)
		return;
	if (blob_status == 404 && (r.status == 204 || r.status == 404)) {
		report(d, SEEN_OK, NO_TROUBLE, name, "nothing was committed");
	} else if (blob_status == 404) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "nothing was committed, but the upload's status is %d",
		       r.status);
	} else {
		report(d, SEEN_FAIL, TROUBLE_BODY_CUT, name,
		       "a body cut in the middle was committed as whole (HEAD: %s)", blob_seen);
	}
}
