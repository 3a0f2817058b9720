/* The parent: preforks, restarts, replaces, drains. It serves nothing, has one thread and no connection.
 *
 * Workers belong to a generation, which is one loaded configuration. A reload loads the file here; when it is bad nothing
 * changes. Else the workers of the new generation start beside the old ones; when all of them take requests the old ones get
 * TERM; when one of them cannot begin, the new ones end and the old ones stay. A worker that dies is replaced with the
 * configuration that is in use, never with a file that nobody checked. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/ctx.h"
#include "base/log.h"
#include "base/str.h"
#include "listen.h"
#include "options.h"
#include "signals.h"
#include "watch.h"
#include "worker.h"

#define CHILDREN_MAX 2048
#define LOOK_MS      1000
#define YOUNG_MS     10000 /* a death before this age delays the next start */
#define BACKOFF_MS   100
#define BACKOFF_MAX  30000
#define KILL_AFTER_S 5 /* beyond the workers' own limit */

struct child {
	pid_t pid;
	unsigned generation;
	int ready_fd; /* -1 once it said something */
	bool ready, ending;
	int64_t start_ms;
	char why[512]; /* could not begin */
};
struct parent {
	const struct options *o;
	struct listener listener;
	int sig_fd;
	struct serving *now, *next;           /* next: a reload, or the start, is under way */
	unsigned generation, next_generation; /* of now and of next */
	unsigned last_generation;             /* numbers are given once */
	struct child *child;
	int n;
	struct watch watch;
	int64_t spawn_ms; /* not before */
	int deaths;       /* young ones in a row */
	bool reload_again, stopping, failed;
	int64_t kill_ms; /* 0 = no time set */
};

static int64_t
mono_ms(void)
{
	return clock_mono_us() / 1000;
}

static void __attribute__((format(printf, 3, 4)))
say(const struct parent *p, enum log_level level, const char *fmt, ...)
{
	const struct serving *sv = p->now != NULL ? p->now : p->next;
	const struct ctx c = { .log = sv == NULL ? NULL : sv->log };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_line(&c, level, "%s", text);
}

static void
count(const struct parent *p, enum counter which)
{
	const struct serving *sv = p->now != NULL ? p->now : p->next;

	counters_add(sv == NULL ? NULL : sv->counters, which, 1);
}

static void __attribute__((noreturn))
become_worker(struct parent *p, const struct serving *sv, int ready_fd, pid_t parent)
{
	const struct worker_args wa = {
		.o = p->o, .sv = sv, .listener = &p->listener, .ready_fd = ready_fd, .parent = parent
	};

	close(p->sig_fd);
	for (int i = 0; i < p->n; i++) {
		if (p->child[i].ready_fd >= 0)
			close(p->child[i].ready_fd);
	}
	_exit(worker_main(&wa));
}

static bool
spawn(struct parent *p, const struct serving *sv, unsigned generation)
{
	const pid_t parent = getpid();
	int fd[2];

	if (p->n == CHILDREN_MAX || pipe2(fd, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	const pid_t pid = fork();
	if (pid < 0) {
		say(p, LOG_LEVEL_ERROR, "fork: %s", strerrordesc_np(errno));
		close(fd[0]);
		close(fd[1]);
		return false;
	}
	if (pid == 0) {
		close(fd[0]);
		become_worker(p, sv, fd[1], parent);
	}
	close(fd[1]);
	p->child[p->n++] =
	    (struct child){ .pid = pid, .generation = generation, .ready_fd = fd[0], .start_ms = mono_ms() };
	return true;
}

static int
living(const struct parent *p, unsigned generation)
{
	int n = 0;

	for (int i = 0; i < p->n; i++)
		n += p->child[i].generation == generation && !p->child[i].ending;
	return n;
}

/* Sends sig to the children of a generation (0 = all); those that get it are not replaced as dead. */
static void
tell(struct parent *p, unsigned generation, int sig)
{
	for (int i = 0; i < p->n; i++) {
		if (generation != 0 && p->child[i].generation != generation)
			continue;
		p->child[i].ending = p->child[i].ending || sig != SIGUSR2;
		kill(p->child[i].pid, sig);
	}
}

static void
begin_next(struct parent *p, struct serving *sv)
{
	p->next = sv;
	p->next_generation = ++p->last_generation;
	for (int i = 0; i < p->o->workers; i++)
		spawn(p, sv, p->next_generation);
}

static void
reload(struct parent *p)
{
	struct serving *sv;
	char why[512];

	if (p->stopping)
		return;
	if (p->next != NULL) {
		p->reload_again = true;
		return;
	}
	watch_begin(&p->watch, p->o->config);
	if (!serving_open(p->o, &sv, why, sizeof why)) {
		count(p, CNT_RELOADS_FAILED);
		say(p, LOG_LEVEL_ERROR,
		    "reload: the new configuration is refused, the old one stays in use: %s", why);
		return;
	}
	say(p, LOG_LEVEL_INFO, "reload: the new configuration is good, starting %d workers with it",
	    p->o->workers);
	begin_next(p, sv);
}

static bool
write_pid_file(const struct options *o, char *why, size_t why_bytes)
{
	char text[32];

	if (o->pid_file == NULL)
		return true;
	const int fd = open(o->pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	const int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
	const bool ok = fd >= 0 && write(fd, text, (size_t)n) == n;
	if (!ok)
		snprintf(why, why_bytes, "pid file %s: %s", o->pid_file, strerrordesc_np(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Unless a pool that took over has put its own number there. */
static void
remove_pid_file(const struct options *o)
{
	char text[32] = "";
	int64_t pid;

	const int fd = o->pid_file == NULL ? -1 : open(o->pid_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	const ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n > 1 && str_to_i64((struct str){ text, (size_t)n - 1 }, 1, INT32_MAX, &pid) && pid == getpid())
		unlink(o->pid_file);
}

/* The workers are ready: from here on the path leads to this pool. */
static bool
take_over(struct parent *p)
{
	const pid_t before = p->listener.before;
	char why[512];

	if (!listener_publish(&p->listener, why, sizeof why) || !write_pid_file(p->o, why, sizeof why)) {
		say(p, LOG_LEVEL_ERROR, "cannot take over: %s", why);
		tell(p, 0, SIGTERM);
		p->stopping = p->failed = true;
		return false;
	}
	if (before != 0)
		say(p, LOG_LEVEL_INFO, "%s is taken over from process %d", p->listener.text, (int)before);
	return true;
}

/* The new generation takes requests: the old one ends. */
static void
promote(struct parent *p)
{
	const bool first = p->now == NULL;

	if (!first) {
		count(p, CNT_RELOADS);
		tell(p, p->generation, SIGTERM);
		serving_free(p->now);
	}
	p->now = p->next;
	p->next = NULL;
	p->generation = p->next_generation;
	p->deaths = 0;
	if (first && p->o->take_over && !take_over(p))
		return;
	if (first)
		say(p, LOG_LEVEL_INFO, "ready: %d workers, %d threads each, pool %s, %s", p->o->workers,
		    p->o->threads, p->o->pool, p->listener.text);
	else
		say(p, LOG_LEVEL_INFO, "reload: done, the old workers end after their running requests");
	if (p->reload_again) {
		p->reload_again = false;
		reload(p);
	}
}

/* A worker of the new generation could not begin: back to the old one, or out when there is none. */
static void
give_up_next(struct parent *p, const char *why)
{
	tell(p, p->next_generation, SIGTERM);
	if (p->now == NULL) {
		say(p, LOG_LEVEL_ERROR, "cannot start: %s", why);
		p->stopping = p->failed = true;
		return;
	}
	counters_add(p->now->counters, CNT_RELOADS_FAILED, 1);
	say(p, LOG_LEVEL_ERROR,
	    "reload: a worker with the new configuration could not begin, the old workers stay: %s", why);
	serving_free(p->next);
	p->next = NULL;
}

static void
read_ready(struct child *ch)
{
	char text[sizeof ch->why];
	const ssize_t k = read(ch->ready_fd, text, sizeof text - 1);

	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(ch->ready_fd);
	ch->ready_fd = -1;
	if (k <= 0)
		return;
	text[k] = '\0';
	ch->ready = text[0] == 'R' && k == 1;
	if (!ch->ready)
		memcpy(ch->why, text, (size_t)k + 1);
}

static void
describe_end(const struct child *ch, int status, char *out, size_t bytes)
{
	const double age_s = (double)(mono_ms() - ch->start_ms) / 1000;

	if (WIFSIGNALED(status))
		snprintf(out, bytes, "worker %d was ended by signal %d (%s)%s after %.1f s", (int)ch->pid,
		         WTERMSIG(status), sigdescr_np(WTERMSIG(status)),
		         WCOREDUMP(status) ? ", core dumped," : "", age_s);
	else if (ch->why[0] != '\0')
		snprintf(out, bytes, "worker %d could not begin: %s", (int)ch->pid, ch->why);
	else
		snprintf(out, bytes, "worker %d ended with code %d after %.1f s", (int)ch->pid,
		         WEXITSTATUS(status), age_s);
}

static void
back_off(struct parent *p, const struct child *ch)
{
	if (mono_ms() - ch->start_ms >= YOUNG_MS) {
		p->deaths = 0;
		return;
	}
	int64_t ms = BACKOFF_MS;
	for (int i = 0; i < p->deaths && ms < BACKOFF_MAX; i++)
		ms *= 2;
	p->deaths++;
	p->spawn_ms = mono_ms() + (ms > BACKOFF_MAX ? BACKOFF_MAX : ms);
}

static void
buried(struct parent *p, const struct child *ch, int status)
{
	const bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char text[700];

	describe_end(ch, status, text, sizeof text);
	counters_process_reap(p->now != NULL    ? p->now->counters
	                      : p->next != NULL ? p->next->counters
	                                        : NULL,
	                      ch->pid);
	if (clean) { /* asked to, or it served its number of requests */
		say(p, LOG_LEVEL_DEBUG, "%s", text);
		return;
	}
	count(p, CNT_WORKER_DEATHS);
	if (p->next != NULL && ch->generation == p->next_generation && !ch->ending) {
		give_up_next(p, text);
		return;
	}
	say(p, LOG_LEVEL_ERROR, "%s%s", text, ch->ending ? "" : "; it will be replaced");
	if (!ch->ending)
		back_off(p, ch);
}

static void
reap(struct parent *p)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < p->n; i++) {
			if (p->child[i].pid != pid)
				continue;
			struct child ch = p->child[i];
			if (ch.ready_fd >= 0)
				read_ready(&ch);
			if (ch.ready_fd >= 0)
				close(ch.ready_fd);
			p->child[i] = p->child[--p->n];
			buried(p, &ch, status);
			break;
		}
	}
}

static void
stop(struct parent *p, bool at_once)
{
	if (at_once || p->stopping) {
		say(p, LOG_LEVEL_WARN, "stopping at once, %d workers", p->n);
		tell(p, 0, SIGQUIT);
		p->kill_ms = mono_ms() + 2000;
	} else {
		say(p, LOG_LEVEL_INFO, "stopping: %d workers finish their running requests, %d s at most",
		    p->n, p->o->drain_timeout_s);
		listener_hide(&p->listener); /* the workers serve what waits in it */
		tell(p, 0, SIGTERM);
		p->kill_ms = mono_ms() + ((int64_t)p->o->drain_timeout_s + KILL_AFTER_S) * 1000;
	}
	p->stopping = true;
}

static void
reopen_logs(const struct serving *sv)
{
	if (sv == NULL)
		return;
	log_reopen(sv->log);
	if (sv->access != sv->log)
		log_reopen(sv->access);
}

static void
take_signals(struct parent *p)
{
	int sig;

	while ((sig = signals_next(p->sig_fd)) != 0) {
		switch (sig) {
		case SIGTERM:
		case SIGINT:
			stop(p, false);
			break;
		case SIGQUIT:
			stop(p, true);
			break;
		case SIGHUP:
			reload(p);
			break;
		case SIGUSR2:
			reopen_logs(p->now);
			reopen_logs(p->next); /* its workers may not be forked yet */
			tell(p, 0, SIGUSR2);
			say(p, LOG_LEVEL_INFO, "logs reopened");
			break;
		default: /* SIGCHLD: reap() follows anyway */
			break;
		}
	}
}

/* What the state asks for now. */
static void
advance(struct parent *p)
{
	const int64_t now_ms = mono_ms();
	int ready = 0;

	if (p->kill_ms != 0 && now_ms >= p->kill_ms && p->n > 0) {
		say(p, LOG_LEVEL_WARN, "%d workers did not end in time and are killed", p->n);
		tell(p, 0, SIGKILL);
		p->kill_ms = now_ms + 2000;
	}
	if (p->stopping)
		return;
	if (p->next != NULL) {
		for (int i = 0; i < p->n; i++)
			ready += p->child[i].generation == p->next_generation && p->child[i].ready;
		if (ready == p->o->workers)
			promote(p);
		else if (living(p, p->next_generation) < p->o->workers)
			spawn(p, p->next, p->next_generation);
	}
	if (p->now != NULL && now_ms >= p->spawn_ms) {
		for (int k = living(p, p->generation); k < p->o->workers; k++)
			spawn(p, p->now, p->generation);
	}
}

static void
wait_for_news(struct parent *p)
{
	struct pollfd fds[CHILDREN_MAX + 1];
	int at[CHILDREN_MAX + 1], n = 1;

	fds[0] = (struct pollfd){ .fd = p->sig_fd, .events = POLLIN };
	for (int i = 0; i < p->n; i++) {
		if (p->child[i].ready_fd >= 0) {
			at[n] = i;
			fds[n++] = (struct pollfd){ .fd = p->child[i].ready_fd, .events = POLLIN };
		}
	}
	const int64_t left = p->spawn_ms - mono_ms();
	poll(fds, (nfds_t)n, left > 0 && left < LOOK_MS ? (int)left : LOOK_MS);
	for (int i = 1; i < n; i++) {
		if (fds[i].revents != 0)
			read_ready(&p->child[at[i]]);
	}
}

static int
serve_as_parent(struct parent *p, struct serving *sv)
{
	char why[512];

	if (!p->o->take_over && !write_pid_file(p->o, why, sizeof why)) {
		say(p, LOG_LEVEL_ERROR, "cannot start: %s", why);
		return 1;
	}
	begin_next(p, sv);
	while (!p->stopping || p->n > 0) {
		wait_for_news(p);
		take_signals(p);
		reap(p);
		if (watch_changed(&p->watch))
			reload(p);
		advance(p);
	}
	say(p, LOG_LEVEL_INFO, "stopped");
	remove_pid_file(p->o);
	return p->failed ? 1 : 0;
}

static void
parent_free(struct parent *p)
{
	if (p == NULL)
		return;
	serving_free(p->now);
	serving_free(p->next);
	free(p->child);
	free(p);
}

/* The socket is open and the configuration good: p->next holds it. */
static int
serve(struct parent *p)
{
	struct serving *sv = p->next;
	int code;

	say(p, LOG_LEVEL_INFO, "kade.fcgi %s starts, configuration %s, %s", PACKAGE_VERSION, p->o->config,
	    p->listener.text);
	if (p->listener.warning != NULL)
		say(p, LOG_LEVEL_WARN, "%s", p->listener.warning);
	if (p->o->managed) {
		close(p->sig_fd);
		code = worker_main(&(const struct worker_args){
		    .o = p->o, .sv = sv, .listener = &p->listener, .ready_fd = -1 });
		listener_close(&p->listener);
		_exit(code); /* as a parent's worker ends: what lives as long as the process is not freed */
	}
	code = serve_as_parent(p, sv);
	listener_close(&p->listener);
	return code;
}

int
process_run(const struct options *o)
{
	struct parent *p = calloc(1, sizeof *p);
	char why[512] = "out of memory";
	int code = 1;

	signals_block();
	if (p != NULL) {
		p->o = o;
		p->child = calloc(CHILDREN_MAX, sizeof *p->child);
		p->sig_fd = signals_open();
		watch_begin(&p->watch, o->config);
	}
	if (p != NULL && p->child != NULL && p->sig_fd >= 0 && serving_open(o, &p->next, why, sizeof why) &&
	    listener_open(o, &p->listener, why, sizeof why)) {
		code = serve(p);
	} else {
		const struct ctx c = { .log = p == NULL || p->next == NULL ? NULL : p->next->log };
		log_line(&c, LOG_LEVEL_ERROR, "cannot start: %s", why);
	}
	parent_free(p);
	return code;
}
