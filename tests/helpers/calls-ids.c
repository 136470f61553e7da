// SPDX-License-Identifier: Apache-2.0
/*
 * Credentials as a state machine: every pair of calls from root, long random walks, and what the
 * calls say to bad arguments. `calls-ids walk N` tells one walk in full.
 */
#include <sys/socket.h>

#include "calls.h"

static char root_identity[1024];

static long id_setgroups(int n, gid_t a, gid_t b)
{
	const gid_t groups[] = {a, b};

	return set_groups(n, groups);
}

static long id_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct caps c;

	(void)get_caps(&c);
	return set_caps(c.effective & effective, c.permitted & permitted,
			inheritable ? (c.permitted & inheritable) : c.inheritable);
}

/* All that is permitted becomes effective again. */
static long id_raise(void)
{
	struct caps c;

	(void)get_caps(&c);
	return set_caps(c.permitted, c.permitted, c.inheritable);
}

#define ALL (~(uint64_t)0)
#define CALLS(X)                                                                                   \
	X(setuid_1000, CALL(SYS_setuid, 1000))                                                     \
	X(setuid_0, CALL(SYS_setuid, 0))                                                           \
	X(setuid_none, CALL(SYS_setuid, -1))                                                       \
	X(seteuid_1000, set_resuid(-1, 1000, -1))                                                  \
	X(seteuid_0, set_resuid(-1, 0, -1))                                                        \
	X(setresuid_1000, set_resuid(1000, 1000, 1000))                                            \
	X(setresuid_1000_1000_0, set_resuid(1000, 1000, 0))                                        \
	X(setresuid_1_2_3, set_resuid(1, 2, 3))                                                    \
	X(setresuid_rotated, set_resuid(2, 3, 1))                                                  \
	X(setresuid_large, set_resuid(60000, 65534, 50000))                                        \
	X(setreuid_1000_2000, CALL(SYS_setreuid, 1000, 2000))                                      \
	X(setreuid_effective, CALL(SYS_setreuid, -1, 1000))                                        \
	X(setreuid_real, CALL(SYS_setreuid, 1000, -1))                                             \
	X(setreuid_swapped, CALL(SYS_setreuid, 1000, 0))                                           \
	X(setfsuid_1000, CALL(SYS_setfsuid, 1000))                                                 \
	X(setfsuid_0, CALL(SYS_setfsuid, 0))                                                       \
	X(setgid_1000, CALL(SYS_setgid, 1000))                                                     \
	X(setresgid_1_2_3, set_resgid(1, 2, 3))                                                    \
	X(setregid_0_1000, CALL(SYS_setregid, 0, 1000))                                            \
	X(setegid_3, set_resgid(-1, 3, -1))                                                        \
	X(setfsgid_5, CALL(SYS_setfsgid, 5))                                                       \
	X(setgroups, id_setgroups(2, 6, 5))                                                        \
	X(setgroups_none, id_setgroups(0, 0, 0))                                                   \
	X(keepcaps, CALL(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0))                                  \
	X(ineffective, id_caps(0, ALL, 0))                                                         \
	X(dropped, id_caps(0, 0, 0))                                                               \
	X(no_setuid, id_caps(~(1ull << CAP_SETUID), ~(1ull << CAP_SETUID), 0))                     \
	X(inherit, id_caps(ALL, ALL, 1ull << CAP_NET_RAW | 1ull << CAP_CHOWN))                     \
	X(raised, id_raise())

#define DEFINE(name, what)                                                                         \
	static long do_##name(void)                                                                \
	{                                                                                          \
		return what;                                                                       \
	}
#define ENTRY(name, what) {#name, do_##name},
CALLS(DEFINE)
static const struct {
	const char *name;
	long (*call)(void);
} calls[] = {CALLS(ENTRY)};

/* The words of the identity that are not root's. */
static void say_changes(const char *what)
{
	char now[1024], root[1024], *a, *b, *rest_a = NULL, *rest_b = NULL;

	(void)identity(now, sizeof(now));
	(void)snprintf(root, sizeof(root), "%s", root_identity);
	printf("%s:", what);
	a = strtok_r(now, " ", &rest_a);
	b = strtok_r(root, " ", &rest_b);
	while (a && b) {
		if (strcmp(a, b) != 0)
			printf(" %s", a);
		a = strtok_r(NULL, " ", &rest_a);
		b = strtok_r(NULL, " ", &rest_b);
	}
	if (CALL(SYS_prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0) == 1)
		printf(" keepcaps");
	putchar('\n');
}

static size_t first, second;

static void run_pair(void)
{
	char what[128], a[32], b[32];
	long ra = calls[first].call(), rb = calls[second].call();

	(void)snprintf(what, sizeof(what), "%s, %s: %s %s", calls[first].name, calls[second].name,
		       result_text(ra, a, sizeof(a)), result_text(rb, b, sizeof(b)));
	say_changes(what);
}

static unsigned walk, seed;
static bool in_full;

static size_t random_call(void)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 16) % COUNT(calls);
}

/* Eight steps, of which the early ones rarely give everything up. */
static void run_walk(void)
{
	char what[256], buf[32];
	size_t n;

	n = (size_t)snprintf(what, sizeof(what), "walk %u", walk);
	seed = walk * 2654435761u;
	for (int i = 0; i < 8; i++) {
		size_t call = random_call();
		long r = calls[call].call();

		if (in_full) {
			say(calls[call].name, r);
			say_changes("  now");
		}
		if (n < sizeof(what))
			n += (size_t)snprintf(what + n, sizeof(what) - n, " %s",
					      result_text(r, buf, sizeof(buf)));
	}
	say_changes(what);
}

static void run_arguments(void)
{
	static gid_t groups[70000];
	struct __user_cap_header_struct head = {.version = 0x12345678};
	struct __user_cap_data_struct data[2];
	uid_t a, b;

	say("getresuid nowhere", CALL(SYS_getresuid, &a, &b, 1));
	say("getresgid nowhere", CALL(SYS_getresgid, NULL, &a, &b));
	say("setgroups nowhere", CALL(SYS_setgroups, 2, 1));
	say("setgroups of too many", CALL(SYS_setgroups, 65537, groups));
	say("setgroups of a negative number", CALL(SYS_setgroups, -1, groups));
	for (gid_t i = 0; i < 1000; i++)
		groups[i] = 1000 - i;
	say("setgroups of many", CALL(SYS_setgroups, 1000, groups));
	memset(groups, 0, sizeof(groups));
	say("getgroups counts", CALL(SYS_getgroups, 0, NULL));
	say("getgroups of fewer", CALL(SYS_getgroups, 999, groups));
	say("getgroups of a negative number", CALL(SYS_getgroups, -1, groups));
	say("getgroups nowhere", CALL(SYS_getgroups, 1000, 1));
	say("getgroups", CALL(SYS_getgroups, 70000, groups));
	note("they are %u %u ... %u", groups[0], groups[1], groups[999]);
	say("setgroups with -1", id_setgroups(2, 5, (gid_t)-1));
	say("and twice the same", id_setgroups(2, 5, 5));
	say("getgroups", CALL(SYS_getgroups, 2, groups));
	say("setresuid with wide numbers", CALL(SYS_setresuid, 0x100000000, -1, -1));
	say("capget of an unknown version", CALL(SYS_capget, &head, data));
	note("the version is %#x", head.version);
	say("capget without data", (head.version = 0, CALL(SYS_capget, &head, NULL)));
	note("the version is %#x", head.version);
	say("capget nowhere", CALL(SYS_capget, 1, data));
	head.pid = getpid();
	say("capget of its own process", CALL(SYS_capget, &head, data));
	head.pid = -1;
	say("capget of a negative process", CALL(SYS_capget, &head, data));
	head.pid = 2000000000;
	say("capget of nobody", CALL(SYS_capget, &head, data));
	head.pid = getppid();
	say("capget of its parent", CALL(SYS_capget, &head, data));
	note("is that of root: %x", data[0].effective);
	say("capset of its parent", CALL(SYS_capset, &head, data));
	head = (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_1};
	say("capget of version 1", CALL(SYS_capget, &head, data));
	note("is %x", data[0].effective);
	say("capset nowhere",
	    (head.version = _LINUX_CAPABILITY_VERSION_3, CALL(SYS_capset, &head, 1)));
	say("more effective than permitted", set_caps(ALL, 0, 0));
	say("beyond the bounding set", set_caps(0, 0, 1ull << CAP_SYS_ADMIN));
	say("beyond what is permitted", set_caps(0, 1ull << CAP_SYS_ADMIN, 0));
	say("keepcaps of 2", CALL(SYS_prctl, PR_SET_KEEPCAPS, 2, 0, 0, 0));
	say_identity("now");
	say("ids beyond 65535", set_resuid(70000, 4294967294u, 197609));
	say_identity("ids beyond 65535, now");
}

static void run_securebits(void)
{
	say("securebits: read", CALL(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0));
	say("securebits: no fix-up", CALL(SYS_prctl, PR_SET_SECUREBITS, 4, 0, 0, 0));
	say("securebits: seteuid", set_resuid(-1, 1000, -1));
	say_changes("securebits: capabilities stay");
	say("securebits: read", CALL(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0));
	say("securebits: keepcaps too", CALL(SYS_prctl, PR_SET_SECUREBITS, 16, 0, 0, 0));
	say("securebits: is it", CALL(SYS_prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0));
}

static void run_bounding(void)
{
	say("bounding: has net_raw", CALL(SYS_prctl, PR_CAPBSET_READ, CAP_NET_RAW, 0, 0, 0));
	say("bounding: has sys_admin", CALL(SYS_prctl, PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0));
	say("bounding: drop net_raw", CALL(SYS_prctl, PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0));
	say("bounding: has net_raw", CALL(SYS_prctl, PR_CAPBSET_READ, CAP_NET_RAW, 0, 0, 0));
	say("ambient: not inheritable",
	    CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	say("ambient: inherit", id_caps(ALL, ALL, 1ull << CAP_CHOWN));
	say("ambient: raise",
	    CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	say("ambient: is set",
	    CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
	become(1000, 1000);
	say("ambient: after a change of user",
	    CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
	say("bounding: drop as a user", CALL(SYS_prctl, PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0));
}

/* The old calls have their own entry points. */
static void run_single_calls(void)
{
	must(set_resuid(1, 2, 0) == 0, "setresuid");
	say("getuid", CALL(SYS_getuid));
	say("geteuid", CALL(SYS_geteuid));
	say("getgid", CALL(SYS_getgid));
	say("getegid", CALL(SYS_getegid));
	must(set_resuid(-1, 0, -1) == 0 && set_resgid(3, 4, 5) == 0, "ids");
	say("getgid", CALL(SYS_getgid));
	say("getegid", CALL(SYS_getegid));
	say("setfsuid says the last", CALL(SYS_setfsuid, 44));
	say("and now", CALL(SYS_setfsuid, 0));
	say("kill of init by root", kill(1, 0));
	must(set_resuid(44, 44, 44) == 0, "setresuid");
	say("setfsuid of another", CALL(SYS_setfsuid, 45));
	say("changed nothing", CALL(SYS_setfsuid, -1));
	say("setgroups by a user", id_setgroups(0, 0, 0));
	say("setgroups nowhere by a user", CALL(SYS_setgroups, 2, 1));
	say("setgid by a user", CALL(SYS_setgid, 0));
	say("setgid to the saved", CALL(SYS_setgid, 5));
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)identity(root_identity, sizeof(root_identity));
	note("root: %s", root_identity);
	if (argc > 2 && strcmp(argv[1], "walk") == 0) {
		in_full = true;
		walk = (unsigned)strtoul(argv[2], NULL, 10);
		run_walk();
		return 0;
	}
	for (first = 0; first < COUNT(calls); first++)
		for (second = 0; second < COUNT(calls); second++)
			in_child(run_pair);
	for (walk = 0; walk < 300; walk++)
		in_child(run_walk);
	in_child(run_arguments);
	in_child(run_single_calls);
	in_child(run_bounding);
	in_child(run_securebits);
	note("done");
	return 0;
}
