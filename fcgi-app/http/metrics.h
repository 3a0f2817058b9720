/* The text of /metrics from the counters' mapping, in the exposition format of Prometheus, and the counters that carry the
 * names of Quay's dashboards. Label values come from fixed sets. */
#ifndef KADE_HTTP_METRICS_H
#define KADE_HTTP_METRICS_H
#include <stdbool.h>

struct buf;
struct counters;

/* Appends everything: fixed counters, routes that were asked for, series, processes. Up to about 1 MiB with all routes in
 * use: the row needs a memory limit to match. */
void metrics_put(struct buf *b, const struct counters *cs);

/* quay_registry_image_pushes_total{protocol="v2",status,media_type}; an unknown media type counts as "other". */
void metrics_push(struct counters *cs, int status, const char *media_type);
/* quay_authentication_attempts_total{auth_kind,success}; kind: cookie basic oauth signed_grant credentials ssojwt federated
 * bearer. */
void metrics_auth(struct counters *cs, const char *kind, bool success);
#endif
