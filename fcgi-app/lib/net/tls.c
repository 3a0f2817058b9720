/* TLS for our own client connections. */
#include "net/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/ctx.h"
#include "net/address.h"

struct tls_client {
	SSL_CTX *ctx;
	BIO_METHOD *method;
	bool verifies, any_host;
};

/* The descriptor travels in the BIO's data pointer: nothing to allocate or free. */
static int
bio_fd(BIO *b)
{
	return (int)(intptr_t)BIO_get_data(b);
}

static int
bio_write(BIO *b, const char *p, int n)
{
	const ssize_t rc = send(bio_fd(b), p, (size_t)n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	if (rc < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(b);
	return (int)rc;
}

static int
bio_read(BIO *b, char *p, int n)
{
	const ssize_t rc = recv(bio_fd(b), p, (size_t)n, 0);

	BIO_clear_retry_flags(b);
	if (rc < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	return (int)rc;
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *p)
{
	(void)b;
	(void)num;
	(void)p;
	return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP ? 1 : 0;
}

static int
bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static int
key_password(char *out, int cap, int rwflag, void *arg)
{
	const char *pw = arg;

	(void)rwflag;
	if (pw == NULL || strlen(pw) >= (size_t)cap)
		return -1; /* and never a prompt on the terminal */
	memcpy(out, pw, strlen(pw) + 1);
	return (int)strlen(pw);
}

static enum err_kind
bad(struct ctx *c, const char *what, const char *name)
{
	const unsigned long e = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(e);

	ERR_clear_error();
	return err_set(c, ERR_BAD_INPUT, "TLS: %s %.300s: %s", what, name,
	               reason != NULL        ? reason
	               : ERR_SYSTEM_ERROR(e) ? strerrordesc_np(ERR_GET_REASON(e))
	                                     : "refused");
}

static enum err_kind
set_options(struct ctx *c, SSL_CTX *ctx, const struct tls_conf *conf)
{
	ERR_clear_error();
	SSL_CTX_set_options(ctx,
	                    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                          SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_set_min_proto_version(ctx, conf->min_version == 0 ? TLS1_2_VERSION : conf->min_version) !=
	    1)
		return bad(c, "minimum version", "");
	if (conf->ciphers != NULL && SSL_CTX_set_cipher_list(ctx, conf->ciphers) != 1)
		return bad(c, "ciphers", conf->ciphers);
	SSL_CTX_set_verify(ctx, conf->verify == TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (conf->ca_file != NULL && SSL_CTX_load_verify_file(ctx, conf->ca_file) != 1)
		return bad(c, "CA file", conf->ca_file);
	if (conf->ca_path != NULL && SSL_CTX_load_verify_dir(ctx, conf->ca_path) != 1)
		return bad(c, "CA folder", conf->ca_path);
	if (conf->ca_file == NULL && conf->ca_path == NULL)
		SSL_CTX_set_default_verify_paths(ctx);
	if (conf->cert_file == NULL)
		return ERR_NONE;
	const char *key = conf->key_file != NULL ? conf->key_file : conf->cert_file;
	SSL_CTX_set_default_passwd_cb(ctx, key_password);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, (void *)(uintptr_t)conf->key_password);
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->cert_file) != 1)
		return bad(c, "client certificate", conf->cert_file);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return bad(c, "client key", key);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL); /* the options are only borrowed */
	return ERR_NONE;
}

enum err_kind
tls_client_new(struct ctx *c, const struct tls_conf *conf, struct tls_client **out)
{
	struct tls_client *t = calloc(1, sizeof *t);

	if (t == NULL)
		return err_set(c, ERR_BUSY, "out of memory");
	t->ctx = SSL_CTX_new(TLS_client_method());
	t->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "kade socket");
	t->verifies = conf->verify != TLS_VERIFY_NONE;
	t->any_host = conf->any_host;
	if (t->ctx == NULL || t->method == NULL || BIO_meth_set_write(t->method, bio_write) != 1 ||
	    BIO_meth_set_read(t->method, bio_read) != 1 || BIO_meth_set_ctrl(t->method, bio_ctrl) != 1 ||
	    BIO_meth_set_create(t->method, bio_create) != 1) {
		tls_client_free(t);
		return err_set(c, ERR_BUSY, "TLS: out of memory");
	}
	const enum err_kind k = set_options(c, t->ctx, conf);
	if (k != ERR_NONE) {
		tls_client_free(t);
		return k;
	}
	*out = t;
	return ERR_NONE;
}

void
tls_client_free(struct tls_client *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->method);
	free(t);
}

static bool
expect_host(SSL *s, const struct tls_client *t, const char *host)
{
	struct addr a;
	const bool literal = addr_parse(str_of(host), &a);

	/* SSL_set_tlsext_host_name(), whose macro casts const away */
	if (!literal && SSL_ctrl(s, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
	                         (void *)(uintptr_t)host) != 1)
		return false;
	if (!t->verifies || t->any_host)
		return true;
	if (literal)
		return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(s), a.b, a.is_v6 ? 16 : 4) == 1;
	SSL_set_hostflags(s, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(s, host) == 1;
}

SSL *
tls_session(const struct tls_client *t, int fd, const char *host)
{
	SSL *s = SSL_new(t->ctx);
	BIO *b = s == NULL ? NULL : BIO_new(t->method);

	if (b == NULL || !expect_host(s, t, host)) {
		BIO_free(b);
		SSL_free(s);
		return NULL;
	}
	BIO_set_data(b, (void *)(intptr_t)fd);
	SSL_set_bio(s, b, b);
	SSL_set_connect_state(s);
	return s;
}

void
tls_reason(SSL *s, char *out, size_t cap)
{
	const long verify = SSL_get_verify_result(s);
	const unsigned long e = ERR_peek_error();
	const char *reason = ERR_reason_error_string(e);
	char name[200] = "";
	const X509 *peer = SSL_get0_peer_certificate(s);

	if (peer != NULL)
		X509_NAME_oneline(X509_get_subject_name(peer), name, sizeof name);
	if (verify != X509_V_OK && (SSL_get_verify_mode(s) & SSL_VERIFY_PEER) != 0)
		snprintf(out, cap, "%s%s%s", X509_verify_cert_error_string(verify),
		         name[0] == '\0' ? "" : ", certificate ", name);
	else if (reason != NULL)
		snprintf(out, cap, "%s", reason);
	else
		snprintf(out, cap, "the server closed the connection");
	ERR_clear_error();
}
