/* Inside the HTTP client: what its files share. */
#ifndef KADE_NET_HTTP_HANDLE_H
#define KADE_NET_HTTP_HANDLE_H
#include <curl/curl.h>
#include <openssl/types.h>
#include <pthread.h>

#include "base/vec.h"
#include "net/http-client.h"

#define HC_HANDLES 16 /* kept per thread between requests */

struct hc_shared {
	struct hc_conf conf;
	CURLSH *share;
	pthread_mutex_t locks[CURL_LOCK_DATA_LAST];
	int ex_index; /* of the SSL_CTX slot that points to the handle */
};
/* What the TLS layer saw. Lives as long as its handle: a connection may outlast the transfer that opened it.
 */
struct hc_peer {
	long verify;       /* X509_V_*, the first failure */
	int depth;         /* where */
	int alert;         /* TLS alert that the server sent last, 0 = none */
	bool has_chain;    /* the server sent more than its own certificate */
	char subject[200]; /* of the certificate that failed, else of the server's */
	char issuer[200];
	char names[200]; /* what the server's certificate is for */
};
struct hc_handle {
	CURL *easy;
	struct hc_shared *shared;
	struct hc_peer peer;
	char error[CURL_ERROR_SIZE];
};
struct hc_client {
	struct hc_shared *shared;
	CURLM *multi;
	struct hc_handle *spare[HC_HANDLES];
	int n_spare, n_running;
};
struct hc_transfer {
	struct hc_client *h;
	struct hc_handle *handle; /* NULL when given back */
	struct arena *mem;
	const struct hc_request *rq;
	const char *url, *method;
	struct str host; /* of url */
	struct curl_slist *headers;
	bool sends_body, is_proxied, is_cross; /* is_cross: some redirect left the first origin */
	bool is_done;
	int redirects;
	int64_t deadline_us; /* 0: none */
	size_t sent;         /* of rq->body */
	CURLcode rc;
	enum hc_error error; /* found by a callback or between the hops */
	const char *reason;
	/* the answer */
	int status;
	VEC(struct hc_header) answer;
	size_t head_bytes;
	char *body;
	size_t n, cap;
	int64_t sunk;
	bool is_cut;
	const char *refused; /* by the guard, the last address tried */
	char refused_addr[46];
};

/* http-handle.c */
struct hc_handle *hc_handle_take(struct hc_client *h);
void hc_handle_give(struct hc_client *h, struct hc_handle *handle);
/* Sets every option for the transfer's present URL. False: out of memory or an option was refused. */
bool hc_handle_prepare(struct hc_transfer *t);
/* http-callbacks.c */
bool hc_set_callbacks(struct hc_transfer *t);
/* http-tls.c */
CURLcode hc_watch_tls(CURL *easy, void *ssl_ctx, void *handle);
/* The failure that curl reported as a TLS one, with a reason for people in mem. */
enum hc_error hc_tls_error(const struct hc_transfer *t, struct arena *mem, const char **reason);
#endif
