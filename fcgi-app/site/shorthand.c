/* Short addresses that people type, and what crawlers and browsers ask for. A short address leads to a page of this registry by
 * its form alone: no look-up is made, so nothing is told about what exists, and the target is never another host. */
#include "base/buf.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "http/response.h"
#include "oci/name.h"
#include "site/routes.h"

/* First segments that are pages or services: what lies below them and is not there is 404. */
static bool
is_taken(struct str first)
{
	static const char *const WORD[] = { "about", "api", "assets", "build", "change-log", "cnr", "config", "confirm", "confirminvite", "contact", "createaccount", "customtrigger",
		                            "enterprise", "exportedlogs", "guide", "health", "keys", "messages", "metrics", "new", "oauth", "oauth-error", "oauth1", "oauth2", "organization", "organizations",
		                            "overview", "plans", "privacy", "push", "realtime", "recovery", "repository", "search", "secscan", "security", "service-keys", "setup", "signin",
		                            "static", "status", "superuser", "tos", "tour", "tutorial", "updateuser", "usage-logs", "user", "userfiles", "v1", "v2", "webhooks" };

	for (size_t i = 0; i < sizeof WORD / sizeof *WORD; i++)
		if (str_eq_c(first, WORD[i]))
			return true;
	return false;
}

static enum err_kind
nothing(struct req *rq, struct str first)
{
	/* An unknown path below /v2 answers in that protocol's form, as without this row. */
	if (str_eq(first, STR("v2")))
		rq->proto = PROTO_V2;
	else if (str_eq(first, STR("cnr")))
		rq->proto = PROTO_CNR;
	return err_set(rq->c, ERR_NOT_FOUND, "no such page");
}

static enum err_kind
go(struct req *rq, struct buf *b, bool has_query)
{
	if (rq->query.n > 0) {
		buf_putc(b, has_query ? '&' : '?');
		buf_put(b, rq->query);
	}
	res_header(rq, "Location", buf_str(b));
	res_header(rq, "Cache-Control", STR("no-cache"));
	res_empty(rq, 302);
	return ERR_NONE;
}

static enum err_kind
site_namespace(struct req *rq)
{
	const struct str ns = req_capture(rq, "namespace");
	struct buf       b = BUF(rq->c->mem);

	if (is_taken(ns) || !oci_namespace_valid(ns))
		return nothing(rq, ns);
	buf_puts(&b, "/organization/");
	buf_put_url(&b, ns);
	return go(rq, &b, false);
}

static bool
is_tag_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '.' || ch == '_' || ch == '-';
}

/* NAME or NAME:TAG, as in a pull specification. */
static enum err_kind
site_repository(struct req *rq)
{
	const struct str ns = req_capture(rq, "namespace");
	struct str       name, tag;
	struct buf       b = BUF(rq->c->mem);

	if (!str_cut(req_capture(rq, "reponame"), ':', &name, &tag))
		tag = STR0;
	if (is_taken(ns) || !oci_namespace_valid(ns) || name.n == 0 || name.n > 255 || tag.n > 128)
		return nothing(rq, ns);
	for (size_t i = 0; i < name.n; i++)
		if (!is_tag_char(name.p[i]))
			return nothing(rq, ns);
	for (size_t i = 0; i < tag.n; i++)
		if (!is_tag_char(tag.p[i]))
			return nothing(rq, ns);
	buf_puts(&b, "/repository/");
	buf_put_url(&b, ns);
	buf_putc(&b, '/');
	buf_put_url(&b, name);
	if (tag.n == 0)
		return go(rq, &b, false);
	buf_puts(&b, "?tab=tags&tag=");
	buf_put_url(&b, tag);
	return go(rq, &b, true);
}

static enum err_kind
site_robots(struct req *rq)
{
	res_header(rq, "Cache-Control", STR("public, max-age=3600"));
	res_body(rq, 200, "text/plain; charset=utf-8", STR("User-agent: *\nDisallow: /api/\nDisallow: /cnr/\nDisallow: /oauth/\nDisallow: /v1/\nDisallow: /v2/\n"));
	return ERR_NONE;
}

static enum err_kind
site_opensearch(struct req *rq)
{
	const char *base = req_base_url(rq), *title = rq->c->conf->registry_title;
	struct buf  b = BUF(rq->c->mem);

	buf_puts(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<OpenSearchDescription xmlns=\"http://a9.com/-/spec/opensearch/1.1/\">\n<ShortName>");
	buf_put_html(&b, str_of(title));
	buf_puts(&b, "</ShortName>\n<Description>Repositories</Description>\n<InputEncoding>UTF-8</InputEncoding>\n<Url type=\"text/html\" method=\"get\" template=\"");
	buf_put_html(&b, str_of(base));
	buf_puts(&b, "/search?q={searchTerms}\"/>\n</OpenSearchDescription>\n");
	res_header(rq, "Cache-Control", STR("public, max-age=3600"));
	res_body(rq, 200, "application/opensearchdescription+xml", buf_str(&b));
	return ERR_NONE;
}

/* clang-format off */
#define GETS .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_SITE, .auth = AUTH_NONE, .perm = PERM_NONE
const struct route SITE_SHORTHAND_ROUTES[] = {
	{ .id = "web.robots", GETS, .path = "/robots.txt", .run = site_robots, .doc = "What crawlers leave alone." },
	{ .id = "web.opensearch", GETS, .path = "/opensearch.xml", .run = site_opensearch, .doc = "The search, for browsers." },
	{ .id = "web.redirect_to_namespace", GETS, .path = "/<name:namespace>", .run = site_namespace, .doc = "To the page of a namespace." },
	{ .id = "web.redirect_to_repository", GETS, .path = "/<name:namespace>/<name:reponame>", .run = site_repository, .doc = "To the page of a repository." },
	{ .id = NULL }
};
