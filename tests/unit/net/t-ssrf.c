/* The SSRF guard: which addresses, names and URLs pass. */
#include "context.h"

#include "net/address.h"
#include "net/ssrf.h"

static const char *
refuses(const struct ssrf_rules *r, const char *text)
{
	struct addr a;

	assert_true(addr_parse(str_of(text), &a));
	return ssrf_refuses(r, STR("some.example"), &a);
}

static void
refused_addresses(void **state)
{
	static const char *const V[][2] = {
		{"0.0.0.0",                     "unspecified address"},
		{ "0.1.2.3",                    "unspecified address"},
		{ "10.0.0.1",                   "private network"    },
		{ "100.64.0.1",                 "carrier-grade NAT"  },
		{ "100.127.255.255",            "carrier-grade NAT"  },
		{ "127.0.0.1",                  "loopback"           },
		{ "127.255.255.254",            "loopback"           },
		{ "169.254.169.254",            "metadata service"   },
		{ "169.254.170.2",              "metadata service"   },
		{ "168.63.129.16",              "metadata service"   },
		{ "169.254.1.1",                "link-local"         },
		{ "172.16.0.1",                 "private network"    },
		{ "172.31.255.255",             "private network"    },
		{ "192.0.0.8",                  "reserved"           },
		{ "192.0.2.1",                  "documentation"      },
		{ "192.168.255.255",            "private network"    },
		{ "198.18.0.1",                 "benchmark network"  },
		{ "198.19.255.255",             "benchmark network"  },
		{ "203.0.113.9",                "documentation"      },
		{ "224.0.0.1",                  "multicast"          },
		{ "239.255.255.255",            "multicast"          },
		{ "240.0.0.1",                  "reserved"           },
		{ "255.255.255.255",            "reserved"           },
		{ "::",		         "unspecified address"},
		{ "::1",                        "loopback"           },
		{ "::2",                        "reserved"           },
		{ "::127.0.0.1",                "loopback"           },
		{ "::ffff:127.0.0.1",           "loopback"           },
		{ "::ffff:169.254.169.254",     "metadata service"   },
		{ "64:ff9b::10.1.2.3",          "private network"    },
		{ "64:ff9b::a9fe:a9fe",         "metadata service"   },
		{ "64:ff9b:1::1",               "local NAT64"        },
		{ "::ffff:0:10.0.0.1",          "reserved"           },
		{ "2002:7f00:1::",              "loopback"           },
		{ "2002:c0a8:101::1",           "private network"    },
		{ "2001::1",                    "reserved"           },
		{ "2001:db8::1",                "documentation"      },
		{ "3fff:0fff::1",               "documentation"      },
		{ "100::1",                     "reserved"           },
		{ "fc00::1",                    "private network"    },
		{ "fdff::1",                    "private network"    },
		{ "fd00:ec2::254",              "metadata service"   },
		{ "fe80::1",                    "link-local"         },
		{ "febf::1",                    "link-local"         },
		{ "fec0::1",                    "site-local"         },
		{ "ff02::1",                    "multicast"          },
		{ "4000::1",                    "reserved"           },
		{ "2a00:1::5efe:10.0.0.1",      "private network"    },
		{ "2a00:1::200:5efe:127.0.0.1", "loopback"           },
	};

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++) {
		const char *why = refuses(NULL, V[i][0]);
		if (why == NULL || strcmp(why, V[i][1]) != 0)
			fail_msg("%s: %s, expected %s", V[i][0], why == NULL ? "admitted" : why, V[i][1]);
	}
}

static void
admitted_addresses(void **state)
{
	static const char *const V[] = {
		"1.1.1.1",      "9.255.255.255",       "11.0.0.0",         "100.63.255.255",
		"100.128.0.0",  "126.255.255.255",     "128.0.0.0",        "169.253.0.1",
		"169.255.0.1",  "172.15.255.255",      "172.32.0.0",       "192.167.1.1",
		"192.169.1.1",  "198.17.0.1",          "198.20.0.1",       "223.255.255.255",
		"2606:4700::1", "::ffff:8.8.8.8",      "64:ff9b::8.8.8.8", "2002:808:808::1",
		"2001:4860::1", "2a00:1::5efe:8.8.8.8"
	};

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++)
		if (refuses(NULL, V[i]) != NULL)
			fail_msg("%s: %s", V[i], refuses(NULL, V[i]));
}

static void
allow_list(void **state)
{
	struct ctx c = t_ctx();
	const char *const v[] = { "10.1.0.0/16", "fd12::/16", "git.corp.example", "*.lab.example",
		                  "192.168.7.7" };
	const struct str_list l = { v, 5 };
	const struct ssrf_rules *r = NULL;
	struct addr a;

	(void)state;
	assert_ok(&c, ssrf_rules_new(&c, &l, &r));
	assert_null(refuses(r, "10.1.255.1"));
	assert_null(refuses(r, "::ffff:10.1.2.3"));
	assert_null(refuses(r, "fd12::1"));
	assert_null(refuses(r, "192.168.7.7"));
	assert_non_null(refuses(r, "10.2.0.1"));
	assert_non_null(refuses(r, "fd13::1"));
	assert_non_null(refuses(r, "192.168.7.8"));
	assert_true(addr_parse(STR("10.9.9.9"), &a));
	assert_null(ssrf_refuses(r, STR("GIT.corp.example"), &a));
	assert_null(ssrf_refuses(r, STR("git.corp.example."), &a));
	assert_null(ssrf_refuses(r, STR("a.b.lab.example"), &a));
	assert_non_null(ssrf_refuses(r, STR("lab.example"), &a));
	assert_non_null(ssrf_refuses(r, STR("evillab.example"), &a));
	assert_non_null(ssrf_refuses(r, STR("git.corp.example.evil.org"), &a));
	const char *const bad[] = { "10.0.0.0/33" };
	const struct str_list lb = { bad, 1 };
	assert_int_equal(ssrf_rules_new(&c, &lb, &r), ERR_BAD_INPUT);
	assert_has(c.err.text, "10.0.0.0/33");
	arena_free(c.mem);
}

static void
urls(void **state)
{
	static const char *const BAD[] = { "http://localhost/",
		                           "https://LOCALHOST./x",
		                           "http://foo.localhost/",
		                           "http://127.0.0.1/",
		                           "http://2130706433/",
		                           "http://0x7f.1/",
		                           "http://0177.0.0.1/",
		                           "http://127.1/",
		                           "http://[::1]/",
		                           "http://[::ffff:7f00:1]/",
		                           "http://metadata.google.internal/computeMetadata/v1/",
		                           "http://169.254.169.254/latest/meta-data/",
		                           "http://user:pw@example.org/",
		                           "ftp://example.org/",
		                           "file:///etc/passwd",
		                           "gopher://example.org/",
		                           "example.org",
		                           "http://",
		                           "" };
	static const char *const GOOD[] = { "http://example.org/", "https://example.org:8443/a?b#c",
		                            "https://8.8.8.8/", "https://[2606:4700::1]/",
		                            "https://notlocalhost/" };
	struct ctx c = t_ctx();

	(void)state;
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
		if (ssrf_check_url(&c, NULL, BAD[i]) != ERR_BAD_INPUT)
			fail_msg("%s was admitted", BAD[i]);
	for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
		assert_ok(&c, ssrf_check_url(&c, NULL, GOOD[i]));
	arena_free(c.mem);
}

static void
blocks(void **state)
{
	struct addr_block b;
	struct addr a;
	char text[ADDR_TEXT_BYTES];

	(void)state;
	assert_true(addr_block_parse(STR("10.255.3.4/9"), &b));
	addr_text(&b.net, text);
	assert_string_equal(text, "10.128.0.0");
	assert_true(addr_parse(STR("10.200.0.1"), &a) && addr_block_has(&b, &a));
	assert_true(addr_parse(STR("10.127.0.1"), &a) && !addr_block_has(&b, &a));
	assert_true(addr_block_parse(STR("::/0"), &b));
	assert_true(addr_parse(STR("2606::1"), &a) && addr_block_has(&b, &a));
	assert_true(addr_parse(STR("1.2.3.4"), &a) && !addr_block_has(&b, &a));
	assert_false(addr_block_parse(STR("1.2.3.4/-1"), &b));
	assert_false(addr_block_parse(STR("1.2.3.4/"), &b));
	assert_false(addr_block_parse(STR("1.2.3/8"), &b));
	assert_false(addr_parse(STR("0x7f.0.0.1"), &a));
	assert_false(addr_parse(STR("fe80::1%eth0"), &a));
	assert_false(addr_parse(STR("1.2.3.4\0"), &a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(refused_addresses),
		                            cmocka_unit_test(admitted_addresses),
		                            cmocka_unit_test(allow_list), cmocka_unit_test(urls),
		                            cmocka_unit_test(blocks) };

	return cmocka_run_group_tests_name("net/ssrf", tests, NULL, NULL);
}
