/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of exec/ share. A step is prepared as struct rb_step: descriptors, strings and the
 * array of set-up operations, all of it flat memory that the child only reads.
 */
#ifndef RB_EXEC_INTERNAL_H
#define RB_EXEC_INTERNAL_H

#include <linux/capability.h>
#include <linux/filter.h>
#include <sys/stat.h>
#include <time.h>

#include "exec/exec.h"
#include "supervise/supervise.h"

/* --- the filter --- */

struct rb_filter_arg {
	const char *name;
	unsigned arg;
	uint32_t mask, value;
};
struct rb_filter_number {
	uint32_t number;
	int answer; /* 0: allowed */
};
extern const char *const rb_filter_allowed[];
extern const struct rb_filter_arg rb_filter_allowed_if[];
extern const char *const rb_filter_not_implemented[];
extern const struct rb_filter_number rb_filter_by_number[];

#if defined(__s390__)
#define RB_FILTER_CLONE_FLAGS_ARG 1
#else
#define RB_FILTER_CLONE_FLAGS_ARG 0
#endif

/* The profile refuses what a step may not do; the supervision sends calls to a listener, beside
 * it. */
enum rb_filter_kind {
	RB_FILTER_PROFILE,
	RB_FILTER_PROFILE_386, /* with socketcall, the C library's only way to sockets there */
	RB_FILTER_OWNERS,      /* of RB_SUPERVISE_OWNERS */
	RB_FILTER_ALL,         /* of RB_SUPERVISE_ALL */
	RB_FILTER_OWNERS_NET,  /* the same two, where the network is asked for */
	RB_FILTER_ALL_NET,
	RB_FILTER_KINDS
};
/* Makes the program with the library, without any cache. */
int rb_filter_build(enum rb_filter_kind kind, struct rb_buf *ret, struct rb_error **err);
/* The program of this process, made at first use. Borrowed. */
int rb_filter_get(enum rb_filter_kind kind, struct sock_fprog *ret, struct rb_error **err);

/* --- operations --- */

enum rb_op_kind {
	RB_OP_MOVE,    /* mount src on dst/path */
	RB_OP_BIND,    /* clone src/from, set attributes, mount the clone on dst/path */
	RB_OP_MOUNT,   /* new file system `from`, mounted on dst/path */
	RB_OP_PREPARE, /* new file system `from`; its descriptor goes to slot `dst` for a later MOVE
			*/
	RB_OP_ENTER,   /* mount src over / and pivot into it */
	RB_OP_ATTACH,  /* set attributes of the mount src, mount it on path, found in dst now */
	RB_OP_ATTACH_PART, /* the same with a clone of src, an entry of a mount */
	RB_OP_RELEASE,     /* unmount dst/path */
	RB_OP_UNLINK,      /* remove dst/path, a directory when attrs says AT_REMOVEDIR */
	RB_OP_NETNS,       /* enter the network namespace src */
	RB_OP_HOSTNAME,    /* `from` */
	RB_OP_USERNS,
	RB_OP_LOOPBACK, /* brought up, in a new namespace where attrs says CLONE_NEWNET */
	RB_OP_OWN,      /* the namespaces of `attrs`, copied into such that the step owns */
	RB_OP_SESSION,
	RB_OP_STDIO,
	RB_OP_CWD,   /* `from`, below src */
	RB_OP_LIMIT, /* settings->limits[src] */
	RB_OP_CAPS,
	RB_OP_IDS,
	RB_OP_FILTER,
	RB_OP_SUPERVISE, /* the second filter; its listener goes over the channel */
	RB_OP_EXEC,
};

struct rb_op {
	enum rb_op_kind kind;
	int src, dst;     /* indices into rb_step.fds */
	const char *from; /* borrowed from the step or static */
	const char *path;
	unsigned attrs;
	const char *what; /* "mounting /proc": for the sentence of a failure */
};

/* For each of the caller's mounts: its descriptor and that of a part; to wait, attach, release and
 * tidy. */
enum {
	RB_STEP_OPS_MAX = 96 + 4 * RB_EXEC_MOUNTS_MAX,
	RB_STEP_FDS_MAX = 64 + 2 * RB_EXEC_MOUNTS_MAX,
	RB_STEP_CANDIDATES_MAX = 256
};

/* A mount point made in the root because the image had none. */
struct rb_stub {
	int dir_fd; /* open directory that holds it; owned */
	char *name; /* owned */
	bool is_dir;
	ino_t ino;
	struct timespec before, after; /* mtime of the directory before and after it was made */
};

enum { RB_STEP_STUBS_MAX = 256 };

struct rb_stubs {
	struct rb_stub v[RB_STEP_STUBS_MAX];
	size_t n;
};

struct rb_step {
	const struct rb_exec_spec *spec; /* borrowed, until start returns */
	struct rb_user user;
	struct rb_op ops[RB_STEP_OPS_MAX];
	size_t n_ops;
	int fds[RB_STEP_FDS_MAX]; /* owned */
	size_t n_fds;
	int dev; /* index of the step's /dev */
	struct rb_stubs stubs;
	struct rb_strv names; /* that operations point to */
	struct rb_strv envp;
	struct rb_strv candidates; /* what execve is tried with, in this order */
	struct sock_fprog filter, supervision;
	enum rb_supervision_level supervision_level;
	uint64_t caps; /* what root of the step has; the kernel has those up to cap_last */
	unsigned cap_last;
	int stdio[3];   /* borrowed or made; -1 as 0: the step's /dev/null */
	int channel;    /* the child's end */
	int sys_net_fd; /* the network that /sys shows, where that is not the step's own; or -1 */
};

/* Adds a descriptor (takes it) and gives its index. */
int rb_step_fd(struct rb_step *s, int fd);
struct rb_op *rb_step_op(struct rb_step *s, enum rb_op_kind kind, const char *what);

/* Brings lo of our network namespace up. 0 or -errno; may be called in the child. */
int rb_loopback_up(void);

/* --- the parts of prepare --- */

/* The texts of the step's /etc/hosts and /etc/resolv.conf (exec-names.c). */
void rb_step_hosts(const struct rb_exec_spec *spec, struct rb_buf *ret);
void rb_step_resolv(const struct rb_exec_spec *spec, struct rb_buf *ret);
/* The host's; empty when it has none. */
void rb_resolv_read(struct rb_buf *ret);
/* Whether it names a server that only this host reaches. */
bool rb_resolv_is_local(const char *text);
/* What becomes of the text of the host's resolv.conf. */
void rb_resolv_adapt(const char *text, enum rb_network network, struct rb_buf *ret);

/* Mounts: from RB_OP_PREPARE of /proc to the last mask. */
int rb_step_add_mounts(struct rb_step *s, struct rb_error **err);
/* The caller's own, when the others are in their place (exec-extra.c). */
int rb_step_add_extra(struct rb_step *s, struct rb_error **err);
/* Makes what is missing of the working directory, which is `path` below root_fd, as the user's. */
int rb_step_make_cwd(struct rb_step *s, int root_fd, const char *path, struct rb_error **err);
/* For a set-up that failed with EPERM at `op`: switches a fresh procfs or sysfs off for this
 * process; true when another try makes sense. */
bool rb_step_mounts_retry(const struct rb_op *op, int sys_errno);

/*
 * Descriptor (O_PATH) of a mount point in the root, with links followed inside of it, made as
 * a directory or an empty file when missing. What is made is added to stubs. Links of the last
 * component are followed when follow_last is set, else refused.
 */
int rb_target_open(int root_fd, const char *path, bool is_dir, bool follow_last,
		   struct rb_stubs *stubs, struct rb_error **err);
/* Removes what is still as it was made, the last one first, and restores directory times. */
void rb_stubs_remove(struct rb_stubs *stubs);

/* argv[0] as the paths to try. */
int rb_command_candidates(const struct rb_exec_spec *spec, const struct rb_strv *envp,
			  struct rb_strv *ret, struct rb_error **err);
/* The sentence for an execve that failed. Always -1. */
int rb_command_explain(const struct rb_step *s, int sys_errno, struct rb_error **err);
/* The interpreter that a script or a program names, or NULL. Caller frees. */
char *rb_command_interpreter(int fd);

/* --- programs of other architectures (exec-foreign.c) --- */

/* Sees, once for each, that such programs run, where that is possible without root. `arch` as
 * images name it. What is missing is told when a program does not start. */
void rb_foreign_prepare(const char *arch);
/* Whether the program is of another machine and that is why it did not start; then *err is set. */
bool rb_foreign_explain(const char *name, int fd, int sys_errno, struct rb_error **err);

/* --- the child --- */

struct rb_child_message {
	uint32_t op; /* index of the operation that failed, or one of the next */
	int32_t sys_errno;
};
#define RB_EXEC_WANT_MAPS UINT32_MAX
#define RB_EXEC_LISTENER  (UINT32_MAX - 1) /* comes with a descriptor */

void rb_step_child(const struct rb_step *s) RB_NORETURN;

/* --- supervision (exec-supervision.c) --- */

struct rb_supervision {
	struct rb_supervise_spec spec;
	struct rb_supervisor supervisor; /* pid 0: not started */
	int listener;                    /* while not started; owned */
	bool seen_end;
	struct rb_error *error;
};
#define RB_SUPERVISION_INIT                                                                        \
	{                                                                                          \
		.supervisor = {.child = RB_CHILD_INIT, .result_fd = -1}, .listener = -1            \
	}

enum rb_supervision_level rb_supervision_choose(const struct rb_exec_spec *spec,
						const struct rb_user *u);
/* Takes the listener. Starts the supervisor, or leaves that to the step's first call. */
int rb_supervision_begin(struct rb_supervision *v, const struct rb_step *s,
			 const struct rb_child *child, int listener, struct rb_error **err);
/* What to wait for; -1: nothing. Borrowed. */
int rb_supervision_fd(const struct rb_supervision *v);
/* When that is readable: starts the supervisor, or ends a step whose supervisor has ended. */
void rb_supervision_attend(struct rb_supervision *v);
int rb_supervision_finish(struct rb_supervision *v, struct rb_error **err);
void rb_supervision_clear(struct rb_supervision *v);

/* --- out of memory --- */

struct rb_oom_mark {
	uint64_t kills, group_kills;
};
/* The kernel's counters now; zeros where they cannot be read. */
struct rb_oom_mark rb_oom_now(void);

#endif
