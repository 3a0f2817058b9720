/* head: HEAD requests from a list, for tests/bench/registry: wrk waits for a body that never comes.
 *
 *   head PORT HOST CONNECTIONS SECONDS LIST TOKENS
 *
 * LIST: lines "METHOD PATH [NUMBER]"; TOKENS: values of Authorization, one a line, NUMBER counts from 1 (as load.lua). One
 * blocking connection and thread each on 127.0.0.1; prints the line "RESULT …" of load.lua. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LATENCIES 2000000

struct lines {
	char **v;
	size_t n;
};

struct load {
	struct lines list, tokens;
	const char *host;
	int port;
	int64_t until_us;
	atomic_size_t next, n_us, refused, broken, bytes;
	uint32_t *us; /* one for each answer */
};

static int64_t
now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * (int64_t)1000000 + t.tv_nsec / 1000;
}

static struct lines
read_lines(const char *file)
{
	struct lines l = { 0 };
	char *line = NULL;
	size_t room = 0;
	FILE *f = fopen(file, "r");

	if (f == NULL) {
		perror(file);
		exit(1);
	}
	for (ssize_t n; (n = getline(&line, &room, f)) > 0;) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		l.v = realloc(l.v, (l.n + 1) * sizeof *l.v);
		if (l.v == NULL || (l.v[l.n++] = strdup(line)) == NULL)
			abort();
	}
	free(line);
	fclose(f);
	return l;
}

static int
connect_to(int port)
{
	const struct sockaddr_in a = { .sin_family = AF_INET,
		                       .sin_port = htons((uint16_t)port),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
		perror("connect");
		exit(1);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static int
put_request(const struct load *l, size_t i, char *out, size_t n)
{
	const char *line = l->list.v[i % l->list.n];
	const char *number = strrchr(line, ' ');
	const long k = number == strchr(line, ' ') ? 0 : strtol(number, NULL, 10);

	return snprintf(out, n, "%.*s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n\r\n",
	                (int)(k ? number - line : (long)strlen(line)), line, l->host,
	                k ? "Authorization: " : "X-None: ", k ? l->tokens.v[k - 1] : "1");
}

/* The status of the answer, which is a head alone; 0 when the connection ended. */
static int
get_head(int fd, char *buf, size_t room, size_t *got)
{
	*got = 0;
	while (*got + 1 < room) {
		const ssize_t k = recv(fd, buf + *got, room - *got - 1, 0);
		if (k <= 0)
			return 0;
		*got += (size_t)k;
		buf[*got] = '\0';
		if (*got > 12 && strstr(buf, "\r\n\r\n") != NULL)
			return (int)strtol(buf + 9, NULL, 10);
	}
	return 0;
}

static void *
run(void *arg)
{
	struct load *l = arg;
	char out[8192], in[16384];
	int fd = connect_to(l->port);

	for (int64_t began; (began = now_us()) < l->until_us;) {
		size_t got = 0;
		const int n = put_request(l, atomic_fetch_add(&l->next, 1), out, sizeof out);
		const int status =
		    send(fd, out, (size_t)n, MSG_NOSIGNAL) == n ? get_head(fd, in, sizeof in, &got) : 0;
		const size_t at = atomic_fetch_add(&l->n_us, 1);
		if (at < LATENCIES)
			l->us[at] = (uint32_t)(now_us() - began);
		atomic_fetch_add(&l->bytes, got);
		if (status == 0) {
			atomic_fetch_add(&l->broken, 1);
			close(fd);
			fd = connect_to(l->port);
		} else if (status >= 400) {
			atomic_fetch_add(&l->refused, 1);
		}
	}
	close(fd);
	return NULL;
}

static int
order(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	static struct load l;
	pthread_t threads[256];

	if (argc != 7) {
		fprintf(stderr, "usage: head PORT HOST CONNECTIONS SECONDS LIST TOKENS\n");
		return 2;
	}
	const long wanted = strtol(argv[3], NULL, 10);
	const int n = wanted < 1 ? 1 : wanted > 256 ? 256 : (int)wanted;
	const int64_t began = now_us();
	l = (struct load){ .list = read_lines(argv[5]),
		           .tokens = read_lines(argv[6]),
		           .host = argv[2],
		           .port = (int)strtol(argv[1], NULL, 10),
		           .until_us = began + (int64_t)(strtod(argv[4], NULL) * 1e6),
		           .us = calloc(LATENCIES, sizeof *l.us) };
	if (l.us == NULL || l.list.n == 0)
		return 1;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, run, &l) != 0)
			return 1;
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	const int64_t took = now_us() - began;
	const size_t all = l.n_us, kept = all > LATENCIES ? LATENCIES : all;
	qsort(l.us, kept, sizeof *l.us, order);
	printf("RESULT %zu %lld %zu %zu %u %u %u %zu\n", all, (long long)took, l.refused, l.broken,
	       l.us[kept / 2], l.us[kept * 99 / 100], l.us[kept > 0 ? kept - 1 : 0], l.bytes);
	return 0;
}
