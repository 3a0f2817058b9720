/* Mail over libcurl: RFC 5321 and MIME are its work; headers are ours. */
#include "net/smtp.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/digest.h"

#define CONNECT_TIMEOUT_MS 20000
#define TOTAL_TIMEOUT_MS   60000
#define ADDRESS_MAX        254
#define WORD_BYTES         42 /* of text in one encoded word: its line stays below 76 */
#define SUBJECT_MAX        500

struct smtp {
	struct smtp_conf conf;
	CURL *easy;
	char url[320], from[ADDRESS_MAX + 3], domain[ADDRESS_MAX + 1];
	char from_name[200];
	char error[CURL_ERROR_SIZE];
};

static bool
is_atext(unsigned char ch)
{
	return ch >= 0x80 || (ch > ' ' && ch < 0x7f && strchr("\"(),:;<>@[\\]", ch) == NULL);
}

/* "john.smith" or "\"john smith\"" without a backslash. */
static bool
local_ok(struct str s)
{
	if (s.n >= 3 && s.p[0] == '"' && s.p[s.n - 1] == '"') {
		for (size_t i = 1; i + 1 < s.n; i++)
			if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == 0x7f)
				return false;
		return true;
	}
	for (size_t i = 0; i < s.n; i++)
		if (!is_atext((unsigned char)s.p[i]) ||
		    (s.p[i] == '.' && (i == 0 || i + 1 == s.n || s.p[i + 1] == '.')))
			return false;
	return s.n > 0;
}

static bool
domain_ok(struct str s)
{
	int labels = 1;

	for (size_t i = 0; i < s.n; i++) {
		const unsigned char ch = (unsigned char)s.p[i];
		if (ch == '.' && (i == 0 || i + 1 == s.n || s.p[i + 1] == '.'))
			return false;
		labels += ch == '.';
		if (ch < 0x80 && ch != '.' && ch != '-' && !(ch >= '0' && ch <= '9') &&
		    !((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z'))
			return false;
	}
	return s.n > 0 && labels >= 2 && s.p[0] != '-';
}

bool
smtp_address_ok(struct str s)
{
	struct str local, domain;

	return s.n <= ADDRESS_MAX && str_is_utf8(s) && str_rcut(s, '@', &local, &domain) && local_ok(local) &&
	       domain_ok(domain);
}

static bool
is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return strstr(s.p, "=?") == NULL;
}

void
smtp_put_words(struct buf *b, struct str s)
{
	struct buf clean = BUF(b->mem);
	const char *sep = "";

	buf_put_header(&clean, s);
	buf_cstr(&clean);
	if (clean.n == 0 || is_plain(buf_str(&clean))) {
		buf_put(b, buf_str(&clean));
		return;
	}
	for (size_t at = 0; at < clean.n;) {
		size_t n = clean.n - at < WORD_BYTES ? clean.n - at : WORD_BYTES;
		while (at + n < clean.n && n > 1 && ((unsigned char)clean.p[at + n] & 0xc0) == 0x80)
			n--;
		buf_putf(b, "%s=?UTF-8?B?%s?=", sep,
		         base64_put(b->mem, str_sub(buf_str(&clean), at, at + n)));
		sep = "\r\n ";
		at += n;
	}
}

/* "Name <a@b.c>" taken apart; the name stays without quotes. */
static bool
take_sender(struct smtp *s, const char *sender)
{
	struct str name = STR0, address = str_trim(str_of(sender)), local, domain;

	if (address.n > 0 && address.p[address.n - 1] == '>') {
		if (!str_rcut(str_sub(address, 0, address.n - 1), '<', &name, &address))
			return false;
		name = str_trim(name);
		if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"')
			name = str_sub(name, 1, name.n - 1);
	}
	if (!smtp_address_ok(address) || name.n >= sizeof s->from_name || !str_is_utf8(name))
		return false;
	str_rcut(address, '@', &local, &domain);
	snprintf(s->from, sizeof s->from, "<%.*s>", STRF(address));
	snprintf(s->domain, sizeof s->domain, "%.*s", STRF(domain));
	snprintf(s->from_name, sizeof s->from_name, "%.*s", STRF(name));
	return true;
}

/* What stands behind EHLO: letters, digits, dots and hyphens alone, for it is part of the URL. */
static void
put_ehlo(struct buf *b, const char *name)
{
	char own[65] = "";
	size_t n = 0;

	if (name == NULL && gethostname(own, sizeof own - 1) == 0)
		name = own;
	for (; name != NULL && *name != '\0' && *name != ':'; name++)
		if ((*name >= '0' && *name <= '9') || ((*name | 0x20) >= 'a' && (*name | 0x20) <= 'z') ||
		    *name == '.' || *name == '-')
			buf_putc(b, *name), n++;
	if (n == 0)
		buf_puts(b, "localhost");
}

enum err_kind
smtp_open(struct ctx *c, const struct smtp_conf *conf, struct smtp **out)
{
	struct smtp *s = calloc(1, sizeof *s);
	struct buf url = BUF(c->mem);
	const bool is_v6 = strchr(conf->host, ':') != NULL;

	if (s == NULL)
		return err_set(c, ERR_BUSY, "out of memory");
	s->conf = *conf;
	buf_putf(&url, "%s://%s%s%s:%d/", conf->tls == SMTP_TLS ? "smtps" : "smtp", is_v6 ? "[" : "",
	         conf->host, is_v6 ? "]" : "", conf->port);
	put_ehlo(&url, conf->ehlo);
	if (!take_sender(s, conf->sender) || url.n >= sizeof s->url) {
		free(s);
		return err_set(c, ERR_BAD_INPUT, "MAIL_DEFAULT_SENDER or MAIL_SERVER cannot be used");
	}
	memcpy(s->url, url.p, url.n);
	if ((s->easy = curl_easy_init()) == NULL) {
		free(s);
		return err_set(c, ERR_BUSY, "out of memory");
	}
	*out = s;
	return ERR_NONE;
}

void
smtp_close(struct smtp *s)
{
	if (s == NULL)
		return;
	curl_easy_cleanup(s->easy);
	explicit_bzero(s, sizeof *s);
	free(s);
}

static CURLcode
set_tls(const struct smtp *s)
{
	CURL *e = s->easy;
	CURLcode rc = curl_easy_setopt(
	    e, CURLOPT_USE_SSL, s->conf.tls == SMTP_PLAIN ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);

	/* As for our other connections: one bundle, no folder beside it. */
	if (s->conf.ca_file != NULL) {
		rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
		rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_CAINFO, s->conf.ca_file);
	}
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	return rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

/* Options that every use of the connection needs. */
static CURLcode
prepare(struct smtp *s)
{
	CURL *e = s->easy;
	CURLcode rc;

	curl_easy_reset(e); /* keeps the connection */
	s->error[0] = '\0';
	rc = curl_easy_setopt(e, CURLOPT_URL, s->url);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->error);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROXY, "");
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	rc = rc != CURLE_OK
	         ? rc
	         : curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
	                            (long)(s->conf.connect_timeout_ms > 0 ? s->conf.connect_timeout_ms
	                                                                  : CONNECT_TIMEOUT_MS));
	rc = rc != CURLE_OK ? rc
	                    : curl_easy_setopt(e, CURLOPT_TIMEOUT_MS,
	                                       (long)(s->conf.total_timeout_ms > 0 ? s->conf.total_timeout_ms
	                                                                           : TOTAL_TIMEOUT_MS));
	rc = rc != CURLE_OK ? rc : set_tls(s);
	if (s->conf.username != NULL && s->conf.username[0] != '\0') {
		rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_USERNAME, s->conf.username);
		rc = rc != CURLE_OK ? rc
		                    : curl_easy_setopt(e, CURLOPT_PASSWORD,
		                                       s->conf.password != NULL ? s->conf.password : "");
	}
	return rc;
}

/* LF becomes CR LF, as MIME wants lines to end. */
static struct str
lines(struct ctx *c, struct str s)
{
	struct buf b = BUF(c->mem);

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buf_putc(&b, '\r');
		buf_putc(&b, s.p[i]);
	}
	return buf_str(&b);
}

static struct curl_slist *
add_header(struct curl_slist *list, struct buf *b)
{
	struct curl_slist *more = curl_slist_append(list, buf_cstr(b));

	b->n = 0;
	return more != NULL ? more : list;
}

/* From, To, Subject, Date, Message-ID and how the parts hang together. */
static struct curl_slist *
headers(struct ctx *c, const struct smtp *s, const struct smtp_mail *m)
{
	struct curl_slist *l = NULL;
	struct buf b = BUF(c->mem);
	const struct str subject = m->subject;

	l = add_header(l, (buf_putf(&b, "Date: %s", clock_rfc2822(c->mem, m->date_ms)), &b));
	buf_puts(&b, "From: ");
	if (s->from_name[0] != '\0') {
		const bool plain =
		    strspn(s->from_name,
		           "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 -_") ==
		    strlen(s->from_name);
		struct buf name = BUF(c->mem);
		smtp_put_words(&name, str_of(s->from_name));
		const bool encoded = name.n != strlen(s->from_name);
		for (size_t i = 0; !plain && !encoded && i < name.n; i++)
			if (name.p[i] == '"' || name.p[i] == '\\')
				name.p[i] = '\'';
		buf_putf(&b, plain || encoded ? "%.*s " : "\"%.*s\" ", STRF(buf_str(&name)));
	}
	buf_puts(&b, s->from);
	l = add_header(l, &b);
	buf_puts(&b, "To: <");
	buf_put_header(&b, m->to);
	buf_puts(&b, ">");
	l = add_header(l, &b);
	buf_puts(&b, "Subject: ");
	smtp_put_words(&b, str_sub(subject, 0, subject.n < SUBJECT_MAX ? subject.n : SUBJECT_MAX));
	l = add_header(l, &b);
	l = add_header(l, (buf_putf(&b, "Message-ID: <%s@%s>", m->message_id, s->domain), &b));
	l = add_header(l, (buf_putf(&b, "Content-Language: %s", m->lang), &b));
	l = add_header(l, (buf_puts(&b, "Auto-Submitted: auto-generated"), &b));
	l = add_header(l, (buf_puts(&b, "Content-Type: multipart/alternative"), &b));
	return l;
}

static CURLcode
add_part(curl_mime *mime, struct str body, const char *type)
{
	curl_mimepart *p = curl_mime_addpart(mime);
	CURLcode rc = p == NULL ? CURLE_OUT_OF_MEMORY : curl_mime_data(p, body.p, body.n);

	rc = rc != CURLE_OK ? rc : curl_mime_type(p, type);
	return rc != CURLE_OK ? rc : curl_mime_encoder(p, "quoted-printable");
}

/* What became of the mail, from curl's code and the server's last reply. A sender who is refused, or has to log in, is the
 * operator's mistake and not the mail's. */
static enum smtp_outcome
outcome_of(const struct smtp *s, CURLcode rc, long reply)
{
	const bool about_sender = strncmp(s->error, "MAIL failed", 11) == 0 || reply == 530 || reply == 535;

	switch (rc) {
	case CURLE_OK:
		return SMTP_SENT;
	case CURLE_SEND_ERROR: /* MAIL, RCPT or DATA was answered with a refusal */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_RECV_ERROR:
		return about_sender || reply == 421 || reply < 400 ? SMTP_DOWN
		       : reply < 500                               ? SMTP_LATER
		                                                   : SMTP_REFUSED;
	default:
		return SMTP_DOWN;
	}
}

static enum err_kind
failed(struct ctx *c, const struct smtp *s, CURLcode rc, long reply)
{
	const char *what = curl_easy_strerror(rc);

	if (rc == CURLE_LOGIN_DENIED)
		what = "the log-in was refused";
	if (rc == CURLE_USE_SSL_FAILED)
		what = "the server does not offer STARTTLS";
	/* The error buffer may quote what was sent, except for connections, certificates and refusals, which name the command. */
	if (strncmp(s->error, "MAIL failed", 11) == 0)
		what = "the sender is refused";
	else if ((rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CONNECT_ERROR ||
	          rc == CURLE_COULDNT_CONNECT) &&
	         s->error[0] != '\0')
		what = s->error;
	return reply >= 400
	           ? err_set(c, ERR_UPSTREAM, "mail server %s:%d: %s (reply %ld)", s->conf.host, s->conf.port,
	                     what, reply)
	           : err_set(c, ERR_UPSTREAM, "mail server %s:%d: %s", s->conf.host, s->conf.port, what);
}

enum err_kind
smtp_send(struct ctx *c, struct smtp *s, const struct smtp_mail *m, enum smtp_outcome *out)
{
	struct curl_slist *to, *head;
	curl_mime *mime;
	CURLcode rc;
	long reply = 0;

	if (!smtp_address_ok(m->to)) {
		*out = SMTP_REFUSED;
		return err_set(c, ERR_UPSTREAM, "the recipient's address cannot be used");
	}
	rc = prepare(s);
	to = curl_slist_append(NULL, str_fmt(c->mem, "<%.*s>", STRF(m->to)));
	head = headers(c, s, m);
	mime = curl_mime_init(s->easy);
	if (to == NULL || head == NULL || mime == NULL)
		rc = CURLE_OUT_OF_MEMORY;
	rc = rc != CURLE_OK ? rc : add_part(mime, lines(c, m->text), "text/plain; charset=utf-8");
	rc = rc != CURLE_OK ? rc : add_part(mime, lines(c, m->html), "text/html; charset=utf-8");
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_MAIL_FROM, s->from);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_MAIL_RCPT, to);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, head);
	rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_MIMEPOST, mime);
	if (rc == CURLE_OK) {
		rc = curl_easy_perform(s->easy);
		curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &reply);
	}
	*out = outcome_of(s, rc, reply);
	curl_mime_free(mime);
	curl_slist_free_all(to);
	curl_slist_free_all(head);
	return rc == CURLE_OK ? ERR_NONE : failed(c, s, rc, reply);
}

enum err_kind
smtp_probe(struct ctx *c, struct smtp *s)
{
	CURLcode rc = prepare(s);
	long reply = 0;

	rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_CONNECT_ONLY, 1L);
	if (rc == CURLE_OK) {
		rc = curl_easy_perform(s->easy);
		curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &reply);
	}
	return rc == CURLE_OK ? ERR_NONE : failed(c, s, rc, reply);
}
