/* Ranges of downloads and of chunks. */
#include "oci-fixture.h"

#include "oci/range.h"

static void
downloads(void **state)
{
	static const struct {
		const char *header;
		int64_t size;
		enum oci_range kind;
		int64_t first, last;
	} t[] = {
		{"bytes=500-1499",                2048,      OCI_RANGE_PART,          500,           1499         },
		{ "bytes=500-",                   2048,      OCI_RANGE_PART,          500,           2047         },
		{ "bytes=-500",                   2048,      OCI_RANGE_PART,          1548,          2047         },
		{ "bytes=2000-5000",              2048,      OCI_RANGE_PART,          2000,          2047         },
		{ "bytes=500-0",                  2048,      OCI_RANGE_UNSATISFIABLE, 0,             0            },
		{ "bytes=5000-10000",             2048,      OCI_RANGE_UNSATISFIABLE, 0,             0            },
		{ "bytes=2048-",                  2048,      OCI_RANGE_UNSATISFIABLE, 0,             0            },
		{ "bytes=2047-",                  2048,      OCI_RANGE_PART,          2047,          2047         },
		{ "bytes=0-0",                    2048,      OCI_RANGE_PART,          0,             0            },
		{ "bytes=0-",                     2048,      OCI_RANGE_PART,          0,             2047         },
		{ "bytes=-0",                     2048,      OCI_RANGE_UNSATISFIABLE, 0,             0            },
		{ "bytes=-5000",                  2048,      OCI_RANGE_PART,          0,             2047         },
		{ "Bytes=1-2",                    2048,      OCI_RANGE_PART,          1,             2            },
		{ " bytes=1-2 ",                  2048,      OCI_RANGE_PART,          1,             2            },
		{ "bytes=0-1,5-6",                2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=0-1, 5-6",               2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=-1,5-6",                 2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "",		             2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes",                        2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=",                       2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=-",                      2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=--5",                    2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=a-b",                    2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=1-2x",                   2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=+1-2",                   2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "items=1-2",                    2048,      OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=99999999999999999999-",  2048,      OCI_RANGE_UNSATISFIABLE, 0,             0            },
		{ "bytes=1-99999999999999999999", 2048,      OCI_RANGE_PART,          1,             2047         },
		{ "bytes=-99999999999999999999",  2048,      OCI_RANGE_PART,          0,             2047         },
		{ "bytes=0-",                     0,         OCI_RANGE_UNSATISFIABLE, 0,             0            },
		{ "bytes=-5",                     0,         OCI_RANGE_WHOLE,         0,             0            },
		{ "bytes=9223372036854775806-",   INT64_MAX, OCI_RANGE_PART,          INT64_MAX - 1, INT64_MAX - 1},
		{ "bytes=0-9223372036854775807",  INT64_MAX, OCI_RANGE_PART,          0,             INT64_MAX - 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		int64_t first = -1, last = -1;
		const enum oci_range kind = oci_range_parse(str_of(t[i].header), t[i].size, &first, &last);
		if (kind != t[i].kind)
			fail_msg("\"%s\" of %lld: kind %d", t[i].header, (long long)t[i].size, (int)kind);
		if (kind == OCI_RANGE_PART && (first != t[i].first || last != t[i].last))
			fail_msg("\"%s\": %lld-%lld", t[i].header, (long long)first, (long long)last);
		if (kind != OCI_RANGE_PART)
			assert_true(first == -1 && last == -1);
	}
}

static void
content_ranges(void **state)
{
	static const struct {
		struct str header;
		bool ok;
		int64_t first, last;
	} t[] = {
		{STR("0-511"),		                      true,  0,   511      },
		{ STR("13-50"),		                     true,  13,  50       },
		{ STR("7-7"),		                       true,  7,   7        },
		{ STR("bytes 0-511/*"),                             true,  0,   511      },
		{ STR("bytes 512-1023/2048"),                       true,  512, 1023     },
		{ STR("bytes 0-511"),                               false, 0,   0        },
		{ STR("bytes=0-511"),                               false, 0,   0        },
		{ STR("0-511/*"),		                   false, 0,   0        },
		{ STR("bytes 0-511/x"),                             false, 0,   0        },
		{ STR("bytes 0-511/-1"),                            false, 0,   0        },
		{ STR("bytes 0-511/-0"),                            false, 0,   0        },
		{ STR("511-0"),		                     false, 0,   0        },
		{ STR("-5"),		                        false, 0,   0        },
		{ STR("5-"),		                        false, 0,   0        },
		{ STR("-"),		                         false, 0,   0        },
		{ STR(""),		                          false, 0,   0        },
		{ STR("0--1"),		                      false, 0,   0        },
		{ STR("0--0"),		                      false, 0,   0        },
		{ STR(" 0-1"),		                      false, 0,   0        },
		{ STR("0-1\n"),		                     false, 0,   0        },
		{ STR("0-1,3-4"),		                   false, 0,   0        },
		{ STR("a-b"),		                       false, 0,   0        },
		{ STR("0-9223372036854775807"),                     true,  0,   INT64_MAX},
		{ STR("0-9223372036854775808"),                     false, 0,   0        },
		{ STR("99999999999999999999-99999999999999999999"), false, 0,   0        },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		int64_t first = -1, last = -1;
		if (oci_content_range_parse(t[i].header, &first, &last) != t[i].ok)
			fail_msg("\"%.*s\"", STRF(t[i].header));
		assert_true(first == (t[i].ok ? t[i].first : -1) && last == (t[i].ok ? t[i].last : -1));
	}
}

static void
chunks(void **state)
{
	static const struct {
		int64_t first, last, received, skip; /* skip -1: refused */
	} t[] = {
		{0,          511,       0,   0 },
                { 512,       1023,      512, 0 },
		{ 13,        50,        0,   -1},
                { 1024,      1535,      512, -1},
		{ 0,         511,       512, -1},
                { 10,        99,        91,  81},
		{ 10,        90,        91,  81},
                { 10,        50,        91,  -1},
		{ 0,         10,        5,   -1},
                { INT64_MAX, INT64_MAX, 5,   -1},
		{ 1,         INT64_MAX, 5,   4 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		int64_t skip = -1;
		const bool ok = oci_chunk_fits(t[i].first, t[i].last, t[i].received, &skip);
		assert_int_equal(ok, t[i].skip >= 0);
		assert_int_equal(skip, t[i].skip);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(downloads), TEST(content_ranges), TEST(chunks) };
	return cmocka_run_group_tests_name("oci/range", tests, NULL, NULL);
}
