// SPDX-License-Identifier: Apache-2.0
/*
 * The step's filter: made by libseccomp once (2 ms), kept as a program in the store's cache, loaded
 * by each step with a plain seccomp(2). It depends on the architecture and the tables only.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fd.h"
#include "exec/exec-internal.h"
#include "supervise/supervise.h"

enum {
	PROGRAM_BYTES_MAX = BPF_MAXINSNS * sizeof(struct sock_filter),
	OPTIMIZE_TREE = 2, /* of SCMP_FLTATR_CTL_OPTIMIZE: a binary tree */
	X32_BIT = 0x40000000,
};

/* The architectures that one process of a step may enter the kernel through. */
static const struct {
	uint32_t library, audit;
} arches[] = {
#if defined(__x86_64__)
	{SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64},
	{SCMP_ARCH_X86, AUDIT_ARCH_I386},
	{SCMP_ARCH_X32, AUDIT_ARCH_X86_64},
#elif defined(__aarch64__)
	{SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64},
	{SCMP_ARCH_ARM, AUDIT_ARCH_ARM},
#elif defined(__riscv) && __riscv_xlen == 64
	{SCMP_ARCH_RISCV64, AUDIT_ARCH_RISCV64},
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	{SCMP_ARCH_PPC64LE, AUDIT_ARCH_PPC64LE},
#elif defined(__s390x__)
	{SCMP_ARCH_S390X, AUDIT_ARCH_S390X},
	{SCMP_ARCH_S390, AUDIT_ARCH_S390},
#else
#error "no list of architectures for the step's filter"
#endif
};

static int add_rule(scmp_filter_ctx ctx, uint32_t action, const char *name,
		    const struct rb_filter_arg *a)
{
	int nr = seccomp_syscall_resolve_name(name);

	/* A name of another architecture has a pseudo number; one that the library does not know
	 * yet is none of ours. */
	if (nr == __NR_SCMP_ERROR)
		return 0;
	if (!a)
		return seccomp_rule_add(ctx, action, nr, 0);
	return seccomp_rule_add(ctx, action, nr, 1,
				SCMP_CMP(a->arg, SCMP_CMP_MASKED_EQ, a->mask, a->value));
}

static int set_up(scmp_filter_ctx ctx)
{
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_TREE);
	for (size_t i = 0; r == 0 && i < RB_ARRAY_LEN(arches); i++) {
		r = seccomp_arch_add(ctx, arches[i].library);
		if (r == -EEXIST)
			r = 0; /* the native one is there from the start */
	}
	return r;
}

static int add_rules(scmp_filter_ctx ctx, const char *except)
{
	int r = 0;

	for (size_t i = 0; r == 0 && rb_filter_allowed[i]; i++)
		r = add_rule(ctx, SCMP_ACT_ALLOW, rb_filter_allowed[i], NULL);
	for (size_t i = 0; r == 0 && rb_filter_allowed_if[i].name; i++)
		r = add_rule(ctx, SCMP_ACT_ALLOW, rb_filter_allowed_if[i].name,
			     &rb_filter_allowed_if[i]);
	/* Last: a rule without arguments replaces those for parts of socketcall, which the library
	 * has made out of bind, connect and so on. */
	for (size_t i = 0; r == 0 && rb_filter_not_implemented[i]; i++) {
		const char *name = rb_filter_not_implemented[i];
		uint32_t action =
			except && rb_streq(name, except) ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS);

		r = add_rule(ctx, action, name, NULL);
	}
	return r;
}

static int add_profile(scmp_filter_ctx ctx)
{
	return add_rules(ctx, NULL);
}

/* For steps of linux/386 only: what socketcall is asked for is behind a pointer (S46). */
static int add_profile_386(scmp_filter_ctx ctx)
{
	return add_rules(ctx, "socketcall");
}

static int add_supervision(scmp_filter_ctx ctx, enum rb_supervision_level level, bool network)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rb_supervise_rule_count(); i++) {
		const struct rb_supervise_rule *rule = rb_supervise_rule(i);
		const struct rb_filter_arg part = {.name = rule->name,
						   .arg = rule->arg,
						   .mask = rule->mask,
						   .value = rule->value};

		/* A rule for a part is for the lower level: the higher one sends all of it. */
		if (rule->network ? network
				  : rule->from == level || (rule->from < level && !rule->masked))
			r = add_rule(ctx, SCMP_ACT_NOTIFY, rule->name, rule->masked ? &part : NULL);
	}
	return r;
}

static int add_owners(scmp_filter_ctx ctx)
{
	return add_supervision(ctx, RB_SUPERVISE_OWNERS, false);
}

static int add_all(scmp_filter_ctx ctx)
{
	return add_supervision(ctx, RB_SUPERVISE_ALL, false);
}

static int add_owners_net(scmp_filter_ctx ctx)
{
	return add_supervision(ctx, RB_SUPERVISE_OWNERS, true);
}

static int add_all_net(scmp_filter_ctx ctx)
{
	return add_supervision(ctx, RB_SUPERVISE_ALL, true);
}

static void emit(struct rb_buf *b, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	struct sock_filter f = {.code = code, .jt = jt, .jf = jf, .k = k};

	rb_buf_add(b, &f, sizeof(f));
}

/*
 * In front of the library's program: the calls listed by number. Jumps are relative, so the two can
 * be joined. Entry through an architecture that is not ours goes on to the library's part, which
 * kills; `n` instructions of the body, which the caller emits next, are passed over then.
 */
static void emit_arches(struct rb_buf *b, size_t n)
{
	size_t n_arches = RB_ARRAY_LEN(arches);

	emit(b, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	for (size_t i = 0; i < n_arches; i++)
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, arches[i].audit, (uint8_t)(n_arches - i), 0);
	emit(b, BPF_JMP | BPF_JA, (uint32_t)n + 2, 0, 0);
	emit(b, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	emit(b, BPF_ALU | BPF_AND | BPF_K, (uint32_t)~X32_BIT, 0, 0);
}

static void emit_number(struct rb_buf *b, uint32_t number, int answer)
{
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
	emit(b, BPF_RET | BPF_K, answer ? SECCOMP_RET_ERRNO | (uint32_t)answer : SECCOMP_RET_ALLOW,
	     0, 0);
}

static void emit_profile(struct rb_buf *b)
{
	const struct rb_filter_number *n = rb_filter_by_number;
	size_t count = 0;

	while (n[count].number)
		count++;
	/* floor, two for each number, the rest */
	emit_arches(b, 1 + 2 * count + 1);
	emit(b, BPF_JMP | BPF_JGE | BPF_K, n[0].number, 0, (uint8_t)(2 * count + 1));
	for (size_t i = 0; i < count; i++)
		emit_number(b, n[i].number, n[i].answer);
	emit(b, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
}

static void emit_supervision(struct rb_buf *b)
{
	const uint32_t *n = rb_supervise_not_implemented;
	size_t count = 0;

	while (n[count])
		count++;
	emit_arches(b, 2 * count);
	for (size_t i = 0; i < count; i++)
		emit_number(b, n[i], ENOSYS);
}

/* --- the programs --- */

static void hash_profile(struct rb_hash *h)
{
	for (size_t i = 0; rb_filter_allowed[i]; i++)
		rb_hash_addstr(h, rb_filter_allowed[i]);
	for (const struct rb_filter_arg *a = rb_filter_allowed_if; a->name; a++) {
		rb_hash_addstr(h, a->name);
		rb_hash_addu64(h, a->arg);
		rb_hash_addu64(h, (uint64_t)a->mask << 32 | a->value);
	}
	for (size_t i = 0; rb_filter_not_implemented[i]; i++)
		rb_hash_addstr(h, rb_filter_not_implemented[i]);
	for (const struct rb_filter_number *n = rb_filter_by_number; n->number; n++)
		rb_hash_addu64(h, (uint64_t)n->number << 32 | (uint32_t)n->answer);
}

static void hash_supervision(struct rb_hash *h)
{
	for (size_t i = 0; i < rb_supervise_rule_count(); i++) {
		const struct rb_supervise_rule *rule = rb_supervise_rule(i);

		rb_hash_addstr(h, rule->name);
		rb_hash_addu64(h, rule->masked ? rule->arg : UINT64_MAX);
		rb_hash_addu64(h, (uint64_t)rule->mask << 32 | rule->value);
		rb_hash_addu64(h, rule->from);
		rb_hash_addu64(h, rule->network);
	}
	for (const uint32_t *n = rb_supervise_not_implemented; *n; n++)
		rb_hash_addu64(h, *n);
}

static const struct {
	const char *name;
	uint32_t action; /* for what no rule meets */
	int (*add)(scmp_filter_ctx ctx);
	void (*emit)(struct rb_buf *b);
	void (*hash)(struct rb_hash *h);
} kinds[RB_FILTER_KINDS] = {
	[RB_FILTER_PROFILE] = {"filter", SCMP_ACT_ERRNO(EPERM), add_profile, emit_profile,
			       hash_profile},
	[RB_FILTER_PROFILE_386] = {"filter-386", SCMP_ACT_ERRNO(EPERM), add_profile_386,
				   emit_profile, hash_profile},
	[RB_FILTER_OWNERS] = {"owners", SCMP_ACT_ALLOW, add_owners, emit_supervision,
			      hash_supervision},
	[RB_FILTER_ALL] = {"supervision", SCMP_ACT_ALLOW, add_all, emit_supervision,
			   hash_supervision},
	[RB_FILTER_OWNERS_NET] = {"owners-net", SCMP_ACT_ALLOW, add_owners_net, emit_supervision,
				  hash_supervision},
	[RB_FILTER_ALL_NET] = {"supervision-net", SCMP_ACT_ALLOW, add_all_net, emit_supervision,
			       hash_supervision},
};

int rb_filter_build(enum rb_filter_kind kind, struct rb_buf *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = memfd_create("rbuild-filter", MFD_CLOEXEC);
	RB_CLEANUP(rb_buf_clear) struct rb_buf program = RB_BUF_INIT;
	scmp_filter_ctx ctx = seccomp_init(kinds[kind].action);

	if (fd < 0 || !ctx) {
		seccomp_release(ctx);
		return rb_fail_errno(err, "cannot make the system call filter");
	}
	int r = set_up(ctx);
	if (r == 0)
		r = kinds[kind].add(ctx);
	if (r == 0)
		r = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot make the system call filter");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return rb_fail_errno(err, "cannot make the system call filter");
	if (rb_read_fd(fd, PROGRAM_BYTES_MAX, &program, err) < 0)
		return rb_wrap(err, "the system call filter");
	rb_buf_clear(ret);
	kinds[kind].emit(ret);
	rb_buf_add(ret, program.ptr, program.len);
	return 0;
}

/* Of all that the program is made from. */
static struct rb_digest tables_digest(enum rb_filter_kind kind)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();
	const struct scmp_version *v = seccomp_version();

	rb_hash_addstr(h, "rbuild filter 2");
	rb_hash_add(h, v, sizeof(*v));
	rb_hash_add(h, arches, sizeof(arches));
	kinds[kind].hash(h);
	return rb_hash_final(h);
}

/* The programs of this process; they live until the end. */
static struct rb_buf loaded[RB_FILTER_KINDS] = {RB_BUF_INIT, RB_BUF_INIT, RB_BUF_INIT,
						RB_BUF_INIT, RB_BUF_INIT, RB_BUF_INIT};

/* The file is the digest of the program, then the program. */
static bool load_cached(int cache_fd, const char *name, struct rb_buf *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;
	struct rb_digest d;

	if (rb_read_file_at(cache_fd, name, sizeof(d) + PROGRAM_BYTES_MAX, &text, &err) < 0) {
		rb_error_drop(&err); /* not made yet */
		return false;
	}
	if (text.len <= sizeof(d) || (text.len - sizeof(d)) % sizeof(struct sock_filter))
		return false;
	d = rb_digest_of(text.ptr + sizeof(d), text.len - sizeof(d));
	if (memcmp(&d, text.ptr, sizeof(d)) != 0)
		return false;
	rb_buf_add(ret, text.ptr + sizeof(d), text.len - sizeof(d));
	return true;
}

static void save_cached(int cache_fd, const char *name, const struct rb_buf *program)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf file = RB_BUF_INIT;
	struct rb_digest d = rb_digest_of(program->ptr, program->len);
	struct rb_error *err = NULL;

	rb_buf_add(&file, &d, sizeof(d));
	rb_buf_add(&file, program->ptr, program->len);
	if (rb_publish_at(cache_fd, name, file.ptr, file.len, 0600, &err) < 0)
		rb_error_drop(&err); /* then the next process makes it again */
}

static int prepare(enum rb_filter_kind kind, int cache_fd, struct rb_error **err)
{
	char text[RB_DIGEST_TEXT_BYTES];

	if (loaded[kind].len)
		return 0;
	if (cache_fd < 0)
		return rb_filter_build(kind, &loaded[kind], err);
	struct rb_digest d = tables_digest(kind);
	RB_CLEANUP(rb_strp)
	char *name = rb_asprintf("%s-%.16s", kinds[kind].name, rb_digest_hex(&d, text));
	if (load_cached(cache_fd, name, &loaded[kind]))
		return 0;
	if (rb_filter_build(kind, &loaded[kind], err) < 0)
		return -1;
	save_cached(cache_fd, name, &loaded[kind]);
	return 0;
}

int rb_exec_filter_prepare(int cache_fd, struct rb_error **err)
{
	for (int kind = 0; kind < RB_FILTER_KINDS; kind++)
		if (kind != RB_FILTER_PROFILE_386 &&
		    prepare((enum rb_filter_kind)kind, cache_fd, err) < 0)
			return -1;
	return 0;
}

int rb_filter_get(enum rb_filter_kind kind, struct sock_fprog *ret, struct rb_error **err)
{
	union {
		char *bytes;
		struct sock_filter *insns;
	} u;

	if (prepare(kind, -1, err) < 0)
		return -1;
	u.bytes = loaded[kind].ptr;
	*ret = (struct sock_fprog){
		.len = (unsigned short)(loaded[kind].len / sizeof(struct sock_filter)),
		.filter = u.insns};
	return 0;
}
