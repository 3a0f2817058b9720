/* kade-config: checks config.yaml, shows values, makes the documentation and the JSON schema of its keys, and
 * fresh secrets. For people and for start scripts; it changes nothing and prints no secret of a file. */
#include "config.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "conf/key.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
	const char *file;
	bool is_online, is_quiet;
	struct fleet fleet;
};

static const char HELP[] =
    "Usage: kade-config COMMAND [OPTIONS]\n"
    "\n"
    "  check [--online] [--hosts N] [--processes N] [--quiet] [FILE]\n"
    "            every error and warning of the configuration, with its line\n"
    "      --online       also try the database and Redis\n"
    "      --hosts N      web hosts that share the database (1)\n"
    "      --processes N  processes on each of them, jobs included (cores + 4)\n"
    "      --quiet        errors only\n"
    "  get [--file FILE] KEY\n"
    "            the value in effect: SERVER_HOSTNAME, KADE.SPOOL_DIR; durations in seconds,\n"
    "            sizes in bytes, lists one entry a line, blocks as JSON; secrets are refused\n"
    "  docs      the table of keys as Markdown\n"
    "  schema    the same as a JSON schema, for editors\n"
    "  secrets   fresh SECRET_KEY and DATABASE_SECRET_KEY lines for a new file\n"
    "\n"
    "FILE is config.yaml or its folder; unset: $QUAYCONF/stack/config.yaml, else the\n"
    "built-in place. QUAY_OVERRIDE_CONFIG and QUAY_DISTRIBUTED_STORAGE_PREFERENCE count\n"
    "as they do for the registry. With IGNORE_VALIDATION set, check names its findings\n"
    "but does not fail.\n"
    "Exit status: 0 good, 1 errors found or no such value, 2 wrong usage.\n";

static int
usage(const char *what)
{
	fprintf(stderr, "kade-config: %s\nTry 'kade-config --help'.\n", what);
	return EXIT_USAGE;
}

static void
print_report(const struct conf_report *rep, bool errors_only)
{
	static const char *const words[] = { "error", "warning", "info" };

	for (size_t i = 0; i < rep->n; i++) {
		const struct conf_note *n = &rep->v[i];
		if (errors_only && n->severity != CONF_ERROR)
			continue;
		printf("%s: ", words[n->severity]);
		if (n->line > 0)
			printf("line %d: ", n->line);
		printf("%s%s%s\n", n->key, n->key[0] == '\0' ? "" : ": ", n->text);
	}
	if (!errors_only)
		printf("%zu error%s, %zu warning%s\n", rep->n_errors, rep->n_errors == 1 ? "" : "s",
		       rep->n_warnings, rep->n_warnings == 1 ? "" : "s");
}

static int
run_check(struct ctx *c, const struct options *o)
{
	struct conf_report rep = { .mem = c->mem };
	const struct conf *conf = NULL;
	const char *path = o->file != NULL ? o->file : conf_default_path(c->mem);

	/* When the file cannot be parsed the report says why, and there is nothing more to look at. */
	if (conf_load_anyway(c, path, &conf, &rep) == ERR_NONE) {
		config_check_files(c, conf, &rep);
		if (o->is_online) {
			config_check_db(c, conf, &o->fleet, &rep);
			config_check_redis(c, conf, &rep);
			config_check_mail(c, conf, &rep);
		}
	} else if (rep.n_errors == 0) {
		conf_note(&rep, CONF_ERROR, "", 0, "%s", c->err.text);
	}
	conf_report_sort(&rep);
	print_report(&rep, o->is_quiet);
	conf_free(conf);
	if (rep.n_errors == 0)
		return EXIT_OK;
	if (getenv("IGNORE_VALIDATION") == NULL)
		return EXIT_FAILED;
	fprintf(stderr, "kade-config: IGNORE_VALIDATION is set: the errors are not counted\n");
	return EXIT_OK;
}

static void
print_word(const char *words, int at)
{
	struct str rest = str_of(words), word = STR0;

	for (int i = 0; i <= at; i++)
		str_cut(rest, '|', &word, &rest);
	printf("%.*s\n", STRF(word));
}

static int
print_value(const struct conf *conf, const struct conf_key *k)
{
	const void *at = (const char *)conf + k->offset;
	const struct str_list *list = at;
	const char *text;

	switch (k->type) {
	case CONF_BOOL:
		puts(*(const bool *)at ? "true" : "false");
		return EXIT_OK;
	case CONF_INT:
	case CONF_DUR:
	case CONF_SIZE:
		if (*(const int64_t *)at == -1 && (k->flags & CONF_NULL) != 0)
			puts("null");
		else
			printf("%lld\n", (long long)*(const int64_t *)at);
		return EXIT_OK;
	case CONF_REAL:
		printf("%g\n", *(const double *)at);
		return EXIT_OK;
	case CONF_CHOICE:
		print_word(k->check, *(const int *)at);
		return EXIT_OK;
	case CONF_LIST:
		for (size_t i = 0; i < list->n; i++)
			puts(list->v[i]);
		return EXIT_OK;
	case CONF_JSON:
		if (*(json_t *const *)at == NULL)
			return EXIT_FAILED;
		json_dumpf(*(json_t *const *)at, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
		puts("");
		return EXIT_OK;
	case CONF_STR:
	case CONF_WORD:
		text = *(const char *const *)at;
		if (text == NULL)
			return EXIT_FAILED;
		puts(text);
		return EXIT_OK;
	}
	return EXIT_FAILED;
}

static int
run_get(struct ctx *c, const struct options *o, const char *name)
{
	struct conf_report rep = { .mem = c->mem };
	const struct conf_key *k = conf_key_find(name), *near;
	const struct conf *conf = NULL;
	int status;

	if (k == NULL) {
		near = conf_key_suggest(name);
		fprintf(stderr, "kade-config: there is no key %s%s%s\n", name,
		        near == NULL ? "" : "; did you mean ", near == NULL ? "" : near->name);
		return EXIT_FAILED;
	}
	if ((k->flags & CONF_SECRET) != 0) {
		fprintf(stderr, "kade-config: %s is or holds a secret, which is never printed\n", k->name);
		return EXIT_FAILED;
	}
	if (conf_load_anyway(c, o->file != NULL ? o->file : conf_default_path(c->mem), &conf, &rep) !=
	    ERR_NONE) {
		fprintf(stderr, "kade-config: %s\n", c->err.text);
		return EXIT_FAILED;
	}
	status = print_value(conf, k);
	conf_free(conf);
	return status;
}

/* 43 characters of 62: 256 bits each. */
static int
run_secrets(void)
{
	char key[44];

	random_text(key, sizeof key - 1, ALPHABET_MIXED);
	printf("SECRET_KEY: '%s'\n", key);
	random_text(key, sizeof key - 1, ALPHABET_MIXED);
	printf("DATABASE_SECRET_KEY: '%s'\n", key);
	explicit_bzero(key, sizeof key);
	return EXIT_OK;
}

static bool
read_count(const char *text, long *out)
{
	int64_t n;

	if (!str_to_i64(str_of(text), 1, 100000, &n))
		return false;
	*out = (long)n;
	return true;
}

enum { OPT_FILE = 'f', OPT_HELP = 'h', OPT_QUIET = 'q', OPT_ONLINE = 256, OPT_HOSTS, OPT_PROCESSES };
static const struct option OPTIONS[] = {
	{"file",       required_argument, NULL, OPT_FILE     },
	{ "help",      no_argument,       NULL, OPT_HELP     },
	{ "quiet",     no_argument,       NULL, OPT_QUIET    },
	{ "online",    no_argument,       NULL, OPT_ONLINE   },
	{ "hosts",     required_argument, NULL, OPT_HOSTS    },
	{ "processes", required_argument, NULL, OPT_PROCESSES},
	{ NULL,        0,                 NULL, 0            },
};

/* -1: go on; else the exit status. */
static int
read_options(int argc, char **argv, struct options *o)
{
	for (int opt; (opt = getopt_long(argc, argv, "f:hq", OPTIONS, NULL)) != -1;) {
		switch (opt) {
		case OPT_FILE:
			o->file = optarg;
			break;
		case OPT_HELP:
			fputs(HELP, stdout);
			return EXIT_OK;
		case OPT_QUIET:
			o->is_quiet = true;
			break;
		case OPT_ONLINE:
			o->is_online = true;
			break;
		case OPT_HOSTS:
			if (!read_count(optarg, &o->fleet.hosts))
				return usage("--hosts takes a number from 1");
			break;
		case OPT_PROCESSES:
			if (!read_count(optarg, &o->fleet.processes))
				return usage("--processes takes a number from 1");
			break;
		default:
			return usage("unknown option");
		}
	}
	return -1;
}

static int
run(struct ctx *c, struct options *o, const char *command, const char *operand)
{
	if (strcmp(command, "check") == 0) {
		if (operand != NULL)
			o->file = operand;
		return run_check(c, o);
	}
	if (strcmp(command, "get") == 0)
		return operand == NULL ? usage("get needs a key") : run_get(c, o, operand);
	if (operand != NULL)
		return usage("too many arguments");
	if (strcmp(command, "docs") == 0)
		return config_write_docs(stdout) ? EXIT_OK : EXIT_FAILED;
	if (strcmp(command, "schema") == 0)
		return config_write_schema(stdout) ? EXIT_OK : EXIT_FAILED;
	if (strcmp(command, "secrets") == 0)
		return run_secrets();
	return usage("unknown command");
}

int
main(int argc, char **argv)
{
	struct options o = {
		.fleet = {1, sysconf(_SC_NPROCESSORS_ONLN) + 4}
	};
	struct ctx c = { 0 };
	int status;

	status = read_options(argc, argv, &o);
	if (status >= 0)
		return status;
	if (optind >= argc)
		return usage("a command is needed");
	if (argc - optind > 2)
		return usage("too many arguments");
	c.mem = arena_new(0);
	status = run(&c, &o, argv[optind], argv[optind + 1]);
	arena_free(c.mem);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("kade-config: standard output");
		return EXIT_FAILED;
	}
	return status;
}
