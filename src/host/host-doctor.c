// SPDX-License-Identifier: Apache-2.0
/* What doctor prints: each capability tried on the directory where it will be needed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/sys.h"
#include "host/host-internal.h"

enum { GIB = 1 << 30, LOW_SPACE_BYTES = GIB, LOW_INODES = 10000 };

/* A scratch directory in the store's file system for the trials. */
struct trial {
	int store_fd; /* the store, or its nearest directory that exists */
	int dir_fd;   /* the scratch directory: "l", "u", "w" below it */
	char name[40];
	char *path; /* of the scratch directory: inside, it must be found anew (host.h) */
};

static void trial_clear(struct trial *t)
{
	rb_closep(&t->dir_fd);
	if (t->store_fd >= 0 && *t->name)
		(void)rb_remove_tree_at(t->store_fd, t->name);
	rb_closep(&t->store_fd);
	free(t->path);
}

/* Takes found and unlock. */
static void add(struct rb_host *h, const char *name, bool ok, char *found, char *unlock)
{
	h->checks = rb_reallocarray(h->checks, h->n_checks + 1, sizeof(*h->checks));
	h->checks[h->n_checks++] =
		(struct rb_host_check){.name = name, .ok = ok, .found = found, .unlock = unlock};
}

static int trial_open(const char *store_path, struct trial *t, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = rb_strdup(store_path);

	/* Before its first use the store does not exist: what counts is where it will be. */
	while ((t->store_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 &&
	       errno == ENOENT && strrchr(path, '/') && path[1]) {
		char *slash = strrchr(path, '/');

		slash[slash == path] = '\0';
	}
	if (t->store_fd < 0)
		return rb_fail_errno(err, "cannot open %s", path);
	(void)memcpy(t->name, ".doctor-", 8);
	rb_random_hex(t->name + 8, 8);
	if (mkdirat(t->store_fd, t->name, 0700) < 0) {
		int saved = errno;

		*t->name = '\0';
		errno = saved;
		return rb_fail_errno(err, "cannot write in %s", path);
	}
	t->path = rb_asprintf("%s/%s", path, t->name);
	t->dir_fd = openat(t->store_fd, t->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static const char *const dirs[] = {"l", "u", "w"};
	for (size_t i = 0; i < RB_ARRAY_LEN(dirs); i++)
		if (mkdirat(t->dir_fd, dirs[i], 0700) < 0)
			return rb_fail_errno(err, "cannot write in %s", path);
	return 0;
}

/* The trials run inside the namespace and return an errno. */
static int try_overlay(void *ctx)
{
	const struct trial *t = ctx;

	/* Relative names keep store paths with commas and colons out of the option string. */
	if (chdir(t->path) < 0 ||
	    mount("rbuild", "l", "overlay", 0, "lowerdir=l,upperdir=u,workdir=w,userxattr") < 0)
		return errno;
	return 0;
}

static int try_lowerdir_plus(void *ctx)
{
	const struct trial *t = ctx;
	RB_CLEANUP(rb_closep) int fs = rb_sys_fsopen("overlay");

	if (fs < 0)
		return -fs;
	return chdir(t->path) < 0 ? errno : -rb_sys_fsconfig_str(fs, "lowerdir+", "l");
}

/* The caller is pid 1 of a new pid namespace already. */
static int try_proc(void *ctx)
{
	(void)ctx;
	return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? errno
											  : 0;
}

/* 0, or the errno of the trial; -1: the namespace itself failed. */
static int inside(const struct rb_host *h, int (*fn)(void *), struct trial *t)
{
	struct rb_error *err = NULL;
	int r = rb_host_enter(h, fn, t, &err);

	rb_error_drop(&err); /* the check on user namespaces says it already */
	return r;
}

static void check_rungs(struct rb_host *h, char *unlock /* takes */)
{
	if (h->rung == RB_RUNG_NONE) {
		add(h, "user namespaces", false, rb_strdup(h->why_not_single), unlock);
		return;
	}
	add(h, "user namespaces", true,
	    rb_strdup("a user namespace with mounts works: RUN is confined"), NULL);
	if (h->rung == RB_RUNG_RANGE)
		add(h, "subordinate ids", true,
		    rb_asprintf("%u uids and %u gids, %s", rb_id_map_limit(&h->uids),
				rb_id_map_limit(&h->gids),
				h->newuidmap ? "mapped by newuidmap and newgidmap"
					     : "mapped by CAP_SETUID"),
		    NULL);
	else
		add(h, "subordinate ids", false,
		    rb_asprintf("%s: a step has one id only; owners are kept beside the files",
				h->why_not_range),
		    unlock);
}

static void check_overlay(struct rb_host *h, struct trial *t)
{
	int e = inside(h, try_overlay, t);

	if (e)
		add(h, "overlay", false,
		    rb_asprintf(
			    "overlay with userxattr cannot be mounted on the store's file system "
			    "(%s)",
			    strerrordesc_np(e)),
		    rb_strdup("use Linux 5.11 or later and a store on a local ext4, xfs, btrfs or "
			      "tmpfs (--root DIR)"));
	else
		add(h, "overlay", true, rb_strdup("overlay with userxattr works on the store"),
		    NULL);
	e = inside(h, try_lowerdir_plus, t);
	add(h, "many layers", e == 0,
	    e ? rb_asprintf("this kernel has no lowerdir+ (%s): the paths of all layers together "
			    "must fit in one page",
			    strerrordesc_np(e))
	      : rb_strdup("lowerdir+ works: 499 layers"),
	    e ? rb_strdup("use Linux 6.7 or later for images with more than about 60 layers")
	      : NULL);
}

static void check_proc(struct rb_host *h, struct trial *t)
{
	int e = inside(h, try_proc, t);

	add(h, "procfs", e == 0,
	    e ? rb_asprintf(
			"a fresh /proc is refused (%s), as the outer one is partly hidden: steps "
			"see the processes outside their pid namespace in /proc",
			strerrordesc_np(e))
	      : rb_strdup("each step has a /proc of its own"),
	    e ? rb_strdup("start the container with --security-opt unmask=/proc/* (podman) or "
			  "systempaths=unconfined (docker)")
	      : NULL);
}

static void check_xattrs(struct rb_host *h, const struct trial *t)
{
	int r = rb_sys_setxattr(t->dir_fd, "u", "user.rbuild.doctor", "x", 1);

	add(h, "extended attributes", r == 0,
	    r < 0 ? rb_asprintf("no user.* attributes on the store's file system (%s): xattrs of "
				"files are lost and owners live in tables",
				strerrordesc_np(-r))
		  : rb_strdup("user.* attributes work on the store"),
	    r < 0 ? rb_strdup("put the store on a local file system: --root DIR or RBUILD_ROOT")
		  : NULL);
}

static const char *fs_name(unsigned type)
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = {
		{EXT4_SUPER_MAGIC, "ext4"},   {XFS_SUPER_MAGIC, "xfs"},
		{BTRFS_SUPER_MAGIC, "btrfs"}, {TMPFS_MAGIC, "tmpfs"},
		{NFS_SUPER_MAGIC, "NFS"},     {OVERLAYFS_SUPER_MAGIC, "overlay"},
		{F2FS_SUPER_MAGIC, "f2fs"},   {0x2fc12fc1, "zfs"},
		{0xff534d42, "CIFS"},         {0xfe534d42, "SMB"},
		{0x0bd00bd0, "Lustre"},       {0x65735546, "FUSE"},
		{0x47504653, "GPFS"},         {0xca451a4e, "bcachefs"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++)
		if (names[i].type == type)
			return names[i].name;
	return "another kind of file system";
}

static void check_space(struct rb_host *h, const struct trial *t)
{
	struct statfs fs;
	struct statvfs vfs;

	if (fstatfs(t->store_fd, &fs) < 0 || fstatvfs(t->store_fd, &vfs) < 0) {
		add(h, "store", false, rb_strdup(strerrordesc_np(errno)), NULL);
		return;
	}
	uint64_t bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	/* btrfs and others count no inodes and say 0 of 0 */
	bool inodes_low = vfs.f_files && vfs.f_favail < LOW_INODES;
	bool ok = bytes >= LOW_SPACE_BYTES && !inodes_low;
	RB_CLEANUP(rb_strp)
	char *inodes = vfs.f_files ? rb_asprintf(", %llu inodes", (unsigned long long)vfs.f_favail)
				   : rb_strdup("");

	add(h, "store", ok,
	    rb_asprintf("%s, %.1f GiB%s free", fs_name((unsigned)fs.f_type), (double)bytes / GIB,
			inodes),
	    ok ? NULL
	       : rb_strdup(
			 "rbuild reset --force, or a store elsewhere: --root DIR or RBUILD_ROOT"));
}

static void check_bootstrap(struct rb_host *h)
{
	RB_CLEANUP(rb_strp) char *path = rb_find_program("mmdebstrap");

	if (!path)
		add(h, "bootstrap", false,
		    rb_strdup("mmdebstrap is not installed: no base images from packages"),
		    rb_strdup("sudo apt-get install mmdebstrap"));
	else if (h->rung != RB_RUNG_RANGE)
		add(h, "bootstrap", false,
		    rb_strdup("mmdebstrap needs subordinate ids; a root file system made elsewhere "
			      "can be imported"),
		    rb_strdup("rbuild import rootfs.tar debian:bookworm"));
	else
		add(h, "bootstrap", true, rb_asprintf("%s", path), NULL);
}

/* What is so by design and should be known (threats S20, S44). */
static void check_notes(struct rb_host *h)
{
	if (h->rung == RB_RUNG_NONE)
		return;
	add(h, "network", true,
	    rb_strdup("steps share this host's network: they reach services on localhost and "
		      "abstract sockets; RUN --network=none does not"),
	    NULL);
	if (h->rung == RB_RUNG_SINGLE && getgroups(0, NULL) > 0)
		add(h, "groups", true,
		    rb_strdup("with one id setgroups is not allowed: steps keep your supplementary "
			      "groups, shown as nogroup"),
		    NULL);
}

int rb_host_doctor(const char *store_path, struct rb_host *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_host_clear) struct rb_host h = {0};
	RB_CLEANUP(trial_clear) struct trial t = {.store_fd = -1, .dir_fd = -1};
	char *unlock = NULL;
	bool stable;

	rb_host_decide(NULL, &h, &stable, &unlock);
	check_rungs(&h, unlock);
	if (trial_open(store_path, &t, err) < 0)
		return -1;
	if (h.rung != RB_RUNG_NONE) {
		check_overlay(&h, &t);
		check_proc(&h, &t);
	}
	check_xattrs(&h, &t);
	check_space(&h, &t);
	check_bootstrap(&h);
	check_notes(&h);
	*ret = h;
	h = (struct rb_host){0};
	return 0;
}
