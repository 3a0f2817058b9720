/* Prometheus text. Samples of one metric stand together under its HELP and TYPE, as the format demands. */
#include "http/metrics.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/counters.h"

static void
put_heading(struct buf *b, const char *name, size_t n, const char *type, const char *help)
{
	buf_putf(b, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)n, name, help, (int)n, name, type);
}

static void
put_fixed(struct buf *b, const struct counters *cs)
{
	const char *last = "";

	for (int i = 0; i < CNT_KINDS; i++) {
		const struct counters_info *info = counters_info((enum counter)i);
		if (strcmp(last, info->name) != 0)
			put_heading(b, info->name, strlen(info->name), "counter", info->help);
		last = info->name;
		if (info->labels == NULL)
			buf_putf(b, "%s %llu\n", info->name,
			         (unsigned long long)counters_get(cs, (enum counter)i));
		else
			buf_putf(b, "%s{%s} %llu\n", info->name, info->labels,
			         (unsigned long long)counters_get(cs, (enum counter)i));
	}
}

static bool
next_route(const struct counters *cs, unsigned *i, struct route_counts *out)
{
	while (counters_route_get(cs, (*i)++, out)) {
		for (int k = 0; k < COUNTERS_BUCKETS; k++) {
			if (out->id[0] != '\0' && out->bucket[k] != 0)
				return true;
		}
	}
	return false;
}

static void
put_durations(struct buf *b, const struct route_counts *rc)
{
	uint64_t sum = 0;

	for (int k = 0; k < COUNTERS_BUCKETS; k++) {
		sum += rc->bucket[k];
		buf_putf(b, "kade_http_request_duration_seconds_bucket{route=\"%s\",le=\"", rc->id);
		if (COUNTERS_BUCKET_US[k] == INT64_MAX)
			buf_puts(b, "+Inf");
		else
			buf_putf(b, "%g", (double)COUNTERS_BUCKET_US[k] / 1e6);
		buf_putf(b, "\"} %llu\n", (unsigned long long)sum);
	}
	buf_putf(b, "kade_http_request_duration_seconds_sum{route=\"%s\"} %.6f\n", rc->id,
	         (double)rc->sum_us / 1e6);
	buf_putf(b, "kade_http_request_duration_seconds_count{route=\"%s\"} %llu\n", rc->id,
	         (unsigned long long)sum);
}

static void
put_routes(struct buf *b, const struct counters *cs)
{
	static const char REQUESTS[] = "kade_http_requests_total",
	                  DURATION[] = "kade_http_request_duration_seconds";
	struct route_counts rc;
	unsigned i = 0;

	put_heading(b, REQUESTS, sizeof REQUESTS - 1, "counter", "Requests by route and class of status.");
	while (next_route(cs, &i, &rc)) {
		for (int k = 0; k < COUNTERS_CLASSES; k++) {
			if (rc.by_class[k] != 0)
				buf_putf(b, "%s{route=\"%s\",code=\"%dxx\"} %llu\n", REQUESTS, rc.id, k + 1,
				         (unsigned long long)rc.by_class[k]);
		}
	}
	put_heading(b, DURATION, sizeof DURATION - 1, "histogram", "From accept to the last byte, by route.");
	i = 0;
	while (next_route(cs, &i, &rc))
		put_durations(b, &rc);
}

static const char *
series_help(const char *name, size_t n)
{
	static const struct {
		const char *name, *help;
	} KNOWN[] = {
		{"quay_registry_image_pushes_total",    "Manifests pushed."                                },
		{ "quay_authentication_attempts_total", "Credentials checked."                             },
		{ "kade_job_runs_total",                "Runs of a job by exit code."                      },
		{ "kade_job_last_success_timestamp",    "When the job last ended well, seconds since 1970."},
	};

	for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
		if (strlen(KNOWN[i].name) == n && memcmp(KNOWN[i].name, name, n) == 0)
			return KNOWN[i].help;
	}
	return "See the documentation of metrics.";
}

static size_t
base_length(const char *series)
{
	return strcspn(series, "{");
}

static bool
same_base(const char *a, const char *b)
{
	const size_t n = base_length(a);

	return n == base_length(b) && memcmp(a, b, n) == 0;
}

/* Was the metric of series i met at an earlier one? */
static bool
is_repeated(const struct counters *cs, int i, const char *name)
{
	const char *other;
	int64_t v;

	for (int k = 0; k < i && counters_series_get(cs, k, &other, &v); k++) {
		if (same_base(name, other))
			return true;
	}
	return false;
}

static void
put_series(struct buf *b, const struct counters *cs)
{
	const char *name, *other;
	int64_t v;

	for (int i = 0; counters_series_get(cs, i, &name, &v); i++) {
		const size_t n = base_length(name);
		if (n == 0 || is_repeated(cs, i, name))
			continue;
		const bool is_counter = n > 6 && memcmp(name + n - 6, "_total", 6) == 0;
		put_heading(b, name, n, is_counter ? "counter" : "gauge", series_help(name, n));
		for (int k = i; counters_series_get(cs, k, &other, &v); k++) {
			if (same_base(name, other))
				buf_putf(b, "%s %lld\n", other, (long long)v);
		}
	}
}

static void
put_processes(struct buf *b, const struct counters *cs)
{
	struct process_gauges g;
	struct {
		const char *name, *help;
		size_t offset;
	} const GAUGE[] = {
		{"kade_worker_threads",             "Threads of a worker process.",
                 offsetof(struct process_gauges, threads)  },
		{ "kade_worker_requests_in_flight", "Requests being served.",
                 offsetof(struct process_gauges, in_flight)},
		{ "kade_worker_requests",           "Requests served by this process.",
                 offsetof(struct process_gauges, requests) },
	};

	for (size_t i = 0; i < sizeof GAUGE / sizeof *GAUGE; i++) {
		put_heading(b, GAUGE[i].name, strlen(GAUGE[i].name), "gauge", GAUGE[i].help);
		for (int pos = 0; counters_process_next(cs, &pos, &g);) {
			uint64_t v;
			memcpy(&v, (const char *)&g + GAUGE[i].offset, sizeof v);
			buf_putf(b, "%s{pool=\"%s\",pid=\"%d\"} %llu\n", GAUGE[i].name, g.pool, g.pid,
			         (unsigned long long)v);
		}
	}
}

void
metrics_put(struct buf *b, const struct counters *cs)
{
	put_fixed(b, cs);
	put_routes(b, cs);
	put_series(b, cs);
	put_processes(b, cs);
}

void
metrics_push(struct counters *cs, int status, const char *media_type)
{
	static const char *const KNOWN[] = {
		"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.oci.image.index.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.docker.distribution.manifest.v1+prettyjws",
		"application/vnd.docker.distribution.manifest.v1+json",
	};
	char name[COUNTERS_SERIES_NAME + 1];
	const char *label = "other";

	for (size_t i = 0; media_type != NULL && i < sizeof KNOWN / sizeof *KNOWN; i++) {
		if (strcmp(KNOWN[i], media_type) == 0)
			label = KNOWN[i];
	}
	snprintf(name, sizeof name,
	         "quay_registry_image_pushes_total{protocol=\"v2\",status=\"%d\",media_type=\"%s\"}", status,
	         label);
	counters_bump(cs, name, 1);
}

void
metrics_auth(struct counters *cs, const char *kind, bool success)
{
	char name[COUNTERS_SERIES_NAME + 1];

	snprintf(name, sizeof name, "quay_authentication_attempts_total{auth_kind=\"%s\",success=\"%s\"}",
	         kind, success ? "True" : "False");
	counters_bump(cs, name, 1);
}
