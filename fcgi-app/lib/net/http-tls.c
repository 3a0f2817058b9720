/* Why a TLS connection of the HTTP client failed, in words that name the certificate. libcurl reports one
 * code for all causes, so a verify callback notes what OpenSSL found; it never changes the verdict. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/arena.h"
#include "net/http-handle.h"

static void
one_line(const X509_NAME *name, char *out, size_t cap)
{
	BIO *b = BIO_new(BIO_s_mem());
	const char *p = NULL;

	out[0] = '\0';
	if (b == NULL)
		return;
	if (X509_NAME_print_ex(b, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		const long n = BIO_get_mem_data(b, &p);
		snprintf(out, cap, "%.*s", (int)(n < 0 ? 0 : n), p);
	}
	BIO_free(b);
}

/* The DNS names and addresses of a certificate, as many as fit. */
static void
note_names(X509 *x, char *out, size_t cap)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(all) && n < cap; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		if (g->type != GEN_DNS)
			continue;
		const int rc =
		    snprintf(out + n, cap - n, "%s%.*s", n == 0 ? "" : ", ", ASN1_STRING_length(g->d.dNSName),
		             (const char *)ASN1_STRING_get0_data(g->d.dNSName));
		n += rc < 0 ? cap : (size_t)rc;
	}
	GENERAL_NAMES_free(all);
}

static struct hc_peer *
peer_of(X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct hc_handle *handle = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	return &handle->peer;
}

static int
on_verify(int ok, X509_STORE_CTX *store)
{
	struct hc_peer *peer = peer_of(store);
	X509 *x = X509_STORE_CTX_get_current_cert(store);
	const int depth = X509_STORE_CTX_get_error_depth(store);

	if (x == NULL || (ok && depth != 0) || peer->verify != X509_V_OK)
		return ok;
	if (!ok) {
		peer->verify = X509_STORE_CTX_get_error(store);
		peer->depth = depth;
	}
	const STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
	peer->has_chain = sk_X509_num(sent) > 1;
	one_line(X509_get_subject_name(x), peer->subject, sizeof peer->subject);
	one_line(X509_get_issuer_name(x), peer->issuer, sizeof peer->issuer);
	if (depth == 0)
		note_names(x, peer->names, sizeof peer->names);
	return ok;
}

static void
on_info(const SSL *ssl, int where, int value)
{
	struct hc_handle *handle = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
		handle->peer.alert = value & 0xff;
}

CURLcode
hc_watch_tls(CURL *easy, void *ssl_ctx, void *handle)
{
	SSL_CTX *ctx = ssl_ctx;

	(void)easy;
	SSL_CTX_set_app_data(ctx, handle);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_info_callback(ctx, on_info);
	SSL_CTX_set_verify(ctx, SSL_CTX_get_verify_mode(ctx), on_verify);
	return CURLE_OK;
}

static const char *
no_issuer(const struct hc_peer *p, struct arena *mem)
{
	if (p->depth == 0 && !p->has_chain)
		return str_fmt(
		    mem,
		    "certificate %s: its issuer %s is not trusted here, and the server sends no intermediate "
		    "certificate",
		    p->subject, p->issuer);
	return str_fmt(mem, "certificate %s: its issuer %s is not trusted here", p->subject, p->issuer);
}

enum hc_error
hc_tls_error(const struct hc_transfer *t, struct arena *mem, const char **reason)
{
	const struct hc_peer *p = &t->handle->peer;

	switch (p->verify) {
	case X509_V_OK:
		if (t->rc != CURLE_PEER_FAILED_VERIFICATION)
			break;
		*reason = str_fmt(mem, "certificate %s is not for this host (it is for %s)", p->subject,
		                  p->names[0] == '\0' ? "no DNS name" : p->names);
		return HC_TLS_WRONG_HOST;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		*reason = str_fmt(mem, "certificate %s has expired", p->subject);
		return HC_TLS_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		*reason = str_fmt(mem, "certificate %s is not valid yet", p->subject);
		return HC_TLS_EXPIRED;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		*reason = str_fmt(mem, "certificate %s is self-signed", p->subject);
		return HC_TLS_SELF_SIGNED;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		*reason = str_fmt(mem, "the root certificate %s is not trusted here", p->subject);
		return HC_TLS_NO_ISSUER;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		*reason = no_issuer(p, mem);
		return HC_TLS_NO_ISSUER;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		*reason = str_fmt(mem, "certificate %s is not for this host", p->subject);
		return HC_TLS_WRONG_HOST;
	default:
		*reason =
		    str_fmt(mem, "certificate %s: %s", p->subject, X509_verify_cert_error_string(p->verify));
		return HC_TLS_OTHER;
	}
	if (p->alert != 0)
		*reason = str_fmt(mem, "the server refused the connection: %s",
		                  SSL_alert_desc_string_long(p->alert));
	else
		*reason = str_dup_c(mem, t->handle->error[0] != '\0' ? t->handle->error
		                                                     : curl_easy_strerror(t->rc));
	return HC_TLS_OTHER;
}
