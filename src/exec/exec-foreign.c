// SPDX-License-Identifier: Apache-2.0
/*
 * Programs of other architectures. The kernel hands them to an emulator that binfmt_misc names:
 * one that the host has registered, else, since Linux 6.7, a static qemu of the caller's PATH,
 * which we register in an instance of binfmt_misc that our user namespace has for itself. Either
 * way the entry needs the flag F: the kernel opens the emulator when it is registered, as the
 * step's root does not have it.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "exec/exec-internal.h"

#define HOST_ENTRIES "/proc/sys/fs/binfmt_misc"

enum { ENTRY_BYTES_MAX = 4096, PATTERN_BYTES_MAX = 128 };

static const struct machine {
	const char *arch; /* as images name it */
	const char *qemu;
	uint8_t class_, data;
	uint16_t machine;
} machines[] = {
	{"386", "i386", ELFCLASS32, ELFDATA2LSB, EM_386},
	{"amd64", "x86_64", ELFCLASS64, ELFDATA2LSB, EM_X86_64},
	{"arm", "arm", ELFCLASS32, ELFDATA2LSB, EM_ARM},
	{"arm64", "aarch64", ELFCLASS64, ELFDATA2LSB, EM_AARCH64},
	{"loong64", "loongarch64", ELFCLASS64, ELFDATA2LSB, EM_LOONGARCH},
	{"mips", "mips", ELFCLASS32, ELFDATA2MSB, EM_MIPS},
	{"mips64", "mips64", ELFCLASS64, ELFDATA2MSB, EM_MIPS},
	{"mips64le", "mips64el", ELFCLASS64, ELFDATA2LSB, EM_MIPS},
	{"mipsle", "mipsel", ELFCLASS32, ELFDATA2LSB, EM_MIPS},
	{"ppc64", "ppc64", ELFCLASS64, ELFDATA2MSB, EM_PPC64},
	{"ppc64le", "ppc64le", ELFCLASS64, ELFDATA2LSB, EM_PPC64},
	{"riscv64", "riscv64", ELFCLASS64, ELFDATA2LSB, EM_RISCV},
	{"s390x", "s390x", ELFCLASS64, ELFDATA2MSB, EM_S390},
};

/* What a program of the machine begins with. */
struct head {
	uint8_t bytes[20]; /* up to e_machine */
};

static struct head make_head(const struct machine *m)
{
	struct head h = {{ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, m->class_, m->data, EV_CURRENT}};
	bool big = m->data == ELFDATA2MSB;

	h.bytes[16 + big] = ET_EXEC;
	h.bytes[18 + big] = (uint8_t)m->machine;
	h.bytes[18 + !big] = (uint8_t)(m->machine >> 8);
	return h;
}

static const struct machine *machine_of(const struct head *h)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(machines); i++) {
		struct head m = make_head(&machines[i]);

		if (memcmp(h->bytes, m.bytes, EI_DATA + 1) == 0 &&
		    memcmp(h->bytes + 18, m.bytes + 18, 2) == 0)
			return &machines[i];
	}
	return NULL;
}

static const struct machine *machine_named(const char *arch)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(machines); i++)
		if (rb_streq(machines[i].arch, arch))
			return &machines[i];
	return NULL;
}

/* --- entries of binfmt_misc --- */

struct entry {
	char name[256];
	bool enabled, fixed; /* fixed: flag F */
	char interpreter[256];
	size_t offset;
	uint8_t magic[PATTERN_BYTES_MAX], mask[PATTERN_BYTES_MAX];
	size_t n_magic, n_mask;
};

static size_t parse_hex(const char *s, uint8_t bytes[static PATTERN_BYTES_MAX])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (; n < PATTERN_BYTES_MAX; n++, s += 2) {
		const char *hi = *s ? strchr(digits, s[0]) : NULL;
		const char *lo = hi && s[1] ? strchr(digits, s[1]) : NULL;

		if (!lo)
			break;
		bytes[n] = (uint8_t)((hi - digits) << 4 | (lo - digits));
	}
	return n;
}

static void parse_line(const char *line, struct entry *e)
{
	uint64_t n;

	if (rb_streq(line, "enabled"))
		e->enabled = true;
	else if (rb_starts_with(line, "interpreter "))
		(void)snprintf(e->interpreter, sizeof(e->interpreter), "%s", line + 12);
	else if (rb_starts_with(line, "flags: "))
		e->fixed = strchr(line + 7, 'F');
	else if (rb_starts_with(line, "offset ") &&
		 rb_parse_u64(rb_slice_str(line + 7), 256, &n) == 0)
		e->offset = (size_t)n;
	else if (rb_starts_with(line, "magic "))
		e->n_magic = parse_hex(line + 6, e->magic);
	else if (rb_starts_with(line, "mask "))
		e->n_mask = parse_hex(line + 5, e->mask);
}

static bool read_entry(int dir_fd, const char *name, struct entry *e)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;

	*e = (struct entry){.enabled = false};
	if (rb_read_file_at(dir_fd, name, ENTRY_BYTES_MAX, &text, &err) < 0) {
		rb_error_drop(&err); /* gone meanwhile */
		return false;
	}
	(void)snprintf(e->name, sizeof(e->name), "%s", name);
	for (char *rest = text.ptr, *line; (line = strsep(&rest, "\n"));)
		parse_line(line, e);
	return e->n_magic > 0;
}

static bool entry_takes(const struct entry *e, const struct head *h)
{
	if (e->offset)
		return false;
	for (size_t i = 0; i < e->n_magic && i < sizeof(h->bytes); i++) {
		uint8_t mask = i < e->n_mask ? e->mask[i] : 0xff;

		if ((h->bytes[i] ^ e->magic[i]) & mask)
			return false;
	}
	return true;
}

/* The host's entry for such programs; false when there is none that we can see. */
static bool find_host_entry(const struct head *h, struct entry *ret)
{
	DIR *dir = opendir(HOST_ENTRIES);
	bool found = false;

	if (!dir)
		return false;
	for (struct dirent *d; !found && (d = readdir(dir));) {
		if (d->d_name[0] == '.' || rb_streq(d->d_name, "register") ||
		    rb_streq(d->d_name, "status"))
			continue;
		found = read_entry(dirfd(dir), d->d_name, ret) && entry_takes(ret, h);
	}
	closedir(dir);
	return found;
}

/* --- an instance of our own --- */

/* The mount that keeps it alive, until the process ends. */
static int own_instance = -1;
/* Machines that were looked at, by their place in the table. */
static bool prepared[RB_ARRAY_LEN(machines)];

/* An emulator that needs a loader would look for it in the step's root. */
static bool is_static_program(const char *path)
{
	RB_CLEANUP(rb_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	RB_CLEANUP(rb_strp) char *interpreter = fd < 0 ? NULL : rb_command_interpreter(fd);

	return fd >= 0 && !interpreter;
}

/* Absolute path or NULL. Caller frees. */
static char *find_emulator(const struct machine *m)
{
	static const char *const endings[] = {"-static", ""};

	for (size_t i = 0; i < RB_ARRAY_LEN(endings); i++) {
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("qemu-%s%s", m->qemu, endings[i]);
		RB_CLEANUP(rb_strp) char *path = rb_find_program(name);

		/* A colon would end the path in the line that is registered. */
		if (path && !strchr(path, ':') && is_static_program(path))
			return rb_steal_ptr(&path);
	}
	return NULL;
}

static void add_escaped(struct rb_buf *b, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rb_buf_addf(b, "\\x%02x", bytes[i]);
}

/* Any ABI; ET_DYN as well as ET_EXEC. Caller frees. */
static char *definition(const struct machine *m, const char *emulator)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;
	struct head magic = make_head(m), mask;

	memset(mask.bytes, 0xff, sizeof(mask.bytes));
	mask.bytes[EI_OSABI] = 0;
	mask.bytes[16 + (m->data == ELFDATA2MSB)] = 0xfe;
	rb_buf_addf(&b, ":qemu-%s:M::", m->qemu);
	add_escaped(&b, magic.bytes, sizeof(magic.bytes));
	rb_buf_addch(&b, ':');
	add_escaped(&b, mask.bytes, sizeof(mask.bytes));
	rb_buf_addf(&b, ":%s:F", emulator);
	return rb_buf_steal(&b);
}

static int open_instance(void)
{
	RB_CLEANUP(rb_closep) int fs = rb_sys_fsopen("binfmt_misc");
	int r = fs < 0 ? fs : rb_sys_fsconfig_create(fs);

	return r < 0 ? r : rb_sys_fsmount(fs, RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_NODEV);
}

/* It hides what the host has registered, so only where there is something to put into it. */
static void register_own(const struct machine *m)
{
	RB_CLEANUP(rb_strp) char *emulator = find_emulator(m);

	if (!emulator) {
		rb_log_debug("no static qemu-%s in PATH", m->qemu);
		return;
	}
	if (own_instance < 0 && (own_instance = open_instance()) < 0) {
		rb_log_debug("no binfmt_misc of our own: %s", strerrordesc_np(-own_instance));
		return;
	}
	RB_CLEANUP(rb_strp) char *line = definition(m, emulator);
	RB_CLEANUP(rb_closep) int fd = openat(own_instance, "register", O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : rb_write_full(fd, line, strlen(line));
	rb_log_debug("emulator for %s: %s%s%s", m->arch, emulator, r < 0 ? ": " : "",
		     r < 0 ? strerrordesc_np(-r) : "");
}

void rb_foreign_prepare(const char *arch)
{
	const struct machine *m = machine_named(arch);
	struct entry host;

	if (!m || prepared[m - machines])
		return;
	prepared[m - machines] = true;
	struct head h = make_head(m);
	if (!find_host_entry(&h, &host) || !host.enabled || !host.fixed)
		register_own(m);
}

/* --- what is missing --- */

static const char *this_machine(void)
{
	static const struct head self = {{0}};
	struct head h = self;
	RB_CLEANUP(rb_closep) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || rb_read_full(fd, h.bytes, sizeof(h.bytes)) != (ssize_t)sizeof(h.bytes))
		return "another";
	const struct machine *m = machine_of(&h);
	return m ? m->arch : "another";
}

static void add_remedy(const struct machine *m, struct rb_buf *b)
{
	rb_buf_addf(
		b,
		"put a static qemu-%s into PATH, which needs no root with Linux 6.7 or later, or "
		"install it for all (Debian, Ubuntu: apt-get install qemu-user-static; Fedora: "
		"dnf install qemu-user-static), which registers it with binfmt_misc",
		m->qemu);
}

bool rb_foreign_explain(const char *name, int fd, int sys_errno, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf why = RB_BUF_INIT;
	struct head h;
	struct entry e;

	if (pread(fd, h.bytes, sizeof(h.bytes), 0) != (ssize_t)sizeof(h.bytes))
		return false;
	const struct machine *m = machine_of(&h);
	if (!m || rb_streq(m->arch, this_machine()))
		return false;
	bool registered = find_host_entry(&h, &e);
	/* A missing file is the emulator then, unless the kernel holds it open. */
	if (sys_errno != ENOEXEC && (!registered || e.fixed || !e.enabled))
		return false;
	if (registered && !e.enabled)
		rb_buf_addf(&why, "%s/%s is disabled: echo 1 | sudo tee %s/%s", HOST_ENTRIES,
			    e.name, HOST_ENTRIES, e.name);
	else if (registered && !e.fixed)
		rb_buf_addf(&why,
			    "%s/%s hands it to %s, which is not in the image: the entry needs the "
			    "flag F (fix binary), with which the kernel opens the emulator "
			    "beforehand; ",
			    HOST_ENTRIES, e.name, e.interpreter);
	else
		rb_buf_addstr(&why, "there is no emulator for it; ");
	if (!registered || e.enabled)
		add_remedy(m, &why);
	(void)rb_fail(err, RB_ERR_RUN,
		      "exec: \"%s\": exec format error: the program is for %s and this machine is "
		      "%s: %s",
		      name, m->arch, this_machine(), why.ptr);
	return true;
}
