/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One confined RUN (dockerfile.md 10 and 12, design 3.3). The parent prepares an array of setup
 * operations; the child is a loop over it. Works inside the user namespace that rb_host_enter()
 * made; the step gets a nested one.
 *
 * Order in the child: own mount, pid, ipc, uts, cgroup (and network, when asked) namespaces; mounts
 * by descriptor; pivot_root; nested user namespace (the parent writes its maps, so that mounts are
 * locked); cwd; bounding set dropped; limits; ids set with KEEPCAPS; filter loaded while
 * CAP_SYS_ADMIN of the nested namespace is effective; final capset; execve. no_new_privs stays off:
 * sudo and su work inside.
 *
 * Messages child -> parent on the status pipe: struct { uint32_t op; int32_t sys_errno } once on
 * failure; the byte sequence of op RB_EXEC_WANT_MAPS to ask for the maps; end of file means execve
 * worked.
 */
#ifndef RB_EXEC_EXEC_H
#define RB_EXEC_EXEC_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "host/host.h"
#include "layer/ledger.h"

enum rb_network {
	RB_NET_HOST,
	RB_NET_NONE,    /* a namespace with nothing but a loopback that is up */
	RB_NET_PRIVATE, /* that of net_fd, see exec/network.h */
};

/* What the user says of all steps (dockerfile.md 8.1). All borrowed. */
struct rb_exec_host {
	const char *name;
	const char *address; /* NULL: that of the host, as the step sees it */
};
struct rb_exec_limit {
	int resource; /* RLIMIT_* */
	uint64_t soft, hard;
};
struct rb_exec_settings {
	const struct rb_exec_host *hosts; /* lines of /etc/hosts */
	size_t n_hosts;
	const struct rb_exec_limit *limits; /* all others are ours */
	size_t n_limits;
	uint64_t shm_bytes; /* 0: 64 MiB */
};

/* A mount beside those that every step has. */
struct rb_exec_mount {
	const char *target; /* absolute, clean; not "/", /proc, /sys or /dev themselves */
	int fd; /* detached mount; borrowed. It serves one step, as the root does; several entries
		   may take parts of one. -1: a new tmpfs */
	const char *path; /* NULL: the whole mount, else an entry in it, links followed inside */
	bool read_only;
	struct rb_ledger *ledger; /* of the mount's whole tree, where it has owners that the disk
				     has not; borrowed until start returns; or NULL */
	uint64_t size_bytes;      /* of the tmpfs; 0: as much as the kernel gives */
};
enum { RB_EXEC_MOUNTS_MAX = 64 };

struct rb_exec_spec {
	int root_fd; /* detached mount of the step's root (writable); borrowed. It serves one step:
			the kernel takes the mount away with the step's namespace */
	const struct rb_host *host; /* rung and maps we are in */
	/* Owners of what is in the root, and of what the step makes (borrowed until finish), with
	 * the topmost tree that its table describes. NULL: owners are what the disk says. */
	struct rb_ledger *ledger;
	int diff_fd;
	bool has_owners; /* the root holds owners that the disk cannot: the step is to see them */
	const char *const
		*argv; /* argv[0] without "/" is searched in PATH of envp inside the root */
	const char *const *envp; /* complete but for HOME, which is added from the user's passwd
				    entry when missing */
	const char *arch;        /* of the step, as images name it; NULL: that of this machine */
	const char *cwd;         /* made 0755, owned by the user, when missing */
	const char *user;        /* config.User as text; NULL or "" is root (10.3) */
	enum rb_network network;
	int net_fd; /* RB_NET_PRIVATE: borrowed */
	/* RB_NET_PRIVATE: nobody serves that network yet. ask_fd, a socket, brings a byte at the
	 * other end before the step makes its first socket, which waits for a byte from there. See
	 * rb_exec_can_ask(). */
	bool net_on_demand;
	int ask_fd;           /* borrowed until finish */
	const char *hostname; /* NULL: "buildkitsandbox" */
	/* All capabilities of the step's user namespace and no filter (12). It has namespaces of
	 * its own to use them on, except where ids are emulated: its mounts stay ours then. */
	bool insecure;
	const struct rb_exec_settings *settings; /* NULL: none */
	/* Mounted in this order, so parents come before what lies in them. Mount points that are
	 * missing are made, and removed by finish when the step has not changed them. */
	const struct rb_exec_mount *mounts;
	size_t n_mounts;
	/* A file of a one-heredoc RUN with "#!": read-only at /dev/pipes/<name>, mode 0755. NULL:
	 * none. */
	const char *script_name;
	const char *script_body;
	bool terminal;            /* stdin is a terminal that is to be the step's own */
	int stdin_fd;             /* -1: /dev/null */
	int stdout_fd, stderr_fd; /* borrowed; -1: pipes are made, see struct rb_exec */
};

struct rb_exec {
	pid_t pid;
	int pidfd;     /* readable when the step has ended */
	int out_fd;    /* read end of stdout, or -1 */
	int err_fd;    /* read end of stderr, or -1 */
	int attend_fd; /* readable when rb_exec_attend() is to be called; borrowed,
			  or -1, changes by that call */
	struct rb_exec_private *private_; /* owned */
};

/*
 * Makes the system call filters of steps ready, from the cache below cache_fd (the
 * store's directory for per-boot results) or anew, 2 ms, then kept there. Without this call the
 * first step makes them.
 */
int rb_exec_filter_prepare(int cache_fd, struct rb_error **err);

/*
 * Starts the step and returns when its set-up is over and execve worked (a few milliseconds), or
 * with the sentence of what failed: an executable that is not in PATH, a missing interpreter
 * (named), a missing user, a user that this rung cannot become (names the reason). Errors:
 * RB_ERR_RUN with exit status 127 / 126 for what the command is to blame for, NOTFOUND "unable to
 * find user X: no matching entries in passwd file", UNSUPPORTED, SYS.
 */
int rb_exec_start(const struct rb_exec_spec *spec, struct rb_exec *ret, struct rb_error **err);

/* Whether a step of this specification can have net_on_demand: somebody watches its calls. */
bool rb_exec_can_ask(const struct rb_exec_spec *spec);

/* Starts the step's supervisor at the first call that needs one, or ends a step whose supervisor is
 * gone; what went wrong is told by finish. */
void rb_exec_attend(struct rb_exec *e);

struct rb_exec_result {
	int exit_status;    /* 0..255; 128 + signal when killed */
	int signal;         /* 0 unless killed by one */
	bool out_of_memory; /* killed by SIGKILL while the kernel's OOM counters moved (10.8 and 12)
			     */
};
/* Collects the end of the step (waits for it) and removes mount point stubs it left in the root.
 * Clears *e. */
int rb_exec_finish(struct rb_exec *e, struct rb_exec_result *ret, struct rb_error **err);
/* Kills the whole pid namespace of the step and reaps it. Clears *e. */
void rb_exec_kill(struct rb_exec *e);

/*
 * Looks a user specification up in /etc/passwd and /etc/group below root_fd (regular files of at
 * most 10 MiB, never blocking; threats S22). `spec` as in USER and --chown: name or uid, optionally
 * ":group". Numbers above 2^32-2 are refused (S21).
 */
struct rb_user {
	uint32_t uid, gid;
	uint32_t *groups; /* supplementary, the primary included; owned */
	size_t n_groups;
	char *home; /* "/" when unknown; owned */
};
int rb_user_lookup(int root_fd, const char *spec, struct rb_user *ret, struct rb_error **err);
void rb_user_clear(struct rb_user *u);
/*
 * --chown=U[:G] (dockerfile.md 3.9): a numeric user without group gives the same number as group; a
 * user name gives its primary group; unknown names are errors.
 */
int rb_user_lookup_owner(int root_fd, const char *spec, uint32_t *ret_uid, uint32_t *ret_gid,
			 struct rb_error **err);

#endif
