/* GET /config: what a web interface, and several tools, read of the configuration before they begin. Only the keys listed here
 * are shown, whatever else the file holds. */
#include <string.h>

#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "conf/key.h"
#include "http/response.h"
#include "model/application.h"
#include "site/routes.h"

static const char *const SHOWN[] = {
	"SERVER_HOSTNAME", "PREFERRED_URL_SCHEME", "ENTERPRISE_LOGO_URL", "ENTERPRISE_LOGO_URL_DARK", "AUTHENTICATION_TYPE", "REGISTRY_TITLE",
	"REGISTRY_TITLE_SHORT", "CONTACT_INFO", "AVATAR_KIND", "SETUP_COMPLETE", "DEBUG", "RECAPTCHA_SITE_KEY", "CHANNEL_COLORS",
	"TAG_EXPIRATION_OPTIONS", "INTERNAL_OIDC_SERVICE_ID", "SEARCH_RESULTS_PER_PAGE", "SEARCH_MAX_RESULT_PAGE_COUNT", "DOCUMENTATION_ROOT",
	"FEATURE_REPO_MIRROR", "FEATURE_ORG_MIRROR", "FEATURE_QUOTA_MANAGEMENT", "FEATURE_QUOTA_NOTIFICATIONS", "FEATURE_EDIT_QUOTA",
	"FEATURE_PROXY_CACHE", "QUOTA_BACKFILL", "PERMANENTLY_DELETE_TAGS", "UI_V2_FEEDBACK_FORM", "FOOTER_LINKS", "UI_DELAY_AFTER_WRITE_SECONDS",
	"FEATURE_ASSIGN_OAUTH_TOKEN", "FEATURE_IMAGE_EXPIRY_TRIGGER", "FEATURE_AUTO_PRUNE", "DEFAULT_NAMESPACE_AUTOPRUNE_POLICY", "DEFAULT_UI",
	"DISABLE_ANGULAR_UI", "ROBOTS_DISALLOW", "FEATURE_IMMUTABLE_TAGS_CAN_EXPIRE",
};

static void
put_list(json_t *o, const char *name, const struct str_list *l)
{
	json_t *a;

	if (l->n == 0)
		return;
	a = jo_array(o, name);
	for (size_t i = 0; i < l->n; i++)
		ja_str(a, l->v[i]);
}

/* The value in effect, when there is one. */
static void
put_key(json_t *o, const struct conf *cf, const struct conf_key *k)
{
	const void *at = (const char *)cf + k->offset;

	switch (k->type) {
	case CONF_BOOL:
		jo_bool(o, k->name, *(const bool *)at);
		break;
	case CONF_INT:
	case CONF_DUR:
	case CONF_SIZE:
		jo_i64(o, k->name, *(const int64_t *)at);
		break;
	case CONF_STR:
	case CONF_WORD:
		if (*(const char *const *)at != NULL)
			jo_str(o, k->name, *(const char *const *)at);
		break;
	case CONF_LIST:
		put_list(o, k->name, at);
		break;
	case CONF_JSON:
		if (*(json_t *const *)at != NULL)
			jo_take(o, k->name, json_deep_copy(*(json_t *const *)at));
		break;
	case CONF_REAL:
	case CONF_CHOICE:
		break;
	}
}

static void
put_branding(json_t *o, const struct conf *cf)
{
	json_t *b = cf->branding != NULL ? json_deep_copy(cf->branding) : json_object();

	if (cf->enterprise_logo_url != NULL)
		jo_str(b, "logo", cf->enterprise_logo_url);
	if (cf->enterprise_logo_url_dark != NULL)
		jo_str(b, "logo_dark", cf->enterprise_logo_url_dark);
	else if (cf->enterprise_logo_url != NULL)
		jo_str(b, "logo_dark", cf->enterprise_logo_url);
	jo_take(o, "BRANDING", b);
}

static enum err_kind
site_config(struct req *rq)
{
	const struct conf *cf = rq->c->conf;
	json_t            *o = res_json(rq, 200), *config = jo_object(o, "config");

	for (size_t i = 0; i < sizeof SHOWN / sizeof *SHOWN; i++) {
		const struct conf_key *k = conf_key_find(SHOWN[i]);
		if (k != NULL)
			put_key(config, cf, k);
	}
	put_branding(config, cf);
	jo_str(config, "LOCAL_OAUTH_HANDLER", OAUTH_LOCAL_HANDLER);
	jo_take(o, "features", json_deep_copy(cf->features));
	jo_object(o, "oauth");
	jo_array(o, "external_login");
	jo_str(o, "registry_state", cf->is_readonly ? "readonly" : "normal");
	jo_bool(o, "account_recovery_mode", cf->account_recovery_mode);
	jo_str(o, "version_number", PACKAGE_NAME " " PACKAGE_VERSION);
	res_header(rq, "Cache-Control", STR("no-cache, no-store, must-revalidate"));
	return ERR_NONE;
}

const struct route SITE_CLIENT_CONFIG_ROUTES[] = {
	{ .id = "config", .methods = HTTP_GET | HTTP_HEAD, .path = "/config", .proto = PROTO_SITE, .auth = AUTH_NONE, .perm = PERM_NONE,
	  .run = site_config, .doc = "What clients may know of the configuration." },
	{ .id = NULL }
};
