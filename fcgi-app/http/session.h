/* Sessions of the web interface: an encrypted cookie, nothing on the server. It names the account by its uuid, which changes at
 * sign-out and password change: then every session of the account is over. The request's own statement checks it. */
#ifndef KADE_HTTP_SESSION_H
#define KADE_HTTP_SESSION_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct req;
#define CSRF_TEXT 65 /* base64url of 48 random bytes, and a NUL */
struct session {
	bool        is_loaded, is_dirty;
	const char *user_uuid, *user_name; /* NULL: nobody is signed in */
	int64_t     login_ms;              /* when the password was last shown; 0 = never */
	char        csrf[CSRF_TEXT];       /* "" = not made yet */
	char        oauth_csrf[CSRF_TEXT]; /* `state` of logins with external services */
};

/* Reads the cookie into rq->session; a missing, foreign, damaged or old one is an empty session. */
void session_load(struct req *rq);
/* The token that unsafe requests must show; made now if there is none. */
const char *session_csrf(struct req *rq);
/* Somebody signed in (or proved the password again): new login time, new CSRF token, told in X-Next-CSRF-Token. */
void session_login(struct req *rq, const char *user_uuid, const char *user_name);
/* Forgets the user; the CSRF token is made anew. */
void session_logout(struct req *rq);
/* Adds Set-Cookie if anything changed. The dispatcher calls it after the handler. */
void session_save(struct req *rq);
/* The login is younger than FRESH_LOGIN_TIMEOUT. */
bool session_is_fresh(struct req *rq);
/* The CSRF token of the request (query parameter _csrf_token, else X-CSRF-Token) is the session's. ERR_DENIED. */
enum err_kind session_check_csrf(struct req *rq) MUST_CHECK;
/* The same for forms: shown is the field _csrf_token; empty = as above. */
enum err_kind session_check_form(struct req *rq, struct str shown) MUST_CHECK;
#endif
