/* What a test of each event shows: the same as Quay's, so that a receiver that was tested there reads it. */
#include <stdio.h>

#include "base/js.h"
#include "model/notification.h"

static void
put_list(json_t *o, const char *name, const char *const *v)
{
	json_t *a = jo_array(o, name);

	for (; *v != NULL; v++)
		ja_str(a, *v);
}

static void
put_build(json_t *o, struct str event)
{
	static const char *const TAGS[] = { "latest", "foo", "bar", NULL };
	json_t                  *meta;

	if (str_eq(event, STR("build_queued")))
		jo_bool(o, "is_manual", false);
	jo_str(o, "build_id", "fake-build-id");
	jo_str(o, "build_name", "some-fake-build");
	put_list(o, "docker_tags", TAGS);
	jo_str(o, "trigger_id", "1245634");
	jo_str(o, "trigger_kind", "GitHub");
	meta = jo_object(o, "trigger_metadata");
	jo_str(meta, "default_branch", "master");
	jo_str(meta, "ref", "refs/heads/somebranch");
	jo_str(meta, "commit", "42d4a62c53350993ea41069e9f2cfdefb0df097d");
	if (str_eq(event, STR("build_success")))
		jo_str(o, "image_id", "1245657346");
	if (str_eq(event, STR("build_failure")))
		jo_str(o, "error_message", "This is a fake error message");
}

/* The level that the configuration names: its index, as a number or text. */
static void
put_vulnerability(json_t *o, const json_t *config)
{
	static const char *const TAGS[] = { "latest", "prod", "foo", "bar", "baz", NULL };
	static const char *const LEVEL[] = { "Critical", "High", "Medium", "Low", "Negligible", "Unknown" };
	const json_t            *level = json_object_get(config, "level");
	int64_t                  n = 0;
	json_t                  *v;

	if (json_is_integer(level))
		n = json_integer_value(level);
	else
		(void)str_to_i64(js_str(config, "level"), 0, 5, &n);
	put_list(o, "tags", TAGS);
	jo_str(o, "image", "some-image-id");
	v = jo_object(o, "vulnerability");
	jo_str(v, "id", "CVE-FAKE-CVE");
	jo_str(v, "description", "A futurist vulnerability");
	jo_str(v, "link", "https://security-tracker.debian.org/tracker/CVE-FAKE-CVE");
	jo_str(v, "priority", LEVEL[n < 0 || n > 5 ? 0 : n]);
}

static void
put_quota(json_t *o, bool is_error)
{
	jo_i64(o, "threshold_percent", is_error ? 100 : 80);
	jo_i64(o, "usage_bytes", is_error ? 1127428915 : 858993459);
	jo_i64(o, "limit_bytes", 1073741824);
	jo_i64(o, "usage_percent", is_error ? 105 : 80);
	jo_str(o, "usage_bytes_formatted", is_error ? "1.05 GB" : "819.20 MB");
	jo_str(o, "limit_bytes_formatted", "1.00 GB");
}

static void
put_expiry(json_t *o, const json_t *config)
{
	static const char *const TAGS[] = { "latest", "v1", NULL };
	const json_t            *days = json_object_get(config, "days");
	char                     text[32];
	int64_t                  n = 1;

	if (json_is_integer(days))
		n = json_integer_value(days);
	else
		(void)str_to_i64(js_str(config, "days"), 1, INT32_MAX, &n);
	snprintf(text, sizeof text, "%lld days", (long long)n);
	put_list(o, "tags", TAGS);
	jo_str(o, "expiring_in", text);
}

void
notification_sample(json_t *o, struct str event, const json_t *config)
{
	static const char *const PUSHED[] = { "latest", "foo", NULL };

	if (str_eq(event, STR("repo_push"))) {
		put_list(o, "updated_tags", PUSHED);
		jo_i64(o, "pruned_image_count", 3);
	} else if (str_starts(event, STR("build_")))
		put_build(o, event);
	else if (str_eq(event, STR("vulnerability_found")))
		put_vulnerability(o, config);
	else if (str_starts(event, STR("quota_")))
		put_quota(o, str_eq(event, STR("quota_error")));
	else if (str_eq(event, STR("repo_image_expiry")))
		put_expiry(o, config);
	else
		jo_str(o, "message", "TEST NOTIFICATION");
}
