/* The body of an API row, declared: the dispatcher checks it before the handler runs. Unknown members are let through. */
#ifndef KADE_HTTP_FIELD_H
#define KADE_HTTP_FIELD_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct req;
enum field_type { FIELD_END, FIELD_STR, FIELD_INT, FIELD_NUM, FIELD_BOOL, FIELD_OBJECT, FIELD_ARRAY, FIELD_ANY };
struct field {
	const char        *name;
	enum field_type    type;
	bool               is_required, may_be_null;
	bool               is_text;    /* FIELD_STR that people write: base/text-clean.h */
	int64_t            min, max;   /* FIELD_STR: bytes; FIELD_INT: value; both 0: no bound */
	const char *const *one_of;     /* NULL-terminated; NULL: any */
	const char        *doc;
};
#define F_STR(n, ...) { .name = (n), .type = FIELD_STR, __VA_ARGS__ }
#define F_INT(n, ...) { .name = (n), .type = FIELD_INT, __VA_ARGS__ }
#define F_BOOL(n, ...) { .name = (n), .type = FIELD_BOOL, __VA_ARGS__ }
#define F_OBJECT(n, ...) { .name = (n), .type = FIELD_OBJECT, __VA_ARGS__ }
#define F_ARRAY(n, ...) { .name = (n), .type = FIELD_ARRAY, __VA_ARGS__ }
#define F_ANY(n, ...) { .name = (n), .type = FIELD_ANY, __VA_ARGS__ }
#define F_REQUIRED .is_required = true
#define F_TEXT .is_text = true
#define F_NULL .may_be_null = true
#define F_END { .name = NULL }
/* A body that is an object of any shape: no field is declared. */
extern const struct field FIELDS_ANY[];

/* Reads the JSON body and checks it against the fields: rq->body. 415, 400 with the validator's words. */
enum err_kind field_read_body(struct req *rq, const struct field *fields, size_t max_bytes) MUST_CHECK;
/* The JSON body, whatever it is: for rows whose body is no object. 415, 400. *root borrowed. */
enum err_kind field_read_json(struct req *rq, size_t max_bytes, json_t **root) MUST_CHECK;
/* The same check for an object inside a body. Members that are free text (F_TEXT) are normalised in it before they are checked. */
enum err_kind field_check(struct req *rq, json_t *object, const struct field *fields) MUST_CHECK;

/* Integer query parameters: a malformed one is 400 {"message": {NAME: doc}}. Ended by a NULL name. */
struct param {
	const char *name;
	bool        is_int;
	const char *doc;
};
enum err_kind param_check(struct req *rq, const struct param *params) MUST_CHECK;
/* A boolean query value as Quay reads it: true but for false, False, FALSE, 0, null and empty; def when absent. */
bool param_bool(struct req *rq, const char *name, bool def);
#endif
