/* kade-doctor: is the web server in front of the registry set up so that image clients work? It sends,
 * through the real server, what clients send and what settings are known to break, says what came back, and
 * names the directive. For the person who installs Kade, and for the test suite. It needs no database and no
 * configuration of the registry, only its URL and an account that may push to one repository. What it makes
 * there it removes again.
 *
 * Exit codes: 0 all is well (warnings allowed), 1 a check failed, 2 usage, 5 no connection. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "doctor.h"

#define EXIT_USAGE   2
#define EXIT_CONNECT 5
#define SIZE_MAX_MIB 65536
#define NEEDS_BEARER "needs --user and --password-file"

static const char USAGE[] =
    "usage: kade-doctor [options] URL\n"
    "       kade-doctor [--config FILE] [--socket PATH] [--web-spool DIR]     (this host's files alone)\n"
    "Checks the web server in front of a Kade registry. URL: the public one, as "
    "https://registry.example.com\n"
    "  --user NAME             account or robot that may push to the repository\n"
    "  --password-file FILE    its password, on the first line; - = standard input\n"
    "  --repository NS/NAME    used for the uploads (default NAME/kade-doctor); what is pushed is removed "
    "again\n"
    "  --connect HOST:PORT     connect there instead of to the URL's host\n"
    "  --server-hint SERVER    lighttpd, apache-proxy-fcgi, apache-fcgid or nginx, when the server does not "
    "say\n"
    "  --cacert FILE           trust these certificates too\n"
    "  --insecure              go on when the certificate does not verify, or send a password without TLS\n"
    "  --large-mib N           size of the large upload (default 70)\n"
    "  --chunked-mib N         size of the upload without a length (default 8)\n"
    "  --announce-gib N        length announced to find a body limit (default 10)\n"
    "  --timeout SECONDS       without a byte (default 60)\n"
    "  --config FILE           config.yaml: expected names, and who may read the registry's files on this "
    "host\n"
    "  --socket PATH           FastCGI socket whose permissions are checked (repeatable)\n"
    "  --web-spool DIR         the web server's upload folder\n"
    "  --json                  one JSON object instead of lines\n"
    "  --help\n";

enum option_id {
	OPT_USER = 1000,
	OPT_PASSWORD,
	OPT_REPOSITORY,
	OPT_CONNECT,
	OPT_HINT,
	OPT_CACERT,
	OPT_INSECURE,
	OPT_LARGE,
	OPT_CHUNKED,
	OPT_ANNOUNCE,
	OPT_TIMEOUT,
	OPT_CONFIG,
	OPT_SOCKET,
	OPT_WEB_SPOOL,
	OPT_JSON,
	OPT_HELP
};
static const struct option LONG[] = {
	{"user",           required_argument, NULL, OPT_USER      },
	{ "password-file", required_argument, NULL, OPT_PASSWORD  },
	{ "repository",    required_argument, NULL, OPT_REPOSITORY},
	{ "connect",       required_argument, NULL, OPT_CONNECT   },
	{ "server-hint",   required_argument, NULL, OPT_HINT      },
	{ "cacert",        required_argument, NULL, OPT_CACERT    },
	{ "insecure",      no_argument,       NULL, OPT_INSECURE  },
	{ "large-mib",     required_argument, NULL, OPT_LARGE     },
	{ "chunked-mib",   required_argument, NULL, OPT_CHUNKED   },
	{ "announce-gib",  required_argument, NULL, OPT_ANNOUNCE  },
	{ "timeout",       required_argument, NULL, OPT_TIMEOUT   },
	{ "config",        required_argument, NULL, OPT_CONFIG    },
	{ "socket",        required_argument, NULL, OPT_SOCKET    },
	{ "web-spool",     required_argument, NULL, OPT_WEB_SPOOL },
	{ "json",          no_argument,       NULL, OPT_JSON      },
	{ "help",          no_argument,       NULL, OPT_HELP      },
	{ NULL,            0,                 NULL, 0             }
};

struct words { /* options that are looked at after all are read */
	const char *password_file, *cacert, *connect, *url;
	bool help;
};

static int __attribute__((format(printf, 1, 2))) usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("kade-doctor: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("\nTry kade-doctor --help\n", stderr);
	va_end(ap);
	return EXIT_USAGE;
}

/* --large-mib and its like: the number times unit. */
static int
take_number(const char *name, int64_t max, int64_t unit, int64_t *out)
{
	int64_t n;

	if (!str_to_i64(str_of(optarg), 1, max, &n))
		return usage("--%s: a number from 1 to %lld is needed", name, (long long)max);
	*out = n * unit;
	return 0;
}

static int
take_option(struct doctor *d, struct words *u, int o)
{
	int64_t n = 0;

	switch (o) {
	case OPT_USER:
		d->user = optarg;
		return 0;
	case OPT_PASSWORD:
		u->password_file = optarg;
		return 0;
	case OPT_REPOSITORY:
		d->repo = optarg;
		return 0;
	case OPT_CONNECT:
		u->connect = optarg;
		return 0;
	case OPT_CACERT:
		u->cacert = optarg;
		return 0;
	case OPT_INSECURE:
		d->w->insecure = true;
		return 0;
	case OPT_CONFIG:
		d->config = optarg;
		return 0;
	case OPT_WEB_SPOOL:
		d->web_spool = optarg;
		return 0;
	case OPT_JSON:
		d->json = true;
		return 0;
	case OPT_HELP:
		u->help = true;
		return 0;
	case OPT_LARGE:
		return take_number("large-mib", SIZE_MAX_MIB, 1 << 20, &d->large_bytes);
	case OPT_CHUNKED:
		return take_number("chunked-mib", SIZE_MAX_MIB, 1 << 20, &d->chunked_bytes);
	case OPT_ANNOUNCE:
		return take_number("announce-gib", 1024, 1 << 30, &d->announce_bytes);
	case OPT_TIMEOUT:
		if (take_number("timeout", 3600, 1000, &n) != 0)
			return EXIT_USAGE;
		d->w->idle_ms = (int)n;
		return 0;
	case OPT_HINT:
		d->server_told = true;
		return advice_server_of_hint(optarg, &d->server)
		           ? 0
		           : usage("--server-hint: unknown server %s", optarg);
	case OPT_SOCKET:
		if (d->n_sockets == 8)
			return usage("--socket: at most 8");
		d->sockets[d->n_sockets++] = optarg;
		return 0;
	default:
		return usage("wrong option");
	}
}

static bool
is_authority(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f ||
		    strchr("/@?#\\\"", s.p[i]) != NULL)
			return false;
	return s.n > 0 && s.n < 300;
}

/* host, host:port, [v6] and [v6]:port. */
static bool
split_authority(struct doctor *d, struct str s, const char *default_port, const char **host,
                const char **port)
{
	struct str h = s, p = str_of(default_port);
	const ptrdiff_t bracket = s.n > 0 && s.p[0] == '[' ? str_find(s, ']') : -1;
	int64_t n;

	if (bracket > 0) {
		h = str_sub(s, 1, (size_t)bracket);
		if ((size_t)bracket + 1 < s.n) {
			if (s.p[bracket + 1] != ':')
				return false;
			p = str_sub(s, (size_t)bracket + 2, s.n);
		}
	} else if (str_find(s, ':') >= 0) {
		str_cut(s, ':', &h, &p);
	}
	if (h.n == 0 || !str_to_i64(p, 1, 65535, &n))
		return false;
	*host = str_dup(d->c->mem, h);
	*port = str_fmt(d->c->mem, "%d", (int)n);
	return true;
}

static int
take_url(struct doctor *d, const char *url, const char *connect)
{
	struct str s = str_of(url), authority, path;
	const bool tls = str_starts(s, STR("https://"));

	if (!tls && !str_starts(s, STR("http://")))
		return usage("the URL must begin with https:// or http://");
	s = str_sub(s, tls ? 8 : 7, s.n);
	str_cut(s, '/', &authority, &path);
	if (path.n > 0 && !str_eq_c(path, "v2") && !str_eq_c(path, "v2/"))
		return usage("a registry has no path: /v2/ stands at the host's root");
	if (!is_authority(authority) ||
	    !split_authority(d, authority, tls ? "443" : "80", &d->w->host, &d->w->dial_port))
		return usage("the URL's host cannot be read");
	d->scheme = tls ? "https" : "http";
	d->w->authority = str_dup(d->c->mem, authority);
	d->w->dial_host = d->w->host;
	if (connect != NULL &&
	    (!is_authority(str_of(connect)) ||
	     !split_authority(d, str_of(connect), d->w->dial_port, &d->w->dial_host, &d->w->dial_port)))
		return usage("--connect: HOST:PORT is needed");
	d->expect_service = d->w->authority;
	d->expect_realm = str_fmt(d->c->mem, "%s://%s/v2/auth", d->scheme, d->w->authority);
	d->service = d->expect_service;
	d->realm_path = "/v2/auth";
	return 0;
}

static bool
is_repository(const char *s)
{
	const size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/", s[i]) ==
		    NULL)
			return false;
	return n > 0 && n < 256 && s[0] != '/' && s[n - 1] != '/' && strstr(s, "//") == NULL &&
	       strstr(s, "..") == NULL;
}

static int
take_password(struct doctor *d, const char *file)
{
	char line[1024];
	struct stat st;
	FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");

	if (f == NULL)
		return usage("%s: %s", file, strerrordesc_np(errno));
	if (f != stdin && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0)
		fprintf(stderr, "kade-doctor: %s can be read by every user of this host\n", file);
	const bool got = fgets(line, sizeof line, f) != NULL;
	if (f != stdin)
		fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	if (!got || line[0] == '\0' || strlen(line) == sizeof line - 1)
		return usage("%s: no password on the first line", file);
	d->password = str_dup_c(d->c->mem, line);
	d->basic = str_fmt(d->c->mem, "Basic %s",
	                   base64_put(d->c->mem, str_of(str_fmt(d->c->mem, "%s:%s", d->user, line))));
	explicit_bzero(line, sizeof line);
	return 0;
}

static int
take_credentials(struct doctor *d, const struct words *u)
{
	struct str ns, rest;

	if ((d->user == NULL) != (u->password_file == NULL))
		return usage("--user and --password-file belong together");
	if (d->user == NULL) {
		d->repo = d->repo == NULL ? "kade-doctor/probe" : d->repo;
	} else {
		if (d->user[0] == '\0' || strchr(d->user, ':') != NULL)
			return usage("--user: a name without a colon is needed");
		str_cut(str_of(d->user), '+', &ns, &rest);
		d->repo = d->repo == NULL ? str_fmt(d->c->mem, "%.*s/kade-doctor", STRF(ns)) : d->repo;
	}
	if (!is_repository(d->repo))
		return usage("%s is no repository name: use --repository NS/NAME", d->repo);
	return u->password_file == NULL ? 0 : take_password(d, u->password_file);
}

static bool
is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static int
set_up_tls(struct doctor *d, const char *cacert)
{
	if (strcmp(d->scheme, "https") != 0)
		return d->basic != NULL && !is_loopback(d->w->dial_host) && !d->w->insecure
		           ? usage("a password without TLS is sent to this host only, or with --insecure")
		           : 0;
	d->w->tls = SSL_CTX_new(TLS_client_method());
	if (d->w->tls == NULL)
		return usage("OpenSSL gives no context");
	/* the result of the check is read after the handshake, before a byte is sent: see wire_open() */
	SSL_CTX_set_verify(d->w->tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_min_proto_version(d->w->tls, TLS1_2_VERSION);
	SSL_CTX_set_mode(d->w->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_default_verify_paths(d->w->tls);
	if (cacert != NULL && SSL_CTX_load_verify_file(d->w->tls, cacert) != 1)
		return usage("--cacert: %s holds no certificate", cacert);
	return 0;
}

static void
watch_signals(struct doctor *d)
{
	sigset_t s;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&s);
	sigaddset(&s, SIGINT);
	sigaddset(&s, SIGTERM);
	sigaddset(&s, SIGHUP);
	sigprocmask(SIG_BLOCK, &s, NULL);
	d->w->signal_fd = signalfd(-1, &s, SFD_CLOEXEC);
}

/* The first connection: is there a server, and is its certificate right? */
static int
check_connection(struct doctor *d)
{
	struct wire_tls f = { 0 };
	const char *why = NULL;
	const bool open = wire_open(d->w, &f, &why);

	wire_close(d->w);
	if (!open && !f.used) {
		report(d, SEEN_FAIL, NO_TROUBLE, "connect", "%s:%s: %s", d->w->dial_host, d->w->dial_port,
		       why);
		return EXIT_CONNECT;
	}
	report(d, SEEN_OK, NO_TROUBLE, "connect", "%s:%s", d->w->dial_host, d->w->dial_port);
	if (!f.used) {
		report(d, is_loopback(d->w->host) ? SEEN_OK : SEEN_WARN, NO_TROUBLE, "TLS", "none: %s",
		       is_loopback(d->w->host) ? "this is a loopback address"
		                               : "passwords, tokens and images travel in the clear");
		return 0;
	}
	if (f.verify != X509_V_OK) {
		report(d, d->w->insecure ? SEEN_WARN : SEEN_FAIL, TROUBLE_TLS, "TLS", "%s: %s", f.protocol,
		       f.reason);
		return d->w->insecure ? 0 : 1;
	}
	report(d, f.days_left < 14 ? SEEN_WARN : SEEN_OK, NO_TROUBLE, "TLS",
	       "%s, the certificate verifies, %d days left", f.protocol, f.days_left);
	return 0;
}

struct check {
	const char *name;
	void (*run)(struct doctor *);
	enum { NEEDS_NOTHING, NEEDS_BASIC, NEEDS_TOKEN, NEEDS_FIXTURE } needs;
};
static const struct check CHECKS[] = {
	{"authorization",   check_authorization, NEEDS_NOTHING},
	{ "header size",    check_headers,       NEEDS_NOTHING},
	{ "paths",          check_paths,         NEEDS_NOTHING},
	{ "refusal",        check_refusal,       NEEDS_NOTHING},
	{ "token",          check_token,         NEEDS_BASIC  },
	{ "chunked upload", check_chunked,       NEEDS_TOKEN  },
	{ "large upload",   check_large,         NEEDS_TOKEN  },
	{ "body limit",     check_limit,         NEEDS_TOKEN  },
	{ "expect",         check_expect,        NEEDS_TOKEN  },
	{ "cut upload",     check_cut_patch,     NEEDS_TOKEN  },
	{ "cut commit",     check_cut_put,       NEEDS_TOKEN  },
	{ "push",           check_fixture,       NEEDS_TOKEN  },
	{ "accept",         check_accept,        NEEDS_FIXTURE},
	{ "head",           check_head,          NEEDS_FIXTURE},
	{ "range",          check_range,         NEEDS_FIXTURE},
	{ "compression",    check_compression,   NEEDS_FIXTURE},
};

static const char *
missing(const struct doctor *d, const struct check *k)
{
	if (d->w->stopped)
		return "stopped by a signal";
	if (k->needs >= NEEDS_BASIC && d->basic == NULL)
		return NEEDS_BEARER;
	if (k->needs >= NEEDS_BASIC && !d->auth_arrives)
		return "needs Authorization to arrive";
	if (k->needs >= NEEDS_TOKEN && d->bearer == NULL)
		return "needs a token";
	return k->needs >= NEEDS_FIXTURE && d->index == NULL ? "needs the pushed artifact" : NULL;
}

static int
examine(struct doctor *d)
{
	const int r = check_connection(d);

	if (r != 0)
		return r;
	if (!check_ping(d))
		return 1;
	for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++) {
		const char *why = missing(d, &CHECKS[i]);
		if (why == NULL)
			CHECKS[i].run(d);
		else
			report(d, SEEN_SKIP, NO_TROUBLE, CHECKS[i].name, "%s", why);
	}
	const bool stopped = d->w->stopped;
	talk_cleanup(d);
	return stopped ? 1 : 0;
}

static int
run(struct doctor *d, const struct words *u)
{
	const char *why = NULL;
	int r = 0, end;

	if (u->url != NULL && ((r = take_url(d, u->url, u->connect)) != 0 ||
	                       (r = take_credentials(d, u)) != 0 || (r = set_up_tls(d, u->cacert)) != 0))
		return r;
	if (u->url == NULL && d->config == NULL && d->n_sockets == 0 && d->web_spool == NULL)
		return usage("a URL is needed");
	if (d->config != NULL && !host_read_config(d, &why))
		return usage("%s", why);
	random_bytes(&d->seed, sizeof d->seed);
	watch_signals(d);
	check_host(d);
	if (u->url != NULL)
		r = examine(d);
	end = report_end(d);
	return r > end ? r : end;
}

int
main(int argc, char **argv)
{
	struct ctx c = { .mem = arena_new(0) };
	struct doctor d = { .c = &c,
		            .large_bytes = 70 << 20,
		            .chunked_bytes = 8 << 20,
		            .announce_bytes = (int64_t)10 << 30,
		            .server_text = "" };
	struct words u = { 0 };
	int o, r = 0;

	d.w = ARENA_NEW(c.mem, struct wire);
	*d.w =
	    (struct wire){ .mem = c.mem, .fd = -1, .signal_fd = -1, .idle_ms = 60000, .total_ms = 1800000 };
	while (r == 0 && (o = getopt_long(argc, argv, "", LONG, NULL)) != -1)
		r = take_option(&d, &u, o);
	if (u.help) {
		fputs(USAGE, stdout);
	} else if (r == 0) {
		if (argc - optind > 1)
			r = usage("one URL, please");
		else
			u.url = optind < argc ? argv[optind] : NULL;
		r = r == 0 ? run(&d, &u) : r;
	}
	if (d.w->tls != NULL)
		SSL_CTX_free(d.w->tls);
	arena_free(c.mem);
	return r;
}
