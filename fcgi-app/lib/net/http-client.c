/* The HTTP client: the life of a transfer, redirects, and failures in words. Redirects are followed here and
 * not by libcurl, so that every hop passes the guard, the proxy decision and the rule which headers may go
 * along. */
#include "net/http-client.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "net/http-handle.h"
#include "net/ssrf.h"

#define TOTAL_TIMEOUT_MS 30000
#define URL_LIMIT_BYTES  16384

/* The parts of a URL that decide where a request goes. */
struct origin {
	struct str scheme, host, port;
};

static void
free_url(void *p)
{
	curl_url_cleanup(p);
}

static bool
part_of(struct arena *mem, CURLU *u, CURLUPart part, struct str *out)
{
	char *v = NULL;

	if (curl_url_get(u, part, &v, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) != CURLUE_OK ||
	    v == NULL)
		return false;
	arena_defer(mem, curl_free, v);
	*out = str_of(str_dup_c(mem, v));
	arena_undefer(mem, curl_free, v);
	curl_free(v);
	return true;
}

static bool
origin_of(struct arena *mem, const char *url, struct origin *out)
{
	CURLU *u = curl_url();

	if (u == NULL)
		return false;
	arena_defer(mem, free_url, u);
	const bool ok =
	    strlen(url) <= URL_LIMIT_BYTES && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    part_of(mem, u, CURLUPART_SCHEME, &out->scheme) && part_of(mem, u, CURLUPART_HOST, &out->host) &&
	    part_of(mem, u, CURLUPART_PORT, &out->port);
	arena_undefer(mem, free_url, u);
	curl_url_cleanup(u);
	if (!ok || (!str_eq(out->scheme, STR("http")) && !str_eq(out->scheme, STR("https"))))
		return false;
	if (out->host.n > 2 && out->host.p[0] == '[')
		out->host = str_sub(out->host, 1, out->host.n - 1);
	return true;
}

static bool
same_origin(const struct origin *a, const struct origin *b)
{
	return str_eq(a->scheme, b->scheme) && str_eq_nocase(a->host, b->host) && str_eq(a->port, b->port);
}

static enum err_kind
kind_of(enum hc_error e)
{
	switch (e) {
	case HC_OK:
		return ERR_NONE;
	case HC_BAD_URL:
	case HC_REFUSED:
		return ERR_BAD_INPUT;
	case HC_MEMORY:
		return ERR_BUSY;
	case HC_GIVEN_UP:
		return ERR_CLIENT_GONE;
	default:
		return ERR_UPSTREAM;
	}
}

static void
stop(struct hc_transfer *t, enum hc_error error, const char *reason)
{
	t->is_done = true;
	t->error = error;
	t->reason = reason;
}

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == ':' || s.p[i] == 0x7f || (unsigned char)s.p[i] > 0x7f)
			return false;
	return s.n > 0;
}

static bool
is_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
			return false;
	return true;
}

static bool
may_travel(const struct hc_transfer *t, const struct hc_header *h)
{
	return !t->is_cross ||
	       !(h->is_secret || str_eq_nocase(h->name, STR("Authorization")) ||
	         str_eq_nocase(h->name, STR("Cookie")) ||
	         str_eq_nocase(h->name, STR("Proxy-Authorization")) || str_eq_nocase(h->name, STR("Host")));
}

static void
push_header(struct hc_transfer *t, char *line)
{
	struct curl_slist *s = ARENA_NEW(t->mem, struct curl_slist);

	s->data = line;
	s->next = t->headers;
	t->headers = s;
}

/* The list for libcurl, in the arena. */
static bool
build_headers(struct hc_transfer *t)
{
	t->headers = NULL;
	push_header(t, str_dup_c(t->mem, "Expect:")); /* a wait that few servers honour */
	for (size_t i = t->rq->n_headers; i-- > 0;) {
		const struct hc_header *h = &t->rq->headers[i];
		if (!is_token(h->name) || !is_value(h->value))
			return false;
		if (!may_travel(t, h))
			continue;
		if (!t->sends_body &&
		    (str_eq_nocase(h->name, STR("Content-Type")) ||
		     str_eq_nocase(h->name, STR("Content-Length"))) &&
		    t->redirects > 0)
			continue;
		push_header(t, h->value.n > 0 ? str_fmt(t->mem, "%.*s: %.*s", STRF(h->name), STRF(h->value))
		                              : str_fmt(t->mem, "%.*s;", STRF(h->name)));
	}
	return true;
}

static void
release(void *arg)
{
	struct hc_transfer *t = arg;

	if (t->handle == NULL)
		return;
	curl_multi_remove_handle(t->h->multi, t->handle->easy);
	hc_handle_give(t->h, t->handle);
	t->h->n_running--;
	t->handle = NULL;
}

/* Checks the present URL and hands it to libcurl. */
static void
launch(struct hc_transfer *t)
{
	struct origin o;
	const char *why;

	if (!origin_of(t->mem, t->url, &o))
		return stop(t, HC_BAD_URL, "not a valid http or https URL");
	t->host = o.host;
	if (t->rq->https_only && !str_eq(o.scheme, STR("https")))
		return stop(t, HC_BAD_URL, "only https is allowed");
	if (t->rq->guard != NULL && (why = ssrf_refuses_name(t->rq->guard, o.host)) != NULL)
		return stop(t, HC_REFUSED, why);
	if (!build_headers(t))
		return stop(t, HC_BAD_URL, "a header has a forbidden character");
	if (!hc_handle_prepare(t) || curl_multi_add_handle(t->h->multi, t->handle->easy) != CURLM_OK)
		stop(t, HC_MEMORY, "libcurl refused the request");
}

enum err_kind
hc_start(struct ctx *c, struct hc_client *h, const struct hc_request *rq, struct hc_transfer **out)
{
	struct hc_transfer *t = ARENA_NEW(c->mem, struct hc_transfer);
	const int total = rq->total_timeout_ms == 0 ? TOTAL_TIMEOUT_MS : rq->total_timeout_ms;

	if (c->tx != NULL)
		return err_set(c, ERR_BUG, "HTTP request inside a database transaction");
	t->h = h;
	t->mem = c->mem;
	t->rq = rq;
	t->url = rq->url;
	t->method = rq->method == NULL ? "GET" : rq->method;
	if (!is_token(str_of(t->method)))
		return err_set(c, ERR_BUG, "not an HTTP method");
	t->sends_body = rq->source != NULL || rq->body.p != NULL || strcmp(t->method, "PUT") == 0 ||
	                strcmp(t->method, "POST") == 0 || strcmp(t->method, "PATCH") == 0;
	t->deadline_us = total > 0 ? clock_mono_us() + total * INT64_C(1000) : 0;
	if ((t->handle = hc_handle_take(h)) == NULL)
		return err_set(c, ERR_BUSY, "more than %d HTTP requests at once in one thread", HC_HANDLES);
	h->n_running++;
	arena_defer(c->mem, release, t);
	launch(t);
	*out = t;
	return ERR_NONE;
}

static bool
is_redirect(const struct hc_transfer *t)
{
	return t->status == 301 || t->status == 302 || t->status == 303 || t->status == 307 ||
	       t->status == 308;
}

/* RFC 9110 §15.4: 303 always becomes GET, 301 and 302 of a POST do by custom, 307 and 308 keep the method and
 * the body. */
static bool
next_method(struct hc_transfer *t)
{
	const bool is_post = strcmp(t->method, "POST") == 0;

	if ((t->status == 303 && strcmp(t->method, "HEAD") != 0) ||
	    ((t->status == 301 || t->status == 302) && is_post)) {
		t->method = "GET";
		t->sends_body = false;
	}
	if (!t->sends_body || t->rq->source == NULL)
		return true;
	return t->rq->source->rewind != NULL && t->rq->source->rewind(t->rq->source->arg);
}

static void
follow(struct hc_transfer *t)
{
	char *to = NULL;
	struct origin from, o;

	curl_easy_getinfo(t->handle->easy, CURLINFO_REDIRECT_URL, &to);
	if (to == NULL) {
		t->is_done = true; /* no Location: the 3xx is the answer */
		return;
	}
	if (t->redirects >= t->rq->max_redirects)
		return stop(t, HC_REDIRECTS, "too many redirects");
	const char *url = str_dup_c(t->mem, to);
	if (!origin_of(t->mem, t->url, &from) || !origin_of(t->mem, url, &o))
		return stop(t, HC_REDIRECTS, "a redirect to something else than an http or https URL");
	if (str_eq(from.scheme, STR("https")) && !str_eq(o.scheme, STR("https")))
		return stop(t, HC_REDIRECTS, "a redirect from https to http");
	if (!next_method(t))
		return stop(t, HC_REDIRECTS, "a redirect that needs the body a second time");
	t->is_cross = t->is_cross || !same_origin(&from, &o);
	t->redirects++;
	t->url = url;
	t->status = 0;
	t->answer.n = t->head_bytes = t->n = t->sent = 0;
	t->is_cut = false;
	t->refused = NULL;
	launch(t);
}

static void
settle(struct hc_transfer *t, CURLcode rc)
{
	t->rc = rc;
	curl_multi_remove_handle(t->h->multi, t->handle->easy);
	if (rc == CURLE_OK && t->rq->max_redirects > 0 && is_redirect(t))
		return follow(t);
	t->is_done = true;
}

enum err_kind
hc_step(struct ctx *c, struct hc_client *h, int wait_ms)
{
	int running = 0, left = 0;
	const CURLMsg *m;

	if (curl_multi_perform(h->multi, &running) != CURLM_OK)
		return err_set(c, ERR_BUG, "libcurl: curl_multi_perform failed");
	bool moved = false;
	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct hc_transfer *t = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		const CURLcode rc = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		settle(t, rc);
		moved = true;
	}
	if (!moved && running > 0 && curl_multi_poll(h->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
		return err_set(c, ERR_BUG, "libcurl: curl_multi_poll failed");
	return ERR_NONE;
}

bool
hc_is_done(const struct hc_transfer *t)
{
	return t->is_done;
}

/* libcurl's code as one of ours, with a reason. */
static enum hc_error
classify(const struct hc_transfer *t, const char **reason)
{
	*reason =
	    t->handle->error[0] != '\0' ? str_dup_c(t->mem, t->handle->error) : curl_easy_strerror(t->rc);
	if (t->refused != NULL && (t->rc == CURLE_COULDNT_CONNECT || t->rc == CURLE_ABORTED_BY_CALLBACK)) {
		*reason = str_fmt(t->mem, "address %s: %s", t->refused_addr, t->refused);
		return HC_REFUSED;
	}
	switch (t->rc) {
	case CURLE_URL_MALFORMAT:
		return HC_BAD_URL;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HC_DNS;
	case CURLE_COULDNT_CONNECT:
		return HC_CONNECT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		return hc_tls_error(t, t->mem, reason);
	case CURLE_OPERATION_TIMEDOUT:
		return HC_TIMEOUT;
	case CURLE_OUT_OF_MEMORY:
		return HC_MEMORY;
	case CURLE_SEND_FAIL_REWIND:
		return HC_GIVEN_UP;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		if (t->handle->peer.alert !=
		    0) /* TLS 1.3: a client certificate is refused after the handshake */
			return hc_tls_error(t, t->mem, reason);
		return HC_PROTOCOL;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_UNSUPPORTED_PROTOCOL: /* of the answer: HTTP/0.9; the URL's was checked before */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return HC_PROTOCOL;
	default:
		return HC_OTHER;
	}
}

static int64_t
info_us(CURL *e, CURLINFO what)
{
	curl_off_t v = 0;

	curl_easy_getinfo(e, what, &v);
	return v;
}

static void
fill(const struct hc_transfer *t, struct hc_result *r)
{
	CURL *e = t->handle->easy;

	*r = (struct hc_result){
		.status = t->status,
		.headers = t->answer.v,
		.n_headers = t->answer.n,
		.body = {t->n > 0 ? t->body : "", t->n},
		.is_cut = t->is_cut,
		.url = t->url,
		.redirects = t->redirects,
		.received_bytes = info_us(e, CURLINFO_SIZE_DOWNLOAD_T),
		.sent_bytes = info_us(e, CURLINFO_SIZE_UPLOAD_T),
		.dns_us = info_us(e, CURLINFO_NAMELOOKUP_TIME_T),
		.connect_us = info_us(e, CURLINFO_CONNECT_TIME_T),
		.tls_us = info_us(e, CURLINFO_APPCONNECT_TIME_T),
		.first_byte_us = info_us(e, CURLINFO_STARTTRANSFER_TIME_T),
		.total_us = info_us(e, CURLINFO_TOTAL_TIME_T),
		.error = t->error,
		.reason = t->reason
	};
}

enum err_kind
hc_finish(struct ctx *c, struct hc_transfer *t, struct hc_result *out)
{
	struct hc_result r;
	struct origin o = { .scheme = STR("?"), .host = STR("?"), .port = STR("?") };

	if (!t->is_done)
		return err_set(c, ERR_BUG, "an HTTP request was finished before it was done");
	if (t->error == HC_OK && t->rc != CURLE_OK)
		t->error = classify(t, &t->reason);
	fill(t, &r);
	arena_undefer(c->mem, release, t);
	release(t);
	*out = r;
	if (r.error == HC_OK)
		return ERR_NONE;
	if (!origin_of(c->mem, t->url, &o))
		return err_set(c, kind_of(r.error), "%s", r.reason);
	return err_set(c, kind_of(r.error), "%.*s://%.*s:%.*s: %s", STRF(o.scheme),
	               (int)(o.host.n < 200 ? o.host.n : 200), o.host.p, STRF(o.port), r.reason);
}

enum err_kind
hc_perform(struct ctx *c, struct hc_client *h, const struct hc_request *rq, struct hc_result *out)
{
	struct hc_transfer *t;

	*out = (struct hc_result){ .error = HC_OTHER, .reason = "not sent" };
	TRY(hc_start(c, h, rq, &t));
	while (!hc_is_done(t))
		TRY(hc_step(c, h, 1000));
	return hc_finish(c, t, out);
}

struct str
hc_header_of(const struct hc_result *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (str_eq_nocase(r->headers[i].name, str_of(name)))
			return r->headers[i].value;
	return STR0;
}
