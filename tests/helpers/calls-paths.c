// SPDX-License-Identifier: Apache-2.0
/*
 * Every call that takes a path, on every kind of path: by root, then by a user with one
 * supplementary group; then the calls that take a directory or a descriptor. A line holds the calls
 * that did the same: "PATH: RESULT [CHANGES]: CALL...", where a change is "-" and what a listing of
 * the directory no longer says, "+" and what it says now.
 */
#include <dirent.h>
#include <sys/xattr.h>

#include "calls.h"

#define WORK "/w/f"
#define TIME 1000000000

enum { FILE_FD = 100, OWNED_PATH_FD, DIR_FD, DIR_PATH_FD, LINK_PATH_FD, FIFO_FD, FDS_END };

/* --- the calls ----------------------------------------------------------------------------- */

static const struct timespec times[2] = {{.tv_sec = TIME}, {.tv_sec = TIME}};
static const struct timeval times_us[2] = {{.tv_sec = TIME}, {.tv_sec = TIME}};
#ifdef __x86_64__
static const struct {
	long access, modified;
} times_s = {TIME, TIME};
#endif
static char buffer[8192];

static long go_and_return(const char *path)
{
	long r = CALL(SYS_chdir, path);

	return r < 0 ? r : CALL(SYS_chdir, WORK);
}

/* The size of a list of attributes is nobody's business: a ledger may sit among them. */
static long listed(long r)
{
	return r < 0 ? r : 0;
}

static long stat_twice(int d, const char *p, int flags)
{
	struct stat st, again;
	struct statx stx;
	long r = CALL(SYS_newfstatat, d, p, &st, flags);
	long rx = CALL(SYS_statx, d, p, flags, STATX_BASIC_STATS, &stx);

	if (r != rx)
		return -EBADE; /* nothing answers so */
	if (r == 0 && (st.st_uid != stx.stx_uid || st.st_gid != stx.stx_gid ||
		       st.st_mode != stx.stx_mode || st.st_ino != stx.stx_ino))
		return -EBADE;
	if (flags & AT_EMPTY_PATH && p && !*p &&
	    (CALL(SYS_fstat, d, &again) != r || (r == 0 && memcmp(&st, &again, sizeof(st)) != 0)))
		return -EBADE;
	return r;
}

/* X(NAME, CALL): `p` is the path, `d` the directory. */
#define OPEN(flags)                                                                                \
	closed(OLD(CALL(SYS_open, p, (flags) | O_NONBLOCK | O_NOCTTY, 0640),                       \
		   CALL(SYS_openat, AT_FDCWD, p, (flags) | O_NONBLOCK | O_NOCTTY, 0640)))
#define OPENAT(flags) closed(CALL(SYS_openat, d, p, (flags) | O_NONBLOCK | O_NOCTTY, 0640))
#define OLD_CALLS(X)                                                                               \
	X(open_creat, OPEN(O_WRONLY | O_CREAT))                                                    \
	X(open_excl, OPEN(O_WRONLY | O_CREAT | O_EXCL))                                            \
	X(open_creat_nofollow, OPEN(O_RDWR | O_CREAT | O_NOFOLLOW))                                \
	X(open_creat_trunc, OPEN(O_WRONLY | O_CREAT | O_TRUNC))                                    \
	X(open_path_creat, OPEN(O_PATH | O_CREAT))                                                 \
	X(open_tmpfile, OPEN(O_TMPFILE | O_WRONLY))                                                \
	X(creat, closed(OLD(CALL(SYS_creat, p, 0604),                                              \
			    CALL(SYS_openat, AT_FDCWD, p, O_CREAT | O_WRONLY | O_TRUNC, 0604))))   \
	X(mkdir, OLD(CALL(SYS_mkdir, p, 01751), CALL(SYS_mkdirat, AT_FDCWD, p, 01751)))            \
	X(mknod_file, OLD(CALL(SYS_mknod, p, S_IFREG | 04640, 0),                                  \
			  CALL(SYS_mknodat, AT_FDCWD, p, S_IFREG | 04640, 0)))                     \
	X(mknod_untyped,                                                                           \
	  OLD(CALL(SYS_mknod, p, 0604, 0), CALL(SYS_mknodat, AT_FDCWD, p, 0604, 0)))               \
	X(mknod_char, OLD(CALL(SYS_mknod, p, S_IFCHR | 0640, makedev(1, 3)),                       \
			  CALL(SYS_mknodat, AT_FDCWD, p, S_IFCHR | 0640, makedev(1, 3))))          \
	X(symlink,                                                                                 \
	  OLD(CALL(SYS_symlink, "target", p), CALL(SYS_symlinkat, "target", AT_FDCWD, p)))         \
	X(link_from,                                                                               \
	  OLD(CALL(SYS_link, p, "twin"), CALL(SYS_linkat, AT_FDCWD, p, AT_FDCWD, "twin", 0)))      \
	X(link_to, OLD(CALL(SYS_link, "own/file", p),                                              \
		       CALL(SYS_linkat, AT_FDCWD, "own/file", AT_FDCWD, p, 0)))                    \
	X(unlink, OLD(CALL(SYS_unlink, p), CALL(SYS_unlinkat, AT_FDCWD, p, 0)))                    \
	X(rmdir, OLD(CALL(SYS_rmdir, p), CALL(SYS_unlinkat, AT_FDCWD, p, AT_REMOVEDIR)))           \
	X(rename_from, OLD(CALL(SYS_rename, p, "own/moved"),                                       \
			   CALL(SYS_renameat2, AT_FDCWD, p, AT_FDCWD, "own/moved", 0)))            \
	X(rename_file_to, OLD(CALL(SYS_rename, "own/file", p),                                     \
			      CALL(SYS_renameat2, AT_FDCWD, "own/file", AT_FDCWD, p, 0)))          \
	X(rename_dir_to, OLD(CALL(SYS_rename, "own/dir", p),                                       \
			     CALL(SYS_renameat2, AT_FDCWD, "own/dir", AT_FDCWD, p, 0)))            \
	X(chown, OLD(CALL(SYS_chown, p, 77, 88), CALL(SYS_fchownat, AT_FDCWD, p, 77, 88, 0)))      \
	X(chown_group,                                                                             \
	  OLD(CALL(SYS_chown, p, -1, 2000), CALL(SYS_fchownat, AT_FDCWD, p, -1, 2000, 0)))         \
	X(chown_nothing,                                                                           \
	  OLD(CALL(SYS_chown, p, -1, -1), CALL(SYS_fchownat, AT_FDCWD, p, -1, -1, 0)))             \
	X(lchown, OLD(CALL(SYS_lchown, p, 77, 88),                                                 \
		      CALL(SYS_fchownat, AT_FDCWD, p, 77, 88, AT_SYMLINK_NOFOLLOW)))               \
	X(chmod, OLD(CALL(SYS_chmod, p, 06711), CALL(SYS_fchmodat, AT_FDCWD, p, 06711)))           \
	X(stat, OLD(CALL(SYS_stat, p, buffer), CALL(SYS_newfstatat, AT_FDCWD, p, buffer, 0)))      \
	X(lstat, OLD(CALL(SYS_lstat, p, buffer),                                                   \
		     CALL(SYS_newfstatat, AT_FDCWD, p, buffer, AT_SYMLINK_NOFOLLOW)))              \
	X(access_exists, OLD(CALL(SYS_access, p, F_OK), CALL(SYS_faccessat, AT_FDCWD, p, F_OK)))   \
	X(access_read, OLD(CALL(SYS_access, p, R_OK), CALL(SYS_faccessat, AT_FDCWD, p, R_OK)))     \
	X(access_write, OLD(CALL(SYS_access, p, W_OK), CALL(SYS_faccessat, AT_FDCWD, p, W_OK)))    \
	X(access_exec, OLD(CALL(SYS_access, p, X_OK), CALL(SYS_faccessat, AT_FDCWD, p, X_OK)))     \
	X(utime, OLD(CALL(SYS_utime, p, &times_s), CALL(SYS_utimensat, AT_FDCWD, p, times, 0)))    \
	X(utimes, OLD(CALL(SYS_utimes, p, times_us), CALL(SYS_utimensat, AT_FDCWD, p, times, 0)))  \
	X(utime_now, OLD(CALL(SYS_utime, p, NULL), CALL(SYS_utimensat, AT_FDCWD, p, NULL, 0)))     \
	X(setxattr, CALL(SYS_setxattr, p, "user.x", "v", 1, 0))                                    \
	X(lsetxattr, CALL(SYS_lsetxattr, p, "user.x", "v", 1, 0))                                  \
	X(setxattr_caps, CALL(SYS_setxattr, p, "security.capability",                              \
			      "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0))                  \
	X(getxattr, CALL(SYS_getxattr, p, "user.y", buffer, sizeof(buffer)))                       \
	X(lgetxattr, CALL(SYS_lgetxattr, p, "user.y", buffer, sizeof(buffer)))                     \
	X(listxattr, listed(CALL(SYS_listxattr, p, buffer, sizeof(buffer))))                       \
	X(llistxattr, listed(CALL(SYS_llistxattr, p, buffer, sizeof(buffer))))                     \
	X(removexattr, CALL(SYS_removexattr, p, "user.y"))                                         \
	X(lremovexattr, CALL(SYS_lremovexattr, p, "user.y"))
/* A user's plain open is the kernel's business in every mode (doc/modes.md), and so are these. */
#define PLAIN_CALLS(X)                                                                             \
	X(open, OPEN(O_RDONLY))                                                                    \
	X(open_write, OPEN(O_WRONLY))                                                              \
	X(truncate, CALL(SYS_truncate, p, 2))                                                      \
	X(readlink,                                                                                \
	  OLD(CALL(SYS_readlink, p, buffer, 64), CALL(SYS_readlinkat, AT_FDCWD, p, buffer, 64)))   \
	X(chdir, go_and_return(p))
#define AT_CALLS(X)                                                                                \
	X(openat_creat, OPENAT(O_WRONLY | O_CREAT))                                                \
	X(openat_excl, OPENAT(O_RDONLY | O_CREAT | O_EXCL))                                        \
	X(openat_tmpfile, OPENAT(O_TMPFILE | O_RDWR))                                              \
	X(mkdirat, CALL(SYS_mkdirat, d, p, 0711))                                                  \
	X(mknodat, CALL(SYS_mknodat, d, p, S_IFIFO | 0604, 0))                                     \
	X(symlinkat, CALL(SYS_symlinkat, "target", d, p))                                          \
	X(linkat_from, CALL(SYS_linkat, d, p, AT_FDCWD, "twin", 0))                                \
	X(linkat_followed, CALL(SYS_linkat, d, p, AT_FDCWD, "twin", AT_SYMLINK_FOLLOW))            \
	X(linkat_to, CALL(SYS_linkat, AT_FDCWD, "own/file", d, p, 0))                              \
	X(linkat_bad_flag, CALL(SYS_linkat, d, p, AT_FDCWD, "twin", AT_SYMLINK_NOFOLLOW))          \
	X(unlinkat, CALL(SYS_unlinkat, d, p, 0))                                                   \
	X(unlinkat_dir, CALL(SYS_unlinkat, d, p, AT_REMOVEDIR))                                    \
	X(unlinkat_bad_flag, CALL(SYS_unlinkat, d, p, AT_EMPTY_PATH))                              \
	X(renameat_from, CALL(SYS_renameat2, d, p, AT_FDCWD, "own/moved", 0))                      \
	X(renameat_to, CALL(SYS_renameat2, AT_FDCWD, "own/file", d, p, 0))                         \
	X(renameat2_noreplace,                                                                     \
	  CALL(SYS_renameat2, AT_FDCWD, "own/file", d, p, 1 /* RENAME_NOREPLACE */))               \
	X(renameat2_exchange,                                                                      \
	  CALL(SYS_renameat2, AT_FDCWD, "own/file", d, p, 2 /* RENAME_EXCHANGE */))                \
	X(renameat2_bad_flag, CALL(SYS_renameat2, AT_FDCWD, "own/file", d, p, 64))                 \
	X(fchownat, CALL(SYS_fchownat, d, p, 77, 88, 0))                                           \
	X(fchownat_nofollow, CALL(SYS_fchownat, d, p, 77, 88, AT_SYMLINK_NOFOLLOW))                \
	X(fchownat_empty, CALL(SYS_fchownat, d, p, 77, 88, AT_EMPTY_PATH))                         \
	X(fchownat_bad_flag, CALL(SYS_fchownat, d, p, 77, 88, AT_REMOVEDIR))                       \
	X(fchmodat, CALL(SYS_fchmodat, d, p, 0711))                                                \
	X(fchmodat2_nofollow, CALL(SYS_fchmodat2, d, p, 0711, AT_SYMLINK_NOFOLLOW))                \
	X(fchmodat2_empty, CALL(SYS_fchmodat2, d, p, 0711, AT_EMPTY_PATH))                         \
	X(fchmodat2_bad_flag, CALL(SYS_fchmodat2, d, p, 0711, AT_REMOVEDIR))                       \
	X(stat_and_statx, stat_twice(d, p, 0))                                                     \
	X(stat_and_statx_nofollow, stat_twice(d, p, AT_SYMLINK_NOFOLLOW))                          \
	X(stat_and_statx_empty, stat_twice(d, p, AT_EMPTY_PATH))                                   \
	X(newfstatat_bad_flag, CALL(SYS_newfstatat, d, p, buffer, AT_REMOVEDIR))                   \
	X(statx_bad_flag, CALL(SYS_statx, d, p, AT_REMOVEDIR, STATX_ALL, buffer))                  \
	X(statx_bad_mask, CALL(SYS_statx, d, p, 0, 0x80000000, buffer))                            \
	X(faccessat, CALL(SYS_faccessat, d, p, W_OK))                                              \
	X(faccessat_bad_mode, CALL(SYS_faccessat, d, p, 8))                                        \
	X(faccessat2, CALL(SYS_faccessat2, d, p, R_OK | X_OK, AT_EACCESS))                         \
	X(faccessat2_nofollow, CALL(SYS_faccessat2, d, p, R_OK, AT_SYMLINK_NOFOLLOW))              \
	X(faccessat2_empty, CALL(SYS_faccessat2, d, p, W_OK, AT_EMPTY_PATH))                       \
	X(faccessat2_bad_flag, CALL(SYS_faccessat2, d, p, R_OK, AT_SYMLINK_FOLLOW))                \
	X(utimensat, CALL(SYS_utimensat, d, p, times, 0))                                          \
	X(utimensat_nofollow, CALL(SYS_utimensat, d, p, times, AT_SYMLINK_NOFOLLOW))               \
	X(utimensat_empty, CALL(SYS_utimensat, d, p, times, AT_EMPTY_PATH))                        \
	X(futimesat, OLD(CALL(SYS_futimesat, d, p, times_us), CALL(SYS_utimensat, d, p, times, 0)))
#define FD_CALLS(X)                                                                                \
	X(fchown, CALL(SYS_fchown, d, 77, 88))                                                     \
	X(fchown_nothing, CALL(SYS_fchown, d, -1, -1))                                             \
	X(fchmod, CALL(SYS_fchmod, d, 02711))                                                      \
	X(fstat_and_statx, stat_twice(d, "", AT_EMPTY_PATH))                                       \
	X(fsetxattr, CALL(SYS_fsetxattr, d, "user.x", "v", 1, 0))                                  \
	X(fgetxattr, CALL(SYS_fgetxattr, d, "user.y", buffer, sizeof(buffer)))                     \
	X(flistxattr, listed(CALL(SYS_flistxattr, d, buffer, sizeof(buffer))))                     \
	X(fremovexattr, CALL(SYS_fremovexattr, d, "user.y"))                                       \
	X(futimens, CALL(SYS_utimensat, d, NULL, times, 0))                                        \
	X(fchownat_empty, CALL(SYS_fchownat, d, "", 77, 88, AT_EMPTY_PATH))                        \
	X(fchownat_null, CALL(SYS_fchownat, d, NULL, 77, 88, AT_EMPTY_PATH))                       \
	X(linkat_empty, CALL(SYS_linkat, d, "", AT_FDCWD, "twin", AT_EMPTY_PATH))                  \
	X(faccessat2_empty, CALL(SYS_faccessat2, d, "", R_OK, AT_EMPTY_PATH))

struct operation {
	const char *name;
	long (*call)(int d, const char *p);
};

#define DEFINE(name, what)                                                                         \
	static long do_##name(int d, const char *p)                                                \
	{                                                                                          \
		(void)d;                                                                           \
		(void)p;                                                                           \
		return what;                                                                       \
	}
#define DEFINE_FD(name, what)                                                                      \
	static long fd_##name(int d, const char *p)                                                \
	{                                                                                          \
		(void)p;                                                                           \
		return what;                                                                       \
	}
#define ENTRY(name, what)    {#name, do_##name},
#define ENTRY_FD(name, what) {#name, fd_##name},
OLD_CALLS(DEFINE)
PLAIN_CALLS(DEFINE)
AT_CALLS(DEFINE)
FD_CALLS(DEFINE_FD)
static const struct operation old_calls[] = {OLD_CALLS(ENTRY)};
static const struct operation plain_calls[] = {PLAIN_CALLS(ENTRY)};
static const struct operation at_calls[] = {AT_CALLS(ENTRY)};
static const struct operation fd_calls[] = {FD_CALLS(ENTRY_FD)};

/* --- the directory ------------------------------------------------------------------------- */

static void make_links(void)
{
	static const char *const links[][2] = {
		{"to-file", "file"},         {"to-owned", "owned"},
		{"to-dir", "dir"},           {"dangling", "nowhere"},
		{"far", "no/where"},         {"loop", "loop"},
		{"loop-a", "loop-b"},        {"loop-b", "loop-a"},
		{"absolute", WORK "/file"},  {"climbing", "../f/file"},
		{"slashed", "dir/"},         {"slashed-file", "file/"},
		{"slashed-new", "nowhere/"}, {"escaping", "../../../../../../../../w/f/file"},
	};

	for (size_t i = 0; i < COUNT(links); i++)
		must(symlink(links[i][1], links[i][0]) == 0, "symlink");
	own("to-owned", 5, 6);
}

static void make_files(void)
{
	static const struct {
		const char *path, *text;
		mode_t mode;
		uid_t uid;
		gid_t gid;
	} files[] = {
		{"file", "hello", 0644, 0, 0},
		{"owned", "owned", 0640, 1000, 2000},
		{"other", "other", 0604, 3, 4},
		{"hard", "hard", 0644, 5, 6},
		{"dir/inner", "inner", 0600, 7, 8},
		{"own/file", "own", 0644, 1000, 1000},
		{"own/theirs", "theirs", 0600, 0, 0},
		{"sticky/mine", "mine", 0644, 1000, 1000},
		{"sticky/theirs", "theirs", 0666, 3, 4},
		{"closed/mine", "mine", 0600, 1000, 1000},
		{"group/file", "file", 0664, 3, 2000},
		{"readonly/file", "file", 0600, 1000, 1000},
	};

	make_dir("dir", 0755, 0, 0);
	make_dir("empty", 0700, 0, 0);
	make_dir("own", 0755, 1000, 1000);
	make_dir("own/dir", 0755, 1000, 1000);
	make_dir("sticky", 01777, 0, 0);
	make_dir("sticky/dir", 0755, 3, 4);
	make_dir("closed", 0700, 3, 4);
	make_dir("group", 0775, 0, 2000);
	make_dir("setgid", 02777, 0, 3000);
	make_dir("readonly", 0555, 1000, 1000);
	for (size_t i = 0; i < COUNT(files); i++) {
		put(files[i].path, files[i].text, 0600);
		own(files[i].path, files[i].uid, files[i].gid);
		must(chmod(files[i].path, files[i].mode) == 0, files[i].path);
	}
	must(link("hard", "dir/hard") == 0, "link");
	must(mkfifo("fifo", 0600) == 0 && chmod("fifo", 0622) == 0, "mkfifo");
	own("fifo", 3, 4);
	must(setxattr("file", "user.y", "yes", 3, 0) == 0, "setxattr");
}

static void keep_open(int fd, const char *path, int flags)
{
	int opened = open(path, flags);

	must(opened >= 0 && dup2(opened, fd) == fd && close(opened) == 0, path);
}

static void make_fixture(void)
{
	for (int fd = FILE_FD; fd < FDS_END; fd++)
		(void)close(fd);
	must(chdir("/") == 0, "chdir");
	(void)removexattr("/", "user.x");
	(void)removexattr("/", "security.capability");
	must(chmod("/", 0755) == 0, "chmod /");
	own("/", 0, 0);
	remove_tree("/w");
	make_dir("/w", 0755, 0, 0);
	make_dir(WORK, 0755, 0, 0);
	must(chdir(WORK) == 0, "chdir");
	make_files();
	make_links();
	keep_open(FILE_FD, "file", O_RDWR);
	keep_open(OWNED_PATH_FD, "owned", O_PATH);
	keep_open(DIR_FD, "dir", O_RDONLY | O_DIRECTORY);
	keep_open(DIR_PATH_FD, "dir", O_PATH);
	keep_open(LINK_PATH_FD, "to-owned", O_PATH | O_NOFOLLOW);
	keep_open(FIFO_FD, "fifo", O_RDWR); /* creat(2) would wait for somebody */
}

/* --- what it looks like -------------------------------------------------------------------- */

enum { LINES_MAX = 64, LINE_BYTES = 512 };

struct listing {
	char line[LINES_MAX][LINE_BYTES];
	int n;
};

static bool has_attribute(const char *names, ssize_t n, const char *name)
{
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		if (strcmp(names + i, name) == 0)
			return true;
	return false;
}

/* Time and attributes as far as the calls above set them. */
static void list_one(struct listing *l, const char *name)
{
	struct stat st;
	char fields[96], target[64], names[1024];

	if (l->n == LINES_MAX || fstatat(AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	ssize_t n = S_ISLNK(st.st_mode) ? readlink(name, target, sizeof(target) - 1) : 0;
	ssize_t m = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)
			    ? llistxattr(name, names, sizeof(names))
			    : 0;
	target[n > 0 ? n : 0] = 0;
	(void)snprintf(l->line[l->n++], LINE_BYTES, "%.300s %s%s%s%s%s%s", name,
		       fields_of(&st, fields, sizeof(fields)), n > 0 ? " -> " : "", target,
		       st.st_mtime == TIME ? " timed" : "",
		       has_attribute(names, m, "user.x") ? " user.x" : "",
		       has_attribute(names, m, "security.capability") ? " caps" : "");
}

static void list_directory(struct listing *l, const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char name[600];

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s%s%s", strcmp(path, ".") == 0 ? "" : path,
			       strcmp(path, ".") == 0 ? "" : "/", e->d_name);
		list_one(l, name);
		if (e->d_type == DT_DIR)
			list_directory(l, name);
	}
	if (d)
		(void)closedir(d);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void list_all(struct listing *l)
{
	l->n = 0;
	list_one(l, "/");
	list_one(l, "..");
	list_one(l, ".");
	list_directory(l, ".");
	qsort(l->line, (size_t)l->n, LINE_BYTES, by_text);
}

/* Appends " -line" and " +line" for what differs; true if anything does. */
static bool changes(const struct listing *a, const struct listing *b, char *text, size_t size)
{
	int i = 0, j = 0;
	bool any = false;

	while (i < a->n || j < b->n) {
		int c = i == a->n ? 1 : j == b->n ? -1 : strcmp(a->line[i], b->line[j]);

		if (c != 0) {
			any = true;
			(void)snprintf(text + strlen(text), size - strlen(text), " %c%s",
				       c < 0 ? '-' : '+', c < 0 ? a->line[i] : b->line[j]);
		}
		i += c <= 0;
		j += c >= 0;
	}
	return any;
}

/* --- running ------------------------------------------------------------------------------- */

static struct listing before, after;
static bool as_user;

static long run_one(const struct operation *op, int d, const char *path)
{
	static const gid_t group = 2000;
	long r;

	if (as_user)
		must(set_groups(1, &group) == 0 && set_resgid(1000, 1000, 1000) == 0 &&
			     set_resuid(1000, 1000, 0) == 0,
		     "become a user");
	r = op->call(d, path);
	if (as_user)
		must(set_resuid(0, 0, 0) == 0 && set_resgid(0, 0, 0) == 0 &&
			     set_groups(0, NULL) == 0,
		     "become root again");
	return r;
}

/*
 * All operations on one path; those with the same outcome share a line. Whether those that failed
 * have changed something is asked once, at the end.
 */
static void run_all(const struct operation *ops, size_t n, int d, const char *path,
		    const char *label)
{
	static char outcome[64][2048], left[2048];
	char buf[32];

	must(n <= COUNT(outcome), "table");
	for (size_t i = 0; i < n; i++) {
		long r = run_one(&ops[i], d, path);

		(void)snprintf(outcome[i], sizeof(outcome[i]), "%s",
			       result_text(r, buf, sizeof(buf)));
		if (r < 0)
			continue;
		list_all(&after);
		if (changes(&before, &after, outcome[i], sizeof(outcome[i])))
			make_fixture();
	}
	list_all(&after);
	*left = 0;
	if (changes(&before, &after, left, sizeof(left))) {
		note("%s: failed, but did:%s", label, left);
		make_fixture();
	}
	for (size_t i = 0; i < n; i++) {
		if (!*outcome[i])
			continue;
		printf("%s%s: %s: %s", as_user ? "user " : "", label, outcome[i], ops[i].name);
		for (size_t j = i + 1; j < n; j++)
			if (strcmp(outcome[i], outcome[j]) == 0) {
				printf(" %s", ops[j].name);
				*outcome[j] = 0;
			}
		putchar('\n');
	}
}

static char name_255[256], name_256[257], path_4095[4096], path_4096[4097];

/* A string that ends where memory ends, or runs out of it. */
static const char *at_page_end(const char *text, bool terminated)
{
	size_t n = strlen(text) + terminated, page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED && munmap(p + 2 * page, page) == 0, "mmap");
	memcpy(p + 2 * page - n, text, n);
	return p + 2 * page - n;
}

static const char *across_pages(const char *text)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED, "mmap");
	return memcpy(p + page - strlen(text) / 2, text, strlen(text) + 1);
}

static void make_long_names(void)
{
	memset(name_255, 'n', 255);
	memset(name_256, 'n', 256);
	for (int i = 0; i < 4096; i += 2)
		memcpy(path_4096 + i, "./", 2);
	memcpy(path_4095, path_4096 + 1, 4095);
	path_4095[0] = '.';
	memcpy(path_4095 + 4095 - 5, "/file", 5);
}

static void run_path(const char *path, const char *label)
{
	char plain[64];

	run_all(old_calls, COUNT(old_calls), AT_FDCWD, path, label);
	(void)snprintf(plain, sizeof(plain), "plain %s", label);
	run_all(plain_calls, COUNT(plain_calls), AT_FDCWD, path, plain);
}

static void run_paths(void)
{
	static const char *const root_paths[] = {
		"file",
		"./file",
		"dir/../file",
		"dir/inner",
		"file/",
		"file/.",
		"file/x",
		"dir",
		"dir/",
		"dir/.",
		"dir/..",
		"empty",
		".",
		"..",
		"/",
		"",
		WORK "/owned",
		"to-file",
		"to-file/",
		"to-owned",
		"to-dir",
		"to-dir/",
		"to-dir/.",
		"to-dir/inner",
		"to-dir/new",
		"dangling",
		"dangling/",
		"dangling/x",
		"far",
		"loop",
		"loop/x",
		"loop-a",
		"new",
		"new/",
		"new/x",
		"new/.",
		"dir/new",
		"absolute",
		"climbing",
		"slashed",
		"slashed-file",
		"slashed-new",
		"escaping",
		"fifo",
		"hard",
		"//w//f///file",
		"../../../../../w/f/file",
		"/proc/self/cwd/file",
		"/proc/thread-self/cwd/new",
		"/proc/self/root/w/f/new",
		"/proc/self/fd/100",
		"/proc/self/fd/101",
		"/proc/self/fd/102/new",
		"/proc/self/fd/999",
		"/dev/fd/100",
		"own/new",
		"setgid/new",
		"own/file",
		"/proc/self/fd/104",
	};
	static const char *const user_paths[] = {
		"file",          "owned",        "other",     "new",         "dir",
		"dir/inner",     "dir/new",      "own",       "own/file",    "own/new",
		"own/theirs",    "own/dir",      "sticky",    "sticky/mine", "sticky/theirs",
		"sticky/dir",    "sticky/new",   "closed",    "closed/mine", "closed/new",
		"group",         "group/file",   "group/new", "setgid/new",  "readonly",
		"readonly/file", "readonly/new", "to-file",   "to-owned",    "dangling",
		"fifo",          "hard",         "no/where",  "file/x",
	};

	for (size_t i = 0; i < COUNT(root_paths); i++)
		run_path(root_paths[i], *root_paths[i] ? root_paths[i] : "(empty)");
	const struct {
		const char *label, *path;
	} odd[] = {
		{"(name of 255)", name_255},
		{"(name of 256)", name_256},
		{"(path of 4095)", path_4095},
		{"(path of 4096)", path_4096},
		{"(null)", NULL},
		{"(address 1)", (const char *)1},
		{"(kernel address)", (const char *)0xffff800000000000},
		{"(up to the page's end)", at_page_end("file", true)},
		{"(over the page's end)", at_page_end("file", false)},
		{"(new, up to the page's end)", at_page_end("new", true)},
		{"(across pages)", across_pages("owned")},
	};
	for (size_t i = 0; i < COUNT(odd); i++)
		run_path(odd[i].path, odd[i].label);
	as_user = true;
	for (size_t i = 0; i < COUNT(user_paths); i++)
		run_path(user_paths[i], user_paths[i]);
	as_user = false;
}

static void run_at(void)
{
	static const struct {
		const char *label;
		int fd;
	} from[] = {
		{"cwd", AT_FDCWD}, {"dir", DIR_FD},  {"path of dir", DIR_PATH_FD},
		{"file", FILE_FD}, {"nothing", 999}, {"-1", -1},
	};
	static const char *const paths[] = {"inner",       "new", "../owned",    "",
					    WORK "/owned", "..",  "../to-owned", "../dangling",
					    "hard/x"};
	char label[64];

	for (size_t i = 0; i < COUNT(from); i++)
		for (size_t j = 0; j < COUNT(paths); j++) {
			(void)snprintf(label, sizeof(label), "at %s, %s", from[i].label,
				       *paths[j] ? paths[j] : "(empty)");
			run_all(at_calls, COUNT(at_calls), from[i].fd, paths[j], label);
		}
	run_all(at_calls, COUNT(at_calls), AT_FDCWD, NULL, "at cwd, (null)");
	as_user = true;
	run_all(at_calls, COUNT(at_calls), DIR_FD, "inner", "at dir, inner");
	run_all(at_calls, COUNT(at_calls), DIR_FD, "../own/new", "at dir, ../own/new");
	run_all(at_calls, COUNT(at_calls), DIR_FD, "../own/file", "at dir, ../own/file");
	as_user = false;
}

static void run_fds(void)
{
	static const struct {
		const char *label;
		int fd;
	} fds[] = {
		{"file", FILE_FD},
		{"path of owned", OWNED_PATH_FD},
		{"dir", DIR_FD},
		{"path of dir", DIR_PATH_FD},
		{"path of a link", LINK_PATH_FD},
		{"nothing", 999},
		{"-1", -1},
	};
	char label[64];

	for (int user = 0; user < 2; user++) {
		as_user = user;
		for (size_t i = 0; i < COUNT(fds); i++) {
			(void)snprintf(label, sizeof(label), "fd of %s", fds[i].label);
			run_all(fd_calls, COUNT(fd_calls), fds[i].fd, NULL, label);
		}
	}
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	const char *only = argc > 1 ? argv[1] : "";

	make_long_names();
	must(mkdir("/w", 0755) == 0, "mkdir /w");
	(void)umask(022);
	make_fixture();
	list_all(&before);
	for (int i = 0; i < before.n; i++)
		note("before: %s", before.line[i]);
	if (!*only || strcmp(only, "paths") == 0)
		run_paths();
	if (!*only || strcmp(only, "at") == 0)
		run_at();
	if (!*only || strcmp(only, "fds") == 0)
		run_fds();
	note("done");
	return 0;
}
