/* The HTTP client's handles: process-wide caches, the handles of a thread, and every option that is set on
 * one. */
#include "net/http-handle.h"

#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "net/address.h"

#define CONNECT_TIMEOUT_MS 5000
#define LOW_SPEED_S        30
#define BUFFER_BYTES       262144

static void
share_lock(CURL *easy, curl_lock_data data, curl_lock_access access, void *arg)
{
	struct hc_shared *s = arg;

	(void)easy;
	(void)access;
	pthread_mutex_lock(&s->locks[data]);
}

static void
share_unlock(CURL *easy, curl_lock_data data, void *arg)
{
	struct hc_shared *s = arg;

	(void)easy;
	pthread_mutex_unlock(&s->locks[data]);
}

enum err_kind
hc_shared_new(struct ctx *c, const struct hc_conf *conf, struct hc_shared **out)
{
	struct hc_shared *s = calloc(1, sizeof *s);

	if (s == NULL)
		return err_set(c, ERR_BUSY, "out of memory");
	s->conf = *conf;
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_init(&s->locks[i], NULL);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(s);
		return err_set(c, ERR_BUG, "libcurl cannot start");
	}
	s->share = curl_share_init();
	s->ex_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (s->share == NULL || s->ex_index < 0 ||
	    curl_share_setopt(s->share, CURLSHOPT_LOCKFUNC, share_lock) != CURLSHE_OK ||
	    curl_share_setopt(s->share, CURLSHOPT_UNLOCKFUNC, share_unlock) != CURLSHE_OK ||
	    curl_share_setopt(s->share, CURLSHOPT_USERDATA, s) != CURLSHE_OK ||
	    curl_share_setopt(s->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK ||
	    curl_share_setopt(s->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK) {
		hc_shared_free(s);
		return err_set(c, ERR_BUG, "libcurl cannot share its caches");
	}
	*out = s;
	return ERR_NONE;
}

void
hc_shared_free(struct hc_shared *s)
{
	if (s == NULL)
		return;
	curl_share_cleanup(s->share);
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_destroy(&s->locks[i]);
	curl_global_cleanup();
	free(s);
}

struct hc_client *
hc_client_new(struct hc_shared *s)
{
	struct hc_client *h = calloc(1, sizeof *h);

	if (h == NULL || (h->multi = curl_multi_init()) == NULL) {
		free(h);
		return NULL;
	}
	h->shared = s;
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 16L);
	return h;
}

void
hc_client_free(struct hc_client *h)
{
	if (h == NULL)
		return;
	for (int i = 0; i < h->n_spare; i++)
		curl_easy_cleanup(h->spare[i]->easy);
	curl_multi_cleanup(h->multi); /* closes the connections, which may still point to handles */
	for (int i = 0; i < h->n_spare; i++)
		free(h->spare[i]);
	free(h);
}

struct hc_handle *
hc_handle_take(struct hc_client *h)
{
	struct hc_handle *handle;

	if (h->n_spare > 0)
		return h->spare[--h->n_spare];
	if (h->n_running >= HC_HANDLES || (handle = calloc(1, sizeof *handle)) == NULL)
		return NULL;
	handle->shared = h->shared;
	if ((handle->easy = curl_easy_init()) == NULL) {
		free(handle);
		return NULL;
	}
	return handle;
}

void
hc_handle_give(struct hc_client *h, struct hc_handle *handle)
{
	curl_easy_reset(handle->easy);
	h->spare[h->n_spare++] = handle; /* there are never more than HC_HANDLES */
}

static bool
no_proxy_matches(const struct str_list *list, struct str host)
{
	struct addr a;
	struct addr_block block;
	const bool literal = addr_parse(host, &a);

	for (size_t i = 0; list != NULL && i < list->n; i++) {
		struct str e = str_trim(str_of(list->v[i]));
		if (str_eq(e, STR("*")))
			return true;
		if (addr_block_parse(e, &block)) {
			if (literal && addr_block_has(&block, &a))
				return true;
			continue;
		}
		if (str_starts(e, STR("*.")))
			e = str_sub(e, 1, e.n);
		if (str_starts(e, STR(".")))
			e = str_sub(e, 1, e.n);
		if (e.n == 0 || literal || host.n < e.n ||
		    !str_eq_nocase(str_sub(host, host.n - e.n, host.n), e))
			continue;
		if (host.n == e.n || host.p[host.n - e.n - 1] == '.')
			return true;
	}
	return false;
}

static bool
set_tls(const struct hc_transfer *t)
{
	CURL *e = t->handle->easy;
	const struct hc_request *rq = t->rq;
	const struct hc_conf *k = &t->h->shared->conf;
	const char *ca = rq->ca_file != NULL ? rq->ca_file : k->ca_file;
	const char *proxy_ca = k->proxy_ca_file != NULL ? k->proxy_ca_file : k->ca_file;
	CURLcode rc = CURLE_OK;

	/* A CA path beside the file would be trusted too and switch the cache of the parsed bundle off. */
	if (ca != NULL) {
		rc = curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
		rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_CAINFO, ca);
	}
	if (proxy_ca != NULL) {
		rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROXY_CAPATH, NULL);
		rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROXY_CAINFO, proxy_ca);
	}
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, rq->no_verify ? 0L : 1L);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, rq->no_verify ? 0L : 2L);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, hc_watch_tls);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, t->handle);
	if (rq->client_cert != NULL && !t->is_cross) {
		rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSLCERT, rq->client_cert);
		rc = rc != CURLE_OK
		         ? rc
		         : curl_easy_setopt(e, CURLOPT_SSLKEY,
		                            rq->client_key != NULL ? rq->client_key : rq->client_cert);
	}
	return rc == CURLE_OK;
}

static bool
set_limits(const struct hc_transfer *t)
{
	CURL *e = t->handle->easy;
	const struct hc_request *rq = t->rq;
	const long connect_ms = rq->connect_timeout_ms > 0 ? rq->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	const long slow_s = rq->low_speed_s > 0 ? rq->low_speed_s : LOW_SPEED_S;
	const long slow = rq->low_speed_bytes_s > 0 ? rq->low_speed_bytes_s : 1;
	CURLcode rc = curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);

	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, slow_s);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, slow);
	if (t->deadline_us != 0) {
		const int64_t left = (t->deadline_us - clock_mono_us()) / 1000;
		rc =
		    rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, left > 0 ? (long)left : 1L);
	}
	/* Refused, harmlessly, while the handle still holds the buffer of a transfer that failed early. */
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	/* A look-up that hangs is left behind instead of waited for. */
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	return rc == CURLE_OK;
}

/* Method and body. */
static bool
set_method(const struct hc_transfer *t)
{
	CURL *e = t->handle->easy;
	const bool is_head = strcmp(t->method, "HEAD") == 0;
	CURLcode rc = CURLE_OK;
	const int64_t size = t->rq->source != NULL ? t->rq->source->size_bytes : (int64_t)t->rq->body.n;

	if (is_head)
		rc = curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	else if (t->sends_body) {
		rc = curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		if (size >= 0)
			rc = rc != CURLE_OK ? rc
			                    : curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	} else {
		rc = curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	}
	if (!is_head)
		rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, t->method);
	return rc == CURLE_OK;
}

bool
hc_handle_prepare(struct hc_transfer *t)
{
	struct hc_handle *handle = t->handle;
	CURL *e = handle->easy;
	const struct hc_conf *k = &t->h->shared->conf;
	const char *protocols = t->rq->https_only ? "https" : "http,https";

	t->is_proxied = k->proxy != NULL && !no_proxy_matches(k->no_proxy, t->host);
	handle->error[0] = '\0';
	handle->peer = (struct hc_peer){ 0 };
	curl_easy_reset(e);
	CURLcode rc = curl_easy_setopt(e, CURLOPT_URL, t->url);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_ERRORBUFFER, handle->error);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SHARE, t->h->shared->share);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, protocols);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* "" and not NULL: NULL would let the environment decide. */
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROXY, t->is_proxied ? k->proxy : "");
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_NOPROXY, "");
	rc = rc != CURLE_OK
	         ? rc
	         : curl_easy_setopt(e, CURLOPT_USERAGENT, k->user_agent != NULL ? k->user_agent : "Kade");
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
	return rc == CURLE_OK && set_method(t) && set_limits(t) && set_tls(t) && hc_set_callbacks(t);
}
