/* What libcurl calls back during a transfer. None of these may jump: memory comes from arena_try(), failure
 * is told to libcurl by its abort code and remembered in the transfer. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"
#include "net/address.h"
#include "net/http-handle.h"
#include "net/ssrf.h"

#define HEAD_LIMIT_BYTES 65536
#define HEADERS_LIMIT    256
#define BODY_LIMIT_BYTES (1u << 20)
#define BODY_FIRST_BYTES 4096

static void
give_up(struct hc_transfer *t, enum hc_error error, const char *reason)
{
	if (t->error != HC_OK)
		return;
	t->error = error;
	t->reason = reason;
}

static size_t
body_limit(const struct hc_transfer *t)
{
	return t->rq->max_body_bytes > 0 ? t->rq->max_body_bytes : BODY_LIMIT_BYTES;
}

/* A status line starts the head anew (100 Continue, a proxy's answer to CONNECT, the answer itself). */
static void
status_line(struct hc_transfer *t, struct str line)
{
	struct str version, rest, code;
	int64_t v = 0;

	str_cut(line, ' ', &version, &rest);
	str_cut(rest, ' ', &code, &rest);
	if (!str_to_i64(code, 100, 999, &v))
		v = 0;
	t->status = (int)v;
	t->answer.n = 0;
}

static bool
keep_header(struct hc_transfer *t, struct str line)
{
	struct hc_header h = { 0 };
	struct str name, value;

	if (!str_cut(line, ':', &name, &value))
		return true; /* the empty line at the end, or a folded one */
	if (t->answer.n == t->answer.cap) {
		const size_t cap = t->answer.cap == 0 ? 32 : t->answer.cap * 2;
		struct hc_header *v = cap > HEADERS_LIMIT ? NULL : arena_try(t->mem, cap * sizeof *v);
		if (v == NULL) {
			give_up(t, HC_PROTOCOL, "too many headers in the answer");
			return false;
		}
		if (t->answer.n > 0)
			memcpy(v, t->answer.v, t->answer.n * sizeof *v);
		t->answer.v = v;
		t->answer.cap = cap;
	}
	name = str_trim(name);
	value = str_trim(value);
	char *p = arena_try(t->mem, name.n + value.n + 2);
	if (p == NULL) {
		give_up(t, HC_MEMORY, "no memory left for the answer");
		return false;
	}
	memcpy(p, name.p, name.n);
	p[name.n] = '\0';
	if (value.n > 0)
		memcpy(p + name.n + 1, value.p, value.n);
	p[name.n + 1 + value.n] = '\0';
	h.name = (struct str){ p, name.n };
	h.value = (struct str){ p + name.n + 1, value.n };
	t->answer.v[t->answer.n++] = h;
	return true;
}

static size_t
on_header(char *p, size_t size, size_t count, void *arg)
{
	struct hc_transfer *t = arg;
	const size_t n = size * count;
	const struct str line = { p, n };

	t->head_bytes += n;
	if (t->head_bytes > HEAD_LIMIT_BYTES) {
		give_up(t, HC_PROTOCOL, "the head of the answer is too long");
		return 0;
	}
	if (str_starts(line, STR("HTTP/"))) {
		status_line(t, line);
		return n;
	}
	return keep_header(t, line) ? n : 0;
}

/* Room for n more bytes and a NUL. */
static bool
grow(struct hc_transfer *t, size_t n)
{
	const size_t limit = body_limit(t);
	size_t cap = t->cap;
	curl_off_t length = -1;
	char *p;

	if (t->cap - t->n > n)
		return true;
	if (cap == 0) {
		curl_easy_getinfo(t->handle->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		cap = length > 0 && (uint64_t)length <= limit ? (size_t)length + 1 : BODY_FIRST_BYTES;
	}
	while (cap - t->n <= n)
		cap *= 2;
	if (cap > limit + 1)
		cap = limit + 1;
	if ((p = arena_try(t->mem, cap)) == NULL) {
		give_up(t, HC_MEMORY, "no memory left for the answer");
		return false;
	}
	if (t->n > 0)
		memcpy(p, t->body, t->n);
	t->body = p;
	t->cap = cap;
	return true;
}

static bool
to_memory(struct hc_transfer *t, const char *p, size_t n)
{
	const size_t room = body_limit(t) - t->n;

	if (n > room) {
		if (t->status / 100 == 2) {
			give_up(t, HC_TOO_LARGE, "the answer is too large");
			return false;
		}
		t->is_cut = true;
		n = room;
	}
	if (n == 0)
		return true;
	if (!grow(t, n))
		return false;
	memcpy(t->body + t->n, p, n);
	t->n += n;
	t->body[t->n] = '\0';
	return true;
}

static bool
to_sink(struct hc_transfer *t, const char *p, size_t n)
{
	if (t->rq->max_sink_bytes > 0 && (int64_t)n > t->rq->max_sink_bytes - t->sunk) {
		give_up(t, HC_TOO_LARGE, "the answer is too large");
		return false;
	}
	t->sunk += (int64_t)n;
	if (t->rq->sink(t->rq->sink_arg, p, n))
		return true;
	give_up(t, HC_GIVEN_UP, "the receiver of the answer gave up");
	return false;
}

static size_t
on_body(char *p, size_t size, size_t count, void *arg)
{
	struct hc_transfer *t = arg;
	const size_t n = size * count;
	const bool ok = t->rq->sink != NULL && t->status / 100 == 2 ? to_sink(t, p, n) : to_memory(t, p, n);

	return ok ? n : (n == 0 ? 1 : 0);
}

static size_t
on_send(char *p, size_t size, size_t count, void *arg)
{
	struct hc_transfer *t = arg;
	const struct hc_source *src = t->rq->source;
	size_t n = size * count;

	if (src == NULL) {
		const size_t left = t->rq->body.n - t->sent;
		n = n < left ? n : left;
		if (n > 0)
			memcpy(p, t->rq->body.p + t->sent, n);
		t->sent += n;
		return n;
	}
	const ssize_t got = src->read(src->arg, p, n);
	if (got >= 0)
		return (size_t)got;
	give_up(t, HC_GIVEN_UP, "the sender of the body gave up");
	return CURL_READFUNC_ABORT;
}

static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct hc_transfer *t = arg;
	const struct hc_source *src = t->rq->source;

	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	if (src == NULL && offset >= 0 && (uint64_t)offset <= t->rq->body.n) {
		t->sent = (size_t)offset;
		return CURL_SEEKFUNC_OK;
	}
	if (src != NULL && offset == 0 && src->rewind != NULL && src->rewind(src->arg))
		return CURL_SEEKFUNC_OK;
	return CURL_SEEKFUNC_CANTSEEK;
}

/* True when the guard lets the transfer connect there. A proxy is the operator's choice: it does its own
 * filtering. */
static bool
may_connect(struct hc_transfer *t, const struct addr *a)
{
	const char *why;

	if (t->rq->guard == NULL || t->is_proxied || (why = ssrf_refuses(t->rq->guard, t->host, a)) == NULL)
		return true;
	t->refused = why;
	addr_text(a, t->refused_addr);
	return false;
}

static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct hc_transfer *t = arg;
	struct addr a;

	(void)purpose;
	if (t->rq->guard != NULL && !t->is_proxied &&
	    (!addr_from_sockaddr(&to->addr, &a) || !may_connect(t, &a)))
		return CURL_SOCKET_BAD;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Before the request goes out, also on a connection that another transfer opened without the guard. */
static int
on_request(void *arg, char *primary_ip, char *local_ip, int primary_port, int local_port)
{
	struct hc_transfer *t = arg;
	struct addr a;

	(void)local_ip;
	(void)primary_port;
	(void)local_port;
	if (t->rq->guard == NULL || t->is_proxied)
		return CURL_PREREQFUNC_OK;
	return addr_parse(str_of(primary_ip), &a) && may_connect(t, &a) ? CURL_PREREQFUNC_OK
	                                                                : CURL_PREREQFUNC_ABORT;
}

bool
hc_set_callbacks(struct hc_transfer *t)
{
	CURL *e = t->handle->easy;
	CURLcode rc = curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);

	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_READFUNCTION, on_send);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_READDATA, t);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_request);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	return rc == CURLE_OK;
}
