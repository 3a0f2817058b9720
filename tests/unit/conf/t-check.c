/* What the loader refuses and what it names: texts, lines, suggestions, secrets that must not show. */
#include "loading.h"

/* A file as an installer writes it; RadosGWStorage is taken out where the test is about the rest. */
#define REALISTIC(storage)                                                                                   \
	"SERVER_HOSTNAME: registry.example.com\n"                                                            \
	"PREFERRED_URL_SCHEME: https\n"                                                                      \
	"EXTERNAL_TLS_TERMINATION: true\n"                                                                   \
	"SETUP_COMPLETE: true\n"                                                                             \
	"TESTING: false\n"                                                                                   \
	"SECRET_KEY: 2f5d5c1e-7a0e-4a0f-9d55-1d0f3a9f7a11\n"                                                 \
	"DATABASE_SECRET_KEY: 48a0f7c2-6d0b-4b0a-8a45-0b7a4b6f9f02\n"                                        \
	"DB_URI: postgresql://quay:quay@127.0.0.1:5432/quay\n"                                               \
	"DB_CONNECTION_ARGS: {autorollback: true, threadlocals: true}\n"                                     \
	"BUILDLOGS_REDIS: {host: 127.0.0.1, port: 6379}\n"                                                   \
	"USER_EVENTS_REDIS: {host: 127.0.0.1, port: 6379}\n"                                                 \
	"DISTRIBUTED_STORAGE_CONFIG:\n"                                                                      \
	"  default: " storage "\n"                                                                           \
	"DISTRIBUTED_STORAGE_PREFERENCE: [default]\n"                                                        \
	"DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: [default]\n"                                                 \
	"USERFILES_LOCATION: default\n"                                                                      \
	"LOG_ARCHIVE_LOCATION: default\n"                                                                    \
	"AUTHENTICATION_TYPE: Database\n"                                                                    \
	"SUPER_USERS: [admin]\n"                                                                             \
	"FEATURE_MAILING: false\n"                                                                           \
	"FEATURE_USER_CREATION: true\n"                                                                      \
	"DEFAULT_TAG_EXPIRATION: 2w\n"                                                                       \
	"TAG_EXPIRATION_OPTIONS: [0s, 1d, 1w, 2w, 4w]\n"                                                     \
	"FEATURE_SECURITY_SCANNER: true\n"                                                                   \
	"SECURITY_SCANNER_V4_ENDPOINT: http://127.0.0.1:6060\n"                                              \
	"SECURITY_SCANNER_V4_PSK: bW9yZSB0aGFuIDMyIGJ5dGVzIG9mIHNlY3JldCBoZXJl\n"

static void
a_realistic_file_loads(void **state)
{
	struct world *w = *state;

	load_raw(w, REALISTIC("[LocalStorage, {storage_path: /datastorage/registry}]"));
	assert_no_errors(w);
	assert_string_equal(w->conf->base_url, "https://registry.example.com");
	assert_string_equal(w->conf->locations.v[0].name, "default");
	/* Other drivers: every complaint is about the storage, and no parameter is unknown. */
	load_raw(
	    w, REALISTIC(
	           "[RadosGWStorage, {hostname: s3.example.com, port: 443, is_secure: true, "
	           "storage_path: /datastorage/registry, access_key: A, secret_key: S, bucket_name: quay}]"));
	for (size_t i = 0; i < w->rep.n; i++)
		if (w->rep.v[i].severity == CONF_ERROR)
			assert_string_equal(w->rep.v[i].key, "DISTRIBUTED_STORAGE_CONFIG.default");
	assert_null(note_of(w, CONF_WARNING, "DISTRIBUTED_STORAGE_CONFIG.default"));
}

static void
missing_keys(void **state)
{
	struct world *w = *state;

	load_raw(w, "");
	assert_note(w, CONF_ERROR, "SECRET_KEY", "missing");
	assert_note(w, CONF_ERROR, "DATABASE_SECRET_KEY", "missing");
	assert_note(w, CONF_ERROR, "DB_URI", "missing");
	assert_note(w, CONF_ERROR, "DISTRIBUTED_STORAGE_CONFIG", "at least one");
	assert_note(w, CONF_WARNING, "SERVER_HOSTNAME", "missing");
	load(w, "SECRET_KEY: ''\n");
	assert_note(w, CONF_ERROR, "SECRET_KEY", "missing");
}

static void
published_secrets_are_refused(void **state)
{
	struct world *w = *state;

	load(w, "PAGE_TOKEN_KEY: 0OYrc16oBuksR8T3JGB-xxYSlZ2-7I_zzqrLzggBJ58=\n");
	assert_note(w, CONF_ERROR, "PAGE_TOKEN_KEY", "published");
	load(w, "SECRET_KEY: changeme\n");
	assert_note(w, CONF_ERROR, "SECRET_KEY", "published");
	assert_int_equal(w->rep.n_errors, 1);
	load(w, "SECRET_KEY: e9bd34f4-900c-436a-979e-7530e5d74ac8\n"
	        "DATABASE_SECRET_KEY: a8c2744b-7004-4af2-bcee-e417e7bdd235\n");
	assert_note(w, CONF_ERROR, "SECRET_KEY", "published");
	assert_note(w, CONF_ERROR, "DATABASE_SECRET_KEY", "published");
	assert_int_equal(w->rep.n_errors, 2);
	load(w, "DATABASE_SECRET_KEY: "
	        "\"8154105708560072048416263831756146361119490137827549429374661539098466841751\"\n");
	assert_no_errors(w); /* one digit short of a published one */
	load(w, "PAGE_TOKEN_KEY: short\n");
	assert_note(w, CONF_ERROR, "PAGE_TOKEN_KEY", "32 bytes");
	load(w, "PAGE_TOKEN_KEY: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
	assert_no_errors(w);
}

static void
setup_complete_and_testing(void **state)
{
	struct world *w = *state;

	load(w, "SETUP_COMPLETE: false\n");
	assert_note(w, CONF_ERROR, "SETUP_COMPLETE", "not ready");
	load(w, "TESTING: true\n");
	assert_no_errors(w);
	assert_note(w, CONF_INFO, "TESTING", "no effect");
}

static void
unknown_keys_with_suggestions(void **state)
{
	static const struct {
		const char *key, *meant; /* NULL: nothing near */
	} cases[] = {
		{"SERVER_HOSTNAM",           "SERVER_HOSTNAME"         },
		{ "SEVRER_HOSTNAME",         "SERVER_HOSTNAME"         },
		{ "FEATURE_ANONYMOUS_ACESS", "FEATURE_ANONYMOUS_ACCESS"},
		{ "ANONYMOUS_ACCESS",        "FEATURE_ANONYMOUS_ACCESS"},
		{ "FEATURE_SUPER_USER",      "FEATURE_SUPER_USERS"     },
		{ "SENDFILE",                "KADE.SENDFILE"           },
		{ "MY_OWN_THING",            NULL                      },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		load(w, str_fmt(w->c.mem, "%s: 1\n", cases[i].key));
		assert_no_errors(w);
		const char *text = assert_note_at(w, CONF_WARNING, cases[i].key, 6, "unknown key, ignored");
		if (cases[i].meant == NULL)
			assert_null(strstr(text, "mean"));
		else
			assert_non_null(strstr(text, str_fmt(w->c.mem, "did you mean %s?", cases[i].meant)));
	}
	load(w, "KADE: {SPOLL_DIR: /x}\nserver_hostname: x\nServer_Hostname: x\n");
	assert_note(w, CONF_WARNING, "KADE.SPOLL_DIR", "KADE.SPOOL_DIR");
	assert_note(w, CONF_WARNING, "server_hostname", "upper case");
	assert_note(w, CONF_WARNING, "Server_Hostname", "upper case");
}

static const struct {
	const char *line, *key, *words;
} WRONG_VALUES[] = {
	{ "FEATURE_MAILING: true",		                            "FEATURE_MAILING",                "MAIL_SERVER is missing"     },
	{ "KADE: {LANGUAGE: fr}",		                            "KADE.LANGUAGE",                  "en"                         },
	{"MAIL_PORT: 70000",	                                            "MAIL_PORT",                      "outside 1..65535"           },
	{ "MAIL_PORT: many",	                                            "MAIL_PORT",                      "a whole number"             },
	{ "MAIL_PORT: 2.5",	                                             "MAIL_PORT",                      "a whole number"             },
	{ "MAIL_PORT: [1]",	                                             "MAIL_PORT",                      "this is a list"             },
	{ "FEATURE_SUPER_USERS: maybe",	                                 "FEATURE_SUPER_USERS",            "true or false"              },
	{ "FEATURE_SUPER_USERS: {a: 1}",                                        "FEATURE_SUPER_USERS",            "true or false"              },
	{ "SESSION_TIMEOUT: 5 days",	                                    "SESSION_TIMEOUT",                "a duration"                 },
	{ "SESSION_TIMEOUT: 1s",	                                        "SESSION_TIMEOUT",                "outside 60.."               },
	{ "MAXIMUM_LAYER_SIZE: big",	                                    "MAXIMUM_LAYER_SIZE",             "a size"                     },
	{ "REGISTRY_STATE: open",	                                       "REGISTRY_STATE",                 "normal|readonly"            },
	{ "REGISTRY_TITLE: {a: 1}",	                                     "REGISTRY_TITLE",                 "a text"                     },
	{ "SUPER_USERS: {a: 1}",	                                        "SUPER_USERS",                    "a list"                     },
	{ "SUPER_USERS: [[a]]",	                                         "SUPER_USERS",                    "a list of texts"            },
	{ "BRANDING: [a]",	                                              "BRANDING",                       "a map"                      },
	{ "BUILD_MANAGER: enterprise",	                                  "BUILD_MANAGER",                  "a list"                     },
	{ "SERVER_HOSTNAME: https://r.example.com",                             "SERVER_HOSTNAME",                "host"                       },
	{ "SERVER_HOSTNAME: r.example.com:0",                                   "SERVER_HOSTNAME",                "host"                       },
	{ "SERVER_HOSTNAME: \"r.example.com\\r\\nX: y\"",                       "SERVER_HOSTNAME",                "host"                       },
	{ "DB_URI: mysql://a:b@c/d",	                                    "DB_URI",                         "PostgreSQL"                 },
	{ "DB_URI: postgresql://a:b@c",	                                 "DB_URI",                         "name is missing"            },
	{ "DB_URI: postgresql://a:b:c@d:x/e",                                   "DB_URI",                         "port"                       },
	{ "DB_URI: postgresql://a:%zz@d/e",                                     "DB_URI",                         "%25"                        },
	{ "DB_URI: 'postgresql://a:b@c/d?nosuch=1'",                            "DB_URI",                         "no option nosuch"           },
	{ "DB_URI: 'postgresql://a:b@c/d?sslmode=maybe'",                       "DB_URI",                         "sslmode"                    },
	{ "DB_CONNECTION_ARGS: {ssl: {ca: x}}",                                 "DB_CONNECTION_ARGS.ssl",         "MySQL"                      },
	{ "TRUSTED_PROXY_CIDR: [10.0.0.0/33]",                                  "TRUSTED_PROXY_CIDR",             "block"                      },
	{ "TRUSTED_PROXY_CIDR: proxy.example.com",                              "TRUSTED_PROXY_CIDR",             "block"                      },
	{ "CONTACT_INFO: [me]",	                                         "CONTACT_INFO",                   "mailto"                     },
	{ "SECURITY_SCANNER_V4_ENDPOINT: ftp://x",                              "SECURITY_SCANNER_V4_ENDPOINT",   "http"                       },
	{ "LABEL_KEY_RESERVED_PREFIXES: [abc]",                                 "LABEL_KEY_RESERVED_PREFIXES",    "dot"                        },
	{ "TAG_EXPIRATION_OPTIONS: [1d, soon]",                                 "TAG_EXPIRATION_OPTIONS",         "duration"                   },
	{ "DEFAULT_TAG_EXPIRATION: 3d",	                                 "DEFAULT_TAG_EXPIRATION",         "TAG_EXPIRATION_OPTIONS"     },
	{ "AUTHENTICATION_TYPE: LDAP",	                                  "AUTHENTICATION_TYPE",            "not yet supported"          },
	{ "AUTHENTICATION_TYPE: Kerberos",                                      "AUTHENTICATION_TYPE",            "Database|LDAP"              },
	{ "LOGS_MODEL: splunk",	                                         "LOGS_MODEL",                     "splunk is not yet supported"},
	{ "FEATURE_FIPS: true",	                                         "FEATURE_FIPS",                   "not yet supported"          },
	{ "FEATURE_DIRECT_LOGIN: false",                                        "FEATURE_DIRECT_LOGIN",           "nobody"                     },
	{ "LDAP_LOGIN_CONFIG: {a: 1}",	                                  "LDAP_LOGIN_CONFIG",              "this name"                  },
	{ "DISTRIBUTED_STORAGE_PREFERENCE: [nowhere]",                          "DISTRIBUTED_STORAGE_PREFERENCE",
         "nowhere is not a location"	                                                                                                   },
	{ "USERFILES_LOCATION: nowhere",                                        "USERFILES_LOCATION",             "not a location"             },
	{ "DISTRIBUTED_STORAGE_CONFIG: {a: LocalStorage}",                      "DISTRIBUTED_STORAGE_CONFIG.a",
         "[Driver, {parameters}]"	                                                                                                      },
	{ "DISTRIBUTED_STORAGE_CONFIG: {a: [LocalStorage]}",                    "DISTRIBUTED_STORAGE_CONFIG.a",
         "[Driver, {parameters}]"	                                                                                                      },
	{ "DISTRIBUTED_STORAGE_CONFIG: {a: [FakeStorage, {}]}",                 "DISTRIBUTED_STORAGE_CONFIG.a",
         "not a valid storage type"	                                                                                                    },
	{ "DISTRIBUTED_STORAGE_CONFIG: {a: [LocalStorage, {}]}",                "DISTRIBUTED_STORAGE_CONFIG.a",
         "needs storage_path"	                                                                                                          },
	{ "DISTRIBUTED_STORAGE_CONFIG: {a: [LocalStorage, {storage_path: x}]}",
         "DISTRIBUTED_STORAGE_CONFIG.a",	                                                                  "absolute"                   },
	{ "KADE: [1]",	                                                  "KADE",                           "a map"                      },
	{ "KADE: {ACCESS_LOG: 'sampled:0'}",                                    "KADE.ACCESS_LOG",                "sampled"                    },
	{ "KADE: {MOUNT_PREFIX: registry}",                                     "KADE.MOUNT_PREFIX",              "begins"                     },
	{ "KADE: {MOUNT_PREFIX: /a/../b}",                                      "KADE.MOUNT_PREFIX",              "begins"                     },
	{ "KADE: {SENDFILE: maybe}",	                                    "KADE.SENDFILE",                  "none|x-sendfile|x-accel"    },
	{ "KADE: {DB_CONNECTIONS: 0}",	                                  "KADE.DB_CONNECTIONS",            "outside"                    },
};

static void
wrong_values(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < sizeof WRONG_VALUES / sizeof WRONG_VALUES[0]; i++) {
		load(w, str_fmt(w->c.mem, "%s\n", WRONG_VALUES[i].line));
		assert_note_at(w, CONF_ERROR, WRONG_VALUES[i].key, 6, WRONG_VALUES[i].words);
	}
}

/* Values beside which the file stays usable. */
static void
named_but_accepted(void **state)
{
	static const struct {
		const char *line, *key, *words;
		enum conf_severity sev;
	} cases[] = {
		{"FEATURE_REPO_MIRROR: true",                "FEATURE_REPO_MIRROR",   "not yet supported", CONF_WARNING},
		{ "DB_READ_REPLICAS: [{DB_URI: x}]",         "DB_READ_REPLICAS",      "not yet supported", CONF_WARNING},
		{ "KEYCLOAK_LOGIN_CONFIG: {OIDC_SERVER: x}", "KEYCLOAK_LOGIN_CONFIG", "not yet supported",
                 CONF_WARNING		                                                                          },
		{ "TRUSTED_PROXY_CIDR: [0.0.0.0/0]",         "TRUSTED_PROXY_CIDR",    "everybody",         CONF_WARNING},
		{ "SERVER_HOSTNAME: registry",               "SERVER_HOSTNAME",       "without a dot",     CONF_WARNING},
		{ "SUPER_USERS: [a, a]",                     "SUPER_USERS",           "twice",             CONF_WARNING},
		{ "KADE: {SENDFILE: x-sendfile}",            "KADE.SENDFILE",         "SENDFILE_TRUSTED",  CONF_WARNING},
		{ "SECRET_KEY: tiny",                        "SECRET_KEY",            "16",                CONF_WARNING},
		{ "REGISTRY_TITLE: x",                       "FEATURE_MAILING",       "no mail is sent",   CONF_INFO   },
		{ "PROXY_COUNT: 2",                          "PROXY_COUNT",           "no effect",         CONF_INFO   },
		{ "BUILDLOGS_OPTIONS: {a: 1}",               "BUILDLOGS_OPTIONS",     "no effect",         CONF_INFO   },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		load(w, str_fmt(w->c.mem, "%s\n", cases[i].line));
		assert_no_errors(w);
		assert_note(w, cases[i].sev, cases[i].key, cases[i].words);
	}
	/* Switched off, or as built in: nothing to say. */
	load(w,
	     "FEATURE_REPO_MIRROR: false\nFEATURE_FIPS: false\nUSE_CDN: false\nV22_NAMESPACE_BLACKLIST: []\n"
	     "GITHUB_LOGIN_CONFIG: {}\nKEYCLOAK_LOGIN_CONFIG: {}\nDB_READ_REPLICAS: "
	     "[]\nTEAM_SYNC_WORKER_FREQUENCY: 60\n");
	assert_no_errors(w);
	assert_int_equal(w->rep.n_warnings, 0);
	for (size_t i = 0; i < w->rep.n; i++)
		if (strcmp(w->rep.v[i].key, "PREFERRED_URL_SCHEME") != 0 &&
		    strcmp(w->rep.v[i].key, "FEATURE_MAILING") != 0 &&
		    strcmp(w->rep.v[i].key, "SUPER_USERS") != 0)
			fail_msg("%s: %s", w->rep.v[i].key, w->rep.v[i].text);
}

static void
no_secret_in_the_report(void **state)
{
	struct world *w = *state;

	load(w, "DB_URI: postgresql://a:hushhush@c:x/d\n"
	        "SECRET_KEY: [hushhush]\n"
	        "DATABASE_SECRET_KEY: {a: hushhush}\n"
	        "PAGE_TOKEN_KEY: hushhush\n"
	        "MAIL_PASSWORD: [hushhush]\n"
	        "BUILDLOGS_REDIS: {host: [x], password: [hushhush], hush: 1}\n"
	        "USER_EVENTS_REDIS: hushhush\n"
	        "DB_CONNECTION_ARGS: {password: hushhush, wrong: hushhush}\n"
	        "SECURITY_SCANNER_V4_PSK: '!hushhush'\n"
	        "DISTRIBUTED_STORAGE_CONFIG: {a: [S3Storage, {s3_secret_key: hushhush}]}\n"
	        "STRIPE_SECRET_KEY: hushhush\n"
	        "KADE: {DB_SESSION_URI: 'mysql://a:hushhush@b/c', REDIS_SENTINEL_PASSWORD: [hushhush]}\n");
	assert_true(w->rep.n_errors > 5);
	for (size_t i = 0; i < w->rep.n; i++)
		assert_null(strstr(w->rep.v[i].text, "hushhush"));
	assert_null(strstr(w->c.err.text, "hushhush"));
}

static void
files_that_are_no_configuration(void **state)
{
	struct world *w = *state;

	assert_null(load_raw(w, "just a text\n"));
	assert_note(w, CONF_ERROR, "", "map of keys");
	assert_null(load_raw(w, "[1, 2]\n"));
	assert_note(w, CONF_ERROR, "", "map of keys");
	assert_null(load_raw(w, "A: [1\n"));
	assert_null(load_raw(w, "A: \xc3\x28\n"));
	assert_note(w, CONF_ERROR, "", "UTF-8");
	assert_int_equal(chmod(w->path, 0644), 0);
	assert_non_null(load_raw(w, "# nothing\n"));
}

static void
errors_come_first_and_once(void **state)
{
	struct conf_report rep = { 0 };
	struct world *w = *state;

	rep.mem = w->c.mem;
	conf_note(&rep, CONF_INFO, "B", 1, "x");
	conf_note(&rep, CONF_WARNING, "B", 9, "x");
	conf_note(&rep, CONF_ERROR, "Z", 5, "x");
	conf_note(&rep, CONF_ERROR, "A", 7, "x");
	conf_note(&rep, CONF_ERROR, "Z", 5, "x");
	conf_report_sort(&rep);
	assert_int_equal(rep.n, 4);
	assert_int_equal(rep.n_errors, 2);
	assert_int_equal(rep.n_warnings, 1);
	assert_string_equal(rep.v[0].key, "Z");
	assert_string_equal(rep.v[1].key, "A");
	assert_int_equal(rep.v[3].severity, CONF_INFO);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		T(a_realistic_file_loads),
		T(missing_keys),
		T(published_secrets_are_refused),
		T(setup_complete_and_testing),
		T(unknown_keys_with_suggestions),
		T(wrong_values),
		T(named_but_accepted),
		T(no_secret_in_the_report),
		T(files_that_are_no_configuration),
		T(errors_come_first_and_once),
	};
	return cmocka_run_group_tests_name("conf/check", tests, NULL, NULL);
}
