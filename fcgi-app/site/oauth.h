/* The registry as an OAuth provider: what its pages share. Facts of the flow are Quay's; codes live ten minutes, and PKCE
 * (RFC 7636, S256) may be added to a code request. */
#ifndef KADE_SITE_OAUTH_H
#define KADE_SITE_OAUTH_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "model/application.h"

struct buf;
struct req;

#define OAUTH_FORM_BYTES 65536

/* What an application asks for, and what is known of it. */
struct oauth_ask {
	struct str  client_id, redirect_uri, response_type, scope, state, assignment_uuid, challenge, challenge_method;
	unsigned    scopes; /* 0: not understood */
	bool        is_implicit, is_json;
	struct application app;
	int64_t     org_id;
	const char *org_name, *org_email; /* email NULL: none */
	bool        is_org_admin;         /* the caller administrates it */
	bool        redirect_fits;
};

/* A parameter of the form, else of the query. p == NULL: absent. */
struct str oauth_param(struct req *rq, struct str form, const char *name);
/* Reads the request's parameters. ERR_BAD_INPUT "Required param: X". */
enum err_kind oauth_ask_read(struct req *rq, struct str form, struct oauth_ask *a) MUST_CHECK;
/* Looks the application up. ERR_NOT_FOUND. */
enum err_kind oauth_ask_load(struct req *rq, struct oauth_ask *a) MUST_CHECK;

/* What the application sent as state, or NULL. Given. */
const char *oauth_state(struct req *rq, const struct oauth_ask *a);
/* The answer 302 to the application: its URI with these query parameters (name, value pairs ended by NULL; a NULL value is left
 * out), then fragment behind '#' when it is not NULL. */
void oauth_redirect(struct req *rq, struct str uri, const char *const *query, const char *fragment);
/* The same with ?error=; 400 {"error": "invalid_request"} when the application may not send a browser there. */
enum err_kind oauth_redirect_error(struct req *rq, const struct oauth_ask *a, const char *error) MUST_CHECK;

/* Pages (site/oauth-page.c): asks the user; shows a token; says a sentence. Answer 200. */
void oauth_page_consent(struct req *rq, const struct oauth_ask *a);
void oauth_page_local(struct req *rq, bool is_cancelled);
void oauth_page_assigned(struct req *rq);
/* The script of the page that shows a token: it stands behind '#', where only the browser sees it. */
enum err_kind oauth_page_script(struct req *rq) MUST_CHECK;
#endif
