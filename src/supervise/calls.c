// SPDX-License-Identifier: Apache-2.0
/* Which calls of a step are answered here, and by whom. */
#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "supervise/supervise-internal.h"

/* What they change is seen by nobody but the caller. */
#define LOOK(n, fn)                                                                                \
	{                                                                                          \
		.rule = {.name = (n), .from = RB_SUPERVISE_ALL}, .handler = (fn),                  \
		.only_looks = true                                                                 \
	}
#define ALL(n, fn)                                                                                 \
	{                                                                                          \
		.rule = {.name = (n), .from = RB_SUPERVISE_ALL}, .handler = (fn)                   \
	}
#define OWN(n, fn)                                                                                 \
	{                                                                                          \
		.rule = {.name = (n), .from = RB_SUPERVISE_OWNERS}, .handler = (fn)                \
	}
#define NODE(n, number, type)                                                                      \
	{                                                                                          \
		.rule = {.name = (n),                                                              \
			 .masked = true,                                                           \
			 .arg = (number),                                                          \
			 .mask = S_IFMT,                                                           \
			 .value = (type),                                                          \
			 .from = RB_SUPERVISE_OWNERS},                                             \
		.handler = NULL                                                                    \
	}
#define PART(n, number, bits, equals, fn)                                                          \
	{                                                                                          \
		.rule = {.name = (n),                                                              \
			 .masked = true,                                                           \
			 .arg = (number),                                                          \
			 .mask = (bits),                                                           \
			 .value = (equals),                                                        \
			 .from = RB_SUPERVISE_ALL},                                                \
		.handler = (fn)                                                                    \
	}

#define NET(family)                                                                                \
	{                                                                                          \
		.rule = {.name = "socket",                                                         \
			 .masked = true,                                                           \
			 .arg = 0,                                                                 \
			 .mask = (uint32_t)WHOLE,                                                  \
			 .value = (family),                                                        \
			 .from = RB_SUPERVISE_OWNERS,                                              \
			 .network = true},                                                         \
		.handler = rb_call_socket, .only_looks = true                                      \
	}

enum { TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY, WHOLE = -1 };

/*
 * The rules of the filter are taken from here too, so that nothing is sent that nobody answers.
 * Calls that exist on some architectures only are left out on the others.
 */
static const struct {
	struct rb_supervise_rule rule;
	call_fn *handler;
	bool only_looks;
} table[] = {
	OWN("chown", rb_call_chown),
	OWN("chown32", rb_call_chown),
	OWN("lchown", rb_call_lchown),
	OWN("lchown32", rb_call_lchown),
	OWN("fchown", rb_call_fchown),
	OWN("fchown32", rb_call_fchown),
	OWN("fchownat", rb_call_fchownat),
	ALL("chmod", rb_call_chmod),
	ALL("fchmod", rb_call_fchmod),
	ALL("fchmodat", rb_call_fchmodat),
	ALL("utime", rb_call_utime),
	ALL("utimes", rb_call_utimes),
	ALL("futimesat", rb_call_futimesat),
	ALL("utimensat", rb_call_utimensat),
	ALL("utimensat_time64", rb_call_utimensat_time64),
	ALL("setxattr", rb_call_setxattr),
	ALL("lsetxattr", rb_call_lsetxattr),
	ALL("fsetxattr", rb_call_fsetxattr),
	LOOK("getxattr", rb_call_getxattr),
	LOOK("lgetxattr", rb_call_lgetxattr),
	LOOK("fgetxattr", rb_call_fgetxattr),
	LOOK("listxattr", rb_call_listxattr),
	LOOK("llistxattr", rb_call_llistxattr),
	LOOK("flistxattr", rb_call_flistxattr),
	ALL("removexattr", rb_call_removexattr),
	ALL("lremovexattr", rb_call_lremovexattr),
	ALL("fremovexattr", rb_call_fremovexattr),

	/* Opening what exists changes no owner. */
	PART("open", 1, O_CREAT, O_CREAT, rb_call_open),
	PART("open", 1, O_CREAT | TMPFILE_BIT, TMPFILE_BIT, rb_call_open),
	PART("openat", 2, O_CREAT, O_CREAT, rb_call_openat),
	PART("openat", 2, O_CREAT | TMPFILE_BIT, TMPFILE_BIT, rb_call_openat),
	ALL("creat", rb_call_creat),
	ALL("mkdir", rb_call_mkdir),
	ALL("mkdirat", rb_call_mkdirat),
	ALL("mknod", rb_call_mknod),
	NODE("mknod", 1, S_IFCHR),
	NODE("mknod", 1, S_IFBLK),
	ALL("mknodat", rb_call_mknodat),
	NODE("mknodat", 2, S_IFCHR),
	NODE("mknodat", 2, S_IFBLK),
	ALL("bind", rb_call_bind),
	ALL("symlink", rb_call_symlink),
	ALL("symlinkat", rb_call_symlinkat),
	ALL("link", rb_call_link),
	ALL("linkat", rb_call_linkat),
	ALL("unlink", rb_call_unlink),
	ALL("unlinkat", rb_call_unlinkat),
	ALL("rmdir", rb_call_rmdir),
	ALL("rename", rb_call_rename),
	ALL("renameat", rb_call_renameat),
	ALL("renameat2", rb_call_renameat2),

	LOOK("stat", rb_call_stat),
	LOOK("stat64", rb_call_stat),
	LOOK("lstat", rb_call_lstat),
	LOOK("lstat64", rb_call_lstat),
	LOOK("fstat", rb_call_fstat),
	LOOK("fstat64", rb_call_fstat),
	LOOK("newfstatat", rb_call_newfstatat),
	LOOK("fstatat64", rb_call_newfstatat),
	LOOK("statx", rb_call_statx),
	LOOK("access", rb_call_access),
	LOOK("faccessat", rb_call_faccessat),
	LOOK("faccessat2", rb_call_faccessat2),

	ALL("setuid", rb_call_setuid),
	ALL("setuid32", rb_call_setuid),
	ALL("setreuid", rb_call_setreuid),
	ALL("setreuid32", rb_call_setreuid),
	ALL("setresuid", rb_call_setresuid),
	ALL("setresuid32", rb_call_setresuid),
	ALL("setfsuid", rb_call_setfsuid),
	ALL("setfsuid32", rb_call_setfsuid),
	ALL("setgid", rb_call_setgid),
	ALL("setgid32", rb_call_setgid),
	ALL("setregid", rb_call_setregid),
	ALL("setregid32", rb_call_setregid),
	ALL("setresgid", rb_call_setresgid),
	ALL("setresgid32", rb_call_setresgid),
	ALL("setfsgid", rb_call_setfsgid),
	ALL("setfsgid32", rb_call_setfsgid),
	ALL("setgroups", rb_call_setgroups),
	ALL("setgroups32", rb_call_setgroups),
	LOOK("getuid", rb_call_getuid),
	LOOK("getuid32", rb_call_getuid),
	LOOK("geteuid", rb_call_geteuid),
	LOOK("geteuid32", rb_call_geteuid),
	LOOK("getgid", rb_call_getgid),
	LOOK("getgid32", rb_call_getgid),
	LOOK("getegid", rb_call_getegid),
	LOOK("getegid32", rb_call_getegid),
	LOOK("getresuid", rb_call_getresuid),
	LOOK("getresuid32", rb_call_getresuid),
	LOOK("getresgid", rb_call_getresgid),
	LOOK("getresgid32", rb_call_getresgid),
	LOOK("getgroups", rb_call_getgroups),
	LOOK("getgroups32", rb_call_getgroups),
	ALL("capget", rb_call_capget),
	ALL("capset", rb_call_capset),
	PART("prctl", 0, (uint32_t)WHOLE, PR_SET_KEEPCAPS, rb_call_prctl),
	PART("prctl", 0, (uint32_t)WHOLE, PR_GET_KEEPCAPS, rb_call_prctl),
	PART("prctl", 0, (uint32_t)WHOLE, PR_SET_TIMERSLACK, rb_call_prctl),
	ALL("umask", rb_call_umask),
	ALL("execve", rb_call_execve),
	ALL("execveat", rb_call_execveat),
	ALL("chroot", rb_call_chroot),
	PART("setrlimit", 0, (uint32_t)WHOLE, RLIMIT_LOCKS, rb_call_setrlimit),
	PART("getrlimit", 0, (uint32_t)WHOLE, RLIMIT_LOCKS, rb_call_getrlimit),
	PART("ugetrlimit", 0, (uint32_t)WHOLE, RLIMIT_LOCKS, rb_call_getrlimit),
	PART("prlimit64", 1, (uint32_t)WHOLE, RLIMIT_LOCKS, rb_call_prlimit),
	NET(AF_INET),
	NET(AF_INET6),
	NET(AF_NETLINK),
	NET(AF_PACKET),
	PART("getsockopt", 2, (uint32_t)WHOLE, SO_PEERCRED, rb_call_getsockopt),
};

const uint32_t rb_supervise_not_implemented[] = {
	437, /* openat2: how it resolves a path is behind a pointer */
	452, /* fchmodat2 */
	463, /* setxattrat */
	464, /* getxattrat */
	465, /* listxattrat */
	466, /* removexattrat */
	0,
};

size_t rb_supervise_rule_count(void)
{
	return RB_ARRAY_LEN(table);
}

const struct rb_supervise_rule *rb_supervise_rule(size_t i)
{
	return &table[i].rule;
}

/* --- by number --- */

static const struct {
	uint32_t audit, library;
	bool compat;
} arches[] = {
#if defined(__x86_64__)
	{AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, false},
	{AUDIT_ARCH_I386, SCMP_ARCH_X86, true},
#elif defined(__aarch64__)
	{AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64, false},
	{AUDIT_ARCH_ARM, SCMP_ARCH_ARM, true},
#elif defined(__riscv) && __riscv_xlen == 64
	{AUDIT_ARCH_RISCV64, SCMP_ARCH_RISCV64, false},
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	{AUDIT_ARCH_PPC64LE, SCMP_ARCH_PPC64LE, false},
#elif defined(__s390x__)
	{AUDIT_ARCH_S390X, SCMP_ARCH_S390X, false},
	{AUDIT_ARCH_S390, SCMP_ARCH_S390, true},
#endif
};

/* Of older calls of a 32 bit entry: the C libraries have used their successors since 2001. */
static int64_t not_implemented(struct call *c)
{
	(void)c;
	return -ENOSYS;
}

/* Ids of 16 bits, sizes and times of 32. */
static bool is_outdated(uint32_t library, const char *name)
{
	static const char *const others[] = {"stat",  "lstat",  "fstat",
					     "utime", "utimes", "futimesat"};
	char wide[32];

	for (size_t i = 0; i < RB_ARRAY_LEN(others); i++)
		if (rb_streq(name, others[i]))
			return true;
	(void)snprintf(wide, sizeof(wide), "%s32", name);
	return seccomp_syscall_resolve_name_arch(library, wide) >= 0;
}

enum { NUMBERS_MAX = 1024 };
static struct call_entry by_number[RB_ARRAY_LEN(arches)][NUMBERS_MAX];

void rb_call_table_init(void)
{
	for (size_t k = 0; k < RB_ARRAY_LEN(arches); k++) {
		for (size_t i = 0; i < RB_ARRAY_LEN(table); i++) {
			const char *name = table[i].rule.name;
			int nr = seccomp_syscall_resolve_name_arch(arches[k].library, name);

			if (!table[i].handler || nr < 0 || nr >= NUMBERS_MAX)
				continue;
			by_number[k][nr] = (struct call_entry){
				.handler = arches[k].compat && is_outdated(arches[k].library, name)
						   ? not_implemented
						   : table[i].handler,
				.only_looks = table[i].only_looks};
		}
	}
}

struct call_entry rb_call_find(uint32_t arch, uint32_t nr, bool *ret_compat)
{
	static const struct call_entry none = {.handler = not_implemented};

	for (size_t k = 0; k < RB_ARRAY_LEN(arches); k++) {
		if (arches[k].audit != arch)
			continue;
		*ret_compat = arches[k].compat;
		/* An x32 number has a high bit and is not in the table. */
		return nr < NUMBERS_MAX && by_number[k][nr].handler ? by_number[k][nr] : none;
	}
	return none;
}
