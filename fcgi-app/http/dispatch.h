/* What the loop calls for each request that has a row: everything between the row and the handler's return. */
#ifndef KADE_HTTP_DISPATCH_H
#define KADE_HTTP_DISPATCH_H

struct req;

/* Rate class → identity → load → permission → handler → commit. Leaves an answer in rq->res; the loop sends it. */
void dispatch(struct req *rq);
#endif
