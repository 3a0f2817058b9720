/* A TEST PEER, not a registry: just enough of /v2 over FastCGI that kade-doctor can be tried against real web
 * servers without Kade's own program. It keeps everything in one directory, knows one account (doctor,
 * password "correct horse"), and issues one token. It must behave as the registry does where kade-doctor
 * looks: bodies that end early are refused and leave the offset alone, repeated header parameters are joined,
 * the raw path is routed on.
 *
 * usage: doctor-peer DIR HOST[:PORT] [SCHEME] [SOCKET]    without SOCKET: descriptor 0 is the listening
 * socket. The environment variable PEER_FAULT makes it wrong on purpose: first-accept, keep-cut, corrupt-cut,
 * commit-cut.
 */
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/str.h"

#define WORKERS 6
#define ACCOUNT "Basic ZG9jdG9yOmNvcnJlY3QgaG9yc2U=" /* doctor:correct horse */
#define TOKEN   "Bearer eyJhbGciOiJub25lIn0.eyJhY2Nlc3MiOlt7ImFjdGlvbnMiOlsicHVsbCIsInB1c2giXX1dfQ.peer"

struct peer {
	FCGX_Request rq;
	struct arena *mem;
	const char *host, *scheme, *fault;
	const char *method, *auth;
	struct str path, query;
	char accept[4096];
};

static const char *
param(struct peer *p, const char *name)
{
	const char *v = FCGX_GetParam(name, p->rq.envp);
	return v == NULL ? "" : v;
}

/* All HTTP_ACCEPT parameters, joined. */
static void
join_accept(struct peer *p)
{
	size_t n = 0;

	p->accept[0] = '\0';
	for (char **e = p->rq.envp; *e != NULL; e++) {
		if (strncmp(*e, "HTTP_ACCEPT=", 12) != 0 || (n > 0 && strcmp(p->fault, "first-accept") == 0))
			continue;
		const int m =
		    snprintf(p->accept + n, sizeof p->accept - n, "%s%s", n == 0 ? "" : ", ", *e + 12);
		n += m > 0 && (size_t)m < sizeof p->accept - n ? (size_t)m : 0;
	}
}

static void
answer(struct peer *p, int status, const char *headers, struct str body)
{
	FCGX_FPrintF(
	    p->rq.out,
	    "Status: %d\r\nDocker-Distribution-API-Version: registry/2.0\r\n%sContent-Length: %d\r\n\r\n",
	    status, headers, status == 204 ? 0 : (int)body.n);
	if (strcmp(p->method, "HEAD") != 0 && status != 204)
		FCGX_PutStr(body.p == NULL ? "" : body.p, (int)body.n, p->rq.out);
}

static void
answer_error(struct peer *p, int status, const char *code)
{
	answer(p, status, "Content-Type: application/json\r\n",
	       str_of(str_fmt(
	           p->mem,
	           "{\"errors\":[{\"code\":\"%s\",\"message\":\"the test peer refuses\",\"detail\":{}}]}",
	           code)));
}

static void
answer_401(struct peer *p, struct str body)
{
	answer(p, 401,
	       str_fmt(p->mem,
	               "Content-Type: application/json\r\nWWW-Authenticate: Bearer "
	               "realm=\"%s://%s/v2/auth\",service=\"%s\"\r\n",
	               p->scheme, p->host, p->host),
	       body);
}

static bool
authorized(struct peer *p)
{
	if (strcmp(p->auth, ACCOUNT) == 0 || strcmp(p->auth, TOKEN) == 0)
		return true;
	if (p->auth[0] == '\0')
		answer_401(p, STR("true"));
	else
		answer_401(p, STR("{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"wrong "
		                  "credentials\",\"detail\":{}}]}"));
	return false;
}

/* Reads the body into a file of its own and then adds it to `file`; false: it ended early, `file` is as it
 * was. */
static bool
take_body(struct peer *p, const char *file)
{
	char piece[65536];
	const char *mine = str_fmt(p->mem, "in-%d", (int)getpid()), *want = param(p, "CONTENT_LENGTH");
	const int in = open(mine, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const int to = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int64_t n = 0, length;

	for (int m; (m = FCGX_GetStr(piece, sizeof piece, p->rq.in)) > 0; n += m)
		if (write(in, piece, (size_t)m) != m)
			abort();
	const bool cut =
	    FCGX_GetError(p->rq.in) != 0 || (str_to_i64(str_of(want), 0, INT64_MAX, &length) && length != n);
	const bool as_whole = !cut || strcmp(p->fault, "commit-cut") == 0;
	if (!as_whole)
		n = strcmp(p->fault, "keep-cut") == 0 ? n / 2 : 0;
	lseek(to, 0, SEEK_END);
	if (!as_whole && strcmp(p->fault, "corrupt-cut") == 0 && ftruncate(to, 1000) != 0)
		abort();
	for (off_t at = 0; at < n;)
		if (copy_file_range(in, &at, to, NULL, (size_t)(n - at), 0) <= 0) {
			fprintf(stderr, "peer: copy: %s\n", strerror(errno));
			abort();
		}
	close(in);
	close(to);
	unlink(mine);
	return as_whole;
}

static struct str
slurp(struct peer *p, const char *file)
{
	struct stat st;
	const int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		return STR0;
	char *m = arena_alloc(p->mem, (size_t)st.st_size + 1);
	if (read(fd, m, (size_t)st.st_size) != st.st_size)
		abort();
	close(fd);
	return (struct str){ m, (size_t)st.st_size };
}

static const char *
digest_of(struct peer *p, struct str s)
{
	uint8_t sum[SHA256_BYTES];
	char hex[65];

	digest_sha256(s, sum);
	hex_put(hex, sum, sizeof sum);
	return str_fmt(p->mem, "sha256:%s", hex);
}

static void
upload_state(struct peer *p, int status, const char *id)
{
	struct stat st;
	const char *file = str_fmt(p->mem, "up-%s", id);
	long long n = stat(file, &st) == 0 ? (long long)st.st_size : 0;

	answer(p, status,
	       str_fmt(p->mem,
	               "Location: %s://%s/v2/doctor/kade-doctor/blobs/uploads/%s\r\nRange: 0-%lld\r\n",
	               p->scheme, p->host, id, n > 0 ? n - 1 : 0),
	       STR0);
}

static void
finish_upload(struct peer *p, const char *file)
{
	struct str q = p->query, key, value;

	str_cut(q, '=', &key, &value);
	const char *digest = digest_of(p, slurp(p, file));
	if (!str_eq(key, STR("digest")) || !str_eq_c(value, digest)) {
		unlink(file);
		answer_error(p, 400, "DIGEST_INVALID");
		return;
	}
	if (rename(file, str_fmt(p->mem, "blob-%s", digest)) != 0)
		abort();
	answer(p, 201, str_fmt(p->mem, "Docker-Content-Digest: %s\r\n", digest), STR0);
}

/* PATCH and PUT. One writer at a time: a second one is answered 416 with the offset, as the registry does. */
static void
take_part(struct peer *p, const char *file, const char *id)
{
	const int lease = open(file, O_RDONLY | O_CLOEXEC);

	if (lease < 0 || flock(lease, LOCK_EX | LOCK_NB) != 0)
		upload_state(p, 416, id);
	else if (!take_body(p, file))
		answer_error(p, 400, "SIZE_INVALID");
	else if (strcmp(p->method, "PUT") == 0)
		finish_upload(p, file);
	else
		upload_state(p, 202, id);
	if (lease >= 0)
		close(lease);
}

static void
upload(struct peer *p, struct str id)
{
	char name[37];
	struct stat st;
	int64_t from;
	struct str a, b;

	if (strcmp(p->method, "POST") == 0) {
		random_uuid(name);
		close(open(str_fmt(p->mem, "up-%s", name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		upload_state(p, 202, name);
		return;
	}
	const char *text = str_dup(p->mem, id), *file = str_fmt(p->mem, "up-%s", text);
	if (stat(file, &st) != 0) {
		answer_error(p, 404, "BLOB_UPLOAD_UNKNOWN");
		return;
	}
	if (str_cut(str_of(param(p, "HTTP_CONTENT_RANGE")), '-', &a, &b) &&
	    (!str_to_i64(a, 0, INT64_MAX, &from) || from != st.st_size)) {
		upload_state(p, 416, text);
	} else if (strcmp(p->method, "DELETE") == 0) {
		unlink(file);
		answer(p, 204, "", STR0);
	} else if (strcmp(p->method, "GET") == 0) {
		upload_state(p, 204, text);
	} else {
		take_part(p, file, text);
	}
}

static void
blob(struct peer *p, struct str digest)
{
	const char *text = str_dup(p->mem, digest), *file = str_fmt(p->mem, "blob-%s", text);
	const struct str all = slurp(p, file), range = str_of(param(p, "HTTP_RANGE"));
	struct str a, b;
	int64_t from, to;

	if (all.p == NULL) {
		answer_error(p, 404, "BLOB_UNKNOWN");
	} else if (strcmp(p->method, "DELETE") == 0) {
		unlink(file);
		answer(p, 202, "", STR0);
	} else if (str_starts(range, STR("bytes=")) && str_cut(str_sub(range, 6, range.n), '-', &a, &b) &&
	           str_to_i64(a, 0, (int64_t)all.n - 1, &from) &&
	           str_to_i64(b, from, (int64_t)all.n - 1, &to)) {
		answer(p, 206,
		       str_fmt(
		           p->mem,
		           "Content-Type: application/octet-stream\r\nContent-Range: bytes %lld-%lld/%zu\r\n",
		           (long long)from, (long long)to, all.n),
		       str_sub(all, (size_t)from, (size_t)to + 1));
	} else {
		answer(p, 200,
		       str_fmt(p->mem,
		               "Content-Type: application/octet-stream\r\nDocker-Content-Digest: %s\r\n",
		               text),
		       all);
	}
}

/* A tag is a file whose content is a digest; a manifest's media type is found in its own text. */
static void
manifest(struct peer *p, struct str ref)
{
	const bool by_tag = str_find(ref, ':') < 0;
	const char *name = str_dup(p->mem, ref), *digest = name;

	if (strcmp(p->method, "PUT") == 0) {
		const char *in = str_fmt(p->mem, "put-%d", (int)getpid());
		unlink(in);
		if (!take_body(p, in)) {
			answer_error(p, 400, "SIZE_INVALID");
			return;
		}
		digest = digest_of(p, slurp(p, in));
		if (rename(in, str_fmt(p->mem, "man-%s", digest)) != 0 ||
		    (by_tag && symlink(digest, str_fmt(p->mem, "tag-%s", name)) != 0))
			abort();
		answer(p, 201, str_fmt(p->mem, "Docker-Content-Digest: %s\r\n", digest), STR("OK"));
		return;
	}
	if (by_tag) {
		char to[128];
		const ssize_t n = readlink(str_fmt(p->mem, "tag-%s", name), to, sizeof to);
		digest = n > 0 ? str_dup(p->mem, (struct str){ to, (size_t)n }) : "none";
	}
	struct str text = slurp(p, str_fmt(p->mem, "man-%s", digest));
	const char *kind = text.p != NULL && memmem(text.p, text.n, "\"manifests\"", 11) != NULL
	                       ? "application/vnd.oci.image.index.v1+json"
	                       : "application/vnd.oci.image.manifest.v1+json";
	if (text.p == NULL) {
		answer_error(p, 404, "MANIFEST_UNKNOWN");
		return;
	}
	if (strcmp(p->method, "DELETE") == 0) {
		unlink(str_fmt(p->mem, "man-%s", digest));
		answer(p, 202, "", STR0);
		return;
	}
	if (by_tag && strstr(kind, "index") != NULL &&
	    strstr(p->accept, kind) == NULL) { /* the child instead */
		const char *at = memmem(text.p, text.n, "sha256:", 7);
		digest = str_dup(p->mem, (struct str){ at, 71 });
		text = slurp(p, str_fmt(p->mem, "man-%s", digest));
		kind = "application/vnd.oci.image.manifest.v1+json";
	}
	answer(p, 200, str_fmt(p->mem, "Content-Type: %s\r\nDocker-Content-Digest: %s\r\n", kind, digest),
	       text);
}

/* The rest after the last `word` in s, or p NULL. */
static struct str
after(struct str s, const char *word)
{
	const size_t n = strlen(word);

	for (size_t i = s.n; i-- > 0;)
		if (s.n - i >= n && memcmp(s.p + i, word, n) == 0)
			return str_sub(s, i + n, s.n);
	return STR0;
}

static bool
is_odd(struct str path)
{
	return memmem(path.p, path.n, "..", 2) != NULL || memmem(path.p, path.n, "//", 2) != NULL ||
	       str_find(path, '%') >= 0;
}

static void
token(struct peer *p)
{
	if (p->auth[0] != '\0' && strcmp(p->auth, ACCOUNT) != 0)
		answer_401(p, STR("{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"wrong "
		                  "credentials\",\"detail\":{}}]}"));
	else
		answer(p, 200, "Content-Type: application/json\r\n",
		       str_of(str_fmt(p->mem, "{\"token\":\"%s\"}",
		                      p->auth[0] == '\0' ? "anonymous" : &TOKEN[7])));
}

static void
serve(struct peer *p)
{
	struct str rest;

	str_cut(str_of(param(p, "REQUEST_URI")), '?', &p->path, &p->query);
	p->method = param(p, "REQUEST_METHOD");
	p->auth = param(p, "HTTP_AUTHORIZATION");
	join_accept(p);
	if (str_eq(p->path, STR("/v2/auth"))) {
		token(p);
	} else if (is_odd(p->path)) {
		answer_error(p, 404, "NAME_UNKNOWN");
	} else if (!authorized(p)) {
		return;
	} else if (strcmp(param(p, "FCGI_ROLE"), "AUTHORIZER") == 0) {
		FCGX_PutS("Status: 200\r\n\r\n", p->rq.out);
	} else if (str_eq(p->path, STR("/v2/"))) {
		answer(p, 200, "Content-Type: application/json\r\n", STR("true"));
	} else if ((rest = after(p->path, "/blobs/uploads/")).p != NULL) {
		upload(p, rest);
	} else if ((rest = after(p->path, "/blobs/")).p != NULL) {
		blob(p, rest);
	} else if ((rest = after(p->path, "/manifests/")).p != NULL) {
		manifest(p, rest);
	} else if (str_ends(p->path, STR("/tags/list"))) {
		answer(p, 200, "Content-Type: application/json\r\n",
		       STR("{\"name\":\"doctor/kade-doctor\",\"tags\":[\"doctor-0000000000000000\"]}"));
	} else {
		answer_error(p, 404, "NAME_UNKNOWN");
	}
}

static int
work(struct peer *p, int sock)
{
	FCGX_Init();
	FCGX_InitRequest(&p->rq, sock, 0);
	while (FCGX_Accept_r(&p->rq) == 0) {
		serve(p);
		FCGX_Finish_r(&p->rq);
		arena_reset(p->mem, 0);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct peer p = { .mem = arena_new(0), .fault = getenv("PEER_FAULT") };

	if (argc < 3 || chdir(argv[1]) != 0) {
		fputs("usage: doctor-peer DIR HOST[:PORT] [SCHEME] [SOCKET]\n", stderr);
		return 2;
	}
	p.host = argv[2];
	p.scheme = argc > 3 ? argv[3] : "http";
	p.fault = p.fault == NULL ? "" : p.fault;
	if (argc < 5)
		return work(&p, 0);
	FCGX_Init();
	umask(0);
	const int sock = FCGX_OpenSocket(argv[4], 64);
	if (sock < 0)
		return 1;
	for (int i = 1; i < WORKERS; i++)
		if (fork() == 0)
			return work(&p, sock);
	return work(&p, sock);
}
