// SPDX-License-Identifier: Apache-2.0
/* What execve is tried with, and why it failed: the sentence that a user needs. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "exec/exec-internal.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum {
	STATUS_CANNOT_RUN = 126,
	STATUS_NOT_FOUND = 127,
	INTERPRETERS_MAX = 4, /* a script's interpreter may be a script */
	SEGMENTS_MAX = 64,
	HEAD_BYTES = 256, /* as much as the kernel looks at (BINPRM_BUF_SIZE) */
};

static const char *env_get(const struct rb_strv *envp, const char *name)
{
	/* The last one wins, as in most shells. */
	ssize_t i = rb_strv_find_var(envp, rb_slice_str(name));

	return i < 0 ? NULL : envp->v[i] + strlen(name) + 1;
}

int rb_command_candidates(const struct rb_exec_spec *spec, const struct rb_strv *envp,
			  struct rb_strv *ret, struct rb_error **err)
{
	const char *name = spec->argv[0], *path = env_get(envp, "PATH");

	if (!name || !*name) {
		(void)rb_fail(err, RB_ERR_RUN, "exec: \"\": the command is empty");
		(*err)->exit_status = STATUS_NOT_FOUND;
		return -1;
	}
	if (strchr(name, '/')) {
		rb_strv_add(ret, name);
		return 0;
	}
	for (const char *p = path ? path : DEFAULT_PATH; ret->n < RB_STEP_CANDIDATES_MAX;) {
		size_t len = strcspn(p, ":");

		/* An empty entry is the working directory. */
		rb_strv_addf(ret, "%.*s/%s", len ? (int)len : 1, len ? p : ".", name);
		if (!p[len])
			break;
		p += len + 1;
	}
	return 0;
}

/* A regular file of the image, by the name the step would use. Descriptor or -1. */
static int open_image_file(const struct rb_step *s, const char *name)
{
	RB_CLEANUP(rb_strp) char *path = rb_path_join_abs(s->spec->cwd, name);
	RB_CLEANUP(rb_closep)
	int fd = rb_open_in_root(s->spec->root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return rb_steal_fd(&fd);
}

/* "#!" line: the interpreter, or NULL. Caller frees. */
static char *script_interpreter(const char *head, size_t n)
{
	if (n < 2 || memcmp(head, "#!", 2) != 0)
		return NULL;
	const char *p = head + 2 + strspn(head + 2, " \t");
	size_t len = strcspn(p, " \t\n");

	return len ? rb_strndup(p, len) : NULL;
}

/* One program header of either class, as far as we need it. */
struct segment {
	uint32_t type;
	uint64_t offset, size;
};

static bool read_segment(int fd, bool is64, uint64_t at, struct segment *ret)
{
	union {
		Elf64_Phdr h64;
		Elf32_Phdr h32;
	} p;
	size_t size = is64 ? sizeof(p.h64) : sizeof(p.h32);

	if (pread(fd, &p, size, (off_t)at) != (ssize_t)size)
		return false;
	*ret = is64 ? (struct segment){p.h64.p_type, p.h64.p_offset, p.h64.p_filesz}
		    : (struct segment){p.h32.p_type, p.h32.p_offset, p.h32.p_filesz};
	return true;
}

/* PT_INTERP of a program of our byte order, or NULL. Caller frees. */
static char *elf_interpreter(int fd, const char *head, size_t n)
{
	union {
		Elf64_Ehdr h64;
		Elf32_Ehdr h32;
	} e;
	struct segment seg;
	char name[HEAD_BYTES];

	if (n < sizeof(e.h64) || memcmp(head, ELFMAG, SELFMAG) != 0)
		return NULL;
	memcpy(&e, head, sizeof(e.h64));
	bool is64 = e.h64.e_ident[EI_CLASS] == ELFCLASS64;
	uint64_t at = is64 ? e.h64.e_phoff : e.h32.e_phoff;
	unsigned count = is64 ? e.h64.e_phnum : e.h32.e_phnum;
	unsigned size = is64 ? e.h64.e_phentsize : e.h32.e_phentsize;

	for (unsigned i = 0; i < count && i < SEGMENTS_MAX; i++) {
		if (!read_segment(fd, is64, at + (uint64_t)i * size, &seg))
			return NULL;
		if (seg.type != PT_INTERP || seg.size < 2 || seg.size > sizeof(name))
			continue;
		if (pread(fd, name, (size_t)seg.size, (off_t)seg.offset) != (ssize_t)seg.size)
			return NULL;
		return rb_strndup(name, (size_t)seg.size - 1);
	}
	return NULL;
}

static size_t read_head(int fd, char head[static HEAD_BYTES + 1])
{
	ssize_t n = pread(fd, head, HEAD_BYTES, 0);

	head[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

char *rb_command_interpreter(int fd)
{
	char head[HEAD_BYTES + 1];
	size_t n = read_head(fd, head);
	char *name = script_interpreter(head, n);

	return name ? name : elf_interpreter(fd, head, n);
}

/* The first interpreter on the way that is not in the image, or NULL. Caller frees. */
static char *missing_interpreter(const struct rb_step *s, int file_fd)
{
	RB_CLEANUP(rb_closep) int fd = fcntl(file_fd, F_DUPFD_CLOEXEC, 3);

	for (unsigned i = 0; fd >= 0 && i < INTERPRETERS_MAX; i++) {
		RB_CLEANUP(rb_strp) char *name = rb_command_interpreter(fd);

		if (!name)
			return NULL;
		rb_closep(&fd);
		fd = open_image_file(s, name);
		if (fd < 0)
			return rb_steal_ptr(&name);
	}
	return NULL;
}

static int explain_format(const char *name, int fd, struct rb_error **err)
{
	char head[HEAD_BYTES + 1];
	size_t n = fd < 0 ? 0 : read_head(fd, head);

	if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		return rb_fail(
			err, RB_ERR_RUN,
			"exec: \"%s\": exec format error: the program is for another machine, "
			"or damaged",
			name);
	return rb_fail(err, RB_ERR_RUN,
		       "exec: \"%s\": exec format error: it is not a program and does not "
		       "begin with \"#!\"",
		       name);
}

/* Descriptor of the first candidate that is a file of the image, or -1. */
static int open_first(const struct rb_step *s)
{
	for (size_t i = 0; i < s->candidates.n; i++) {
		int fd = open_image_file(s, s->candidates.v[i]);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

static int explain_missing(const struct rb_step *s, int fd, struct rb_error **err)
{
	const char *name = s->spec->argv[0];
	RB_CLEANUP(rb_strp) char *interpreter = fd < 0 ? NULL : missing_interpreter(s, fd);

	if (interpreter)
		return rb_fail(err, RB_ERR_RUN,
			       "exec: \"%s\": its interpreter %s is not in the image", name,
			       interpreter);
	if (!strchr(name, '/'))
		return rb_fail(err, RB_ERR_RUN, "exec: \"%s\": executable file not found in $PATH",
			       name);
	/* The shell form of RUN: who wrote it did not name this program. */
	if (s->spec->argv[1] && rb_streq(s->spec->argv[1], "-c"))
		return rb_fail(
			err, RB_ERR_RUN,
			"exec: \"%s\": no such file or directory: the image has no such shell; take a base image with one, name another with SHELL, or write the command as a JSON array: RUN [\"program\", \"argument\"]",
			name);
	return rb_fail(err, RB_ERR_RUN, "exec: \"%s\": no such file or directory", name);
}

/* What the kernel takes in one string (MAX_ARG_STRLEN: 32 pages) and in all of them. */
static int explain_too_long(const struct rb_step *s, struct rb_error **err)
{
	const size_t string_max = 32 * (size_t)sysconf(_SC_PAGESIZE);
	const char *name = s->spec->argv[0];
	size_t total = 0;

	for (size_t i = 0; s->spec->argv[i]; i++) {
		size_t n = strlen(s->spec->argv[i]) + 1;

		total += n;
		if (n > string_max)
			return rb_fail(
				err, RB_ERR_RUN,
				"exec: \"%s\": argument list too long: an argument has %zu bytes and the kernel takes %zu; COPY the text into a file and run that, or write it as a heredoc that begins with #!",
				name, n - 1, string_max - 1);
	}
	for (size_t i = 0; i < s->envp.n; i++) {
		size_t n = strlen(s->envp.v[i]) + 1;

		total += n;
		if (n > string_max)
			return rb_fail(
				err, RB_ERR_RUN,
				"exec: \"%s\": argument list too long: the variable %.*s has %zu bytes and the kernel takes %zu; put its value into a file",
				name, (int)rb_min_size(strcspn(s->envp.v[i], "="), 60),
				s->envp.v[i], n - 1, string_max - 1);
	}
	return rb_fail(
		err, RB_ERR_RUN,
		"exec: \"%s\": argument list too long: arguments and variables have %zu bytes together, more than the kernel takes (see ulimit -s); put some into files",
		name, total);
}

int rb_command_explain(const struct rb_step *s, int sys_errno, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = open_first(s);
	bool missing = sys_errno == ENOENT || sys_errno == ENOTDIR;

	if (fd >= 0 && rb_foreign_explain(s->spec->argv[0], fd, sys_errno, err))
		missing = false;
	else if (missing)
		(void)explain_missing(s, fd, err);
	else if (sys_errno == ENOEXEC)
		(void)explain_format(s->spec->argv[0], fd, err);
	else if (sys_errno == E2BIG)
		(void)explain_too_long(s, err);
	else if (sys_errno == EACCES)
		(void)rb_fail(err, RB_ERR_RUN, "exec: \"%s\": permission denied", s->spec->argv[0]);
	else
		(void)rb_fail(err, RB_ERR_RUN, "exec: \"%s\": %s", s->spec->argv[0],
			      strerrordesc_np(sys_errno));
	(*err)->exit_status = missing ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
	return -1;
}
