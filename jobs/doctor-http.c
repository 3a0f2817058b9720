/* kade-doctor: one HTTP/1.1 request and its answer over doctor-wire.c. The answer's parser takes bytes from a
 * server that may be anything: each length is bounded, each number is read with its limits, nothing is
 * trusted to end. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "doctor-wire.h"

#define HEAD_BYTES     (64 << 10)
#define BODY_BYTES_MAX ((int64_t)1 << 30)
#define INTERIM_MAX    16
#define EXPECT_WAIT_MS 5000
#define EARLY_WAIT_MS  500

/* The state of one exchange. */
struct talk {
	struct wire *w;
	const struct ask *a;
	struct answer *r;
	struct buf head; /* of the answer, up to and including the empty line */
	int interim;     /* 1xx answers seen */
	int64_t start_us;
	int patience_ms; /* for the answer\'s body; -1 = the idle time-out */
	struct sha256 sum;
	struct buf body;
};

void
ask_fill(uint64_t seed, int64_t from, void *p, size_t n)
{
	unsigned char *out = p;
	uint64_t z = 0;

	for (size_t i = 0; i < n; i++) {
		const uint64_t at = (uint64_t)from + i;
		if (i == 0 || at % 8 == 0) { /* splitmix64 of the eight bytes' number */
			z = seed + (at / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);
			z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
			z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
			z ^= z >> 31;
		}
		out[i] = (unsigned char)(z >> (at % 8 * 8));
	}
}

struct str
answer_header(const struct answer *r, const char *name)
{
	for (int i = 0; i < r->n_headers; i++)
		if (str_eq_nocase(r->headers[i].name, str_of(name)))
			return r->headers[i].value;
	return STR0;
}

int
answer_count(const struct answer *r, const char *name)
{
	int n = 0;

	for (int i = 0; i < r->n_headers; i++)
		n += str_eq_nocase(r->headers[i].name, str_of(name)) ? 1 : 0;
	return n;
}

static bool
has_body(const struct ask *a)
{
	return a->body.p != NULL || a->fill_bytes > 0 || a->chunked || a->announce > 0;
}

static struct str
request_head(const struct talk *t)
{
	const struct ask *a = t->a;
	struct buf b = BUF(t->w->mem);

	buf_putf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kade-doctor/" PACKAGE_VERSION "\r\n",
	         a->method, a->target, t->w->authority);
	if (a->auth != NULL)
		buf_putf(&b, "Authorization: %s\r\n", a->auth);
	if (a->lines != NULL)
		buf_puts(&b, a->lines);
	if (a->expect)
		buf_puts(&b, "Expect: 100-continue\r\n");
	if (a->chunked)
		buf_puts(&b, "Transfer-Encoding: chunked\r\n");
	else if (has_body(a))
		buf_putf(&b, "Content-Length: %lld\r\n",
		         (long long)(a->announce > 0     ? a->announce
		                     : a->body.p != NULL ? (int64_t)a->body.n
		                                         : a->fill_bytes));
	else if (strcmp(a->method, "GET") != 0 && strcmp(a->method, "HEAD") != 0)
		buf_puts(&b, "Content-Length: 0\r\n");
	buf_puts(&b, "\r\n");
	return buf_str(&b);
}

static bool
fail(struct talk *t, const char *why)
{
	if (t->r->fail == NULL)
		t->r->fail = why;
	return false;
}

/* Splits the head into status and headers. */
static bool
parse_head(struct talk *t)
{
	struct answer *r = t->r;
	struct str line, rest = buf_str(&t->head), word;
	int64_t status;

	str_cut(rest, '\n', &line, &rest);
	if (!str_starts(line, STR("HTTP/1.")) || line.n < 12 || line.p[8] != ' ' ||
	    !str_to_i64(str_sub(line, 9, 12), 100, 599, &status))
		return fail(t, "the answer does not begin with an HTTP/1 status line");
	r->status = (int)status;
	r->n_headers = 0;
	while (rest.n > 0) {
		struct header h;
		str_cut(rest, '\n', &line, &rest);
		line = str_trim(line);
		if (line.n == 0)
			break;
		if (r->n_headers == WIRE_HEADERS)
			return fail(t, "the answer has more than 128 header lines");
		if (!str_cut(line, ':', &word, &h.value))
			return fail(t, "the answer has a header line without a colon");
		h.name = word;
		h.value = str_trim(h.value);
		r->headers[r->n_headers++] = h;
	}
	return true;
}

/* Moves arrived bytes into the head. 1: the head is complete; 0: more is needed; -1: it is no good. */
static int
feed_head(struct talk *t)
{
	struct wire *w = t->w;

	while (w->in_at < w->in_n) {
		const char ch = w->in[w->in_at++];
		if (t->head.n == HEAD_BYTES) {
			fail(t, "the answer's head is larger than 64 KiB");
			return -1;
		}
		buf_putc(&t->head, ch);
		if (ch != '\n')
			continue;
		const struct str h = buf_str(&t->head);
		if (str_ends(h, STR("\r\n\r\n")) || str_ends(h, STR("\n\n")))
			return parse_head(t) ? 1 : -1;
	}
	return 0;
}

/* A complete head: true when it is the final one; a 1xx is noted and forgotten. */
static bool
is_final(struct talk *t)
{
	if (t->r->status >= 200)
		return true;
	if (t->r->status == 100)
		t->r->saw_100 = true;
	t->head = BUF(t->w->mem);
	t->r->n_headers = 0;
	t->r->status = 0;
	if (++t->interim > INTERIM_MAX)
		fail(t, "too many interim answers");
	return false;
}

/* Looks at what has arrived while the request is still being sent. True: stop sending. */
static bool
look_early(struct talk *t)
{
	while (t->r->fail == NULL && wire_arrived(t->w)) {
		const int got = feed_head(t);
		if (got < 0)
			return true;
		if (got > 0 && is_final(t)) {
			t->r->waited_us = clock_mono_us() - t->start_us;
			t->r->early = true;
			return true;
		}
	}
	return t->r->fail != NULL;
}

/* Sends bytes; false: stop sending (an answer came, or the connection is gone). */
static bool
send_all(struct talk *t, struct str b)
{
	while (b.n > 0) {
		size_t taken;
		const char *why = NULL;
		if (!wire_send(t->w, b, &taken, &why)) {
			if (t->w->stopped)
				fail(t, why);
			else
				t->r->early = true; /* an answer may still be there to read */
			return false;
		}
		b = str_sub(b, taken, b.n);
		if (look_early(t))
			return false;
	}
	return true;
}

/* One piece of the body, as a chunk where asked. */
static bool
send_piece(struct talk *t, struct str piece)
{
	char size[24];

	if (!t->a->chunked)
		return send_all(t, piece);
	const int n = snprintf(size, sizeof size, "%zx\r\n", piece.n);
	return send_all(t, (struct str){ size, (size_t)n }) && send_all(t, piece) && send_all(t, STR("\r\n"));
}

/* Sends the body. False: it was not sent whole. */
static bool
send_body(struct talk *t)
{
	const struct ask *a = t->a;
	const int64_t size = a->body.p != NULL ? (int64_t)a->body.n : a->fill_bytes;
	const int64_t end = a->cut_after > 0 && a->cut_after < size ? a->cut_after : size;

	while (t->r->sent < end) {
		const int64_t left = end - t->r->sent;
		struct str piece = { t->w->out, left < WIRE_IO_BYTES ? (size_t)left : WIRE_IO_BYTES };
		if (a->body.p != NULL)
			piece.p = a->body.p + t->r->sent;
		else
			ask_fill(a->fill_seed, a->fill_from + t->r->sent, t->w->out, piece.n);
		if (!send_piece(t, piece))
			return false;
		t->r->sent += (int64_t)piece.n;
	}
	return a->cut_after > 0 || !a->chunked || send_all(t, STR("0\r\n\r\n"));
}

/* Waits for the final head. */
static bool
read_head(struct talk *t, int wait_ms)
{
	while (t->r->status < 200) {
		const char *why = NULL;
		const int got = wire_fill(t->w, wait_ms, &why);
		if (got < 0)
			return fail(t, why);
		if (got == 0)
			return fail(t, t->r->early
			                   ? "the server closed the connection in mid-body without an answer"
			                   : "the server closed the connection without an answer");
		const int head = feed_head(t);
		if (head < 0)
			return false;
		if (head > 0 && !is_final(t) && t->a->expect && t->r->saw_100 && t->r->sent == 0)
			return true; /* the go-ahead */
		if (t->r->fail != NULL)
			return false;
	}
	if (t->r->waited_us == 0)
		t->r->waited_us = clock_mono_us() - t->start_us;
	return true;
}

static bool
take_body(struct talk *t, size_t n)
{
	struct wire *w = t->w;
	const size_t room = WIRE_KEPT - t->body.n;

	sha256_feed(&t->sum, w->in + w->in_at, n);
	if (room > 0)
		buf_put(&t->body, (struct str){ w->in + w->in_at, n < room ? n : room });
	w->in_at += n;
	t->r->body_bytes += (int64_t)n;
	return t->r->body_bytes <= BODY_BYTES_MAX || fail(t, "the answer's body is larger than 1 GiB");
}

/* Reads up to `left` bytes of body; left < 0: until the server closes. */
static bool
read_counted(struct talk *t, int64_t left)
{
	while (left != 0) {
		const char *why = NULL;
		const int got = wire_fill(t->w, t->patience_ms, &why);
		if (got == 0)
			return left < 0 || fail(t, "the answer's body ends before its announced length");
		if (got < 0)
			return fail(t, why);
		const size_t here = t->w->in_n - t->w->in_at;
		const size_t n = left > 0 && (int64_t)here > left ? (size_t)left : here;
		if (!take_body(t, n))
			return false;
		left -= left > 0 ? (int64_t)n : 0;
	}
	return true;
}

/* One line of the chunked coding, without its end, at most 255 bytes. */
static bool
read_line(struct talk *t, char line[256], size_t *n)
{
	*n = 0;
	for (;;) {
		const char *why = NULL;
		const int got = wire_fill(t->w, t->patience_ms, &why);
		if (got <= 0)
			return fail(t, got == 0 ? "the answer's body ends in the middle of a chunk" : why);
		const char ch = t->w->in[t->w->in_at++];
		if (ch == '\n') {
			while (*n > 0 && line[*n - 1] == '\r')
				--*n;
			line[*n] = '\0';
			return true;
		}
		if (*n == 255)
			return fail(t, "a chunk's size line is too long");
		line[(*n)++] = ch;
	}
}

static bool
read_chunked(struct talk *t)
{
	char line[256];
	size_t n;

	for (;;) {
		int64_t size = 0;
		size_t i = 0;
		if (!read_line(t, line, &n))
			return false;
		for (; i < n && line[i] != ';' && line[i] != ' '; i++) {
			const char *hex = "0123456789abcdef",
			           ch = line[i] >= 'A' && line[i] <= 'F' ? line[i] + 32 : line[i];
			const char *at = ch == '\0' ? NULL : strchr(hex, ch);
			if (at == NULL || size > BODY_BYTES_MAX)
				return fail(t, "a chunk's size is no number or too large");
			size = size * 16 + (at - hex);
		}
		if (i == 0)
			return fail(t, "a chunk has no size");
		if (size == 0)
			break;
		if (!read_counted(t, size) || !read_line(t, line, &n))
			return false;
		if (n != 0)
			return fail(t, "a chunk is longer than its size");
	}
	for (int lines = 0; lines < WIRE_HEADERS; lines++) {
		if (!read_line(t, line, &n))
			return false;
		if (n == 0)
			return true;
	}
	return fail(t, "too many trailer lines");
}

static bool
read_body(struct talk *t)
{
	struct answer *r = t->r;
	const struct str te = answer_header(r, "Transfer-Encoding"), cl = answer_header(r, "Content-Length");

	if (cl.p != NULL && !str_to_i64(cl, 0, INT64_MAX, &r->length))
		return fail(t, "Content-Length is no number");
	if (answer_count(r, "Content-Length") > 1)
		return fail(t, "the answer has more than one Content-Length");
	if (te.p != NULL && cl.p != NULL)
		return fail(t, "the answer has both Content-Length and Transfer-Encoding");
	r->framing = te.p != NULL ? FRAME_CHUNKED : cl.p != NULL ? FRAME_LENGTH : FRAME_CLOSE;
	if (strcmp(t->a->method, "HEAD") == 0 || r->status == 204 || r->status == 304) {
		r->framing = FRAME_NONE;
		return true;
	}
	switch (r->framing) {
	case FRAME_CHUNKED:
		return read_chunked(t);
	case FRAME_LENGTH:
		return r->length > BODY_BYTES_MAX ? fail(t, "the answer's body is larger than 1 GiB")
		                                  : read_counted(t, r->length);
	default:
		return read_counted(t, -1);
	}
}

static void
talk_run(struct talk *t)
{
	const struct ask *a = t->a;
	bool go = send_all(t, request_head(t));

	if (go && a->expect) {
		/* RFC 9110 10.1.1: a client does not wait for ever; silence is noted by saw_100 staying
		 * false. */
		(void)read_head(t, EXPECT_WAIT_MS);
		if (t->r->status >= 200)
			t->r->early = true;
		else if (t->r->fail != NULL && !t->w->stopped && !t->w->at_end)
			t->r->fail = NULL;
		go = t->r->fail == NULL && !t->r->early;
	}
	if (go && has_body(a))
		go = send_body(t);
	if (t->r->fail != NULL || t->w->stopped)
		return;
	if (go && a->cut_after > 0) {
		if (a->cut_wait_ms <= 0 || !read_head(t, a->cut_wait_ms)) {
			t->r->status = 0;
			t->r->fail = t->w->stopped ? "stopped by a signal" : "cut as planned";
			return;
		}
		t->r->early = true;
	}
	if (!read_head(t, -1))
		return;
	if (!t->r->early) {
		(void)read_body(t);
		return;
	}
	/* Apache ends an early answer only after it has taken the rest of the request, which is not sent any
	 * more: its status and headers are what counts, the body is taken as far as it is there. */
	t->patience_ms = EARLY_WAIT_MS;
	if (!read_body(t) && !t->w->stopped)
		t->r->fail = NULL;
}

void
ask_run(struct wire *w, const struct ask *a, struct answer *out)
{
	struct talk t = {
		.w = w, .a = a, .r = out, .head = BUF(w->mem), .body = BUF(w->mem), .patience_ms = -1
	};
	const char *why = NULL;
	uint8_t sum[SHA256_BYTES];

	*out = (struct answer){ .length = -1 };
	if (!wire_open(w, NULL, &why)) {
		out->fail = why;
		return;
	}
	sha256_start(&t.sum);
	t.start_us = clock_mono_us();
	talk_run(&t);
	wire_close(w);
	if (out->status < 200)
		out->status = 0;
	if (out->status == 0 && out->fail == NULL)
		out->fail = "no answer";
	sha256_end(&t.sum, sum);
	hex_put(out->sha256, sum, sizeof sum);
	out->body = buf_str(&t.body);
}
