/* What is not built yet, and rules that look at several keys at once. */
#include <string.h>

#include "base/ctx.h"
#include "conf/load.h"

/* Does the given value ask for something: true, or a block or list or text with something in it? */
static bool
asks(struct load *l, const struct conf_key *k, const struct node *nd)
{
	bool b;

	if (nd == NULL || nd->type == NODE_NULL)
		return false;
	if (k->type == CONF_BOOL)
		return *(bool *)field_at(l->conf, k);
	if (nd->type == NODE_LIST || nd->type == NODE_MAP)
		return nd->n > 0;
	return nd->text[0] != '\0' && !(node_bool(nd, &b) && nd->type == NODE_BOOL && !b);
}

/* A value without effect is worth a word only when it is another one than the built-in. */
static bool
differs(struct load *l, const struct conf_key *k, const struct node *nd)
{
	struct node def = { .text = k->def };

	if (!asks(l, k, nd) && k->type != CONF_BOOL)
		return false;
	if (k->def == NULL)
		return k->type != CONF_BOOL || asks(l, k, nd);
	node_resolve(&def);
	if (k->type == CONF_BOOL)
		return *(bool *)field_at(l->conf, k) != def.b;
	return nd->text == NULL || strcmp(nd->text, k->def) != 0;
}

void
support_apply(struct load *l, const struct conf_key *k)
{
	const struct node *nd = l->given[k - CONF_KEYS];

	if (k->support == CONF_NOEFFECT && nd != NULL && nd->type != NODE_NULL && differs(l, k, nd))
		conf_note(l->rep, CONF_INFO, k->name, nd->line, "has no effect here. %s", k->doc);
	if (k->support == CONF_LATER && asks(l, k, nd))
		conf_note(l->rep, CONF_WARNING, k->name, nd->line, "not yet supported: counts as %s",
		          k->type == CONF_BOOL ? "false" : "not given");
	if (k->support == CONF_REFUSED && asks(l, k, nd))
		conf_note(l->rep, CONF_ERROR, k->name, nd->line,
		          "not yet supported, and going on without it would not be what was asked for");
	if (k->support == CONF_LATER && k->type == CONF_BOOL)
		*(bool *)field_at(l->conf, k) = false;
}

static void
needs(struct load *l, const char *key, bool present, const char *text)
{
	if (!present)
		conf_note(l->rep, CONF_ERROR, key, load_line(l, key), "%s", text);
}

static bool
has_text(const char *s)
{
	return s != NULL && s[0] != '\0';
}

/* A key whose value was refused has an error already: no second one that says it is missing. */
static bool
is_there(struct load *l, const char *key, const char *value)
{
	const struct node *nd = load_given(l, key);

	return has_text(value) || (nd != NULL && nd->text != NULL && nd->text[0] != '\0');
}

static void
required(struct load *l)
{
	const struct conf *conf = l->conf;
	const struct node *setup = load_given(l, "SETUP_COMPLETE");

	needs(l, "SECRET_KEY", is_there(l, "SECRET_KEY", conf->secret_key),
	      "missing; kade-config secrets makes one");
	needs(l, "DATABASE_SECRET_KEY", is_there(l, "DATABASE_SECRET_KEY", conf->database_secret_key),
	      "missing; kade-config secrets makes one");
	needs(l, "DB_URI", is_there(l, "DB_URI", conf->db_uri), "missing");
	if (load_given(l, "SERVER_HOSTNAME") == NULL)
		conf_note(l->rep, CONF_WARNING, "SERVER_HOSTNAME", 0,
		          "missing: links and tokens will name %s", conf->server_hostname);
	if (setup != NULL && setup->type != NODE_NULL && !conf->setup_complete)
		conf_note(l->rep, CONF_ERROR, "SETUP_COMPLETE", setup->line,
		          "the file says that it is not ready for use");
	if (has_text(conf->secret_key) && has_text(conf->database_secret_key) &&
	    strcmp(conf->secret_key, conf->database_secret_key) == 0)
		conf_note(l->rep, CONF_WARNING, "DATABASE_SECRET_KEY", load_line(l, "DATABASE_SECRET_KEY"),
		          "the same as SECRET_KEY");
}

/* Secrets keep the text of the file; another program may have read 0123 as a number and dropped the zero. */
static void
secret_text(struct load *l, const char *key)
{
	const struct node *nd = load_given(l, key);

	if (nd == NULL || nd->text == NULL || nd->text[0] == '\0')
		return;
	if (nd->type == NODE_INT && (nd->text[0] == '0' || strpbrk(nd->text, "_:xb+") != NULL) &&
	    nd->text[1] != '\0')
		conf_note(l->rep, CONF_WARNING, key, nd->line,
		          "looks like a number in octal, hexadecimal or another notation; its text is taken "
		          "as it stands: put it in quotes");
	if (strlen(nd->text) < 16)
		conf_note(l->rep, CONF_WARNING, key, nd->line, "shorter than 16 characters: easy to guess");
}

/* Unasked and without a server no mail is sent; asked for, it cannot be. */
static void
mailing(struct load *l)
{
	struct conf *conf = l->conf;
	const bool has_server = is_there(l, "MAIL_SERVER", conf->mail_server);

	if (!conf->feature_mailing || has_server)
		return;
	if (load_given(l, "FEATURE_MAILING") != NULL) {
		needs(l, "FEATURE_MAILING", has_server, "MAIL_SERVER is missing");
		return;
	}
	conf_note(l->rep, CONF_INFO, "FEATURE_MAILING", 0, "MAIL_SERVER is missing: no mail is sent");
	conf->feature_mailing = false;
}

static void
hosting(struct load *l)
{
	const struct conf *conf = l->conf;
	struct str host, port;

	str_cut(str_of(conf->server_hostname), ':', &host, &port);
	if (!str_eq_c(host, "localhost") && str_find(host, '.') < 0)
		conf_note(l->rep, CONF_WARNING, "SERVER_HOSTNAME", load_line(l, "SERVER_HOSTNAME"),
		          "container clients take a name without a dot for a namespace, not for a host");
	if (!conf->is_https)
		conf_note(l->rep, CONF_INFO, "PREFERRED_URL_SCHEME", load_line(l, "PREFERRED_URL_SCHEME"),
		          "http: passwords and tokens travel in the open");
	for (size_t i = 0; i < conf->trusted_proxy_cidr.n; i++)
		if (str_ends(str_of(conf->trusted_proxy_cidr.v[i]), STR("/0")))
			conf_note(l->rep, CONF_WARNING, "TRUSTED_PROXY_CIDR",
			          load_line(l, "TRUSTED_PROXY_CIDR"),
			          "trusts everybody: anyone can claim any address");
	if (conf->kade_sendfile != CONF_SENDFILE_NONE && !conf->kade_sendfile_trusted)
		conf_note(l->rep, CONF_WARNING, "KADE.SENDFILE", load_line(l, "KADE.SENDFILE"),
		          "needs KADE.SENDFILE_TRUSTED: not used");
	if (load_given(l, "KADE.TRUSTED_PROXIES") != NULL && load_given(l, "TRUSTED_PROXY_CIDR") != NULL)
		conf_note(l->rep, CONF_WARNING, "KADE.TRUSTED_PROXIES", load_line(l, "KADE.TRUSTED_PROXIES"),
		          "replaces TRUSTED_PROXY_CIDR, which is given too");
}

static void
accounts(struct load *l)
{
	const struct conf *conf = l->conf;

	if (strcmp(conf->authentication_type, "Database") != 0)
		conf_note(l->rep, CONF_ERROR, "AUTHENTICATION_TYPE", load_line(l, "AUTHENTICATION_TYPE"),
		          "%s is not yet supported", conf->authentication_type);
	if (strcmp(conf->logs_model, "database") != 0)
		conf_note(l->rep, CONF_ERROR, "LOGS_MODEL", load_line(l, "LOGS_MODEL"),
		          "%s is not yet supported", conf->logs_model);
	if (conf->feature_invite_only_user_creation && !conf->feature_user_creation)
		conf_note(l->rep, CONF_ERROR, "FEATURE_INVITE_ONLY_USER_CREATION",
		          load_line(l, "FEATURE_INVITE_ONLY_USER_CREATION"), "needs FEATURE_USER_CREATION");
	if (!conf->feature_direct_login && json_object_size(conf->login_providers) == 0)
		conf_note(l->rep, CONF_ERROR, "FEATURE_DIRECT_LOGIN", load_line(l, "FEATURE_DIRECT_LOGIN"),
		          "false, and there is no login provider: nobody could sign in");
	if (conf->feature_super_users && conf->super_users.n == 0)
		conf_note(l->rep, CONF_INFO, "SUPER_USERS", load_line(l, "SUPER_USERS"),
		          "empty: there is no superuser");
}

static void
tags(struct load *l)
{
	const struct conf *conf = l->conf;
	int64_t s;
	bool found = false;

	for (size_t i = 0; i < conf->tag_expiration_options.n; i++)
		found |= duration_parse(str_of(conf->tag_expiration_options.v[i]), &s) &&
		         s == conf->default_tag_expiration_s;
	if (!found)
		conf_note(l->rep, CONF_ERROR, "DEFAULT_TAG_EXPIRATION",
		          load_line(l, "DEFAULT_TAG_EXPIRATION"), "not one of TAG_EXPIRATION_OPTIONS");
	if (conf->labeled_expiration_minimum_s > conf->labeled_expiration_maximum_s)
		conf_note(l->rep, CONF_ERROR, "LABELED_EXPIRATION_MINIMUM",
		          load_line(l, "LABELED_EXPIRATION_MINIMUM"),
		          "larger than LABELED_EXPIRATION_MAXIMUM");
}

/* The policy that every namespace has. Its pattern is looked at by the job, which knows expressions. */
static void
pruning(struct load *l)
{
	const char *key = "DEFAULT_NAMESPACE_AUTOPRUNE_POLICY";
	const json_t *o = l->conf->default_namespace_autoprune_policy, *value = json_object_get(o, "value");
	const char *method = json_string_value(json_object_get(o, "method"));
	int64_t s;

	if (o == NULL || json_object_size(o) == 0)
		return;
	if (method != NULL && strcmp(method, "number_of_tags") == 0)
		needs(l, key, json_is_integer(value) && json_integer_value(value) > 0,
		      "number_of_tags needs a value from 1");
	else if (method != NULL && strcmp(method, "creation_date") == 0)
		needs(l, key,
		      json_is_string(value) && duration_parse(str_of(json_string_value(value)), &s) && s > 0,
		      "creation_date needs a value such as 4w");
	else
		needs(l, key, false, "its method must be number_of_tags or creation_date");
}

static void
storage(struct load *l)
{
	const struct conf *conf = l->conf;

	for (size_t i = 0; conf->feature_storage_replication && i < conf->locations.n; i++)
		if (strcmp(conf->locations.v[i].driver, "LocalStorage") == 0)
			conf_note(l->rep, CONF_ERROR, "FEATURE_STORAGE_REPLICATION",
			          load_line(l, "FEATURE_STORAGE_REPLICATION"),
			          "not supported with LocalStorage (%.100s)", conf->locations.v[i].name);
	if (conf->feature_storage_replication && conf->distributed_storage_preference.n == 0)
		conf_note(l->rep, CONF_ERROR, "DISTRIBUTED_STORAGE_PREFERENCE",
		          load_line(l, "DISTRIBUTED_STORAGE_PREFERENCE"),
		          "needed with FEATURE_STORAGE_REPLICATION");
}

void
rules_check(struct load *l)
{
	required(l);
	secret_text(l, "SECRET_KEY");
	secret_text(l, "DATABASE_SECRET_KEY");
	mailing(l);
	hosting(l);
	accounts(l);
	tags(l);
	pruning(l);
	storage(l);
}
