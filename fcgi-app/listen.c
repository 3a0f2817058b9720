/* Where connections come from. Whoever can open the socket is the web server to us: a Unix socket has mode 0660, a TCP
 * address that is not this host's own loopback draws a warning. */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "options.h"

#define LISTEN_FDS_START 3 /* as the service manager hands them over */

struct made {
	const struct options *o;
	struct listener *l;
	char *why;
	size_t why_bytes;
};

static bool __attribute__((format(printf, 2, 3))) fail(const struct made *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->why, m->why_bytes, fmt, ap);
	va_end(ap);
	return false;
}

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t n = sizeof on;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on != 0;
}

static bool
settle(const struct made *m, int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return fail(m, "%s: %s", m->l->text, strerrordesc_np(errno));
	m->l->fd = fd;
	return true;
}

/* The number of descriptors handed over by a service manager to this very process. */
static bool
has_listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int64_t v;

	return pid != NULL && fds != NULL && str_to_i64(str_of(pid), 1, INT32_MAX, &v) && v == getpid() &&
	       str_to_i64(str_of(fds), 1, 1024, &v) && is_listening(LISTEN_FDS_START);
}

/* who: of the process that listens there, when that is known: its credentials are those of the moment of listen(2). */
static bool
somebody_answers(const struct sockaddr_un *sa, struct ucred *who)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t n = sizeof *who;
	bool answers;

	*who = (struct ucred){ .uid = (uid_t)-1 };
	if (fd < 0)
		return true;
	/* EAGAIN: a full backlog is an answer too */
	answers =
	    connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0 || errno == EAGAIN || errno == EACCES;
	if (answers && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &n) != 0)
		who->pid = 0;
	close(fd);
	return answers;
}

static bool
name_of(pid_t pid, char out[32])
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, out, 31);
	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* A pool of this user, of this program: nobody else is told to end. */
static bool
is_one_of_us(const struct ucred *who)
{
	char theirs[32], ours[32];

	return who->pid > 1 && who->uid == geteuid() && name_of(who->pid, theirs) &&
	       name_of(getpid(), ours) && strcmp(theirs, ours) == 0;
}

static bool
may_replace(const struct made *m, const char *path, const struct sockaddr_un *sa)
{
	struct stat st;
	struct ucred who;

	if (lstat(path, &st) != 0)
		return errno == ENOENT || fail(m, "%s: %s", path, strerrordesc_np(errno));
	if (!S_ISSOCK(st.st_mode))
		return fail(m, "%s exists and is no socket", path);
	if (!somebody_answers(sa, &who))
		return true;
	if (!m->o->take_over)
		return fail(m, "%s: another process serves this socket", path);
	if (!is_one_of_us(&who))
		return fail(m, "%s: a process that is no pool of this user serves this socket", path);
	m->l->before = who.pid;
	return true;
}

/* Makes the socket ready under a name of its own before it takes the public one, so no client meets it half made. */
static bool
bind_ready(const struct made *m, int fd, const char *tmp, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const mode_t old = umask(0177);
	struct stat st;

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", tmp);
	const int bound = bind(fd, (const struct sockaddr *)&sa, sizeof sa);
	const int e = errno;
	umask(old);
	if (bound != 0)
		return fail(m, "%s: %s", tmp, strerrordesc_np(e));
	if (m->o->socket_group != NULL) {
		const struct group *g = getgrnam(m->o->socket_group);
		if (g == NULL)
			return fail(m, "--socket-group: no group %s", m->o->socket_group);
		if (chown(tmp, (uid_t)-1, g->gr_gid) != 0)
			return fail(m, "%s: cannot give it to group %s: %s", path, m->o->socket_group,
			            strerrordesc_np(errno));
	}
	if (chmod(tmp, 0660) != 0 || listen(fd, m->o->backlog) != 0 || lstat(tmp, &st) != 0 ||
	    (m->l->before == 0 && rename(tmp, path) != 0))
		return fail(m, "%s: %s", path, strerrordesc_np(errno));
	if (m->l->before != 0)
		snprintf(m->l->tmp, sizeof m->l->tmp, "%s", tmp);
	m->l->path = path;
	m->l->dev = st.st_dev;
	m->l->ino = st.st_ino;
	return true;
}

static bool
open_unix(const struct made *m, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char tmp[sizeof sa.sun_path];

	if (path[0] != '/')
		return fail(m, "--listen: unix:%s: an absolute path is needed", path);
	if (snprintf(tmp, sizeof tmp, "%s.%d", path, (int)getpid()) >= (int)sizeof tmp)
		return fail(m, "--listen: %s: the path is too long for a socket", path);
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	snprintf(m->l->text, sizeof m->l->text, "unix:%s", path);
	if (!may_replace(m, path, &sa))
		return false;
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(m, "socket: %s", strerrordesc_np(errno));
	unlink(tmp);
	if (!bind_ready(m, fd, tmp, path) || !settle(m, fd)) {
		unlink(tmp);
		close(fd);
		return false;
	}
	return true;
}

static bool
is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24 == 127;
	return sa->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

static bool
open_tcp(const struct made *m, const char *where)
{
	struct addrinfo want = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM },
	                *found;
	struct str host, port;
	char h[256], p[8];
	const int one = 1;

	if (!str_rcut(str_of(where), ':', &host, &port) || host.n == 0 || port.n == 0 || port.n >= sizeof p ||
	    host.n >= sizeof h)
		return fail(m, "--listen: unix:PATH or HOST:PORT expected, not %s", where);
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 1);
	snprintf(h, sizeof h, "%.*s", STRF(host));
	snprintf(p, sizeof p, "%.*s", STRF(port));
	const int e = getaddrinfo(h, p, &want, &found);
	if (e != 0)
		return fail(m, "--listen: %s: %s", where, gai_strerror(e));
	snprintf(m->l->text, sizeof m->l->text, "%s", where);
	if (!is_loopback(found->ai_addr))
		m->l->warning = "the socket is reachable over the network: whoever reaches it is the web "
		                "server to this program";
	const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
	          bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, m->o->backlog) == 0;
	if (!ok)
		fail(m, "%s: %s", where, strerrordesc_np(errno));
	freeaddrinfo(found);
	ok = ok && settle(m, fd);
	if (!ok && fd >= 0)
		close(fd);
	return ok;
}

bool
listener_open(const struct options *o, struct listener *out, char *why, size_t why_bytes)
{
	struct listener l = { .fd = -1 };
	const struct made m = { .o = o, .l = &l, .why = why, .why_bytes = why_bytes };
	bool ok;

	if (is_listening(STDIN_FILENO)) {
		snprintf(l.text, sizeof l.text, "descriptor 0");
		ok = settle(&m, STDIN_FILENO);
	} else if (has_listen_fds()) {
		snprintf(l.text, sizeof l.text, "descriptor %d (LISTEN_FDS)", LISTEN_FDS_START);
		ok = settle(&m, LISTEN_FDS_START);
	} else if (o->listen == NULL) {
		ok = fail(&m, "no listening socket: descriptor 0 is none, LISTEN_FDS is not set, and "
		              "--listen is missing");
	} else if (str_starts(str_of(o->listen), STR("unix:"))) {
		ok = open_unix(&m, o->listen + 5);
	} else {
		ok = open_tcp(&m, o->listen);
	}
	if (ok)
		*out = l;
	return ok;
}

bool
listener_publish(struct listener *l, char *why, size_t why_bytes)
{
	if (l->tmp[0] == '\0')
		return true;
	if (rename(l->tmp, l->path) != 0) {
		snprintf(why, why_bytes, "%s: %s", l->path, strerrordesc_np(errno));
		return false;
	}
	l->tmp[0] = '\0';
	kill(l->before, SIGTERM); /* gone by itself meanwhile: as good */
	return true;
}

static bool
has_path(const struct listener *l)
{
	struct stat st;

	return lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino;
}

bool
listener_is_hidden(const struct listener *l)
{
	return l->path != NULL && !has_path(l);
}

void
listener_hide(const struct listener *l)
{
	if (l->path == NULL)
		return;
	if (l->tmp[0] != '\0')
		unlink(l->tmp);
	if (has_path(l))
		unlink(l->path);
}

void
listener_close(struct listener *l)
{
	close(l->fd);
	listener_hide(l);
}
