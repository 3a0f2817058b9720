/* Flags, their limits and defaults. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define WORKERS_MAX 256
#define THREADS_MAX 512

static const char HELP[] =
    "Usage: kade.fcgi --config FILE [options]\n"
    "\n"
    "Serves the registry over FastCGI. The listening socket is descriptor 0 when it is one\n"
    "(mod_fcgid, spawn-fcgi, lighttpd), else the first of LISTEN_FDS, else --listen.\n"
    "\n"
    "  --config FILE         config.yaml\n"
    "  --listen WHERE        unix:PATH or HOST:PORT\n"
    "  --socket-group NAME   group of the Unix socket (mode 0660)\n"
    "  --backlog N           connections that may wait (default 1024)\n"
    "  --pool NAME           api (default) or transfer: label of log lines and metrics\n"
    "  --workers N           processes under a parent that restarts and reloads them (default: processors)\n"
    "  --threads N           requests at a time per process (default 8; transfer 64)\n"
    "  --max-requests N      a worker is replaced after so many (default 0: never)\n"
    "  --drain-timeout S     how long running requests may take at a stop (default 3600)\n"
    "  --managed             one process without a parent, for mod_fcgid and lighttpd's bin-path\n"
    "  --pid-file FILE       the parent's process id\n"
    "  --take-over           take the Unix socket from the pool that serves it now, which then ends: no\n"
    "                        request is lost between the two\n"
    "  --check               only check the configuration\n"
    "  --routes              print every path that is served, as Markdown, and stop\n"
    "  --openapi             print the API as an OpenAPI 3.0 document, and stop\n"
    "  --version, --help\n"
    "\n"
    "Signals: TERM finish running requests and stop (twice: at once), QUIT stop at once,\n"
    "HUP load the configuration anew, USR2 reopen the logs.\n";

enum {
	OPT_CONFIG = 256,
	OPT_LISTEN,
	OPT_GROUP,
	OPT_BACKLOG,
	OPT_POOL,
	OPT_WORKERS,
	OPT_THREADS,
	OPT_MAX,
	OPT_DRAIN,
	OPT_MANAGED,
	OPT_PID,
	OPT_TAKE_OVER,
	OPT_CHECK,
	OPT_ROUTES,
	OPT_OPENAPI,
	OPT_VERSION,
	OPT_HELP
};
static const struct option LONG[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "socket-group", required_argument, NULL, OPT_GROUP },
	{ "backlog", required_argument, NULL, OPT_BACKLOG },
	{ "pool", required_argument, NULL, OPT_POOL },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "max-requests", required_argument, NULL, OPT_MAX },
	{ "drain-timeout", required_argument, NULL, OPT_DRAIN },
	{ "managed", no_argument, NULL, OPT_MANAGED },
	{ "pid-file", required_argument, NULL, OPT_PID },
	{ "take-over", no_argument, NULL, OPT_TAKE_OVER },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "routes", no_argument, NULL, OPT_ROUTES },
	{ "openapi", no_argument, NULL, OPT_OPENAPI },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 }
};

static bool
number(const char *name, int64_t min, int64_t max, int64_t *out)
{
	if (str_to_i64(str_of(optarg), min, max, out))
		return true;
	fprintf(stderr, "kade.fcgi: --%s: a number from %lld to %lld expected, not %s\n", name,
	        (long long)min, (long long)max, optarg);
	return false;
}

static bool
small(const char *name, int min, int max, int *out)
{
	int64_t v;

	if (!number(name, min, max, &v))
		return false;
	*out = (int)v;
	return true;
}

static bool
take_text(int opt, struct options *o)
{
	switch (opt) {
	case OPT_CONFIG:
		o->config = optarg;
		return true;
	case OPT_LISTEN:
		o->listen = optarg;
		return true;
	case OPT_GROUP:
		o->socket_group = optarg;
		return true;
	case OPT_PID:
		o->pid_file = optarg;
		return true;
	case OPT_POOL:
		o->pool = optarg;
		if (strcmp(optarg, "api") == 0 || strcmp(optarg, "transfer") == 0)
			return true;
		fprintf(stderr, "kade.fcgi: --pool: api or transfer expected, not %s\n", optarg);
		return false;
	default:
		return false;
	}
}

static bool
take(int opt, struct options *o)
{
	switch (opt) {
	case OPT_BACKLOG:
		return small("backlog", 1, 65535, &o->backlog);
	case OPT_WORKERS:
		return small("workers", 1, WORKERS_MAX, &o->workers);
	case OPT_THREADS:
		return small("threads", 1, THREADS_MAX, &o->threads);
	case OPT_DRAIN:
		return small("drain-timeout", 0, 7 * 86400, &o->drain_timeout_s);
	case OPT_MAX:
		return number("max-requests", 0, INT64_MAX, &o->max_requests);
	case OPT_MANAGED:
		return o->managed = true;
	case OPT_TAKE_OVER:
		return o->take_over = true;
	case OPT_CHECK:
		return o->check = true;
	case OPT_ROUTES:
		o->print = OPTIONS_PRINT_ROUTES;
		return true;
	case OPT_OPENAPI:
		o->print = OPTIONS_PRINT_OPENAPI;
		return true;
	default:
		return take_text(opt, o);
	}
}

static int
processors(void)
{
	const long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 64 ? 64 : (int)n;
}

static enum options_result
settle(struct options *o)
{
	if (o->print != OPTIONS_PRINT_NOTHING)
		return OPTIONS_RUN;
	if (o->config == NULL) {
		fprintf(stderr, "kade.fcgi: --config FILE is needed; --help tells more\n");
		return OPTIONS_BAD;
	}
	if (o->managed && o->workers > 0) {
		fprintf(stderr, "kade.fcgi: --managed and --workers exclude each other: the web server "
		                "starts the processes\n");
		return OPTIONS_BAD;
	}
	if (o->take_over && (o->managed || o->listen == NULL || strncmp(o->listen, "unix:", 5) != 0)) {
		fprintf(stderr, "kade.fcgi: --take-over needs --listen unix:PATH and is not for --managed\n");
		return OPTIONS_BAD;
	}
	if (o->workers == 0)
		o->workers = o->managed ? 1 : processors();
	if (o->threads == 0)
		o->threads = strcmp(o->pool, "transfer") == 0 ? 64 : 8;
	return OPTIONS_RUN;
}

enum options_result
options_read(int argc, char **argv, struct options *out)
{
	struct options o = { .pool = "api", .backlog = 1024, .drain_timeout_s = 3600 };
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "", LONG, NULL)) != -1) {
		if (opt == OPT_VERSION) {
			printf("kade.fcgi %s\n", PACKAGE_VERSION);
			return OPTIONS_DONE;
		}
		if (opt == OPT_HELP) {
			fputs(HELP, stdout);
			return OPTIONS_DONE;
		}
		if (!take(opt, &o))
			return OPTIONS_BAD;
	}
	if (optind < argc) {
		fprintf(stderr, "kade.fcgi: %s: not an option\n", argv[optind]);
		return OPTIONS_BAD;
	}
	*out = o;
	return settle(out);
}
