/* One JSON line per request that the configuration wants to see; slow and failed requests always. */
#ifndef KADE_HTTP_ACCESS_LOG_H
#define KADE_HTTP_ACCESS_LOG_H
#include <stdbool.h>
#include <stdint.h>

struct err;
struct http_conf;
struct log;
struct req;
struct str;

/* "off", "errors", "sampled:N" (N ≥ 1) or "all" into mode and every; false for another text. */
bool access_parse(struct str text, struct http_conf *out);
/* A documented refusal with a status of 500 and above: the registry is read-only, a repository is a mirror. No failure. */
bool access_is_refusal(const struct err *e);
/* Is a line due? draw: a number that changes from request to request, for sampling. */
bool access_wanted(const struct http_conf *hc, int status, int64_t took_us, uint64_t draw);
/* Writes the line. The query is left out: it may hold tokens. Never blocks on a full disk; a line that does not fit is
 * counted as dropped by the sink. */
void access_line(struct log *sink, const struct req *rq, int64_t took_us);
#endif
