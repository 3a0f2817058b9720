/* kade-doctor's parts: what they share. doctor.c: options, order, end. doctor-report.c: lines and JSON.
 * doctor-advice.c: which directive of which web server. doctor-talk.c: requests to the registry, what was
 * made and must go. doctor-door.c, doctor-push.c, doctor-cut.c, doctor-pull.c, doctor-path.c: the checks.
 * doctor-host.c: this host's files. */
#ifndef KADE_JOBS_DOCTOR_H
#define KADE_JOBS_DOCTOR_H
#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/str.h"
#include "base/vec.h"
#include "doctor-wire.h"

enum verdict { SEEN_OK, SEEN_WARN, SEEN_FAIL, SEEN_SKIP };

/* Web servers as far as advice differs. SERVER_APACHE: which of its two FastCGI modules is not known. */
enum server {
	SERVER_UNKNOWN,
	SERVER_LIGHTTPD,
	SERVER_APACHE,
	SERVER_PROXY_FCGI,
	SERVER_FCGID,
	SERVER_NGINX,
	SERVERS
};

/* What is wrong, as far as a directive cures it. */
enum trouble {
	NO_TROUBLE,
	TROUBLE_NOT_REACHED, /* the web server answers itself */
	TROUBLE_NAME,        /* realm or service of the challenge */
	TROUBLE_AUTH,        /* Authorization does not arrive */
	TROUBLE_ACCEPT,      /* only one of two header lines arrives */
	TROUBLE_CHUNKED_411, /* no length, no upload */
	TROUBLE_BODY_LIMIT,  /* a body limit, said with 413 */
	TROUBLE_BODY_500,    /* a body limit, said with 500 */
	TROUBLE_BODY_CUT,    /* a body limit, not said at all */
	TROUBLE_BODY_TIME,   /* no answer in time */
	TROUBLE_SPOOLED,     /* the body is taken before a refusal */
	TROUBLE_EXPECT,
	TROUBLE_LENGTH, /* Content-Length is dropped */
	TROUBLE_RANGE,
	TROUBLE_COMPRESSED,
	TROUBLE_SLASH, /* %2F or // do not arrive */
	TROUBLE_HEADER_SIZE,
	TROUBLE_TLS,
	TROUBLES
};

struct finding {
	enum verdict verdict;
	enum trouble trouble;
	const char *name, *seen, *advice; /* advice: of this case alone, or NULL */
};

/* Something that the run made in the registry. Removed at the end, newest first. */
struct made {
	const char *what, *target;
};

struct doctor {
	struct ctx *c;
	struct wire *w;
	/* the user's words */
	const char *scheme, *user, *repo, *config, *sockets[8], *web_spool, *web_user;
	int n_sockets;
	int64_t large_bytes, chunked_bytes, announce_bytes;
	bool json;
	enum server server;
	bool server_told;
	/* found on the way */
	const char *server_text;      /* the Server header, cleaned; "" = none */
	const char *password, *basic; /* secrets: never printed; basic = "Basic …" */
	const char *bearer;           /* "Bearer …", NULL until a token was got */
	const char *realm_path, *service;
	const char *expect_realm, *expect_service;
	struct str anonymous_body; /* of GET /v2/ without credentials */
	bool auth_arrives;
	uint64_t seed;
	const char *blob, *config_blob, *image, *index; /* digests of the fixture; NULL = not there */
	int64_t blob_bytes, image_bytes;
	VEC(struct finding) findings;
	VEC(struct made) made;
};

/* ---- doctor-report.c */
/* Notes one line; what was seen in printf form. Control characters and secrets are replaced before it is
 * kept. */
void report(struct doctor *d, enum verdict v, enum trouble t, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Adds advice of its own to the line just noted. */
void report_advice(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Text of a server for a line: at most 120 printable characters. Given. */
const char *report_clean(struct doctor *d, struct str s);
/* Writes the advice (or the whole as JSON) to standard output; the exit code: 0, or 1 after a failure. */
int report_end(struct doctor *d);

/* ---- doctor-advice.c */
/* What to write for that server; NULL when no directive of it is to blame. A constant. */
const char *advice_for(enum trouble t, enum server s);
const char *advice_server_name(enum server s);
/* "lighttpd", "apache-proxy-fcgi", "apache-fcgid", "apache", "nginx". False: none of them. */
bool advice_server_of_hint(const char *hint, enum server *out);
enum server advice_server_of_header(struct str server);

/* ---- doctor-talk.c */
/* Runs one request; the Server header is remembered. */
void talk(struct doctor *d, const struct ask *a, struct answer *r);
/* True when the application, not the web server, wrote the answer. */
bool talk_is_registry(const struct answer *r);
/* What an answer was, for a line: "HTTP 413 (text/html)", "time-out". Given. */
const char *talk_seen(struct doctor *d, const struct answer *r);
/* The path and query of a Location; NULL when it is none of this server's or not usable. Given. */
const char *talk_location(struct doctor *d, const struct answer *r);
/* A token for pull and push in the run's repository. False and *why (in words) when there is none. */
bool talk_token(struct doctor *d, const char **why);
/* Opens an upload and notes it for removal. NULL and *r, when it fails. */
const char *talk_upload(struct doctor *d, struct answer *r);
/* upload + "?digest=" (or "&"). Given. */
const char *talk_with_digest(struct doctor *d, const char *upload, const char *digest);
/* "sha256:" of n generated bytes. Given. */
const char *talk_fill_digest(struct doctor *d, uint64_t seed, int64_t n);
/* The last byte's number + 1 of a Range answer ("0-99": 100; "0-0": 0 or 1, given as 0 when zero_is_empty);
 * -1: unusable. */
int64_t talk_offset(const struct answer *r, bool zero_is_empty);
/* Notes what a request is about to make, before it is sent: its answer may never come. */
void talk_made(struct doctor *d, const char *what, const char *target);
void talk_forget(struct doctor *d, const char *target);
/* Removes what was made. One line. */
void talk_cleanup(struct doctor *d);

/* ---- the checks. Each notes its own lines. */
bool check_ping(struct doctor *d); /* doctor-door.c; false: nothing further makes sense */
void check_authorization(struct doctor *d);
void check_token(struct doctor *d);
void check_headers(struct doctor *d);
void check_paths(struct doctor *d);   /* doctor-path.c */
void check_chunked(struct doctor *d); /* doctor-push.c */
void check_large(struct doctor *d);
void check_limit(struct doctor *d);
void check_expect(struct doctor *d);
void check_refusal(struct doctor *d);
void check_cut_patch(struct doctor *d); /* doctor-cut.c */
void check_cut_put(struct doctor *d);
void check_fixture(struct doctor *d); /* doctor-pull.c; the next ones need it */
void check_accept(struct doctor *d);
void check_head(struct doctor *d);
void check_range(struct doctor *d);
void check_compression(struct doctor *d);
void check_host(struct doctor *d); /* doctor-host.c */
/* Reads what the checks need from config.yaml; false: unreadable, *why in words. */
bool host_read_config(struct doctor *d, const char **why);
#endif
