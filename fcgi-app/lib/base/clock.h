/* Clocks and the date formats that interfaces fix. Times are milliseconds since 1970 (UTC). */
#ifndef KADE_BASE_CLOCK_H
#define KADE_BASE_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
int64_t clock_now_ms(void);  /* wall clock; never stored in a row: rows take kade_now_ms() */
int64_t clock_mono_us(void); /* for durations */
/* "Wed, 25 Nov 2026 07:55:39 -0000" (RFC 2822, as Quay's API writes it). Given. */
char *clock_rfc2822(struct arena *mem, int64_t ms);
/* "Wed, 25 Nov 2026 07:55:39 GMT" (HTTP). Given. */
char *clock_http(struct arena *mem, int64_t ms);
/* "2026-11-25T07:55:39Z" and with milliseconds "2026-11-25T07:55:39.123Z". Given. */
char *clock_iso(struct arena *mem, int64_t ms);
char *clock_iso_ms(struct arena *mem, int64_t ms);
/* Reads "2026-11-25T07:55:39", with or without a fraction of a second, and "Z", "+02:00" or nothing (UTC) behind. False for
 * anything else; *ms is untouched then. */
bool clock_iso_parse(struct str s, int64_t *ms);
#endif
