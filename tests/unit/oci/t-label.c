/* Configs, labels, and what labels do. */
#include "oci-fixture.h"

#include "oci/image-config.h"
#include "oci/label.h"
#include "oci/say.h"

static json_t *
json(struct ctx *c, const char *text)
{
	json_t *v = NULL;

	assert_int_equal(js_parse(c, str_of(text), &JS_MANIFEST, &v), ERR_NONE);
	return v;
}

static void
strict_config(void **state)
{
	static const struct {
		const char *text, *words; /* NULL: passes */
	} t[] = {
		{"{\"history\":[],\"rootfs\":{\"type\":\"layers\"}}",  NULL                               },
		{ "{\"rootfs\":{\"type\":\"layers\"}}",
                 "config data does not match schema"		                                      }, /* scenario 53 */
		{ "{\"history\":{},\"rootfs\":{\"type\":\"layers\"}}", "config data does not match schema"},
		{ "{\"history\":[]}",                                  "config data does not match schema"},
		{ "{\"history\":[],\"rootfs\":{}}",                    "config data does not match schema"},
		{ "[]",		                                "config data does not match schema"},
		{ "{",		                                 "malformed config data: "          },
		{ "",		                                  "malformed config data: "          },
	};
	struct ctx *c = *state;
	struct oci_config cfg;

	for (size_t i = 0; i < COUNT(t); i++) {
		const enum err_kind k = oci_config_parse_strict(c, str_of(t[i].text), &JS_MANIFEST, &cfg);
		assert_int_equal(k, t[i].words == NULL ? ERR_NONE : ERR_BAD_INPUT);
		if (k != ERR_NONE) {
			assert_ptr_equal(c->err.say, &OCI_SAY_MANIFEST_INVALID);
			assert_non_null(strstr(c->err.detail_json, t[i].words));
		}
	}
}

static void
config_members(void **state)
{
	struct ctx *c = *state;
	struct oci_config cfg;

	oci_config_parse(
	    c,
	    STR("{\"architecture\":\"arm64\",\"os\":\"linux\",\"variant\":\"v8\",\"created\":\"2024-01-02T03:"
	        "04:05Z\","
	        "\"config\":{\"Labels\":{\"a\":\"\xf0\x9f\x98\x80\"}},\"rootfs\":{\"type\":\"layers\",\"diff_"
	        "ids\":[\"sha256:x\",1]},"
	        "\"history\":[{\"created_by\":\"ADD\",\"comment\":\"c\"},{\"empty_layer\":true},7]}"),
	    &JS_MANIFEST, &cfg);
	assert_str(cfg.architecture, "arm64");
	assert_str(cfg.os, "linux");
	assert_str(cfg.variant, "v8");
	assert_str(cfg.created, "2024-01-02T03:04:05Z");
	assert_int_equal(cfg.n_history, 3);
	assert_str(cfg.history[0].created_by, "ADD");
	assert_true(cfg.history[1].is_empty_layer);
	assert_int_equal(cfg.n_diff_ids, 1);
	assert_int_equal(json_object_size(cfg.labels), 1);

	/* an OCI config is never refused */
	static const char *const odd[] = { "{}",
		                           "",
		                           "[]",
		                           "null",
		                           "{\"config\":[],\"rootfs\":3,\"history\":\"x\",\"os\":{}}",
		                           "{\"config\":{\"Labels\":null}}",
		                           "{\"config\":{\"Labels\":[1]}}",
		                           "\xff" };
	for (size_t i = 0; i < COUNT(odd); i++) {
		oci_config_parse(c, str_of(odd[i]), &JS_MANIFEST, &cfg);
		assert_null(cfg.labels);
		assert_int_equal(cfg.n_history, 0);
		assert_int_equal(c->err.kind, ERR_NONE);
	}
}

static void
merging(void **state)
{
	struct ctx *c = *state;
	struct oci_labels l;
	json_t *config = json(c, "{\"a\":\"1\",\"b\":\"2\",\"\":\"no\",\"n\":5,\"j\":\"{\\\"x\\\": "
	                         "[1]}\",\"bad\":\"{x}\",\"k \\\" y\":\"odd\"}");
	json_t *annotations =
	    json(c, "{\"b\":\"over\",\"arr\":\" [1, 2] \",\"\":\"no\",\"num\":\"5\",\"o\":{}}");

	oci_labels_merge(c, config, annotations, &l);
	assert_int_equal(l.n, 7);
	assert_str(oci_labels_find(&l, "a")->value, "1");
	assert_str(oci_labels_find(&l, "b")->value, "over");
	assert_false(oci_labels_find(&l, "a")->is_json);
	assert_true(oci_labels_find(&l, "j")->is_json);
	assert_true(oci_labels_find(&l, "arr")->is_json);
	assert_false(oci_labels_find(&l, "bad")->is_json);
	assert_false(oci_labels_find(&l, "num")->is_json);
	assert_str(oci_labels_find(&l, "k \" y")->value, "odd");
	assert_null(oci_labels_find(&l, ""));
	assert_null(oci_labels_find(&l, "n"));
	oci_labels_merge(c, NULL, NULL, &l);
	assert_int_equal(l.n, 0);
	oci_labels_merge(c, json(c, str_fmt(c->mem, "{\"%s\":\"x\"}", t_repeat(c, 'k', 256).p)), NULL, &l);
	assert_int_equal(l.n, 0);
	/* an annotation that is no string does not hide the config's label */
	oci_labels_merge(c, json(c, "{\"a\":\"1\"}"), json(c, "{\"a\":2}"), &l);
	assert_int_equal(l.n, 1);
	assert_str(l.v[0].value, "1");
}

static void
json_values(void **state)
{
	static const struct {
		const char *s;
		bool ok;
	} t[] = {
		{"{}",         true },
                { "[]",        true },
                { "{\"a\":1}", true },
                { "[",         false},
		{ "",          false},
                { "\"x\"",     false},
                { "1",         false},
                { "{]",        false},
		{ "{}{}",      false},
                { "[1,]",      false},
	};
	struct ctx *c = *state;

	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(oci_label_is_json(str_of(t[i].s)), t[i].ok);
	assert_false(oci_label_is_json(
	    str_of(str_fmt(c->mem, "%s%s", t_repeat(c, '[', 10000).p, t_repeat(c, ']', 10000).p))));
}

static void
keys(void **state)
{
	static const struct {
		const char *s;
		bool ok;
	} t[] = {
		{"a",        true },
                { "quay.io", true },
                { "a-b.c",   true },
                { "a--b",    false},
		{ "a.-b",    false},
                { ".a",      false},
                { "a.",      false},
                { "",        false},
		{ "A",       false},
                { "a_b",     false},
                { "a b",     false},
                { "a\n",     false},
	};
	struct ctx *c = *state;

	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(oci_label_key_valid(str_of(t[i].s)), t[i].ok);
	assert_true(oci_label_key_valid(t_repeat(c, 'a', 255)));
	assert_false(oci_label_key_valid(t_repeat(c, 'a', 256)));
}

static void
durations(void **state)
{
	static const struct {
		struct str s;
		int64_t ms; /* 0: refused */
	} t[] = {
		{STR("1s"),                     1000                   },
		{ STR("1m"),                    60000                  },
		{ STR("1h"),                    3600000                },
		{ STR("1d"),                    86400000               },
		{ STR("2w"),                    1209600000             },
		{ STR("1y"),                    INT64_C(31536000000)   },
		{ STR("1g"),                    0                      },
		{ STR("something"),             0                      },
		{ STR(""),                      0                      },
		{ STR("s"),                     0                      },
		{ STR("1"),                     0                      },
		{ STR("0s"),                    0                      },
		{ STR("-1h"),                   0                      },
		{ STR("+1h"),                   0                      },
		{ STR("1.5h"),                  0                      },
		{ STR("1hh"),                   0                      },
		{ STR("1 h"),                   0                      },
		{ STR("1H"),                    0                      },
		{ STR("1000y"),                 INT64_C(31536000000000)},
		{ STR("1001y"),                 0                      },
		{ STR("9223372036854775807s"),  0                      },
		{ STR("99999999999999999999y"), 0                      },
		{ STR("--1h"),                  0                      },
		{ STR("1\0h"),                  0                      },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		int64_t ms = 0;
		assert_int_equal(oci_duration_parse(t[i].s, &ms), t[i].ms != 0);
		assert_true(ms == t[i].ms);
	}
}

static void
acting(void **state)
{
	struct ctx *c = *state;
	struct oci_labels a, b, both;
	struct oci_acting act;

	oci_labels_merge(c,
	                 json(c, "{\"quay.expires-after\":\"1d\",\"quay.immutable\":\" True \",\"x\":\"1\"}"),
	                 NULL, &a);
	oci_labels_acting(&a, &act);
	assert_true(act.expires_after_ms == 86400000);
	assert_true(act.is_immutable);
	oci_labels_merge(c, json(c, "{\"quay.expires-after\":\"something\",\"quay.immutable\":\"yes\"}"),
	                 NULL, &b);
	oci_labels_acting(&b, &act);
	assert_true(act.expires_after_ms == 0);
	assert_false(act.is_immutable);
	oci_labels_common(c, &a, &b, &both);
	assert_int_equal(both.n, 0);
	oci_labels_merge(
	    c, json(c, "{\"quay.expires-after\":\"1d\",\"quay.immutable\":\"true\",\"x\":\"1\"}"), NULL, &b);
	oci_labels_common(c, &a, &b, &a);
	assert_int_equal(a.n, 1); /* the texts of the other differ */
	assert_str(a.v[0].key, "quay.expires-after");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(strict_config), TEST(config_members), TEST(merging),
		                            TEST(json_values),   TEST(keys),           TEST(durations),
		                            TEST(acting) };
	return cmocka_run_group_tests_name("oci/label", tests, NULL, NULL);
}
