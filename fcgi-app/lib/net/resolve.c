/* Name look-up that ends at a deadline. */
#include "net/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct lookup { /* shared by the asking thread and the one that waits for the name server; the last one frees
	           it */
	pthread_mutex_t lock;
	pthread_cond_t done_cond;
	bool done, abandoned;
	int rc;
	struct resolved found;
	char port[8];
	char host[];
};

static int
look_up(const char *host, const char *port, int flags, struct resolved *out)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags };
	struct addrinfo *list = NULL;
	const int rc = getaddrinfo(host, port, &hints, &list);

	if (rc != 0)
		return rc;
	out->n = 0;
	for (const struct addrinfo *a = list; a != NULL && out->n < RESOLVE_MAX; a = a->ai_next) {
		memcpy(&out->v[out->n].sa, a->ai_addr, a->ai_addrlen);
		out->v[out->n++].len = a->ai_addrlen;
	}
	freeaddrinfo(list);
	return out->n == 0 ? EAI_NONAME : 0;
}

static void
lookup_free(struct lookup *l)
{
	pthread_cond_destroy(&l->done_cond);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static void *
lookup_run(void *arg)
{
	struct lookup *l = arg;
	struct resolved found = { 0 };
	const int rc = look_up(l->host, l->port, 0, &found);

	pthread_mutex_lock(&l->lock);
	const bool abandoned = l->abandoned;
	l->rc = rc;
	l->found = found;
	l->done = true;
	pthread_cond_signal(&l->done_cond);
	pthread_mutex_unlock(&l->lock);
	if (abandoned)
		lookup_free(l);
	return NULL;
}

/* Starts lookup_run() detached, with all signals blocked. False when there is no thread to be had. */
static bool
lookup_start(struct lookup *l)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread, &attr, lookup_run, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return rc == 0;
}

static struct lookup *
lookup_new(const char *host, const char *port)
{
	const size_t n = strlen(host) + 1;
	struct lookup *l = calloc(1, sizeof *l + n);
	pthread_condattr_t attr;

	if (l == NULL)
		return NULL;
	memcpy(l->host, host, n);
	snprintf(l->port, sizeof l->port, "%s", port);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->done_cond, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

static const char *
reason_of(int rc)
{
	switch (rc) {
	case 0:
		return NULL;
	case EAI_NONAME:
		return "the name does not exist";
	case EAI_AGAIN:
		return "the name server does not answer";
	default:
		return "the name cannot be resolved";
	}
}

const char *
resolve_host(const char *host, uint16_t port, int64_t deadline_us, struct resolved *out)
{
	char text[8];
	struct lookup *l;
	struct timespec until = { .tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000 };
	int rc = 0;

	snprintf(text, sizeof text, "%u", port);
	if (look_up(host, text, AI_NUMERICHOST, out) == 0)
		return NULL;
	if ((l = lookup_new(host, text)) == NULL)
		return "out of memory";
	if (!lookup_start(l)) {
		lookup_free(l);
		return "no thread for the name look-up";
	}
	pthread_mutex_lock(&l->lock);
	while (!l->done && rc == 0)
		rc = pthread_cond_timedwait(&l->done_cond, &l->lock, &until);
	const bool done = l->done;
	if (done) {
		rc = l->rc;
		*out = l->found;
	}
	l->abandoned = !done;
	pthread_mutex_unlock(&l->lock);
	if (!done)
		return "the name look-up took too long";
	lookup_free(l);
	return reason_of(rc);
}
