/* kade-doctor: paths that web servers like to rewrite. The registry routes on the raw path and must see it;
 * what is outside of it must not be served. */
#include "base/arena.h"
#include "doctor.h"

struct odd_path {
	const char *name, *target;
	bool must_arrive; /* a refusal of the web server's own is then a warning */
};
static const struct odd_path ODD[] = {
	{"path %2F",     "/v2/kade-doctor%2Fprobe/tags/list",                                    true },
	{ "path //",     "/v2//kade-doctor/probe/tags/list",                                     true },
	{ "path ..",     "/v2/kade-doctor/../../../../../../../../etc/passwd",                   false},
	{ "path %2e%2e", "/v2/kade-doctor/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", false},
	{ "path %00",    "/v2/kade-doctor/probe%00/tags/list",                                   false},
};

static void
check_path(struct doctor *d, const struct odd_path *o)
{
	const struct ask a = { .method = "GET", .target = o->target };
	struct answer r;

	talk(d, &a, &r);
	if (r.status == 0 && d->w->stopped)
		return;
	if (r.status < 400 || r.status > 499) {
		report(d, SEEN_FAIL, NO_TROUBLE, o->name, "%s: %s, expected a refusal (400 to 404)",
		       o->target, talk_seen(d, &r));
		report_advice(d, "%s",
		              r.status >= 200 && r.status < 300
		                  ? "Something other than the registry answers below /v2/: is there an "
		                    "Alias, a document root"
		                    " or a rewrite in its way?"
		                  : "Look into the web server's error log.");
	} else if (o->must_arrive && !talk_is_registry(&r)) {
		report(d, SEEN_WARN, TROUBLE_SLASH, o->name,
		       "%s: %s by the web server; it does not reach the registry", o->target,
		       talk_seen(d, &r));
	} else {
		report(d, SEEN_OK, NO_TROUBLE, o->name, "refused with %d%s", r.status,
		       talk_is_registry(&r) ? "" : " by the web server");
	}
}

void
check_paths(struct doctor *d)
{
	for (size_t i = 0; i < sizeof ODD / sizeof *ODD && !d->w->stopped; i++)
		check_path(d, &ODD[i]);
}
