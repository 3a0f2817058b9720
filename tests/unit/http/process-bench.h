/* A pool of real processes in a folder of its own, for the tests of starting, stopping and taking over. Waiting is for a
 * condition, with a limit that only a failure reaches. */
#ifndef KADE_TEST_PROCESS_BENCH_H
#define KADE_TEST_PROCESS_BENCH_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <sys/types.h>

#include "fcgi-client.h"

#define TRIES 2400 /* of 25 ms: only a failure, or a machine that stands still, reaches it */

struct bench {
	char dir[64], sock[96], conf[96], log[96], program[4096];
	pid_t pid; /* of the parent, or of the managed process */
	struct fc_reply r;
};

#define AWAIT(condition)                                                                                     \
	do {                                                                                                 \
		int tries_ = TRIES;                                                                          \
		while (!(condition) && tries_-- > 0)                                                         \
			tick();                                                                              \
		assert_true(tries_ >= 0);                                                                    \
	} while (0)

#define FLAGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define T(f)       cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

void tick(void);
void configure(const struct bench *b, const char *host);
bool log_has(const struct bench *b, const char *text);
pid_t start(struct bench *b, const char *const *more);
int open_bench(void **state);
int close_bench(void **state);
void stop(struct bench *b, int sig, int want);
int64_t member(const struct fc_reply *r, const char *name);
bool shows(struct bench *b, const char *host);
int half_an_upload(struct bench *b);
bool is_busy(struct bench *b, int in_flight);
int64_t read_number(const char *file);
bool is_child_of(pid_t pid, pid_t parent);
void finish_upload(struct bench *b, int fd);
#endif
