/* kade-doctor: answers. A small artifact with an index is pushed into the run's repository; what comes back
 * must have the framing that image clients rely on: lengths in HEAD, ranges as asked, no compression, every
 * Accept line. */
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "doctor.h"

#define TYPE_MANIFEST  "application/vnd.oci.image.manifest.v1+json"
#define TYPE_INDEX     "application/vnd.oci.image.index.v1+json"
#define TYPE_EMPTY     "application/vnd.oci.empty.v1+json"
#define BLOB_BYTES     65536 /* below mod_fcgid's default limit, so that the other checks run there too */
#define RANGE_FROM     1000
#define RANGE_BYTES    3000
#define BOTH_TYPES     "Accept: " TYPE_INDEX "\r\nAccept: " TYPE_MANIFEST "\r\n"
#define MANIFEST_TYPES "Accept: " TYPE_INDEX ", " TYPE_MANIFEST "\r\n"

static const char *
digest_of(struct doctor *d, struct str s)
{
	uint8_t sum[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1];

	digest_sha256(s, sum);
	hex_put(hex, sum, sizeof sum);
	return str_fmt(d->c->mem, "sha256:%s", hex);
}

/* Pushes a blob with one PUT. The digest, or NULL and *r. */
static const char *
push_blob(struct doctor *d, struct str bytes, struct answer *r)
{
	const char *digest = digest_of(d, bytes), *up = talk_upload(d, r);

	if (up == NULL)
		return NULL;
	const struct ask put = { .method = "PUT",
		                 .target = talk_with_digest(d, up, digest),
		                 .auth = d->bearer,
		                 .body = bytes,
		                 .lines = "Content-Type: application/octet-stream\r\n" };
	talk_made(d, "blob", str_fmt(d->c->mem, "/v2/%s/blobs/%s", d->repo, digest));
	talk(d, &put, r);
	if (r->status != 201)
		return NULL;
	talk_forget(d, up);
	return digest;
}

static const char *
push_manifest(struct doctor *d, const char *type, struct str bytes, struct answer *r)
{
	const char *digest = digest_of(d, bytes);
	const struct ask put = { .method = "PUT",
		                 .auth = d->bearer,
		                 .body = bytes,
		                 .target = str_fmt(d->c->mem, "/v2/%s/manifests/%s", d->repo, digest),
		                 .lines = str_fmt(d->c->mem, "Content-Type: %s\r\n", type) };

	talk_made(d, "manifest", put.target);
	talk(d, &put, r);
	return r->status == 201 ? digest : NULL;
}

static const char *
tag_name(struct doctor *d)
{
	return str_fmt(d->c->mem, "doctor-%016llx", (unsigned long long)d->seed);
}

/* The index goes in by tag: negotiation applies to tags alone. */
static const char *
push_tag(struct doctor *d, struct str bytes, struct answer *r)
{
	const char *digest = digest_of(d, bytes);
	const struct ask put = { .method = "PUT",
		                 .auth = d->bearer,
		                 .body = bytes,
		                 .target = str_fmt(d->c->mem, "/v2/%s/manifests/%s", d->repo, tag_name(d)),
		                 .lines = "Content-Type: " TYPE_INDEX "\r\n" };

	talk_made(d, "manifest", str_fmt(d->c->mem, "/v2/%s/manifests/%s", d->repo, digest));
	talk(d, &put, r);
	return r->status == 201 ? digest : NULL;
}

static bool
push_all(struct doctor *d, struct answer *r)
{
	char *fill = arena_alloc(d->c->mem, BLOB_BYTES);
	struct str text;

	ask_fill(d->seed, 0, fill, BLOB_BYTES);
	if ((d->blob = push_blob(d, (struct str){ fill, BLOB_BYTES }, r)) == NULL)
		return false;
	d->blob_bytes = BLOB_BYTES;
	if ((d->config_blob = push_blob(d, STR("{}"), r)) == NULL)
		return false;
	text = str_of(str_fmt(
	    d->c->mem,
	    "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST "\","
	    "\"artifactType\":\"application/vnd.kade.doctor\","
	    "\"config\":{\"mediaType\":\"" TYPE_EMPTY "\",\"digest\":\"%s\",\"size\":2},"
	    "\"layers\":[{\"mediaType\":\"application/octet-stream\",\"digest\":\"%s\",\"size\":%d}]}",
	    d->config_blob, d->blob, BLOB_BYTES));
	if ((d->image = push_manifest(d, TYPE_MANIFEST, text, r)) == NULL)
		return false;
	d->image_bytes = (int64_t)text.n;
	text = str_of(str_fmt(d->c->mem,
	                      "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_INDEX "\",\"manifests\":["
	                      "{\"mediaType\":\"" TYPE_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,"
	                      "\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}}]}",
	                      d->image, (size_t)d->image_bytes));
	return (d->index = push_tag(d, text, r)) != NULL;
}

void
check_fixture(struct doctor *d)
{
	struct answer r;

	if (push_all(d, &r))
		report(d, SEEN_OK, NO_TROUBLE, "push", "two blobs, a manifest and an index in %s", d->repo);
	else
		report(d, SEEN_FAIL,
		       r.status == 411   ? TROUBLE_CHUNKED_411
		       : r.status == 413 ? TROUBLE_BODY_LIMIT
		                         : NO_TROUBLE,
		       "push", "a small artifact cannot be pushed into %s: %s", d->repo, talk_seen(d, &r));
}

/* True when a GET of the tag with these Accept lines gives the index. */
static bool
gives_index(struct doctor *d, const char *lines, struct answer *r)
{
	const struct ask a = { .method = "GET",
		               .auth = d->bearer,
		               .lines = lines,
		               .target = str_fmt(d->c->mem, "/v2/%s/manifests/%s", d->repo, tag_name(d)) };

	talk(d, &a, r);
	return r->status == 200 && str_eq_c(answer_header(r, "Docker-Content-Digest"), d->index);
}

void
check_accept(struct doctor *d)
{
	struct answer r;

	if (!gives_index(d, MANIFEST_TYPES, &r)) {
		report(d, SEEN_FAIL, NO_TROUBLE, "accept", "a GET that accepts the index in one line: %s",
		       talk_seen(d, &r));
		return;
	}
	if (!gives_index(d, "Accept: " TYPE_MANIFEST "\r\nAccept: " TYPE_INDEX "\r\n", &r))
		report(d, SEEN_FAIL, TROUBLE_ACCEPT, "accept",
		       "of two Accept lines the second does not arrive");
	else if (!gives_index(d, BOTH_TYPES, &r))
		report(d, SEEN_FAIL, TROUBLE_ACCEPT, "accept",
		       "of two Accept lines the first does not arrive");
	else
		report(d, SEEN_OK, NO_TROUBLE, "accept", "two Accept lines arrive");
}

/* HEAD and GET of one thing: the same length, no other framing. */
static void
head_one(struct doctor *d, const char *name, const char *target, int64_t bytes)
{
	const struct ask get = {
		.method = "GET", .target = target, .auth = d->bearer, .lines = MANIFEST_TYPES
	};
	const struct ask head = {
		.method = "HEAD", .target = target, .auth = d->bearer, .lines = MANIFEST_TYPES
	};
	struct answer h, g;

	talk(d, &head, &h);
	talk(d, &get, &g);
	if (h.status != 200 || (g.status != 200 && g.status != 302 && g.status != 307)) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "HEAD: %s, GET: %s", talk_seen(d, &h),
		       talk_seen(d, &g));
		return;
	}
	if (!str_eq_c(answer_header(&h, "Content-Length"), str_fmt(d->c->mem, "%lld", (long long)bytes))) {
		report(d, SEEN_FAIL, TROUBLE_LENGTH, name,
		       "HEAD has Content-Length \"%s\", expected %lld: image clients need it",
		       report_clean(d, answer_header(&h, "Content-Length")), (long long)bytes);
	} else if (g.status == 200 && (g.body_bytes != bytes || g.fail != NULL)) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "GET brought %lld of %lld bytes%s%s",
		       (long long)g.body_bytes, (long long)bytes, g.fail == NULL ? "" : ": ",
		       g.fail == NULL ? "" : g.fail);
	} else if (g.status == 200 && g.framing != FRAME_LENGTH) {
		report(d, SEEN_FAIL, TROUBLE_LENGTH, name, "GET is sent without Content-Length (%s)",
		       g.framing == FRAME_CHUNKED ? "chunked" : "until the connection closes");
	} else {
		report(d, SEEN_OK, NO_TROUBLE, name, "Content-Length %lld in HEAD%s", (long long)bytes,
		       g.status == 200 ? " and GET" : "; GET is redirected to storage");
	}
}

void
check_head(struct doctor *d)
{
	head_one(d, "head of a manifest", str_fmt(d->c->mem, "/v2/%s/manifests/%s", d->repo, d->image),
	         d->image_bytes);
	head_one(d, "head of a blob", str_fmt(d->c->mem, "/v2/%s/blobs/%s", d->repo, d->blob), d->blob_bytes);
}

static const char *
range_fault(struct doctor *d, const struct answer *r)
{
	const struct str cr = answer_header(r, "Content-Range");
	char want[RANGE_BYTES];

	if (!str_eq_c(cr, str_fmt(d->c->mem, "bytes %d-%d/%d", RANGE_FROM, RANGE_FROM + RANGE_BYTES - 1,
	                          BLOB_BYTES)))
		return str_fmt(d->c->mem, "Content-Range is \"%s\"", report_clean(d, cr));
	ask_fill(d->seed, RANGE_FROM, want, sizeof want);
	if (r->fail != NULL)
		return r->fail;
	if (!str_eq(r->body, (struct str){ want, sizeof want }))
		return str_fmt(d->c->mem, "the %lld bytes are not those asked for", (long long)r->body_bytes);
	if (r->framing != FRAME_LENGTH)
		return "sent without Content-Length";
	return answer_count(r, "Content-Range") > 1 ? "Content-Range stands there twice" : NULL;
}

void
check_range(struct doctor *d)
{
	const struct ask a = { .method = "GET",
		               .auth = d->bearer,
		               .target = str_fmt(d->c->mem, "/v2/%s/blobs/%s", d->repo, d->blob),
		               .lines = str_fmt(d->c->mem, "Range: bytes=%d-%d\r\n", RANGE_FROM,
		                                RANGE_FROM + RANGE_BYTES - 1) };
	struct answer r;
	const char *fault;

	talk(d, &a, &r);
	if (r.status == 302 || r.status == 307) {
		report(d, SEEN_OK, NO_TROUBLE, "range",
		       "blobs are redirected to storage, which cuts ranges itself");
	} else if (r.status == 200) {
		report(d, SEEN_FAIL, TROUBLE_RANGE, "range", "Range is ignored: 200 with %lld bytes",
		       (long long)r.body_bytes);
	} else if (r.status != 206) {
		report(d, SEEN_FAIL, NO_TROUBLE, "range", "%s, expected 206", talk_seen(d, &r));
	} else if ((fault = range_fault(d, &r)) != NULL) {
		report(d, SEEN_FAIL, r.framing == FRAME_LENGTH ? TROUBLE_RANGE : TROUBLE_LENGTH, "range",
		       "206, but %s", fault);
	} else {
		report(d, SEEN_OK, NO_TROUBLE, "range", "206 with the right %d bytes and their length",
		       RANGE_BYTES);
	}
}

/* Appends the names of the answers that come compressed to b; the number of them. */
static int
compressed(struct doctor *d, const char *method, struct buf *b)
{
	const char *const target[][2] = {
		{"manifest", str_fmt(d->c->mem, "/v2/%s/manifests/%s", d->repo, d->image) },
		{ "blob",   str_fmt(d->c->mem,           "/v2/%s/blobs/%s", d->repo, d->blob) },
		{ "tag list",    str_fmt(d->c->mem,  "/v2/%s/tags/list", d->repo) },
		{ "challenge",   "/v2/"           },
	};
	int n = 0;

	for (size_t i = 0; i < sizeof target / sizeof *target; i++) {
		const struct ask a = { .method = method,
			               .target = target[i][1],
			               .auth = i == 3 ? NULL : d->bearer,
			               .lines = "Accept-Encoding: gzip, deflate, br\r\n" MANIFEST_TYPES };
		struct answer r;
		talk(d, &a, &r);
		const struct str coding = answer_header(&r, "Content-Encoding");
		if (coding.n == 0 || str_eq_nocase(coding, STR("identity")))
			continue;
		buf_putf(b, "%s%s of the %s (%s)", b->n == 0 ? "" : ", ", method, target[i][0],
		         report_clean(d, coding));
		n++;
	}
	return n;
}

void
check_compression(struct doctor *d)
{
	struct buf b = BUF(d->c->mem);
	const int n = compressed(d, "GET", &b) + compressed(d, "HEAD", &b);

	if (n == 0)
		report(d, SEEN_OK, NO_TROUBLE, "compression", "Accept-Encoding changes nothing");
	else
		report(d, SEEN_FAIL, TROUBLE_COMPRESSED, "compression", "the web server compresses: %s",
		       buf_cstr(&b));
}
