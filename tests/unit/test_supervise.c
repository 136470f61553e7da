// SPDX-License-Identifier: Apache-2.0
/* Credentials: what Linux lets a process become and do, in tables. */
#include <errno.h>
#include <linux/capability.h>

#include "supervise/cred.h"
#include "tap.h"

#define BIT(cap) ((uint64_t)1 << (cap))

static const uint64_t root_caps = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) |
				  BIT(CAP_FSETID) | BIT(CAP_SETUID) | BIT(CAP_SETGID) |
				  BIT(CAP_SETPCAP) | BIT(CAP_SETFCAP) | BIT(CAP_MKNOD);

static struct rb_cred root(void)
{
	return (struct rb_cred){.permitted = root_caps,
				.effective = root_caps,
				.bounding = root_caps,
				.umask = 022};
}

static struct rb_cred user(uint32_t id)
{
	struct rb_cred c = root();

	(void)rb_cred_setresgid(&c, id, id, id);
	(void)rb_cred_setresuid(&c, id, id, id);
	return c;
}

static void check_uids(const struct rb_cred *c, uint32_t r, uint32_t e, uint32_t s, uint32_t f)
{
	CHECK_INT(c->ruid, r);
	CHECK_INT(c->euid, e);
	CHECK_INT(c->suid, s);
	CHECK_INT(c->fsuid, f);
}

static void test_cred__setuid(void)
{
	struct rb_cred c = root();

	CHECK_INT(rb_cred_setuid(&c, UINT32_MAX), -EINVAL);
	CHECK_INT(rb_cred_setuid(&c, 1000), 0);
	check_uids(&c, 1000, 1000, 1000, 1000);
	CHECK_INT(c.permitted, 0);
	CHECK_INT(c.effective, 0);
	/* What gave root up does not get it back. */
	CHECK_INT(rb_cred_setuid(&c, 0), -EPERM);
	CHECK_INT(rb_cred_setresuid(&c, 0, 0, 0), -EPERM);
	CHECK_INT(rb_cred_setreuid(&c, 0, 0), -EPERM);
	CHECK_INT(rb_cred_setfsuid(&c, 0), 1000);
	check_uids(&c, 1000, 1000, 1000, 1000);
}

static void test_cred__saved_id_gives_root_back(void)
{
	struct rb_cred c = root();

	CHECK_INT(rb_cred_setresuid(&c, UINT32_MAX, 33, UINT32_MAX), 0);
	check_uids(&c, 0, 33, 0, 33);
	CHECK_INT(c.effective, 0);
	CHECK(c.permitted == root_caps);
	CHECK_INT(rb_cred_setresuid(&c, 5, UINT32_MAX, UINT32_MAX), -EPERM);
	CHECK_INT(rb_cred_setuid(&c, 0), 0);
	check_uids(&c, 0, 0, 0, 0);
	CHECK(c.effective == root_caps);
}

static void test_cred__setreuid_saves(void)
{
	struct rb_cred c = root();

	CHECK_INT(rb_cred_setreuid(&c, 10, 20), 0);
	check_uids(&c, 10, 20, 20, 20);
	CHECK_INT(rb_cred_setreuid(&c, UINT32_MAX, 10), 0);
	check_uids(&c, 10, 10, 20, 10);
	CHECK_INT(rb_cred_setreuid(&c, UINT32_MAX, 20), 0);
	check_uids(&c, 10, 20, 20, 20);
	CHECK_INT(rb_cred_setreuid(&c, 20, 10), 0);
	check_uids(&c, 20, 10, 10, 10);
	CHECK_INT(rb_cred_setreuid(&c, 30, UINT32_MAX), -EPERM);
}

static void test_cred__keep_caps(void)
{
	struct rb_cred c = root();

	c.keep_caps = true;
	CHECK_INT(rb_cred_setuid(&c, 7), 0);
	CHECK(c.permitted == root_caps);
	CHECK_INT(c.effective, 0);
	CHECK_INT(rb_cred_capset(&c, BIT(CAP_CHOWN), BIT(CAP_CHOWN), 0), 0);
	CHECK(rb_cred_has(&c, CAP_CHOWN));
	CHECK_INT(rb_cred_capset(&c, root_caps, 0, 0), -EPERM);
	CHECK_INT(rb_cred_capset(&c, 0, BIT(CAP_CHOWN), 0), -EPERM);
}

static void test_cred__fs_ids(void)
{
	struct rb_cred c = root();

	CHECK_INT(rb_cred_setfsuid(&c, 9), 0);
	check_uids(&c, 0, 0, 0, 9);
	CHECK(!rb_cred_has(&c, CAP_CHOWN));
	CHECK(!rb_cred_has(&c, CAP_DAC_OVERRIDE));
	CHECK(rb_cred_has(&c, CAP_SETUID));
	CHECK_INT(rb_cred_setfsuid(&c, UINT32_MAX), 9);
	CHECK_INT(rb_cred_setfsuid(&c, 0), 9);
	CHECK(c.effective == root_caps);
	/* A call that changes no other id leaves it alone. */
	CHECK_INT(rb_cred_setfsgid(&c, 4), 0);
	CHECK_INT(rb_cred_setresgid(&c, 0, UINT32_MAX, 0), 0);
	CHECK_INT(c.fsgid, 4);
	CHECK_INT(rb_cred_setresgid(&c, 0, 0, 0), 0);
	CHECK_INT(c.fsgid, 0);
}

static void test_cred__groups(void)
{
	static const uint32_t groups[] = {4, 27};
	struct rb_cred c = user(1000);

	c.groups = groups;
	c.n_groups = 2;
	CHECK(rb_cred_in_group(&c, 1000));
	CHECK(rb_cred_in_group(&c, 27));
	CHECK(!rb_cred_in_group(&c, 5));
	CHECK_INT(rb_cred_setgid(&c, 27), -EPERM);
	CHECK_INT(rb_cred_setregid(&c, 27, 27), -EPERM);
	CHECK_INT(rb_cred_setresgid(&c, 1000, 1000, 27), -EPERM);
}

static void test_cred__exec(void)
{
	struct rb_cred c = user(1000);
	struct rb_cred_file f = {.st = {.st_mode = S_IFREG | 06755, .st_uid = 0, .st_gid = 8},
				 .privileged = true};

	rb_cred_exec(&c, &f);
	check_uids(&c, 1000, 0, 0, 0);
	CHECK_INT(c.egid, 8);
	CHECK_INT(c.sgid, 8);
	CHECK(c.effective == root_caps);
	/* sudo: becomes root altogether */
	CHECK_INT(rb_cred_setuid(&c, 0), 0);
	check_uids(&c, 0, 0, 0, 0);

	c = user(1000);
	f.privileged = false; /* no_new_privs */
	rb_cred_exec(&c, &f);
	check_uids(&c, 1000, 1000, 1000, 1000);
	CHECK_INT(c.effective, 0);

	c = user(1000);
	f = (struct rb_cred_file){.st = {.st_mode = S_IFREG | 0755},
				  .privileged = true,
				  .has_caps = true,
				  .effective = true,
				  .permitted = BIT(CAP_CHOWN) | BIT(CAP_SYS_ADMIN)};
	rb_cred_exec(&c, &f);
	CHECK(c.effective == BIT(CAP_CHOWN));

	/* Root in effect only, for a user: what the file gives. */
	c = root();
	(void)rb_cred_setresuid(&c, 1000, 0, 0);
	rb_cred_exec(&c, &f);
	CHECK(c.effective == BIT(CAP_CHOWN));

	/* A saved id does not survive. */
	c = root();
	(void)rb_cred_setresuid(&c, 5, 5, 0);
	f = (struct rb_cred_file){.st = {.st_mode = S_IFREG | 0755}, .privileged = true};
	rb_cred_exec(&c, &f);
	check_uids(&c, 5, 5, 5, 5);
	CHECK_INT(c.permitted, 0);
}

static void test_cred__may(void)
{
	static const struct {
		uint32_t who;
		mode_t mode;
		uint32_t uid, gid;
		int want, result;
	} rows[] = {
		{0, S_IFREG | 0000, 5, 5, RB_MAY_READ | RB_MAY_WRITE, 0},
		{0, S_IFREG | 0644, 5, 5, RB_MAY_EXEC, -EACCES},
		{0, S_IFREG | 0010, 5, 5, RB_MAY_EXEC, 0},
		{0, S_IFDIR | 0000, 5, 5, RB_MAY_EXEC, 0},
		{5, S_IFREG | 0644, 0, 0, RB_MAY_READ, 0},
		{5, S_IFREG | 0644, 0, 0, RB_MAY_WRITE, -EACCES},
		{5, S_IFREG | 0640, 0, 5, RB_MAY_READ, 0},
		{5, S_IFREG | 0604, 0, 5, RB_MAY_READ, -EACCES},
		{5, S_IFREG | 0066, 5, 5, RB_MAY_READ, -EACCES},
		{5, S_IFDIR | 01777, 0, 0, RB_MAY_WRITE | RB_MAY_EXEC, 0},
		{5, S_IFDIR | 0755, 0, 0, RB_MAY_WRITE | RB_MAY_EXEC, -EACCES},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		const struct rb_cred c = rows[i].who ? user(rows[i].who) : root();
		const struct stat st = {
			.st_mode = rows[i].mode, .st_uid = rows[i].uid, .st_gid = rows[i].gid};

		CHECK_INT(rb_cred_may(&c, &st, rows[i].want), rows[i].result);
	}
}

static void test_cred__ownership(void)
{
	const struct stat mine = {.st_mode = S_IFREG | 0644, .st_uid = 5, .st_gid = 5};
	const struct stat roots = {.st_mode = S_IFREG | 0666};
	const struct stat tmp = {.st_mode = S_IFDIR | 01777};
	const struct rb_cred c = user(5), r = root();

	CHECK_INT(rb_cred_owns(&c, &mine), 0);
	CHECK_INT(rb_cred_owns(&c, &roots), -EPERM);
	CHECK_INT(rb_cred_owns(&r, &mine), 0);
	CHECK_INT(rb_cred_may_chown(&c, &mine, 5, UINT32_MAX), 0);
	CHECK_INT(rb_cred_may_chown(&c, &mine, UINT32_MAX, 5), 0);
	CHECK_INT(rb_cred_may_chown(&c, &mine, UINT32_MAX, 6), -EPERM);
	CHECK_INT(rb_cred_may_chown(&c, &mine, 0, UINT32_MAX), -EPERM);
	CHECK_INT(rb_cred_may_chown(&c, &roots, UINT32_MAX, UINT32_MAX), 0);
	CHECK_INT(rb_cred_may_chown(&r, &mine, 77, 78), 0);
	CHECK_INT(rb_cred_may_remove(&c, &tmp, &mine), 0);
	CHECK_INT(rb_cred_may_remove(&c, &tmp, &roots), -EPERM);
	CHECK_INT(rb_cred_may_remove(&r, &tmp, &mine), 0);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_cred__setuid), TAP(test_cred__saved_id_gives_root_back),
		TAP(test_cred__setreuid_saves), TAP(test_cred__keep_caps), TAP(test_cred__fs_ids),
		TAP(test_cred__groups), TAP(test_cred__exec), TAP(test_cred__may),
		TAP(test_cred__ownership), TAP_END});
}
