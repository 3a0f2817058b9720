/* How many mails callers may cause: for rows that send one to an address that somebody typed. */
#ifndef KADE_API_SEND_MAIL_H
#define KADE_API_SEND_MAIL_H
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct req;
/* For a row's .prepare. ERR_RATE when the caller (account, else network) has sent too many. Too many to this address: *is_full, or
 * ERR_RATE where that is NULL. Counts on this host, whether FEATURE_RATE_LIMITS is on or not. */
enum err_kind send_mail_limit(struct req *rq, struct str to, bool *is_full) MUST_CHECK;
#endif
