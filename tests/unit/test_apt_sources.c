// SPDX-License-Identifier: Apache-2.0
#include "cli/apt-sources.h"

#include "tap.h"

/* What is chosen for the suite s, printed as stanzas. */
static void check_selected(const char *lines, const char *stanzas, bool found, const char *want)
{
	struct rb_apt_sources s = {0};
	struct rb_buf out = RB_BUF_INIT;

	rb_apt_sources_parse(lines, false, &s);
	rb_apt_sources_parse(stanzas, true, &s);
	CHECK_INT(rb_apt_sources_select(&s, "s"), found);
	rb_apt_sources_print(&s, &out);
	CHECK_STR(out.ptr, want);
	rb_buf_clear(&out);
	rb_apt_sources_clear(&s);
}

static void test_apt_sources__lines(void)
{
	check_selected(
		"# deb http://comment/x s main\n"
		"deb http://a/d s main contrib # rest\r\n"
		"\tdeb   http://a/d   s-security   main\n"
		"deb-src http://a/d s main\n"
		"deb cdrom:[Disc of s]/ s main\n"
		"deb file:/srv/d s main\n"
		"deb http://a/d other main\n"
		"deb http://a/d s-backports main\n"
		"deb http://a/d sid main\n"
		"deb http://a/d s\n"
		"deb http://a/d\n"
		"deb\n"
		"deb [open http://a/d s main\n"
		"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg arch=amd64,i386 "
		"lang=de trusted=yes] http://[::1]/d s-updates main",
		"", true,
		"Types: deb\nURIs: http://a/d\nSuites: s\nComponents: main contrib\n"
		"\n"
		"Types: deb\nURIs: http://a/d\nSuites: s-security\nComponents: main\n"
		"\n"
		"Types: deb\nURIs: http://[::1]/d\nSuites: s-updates\nComponents: main\n"
		"Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
		"Architectures: amd64 i386\nTrusted: yes\n");
}

static void test_apt_sources__stanzas(void)
{
	check_selected("",
		       "# comment\n"
		       "types: deb deb-src\n"
		       "URIs: http://a/d\n"
		       " http://b/d\n"
		       "# inside\n"
		       "Suites: s s-updates\r\n"
		       "Components: main\n"
		       "X-Other: no\n"
		       "Signed-By:\n"
		       " -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
		       " .\n"
		       " mQINB\n"
		       "\n"
		       "\n"
		       "Enabled: no\nTypes: deb\nURIs: http://off/d\nSuites: s\nComponents: main\n"
		       "\n"
		       "Types: deb-src\nURIs: http://src/d\nSuites: s\nComponents: main\n",
		       true,
		       "Types: deb\nURIs: http://a/d\nSuites: s\nComponents: main\n"
		       "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n"
		       "\n"
		       "Types: deb\nURIs: http://a/d\nSuites: s-updates\nComponents: main\n"
		       "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n"
		       "\n"
		       "Types: deb\nURIs: http://b/d\nSuites: s\nComponents: main\n"
		       "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n"
		       "\n"
		       "Types: deb\nURIs: http://b/d\nSuites: s-updates\nComponents: main\n"
		       "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n");
}

/* Others sign with their own keys, also for the distribution's suite. */
static void test_apt_sources__third_parties(void)
{
	static const char third[] = "deb [signed-by=/etc/apt/keyrings/v.gpg] https://v/d s main\n";

	check_selected("deb [signed-by=/etc/apt/keyrings/v.gpg] https://v/d s main\n"
		       "deb http://a/d s main\n",
		       "", true, "Types: deb\nURIs: http://a/d\nSuites: s\nComponents: main\n");
	check_selected(third, "", true,
		       "Types: deb\nURIs: https://v/d\nSuites: s\nComponents: main\n"
		       "Signed-By: /etc/apt/keyrings/v.gpg\n");
	check_selected("deb http://a/d s-security main\n", "", false,
		       "Types: deb\nURIs: http://a/d\nSuites: s-security\nComponents: main\n");
	check_selected("", "", false, "");
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_apt_sources__lines),
		TAP(test_apt_sources__stanzas),
		TAP(test_apt_sources__third_parties),
		TAP_END,
	});
}
