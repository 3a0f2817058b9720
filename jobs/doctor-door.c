/* kade-doctor: the first answers. The challenge of /v2/, whether Authorization arrives, the token, and how
 * long a header may be. Rules: the distribution specification's token flow, as every image client follows it.
 */
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "doctor.h"

/* The value of key="…" in a challenge; p NULL when absent. */
static struct str
challenge_value(struct str s, const char *key)
{
	const size_t n = strlen(key);

	for (size_t i = 0; i + n + 2 <= s.n; i++) {
		if ((i > 0 && s.p[i - 1] != ' ' && s.p[i - 1] != ',') || memcmp(s.p + i, key, n) != 0 ||
		    s.p[i + n] != '=' || s.p[i + n + 1] != '"')
			continue;
		const struct str rest = str_sub(s, i + n + 2, s.n);
		const ptrdiff_t end = str_find(rest, '"');
		return end < 0 ? STR0 : str_sub(rest, 0, (size_t)end);
	}
	return STR0;
}

/* The realm's path, without its host: the token is asked for here, not where the answer points. */
static void
take_realm_path(struct doctor *d, struct str realm)
{
	const size_t from = str_starts(realm, STR("https://"))  ? 8
	                    : str_starts(realm, STR("http://")) ? 7
	                                                        : realm.n;
	const struct str rest = str_sub(realm, from, realm.n);
	const ptrdiff_t slash = str_find(rest, '/');
	const struct str path = slash < 0 ? STR0 : str_sub(rest, (size_t)slash, rest.n);

	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] <= 0x20 || (unsigned char)path.p[i] >= 0x7f ||
		    strchr("?#", path.p[i]) != NULL)
			return;
	if (path.n > 0)
		d->realm_path = str_dup(d->c->mem, path);
}

static void
check_challenge(struct doctor *d, const struct answer *r)
{
	const struct str h = answer_header(r, "WWW-Authenticate");
	const struct str realm = challenge_value(h, "realm"), service = challenge_value(h, "service");

	if (!str_starts(h, STR("Bearer ")) || realm.n == 0) {
		report(d, SEEN_FAIL, NO_TROUBLE, "challenge",
		       "WWW-Authenticate is \"%s\", not a Bearer challenge with a realm", report_clean(d, h));
		report_advice(
		    d,
		    "Has the web server an authentication of its own on /v2/ (AuthType Basic, auth.require,"
		    " auth_basic)? Image clients need the registry's challenge.");
		return;
	}
	take_realm_path(d, realm);
	if (service.n > 0)
		d->service =
		    str_dup(d->c->mem, service) != NULL ? str_dup(d->c->mem, service) : d->expect_service;
	if (str_eq_nocase(realm, str_of(d->expect_realm)) &&
	    str_eq_nocase(service, str_of(d->expect_service))) {
		report(d, SEEN_OK, NO_TROUBLE, "challenge", "realm %s, service %s", d->expect_realm,
		       d->expect_service);
		return;
	}
	report(d, SEEN_FAIL, NO_TROUBLE, "challenge", "realm \"%s\", service \"%s\"; expected \"%s\", \"%s\"",
	       report_clean(d, realm), report_clean(d, service), d->expect_realm, d->expect_service);
	report_advice(d,
	              "Clients are sent to the realm. In config.yaml:\n"
	              "SERVER_HOSTNAME: %s\n"
	              "PREFERRED_URL_SCHEME: %s\n"
	              "(or call kade-doctor with the public URL and --connect ADDRESS:PORT)",
	              d->expect_service, d->scheme);
}

bool
check_ping(struct doctor *d)
{
	const struct ask a = { .method = "GET", .target = "/v2/" };
	struct answer r;

	talk(d, &a, &r);
	if (r.status == 0) {
		report(d, SEEN_FAIL, TROUBLE_NOT_REACHED, "ping", "no answer to GET /v2/: %s", r.fail);
		return false;
	}
	if (answer_header(&r, "Docker-Distribution-API-Version").n == 0) {
		report(d, SEEN_FAIL, TROUBLE_NOT_REACHED, "ping",
		       "GET /v2/: %s without Docker-Distribution-API-Version: no registry"
		       " answers here",
		       talk_seen(d, &r));
		return false;
	}
	if (!str_eq_c(answer_header(&r, "Docker-Distribution-API-Version"), "registry/2.0"))
		report(d, SEEN_FAIL, NO_TROUBLE, "ping",
		       "Docker-Distribution-API-Version is \"%s\", not registry/2.0",
		       report_clean(d, answer_header(&r, "Docker-Distribution-API-Version")));
	else if (r.status != 401)
		report(d, SEEN_FAIL, NO_TROUBLE, "ping", "GET /v2/ without credentials: %s, expected 401",
		       talk_seen(d, &r));
	else
		report(d, SEEN_OK, NO_TROUBLE, "ping", "401, registry/2.0");
	d->anonymous_body = r.body;
	if (r.status != 401)
		return false;
	check_challenge(d, &r);
	return true;
}

/* Without credentials: a wrong password must be answered otherwise than none at all, where it arrives. */
static void
probe_authorization(struct doctor *d)
{
	/* user "kade-doctor-probe", password "probe": made up, so that nobody's account sees a failed login
	 */
	const struct ask a = { .method = "GET",
		               .target = "/v2/",
		               .auth = "Basic a2FkZS1kb2N0b3ItcHJvYmU6cHJvYmU=" };
	struct answer r;

	talk(d, &a, &r);
	if (r.status == 401 && str_eq(r.body, d->anonymous_body))
		report(d, SEEN_FAIL, TROUBLE_AUTH, "authorization",
		       "wrong credentials are answered exactly like none: the header does"
		       " not reach the registry");
	else if (r.status == 401 || r.status == 403 || r.status == 429)
		report(d, SEEN_OK, NO_TROUBLE, "authorization",
		       "arrives (wrong credentials are refused as such)");
	else
		report(d, SEEN_FAIL, NO_TROUBLE, "authorization",
		       "wrong credentials on /v2/: %s, expected 401", talk_seen(d, &r));
}

void
check_authorization(struct doctor *d)
{
	const struct ask a = { .method = "GET", .target = "/v2/", .auth = d->basic };
	struct answer r;

	if (d->basic == NULL) {
		probe_authorization(d);
		return;
	}
	talk(d, &a, &r);
	if (r.status == 200) {
		d->auth_arrives = true;
		report(d, SEEN_OK, NO_TROUBLE, "authorization", "Basic on /v2/ arrives");
	} else if (r.status == 401 && str_eq(r.body, d->anonymous_body)) {
		report(d, SEEN_FAIL, TROUBLE_AUTH, "authorization",
		       "Basic on /v2/ is answered exactly like no credentials: the header"
		       " does not reach the registry");
	} else if (r.status == 401 || r.status == 403 || r.status == 429) {
		report(d, SEEN_FAIL, NO_TROUBLE, "authorization",
		       "the registry refuses the credentials of %s: %s", d->user, talk_seen(d, &r));
		report_advice(
		    d, "The header arrives; the name or the password is wrong, or logins are throttled.");
	} else {
		report(d, SEEN_FAIL, NO_TROUBLE, "authorization", "Basic on /v2/: %s, expected 200",
		       talk_seen(d, &r));
	}
}

void
check_token(struct doctor *d)
{
	const char *why = NULL;
	struct answer r;

	if (!talk_token(d, &why)) {
		d->bearer = NULL;
		report(d, SEEN_FAIL, NO_TROUBLE, "token", "%s", why);
		report_advice(d,
		              "The run needs a token that may push to %s: choose another with --repository, "
		              "or give %s the right"
		              " to create repositories there.",
		              d->repo, d->user);
		return;
	}
	const struct ask a = { .method = "GET", .target = "/v2/", .auth = d->bearer };
	talk(d, &a, &r);
	if (r.status == 200) {
		report(d, SEEN_OK, NO_TROUBLE, "token", "%zu bytes, accepted on /v2/",
		       strlen(d->bearer) - strlen("Bearer "));
		return;
	}
	report(d, SEEN_FAIL, str_eq(r.body, d->anonymous_body) ? TROUBLE_AUTH : NO_TROUBLE, "token",
	       "a token just issued is not accepted on /v2/: %s", talk_seen(d, &r));
	d->bearer = NULL;
}

/* GET /v2/ with an Authorization line of n bytes, which is no token. The registry answers 401, a limit in
 * front 400, 413 or 431, or it hangs up. */
static bool
header_arrives(struct doctor *d, size_t n, struct answer *r)
{
	char *value = arena_alloc(d->c->mem, n + 1);
	const struct ask a = { .method = "GET", .target = "/v2/", .auth = value };

	memset(value, 'x', n);
	memcpy(value, "Bearer ", 7);
	value[n] = '\0';
	talk(d, &a, r);
	return r->status == 401 && talk_is_registry(r);
}

void
check_headers(struct doctor *d)
{
	struct answer r;

	if (!header_arrives(d, 4000, &r))
		report(d, SEEN_FAIL, TROUBLE_HEADER_SIZE, "header size",
		       "an Authorization line of 4,000 bytes: %s, expected the"
		       " registry's 401",
		       talk_seen(d, &r));
	else if (!header_arrives(d, 8000, &r))
		report(d, SEEN_WARN, TROUBLE_HEADER_SIZE, "header size",
		       "4,000 bytes of Authorization pass, 8,000 do not (%s)", talk_seen(d, &r));
	else
		report(d, SEEN_OK, NO_TROUBLE, "header size", "Authorization of 8,000 bytes passes");
}
