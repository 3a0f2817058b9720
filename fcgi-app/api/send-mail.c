/* Limits for mails that callers cause. docs/security.md names the figures. */
#include "api/send-mail.h"

#include "app.h"
#include "auth/bucket.h"
#include "auth/network.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "http/request.h"

#define SECOND_US 1000000

static const struct bucket_rule BY_CALLER = { .interval_us = 30 * SECOND_US, .burst = 60 };
static const struct bucket_rule BY_ADDRESS = { .interval_us = 300u * SECOND_US, .burst = 4 };

static struct str
folded(struct req *rq, struct str s)
{
	char *p = arena_copy(rq->c->mem, s.n == 0 ? "" : s.p, s.n);

	for (size_t i = 0; i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] |= 0x20;
	return (struct str){ p, s.n };
}

static enum err_kind
too_many(struct req *rq, int64_t wait_us)
{
	err_set(rq->c, ERR_RATE, "too many mails");
	return err_retry_after(rq->c, (int)((wait_us + SECOND_US - 1) / SECOND_US));
}

enum err_kind
send_mail_limit(struct req *rq, struct str to, bool *is_full)
{
	const struct network net = network_of(rq->remote_addr);
	const int64_t now_us = clock_mono_us();
	const struct str who =
	    rq->ident.account_uuid != NULL ? str_of(rq->ident.account_uuid) : network_key(&net);
	int64_t wait_us;

	if (is_full != NULL)
		*is_full = false;
	if (rq->app->buckets == NULL)
		return ERR_NONE;
	wait_us = bucket_take(rq->app->buckets, STR("mail by"), who, &BY_CALLER, now_us);
	if (wait_us > 0)
		return too_many(rq, wait_us);
	wait_us = bucket_take(rq->app->buckets, STR("mail to"), folded(rq, to), &BY_ADDRESS, now_us);
	if (wait_us > 0 && is_full == NULL)
		return too_many(rq, wait_us);
	if (is_full != NULL)
		*is_full = wait_us > 0;
	return ERR_NONE;
}
