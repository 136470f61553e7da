/* SPDX-License-Identifier: Apache-2.0 */
/* Trees that tests make from text. */
#ifndef RB_TESTS_TREES_H
#define RB_TESTS_TREES_H

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "tap.h"

/* For mkdtemp() in main. */
static char top[] = "/tmp/rbuild-test-XXXXXX";

static inline void write_file(int dirfd, const char *name, const char *text)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK_INT(rb_write_full(fd, text, strlen(text)), 0);
	(void)fchmod(fd, 0644);
}

static inline void make_socket(int dirfd, const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	RB_CLEANUP(rb_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	CHECK_INT(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_INT(fchmodat(dirfd, name, 0644, 0), 0);
}

/*
 * Words: "d/" a directory, "f" a file with its name in it, "f=text" a file, "l>target" a link,
 * "h@f" a hard link, "p|" a FIFO, "s~" a socket.
 */
static inline void make_entry(int dirfd, char *word)
{
	size_t n = strcspn(word, "=>@|~");
	char kind = word[n];
	const char *rest = kind ? word + n + 1 : word;

	word[n] = '\0';
	switch (kind) {
	case '=':
		write_file(dirfd, word, rest);
		break;
	case '>':
		CHECK_INT(symlinkat(rest, dirfd, word), 0);
		break;
	case '@':
		CHECK_INT(linkat(dirfd, rest, dirfd, word, 0), 0);
		break;
	case '|':
		CHECK_INT(mkfifoat(dirfd, word, 0644), 0);
		break;
	case '~':
		make_socket(dirfd, word);
		break;
	default:
		if (word[n - 1] == '/')
			CHECK_INT(rb_mkdirs_at(dirfd, word, 0755), 0);
		else
			write_file(dirfd, word, word);
	}
}

/* An open new directory <top>/<name> with that in it. */
static inline int tree(const char *name, const char *spec)
{
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s/%s", top, name);
	RB_CLEANUP(rb_strp) char *words = rb_strdup(spec);

	CHECK_INT(rb_remove_tree_at(AT_FDCWD, path), 0);
	CHECK_INT(mkdir(path, 0755), 0);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	for (char *save = NULL, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		make_entry(fd, w);
	return fd;
}

#endif
