/* Clocks. */
#include "base/clock.h"

#include <time.h>

#include "base/arena.h"
#include "base/str.h"

static const char *const DAY[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const MONTH[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

int64_t
clock_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
clock_mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static struct tm
utc(int64_t ms)
{
	const time_t s = (time_t)(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
	struct tm    tm;

	gmtime_r(&s, &tm);
	return tm;
}

static char *
rfc(struct arena *mem, int64_t ms, const char *zone)
{
	const struct tm t = utc(ms);

	return str_fmt(mem, "%s, %02d %s %04d %02d:%02d:%02d %s", DAY[t.tm_wday], t.tm_mday, MONTH[t.tm_mon],
	               t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec, zone);
}

char *
clock_rfc2822(struct arena *mem, int64_t ms)
{
	return rfc(mem, ms, "-0000");
}

char *
clock_http(struct arena *mem, int64_t ms)
{
	return rfc(mem, ms, "GMT");
}

char *
clock_iso(struct arena *mem, int64_t ms)
{
	const struct tm t = utc(ms);

	return str_fmt(mem, "%04d-%02d-%02dT%02d:%02d:%02dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
	               t.tm_sec);
}

char *
clock_iso_ms(struct arena *mem, int64_t ms)
{
	const struct tm t = utc(ms);

	return str_fmt(mem, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
	               t.tm_min, t.tm_sec, (int)(((ms % 1000) + 1000) % 1000));
}
