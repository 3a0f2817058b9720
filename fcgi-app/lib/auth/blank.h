/* White space as Python's str.isspace() has it: the rule behind Quay's password check and its reading of
 * numbers. */
#ifndef KADE_AUTH_BLANK_H
#define KADE_AUTH_BLANK_H
#include <stdbool.h>
#include <stdint.h>

static inline bool
blank_is(uint32_t cp)
{
	return (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x20) || cp == 0x85 || cp == 0xa0 ||
	       cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
	       cp == 0x202f || cp == 0x205f || cp == 0x3000;
}
#endif
