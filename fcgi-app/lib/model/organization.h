/* Organizations: their settings, the people in them, their end. They are made by account_make_organization(). */
#ifndef KADE_MODEL_ORGANIZATION_H
#define KADE_MODEL_ORGANIZATION_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct organization_settings {
	bool set_email, set_invoice_email, set_invoice_address, set_window; /* what the others mean */
	struct str email, invoice_address;                                  /* p == NULL: none from now on */
	bool invoice_email;
	int64_t window_s; /* how long ended tags can be restored */
};

/* An address that this organization (0: a new one) may have: its form, and that nobody else uses it unless
 * FEATURE_ORG_SHARED_EMAIL. ERR_BAD_INPUT. */
enum err_kind organization_check_email(struct ctx *c, int64_t organization_id, struct str email) MUST_CHECK;
/* One of TAG_EXPIRATION_OPTIONS? ERR_BAD_INPUT. */
enum err_kind organization_check_window(struct ctx *c, int64_t window_s) MUST_CHECK;
enum err_kind organization_change(struct ctx *c, int64_t organization_id,
                                  const struct organization_settings *s) MUST_CHECK;
/* Robots, teams, applications and default permissions are removed; the account is disabled and has another name, so that
 * nothing in it is served; its repositories are collected by a job. In a transaction. */
enum err_kind organization_delete(struct ctx *c, int64_t organization_id) MUST_CHECK;
/* Out of every team, permission and default permission. ERR_BAD_INPUT for the only one who administrates it. In a
 * transaction. */
enum err_kind organization_remove_member(struct ctx *c, int64_t organization_id,
                                         int64_t account_id) MUST_CHECK;
#endif
