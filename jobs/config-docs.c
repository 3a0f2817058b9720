/* kade-config docs and schema: the table of keys for readers and for editors. */
#include <string.h>

#include "conf/key.h"
#include "config.h"

/* Titles where they stand in the table, NULL for each key in between. */
static const char *const STREAM[] = {
#define CONF_AREA(title)                                      title,
#define K(name, field, type, def, support, flags, check, doc) NULL,
#include "conf/keys.def"
#undef K
#undef CONF_AREA
};

static const char INTRO[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by `kade-config docs`; change the table of keys in fcgi-app/lib/conf instead. -->\n"
    "\n"
    "The registry reads one file, `config.yaml`, with the keys that Red Hat Quay has, and keys of its own "
    "under `KADE:`.\n"
    "`kade-config check` names every mistake with its line, `kade-config get KEY` shows a value in effect.\n"
    "\n"
    "## How values are found\n"
    "\n"
    "Later sources win, key by key; a block or list is replaced as a whole. The members of `KADE` are keys "
    "of their own.\n"
    "\n"
    "1. built-in values, as below;\n"
    "2. `config.yaml`;\n"
    "3. the environment variable `QUAY_OVERRIDE_CONFIG`, a JSON object of keys;\n"
    "4. the environment variable `QUAY_DISTRIBUTED_STORAGE_PREFERENCE`, location ids with blanks between "
    "them.\n"
    "\n"
    "Keys are in upper case; others are named and ignored. A key that is not known is named too, with the "
    "key that may have\n"
    "been meant, and ignored. `null` means: not given. The file is read again when it changes or on SIGHUP; "
    "requests under\n"
    "way keep what they began with. A file with an error is refused, and the last good one stays in force.\n"
    "\n"
    "The file is YAML 1.1, at most 1 MiB, 32 levels, 50,000 values with aliases counted out: `yes`, `no`, "
    "`on` and `off` are\n"
    "truth values, `0x1f` and `0b11` numbers, a number that begins with `0` is octal, `1:30` is 90. Of a key "
    "that is given\n"
    "twice the later counts. Numbers in quotes and texts without are both accepted; secrets keep the text of "
    "the file.\n"
    "\n"
    "| type | what may be written |\n"
    "|---|---|\n"
    "| flag | `true`, `false`; also `yes`, `no`, `on`, `off`, `1`, `0` and the same in quotes |\n"
    "| number | a whole number |\n"
    "| decimal | a number with or without a point |\n"
    "| duration | `30s`, `5m` (minutes), `12h`, `3d`, `2w`, `1y` (365 days), or seconds |\n"
    "| size | `500M`, `20G` (powers of ten), `512Mi`, `8Gi` (powers of two), or bytes |\n"
    "| text | any text |\n"
    "| word | one of the words named |\n"
    "| list | a list of texts; one text counts as a list, split at commas |\n"
    "| block | a map or list, as described |\n"
    "\n"
    "File names that begin with `conf/stack/`, and relative ones, mean the folder of `config.yaml`.\n"
    "\n"
    "Support: **yes**; **no effect**: accepted, and nothing follows from it; **not yet**: a value that asks "
    "for it is named\n"
    "as a warning, a flag counts as false; **refused**: not built yet, and a value that asks for it is an "
    "error.\n";

static const char *
type_name(const struct conf_key *k)
{
	static const char *const names[] = { "flag", "number", "duration", "size", "decimal",
		                             "text", "word",   "word",     "list", "block" };

	return names[k->type];
}

static const char *
support_name(enum conf_support s)
{
	static const char *const names[] = { "yes", "no effect", "not yet", "refused" };

	return names[s];
}

/* "a|b|c" as words, "1..5" as words. A bar would end the cell. */
static void
put_check(FILE *f, const char *check)
{
	struct str rest, one;

	if (check == NULL || check[0] == '@')
		return;
	if (strstr(check, "..") != NULL) {
		const char *dots = strstr(check, "..");
		if (dots[2] == '\0')
			fprintf(f, ", from %.*s", (int)(dots - check), check);
		else
			fprintf(f, ", %.*s to %s", (int)(dots - check), check, dots + 2);
		return;
	}
	rest = str_of(check);
	for (bool more = true, first = true; more; first = false) {
		more = str_cut(rest, '|', &one, &rest);
		fprintf(f, "%s`%.*s`", first ? ": " : ", ", STRF(one));
	}
}

bool
config_write_docs(FILE *f)
{
	const struct conf_key *k = CONF_KEYS;

	fputs(INTRO, f);
	for (size_t i = 0; i < sizeof STREAM / sizeof STREAM[0]; i++) {
		if (STREAM[i] != NULL) {
			fprintf(f,
			        "\n## %s\n\n| key | type | built-in | support | meaning "
			        "|\n|---|---|---|---|---|\n",
			        STREAM[i]);
			continue;
		}
		fprintf(f, "| `%s` | %s", k->name, type_name(k));
		put_check(f, k->check);
		if (k->def == NULL)
			fputs(" | –", f);
		else if (k->def[0] == '\0')
			fputs(" | empty", f);
		else
			fprintf(f, " | `%s`", k->def);
		fprintf(f, " | %s | %s%s |\n", support_name(k->support), k->doc,
		        (k->flags & CONF_SECRET) != 0 ? " *Secret.*" : "");
		k++;
	}
	return ferror(f) == 0;
}

static json_t *
types(const char *a, const char *b, const char *c)
{
	json_t *v = json_array();

	json_array_append_new(v, json_string(a));
	if (b != NULL)
		json_array_append_new(v, json_string(b));
	if (c != NULL)
		json_array_append_new(v, json_string(c));
	json_array_append_new(v, json_string("null"));
	return v;
}

static void
schema_range(json_t *o, const struct conf_key *k)
{
	const char *dots = k->check == NULL ? NULL : strstr(k->check, "..");
	struct str lo;
	int64_t v;

	if (dots == NULL || (k->type != CONF_INT && k->type != CONF_REAL))
		return;
	lo = (struct str){ k->check, (size_t)(dots - k->check) };
	if (str_to_i64(lo, INT64_MIN, INT64_MAX, &v))
		json_object_set_new(o, "minimum", json_integer(v));
	if (str_to_i64(str_of(dots + 2), INT64_MIN, INT64_MAX, &v))
		json_object_set_new(o, "maximum", json_integer(v));
}

static void
schema_words(json_t *o, const char *check)
{
	json_t *v = json_array();
	struct str rest = str_of(check), one;

	for (bool more = true; more;) {
		more = str_cut(rest, '|', &one, &rest);
		json_array_append_new(v, json_stringn(one.p, one.n));
	}
	json_array_append_new(v, json_null());
	json_object_set_new(o, "enum", v);
}

static json_t *
schema_key(const struct conf_key *k)
{
	json_t *o = json_object();

	switch (k->type) {
	case CONF_BOOL:
		json_object_set_new(o, "type", types("boolean", "string", "integer"));
		break;
	case CONF_INT:
		json_object_set_new(o, "type", types("integer", "string", NULL));
		break;
	case CONF_REAL:
		json_object_set_new(o, "type", types("number", "string", NULL));
		break;
	case CONF_DUR:
		json_object_set_new(o, "type", types("string", "integer", NULL));
		json_object_set_new(o, "pattern", json_string("^[0-9]+[smhdwy]?$"));
		break;
	case CONF_SIZE:
		json_object_set_new(o, "type", types("string", "integer", NULL));
		json_object_set_new(o, "pattern", json_string("^[0-9]+ *([KkMmGgTt]i?)?[Bb]?$"));
		break;
	case CONF_STR:
		json_object_set_new(o, "type", types("string", "number", "boolean"));
		break;
	case CONF_WORD:
	case CONF_CHOICE:
		schema_words(o, k->check);
		break;
	case CONF_LIST:
		json_object_set_new(o, "type", types("array", "string", "number"));
		json_object_set_new(o, "items",
		                    json_pack("{s:[s,s,s]}", "type", "string", "number", "boolean"));
		break;
	case CONF_JSON:
		if (k->check != NULL)
			json_object_set_new(
			    o, "type",
			    types(strcmp(k->check, "@list") == 0 ? "array" : "object", NULL, NULL));
		break;
	}
	schema_range(o, k);
	json_object_set_new(o, "description", json_string(k->doc));
	if (k->def != NULL && (k->flags & CONF_SECRET) == 0 && k->type != CONF_JSON && k->type != CONF_LIST)
		json_object_set_new(o, "x-built-in", json_string(k->def));
	json_object_set_new(o, "x-support", json_string(support_name(k->support)));
	if ((k->flags & CONF_SECRET) != 0)
		json_object_set_new(o, "writeOnly", json_true());
	return o;
}

bool
config_write_schema(FILE *f)
{
	json_t *root = json_object(), *top = json_object(), *kade = json_object(), *ours = json_object();
	bool ok;

	for (size_t i = 0; i < CONF_N_KEYS; i++) {
		const struct conf_key *k = &CONF_KEYS[i];
		if (strncmp(k->name, "KADE.", 5) == 0)
			json_object_set_new(ours, k->name + 5, schema_key(k));
		else
			json_object_set_new(top, k->name, schema_key(k));
	}
	json_object_set_new(kade, "type", types("object", NULL, NULL));
	json_object_set_new(kade, "properties", ours);
	json_object_set_new(kade, "additionalProperties", json_false());
	json_object_set_new(top, "KADE", kade);
	json_object_set_new(root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(root, "title", json_string("config.yaml"));
	json_object_set_new(root, "type", json_string("object"));
	json_object_set_new(root, "properties", top);
	json_object_set_new(root, "patternProperties",
	                    json_pack("{s:{s:[s,s]}}", "_LOGIN_CONFIG$", "type", "object", "null"));
	ok = json_dumpf(root, f, JSON_INDENT(1)) == 0 && fputc('\n', f) != EOF;
	json_decref(root);
	return ok;
}
