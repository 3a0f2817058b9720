/* Records of protocol version 1, request id 1. */
#include "fcgi-client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int
fc_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const struct timeval wait = { .tv_sec = 20 };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	if (connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
put(int fd, const void *p, size_t n)
{
	while (n > 0) {
		const ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			return false;
		p = (const char *)p + k;
		n -= (size_t)k;
	}
	return true;
}

bool
fc_record(int fd, int type, const void *p, size_t n)
{
	const unsigned char head[8] = {
		1, (unsigned char)type, 0, 1, (unsigned char)(n >> 8), (unsigned char)n, 0, 0
	};

	return put(fd, head, sizeof head) && put(fd, p, n);
}

bool
fc_begin(int fd, int role, bool keep)
{
	const unsigned char body[8] = { 0, (unsigned char)role, keep ? 1 : 0 };

	return fc_record(fd, FC_BEGIN, body, sizeof body);
}

static size_t
put_length(unsigned char *out, size_t n)
{
	if (n < 128) {
		out[0] = (unsigned char)n;
		return 1;
	}
	out[0] = (unsigned char)(n >> 24 | 0x80);
	out[1] = (unsigned char)(n >> 16);
	out[2] = (unsigned char)(n >> 8);
	out[3] = (unsigned char)n;
	return 4;
}

size_t
fc_pair(unsigned char *out, const char *name, const char *value, size_t value_bytes)
{
	const size_t name_bytes = strlen(name);
	size_t n = put_length(out, name_bytes);

	n += put_length(out + n, value_bytes);
	memcpy(out + n, name, name_bytes);
	memcpy(out + n + name_bytes, value, value_bytes);
	return n + name_bytes + value_bytes;
}

bool
fc_params(int fd, const char *const *pairs)
{
	unsigned char *out = malloc(1 << 20);
	size_t n = 0;
	bool ok = true;

	for (; pairs[0] != NULL; pairs += 2)
		n += fc_pair(out + n, pairs[0], pairs[1], strlen(pairs[1]));
	for (size_t at = 0; at < n; at += 32768)
		ok = ok && fc_record(fd, FC_PARAMS, out + at, n - at > 32768 ? 32768 : n - at);
	free(out);
	return ok && fc_record(fd, FC_PARAMS, NULL, 0);
}

bool
fc_body(int fd, const void *p, size_t n)
{
	if (n == 0)
		return fc_record(fd, FC_STDIN, NULL, 0);
	for (size_t at = 0; at < n; at += 65528) {
		if (!fc_record(fd, FC_STDIN, (const char *)p + at, n - at > 65528 ? 65528 : n - at))
			return false;
	}
	return true;
}

static bool
get(int fd, void *p, size_t n)
{
	while (n > 0) {
		const ssize_t k = recv(fd, p, n, 0);
		if (k <= 0)
			return false;
		p = (char *)p + k;
		n -= (size_t)k;
	}
	return true;
}

void
fc_reply(int fd, struct fc_reply *out)
{
	unsigned char head[8];
	char pad[65536 + 256];
	size_t n = 0;

	memset(out, 0, offsetof(struct fc_reply, data));
	while (!out->ended && get(fd, head, sizeof head)) {
		const size_t len = (size_t)head[4] << 8 | head[5];
		char *to = pad;
		if (head[1] == FC_STDOUT && n + len < sizeof out->data) {
			to = out->data + n;
			n += len;
		}
		if (!get(fd, to, len) || !get(fd, pad, head[6]))
			break;
		out->ended = head[1] == FC_END;
	}
	out->data[n] = '\0';
	out->head = out->data;
	out->body = strstr(out->data, "\r\n\r\n");
	if (out->body == NULL) {
		out->body = out->data + n;
		return;
	}
	*out->body = '\0';
	out->body += 4;
	out->body_bytes = n - (size_t)(out->body - out->data);
	if (strncmp(out->head, "Status: ", 8) == 0)
		out->status = (int)strtol(out->head + 8, NULL, 10);
}

const char *
fc_header(const struct fc_reply *r, const char *name)
{
	static char value[4096];
	const size_t n = strlen(name);

	for (const char *p = strstr(r->head, "\r\n"); p != NULL; p = strstr(p + 2, "\r\n")) {
		if (strncasecmp(p + 2, name, n) == 0 && strncmp(p + 2 + n, ": ", 2) == 0) {
			const char *v = p + 2 + n + 2;
			snprintf(value, sizeof value, "%.*s", (int)strcspn(v, "\r"), v);
			return value;
		}
	}
	return "";
}

bool
fc_ask(const char *path, const char *method, const char *uri, const char *body, struct fc_reply *out)
{
	char length[24];
	const char *const pairs[] = { "REQUEST_METHOD", method,           "REQUEST_URI", uri, "REMOTE_ADDR",
		                      "192.0.2.7",      "CONTENT_LENGTH", length,        NULL };
	const int fd = fc_connect(path);

	snprintf(length, sizeof length, "%zu", body == NULL ? 0 : strlen(body));
	if (fd < 0)
		return false;
	const bool sent = fc_begin(fd, FC_RESPONDER, false) && fc_params(fd, pairs) &&
	                  (body == NULL || fc_body(fd, body, strlen(body))) && fc_body(fd, NULL, 0);
	(void)sent; /* an early answer may close the connection first; the reply tells */
	fc_reply(fd, out);
	close(fd);
	return out->status != 0;
}
