/* The flags of kade.fcgi. */
#ifndef KADE_OPTIONS_H
#define KADE_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

/* What the program prints instead of serving: documents made of its route tables. */
enum options_print { OPTIONS_PRINT_NOTHING, OPTIONS_PRINT_ROUTES, OPTIONS_PRINT_OPENAPI };
struct options {
	const char *config;       /* --config */
	const char *pool;         /* --pool: api or transfer; a label, and the default of threads */
	const char *listen;       /* --listen; NULL = descriptor 0 or LISTEN_FDS */
	const char *socket_group; /* --socket-group; NULL = the process's own */
	const char *pid_file;     /* --pid-file; NULL = none */
	int workers, threads, backlog;
	int drain_timeout_s;
	int64_t max_requests; /* per worker; 0 = no end */
	bool managed, check;
	bool take_over; /* --take-over */
	enum options_print print; /* --routes, --openapi: no configuration is needed */
};
enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_BAD };

/* Reads argv. DONE: --version or --help was answered on standard output. BAD: said why on standard error. */
enum options_result options_read(int argc, char **argv, struct options *out);
#endif
