/* Repositories. */
#ifndef KADE_MODEL_REPO_H
#define KADE_MODEL_REPO_H
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "model/facts.h"

struct ctx;
/* The repository that a write needs: f->repository_id when it is there, else made now (idempotently) with its creator's
 * admin right and the default permissions; the organization too where CREATE_NAMESPACE_ON_PUSH allows it. Fills f's ids.
 * The caller has checked f->may_write or f->may_create. ERR_BAD_INPUT for a name that breaks the rules. */
enum err_kind repo_ensure(struct ctx *c, struct str ns, struct str repo, struct facts *f) MUST_CHECK;
#endif
