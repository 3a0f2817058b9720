/* Loading: every type of key, the order of the sources, the blocks, the snapshot's life. */
#include "loading.h"

#include <time.h>

#include "conf/key.h"

static void
built_in_values(void **state)
{
	struct world *w = *state;
	const struct conf *cf = load(w, "");

	assert_no_errors(w);
	assert_string_equal(cf->preferred_url_scheme, "http");
	assert_int_equal(cf->default_tag_expiration_s, 1209600);
	assert_int_equal(cf->push_temp_tag_expiration_sec, 3600);
	assert_int_equal(cf->maximum_layer_size_bytes, INT64_C(20000000000));
	assert_int_equal(cf->kade_max_manifest_bytes, 5 << 20);
	assert_int_equal(cf->tag_expiration_options.n, 5);
	assert_int_equal(cf->app_specific_token_expiration_s, -1);
	assert_int_equal(cf->expired_app_specific_token_gc_s, 86400);
	assert_true(cf->feature_anonymous_access);
	assert_false(cf->feature_mailing); /* off without a server, although the table says true */
	assert_int_equal(cf->kade_sendfile, CONF_SENDFILE_NONE);
	assert_int_equal(cf->kade_token_algorithm, CONF_TOKEN_ES256);
	assert_string_equal(cf->base_url, "http://registry.example.com");
	assert_string_equal(cf->kade_key_dir, w->dir);
	assert_int_equal(cf->kade_trusted_proxies.n, 0);
	assert_int_equal(cf->cors_origin.n, 1);
	assert_null(cf->page_token_key);
	assert_false(conf_is_set(cf, "FEATURE_PROGRAMMATIC_BOOTSTRAP"));
	assert_true(conf_is_set(cf, "SECRET_KEY"));
}

static void
numbers_in_quotes_and_texts_without(void **state)
{
	struct world *w = *state;
	const struct conf *cf =
	    load(w, "MAIL_PORT: '2525'\n"
	            "V2_PAGINATION_SIZE: 0x20\n"
	            "REGISTRY_TITLE: 2026\n"
	            "FEATURE_PUBLIC_CATALOG: 'True'\n"
	            "FEATURE_SUPER_USERS: 'false'\n"
	            "PERMANENTLY_DELETE_TAGS: on\n"
	            "DISABLE_PUSHES: 'no'\n"
	            "SUPER_USERS: alice, bob\n"
	            "PUBLIC_NAMESPACES: [1, two, yes]\n"
	            "CORS_ORIGIN: https://a.example,https://b.example\n"
	            "SESSION_TIMEOUT: 86400\n"
	            "MAXIMUM_LAYER_SIZE: 8Gi\n"
	            "LDAP_TIMEOUT: '2.5'\n"
	            "KADE: {SENDFILE: X-Accel, SCHEMA1_FALLBACK: legacy-accept, DB_POOLER: transaction,\n"
	            "       ACCESS_LOG: off}\n");

	assert_no_errors(w);
	assert_int_equal(cf->mail_port, 2525);
	assert_int_equal(cf->v2_pagination_size, 32);
	assert_string_equal(cf->registry_title, "2026");
	assert_true(cf->feature_public_catalog);
	assert_false(cf->feature_super_users);
	assert_true(cf->permanently_delete_tags);
	assert_false(cf->disable_pushes);
	assert_int_equal(cf->super_users.n, 2);
	assert_string_equal(cf->super_users.v[1], "bob");
	assert_int_equal(cf->public_namespaces.n, 3);
	assert_string_equal(cf->public_namespaces.v[2], "yes");
	assert_int_equal(cf->cors_origin.n, 1);
	assert_int_equal(cf->session_timeout_s, 86400);
	assert_int_equal(cf->maximum_layer_size_bytes, INT64_C(8) << 30);
	assert_true(cf->ldap_timeout > 2.49 && cf->ldap_timeout < 2.51);
	assert_int_equal(cf->kade_sendfile, CONF_SENDFILE_X_ACCEL);
	assert_int_equal(cf->kade_schema1_fallback, CONF_SCHEMA1_LEGACY_ACCEPT);
	assert_int_equal(cf->kade_db_pooler, CONF_POOLER_TRANSACTION);
	assert_int_equal(cf->access_log, CONF_ACCESS_OFF);
}

static void
secrets_keep_their_text(void **state)
{
	struct world *w = *state;
	const struct conf *cf =
	    load(w, "SECRET_KEY: 01234567012345670123\nDATABASE_SECRET_KEY: "
	            "123456789012345678901234567890123456789012345678901234567890123456789012345678\n");

	assert_no_errors(w);
	assert_string_equal(cf->secret_key, "01234567012345670123");
	assert_int_equal(strlen(cf->database_secret_key), 78);
	assert_note(w, CONF_WARNING, "SECRET_KEY", "octal");
}

static void
null_is_the_built_in_value_or_none(void **state)
{
	struct world *w = *state;
	const struct conf *cf =
	    load(w, "V2_PAGINATION_SIZE: null\nEXPIRED_APP_SPECIFIC_TOKEN_GC: ~\nREGISTRY_TITLE:\n"
	            "RESTRICTED_USERS_WHITELIST: null\nFOOTER_LINKS: {}\nGITHUB_LOGIN_CONFIG: {}\n"
	            "GITLAB_TRIGGER_KIND: {}\nKADE:\n");

	assert_no_errors(w);
	assert_int_equal(cf->v2_pagination_size, 50);
	assert_int_equal(cf->expired_app_specific_token_gc_s, -1);
	assert_string_equal(cf->registry_title, "Project Quay");
	assert_int_equal(cf->restricted_users_whitelist.n, 0);
	assert_int_equal(json_object_size(cf->login_providers), 0);
	assert_false(conf_is_set(cf, "REGISTRY_TITLE"));
}

static void
environment_replaces_whole_keys(void **state)
{
	struct world *w = *state;
	const struct conf *cf;

	setenv("QUAY_OVERRIDE_CONFIG",
	       "{\"REGISTRY_TITLE\": \"over\", \"USER_EVENTS_REDIS\": {\"host\": \"r2\"}, "
	       "\"V2_PAGINATION_SIZE\": \"70\","
	       " \"KADE\": {\"TAGS_PAGE_MAX\": 5}}",
	       1);
	setenv("QUAY_DISTRIBUTED_STORAGE_PREFERENCE", "  b \t a ", 1);
	cf = load(w, "REGISTRY_TITLE: under\nUSER_EVENTS_REDIS: {host: r1, port: 7000}\n"
	             "DISTRIBUTED_STORAGE_CONFIG: {a: [LocalStorage, {storage_path: /a}], b: [LocalStorage, "
	             "{storage_path: /b}]}\n"
	             "DISTRIBUTED_STORAGE_PREFERENCE: [a]\nKADE: {SLOW_REQUEST_MS: 9}\n");
	assert_no_errors(w);
	assert_string_equal(cf->registry_title, "over");
	assert_string_equal(cf->redis_userevents.host, "r2");
	assert_int_equal(cf->redis_userevents.port, 6379);
	assert_int_equal(cf->v2_pagination_size, 70);
	assert_int_equal(cf->kade_tags_page_max, 5);
	assert_int_equal(cf->kade_slow_request_ms, 9);
	assert_int_equal(cf->storage_preference.n, 2);
	assert_string_equal(cf->locations.v[cf->storage_preference.v[0]].name, "b");
	assert_string_equal(cf->locations.v[cf->userfiles_at].name, "b");
	setenv("QUAY_OVERRIDE_CONFIG", "[1]", 1);
	assert_null(load(w, ""));
	assert_note(w, CONF_ERROR, "", "QUAY_OVERRIDE_CONFIG");
}

static void
redis_blocks(void **state)
{
	struct world *w = *state;
	const struct conf *cf =
	    load(w, "BUILDLOGS_REDIS: {host: 10.0.0.1, port: '6380', password: 123, ssl: 'true', db: 2,\n"
	            "  ssl_ca_certs: conf/stack/redis.pem, ssl_cert_reqs: none, ssl_min_version: TLSv1_2,\n"
	            "  ssl_check_hostname: false, health_check_interval: 5}\n"
	            "KADE: {REDIS_SENTINELS: [s1:26379, s2], REDIS_SENTINEL_PRIMARY: main}\n");
	const struct conf_redis *r = &cf->redis_buildlogs;

	assert_no_errors(w);
	assert_string_equal(r->host, "10.0.0.1");
	assert_int_equal(r->port, 6380);
	assert_string_equal(r->password, "123");
	assert_true(r->ssl);
	assert_int_equal(r->db, 2);
	assert_false(r->ssl_check_hostname);
	assert_int_equal(r->ssl_cert_reqs, CONF_REDIS_VERIFY_NONE);
	assert_string_equal(r->ssl_min_version, "TLSv1.2");
	assert_string_equal(r->ssl_ca_certs, str_fmt(w->c.mem, "%s/redis.pem", w->dir));
	assert_int_equal(r->sentinels.n, 2);
	assert_string_equal(r->sentinel_primary, "main");
	assert_string_equal(cf->redis_userevents.host, "localhost");
	assert_int_equal(cf->redis_pullmetrics.db, 1);
	assert_note(w, CONF_INFO, "BUILDLOGS_REDIS.health_check_interval", "no effect");
	load(w, "USER_EVENTS_REDIS: {port: 0}\n");
	assert_note(w, CONF_ERROR, "USER_EVENTS_REDIS.port", "65535");
	assert_note(w, CONF_ERROR, "USER_EVENTS_REDIS", "host");
}

static const char *
db_value(const struct conf_db *db, const char *kw)
{
	for (size_t i = 0; i < db->n; i++)
		if (strcmp(db->keywords[i], kw) == 0)
			return db->values[i];
	return NULL;
}

static void
database_address(void **state)
{
	struct world *w = *state;
	const struct conf *cf = load(
	    w,
	    "DB_URI: postgresql+psycopg2://us%40er:p%2Fw%3A%25@[::1]:5433/reg?sslmode=require&keepalives=1\n"
	    "DB_CONNECTION_ARGS: {threadlocals: true, autorollback: true, sslmode: verify-full,\n"
	    "  sslrootcert: conf/stack/database.pem, keepalives_idle: 30, sslsni: true, wrong: 1}\n");

	assert_no_errors(w);
	assert_string_equal(db_value(&cf->db, "user"), "us@er");
	assert_string_equal(db_value(&cf->db, "password"), "p/w:%");
	assert_string_equal(cf->db.host, "::1");
	assert_string_equal(cf->db.port, "5433");
	assert_string_equal(cf->db.dbname, "reg");
	assert_string_equal(db_value(&cf->db, "sslmode"), "verify-full");
	assert_string_equal(db_value(&cf->db, "keepalives"), "1");
	assert_string_equal(db_value(&cf->db, "keepalives_idle"), "30");
	assert_string_equal(db_value(&cf->db, "sslsni"), "1");
	assert_string_equal(db_value(&cf->db, "connect_timeout"), "10");
	assert_string_equal(db_value(&cf->db, "sslrootcert"), str_fmt(w->c.mem, "%s/database.pem", w->dir));
	assert_null(db_value(&cf->db, "threadlocals"));
	assert_null(cf->db.keywords[cf->db.n]);
	assert_note(w, CONF_WARNING, "DB_CONNECTION_ARGS.wrong", "no such option");
	cf = load(w, "DB_URI: postgresql:///reg?host=/run/postgresql\nKADE: {DB_SESSION_URI: "
	             "'postgres://a,b:5433/reg'}\n");
	assert_no_errors(w);
	assert_string_equal(cf->db.host, "/run/postgresql");
	assert_string_equal(cf->db_session.host, "a,b");
	assert_string_equal(cf->db_session.port, ",5433");
}

static void
storage_locations(void **state)
{
	struct world *w = *state;
	const struct conf *cf = load(
	    w, "DISTRIBUTED_STORAGE_CONFIG:\n  one: [LocalStorage, {storage_path: /one}]\n"
	       "  two: [LocalStorage, {storage_path: /two, port: '443', is_secure: 'false'}]\n"
	       "DISTRIBUTED_STORAGE_PREFERENCE: [two]\nDISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: [one, two]\n"
	       "LOG_ARCHIVE_LOCATION: one\n");

	assert_no_errors(w);
	assert_int_equal(cf->locations.n, 2);
	assert_int_equal(conf_location_find(cf, STR("two")), 1);
	assert_int_equal(conf_location_find(cf, STR("three")), -1);
	assert_int_equal(cf->storage_preference.n, 1);
	assert_int_equal(cf->storage_preference.v[0], 1);
	assert_int_equal(cf->storage_defaults.n, 2);
	assert_int_equal(cf->userfiles_at, 1);
	assert_int_equal(cf->log_archive_at, 0);
	assert_int_equal(conf_param_i64(&cf->locations.v[1], "port", 0), 443);
	assert_false(conf_param_bool(&cf->locations.v[1], "is_secure", true));
	assert_string_equal(conf_param_str(&cf->locations.v[1], "nothing", "x"), "x");
	assert_note(w, CONF_WARNING, "DISTRIBUTED_STORAGE_CONFIG.two", "no parameter");
	/* Empty: all of them, in the order of the file. */
	cf = load(w, "DISTRIBUTED_STORAGE_CONFIG: {z: [LocalStorage, {storage_path: /z}], a: [LocalStorage, "
	             "{storage_path: /a}]}\n"
	             "DISTRIBUTED_STORAGE_PREFERENCE: []\n");
	assert_no_errors(w);
	assert_int_equal(cf->storage_preference.n, 2);
	assert_string_equal(cf->locations.v[cf->storage_preference.v[0]].name, "z");
	assert_int_equal(cf->storage_defaults.n, 0);
}

static void
made_of_several_keys(void **state)
{
	struct world *w = *state;
	const struct conf *cf = load(
	    w, "PREFERRED_URL_SCHEME: HTTPS\nREGISTRY_STATE: readonly\nSERVER_HOSTNAME: r.example.com:8443\n"
	       "TRUSTED_PROXY_CIDR: [10.0.0.0/8]\nKADE: {ACCESS_LOG: 'sampled:50'}\n");

	assert_no_errors(w);
	assert_true(cf->is_https && cf->session_cookie_secure && cf->is_readonly);
	assert_string_equal(cf->base_url, "https://r.example.com:8443");
	assert_int_equal(cf->access_log, CONF_ACCESS_SAMPLED);
	assert_int_equal(cf->access_log_sample, 50);
	assert_string_equal(cf->kade_trusted_proxies.v[0], "10.0.0.0/8");
	cf = load(w, "PREFERRED_URL_SCHEME: https\nFORCE_NONSECURE_SESSION_COOKIE: true\n");
	assert_false(cf->session_cookie_secure);
}

static void
features_for_the_interface(void **state)
{
	struct world *w = *state;
	const struct conf *cf =
	    load(w, "FEATURE_NEVER_HEARD_OF: 7\nFEATURE_PUBLIC_CATALOG: true\nFEATURE_MAILING: true\nMAIL_SERVER: mail.example.com\n");

	assert_no_errors(w);
	assert_int_equal(json_integer_value(json_object_get(cf->features, "NEVER_HEARD_OF")), 7);
	assert_true(json_is_true(json_object_get(cf->features, "PUBLIC_CATALOG")));
	assert_true(json_is_true(json_object_get(cf->features, "MAILING")));
	assert_string_equal(json_string_value(json_object_get(cf->features, "LISTEN_IP_VERSION")), "IPv4");
}

static void
a_changed_file_is_seen_and_the_old_snapshot_stays(void **state)
{
	struct world *w = *state;
	const struct conf *old = load(w, "REGISTRY_TITLE: old\n"), *new = NULL;
	struct timespec later[2] = { { .tv_sec = 2000000000 }, { .tv_sec = 2000000000 } };

	assert_false(conf_changed(old));
	assert_int_equal(utimensat(0, w->path, later, 0), 0);
	assert_true(conf_changed(old));
	assert_int_equal(conf_load(&w->c, w->dir, &new, &w->rep), ERR_NONE);
	assert_string_equal(old->registry_title, "old");
	assert_string_equal(new->registry_title, "old");
	assert_false(conf_changed(new));
	conf_free(new);
	assert_int_equal(unlink(w->path), 0);
	assert_true(conf_changed(old));
}

static void
a_file_with_errors_gives_no_snapshot(void **state)
{
	struct world *w = *state;
	const struct conf *cf = NULL;

	load(w, "MAIL_PORT: none\n");
	w->rep.n = w->rep.n_errors = w->rep.n_warnings = 0;
	assert_int_equal(conf_load(&w->c, w->path, &cf, &w->rep), ERR_BAD_INPUT);
	assert_null(cf);
	assert_non_null(strstr(w->c.err.text, "MAIL_PORT"));
	assert_int_equal(conf_load(&w->c, "/nonexistent/config.yaml", &cf, &w->rep), ERR_BAD_INPUT);
	assert_null(cf);
}

static void
config_directory_alias(void **state)
{
	struct world *w = *state;
	const struct conf *cf = load(w, "KADE: {KEY_DIR: conf/stack/keys, SPOOL_DIR: /spool}\n");

	assert_no_errors(w);
	assert_string_equal(cf->kade_key_dir, str_fmt(w->c.mem, "%s/keys", w->dir));
	assert_string_equal(cf->kade_spool_dir, "/spool");
	assert_string_equal(conf_file(w->c.mem, cf, "/conf/stack/x"), str_fmt(w->c.mem, "%s/x", w->dir));
	assert_string_equal(conf_file(w->c.mem, cf, "/etc/x"), "/etc/x");
}

/* Each name once, each built-in value passes its own check (else no file would load), words begin with their built-in. */
static void
the_table_is_sound(void **state)
{
	(void)state;
	assert_true(CONF_N_KEYS > 450);
	for (size_t i = 0; i < CONF_N_KEYS; i++) {
		assert_ptr_equal(conf_key_find(CONF_KEYS[i].name), &CONF_KEYS[i]);
		assert_true(strlen(CONF_KEYS[i].doc) > 3);
		if (CONF_KEYS[i].type == CONF_WORD || CONF_KEYS[i].type == CONF_CHOICE)
			assert_non_null(strstr(CONF_KEYS[i].check, CONF_KEYS[i].def));
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		T(built_in_values),
		T(numbers_in_quotes_and_texts_without),
		T(secrets_keep_their_text),
		T(null_is_the_built_in_value_or_none),
		T(environment_replaces_whole_keys),
		T(redis_blocks),
		T(database_address),
		T(storage_locations),
		T(made_of_several_keys),
		T(features_for_the_interface),
		T(a_changed_file_is_seen_and_the_old_snapshot_stays),
		T(a_file_with_errors_gives_no_snapshot),
		T(config_directory_alias),
		cmocka_unit_test(the_table_is_sound),
	};
	return cmocka_run_group_tests_name("conf/conf", tests, NULL, NULL);
}
