/* For the tests of lib/net: real servers in private directories. What is started here dies with the test
 * program. */
#ifndef KADE_TESTS_NET_SERVER_H
#define KADE_TESTS_NET_SERVER_H
#include <stdbool.h>
#include <sys/types.h>

/* Full path of a program on PATH or in /usr/sbin; NULL: not installed. Process lifetime. */
char *srv_program(const char *name);
/* True when the program is installed; else prints a TAP plan that skips the whole test with the reason. (cmocka's skip()
 * writes "not ok … # SKIP", which automake's driver counts as a failure.) */
bool srv_needs(const char *name);
/* A new private directory, removed by srv_remove(). */
char *srv_dir(void);
void srv_remove(char *dir);
/* A port that was free a moment ago. */
int srv_port(void);
/* Starts argv[0] (full path) in dir; output goes to dir/NAME.log. */
pid_t srv_start(const char *dir, const char *name, const char *const argv[]);
void srv_stop(pid_t pid, int sig); /* sends sig and waits for the end */
/* True once something accepts on the port or the Unix socket; false after 10 s. */
bool srv_wait_port(int port);
bool srv_wait_socket(const char *path);
/* Writes a file. */
void srv_write(const char *path, const char *text);
/* Calls fn(arg) every 20 ms until it is true; false after timeout_ms. */
bool srv_until(bool (*fn)(void *), void *arg, int timeout_ms);
#endif
