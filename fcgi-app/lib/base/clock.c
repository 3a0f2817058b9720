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

/* n digits at s[at], as a number within [min, max]. */
static bool
digits(struct str s, size_t at, size_t n, int min, int max, int *out)
{
	int64_t v;

	if (at + n > s.n || !str_to_i64(str_sub(s, at, at + n), min, max, &v) || s.p[at] == '-')
		return false;
	*out = (int)v;
	return true;
}

/* "Z", "+hh:mm", "-hh:mm" or nothing: seconds east of UTC. */
static bool
zone(struct str s, int *out)
{
	int h, m;

	*out = 0;
	if (s.n == 0 || (s.n == 1 && (s.p[0] == 'Z' || s.p[0] == 'z')))
		return true;
	if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' || !digits(s, 1, 2, 0, 23, &h) || !digits(s, 4, 2, 0, 59, &m))
		return false;
	*out = (h * 3600 + m * 60) * (s.p[0] == '-' ? -1 : 1);
	return true;
}

bool
clock_iso_parse(struct str s, int64_t *ms)
{
	static const int SCALE[] = { 100, 10, 1 };
	struct tm        t = { 0 };
	size_t           at = 19;
	int              fraction = 0, east;

	if (s.n < 19 || s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != ' ') || s.p[13] != ':' || s.p[16] != ':' ||
	    !digits(s, 0, 4, 1, 9999, &t.tm_year) || !digits(s, 5, 2, 1, 12, &t.tm_mon) || !digits(s, 8, 2, 1, 31, &t.tm_mday) ||
	    !digits(s, 11, 2, 0, 23, &t.tm_hour) || !digits(s, 14, 2, 0, 59, &t.tm_min) || !digits(s, 17, 2, 0, 60, &t.tm_sec))
		return false;
	if (at < s.n && s.p[at] == '.') {
		const size_t first = ++at;
		for (; at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; at++)
			fraction += at - first < 3 ? (s.p[at] - '0') * SCALE[at - first] : 0;
		if (at == first)
			return false;
	}
	if (!zone(str_sub(s, at, s.n), &east))
		return false;
	t.tm_year -= 1900;
	t.tm_mon--;
	*ms = ((int64_t)timegm(&t) - east) * 1000 + fraction;
	return true;
}
