// SPDX-License-Identifier: Apache-2.0
/*
 * Extended attributes: ordinary ones, those that a step may not have, capabilities, access lists.
 */
#include <sys/xattr.h>

#include "calls.h"

/* --- extended attributes ------------------------------------------------------------------- */

static void test_xattr_user(void)
{
	static char name_255[256] = "user.", name_256[257] = "user.";
	char buf[64], large[65537] = "";

	memset(name_255 + 5, 'x', 250);
	memset(name_256 + 5, 'x', 251);
	put("attrs", "", 0644);
	own("attrs", 5, 6);
	say_list("none", "attrs");
	say("set", setxattr("attrs", "user.a", "value", 5, 0));
	say("create again", raw(setxattr("attrs", "user.a", "value", 5, XATTR_CREATE)));
	say("replace what is not there",
	    raw(setxattr("attrs", "user.b", "value", 5, XATTR_REPLACE)));
	say("both", raw(setxattr("attrs", "user.b", "value", 5, XATTR_REPLACE | XATTR_CREATE)));
	say("unknown flag", raw(setxattr("attrs", "user.b", "value", 5, 4)));
	say("empty value", raw(setxattr("attrs", "user.empty", "", 0, 0)));
	say("no value", raw(setxattr("attrs", "user.null", NULL, 0, 0)));
	say("no memory", CALL(SYS_setxattr, "attrs", "user.b", 1, 5, 0));
	say("too large", raw(setxattr("attrs", "user.b", large, sizeof(large), 0)));
	say("long name", raw(setxattr("attrs", name_255, "1", 1, 0)));
	say("removed", raw(removexattr("attrs", name_255)));
	say("too long", raw(setxattr("attrs", name_256, "1", 1, 0)));
	say("no name", raw(setxattr("attrs", "", "1", 1, 0)));
	say("name of its space only", raw(setxattr("attrs", "user.", "1", 1, 0)));
	say("no space", raw(setxattr("attrs", "other", "1", 1, 0)));
	say("unknown space", raw(setxattr("attrs", "other.x", "1", 1, 0)));
	say("name nowhere", CALL(SYS_setxattr, "attrs", NULL, "1", 1, 0));
	say_list("list", "attrs");
	say("get", raw(getxattr("attrs", "user.a", buf, sizeof(buf))));
	say("its size", raw(getxattr("attrs", "user.a", NULL, 0)));
	say("too small", raw(getxattr("attrs", "user.a", buf, 4)));
	say("get an empty one", raw(getxattr("attrs", "user.empty", buf, sizeof(buf))));
	say("get none", raw(getxattr("attrs", "user.none", buf, sizeof(buf))));
	say("get too long", raw(getxattr("attrs", name_256, buf, sizeof(buf))));
	say("get nowhere", CALL(SYS_getxattr, "attrs", "user.a", 1, 5));
	say("list too small", raw(listxattr("attrs", buf, 3)));
	say("list nowhere", CALL(SYS_listxattr, "attrs", 1, 100));
	say("remove", removexattr("attrs", "user.a"));
	say("twice", raw(removexattr("attrs", "user.a")));
	look("owner kept", "attrs");
}

static void test_xattr_spaces(void)
{
	static const char *const names[] = {
		"trusted.x",    "trusted.overlay.opaque", "security.x", "security.ima",
		"security.evm", "security.SMACK64",       "system.x",
	};
	char buf[64];

	put("attrs", "", 0644);
	for (int user = 0; user < 2; user++) {
		if (user)
			user_begin();
		for (size_t i = 0; i < COUNT(names); i++) {
			char set[32], get[32], rem[32];

			note("%s%s: set %s get %s remove %s", user ? "user " : "", names[i],
			     result_text(raw(setxattr("attrs", names[i], "1", 1, 0)), set,
					 sizeof(set)),
			     result_text(raw(getxattr("attrs", names[i], buf, sizeof(buf))), get,
					 sizeof(get)),
			     result_text(raw(removexattr("attrs", names[i])), rem, sizeof(rem)));
		}
		if (user)
			user_end();
	}
	say_list("left", "attrs");
}

static void test_xattr_kinds(void)
{
	static const char *const paths[] = {"file", "link", "dir", "fifo", "sticky", "socket"};

	put("file", "", 0644);
	make_dir("dir", 0777, 0, 0);
	make_dir("sticky", 01777, 0, 0);
	must(symlink("file", "link") == 0 && mkfifo("fifo", 0666) == 0 &&
		     mknod("socket", S_IFSOCK | 0666, 0) == 0,
	     "files");
	for (int user = 0; user < 2; user++)
		for (size_t i = 0; i < COUNT(paths); i++) {
			char what[64], set[32], caps[32];

			if (user)
				user_begin();
			(void)snprintf(what, sizeof(what), "%s%s", user ? "user " : "", paths[i]);
			note("%s: set user.x %s, capabilities %s", what,
			     result_text(raw(lsetxattr(paths[i], "user.x", "1", 1, 0)), set,
					 sizeof(set)),
			     result_text(raw(lsetxattr(paths[i], "security.capability",
						       "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
						       20, 0)),
					 caps, sizeof(caps)));
			say_list(what, paths[i]);
			(void)lremovexattr(paths[i], "user.x");
			if (user)
				user_end();
		}
}

static void test_capabilities(void)
{
	static const unsigned char v2[20] = {1, 0, 0, 2, 0, 4}, v3[24] = {0, 0, 0, 3, 0, 4};
	static const unsigned char v1[12] = {0, 0, 0, 1, 0, 4}, bad[20] = {0, 0, 0, 9};
	unsigned char buf[32];

	put("caps", "", 0755);
	say("size of none", raw(getxattr("caps", "security.capability", NULL, 0)));
	say("remove none", raw(removexattr("caps", "security.capability")));
	say("set", raw(setxattr("caps", "security.capability", v2, sizeof(v2), 0)));
	say("get", raw(getxattr("caps", "security.capability", buf, sizeof(buf))));
	note("the same: %s", memcmp(buf, v2, sizeof(v2)) == 0 ? "yes" : "no");
	say("its size", raw(getxattr("caps", "security.capability", NULL, 0)));
	say("too small", raw(getxattr("caps", "security.capability", buf, 19)));
	say_list("list", "caps");
	say("create again",
	    raw(setxattr("caps", "security.capability", v2, sizeof(v2), XATTR_CREATE)));
	say("replace", raw(setxattr("caps", "security.capability", v2, sizeof(v2), XATTR_REPLACE)));
	say("unknown version", raw(setxattr("caps", "security.capability", bad, sizeof(bad), 0)));
	say("cut off", raw(setxattr("caps", "security.capability", v2, 12, 0)));
	say("empty", raw(setxattr("caps", "security.capability", v2, 0, 0)));
	say("version 1", raw(setxattr("caps", "security.capability", v1, sizeof(v1), 0)));
	say("version 3 for root", raw(setxattr("caps", "security.capability", v3, sizeof(v3), 0)));
	say("get it", raw(getxattr("caps", "security.capability", buf, sizeof(buf))));
	say("set", raw(setxattr("caps", "security.capability", v2, sizeof(v2), 0)));
	user_begin();
	say("user: get", raw(getxattr("caps", "security.capability", buf, sizeof(buf))));
	say("user: set", raw(setxattr("caps", "security.capability", v2, sizeof(v2), 0)));
	say("user: remove", raw(removexattr("caps", "security.capability")));
	user_end();
	say("linked", link("caps", "twin"));
	say("get by the other name",
	    raw(getxattr("twin", "security.capability", buf, sizeof(buf))));
	say("moved", rename("caps", "moved"));
	say("get", raw(getxattr("moved", "security.capability", buf, sizeof(buf))));
	say("remove", raw(removexattr("moved", "security.capability")));
	say("get by the other name",
	    raw(getxattr("twin", "security.capability", buf, sizeof(buf))));
	say_list("list", "twin");
}

/* A list with an entry for user 1000, as setfacl makes it. */
static const unsigned char acl[] = {
	2,    0, 0, 0,                         /* version */
	1,    0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* owner rw- */
	2,    0, 7, 0, 0xe8, 3,    0,    0,    /* 1000 rwx */
	4,    0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* group r-- */
	0x10, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
};

static void test_acl(void)
{
	unsigned char buf[128];

	put("acl", "", 0640);
	say("acl: set", raw(setxattr("acl", "system.posix_acl_access", acl, sizeof(acl), 0)));
	say("acl: get", raw(getxattr("acl", "system.posix_acl_access", buf, sizeof(buf))));
	note("acl: the same: %s", memcmp(buf, acl, sizeof(acl)) == 0 ? "yes" : "no");
	look("acl: mode", "acl");
	say("acl: remove", raw(removexattr("acl", "system.posix_acl_access")));
	look("acl: mode", "acl");
	make_dir("acls", 0755, 0, 0);
	say("acl: default", raw(setxattr("acls", "system.posix_acl_default", acl, sizeof(acl), 0)));
	say("acl: made in it", closed(open_file("acls/new", O_CREAT | O_WRONLY, 0666)));
	look("acl: made in it", "acls/new");
	say("acl: directory made in it", mkdir("acls/dir", 0777));
	look("acl: directory made in it", "acls/dir");
}

/* --- everything ---------------------------------------------------------------------------- */

static const struct call_test tests[] = {
	{"user", test_xattr_user},   {"spaces", test_xattr_spaces},
	{"kinds", test_xattr_kinds}, {"capabilities", test_capabilities},
	{"acl", test_acl},
};

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)umask(022);
	run_tests(tests, COUNT(tests), argc > 1 ? argv[1] : NULL);
	return 0;
}
