/* The log sink. A file descriptor is replaced with dup2() on reopen, so a writer never sees a closed one. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/ctx.h"

#define LINE_BYTES 8192

struct log {
	int fd; /* -1 = syslog */
	_Atomic int max;
	_Atomic uint64_t dropped;
	char *path; /* NULL = not a file */
	const char *program;
};

static const char *const LEVEL[] = { "error", "warn", "info", "debug" };
static const int SYSLOG_LEVEL[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log *
log_open(const char *target, const char *program, enum log_level max)
{
	struct log *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->program = program;
	atomic_store(&l->max, (int)max);
	l->fd = STDERR_FILENO;
	if (target == NULL || strcmp(target, "-") == 0)
		return l;
	if (strcmp(target, "syslog") == 0) {
		openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
		l->fd = -1;
		return l;
	}
	l->path = strdup(target);
	l->fd = open(target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (l->fd < 0 || l->path == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

void
log_close(struct log *l)
{
	if (l == NULL)
		return;
	if (l->path != NULL)
		close(l->fd);
	free(l->path);
	free(l);
}

void
log_reopen(struct log *l)
{
	int fd;

	if (l == NULL || l->path == NULL)
		return;
	fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		return; /* keep the old file: better than none */
	dup3(fd, l->fd, O_CLOEXEC);
	close(fd);
}

void
log_set_level(struct log *l, enum log_level max)
{
	atomic_store(&l->max, (int)max);
}

uint64_t
log_dropped(const struct log *l)
{
	return atomic_load(&l->dropped);
}

static void
put(struct log *l, enum log_level level, const char *line, size_t n)
{
	if (l != NULL && l->fd < 0) {
		syslog(SYSLOG_LEVEL[level], "%.*s", (int)(n > 0 ? n - 1 : 0), line);
		return;
	}
	/* One write per line: O_APPEND keeps lines of several processes whole. */
	if (write(l == NULL ? STDERR_FILENO : l->fd, line, n) != (ssize_t)n && l != NULL)
		atomic_fetch_add(&l->dropped, 1);
}

static bool
wanted(const struct log *l, enum log_level level)
{
	return l == NULL ? level <= LOG_LEVEL_INFO : (int)level <= atomic_load(&l->max);
}

static void
begin(struct buf *b, const struct log *l, enum log_level level)
{
	buf_putf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d",
	         clock_iso_ms(b->mem, clock_now_ms()), LEVEL[level],
	         l == NULL || l->program == NULL ? "kade" : l->program, (int)getpid());
}

void
log_members(struct log *l, enum log_level level, struct str members)
{
	if (!wanted(l, level))
		return;
	struct arena *mem = arena_new(0); /* apart from the request's, which may be full */
	struct buf b = BUF(mem);
	begin(&b, l, level);
	if (members.n > 0) {
		buf_putc(&b, ',');
		buf_put(&b, members);
	}
	buf_puts(&b, "}\n");
	put(l, level, b.p, b.n);
	arena_free(mem);
}

void
log_line(const struct ctx *c, enum log_level level, const char *fmt, ...)
{
	struct log *l = c == NULL ? NULL : c->log;
	char text[LINE_BYTES / 2];
	va_list ap;

	if (!wanted(l, level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	struct arena *mem = arena_new(0);
	struct buf b = BUF(mem);
	begin(&b, l, level);
	if (c != NULL && c->id[0] != '\0')
		buf_putf(&b, ",\"id\":\"%s\"", c->id);
	buf_puts(&b, ",\"msg\":");
	buf_put_json(&b, str_of(text));
	buf_puts(&b, "}\n");
	put(l, level, b.p, b.n);
	arena_free(mem);
}
