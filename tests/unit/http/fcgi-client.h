/* A FastCGI client that writes records by hand, so that tests can also write wrong ones. */
#ifndef KADE_TEST_FCGI_CLIENT_H
#define KADE_TEST_FCGI_CLIENT_H
#include <stdbool.h>
#include <stddef.h>

enum { FC_BEGIN = 1, FC_ABORT = 2, FC_END = 3, FC_PARAMS = 4, FC_STDIN = 5, FC_STDOUT = 6 };
enum { FC_RESPONDER = 1, FC_AUTHORIZER = 2, FC_FILTER = 3 };
struct fc_reply {
	int status; /* of "Status:"; 0 = none came */
	char *head; /* without the empty line, NUL-terminated */
	char *body; /* NUL-terminated */
	size_t body_bytes;
	bool ended;         /* END_REQUEST came */
	char data[4 << 20]; /* head and body */
};

int fc_connect(const char *path); /* -1 = refused; reads time out after 20 s */
bool fc_record(int fd, int type, const void *p, size_t n);
bool fc_begin(int fd, int role, bool keep);
/* name, value, …, NULL; ends the parameters. */
bool fc_params(int fd, const char *const *pairs);
/* Appends one parameter to out; the bytes used. */
size_t fc_pair(unsigned char *out, const char *name, const char *value, size_t value_bytes);
bool fc_body(int fd, const void *p, size_t n); /* n = 0: the end */
/* Reads until END_REQUEST or the connection closes. */
void fc_reply(int fd, struct fc_reply *out);
/* The value of a header in the reply, "" when absent. Valid until the next call. */
const char *fc_header(const struct fc_reply *r, const char *name);
/* A whole request on a connection of its own. body NULL: none. False when nobody answers. */
bool fc_ask(const char *path, const char *method, const char *uri, const char *body, struct fc_reply *out);
#endif
