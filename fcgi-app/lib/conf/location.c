/* DISTRIBUTED_STORAGE_CONFIG and the lists that name its locations. */
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/vec.h"
#include "conf/load.h"

/* Storage drivers: name, whether the program has them, parameters that are needed and others that are known.
 */
static const struct driver {
	const char *name;
	bool is_built;
	const char *needs, *knows;
} DRIVERS[] = {
#define S3_KNOWS                                                                                             \
	"s3_access_key s3_secret_key s3_region host port endpoint_url maximum_chunk_size_gb "                \
	"minimum_chunk_size_mb "                                                                             \
	"signature_version aws_session_token "
	{"LocalStorage",           true,  "storage_path",	                                                ""                                              },
	{ "S3Storage",             false, "storage_path s3_bucket",                                              S3_KNOWS                                        },
	{ "STSS3Storage",          false, "storage_path s3_bucket",
         S3_KNOWS "sts_role_arn sts_user_access_key sts_user_secret_key sts_web_identity_token_file "
	           "sts_role_session_name"	                                                                                                               },
	{ "CloudFrontedS3Storage", false,
         "storage_path s3_bucket s3_region cloudfront_distribution_domain cloudfront_key_id "
	  "cloudfront_privatekey_filename",	                                                              S3_KNOWS "cloudfront_distribution_org_overrides"},
	{ "CloudFlareStorage",     false,
         "storage_path s3_bucket s3_region cloudflare_domain cloudflare_privatekey_filename",                    S3_KNOWS                                        },
	{ "AkamaiS3Storage",       false, "storage_path s3_bucket s3_region akamai_domain akamai_shared_secret",
         S3_KNOWS	                                                                                                                                        },
	{ "MultiCDNStorage",       false, "storage_config providers default_provider rules",                     ""                                              },
	{ "GoogleCloudStorage",    false, "storage_path access_key secret_key bucket_name",
         "boto_timeout minimum_chunk_size_mb signature_version"	                                                                                          },
	{ "RadosGWStorage",        false, "hostname is_secure storage_path access_key secret_key bucket_name",
         "port region_name signature_version minimum_chunk_size_mb maximum_chunk_size_mb "
	  "server_side_assembly"	                                                                                                                         },
	{ "RHOCSStorage",          false, "hostname is_secure storage_path access_key secret_key bucket_name",
         "port region_name signature_version minimum_chunk_size_mb maximum_chunk_size_mb "
	  "server_side_assembly"	                                                                                                                         },
	{ "IBMCloudStorage",       false, "hostname is_secure storage_path access_key secret_key bucket_name",
         "port maximum_chunk_size_mb signature_version"	                                                                                                  },
	{ "AzureStorage",          false, "azure_container storage_path azure_account_name",
         "azure_account_key sas_token endpoint_url"	                                                                                                      },
	{ "SwiftStorage",          false, "swift_container storage_path auth_url swift_user swift_password",
         "auth_version os_options ca_cert_path temp_url_key simple_path_concat connect_timeout retry_count "
	  "retry_on_ratelimit"	                                                                                                                           },
};

#define KEY "DISTRIBUTED_STORAGE_CONFIG"

static bool
has_word(const char *words, const char *word)
{
	struct str rest = str_of(words), one;

	for (bool more = true; more;) {
		more = str_cut(rest, ' ', &one, &rest);
		if (one.n > 0 && str_eq_c(one, word))
			return true;
	}
	return false;
}

static void
params_check(struct load *l, const struct driver *d, const char *where, const struct node *params)
{
	struct str rest = str_of(d->needs), one;

	for (bool more = true; more;) {
		more = str_cut(rest, ' ', &one, &rest);
		if (node_get(params, str_dup(l->c->mem, one)) == NULL)
			conf_note(l->rep, CONF_ERROR, where, params->line, "%s needs %.*s", d->name,
			          STRF(one));
	}
	for (size_t i = 0; i < params->n; i++)
		if (!has_word(d->needs, params->keys[i]) && !has_word(d->knows, params->keys[i]))
			conf_note(l->rep, CONF_WARNING, where, params->items[i]->line,
			          "%s has no parameter %.60s", d->name, params->keys[i]);
}

static void
driver_check(struct load *l, const char *where, const char *name, const struct node *params)
{
	for (size_t i = 0; i < sizeof DRIVERS / sizeof DRIVERS[0]; i++) {
		if (strcmp(DRIVERS[i].name, name) != 0)
			continue;
		params_check(l, &DRIVERS[i], where, params);
		if (!DRIVERS[i].is_built)
			conf_note(l->rep, CONF_ERROR, where, params->line, "%s is not yet supported", name);
		return;
	}
	conf_note(l->rep, CONF_ERROR, where, params->line, "%.60s is not a valid storage type", name);
}

static void
free_json(void *p)
{
	json_decref(p);
}

/* A relative storage_path of LocalStorage lies under the config directory's parent, never under the current
 * directory: two programs started in two places must not see two stores. */
static bool
location_read(struct load *l, const char *name, const struct node *nd, struct conf_location *out)
{
	static const struct node none = { .type = NODE_MAP };
	const char *where = str_fmt(l->c->mem, KEY ".%.100s", name);
	const struct node *params;

	if (nd->type != NODE_LIST || nd->n != 2 || nd->items[0]->text == NULL ||
	    (nd->items[1]->type != NODE_MAP && nd->items[1]->type != NODE_NULL)) {
		conf_note(l->rep, CONF_ERROR, where, nd->line, "[Driver, {parameters}] is wanted");
		return false;
	}
	params = nd->items[1]->type == NODE_MAP ? nd->items[1] : &none;
	driver_check(l, where, nd->items[0]->text, params);
	out->name = name;
	out->driver = nd->items[0]->text;
	out->line = nd->line;
	out->params = node_to_json(params);
	arena_defer(l->c->mem, free_json, out->params);
	if (strcmp(out->driver, "LocalStorage") == 0 && conf_param_str(out, "storage_path", "/")[0] != '/')
		conf_note(l->rep, CONF_ERROR, where, nd->line, "storage_path has to be absolute");
	return true;
}

long
conf_location_find(const struct conf *conf, struct str name)
{
	for (size_t i = 0; i < conf->locations.n; i++)
		if (str_eq_c(name, conf->locations.v[i].name))
			return (long)i;
	return -1;
}

static struct conf_index
index_of(struct load *l, const char *key, const struct str_list *names)
{
	VEC(size_t) at = { 0 };

	for (size_t i = 0; i < names->n; i++) {
		const long pos = conf_location_find(l->conf, str_of(names->v[i]));
		if (pos < 0)
			conf_note(l->rep, CONF_ERROR, key, load_line(l, key),
			          "%.100s is not a location of " KEY, names->v[i]);
		else
			vec_push(l->c->mem, &at, (size_t)pos);
	}
	return (struct conf_index){ at.v, at.n };
}

static size_t
location_of(struct load *l, const char *key, const char *name)
{
	long at;

	if (name == NULL || name[0] == '\0')
		return l->conf->storage_preference.n > 0 ? l->conf->storage_preference.v[0] : 0;
	at = conf_location_find(l->conf, str_of(name));
	if (at < 0)
		conf_note(l->rep, CONF_ERROR, key, load_line(l, key), "%.100s is not a location of " KEY,
		          name);
	return at < 0 ? 0 : (size_t)at;
}

void
locations_load(struct load *l)
{
	const struct node *map = load_given(l, KEY);
	struct conf *conf = l->conf;
	VEC(struct conf_location) v = { 0 };

	for (size_t i = 0; map != NULL && map->type == NODE_MAP && i < map->n; i++) {
		struct conf_location one;
		if (location_read(l, map->keys[i], map->items[i], &one))
			vec_push(l->c->mem, &v, one);
	}
	if (v.n == 0 && (map == NULL || map->n == 0))
		conf_note(l->rep, CONF_ERROR, KEY, map == NULL ? 0 : map->line,
		          "at least one storage location is needed");
	conf->locations = (struct conf_locations){ v.v, v.n };
	conf->storage_preference =
	    index_of(l, "DISTRIBUTED_STORAGE_PREFERENCE", &conf->distributed_storage_preference);
	if (conf->storage_preference.n == 0 && v.n > 0) {
		size_t *all = ARENA_ARRAY(l->c->mem, size_t, v.n);
		for (size_t i = 0; i < v.n; i++)
			all[i] = i;
		conf->storage_preference = (struct conf_index){ all, v.n };
	}
	conf->storage_defaults = index_of(l, "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS",
	                                  &conf->distributed_storage_default_locations);
	conf->userfiles_at = location_of(l, "USERFILES_LOCATION", conf->userfiles_location);
	conf->log_archive_at = location_of(l, "LOG_ARCHIVE_LOCATION", conf->log_archive_location);
	conf->action_log_archive_at =
	    location_of(l, "ACTION_LOG_ARCHIVE_LOCATION", conf->action_log_archive_location);
}

const char *
conf_param_str(const struct conf_location *l, const char *name, const char *def)
{
	const json_t *v = json_object_get(l->params, name);

	return json_is_string(v) && json_string_length(v) > 0 ? json_string_value(v) : def;
}

int64_t
conf_param_i64(const struct conf_location *l, const char *name, int64_t def)
{
	const json_t *v = json_object_get(l->params, name);
	int64_t n;

	if (json_is_integer(v))
		return json_integer_value(v);
	if (json_is_string(v) && str_to_i64(str_trim(str_of(json_string_value(v))), INT64_MIN, INT64_MAX, &n))
		return n;
	return def;
}

bool
conf_param_bool(const struct conf_location *l, const char *name, bool def)
{
	const json_t *v = json_object_get(l->params, name);

	if (json_is_boolean(v))
		return json_is_true(v);
	if (json_is_integer(v))
		return json_integer_value(v) != 0;
	if (!json_is_string(v) || json_string_length(v) == 0)
		return def;
	const struct str s = str_of(json_string_value(v));
	return str_eq_nocase(s, STR("true")) || str_eq_nocase(s, STR("yes")) || str_eq_nocase(s, STR("on")) ||
	       str_eq_c(s, "1");
}
