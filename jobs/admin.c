/* kade-admin: users, organizations, robots, tokens, repositories and storage from the command line, for operators, set-up
 * scripts and tests. Each command is one transaction, with the audit row that the same action in the interface has. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "admin-password.h"
#include "admin.h"
#include "base/arena.h"
#include "conf/conf.h"
#include "model/schema.h"
#include "store/store.h"

#define TRIES 3

static const struct admin_command *const TABLES[] = { ADMIN_USER,  ADMIN_ORG,  ADMIN_ROBOT,
	                                              ADMIN_TOKEN, ADMIN_REPO, ADMIN_STORAGE };
#define N_TABLES (sizeof TABLES / sizeof *TABLES)

static void
print_help(void)
{
	printf("Usage: kade-admin [--config FILE] COMMAND …\n\n");
	for (size_t t = 0; t < N_TABLES; t++)
		for (const struct admin_command *m = TABLES[t]; m->words != NULL; m++)
			printf("  %s%s%s\n        %s\n", m->words, m->args[0] == '\0' ? "" : " ", m->args,
			       m->doc);
	fputs("\n"
	      "--config FILE  config.yaml or its folder; unset: $QUAYCONF/stack/config.yaml, else the "
	      "built-in place\n"
	      "Passwords come from the first line of a file, or of standard input (-), where a terminal is "
	      "asked twice;\n"
	      "--generate makes one and prints it. Durations: 12h, 30d, 1y. A token is the last line "
	      "printed; only those of\n"
	      "robots can be shown again.\n"
	      "Exit status: 0 done; 1 refused, with the reason; 2 wrong usage, configuration or schema; 3 "
	      "the registry\n"
	      "is read-only; 5 database or storage do not answer.\n",
	      stdout);
}

static int
usage(const char *what)
{
	fprintf(stderr, "kade-admin: %s\nTry 'kade-admin --help'.\n", what);
	return EXIT_USAGE;
}

/* The command that argv begins with; *used = how many words name it. */
static const struct admin_command *
find(int argc, char **argv, int *used)
{
	for (size_t t = 0; t < N_TABLES; t++) {
		for (const struct admin_command *m = TABLES[t]; m->words != NULL; m++) {
			struct str first, second;
			const bool two = str_cut(str_of(m->words), ' ', &first, &second);

			if (argc > 0 && str_eq_c(first, argv[0]) &&
			    (!two || (argc > 1 && str_eq_c(second, argv[1])))) {
				*used = two ? 2 : 1;
				return m;
			}
		}
	}
	return NULL;
}

enum {
	OPT_EMAIL = 256,
	OPT_FILE,
	OPT_GENERATE,
	OPT_OWNER,
	OPT_ROLE,
	OPT_TITLE,
	OPT_EXPIRES,
	OPT_SCOPES,
	OPT_APPLICATION,
	OPT_PUBLIC,
	OPT_YES,
	OPT_HINT,
	OPT_PASSWORD
};
static const struct option OPTIONS[] = {
	{"config",          required_argument, NULL, 'c'            },
	{ "help",           no_argument,       NULL, 'h'            },
	{ "email",          required_argument, NULL, OPT_EMAIL      },
	{ "password-file",  required_argument, NULL, OPT_FILE       },
	{ "password",       required_argument, NULL, OPT_PASSWORD   },
	{ "generate",       no_argument,       NULL, OPT_GENERATE   },
	{ "owner",          required_argument, NULL, OPT_OWNER      },
	{ "role",           required_argument, NULL, OPT_ROLE       },
	{ "title",          required_argument, NULL, OPT_TITLE      },
	{ "expires",        required_argument, NULL, OPT_EXPIRES    },
	{ "scopes",         required_argument, NULL, OPT_SCOPES     },
	{ "application",    required_argument, NULL, OPT_APPLICATION},
	{ "public",         no_argument,       NULL, OPT_PUBLIC     },
	{ "yes",            no_argument,       NULL, OPT_YES        },
	{ "superuser-hint", no_argument,       NULL, OPT_HINT       },
	{ NULL,             0,                 NULL, 0              },
};

/* Texts of options: where they go, and which bit they are. */
static const char **
text_option(struct admin *a, int opt, unsigned *bit)
{
	switch (opt) {
	case OPT_EMAIL:
		*bit = OPTION_EMAIL;
		return &a->email;
	case OPT_FILE:
		*bit = OPTION_PASSWORD;
		return &a->password_file;
	case OPT_OWNER:
		*bit = OPTION_OWNER;
		return &a->owner;
	case OPT_ROLE:
		*bit = OPTION_ROLE;
		return &a->role;
	case OPT_TITLE:
		*bit = OPTION_TITLE;
		return &a->title;
	case OPT_EXPIRES:
		*bit = OPTION_EXPIRES;
		return &a->expires;
	case OPT_SCOPES:
		*bit = OPTION_SCOPES;
		return &a->scopes;
	case OPT_APPLICATION:
		*bit = OPTION_APPLICATION;
		return &a->application;
	default:
		return NULL;
	}
}

static bool *
flag_option(struct admin *a, int opt, unsigned *bit)
{
	switch (opt) {
	case OPT_GENERATE:
		*bit = OPTION_PASSWORD;
		return &a->generate;
	case OPT_PUBLIC:
		*bit = OPTION_PUBLIC;
		return &a->is_public;
	case OPT_YES:
		*bit = OPTION_YES;
		return &a->yes;
	case OPT_HINT:
		*bit = OPTION_SUPERUSER_HINT;
		return &a->superuser_hint;
	default:
		return NULL;
	}
}

/* -1: go on; else the exit status. */
static int
read_options(int argc, char **argv, struct admin *a, const char **config)
{
	for (int opt; (opt = getopt_long(argc, argv, "c:h", OPTIONS, NULL)) != -1;) {
		unsigned bit = 0;
		const char **text = text_option(a, opt, &bit);
		bool *flag = text != NULL ? NULL : flag_option(a, opt, &bit);

		if (text != NULL) {
			if (!str_is_utf8(str_of(optarg)))
				return usage("arguments are UTF-8");
			*text = optarg;
		} else if (flag != NULL) {
			*flag = true;
		} else if (opt == 'c') {
			*config = optarg;
		} else if (opt == OPT_PASSWORD) { /* also keeps getopt from reading it as --password-file */
			return usage(
			    "passwords are not taken from the command line: --password-file or --generate");
		} else if (opt == 'h') {
			print_help();
			return EXIT_DONE;
		} else {
			return usage("unknown option");
		}
		a->given |= bit;
	}
	return -1;
}

/* The rest of the command line against the command's row. NULL: it fits; else what is wrong. */
static const char *
check_words(struct admin *a, const struct admin_command *m, int argc, char **argv)
{
	if (argc != m->n_args || (a->given & m->required) != m->required)
		return "usage";
	if ((a->given & ~m->options) != 0)
		return "an option that this command does not have; usage";
	for (a->n_args = 0; a->n_args < argc; a->n_args++) {
		a->args[a->n_args] = str_of(argv[a->n_args]);
		if (!str_is_utf8(a->args[a->n_args]))
			return "arguments are UTF-8; usage";
	}
	return NULL;
}

/* Deadlocks and a missing audit partition: the transaction is run again. */
static enum err_kind
run_in_tx(struct admin *a, const struct admin_command *m)
{
	for (int try = 1;; try++) {
		const bool knew_overflow = a->c->audit_overflow;
		enum err_kind e = db_begin(a->c, DB_TX_DEFAULT);

		a->out.n = 0;
		if (e == ERR_NONE)
			e = m->run(a);
		if (e == ERR_NONE)
			e = db_commit(a->c);
		else
			db_rollback(a->c);
		const bool again =
		    (a->c->audit_overflow && !knew_overflow) || db_is_retryable(db_sqlstate(a->c));
		if (e == ERR_NONE || try == TRIES || !again)
			return e;
	}
}

static enum err_kind
run(struct admin *a, const struct admin_command *m)
{
	if (m->tx && a->c->conf->is_readonly)
		return err_set(a->c, ERR_READ_ONLY, "REGISTRY_STATE is readonly");
	setup_db(&a->s, 1);
	TRY(schema_check(a->c));
	TRY(setup_secrets(&a->s));
	TRY(admin_password_read(a));
	return m->tx ? run_in_tx(a, m) : m->run(a);
}

static int
finish(struct admin *a, enum err_kind e)
{
	if (e == ERR_NONE) {
		if (a->out.n > 0)
			fwrite(a->out.p, 1, a->out.n, stdout);
		if (fflush(stdout) == 0 && !ferror(stdout))
			return EXIT_DONE;
		perror("kade-admin: standard output");
		return EXIT_ITEMS_FAILED;
	}
	fflush(stdout);
	fprintf(stderr, "kade-admin: %s\n", a->c->err.text);
	return e == ERR_BUSY ? EXIT_DOWN : exit_code_of(e);
}

int
main(int argc, char **argv)
{
	struct admin a = { 0 };
	const struct admin_command *m;
	const char *config = NULL, *wrong;
	int used = 0, code = read_options(argc, argv, &a, &config);

	if (code >= 0)
		return code;
	if (optind == argc)
		return usage("a command is needed");
	m = find(argc - optind, argv + optind, &used);
	if (m == NULL)
		return usage("there is no such command");
	wrong = check_words(&a, m, argc - optind - used, argv + optind + used);
	if (wrong != NULL) {
		fprintf(stderr, "kade-admin: %s: kade-admin %s %s\n", wrong, m->words, m->args);
		return EXIT_USAGE;
	}
	a.c = &a.s.c;
	if (!setup_conf(&a.s, "kade-admin", config))
		return EXIT_USAGE;
	a.out = BUF(a.s.mem);
	code = finish(&a, run(&a, m));
	if (a.password.p != NULL)
		explicit_bzero((void *)(uintptr_t)a.password.p, a.password.n);
	setup_close(&a.s);
	return code;
}
