/* The frame of the jobs: options. The same for every job; those that a job cannot use are refused. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "job.h"

static const char HELP[] =
    "\n"
    "  --config FILE      config.yaml or its folder; unset: $QUAYCONF/stack/config.yaml, else the built-in "
    "place\n"
    "  --dry-run          says what is due, changes nothing, takes no lock\n"
    "  --once             one run (as without it)\n"
    "  --resident         goes on: runs again when there is something to do\n"
    "  --interval S       at least every S seconds when resident\n"
    "  --max-seconds N    ends after N seconds, with work left if need be\n"
    "  --max-items N      ends after N items\n"
    "  --splay S          begins after a random time of at most S seconds\n"
    "  --status           the last run as JSON\n"
    "  --json             the summary as JSON on standard output\n"
    "  --textfile FILE    also writes the job's metrics there, for a node's text collector\n"
    "  -v, --verbose      logs every item\n"
    "  --help\n";
static const char EXITS[] =
    "Exit status: 0 done or nothing to do, 1 some items failed (they are tried again), 2 wrong usage,\n"
    "configuration or schema, 3 off by configuration, 4 running already, 5 database or storage down,\n"
    "6 a limit reached with work left, 70 internal error.\n";

static int
usage(const struct job *j, const char *what)
{
	fprintf(stderr, "kade-%s: %s\nTry 'kade-%s --help'.\n", j->def->name, what, j->def->name);
	return EXIT_USAGE;
}

static void
help(const struct job *j)
{
	printf("Usage: kade-%s [OPTIONS]\n\n%s\n%s", j->def->name, j->def->doc, HELP);
	if ((j->def->flags & JOB_TAKES_PARALLEL) != 0)
		puts("  --parallel N       works on N items at a time");
	if ((j->def->flags & JOB_TAKES_SCOPE) != 0)
		puts("  --namespace X      only this namespace\n  --repository X/Y   only this repository");
	if ((j->def->flags & JOB_TAKES_VERIFY) != 0)
		puts("  --verify           compares everything now, not only what is due");
	for (const struct job_option *o = j->def->options; o != NULL && o->name != NULL; o++) {
		char left[64];
		snprintf(left, sizeof left, "--%s%s%s", o->name, o->value == NULL ? "" : " ", o->value == NULL ? "" : o->value);
		printf("  %-18s %s\n", left, o->doc);
	}
	fputs(EXITS, stdout);
}

enum {
	OPT_DRY = 256,
	OPT_ONCE,
	OPT_RESIDENT,
	OPT_INTERVAL,
	OPT_SECONDS,
	OPT_ITEMS,
	OPT_PARALLEL,
	OPT_NAMESPACE,
	OPT_REPOSITORY,
	OPT_STATUS,
	OPT_JSON,
	OPT_TEXTFILE,
	OPT_SPLAY,
	OPT_VERIFY,
	OPT_MORE /* and those that follow: the job's own */
};
static const struct option OPTIONS[] = {
	{"config",       required_argument, NULL, 'c'           },
	{ "help",        no_argument,       NULL, 'h'           },
	{ "verbose",     no_argument,       NULL, 'v'           },
	{ "dry-run",     no_argument,       NULL, OPT_DRY       },
	{ "once",        no_argument,       NULL, OPT_ONCE      },
	{ "resident",    no_argument,       NULL, OPT_RESIDENT  },
	{ "interval",    required_argument, NULL, OPT_INTERVAL  },
	{ "max-seconds", required_argument, NULL, OPT_SECONDS   },
	{ "max-items",   required_argument, NULL, OPT_ITEMS     },
	{ "parallel",    required_argument, NULL, OPT_PARALLEL  },
	{ "namespace",   required_argument, NULL, OPT_NAMESPACE },
	{ "repository",  required_argument, NULL, OPT_REPOSITORY},
	{ "status",      no_argument,       NULL, OPT_STATUS    },
	{ "json",        no_argument,       NULL, OPT_JSON      },
	{ "textfile",    required_argument, NULL, OPT_TEXTFILE  },
	{ "splay",       required_argument, NULL, OPT_SPLAY     },
	{ "verify",      no_argument,       NULL, OPT_VERIFY    },
	{ NULL,          0,                 NULL, 0             },
};

/* Where a number goes, and its greatest value. */
static int64_t *
number_option(struct job *j, int opt, int64_t *max)
{
	*max = 86400;
	switch (opt) {
	case OPT_INTERVAL:
		return &j->opt.interval_s;
	case OPT_SECONDS:
		return &j->opt.max_seconds;
	case OPT_SPLAY:
		return &j->opt.splay_s;
	case OPT_ITEMS:
		*max = INT64_C(1000000000);
		return &j->opt.max_items;
	case OPT_PARALLEL:
		*max = 64;
		return &j->opt.parallel;
	default:
		return NULL;
	}
}

static const char **
text_option(struct job *j, int opt)
{
	switch (opt) {
	case 'c':
		return &j->opt.config;
	case OPT_TEXTFILE:
		return &j->opt.textfile;
	case OPT_NAMESPACE:
		return &j->opt.namespace_name;
	case OPT_REPOSITORY:
		return &j->opt.repository;
	default:
		return NULL;
	}
}

static bool *
flag_option(struct job *j, int opt)
{
	switch (opt) {
	case 'v':
		return &j->opt.verbose;
	case OPT_DRY:
		return &j->opt.dry_run;
	case OPT_RESIDENT:
		return &j->opt.resident;
	case OPT_STATUS:
		return &j->opt.status;
	case OPT_JSON:
		return &j->opt.json;
	case OPT_VERIFY:
		return &j->opt.verify;
	default:
		return NULL;
	}
}

static int
check(const struct job *j)
{
	const struct job_options *o = &j->opt;

	if (o->parallel != 0 && (j->def->flags & JOB_TAKES_PARALLEL) == 0)
		return usage(j, "it does not take --parallel");
	if ((o->namespace_name != NULL || o->repository != NULL) && (j->def->flags & JOB_TAKES_SCOPE) == 0)
		return usage(j, "it does not take --namespace and --repository");
	if (o->verify && (j->def->flags & JOB_TAKES_VERIFY) == 0)
		return usage(j, "it does not take --verify");
	if (o->resident && (o->dry_run || o->status))
		return usage(j, "--resident cannot be together with --dry-run or --status");
	if (o->interval_s != 0 && !o->resident)
		return usage(j, "--interval is for --resident");
	return -1;
}

#define N_COMMON (sizeof OPTIONS / sizeof *OPTIONS - 1)

/* The options of every job, then the job's own, then the end. */
static void
all_options(const struct job *j, struct option out[N_COMMON + JOB_OPTIONS_MAX + 1])
{
	size_t n = N_COMMON;

	memcpy(out, OPTIONS, sizeof OPTIONS);
	for (const struct job_option *o = j->def->options; o != NULL && o->name != NULL; o++, n++)
		out[n] = (struct option){ o->name, o->value == NULL ? no_argument : required_argument, NULL, OPT_MORE + (int)(n - N_COMMON) };
	out[n] = (struct option){ 0 };
}

int
job_options_read(struct job *j, int argc, char **argv)
{
	struct option all[N_COMMON + JOB_OPTIONS_MAX + 1];

	all_options(j, all);
	for (int opt; (opt = getopt_long(argc, argv, "c:hv", all, NULL)) != -1;) {
		int64_t max, *number = number_option(j, opt, &max);
		const char **text = text_option(j, opt);
		bool *flag = flag_option(j, opt);

		if (opt == 'h') {
			help(j);
			return EXIT_DONE;
		}
		if (opt >= OPT_MORE)
			j->opt.more[opt - OPT_MORE] = optarg == NULL ? "" : optarg;
		else if (text != NULL)
			*text = optarg;
		else if (flag != NULL)
			*flag = true;
		else if (number != NULL && !str_to_i64(str_of(optarg), 1, max, number))
			return usage(j, "a number from 1 is wanted");
		else if (number == NULL && opt != OPT_ONCE)
			return usage(j, "unknown option");
	}
	return optind < argc ? usage(j, "it takes options only") : check(j);
}
