/* The YAML dialect: types of plain words, aliases and merge keys, limits, and values read leniently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "conf/node.h"

struct world {
	struct ctx c;
	struct conf_report rep;
};

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	w->c.mem = w->rep.mem = arena_new(0);
	*state = w;
	return 0;
}

static int
finish(void **state)
{
	struct world *w = *state;

	arena_free(w->c.mem);
	free(w);
	return 0;
}

static const struct node *
parse(struct world *w, const char *text)
{
	struct node *nd = NULL;

	assert_int_equal(node_parse(&w->c, str_of(text), &w->rep, &nd), ERR_NONE);
	return nd;
}

/* The document fails, and the report says why and where. */
static void
refused(struct world *w, struct str text, enum err_kind kind, int line, const char *words)
{
	struct node *nd = NULL;

	w->rep.n = w->rep.n_errors = 0;
	assert_int_equal(node_parse(&w->c, text, &w->rep, &nd), kind);
	assert_null(nd);
	assert_int_equal(w->rep.n_errors, 1);
	assert_int_equal(w->rep.v[w->rep.n - 1].line, line);
	assert_non_null(strstr(w->rep.v[w->rep.n - 1].text, words));
}

static void
plain_words_have_yaml_1_1_types(void **state)
{
	static const struct {
		const char *text;
		enum node_type type;
		int64_t value;
	} cases[] = {
		{"yes",                   NODE_BOOL, 1        },
		{ "On",                   NODE_BOOL, 1        },
		{ "TRUE",                 NODE_BOOL, 1        },
		{ "no",                   NODE_BOOL, 0        },
		{ "Off",                  NODE_BOOL, 0        },
		{ "FALSE",                NODE_BOOL, 0        },
		{ "yEs",                  NODE_STR,  0        },
		{ "y",                    NODE_STR,  0        },
		{ "~",                    NODE_NULL, 0        },
		{ "null",                 NODE_NULL, 0        },
		{ "Null",                 NODE_NULL, 0        },
		{ "nUll",                 NODE_STR,  0        },
		{ "0",                    NODE_INT,  0        },
		{ "42",                   NODE_INT,  42       },
		{ "-7",                   NODE_INT,  -7       },
		{ "+7",                   NODE_INT,  7        },
		{ "1_000_000",            NODE_INT,  1000000  },
		{ "0x1F",                 NODE_INT,  31       },
		{ "-0x1F",                NODE_INT,  -31      },
		{ "0b101",                NODE_INT,  5        },
		{ "0123",                 NODE_INT,  83       },
		{ "0129",                 NODE_STR,  0        },
		{ "08",                   NODE_STR,  0        },
		{ "1:30",                 NODE_INT,  90       },
		{ "190:20:30",            NODE_INT,  685230   },
		{ "1:60",                 NODE_STR,  0        },
		{ "0x",                   NODE_STR,  0        },
		{ "9223372036854775807",  NODE_INT,  INT64_MAX},
		{ "-9223372036854775808", NODE_INT,  INT64_MIN},
		{ "1.5",                  NODE_REAL, 0        },
		{ "1e3",                  NODE_STR,  0        },
		{ "1.0e+3",               NODE_REAL, 0        },
		{ ".inf",                 NODE_REAL, 0        },
		{ "-.inf",                NODE_REAL, 0        },
		{ "1.2.3",                NODE_STR,  0        },
		{ ".",                    NODE_STR,  0        },
		{ "-",                    NODE_STR,  0        },
		{ "2026-11-25",           NODE_STR,  0        },
		{ "2w",                   NODE_STR,  0        },
		{ "",                     NODE_NULL, 0        },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct node nd = { .text = cases[i].text };
		node_resolve(&nd);
		if (nd.type != cases[i].type)
			fail_msg("\"%s\" is %s", cases[i].text, node_type_name(&nd));
		if (nd.type == NODE_BOOL)
			assert_int_equal(nd.b, cases[i].value);
		if (nd.type == NODE_INT && nd.i != cases[i].value)
			fail_msg("\"%s\" is %lld", cases[i].text, (long long)nd.i);
	}
}

static void
huge_numbers_keep_their_text(void **state)
{
	struct world *w = *state;
	const char *text = "123456789012345678901234567890123456789012345678901234567890123456789012345678";
	const struct node *nd = parse(w, text);

	assert_int_equal(nd->type, NODE_INT);
	assert_true(nd->is_huge);
	assert_string_equal(nd->text, text);
	int64_t v;
	assert_false(node_i64(nd, &v));
	json_t *j = node_to_json(nd);
	assert_string_equal(json_string_value(j), text);
	json_decref(j);
}

static void
quotes_and_tags_decide_the_type(void **state)
{
	struct world *w = *state;
	const struct node *m =
	    parse(w, "a: 'yes'\nb: \"12\"\nc: !!str 12\nd: !!int \"12\"\ne: |\n  two\n  lines\n");

	assert_int_equal(node_get(m, "a")->type, NODE_STR);
	assert_int_equal(node_get(m, "b")->type, NODE_STR);
	assert_int_equal(node_get(m, "c")->type, NODE_STR);
	assert_int_equal(node_get(m, "d")->i, 12);
	assert_string_equal(node_get(m, "e")->text, "two\nlines\n");
	assert_int_equal(node_get(m, "e")->line, 5);
}

static void
unknown_tags_are_refused(void **state)
{
	struct world *w = *state;

	refused(w, STR("a: 1\nb: !secret x\n"), ERR_BAD_INPUT, 2, "tag");
	refused(w, STR("a: !!python/object/apply:os.system [id]"), ERR_BAD_INPUT, 1, "tag");
	refused(w, STR("a: !!python/object:x.y {a: 1}"), ERR_BAD_INPUT, 1, "tag");
}

static void
aliases_and_merge_keys(void **state)
{
	struct world *w = *state;
	const struct node *m = parse(w, "base: &b {host: h, port: 1}\nsame: *b\nmore: {<<: *b, port: 2}\n"
	                                "list: {<<: [{x: 1}, {x: 2, y: 3}]}\nplain: {'<<': z}\n");

	assert_ptr_equal(node_get(m, "base"), node_get(m, "same"));
	assert_string_equal(node_get(node_get(m, "more"), "host")->text, "h");
	assert_int_equal(node_get(node_get(m, "more"), "port")->i, 2);
	assert_int_equal(node_get(node_get(m, "base"), "port")->i, 1);
	assert_int_equal(node_get(node_get(m, "list"), "x")->i, 1);
	assert_int_equal(node_get(node_get(m, "list"), "y")->i, 3);
	assert_string_equal(node_get(node_get(m, "plain"), "<<")->text, "z");
	refused(w, STR("a: *nobody\n"), ERR_BAD_INPUT, 1, "anchor");
	refused(w, STR("a: &x\n  b: *x\n"), ERR_BAD_INPUT, 2, "inside");
	refused(w, STR("a: {<<: 3}\n"), ERR_BAD_INPUT, 1, "merge");
}

static void
duplicate_keys_last_wins_with_a_warning(void **state)
{
	struct world *w = *state;
	const struct node *m = parse(w, "A: 1\nB: 2\nA: 3\n");

	assert_int_equal(m->n, 2);
	assert_int_equal(node_get(m, "A")->i, 3);
	assert_int_equal(w->rep.n_warnings, 1);
	assert_string_equal(w->rep.v[0].key, "A");
	assert_int_equal(w->rep.v[0].line, 3);
}

/* Ten levels of ten aliases would be 10^10 values. */
static void
alias_bombs_do_not_unfold(void **state)
{
	struct world *w = *state;
	struct buf b = BUF(w->c.mem);

	buf_puts(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 10; i++) {
		buf_putf(&b, "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			buf_putf(&b, "%s*a%d", j == 0 ? "" : ", ", i - 1);
		buf_puts(&b, "]\n");
	}
	refused(w, buf_str(&b), ERR_TOO_LARGE, 5, "50,000");
	/* One large text named often is no better. */
	b.n = 0;
	buf_puts(&b, "a: &t ");
	for (int i = 0; i < 100000; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "\nb: [");
	for (int i = 0; i < 1000; i++)
		buf_puts(&b, "*t, ");
	buf_puts(&b, "]\n");
	refused(w, buf_str(&b), ERR_TOO_LARGE, 2, "50,000");
}

static void
depth_size_and_keys_are_bounded(void **state)
{
	struct world *w = *state;
	struct buf b = BUF(w->c.mem);

	for (int i = 0; i < 32; i++)
		buf_putc(&b, '[');
	for (int i = 0; i < 32; i++)
		buf_putc(&b, ']');
	parse(w, buf_cstr(&b));
	b.n = 0;
	for (int i = 0; i < 5000; i++)
		buf_putc(&b, '[');
	refused(w, buf_str(&b), ERR_TOO_LARGE, 1, "deeper");
	b.n = 0;
	for (int i = 0; i < 2001; i++)
		buf_putf(&b, "k%d: 1\n", i);
	refused(w, buf_str(&b), ERR_TOO_LARGE, 2001, "2,000");
	b.n = 0;
	for (int i = 0; i <= NODE_MAX_BYTES; i++)
		buf_putc(&b, '#');
	refused(w, buf_str(&b), ERR_TOO_LARGE, 0, "1 MiB");
}

static void
broken_documents_name_the_line(void **state)
{
	struct world *w = *state;

	refused(w, STR("a: 1\nb: [1, 2\nc: 3\n"), ERR_BAD_INPUT, 3, "");
	refused(w, STR("a: 1\nb: \xff\xfe\n"), ERR_BAD_INPUT, 2, "UTF-8");
	refused(w, STR("a: \"x\\0y\"\n"), ERR_BAD_INPUT, 1, "NUL");
	refused(w, STR("a: 1\n---\nb: 2\n"), ERR_BAD_INPUT, 2, "second");
	refused(w, STR("? [a]\n: 1\n"), ERR_BAD_INPUT, 1, "key");
	refused(w, STR("a:\n\t- 1\n"), ERR_BAD_INPUT, 2, "");
}

static void
empty_documents_are_nothing(void **state)
{
	struct world *w = *state;

	assert_null(parse(w, ""));
	assert_null(parse(w, "# only a comment\n"));
	assert_int_equal(parse(w, "---\n")->type, NODE_NULL);
	assert_int_equal(parse(w, "just words")->type, NODE_STR);
	assert_int_equal(w->rep.n, 0);
}

static void
durations_and_sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t v; /* -1: refused */
	} durations[] = {
		{"30s",             30      },
		{ "5m",             300     },
		{ "12h",            43200   },
		{ "3d",             259200  },
		{ "2w",             1209600 },
		{ "1y",             31536000},
		{ "0s",             0       },
		{ "90",             90      },
		{ "s",              -1      },
		{ "",               -1      },
		{ "1.5h",           -1      },
		{ "-1d",            -1      },
		{ "1 d",            -1      },
		{ "1M",             -1      },
		{ "2W",             -1      },
		{ "101y",           -1      },
		{ "9999999999999w", -1      }
	};
	static const struct {
		const char *text;
		int64_t v;
	} sizes[] = {
		{"20G",           INT64_C(20000000000)},
		{ "500M",         500000000           },
		{ "8Gi",          INT64_C(8) << 30    },
		{ "10MiB",        10 << 20            },
		{ "1024",         1024                },
		{ "3k",           3000                },
		{ "1 GB",         1000000000          },
		{ "7B",           7                   },
		{ "G",            -1                  },
		{ "-1G",          -1                  },
		{ "1.5G",         -1                  },
		{ "1X",           -1                  },
		{ "99999999999T", -1                  }
	};
	(void)state;
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
		struct node nd = { .type = NODE_STR, .text = durations[i].text };
		int64_t v = -1;
		if (!node_duration(&nd, &v))
			v = -1;
		if (v != durations[i].v)
			fail_msg("\"%s\" is %lld", durations[i].text, (long long)v);
	}
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct node nd = { .type = NODE_STR, .text = sizes[i].text };
		int64_t v = -1;
		if (!node_size(&nd, &v))
			v = -1;
		if (v != sizes[i].v)
			fail_msg("\"%s\" is %lld", sizes[i].text, (long long)v);
	}
}

static void
json_goes_both_ways(void **state)
{
	struct world *w = *state;
	json_t *j = json_loads("{\"a\": [1, 2.5, \"x\", true, null, {}], \"b\": {\"c\": -3}}", 0, NULL),
	       *back;

	back = node_to_json(node_from_json(w->c.mem, j));
	assert_true(json_equal(j, back));
	json_decref(j);
	json_decref(back);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		T(plain_words_have_yaml_1_1_types),
		T(huge_numbers_keep_their_text),
		T(quotes_and_tags_decide_the_type),
		T(unknown_tags_are_refused),
		T(aliases_and_merge_keys),
		T(duplicate_keys_last_wins_with_a_warning),
		T(alias_bombs_do_not_unfold),
		T(depth_size_and_keys_are_bounded),
		T(broken_documents_name_the_line),
		T(empty_documents_are_nothing),
		T(durations_and_sizes),
		T(json_goes_both_ways),
	};
	return cmocka_run_group_tests_name("conf/yaml", tests, NULL, NULL);
}
