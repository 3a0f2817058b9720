/* The handlers of manifests that live in other files than their routes. */
#ifndef KADE_REGISTRY_MANIFEST_ROUTES_H
#define KADE_REGISTRY_MANIFEST_ROUTES_H
#include "http/request.h"

enum err_kind reg_manifest_put(struct req *rq);
#endif
