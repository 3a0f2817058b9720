/* A worker: threads that serve, and this thread, which waits for signals. TERM: no more requests, the running ones end, at
 * most --drain-timeout; a second TERM, or QUIT: at once. A --managed process has no parent and looks after its configuration
 * itself: when the file changes and is good, it ends after its running requests, and the web server starts another. */
#include "worker.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "app.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "http/fcgi.h"
#include "http/loop.h"
#include "http/router.h"
#include "listen.h"
#include "options.h"
#include "signals.h"
#include "watch.h"

#define STACK_BYTES ((size_t)512 << 10)
#define LOOK_MS     1000
#define MALLOC_ARENAS                                                                                        \
	4 /* one heap per thread would cost more than it gains: requests live in arenas of their own */

struct worker {
	const struct worker_args *wa;
	struct app app;
	struct fcgi_stop stop;
	struct loop_conf lc;
	int sig_fd, done_fd;
	int threads; /* that were started */
	struct watch watch;
};

static bool __attribute__((format(printf, 3, 4))) fail(char *why, size_t why_bytes, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_bytes, fmt, ap);
	va_end(ap);
	return false;
}

static bool
open_logs(struct serving *sv, char *why, size_t why_bytes)
{
	const struct app_settings *s = sv->settings;

	sv->log = log_open(s->log, "kade.fcgi", (enum log_level)s->log_level);
	if (sv->log == NULL)
		return fail(why, why_bytes, "cannot open the log %s: %s", s->log, strerrordesc_np(errno));
	sv->access = sv->log;
	if (s->access_log != NULL)
		sv->access = log_open(s->access_log, "kade.fcgi", LOG_LEVEL_INFO);
	if (sv->access == NULL)
		return fail(why, why_bytes, "cannot open the access log %s: %s", s->access_log,
		            strerrordesc_np(errno));
	return true;
}

bool
serving_open(const struct options *o, struct serving **out, char *why, size_t why_bytes)
{
	struct serving *sv = calloc(1, sizeof *sv);
	char path[1024];

	if (sv == NULL)
		return fail(why, why_bytes, "out of memory");
	bool ok = app_load(o->config, &sv->settings, why, why_bytes) && open_logs(sv, why, why_bytes);
	if (ok && snprintf(path, sizeof path, "%s/counters", sv->settings->state_dir) >= (int)sizeof path)
		ok = fail(why, why_bytes, "%s: the path is too long", sv->settings->state_dir);
	ok = ok && counters_open(path, &sv->counters, why, why_bytes);
	if (ok) {
		sv->router = router_build(app_routes(), why, why_bytes);
		ok = sv->router != NULL;
	}
	if (!ok) {
		serving_free(sv);
		return false;
	}
	router_count(sv->router, sv->counters);
	*out = sv;
	return true;
}

void
serving_free(struct serving *sv)
{
	if (sv == NULL)
		return;
	router_free(sv->router);
	counters_close(sv->counters);
	app_unload(sv->settings);
	if (sv->access != sv->log)
		log_close(sv->access);
	log_close(sv->log);
	free(sv);
}

static void __attribute__((format(printf, 3, 4)))
say(const struct worker *w, enum log_level level, const char *fmt, ...)
{
	const struct ctx c = { .log = w->wa->sv->log };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_line(&c, level, "%s", text);
}

static void *
thread_main(void *arg)
{
	struct worker *w = arg;
	const uint64_t one = 1;

	if (!loop_run(&w->lc))
		say(w, LOG_LEVEL_ERROR, "a thread could not begin: %s", strerrordesc_np(errno));
	while (write(w->done_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	return NULL;
}

static void
start_threads(struct worker *w)
{
	pthread_attr_t attr;
	pthread_t id;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	while (w->threads < w->wa->o->threads) {
		const int e = pthread_create(&id, &attr, thread_main, w);
		if (e != 0) {
			say(w, LOG_LEVEL_ERROR, "only %d of %d threads could be started: %s", w->threads,
			    w->wa->o->threads, strerrordesc_np(e));
			break;
		}
		w->threads++;
	}
	pthread_attr_destroy(&attr);
}

/* A little apart from worker to worker, so that not all of them are replaced at the same moment. */
static int64_t
requests_of_this_one(const struct options *o)
{
	return o->max_requests == 0 ? 0 : o->max_requests + o->max_requests * (getpid() % 16) / 100;
}

static bool
begin(struct worker *w, char *why, size_t why_bytes)
{
	const struct worker_args *wa = w->wa;
	const struct serving *sv = wa->sv;

	mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	w->stop.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->sig_fd = signals_open();
	if (w->stop.event_fd < 0 || w->done_fd < 0 || w->sig_fd < 0)
		return fail(why, why_bytes, "eventfd: %s", strerrordesc_np(errno));
	if (!fcgi_init())
		return fail(why, why_bytes, "libfcgi cannot be set up");
	w->app = (struct app){ .settings = sv->settings,
		               .conf = sv->settings->conf,
		               .http = &sv->settings->http,
		               .counters = sv->counters,
		               .log = sv->log,
		               .access = sv->access };
	if (!app_open(&w->app, wa->o, why, why_bytes))
		return false;
	w->lc.base =
	    (struct ctx){ .conf = w->app.conf, .db = w->app.db, .counters = sv->counters, .log = sv->log };
	w->lc.http = w->app.http;
	w->lc.router = sv->router;
	w->lc.app = &w->app;
	w->lc.access = sv->access;
	w->lc.listen_fd = wa->listener->fd;
	w->lc.stop = &w->stop;
	w->lc.max_requests = requests_of_this_one(wa->o);
	w->lc.dispatch = app_dispatch;
	w->lc.slot = counters_process_begin(sv->counters, wa->o->pool, (unsigned)wa->o->threads);
	counters_add(sv->counters, CNT_WORKER_STARTS, 1);
	start_threads(w);
	return w->threads > 0 || fail(why, why_bytes, "no thread could be started");
}

static void
tell_parent(int fd, const char *text)
{
	if (fd < 0)
		return;
	while (write(fd, text, strlen(text)) < 0 && errno == EINTR)
		;
	close(fd);
}

static void
reopen_logs(const struct worker *w)
{
	log_reopen(w->wa->sv->log);
	if (w->wa->sv->access != w->wa->sv->log)
		log_reopen(w->wa->sv->access);
}

/* --managed only: is there a new configuration that is good? */
static bool
has_new_configuration(struct worker *w)
{
	struct app_settings *s;
	char why[512];

	if (!app_load(w->wa->o->config, &s, why, sizeof why)) {
		counters_add(w->app.counters, CNT_RELOADS_FAILED, 1);
		say(w, LOG_LEVEL_ERROR, "the new configuration is refused, the old one stays in use: %s",
		    why);
		return false;
	}
	app_unload(s);
	counters_add(w->app.counters, CNT_RELOADS, 1);
	say(w, LOG_LEVEL_INFO, "new configuration: this process ends after its running requests");
	return true;
}

/* Waits for a reason to take no more requests. False: end at once. */
static bool
wait_for_end(struct worker *w)
{
	const bool managed = w->wa->parent == 0;
	struct pollfd p[2] = {
		{.fd = w->sig_fd,         .events = POLLIN},
                { .fd = w->stop.event_fd, .events = POLLIN}
	};
	int sig;

	for (;;) {
		poll(p, 2, managed ? LOOK_MS : -1);
		if (atomic_load(&w->stop.set))
			return true;
		bool reload = managed && watch_changed(&w->watch);
		while ((sig = signals_next(w->sig_fd)) != 0) {
			if (sig == SIGTERM || sig == SIGINT)
				return true;
			if (sig == SIGQUIT)
				return false;
			if (sig == SIGUSR2)
				reopen_logs(w);
			reload = reload || (sig == SIGHUP && managed);
		}
		if (reload && has_new_configuration(w))
			return true;
	}
}

/* All threads out within the time? False also when a second signal says "at once". */
static bool
drain(struct worker *w)
{
	const int64_t until_ms = clock_mono_us() / 1000 + (int64_t)w->wa->o->drain_timeout_s * 1000;
	struct pollfd p[2] = {
		{.fd = w->sig_fd,   .events = POLLIN},
                { .fd = w->done_fd, .events = POLLIN}
	};
	uint64_t n;
	int sig;

	/* Nobody but this pool can serve what waits in its socket once that has no path any more. */
	if (w->wa->parent == 0)
		listener_hide(w->wa->listener);
	if (listener_is_hidden(w->wa->listener))
		fcgi_stop_empty(&w->stop);
	else
		fcgi_stop(&w->stop);
	for (int left = w->threads; left > 0;) {
		const int64_t ms = until_ms - clock_mono_us() / 1000;
		if (ms <= 0) {
			say(w, LOG_LEVEL_WARN, "%d requests were still running after %d s and are cut off",
			    left, w->wa->o->drain_timeout_s);
			return false;
		}
		poll(p, 2, ms > 60000 ? 60000 : (int)ms);
		if (read(w->done_fd, &n, sizeof n) == (ssize_t)sizeof n)
			left -= (int)n;
		while ((sig = signals_next(w->sig_fd)) != 0) {
			if (sig == SIGUSR2)
				reopen_logs(w);
			if (sig == SIGQUIT || ((sig == SIGTERM || sig == SIGINT) && left > 0)) {
				say(w, LOG_LEVEL_WARN, "told to stop at once: %d threads may be cut off",
				    left);
				return false;
			}
		}
	}
	return true;
}

int
worker_main(const struct worker_args *wa)
{
	struct worker *w = calloc(1, sizeof *w);
	char why[512] = "out of memory";

	if (w != NULL)
		w->wa = wa;
	if (wa->parent != 0) { /* dies with the parent, also when that died before this line */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != wa->parent)
			return 0;
	} else if (w != NULL) {
		watch_begin(&w->watch, wa->o->config);
	}
	if (w == NULL || !begin(w, why, sizeof why)) {
		if (w != NULL && wa->ready_fd < 0)
			say(w, LOG_LEVEL_ERROR, "cannot start: %s", why);
		tell_parent(wa->ready_fd, why);
		return 1;
	}
	tell_parent(wa->ready_fd, "R");
	const bool drained = wait_for_end(w) && drain(w);
	if (app_finish(&w->app) && drained) {
		counters_process_end(wa->sv->counters, w->lc.slot);
		app_close(&w->app);
		close(w->stop.event_fd);
		close(w->done_fd);
		close(w->sig_fd);
		free(w);
		return 0;
	}
	counters_process_end(wa->sv->counters, w->lc.slot);
	_exit(0); /* threads are still in the middle of something: no destructor may run under them */
}
