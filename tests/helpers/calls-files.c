// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of files: flags of open(2), umask, set-id and sticky bits, owners over rename, link
 * and removal, special files, times, access(2), extended attributes, files of lower layers.
 */
#include <linux/stat.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "calls.h"

/* --- open ---------------------------------------------------------------------------------- */

static void test_open_flags(void)
{
	struct stat st;
	char buf[32] = "";
	int fd, plain;

	put("file", "hello", 0644);
	fd = (int)open_file("new", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	plain = (int)open_file("new2", O_RDWR | O_CREAT, 0600);
	note("lowest descriptors: %s", plain == fd + 1 ? "yes" : "no");
	say("close-on-exec with the flag", fcntl(fd, F_GETFD));
	say("close-on-exec without", fcntl(plain, F_GETFD));
	(void)close(fd);
	note("a hole is filled: %s",
	     (int)open_file("new3", O_WRONLY | O_CREAT, 0600) == fd ? "yes" : "no");
	(void)close(fd);
	(void)close(plain);

	fd = (int)open_file("file", O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0600);
	say("flags are kept", fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_TRUNC));
	say("append", write(fd, "+", 1));
	say("not to be read", raw(read(fd, buf, 1)));
	(void)close(fd);
	fd = (int)open_file("file", O_RDWR | O_CREAT, 0);
	say("what is in it", raw(read(fd, buf, sizeof(buf))));
	note("it says: %s", buf);
	say("offset", lseek(fd, 0, SEEK_CUR));
	(void)close(fd);
	own("file", 5, 6);
	say("trunc", closed(open_file("file", O_WRONLY | O_CREAT | O_TRUNC, 0600)));
	look("truncated, its owner kept", "file");
	say("read-only and trunc", closed(open_file("file", O_RDONLY | O_CREAT | O_TRUNC, 0600)));
	say("without any right", closed(open_file("locked", O_RDWR | O_CREAT, 0)));
	look("mode 0 is no obstacle to its maker", "locked");
	say("excl of a dangling link",
	    symlink("to", "link") ?: open_file("link", O_CREAT | O_EXCL | O_RDWR, 0600));
	fd = (int)open_file("path", O_PATH | O_CREAT, 0600);
	say("O_PATH makes nothing", fd);
	fd = (int)open_file("deleted", O_RDWR | O_CREAT, 0600);
	(void)unlink("deleted");
	(void)snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	say("a deleted file through proc", closed(open_file(buf, O_RDWR | O_CREAT, 0600)));
	say("chown it", CALL(SYS_fchown, fd, 8, 9));
	must(fstat(fd, &st) == 0, "fstat");
	note("it belongs to %u:%u and has %lu links", st.st_uid, st.st_gid,
	     (unsigned long)st.st_nlink);
	(void)close(fd);
}

static void test_open_limits(void)
{
	struct rlimit old, few = {3, 64};
	int fd;

	must(getrlimit(RLIMIT_NOFILE, &old) == 0, "getrlimit");
	few.rlim_max = old.rlim_max;
	must(setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
	fd = (int)open_file("many", O_WRONLY | O_CREAT, 0600);
	say("no descriptor free", fd);
	must(setrlimit(RLIMIT_NOFILE, &old) == 0, "setrlimit");
	look("and nothing made", "many");
}

static void test_open_special(void)
{
	static const char *const paths[] = {
		"/dev/null",
		"/dev/zero",
		"/dev/full",
		"/dev/stdin",
		"/dev/stdout",
		"/dev/stderr",
		"/dev/tty",
		"/dev/fd/1",
		"/proc/self/fd/1",
		"/proc/thread-self/comm",
		"/proc/self/oom_score_adj",
		"/proc/no-such",
		"/proc/self/no-such",
		"/proc/1/no-such",
		"/dev/shm/file",
		"/proc/self/ns/user",
		"/proc/self/exe",
	};
	static const int flags[] = {O_WRONLY | O_CREAT,          O_WRONLY | O_CREAT | O_TRUNC,
				    O_RDWR | O_CREAT | O_APPEND, O_RDONLY | O_CREAT,
				    O_WRONLY | O_CREAT | O_EXCL, O_WRONLY | O_TMPFILE};
	char buf[32];

	for (int user = 0; user < 2; user++) {
		if (user)
			user_begin();
		for (size_t i = 0; i < COUNT(paths); i++) {
			printf("%s%s:", user ? "user " : "", paths[i]);
			for (size_t j = 0; j < COUNT(flags); j++)
				printf(" %s",
				       result_text(closed(open_file(paths[i], flags[j] | O_NOCTTY,
								    0600)),
						   buf, sizeof(buf)));
			putchar('\n');
		}
		if (user)
			user_end();
		(void)unlink("/dev/shm/file");
	}
	/* Writing needs what is behind the name. */
	int fd = (int)open_file("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	say("write to /dev/null", write(fd, "xyz", 3));
	(void)close(fd);
	fd = (int)open_file("/dev/full", O_WRONLY | O_CREAT, 0666);
	say("write to /dev/full", raw(write(fd, "xyz", 3)));
	(void)close(fd);
	fd = (int)open_file("/proc/self/comm", O_WRONLY | O_CREAT, 0666);
	say("write to comm", raw(write(fd, "other", 5)));
	(void)close(fd);
	char name[16] = "";
	(void)prctl(PR_GET_NAME, name);
	note("whose name is now %s", name);
}

static void open_fifo(void)
{
	char c;
	int fd;

	(void)usleep(50000);
	fd = open("fifo", O_RDONLY);
	must(fd >= 0 && read(fd, &c, 1) == 1, "fifo");
	note("the reader got %c", c);
}

static void test_open_fifo(void)
{
	int status, fd;
	pid_t pid;

	must(mkfifo("fifo", 0600) == 0, "mkfifo");
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		open_fifo();
		(void)fflush(stdout);
		_exit(0);
	}
	fd = (int)open_file("fifo", O_WRONLY | O_CREAT, 0600);
	must(fd >= 0 && write(fd, "x", 1) == 1 && waitpid(pid, &status, 0) == pid, "fifo");
	say("a FIFO opened with O_CREAT waits for its reader", status);
	(void)close(fd);
	say("without a reader", closed(open_file("fifo", O_WRONLY | O_CREAT | O_NONBLOCK, 0600)));
}

static void test_tmpfile(void)
{
	char proc[64];
	struct stat st;
	int fd;

	make_dir("setgid", 02777, 0, 3000);
	for (int user = 0; user < 2; user++) {
		const char *name = user ? "setgid/user" : "setgid/root";

		if (user)
			user_begin();
		fd = (int)open_file("setgid", O_TMPFILE | O_RDWR, 0640);
		must(fd >= 0 && fstat(fd, &st) == 0, "O_TMPFILE");
		note("a file without name: %o %u:%u x%lu", st.st_mode & 07777, st.st_uid, st.st_gid,
		     (unsigned long)st.st_nlink);
		(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		say("is named by proc",
		    CALL(SYS_linkat, AT_FDCWD, proc, AT_FDCWD, name, AT_SYMLINK_FOLLOW));
		look("and is", name);
		say("by AT_EMPTY_PATH",
		    CALL(SYS_linkat, fd, "", AT_FDCWD, user ? "setgid/user2" : "setgid/root2",
			 AT_EMPTY_PATH));
		(void)close(fd);
		fd = (int)open_file(".", O_TMPFILE | O_RDWR | O_EXCL, 0640);
		say("in the directory itself", closed(fd));
		if (user)
			user_end();
	}
	fd = (int)open_file("setgid", O_TMPFILE | O_WRONLY | O_EXCL, 0600);
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	say("with O_EXCL", CALL(SYS_linkat, AT_FDCWD, proc, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	(void)close(fd);
	fd = (int)open_file(".", O_TMPFILE | O_RDWR, 0600);
	say("chown before it is named", CALL(SYS_fchown, fd, 21, 22));
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	say("named", CALL(SYS_linkat, AT_FDCWD, proc, AT_FDCWD, "late", AT_SYMLINK_FOLLOW));
	look("late", "late");
	(void)close(fd);
}

/* --- modes and groups of what is new ------------------------------------------------------- */

static long make_kind(const char *kind, const char *path, mode_t mode)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	switch (*kind) {
	case 'o':
		return closed(open_file(path, O_CREAT | O_WRONLY, mode));
	case 'd':
		return CALL(SYS_mkdirat, AT_FDCWD, path, mode);
	case 'n':
		return CALL(SYS_mknodat, AT_FDCWD, path, S_IFREG | mode, 0);
	case 'f':
		return CALL(SYS_mknodat, AT_FDCWD, path, S_IFIFO | mode, 0);
	case 's':
		return CALL(SYS_mknodat, AT_FDCWD, path, S_IFSOCK | mode, 0);
	case 'c':
		return CALL(SYS_mknodat, AT_FDCWD, path, S_IFCHR | mode, makedev(1, 7));
	case 'l':
		return CALL(SYS_symlinkat, "to", AT_FDCWD, path);
	default: {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
		long r = raw(bind(fd, (const struct sockaddr *)&a, sizeof(a)));
		(void)close(fd);
		return r;
	}
	}
}

static void test_new_files(void)
{
	static const char *const kinds[] = {"open",   "directory", "node", "fifo",
					    "socket", "char",      "link", "bind"};
	static const struct {
		const char *path;
		mode_t mode;
		gid_t gid;
	} directories[] = {{"plain", 0777, 0}, {"setgid", 02777, 3000}, {"member", 02777, 2000}};
	static const mode_t masks[] = {0, 022, 0777}, modes[] = {0666, 02755, 07777};
	char path[64], what[96];

	for (size_t d = 0; d < COUNT(directories); d++) {
		make_dir(directories[d].path, directories[d].mode, 0, directories[d].gid);
		for (size_t k = 0; k < COUNT(kinds) * COUNT(masks) * COUNT(modes) * 2; k++) {
			const char *kind = kinds[k % COUNT(kinds)];
			size_t rest = k / COUNT(kinds);
			mode_t mask = masks[rest % COUNT(masks)];
			mode_t mode = modes[rest / COUNT(masks) % COUNT(modes)];
			bool user = rest / COUNT(masks) / COUNT(modes);

			(void)snprintf(path, sizeof(path), "%s/%s", directories[d].path, kind);
			(void)snprintf(what, sizeof(what), "%s%s %o under %o", user ? "user " : "",
				       path, mode, mask);
			if (user)
				user_begin();
			(void)umask(mask);
			long r = make_kind(kind, path, mode);
			(void)umask(022);
			if (user)
				user_end();
			if (r == 0)
				look(what, path);
			else
				say(what, r);
			if (r == 0)
				must(remove(path) == 0, "remove");
		}
	}
}

static void test_umask(void)
{
	say("umask is", CALL(SYS_umask, 027));
	say("and was", CALL(SYS_umask, 01777));
	say("only its permission bits count", CALL(SYS_umask, 022));
}

/* --- owners -------------------------------------------------------------------------------- */

static void test_odd_ids(void)
{
	static const uid_t ids[] = {0,           1,           999,        65533,   65534,
				    65535,       65536,       197609,     1000000, 2147483647,
				    2147483648u, 4294967293u, 4294967294u};
	char what[64];

	put("ids", "", 0644);
	for (size_t i = 0; i < COUNT(ids); i++) {
		(void)snprintf(what, sizeof(what), "chown %u", ids[i]);
		say(what, CALL(SYS_fchownat, AT_FDCWD, "ids", ids[i], ids[COUNT(ids) - 1 - i], 0));
		look("now", "ids");
	}
	say("user alone", CALL(SYS_fchownat, AT_FDCWD, "ids", 17, -1, 0));
	look("now", "ids");
	say("group alone", CALL(SYS_fchownat, AT_FDCWD, "ids", -1, 18, 0));
	look("now", "ids");
	say("neither", CALL(SYS_fchownat, AT_FDCWD, "ids", -1, -1, 0));
	look("now", "ids");
	/* The upper half of a register is nobody's business. */
	say("wide ids", CALL(SYS_fchownat, AT_FDCWD, "ids", 0x100000005, 0xffffffff00000006, 0));
	look("now", "ids");
}

static void set_file_caps(const char *path)
{
	must(setxattr(path, "security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20,
		      0) == 0,
	     "setxattr");
}

static void say_caps(const char *path)
{
	char buf[32];

	say("its capabilities", raw(lgetxattr(path, "security.capability", buf, sizeof(buf))));
}

/* What takes set-id bits and capabilities away. `write` and truncate are listed apart: no mode but
 * real root's sees them (doc/modes.md). */
static void clearing(const char *what, mode_t mode, bool directory, int how)
{
	char label[96];
	int fd;

	(void)snprintf(label, sizeof(label), "%s %o%s", what, mode, directory ? " directory" : "");
	if (directory)
		make_dir("bits", 0700, 0, 0);
	else
		put("bits", "text", 0600);
	own("bits", 1000, 2000);
	must(chmod("bits", mode) == 0, "chmod");
	if (!directory)
		set_file_caps("bits");
	switch (how) {
	case 0:
		own("bits", 1000, 3000);
		break;
	case 1:
		own("bits", -1, -1);
		break;
	case 2:
		must(chmod("bits", mode) == 0, "chmod");
		break;
	case 3:
		user_begin();
		say("by its owner, to a group of his",
		    CALL(SYS_fchownat, AT_FDCWD, "bits", -1, 2000, 0));
		user_end();
		break;
	case 4:
		user_begin();
		fd = open("bits", O_WRONLY);
		must(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0, "write");
		user_end();
		break;
	case 5:
		must(truncate("bits", 1) == 0, "truncate");
		break;
	default:
		(void)open_file("bits", O_WRONLY | O_CREAT | O_TRUNC, 0);
	}
	look(label, "bits");
	if (!directory)
		say_caps("bits");
	must(remove("bits") == 0, "remove");
}

static void test_clearing(void)
{
	static const mode_t modes[] = {06755, 06745, 02644, 04711, 01777};
	static const char *const ways[] = {"chown", "chown to nobody", "chmod",
					   "chgrp by the owner"};

	for (size_t i = 0; i < COUNT(ways); i++)
		for (size_t j = 0; j < COUNT(modes); j++)
			for (int directory = 0; directory < 2; directory++)
				clearing(ways[i], modes[j], directory, (int)i);
	clearing("plain write by the owner", 06755, false, 4);
	clearing("plain truncate by root", 06755, false, 5);
	clearing("O_TRUNC by root", 06755, false, 6);
}

static void test_owner_follows(void)
{
	put("a", "a", 0640);
	put("b", "b", 0604);
	own("a", 1, 2);
	own("b", 3, 4);
	must(symlink("a", "l") == 0 && mkfifo("p", 0600) == 0, "files");
	own("l", 5, 6);
	own("p", 7, 8);
	make_dir("d", 0750, 9, 10);
	say("exchange", CALL(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 2));
	look("a", "a");
	look("b", "b");
	say("rename over", rename("a", "b"));
	look("b", "b");
	say("link moved", rename("l", "l2"));
	look("l2", "l2");
	say("fifo moved", rename("p", "p2"));
	look("p2", "p2");
	say("directory moved", rename("d", "d2"));
	look("d2", "d2");
	say("fifo linked", link("p2", "p3"));
	say("one name chowned", chown("p3", 11, 12));
	look("the other", "p2");
	say("link linked", linkat(AT_FDCWD, "l2", AT_FDCWD, "l3", 0));
	say("chowned", lchown("l3", 13, 14));
	look("the other", "l2");
	say("file linked", link("b", "c"));
	say("chowned", chown("c", 15, 16));
	look("the other", "b");
	say("rename to its own twin", rename("b", "c"));
	look("both are still there", "b");
	say("the twin removed", unlink("c"));
	look("b", "b");
	say("exchanged with a directory", CALL(SYS_renameat2, AT_FDCWD, "d2", AT_FDCWD, "b", 2));
	look("b", "b");
	look("d2", "d2");
	say("a directory over an empty one", mkdir("e", 0700) ?: raw(rename("b", "e")));
	look("e", "e");
}

/* A freed inode number is given away at once. */
static void test_made_again(void)
{
	struct stat st;
	int wrong = 0;

	for (int i = 0; i < 200; i++) {
		for (int kind = 0; kind < 4; kind++) {
			static const char *const kinds[] = {"open", "directory", "fifo", "link"};
			must(make_kind(kinds[kind], "again", 0600) == 0, "make");
			must(lstat("again", &st) == 0, "lstat");
			wrong += st.st_uid != 0 || st.st_gid != 0;
			own("again", 1000 + i, 5);
			must(lstat("again", &st) == 0, "lstat");
			wrong += st.st_uid != 1000u + i || st.st_gid != 5;
			must(remove("again") == 0, "remove");
		}
	}
	say("files made again with another's owner", wrong);
}

static void test_special(void)
{
	put("file", "", 0644);
	say("char", mknod("char", S_IFCHR | 0640, makedev(1, 3)));
	say("block", mknod("block", S_IFBLK | 0660, makedev(8, 17)));
	say("large numbers", mknod("large", S_IFCHR | 0600, makedev(4095, 1048575)));
	say("beyond", mknod("beyond", S_IFCHR | 0600, 0xffffffffff));
	say("socket", mknod("socket", S_IFSOCK | 0600, 0));
	say("directory", mknod("directory", S_IFDIR | 0700, 0));
	say("link", mknod("link", S_IFLNK | 0700, 0));
	say("nonsense", mknod("nonsense", S_IFMT | 0600, 0));
	say("there already", mknod("file", S_IFCHR | 0600, makedev(1, 3)));
	look("char", "char");
	look("block", "block");
	look("large", "large");
	say("chown", chown("char", 0, 5));
	say("chmod", chmod("char", 0606));
	say("rename", rename("char", "char2"));
	say("link", link("char2", "char3"));
	look("char3", "char3");
	say("access", access("char3", W_OK));
	say("attribute", setxattr("char3", "user.x", "v", 1, 0));
	say("its list", listxattr("char3", NULL, 0));
	say("as a directory", closed(open_file("char3/x", O_CREAT | O_WRONLY, 0600)));
	say("with O_DIRECTORY", closed(open_file("char3", O_RDONLY | O_DIRECTORY, 0)));
	say("removed", unlink("char2"));
	look("char3", "char3");
	user_begin();
	say("user: char", mknod("mine", S_IFCHR | 0600, makedev(1, 3)));
	user_end();
}

static void say_times(const char *what, const char *path)
{
	struct stat st;

	must(stat(path, &st) == 0, path);
	note("%s: %lld.%09ld %lld.%09ld", what, (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
	     (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void test_times(void)
{
	struct timespec t[2] = {{1, 2}, {3, 4}};
	struct stat a, b;

	put("times", "", 0644);
	say("utimensat", utimensat(AT_FDCWD, "times", t, 0));
	say_times("set", "times");
	must(stat("times", &a) == 0, "stat");
	(void)usleep(20000);
	own("times", 5, 6);
	must(chmod("times", 0600) == 0 && stat("times", &b) == 0, "stat");
	note("after chown and chmod: mtime %s, ctime %s",
	     memcmp(&a.st_mtim, &b.st_mtim, sizeof(a.st_mtim)) ? "changed" : "kept",
	     memcmp(&a.st_ctim, &b.st_ctim, sizeof(a.st_ctim)) ? "changed" : "kept");
	t[0].tv_nsec = UTIME_OMIT;
	t[1].tv_sec = 77;
	say("one left out", utimensat(AT_FDCWD, "times", t, 0));
	say_times("set", "times");
	t[1].tv_nsec = 1000000000;
	say("too many nanoseconds", utimensat(AT_FDCWD, "times", t, 0));
	t[1].tv_nsec = UTIME_NOW;
	t[0].tv_nsec = UTIME_OMIT;
	say("now", utimensat(AT_FDCWD, "times", t, 0));
	say("bad pointer", CALL(SYS_utimensat, AT_FDCWD, "times", 1, 0));
	say("no path, no descriptor", CALL(SYS_utimensat, AT_FDCWD, NULL, t, 0));
	t[0].tv_nsec = t[1].tv_nsec = UTIME_OMIT;
	say("nothing at all to do", CALL(SYS_utimensat, AT_FDCWD, "no-such", t, 0));
}

/* --- stat ---------------------------------------------------------------------------------- */

static bool statx_agrees(const struct stat *st, const struct statx *x)
{
	return st->st_dev == makedev(x->stx_dev_major, x->stx_dev_minor) &&
	       st->st_ino == x->stx_ino && st->st_mode == x->stx_mode &&
	       st->st_nlink == x->stx_nlink && st->st_uid == x->stx_uid &&
	       st->st_gid == x->stx_gid &&
	       st->st_rdev == makedev(x->stx_rdev_major, x->stx_rdev_minor) &&
	       st->st_size == (off_t)x->stx_size && st->st_blksize == (blksize_t)x->stx_blksize &&
	       st->st_blocks == (blkcnt_t)x->stx_blocks &&
	       st->st_atim.tv_sec == x->stx_atime.tv_sec &&
	       st->st_mtim.tv_nsec == x->stx_mtime.tv_nsec &&
	       st->st_ctim.tv_nsec == x->stx_ctime.tv_nsec &&
	       st->st_ctim.tv_sec == x->stx_ctime.tv_sec &&
	       st->st_mtim.tv_sec == x->stx_mtime.tv_sec;
}

static void compare_stats(const char *path)
{
	struct stat first, other;
	struct statx x, y;
	int fd = open(path, O_PATH | O_NOFOLLOW);

	memset(&first, 0xaa, sizeof(first));
	memset(&other, 0x55, sizeof(other));
	must(CALL(SYS_newfstatat, AT_FDCWD, path, &first, AT_SYMLINK_NOFOLLOW) == 0, path);
#ifdef __x86_64__
	must(CALL(SYS_lstat, path, &other) == 0, path);
	note("%s: lstat %s", path, memcmp(&first, &other, sizeof(first)) ? "differs" : "agrees");
#else
	note("%s: lstat agrees", path);
#endif
	memset(&other, 0x55, sizeof(other));
	must(CALL(SYS_fstat, fd, &other) == 0, path);
	note("%s: fstat %s", path, memcmp(&first, &other, sizeof(first)) ? "differs" : "agrees");
	memset(&other, 0x55, sizeof(other));
	must(CALL(SYS_newfstatat, fd, "", &other, AT_EMPTY_PATH) == 0, path);
	note("%s: newfstatat %s", path,
	     memcmp(&first, &other, sizeof(first)) ? "differs" : "agrees");
	memset(&x, 0xaa, sizeof(x));
	memset(&y, 0x55, sizeof(y));
	must(CALL(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
		  &x) == 0 &&
		     CALL(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
			  STATX_BASIC_STATS | STATX_BTIME, &y) == 0,
	     path);
	note("%s: statx %s %s, its mask has %x", path,
	     memcmp(&x, &y, sizeof(x)) ? "differs" : "agrees",
	     statx_agrees(&first, &x) ? "well" : "not with stat", x.stx_mask & STATX_BASIC_STATS);
	(void)close(fd);
}

static void test_stats(void)
{
	static const char *const paths[] = {"file",
					    "dir",
					    "link",
					    "fifo",
					    "char",
					    "/dev/null",
					    "/proc/self/status",
					    "/",
					    "/lower/file",
					    "/lower/null",
					    "/lower/link",
					    "/lower/dir"};
	struct stat st;
	struct statx x;
	int fds[2];

	put("file", "some text", 06640);
	own("file", 1000, 2000);
	must(chmod("file", 06640) == 0 && truncate("file", 10000) == 0, "file");
	make_dir("dir", 01750, 3, 4);
	must(symlink("file", "link") == 0 && mkfifo("fifo", 0600) == 0 &&
		     mknod("char", S_IFCHR | 0600, makedev(5, 1)) == 0,
	     "files");
	own("link", 5, 6);
	own("fifo", 5, 6);
	for (size_t i = 0; i < COUNT(paths); i++)
		compare_stats(paths[i]);
	must(pipe(fds) == 0 && fstat(fds[0], &st) == 0, "pipe");
	note("a pipe belongs to %u:%u", st.st_uid, st.st_gid);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 && fstat(fds[0], &st) == 0,
	     "socketpair");
	note("a socket belongs to %u:%u", st.st_uid, st.st_gid);
	must(stat("/proc/self/status", &st) == 0, "stat");
	note("/proc/self belongs to %u:%u", st.st_uid, st.st_gid);
	say("stat without a buffer", CALL(SYS_newfstatat, AT_FDCWD, "file", NULL, 0));
	say("statx without a buffer", CALL(SYS_statx, AT_FDCWD, "file", 0, STATX_ALL, NULL));
	say("fstat to address 1", CALL(SYS_fstat, fds[0], 1));
	say("statx for nothing", CALL(SYS_statx, AT_FDCWD, "file", 0, 0, &x));
	say("statx with both sync flags", CALL(SYS_statx, AT_FDCWD, "file", 0x6000, 0, &x));
	must(CALL(SYS_statx, AT_FDCWD, "file", 0, STATX_UID, &x) == 0, "statx");
	note("statx for the user: %u", x.stx_uid);
	const char *read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("stat to read-only memory", CALL(SYS_newfstatat, AT_FDCWD, "file", read_only, 0));
	must(unlink("file") == 0, "unlink");
}

/* --- access -------------------------------------------------------------------------------- */

static void test_access(void)
{
	static const struct {
		uid_t real, effective;
	} who[] = {{0, 0}, {1000, 1000}, {1000, 0}, {0, 1000}, {2000, 2000}, {2000, 1000}};
	static const struct {
		const char *path;
		mode_t mode;
		uid_t uid;
		gid_t gid;
	} files[] = {
		{"closed", 0000, 0, 0},        {"roots", 0600, 0, 0},
		{"mine", 0700, 1000, 1000},    {"group", 0470, 0, 2000},
		{"groups-out", 0604, 0, 2000}, {"all", 0666, 0, 0},
		{"not-mine", 0077, 1000, 1},
	};
	static const int modes[] = {F_OK, R_OK, W_OK, X_OK, R_OK | W_OK | X_OK};
	char buf[32];

	for (size_t i = 0; i < COUNT(files); i++) {
		put(files[i].path, "", 0600);
		own(files[i].path, files[i].uid, files[i].gid);
		must(chmod(files[i].path, files[i].mode) == 0, "chmod");
	}
	for (size_t i = 0; i < COUNT(files); i++)
		for (size_t w = 0; w < COUNT(who); w++) {
			must(set_groups(1, &group_2000) == 0 &&
				     set_resuid(who[w].real, who[w].effective, 0) == 0,
			     "setresuid");
			printf("%s as %u for %u:", files[i].path, who[w].effective, who[w].real);
			for (int flag = 0; flag < 2; flag++)
				for (size_t m = 0; m < COUNT(modes); m++) {
					long r = CALL(SYS_faccessat2, AT_FDCWD, files[i].path,
						      modes[m], flag ? AT_EACCESS : 0);
					printf(" %s", result_text(r, buf, sizeof(buf)));
				}
			putchar('\n');
			user_end();
		}
}

/* --- lower layers -------------------------------------------------------------------------- */

static void look_lower(const char *when)
{
	static const char *const paths[] = {
		"/lower",          "/lower/file",   "/lower/twin",          "/lower/link",
		"/lower/fifo",     "/lower/null",   "/lower/sda",           "/lower/suid",
		"/lower/caps",     "/lower/ldap",   "/lower/attr",          "/lower/dir",
		"/lower/dir/file", "/lower/sticky", "/lower/sticky/theirs", "/etc/shadow",
		"/var/mail",       "/lower/moved",  "/lower/link2",         "/lower/fifo2",
		"/lower/null2",    "/lower/linked",
	};
	char what[96];

	for (size_t i = 0; i < COUNT(paths); i++) {
		(void)snprintf(what, sizeof(what), "%s %s", when, paths[i]);
		look(what, paths[i]);
	}
}

static void test_lower(void)
{
	int fd;

	look_lower("before");
	say_list("lower attributes", "/lower/attr");
	say_list("lower capabilities", "/lower/caps");
	fd = open("/lower/ldap", O_WRONLY | O_APPEND);
	must(fd >= 0 && write(fd, "+", 1) == 1 && close(fd) == 0, "write");
	look("written to", "/lower/ldap");
	say("chmod", chmod("/lower/file", 0600));
	say("chown", chown("/lower/attr", 21, 22));
	say("lchown", lchown("/lower/link", 23, 24));
	say("chown of a directory", chown("/lower/dir", 25, 26));
	say("chown of a fifo", chown("/lower/fifo", 27, 28));
	say("chown of a device", chown("/lower/null", 29, 30));
	say("link", link("/lower/ldap", "/lower/linked"));
	say("chown by it", chown("/lower/linked", 31, 32));
	say("rename", rename("/lower/suid", "/lower/moved"));
	say("rename of a link", rename("/lower/link", "/lower/link2"));
	say("rename of a fifo", rename("/lower/fifo", "/lower/fifo2"));
	say("rename of a device", rename("/lower/null", "/lower/null2"));
	say("rename over", rename("/lower/twin", "/lower/sda"));
	say("touch", utimensat(AT_FDCWD, "/lower/caps", NULL, 0));
	say_list("lower capabilities", "/lower/caps");
	say_list("lower attributes", "/lower/attr");
	user_begin();
	say("user: chown", raw(chown("/lower/sticky/theirs", 1000, 1000)));
	say("user: unlink", raw(unlink("/lower/sticky/theirs")));
	say("user: create in a directory of its group",
	    closed(open_file("/lower/new", O_CREAT | O_WRONLY, 0600)));
	say("user: chmod", raw(chmod("/lower/file", 0640)));
	say("user: chgrp", raw(chown("/lower/file", -1, 2000)));
	say("user: chgrp to others", raw(chown("/lower/file", -1, 3000)));
	say("user: give away", raw(chown("/lower/file", 0, -1)));
	user_end();
	say("mkdir in a setgid directory", mkdir("/lower/dir/sub", 0755));
	look("it", "/lower/dir/sub");
	say("removed", unlink("/lower/dir/file"));
	say("made again", closed(open_file("/lower/dir/file", O_CREAT | O_WRONLY, 0600)));
	say("an emptied directory", remove("/lower/dir/sub"));
	look_lower("after");
}

/* --- everything ---------------------------------------------------------------------------- */

static const struct call_test tests[] = {
	{"open-flags", test_open_flags},
	{"open-limits", test_open_limits},
	{"open-special", test_open_special},
	{"open-fifo", test_open_fifo},
	{"tmpfile", test_tmpfile},
	{"new", test_new_files},
	{"umask", test_umask},
	{"ids", test_odd_ids},
	{"clearing", test_clearing},
	{"owners", test_owner_follows},
	{"again", test_made_again},
	{"special", test_special},
	{"times", test_times},
	{"stat", test_stats},
	{"access", test_access},
	{"lower", test_lower},
};

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)umask(022);
	run_tests(tests, COUNT(tests), argc > 1 ? argv[1] : NULL);
	return 0;
}
