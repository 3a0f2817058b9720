/* Entity tags of the REST API. They are weak: equal tags mean equal lists, not equal bytes. Nothing may be stored for others
 * (private) nor shown without asking (no-cache), so a right that ended shows at the next request. */
#include "http/conditional.h"

#include <strings.h>

#include "base/ctx.h"
#include "base/digest.h"
#include "http/response.h"

#define HASHED_BYTES (1 << 20) /* larger bodies get no tag */
#define TAG_BYTES    16

static bool
has_header(const struct req *rq, const char *name)
{
	for (size_t i = 0; i < rq->res.n_headers; i++)
		if (strcasecmp(rq->res.headers[i].name, name) == 0)
			return true;
	return false;
}

struct str
conditional_shown(const struct req *rq, struct str prefix)
{
	struct str rest = req_header(rq, "if-none-match"), head, tail;

	while (str_cut(rest, '"', &head, &tail)) {
		if (!str_cut(tail, '"', &head, &rest))
			break;
		if (str_starts(head, prefix))
			return head;
	}
	return STR0;
}

void
conditional_tag(struct req *rq, struct str tag)
{
	res_headerf(rq, "ETag", "W/\"%.*s\"", STRF(tag));
	if (!has_header(rq, "Cache-Control"))
		res_header(rq, "Cache-Control", STR("private, no-cache"));
	res_header(rq, "Vary", STR("Cookie, Authorization"));
}

void
conditional_settle(struct req *rq)
{
	struct res *r = &rq->res;
	uint8_t     hash[SHA256_BYTES];
	char        tag_text[1 + TAG_BYTES * 2 + 1] = "b";
	struct str  tag, shown;

	if (rq->proto != PROTO_API || r->status != 200 || !r->has_body || r->body.n > HASHED_BYTES || (rq->method & (HTTP_GET | HTTP_HEAD)) == 0 ||
	    has_header(rq, "ETag") || has_header(rq, "Cache-Control"))
		return;
	digest_sha256(r->body, hash);
	hex_put(tag_text + 1, hash, TAG_BYTES);
	tag = str_of(tag_text);
	shown = conditional_shown(rq, tag);
	conditional_tag(rq, tag);
	if (shown.n == tag.n)
		res_empty(rq, 304);
}
