/* fcgi-probe: a FastCGI program that says what it was given. It stands in for nothing of Kade: the tests of the
 * web servers' example files use it to see what a server does to a request, and the benchmarks use it as the
 * fastest answer that a server can give.
 *
 *   fcgi-probe NAME SOCKET [THREADS]     on a Unix socket of its own
 *   fcgi-probe … (descriptor 0 is a listening socket)     started by the server: mod_fcgid
 *
 * Answers: /hello a constant; /kib the same with 1 KiB; /refuse 401 without reading the body; /events five events 0.2 s apart; anything else
 * one line NAME=VALUE per FastCGI parameter, then "probe=NAME", "body=BYTES", "fnv=HASH". Role Authorizer: 200 for
 * "Bearer good", else 401. A body that ends early is written to stderr as "cut". */
#include <fcgiapp.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct probe {
	const char *name;
	int sock;
};

struct body {
	uint64_t bytes, fnv;
	int error;
};

static struct body
body_read(FCGX_Stream *in)
{
	static const uint64_t FNV_PRIME = 1099511628211u;
	struct body b = { .fnv = 14695981039346656037u };
	unsigned char chunk[16384];

	for (int n; (n = FCGX_GetStr((char *)chunk, sizeof chunk, in)) > 0;) {
		for (int i = 0; i < n; i++)
			b.fnv = (b.fnv ^ chunk[i]) * FNV_PRIME;
		b.bytes += (uint64_t)n;
		if (n < (int)sizeof chunk)
			break;
	}
	b.error = FCGX_GetError(in);
	return b;
}

static void
send_events(FCGX_Stream *out)
{
	FCGX_PutS("Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n\r\n", out);
	for (int i = 1; i <= 5; i++) {
		FCGX_FPrintF(out, "data: %d\n\n", i);
		FCGX_FFlush(out);
		if (FCGX_GetError(out))
			return;
		poll(NULL, 0, 200);
	}
}

static void
send_report(const struct probe *p, FCGX_Request *r)
{
	const struct body b = body_read(r->in);
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (b.error || !f) {
		fprintf(stderr, "fcgi-probe: cut after %" PRIu64 " bytes: %s\n", b.bytes,
		        FCGX_GetParam("REQUEST_URI", r->envp));
		if (f)
			fclose(f);
		free(text);
		return;
	}
	for (char **e = r->envp; *e; e++)
		fprintf(f, "%s\n", *e);
	fprintf(f, "probe=%s\nbody=%" PRIu64 "\nfnv=%016" PRIx64 "\n", p->name, b.bytes, b.fnv);
	fclose(f);
	FCGX_FPrintF(r->out, "Content-Type: text/plain\r\nContent-Length: %d\r\nX-Probe: %s\r\n\r\n",
	             (int)len, p->name);
	if (strcmp(FCGX_GetParam("REQUEST_METHOD", r->envp), "HEAD"))
		FCGX_PutStr(text, (int)len, r->out);
	free(text);
}

static void
answer(const struct probe *p, FCGX_Request *r)
{
	const char *role = FCGX_GetParam("FCGI_ROLE", r->envp);
	const char *auth = FCGX_GetParam("HTTP_AUTHORIZATION", r->envp);
	const char *uri = FCGX_GetParam("REQUEST_URI", r->envp);

	if (role && !strcmp(role, "AUTHORIZER")) {
		fprintf(stderr, "fcgi-probe: asked %s\n", uri ? uri : "");
		FCGX_PutS(auth && !strcmp(auth, "Bearer good")
		              ? "Status: 200 OK\r\n\r\n"
		              : "Status: 401 Unauthorized\r\nX-Gate: no\r\n\r\n",
		          r->out);
	} else if (uri && strstr(uri, "/hello")) {
		FCGX_PutS("Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n", r->out);
	} else if (uri && strstr(uri, "/kib")) {
		static const char KIB[1024] = "1 KiB\n";
		FCGX_PutS("Content-Type: application/octet-stream\r\nContent-Length: 1024\r\n\r\n", r->out);
		FCGX_PutStr(KIB, sizeof KIB, r->out);
	} else if (uri && strstr(uri, "/refuse")) {
		FCGX_PutS("Status: 401 Unauthorized\r\nContent-Length: 3\r\nX-Refused: early\r\n\r\nno\n",
		          r->out);
	} else if (uri && strstr(uri, "/events")) {
		send_events(r->out);
	} else {
		send_report(p, r);
	}
}

static void *
serve(void *arg)
{
	const struct probe *p = arg;
	FCGX_Request r;

	FCGX_InitRequest(&r, p->sock, 0);
	while (FCGX_Accept_r(&r) == 0) {
		answer(p, &r);
		FCGX_Finish_r(&r);
	}
	return NULL;
}

static int
is_listening(int fd)
{
	int on = 0;
	socklen_t n = sizeof on;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

int
main(int argc, char **argv)
{
	struct probe p = { .name = argc > 1 ? argv[1] : "probe", .sock = 0 };
	long threads = 1;

	FCGX_Init();
	/* mod_fcgid gives the arguments of kade.fcgi: the pool is what follows --pool. */
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "--pool"))
			p.name = argv[i + 1];
	}
	if (!is_listening(0)) {
		if (argc < 3) {
			fprintf(stderr, "usage: fcgi-probe NAME SOCKET [THREADS]\n");
			return 2;
		}
		threads = argc > 3 ? strtol(argv[3], NULL, 10) : 16;
		p.sock = FCGX_OpenSocket(argv[2], 1024);
		if (p.sock < 0 || chmod(argv[2], 0660) < 0) {
			perror(argv[2]);
			return 1;
		}
	}
	for (long i = 1; i < threads; i++) {
		pthread_t t;
		if (pthread_create(&t, NULL, serve, &p) == 0)
			pthread_detach(t);
	}
	serve(&p);
	return 0;
}
