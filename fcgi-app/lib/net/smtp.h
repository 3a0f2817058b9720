/* Outgoing mail over SMTP (libcurl). For kade-mail. One struct smtp for one thread: it keeps its connection from mail to mail.
 * Headers are built from checked and encoded parts, so no text of anybody can add a header or a recipient. Texts of failures
 * name the server and its reply code, never a recipient, a subject, a body or the password. */
#ifndef KADE_NET_SMTP_H
#define KADE_NET_SMTP_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct smtp;

enum smtp_tls {
	SMTP_PLAIN,
	SMTP_STARTTLS, /* required: without it nothing is sent */
	SMTP_TLS       /* from the first byte */
};
struct smtp_conf { /* borrowed for the life of struct smtp */
	const char *host;
	int port;
	enum smtp_tls tls;
	const char *ca_file;             /* the merged bundle (net/ca.h); NULL: libcurl's default */
	const char *username, *password; /* username NULL: no log-in */
	const char *sender;              /* "a@b.c", or "Name <a@b.c>" */
	const char *ehlo;                /* how this host calls itself; NULL: its own name */
	int connect_timeout_ms;          /* with greeting, TLS and log-in; 0: 20,000 */
	int total_timeout_ms;            /* of one mail, all of it; 0: 60,000 */
};
struct smtp_mail {
	struct str to; /* one address */
	struct str subject;
	struct str text, html;  /* UTF-8, lines end with LF */
	const char *message_id; /* the part before '@': the same for each try */
	const char *lang;       /* "en" */
	int64_t date_ms;
};
enum smtp_outcome {
	SMTP_SENT,
	SMTP_LATER,   /* this mail was not taken for now (4xx) */
	SMTP_REFUSED, /* nor will it ever be (5xx), or its address is none */
	SMTP_DOWN     /* no mail can be sent: no connection, no trust, no log-in, no answer in time */
};

/* Taken: smtp_close(). ERR_BAD_INPUT: the sender is no address. ERR_BUSY: no memory. curl_global_init() was called. */
enum err_kind smtp_open(struct ctx *c, const struct smtp_conf *conf, struct smtp **out) MUST_CHECK;
void smtp_close(struct smtp *s); /* NULL is allowed */
/* Sends one mail and waits for the server's word. ERR_NONE with SMTP_SENT; ERR_UPSTREAM with another outcome and the reason in
 * c->err. */
enum err_kind smtp_send(struct ctx *c, struct smtp *s, const struct smtp_mail *m,
                        enum smtp_outcome *out) MUST_CHECK;
/* Can mails be sent: connects, starts TLS and logs in as smtp_send() does, and sends nothing. For kade-config check. */
enum err_kind smtp_probe(struct ctx *c, struct smtp *s) MUST_CHECK;

/* An address that may stand in RCPT TO and in a header: one '@', a dotted local part or a quoted one, a domain of at least two
 * labels, no blank, control or bracket; at most 254 bytes; UTF-8. */
bool smtp_address_ok(struct str s);
/* Text of a header value: as it is when it is ASCII, else encoded words of RFC 2047 in UTF-8, folded. Controls are dropped. */
struct buf;
void smtp_put_words(struct buf *b, struct str s);
#endif
