/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of host/ share. */
#ifndef RB_HOST_INTERNAL_H
#define RB_HOST_INTERNAL_H

#include "host/host.h"

enum { RB_HOST_FILE_MAX = 16 << 20 }; /* limit for system files and answers of helpers, bytes */

/* Reads a small system file; an empty text when that is impossible: it then says nothing. */
void rb_host_read(const char *path, struct rb_buf *ret);

/* --- obstacles: why something does not work, and the line that changes it --- */

struct rb_obstacle {
	char *why;    /* a sentence; NULL: no obstacle */
	char *unlock; /* a line for the user or administrator, or NULL: nobody knows one */
	bool by_hand; /* the line is no command for a shell */
};
void rb_obstacle_clear(struct rb_obstacle *o);

/* "sudo ", or "" for root. */
const char *rb_host_sudo(void);
/* The line that installs what Debian calls `package`, with this machine's package manager; without
 * a known one it is no command, and *ret_by_hand is set. */
char *rb_host_install_line(const char *package, bool *ret_by_hand);
/*
 * How to change what the engine around this process decides: "start the container with <option>",
 * or with the fields `pod` of a security context in Kubernetes.
 */
char *rb_host_container_line(const char *option, const char *pod);
/* The command that lets AppArmor allow user namespaces to the program at `path`. */
char *rb_host_apparmor_line(const char *path);

/* Why user namespaces with mounts do not work, when an attempt failed with `cause`. */
void rb_host_explain_userns(const struct rb_error *cause, struct rb_obstacle *ret);

/* --- ids --- */

/* Who asks: resolved once per probe, without NSS in this process. */
struct rb_caller {
	uid_t uid;
	gid_t gid;
	char *name;          /* login name, NULL when nobody knows one */
	bool name_local;     /* the name stands in /etc/passwd, so usermod can change the user */
	bool may_set_ids;    /* CAP_SETUID and CAP_SETGID: maps are written without helpers */
	bool may_set_groups; /* not denied for good by the user namespace around us */
	struct rb_id_map uids, gids; /* of the user namespace we live in: `inside` is our side */
};
/* Name and maps are looked up only when ask_name is set: that may start a child (getent). */
void rb_caller_get(struct rb_caller *c, bool ask_name);
void rb_caller_clear(struct rb_caller *c);
/* The text of /proc/self/uid_map. */
void rb_id_map_parse(const char *text, struct rb_id_map *ret);

/*
 * Appends to *ret, which holds the caller's own id already, the ranges that the text of /etc/subuid
 * or /etc/subgid gives to the caller by name or by number. `here`: the ids of the user namespace we
 * live in. A range is cut where the kernel would refuse the map: what *ret has already and what is
 * not in `here` is left out, and a piece lies in one extent of `here`. True when a line was the
 * caller's, whether or not anything of it could be used.
 */
bool rb_subids_parse(const char *text, const char *name, uint32_t id, const struct rb_id_map *here,
		     struct rb_id_map *ret);
/* The same from the output of getsubids ("0: name first count"). */
bool rb_subids_parse_getsubids(const char *text, const struct rb_id_map *here,
			       struct rb_id_map *ret);
/*
 * The first id at or above 100000 from which 65536 ids belong to nobody: to no line of the texts of
 * /etc/subuid and /etc/subgid, no user of /etc/passwd, not to `id`. 0: there are none.
 */
uint32_t rb_subids_free(const char *subuid, const char *subgid, const char *passwd, uint32_t id);
/* Where nsswitch.conf takes subordinate ids from, when not from files; caller frees. */
char *rb_subids_source(const char *nsswitch);

/*
 * Fills uids and gids with what the caller may map, the own id first. False with *ret when that is
 * a single id.
 */
bool rb_host_find_range(const struct rb_caller *c, struct rb_host *h, struct rb_obstacle *ret);
/*
 * For root without subordinate ids of its own: maps what it has itself, number by number:
 * everything in the initial namespace, the container's share inside of one. False when the caller
 * is not such a root, or has a single id.
 */
bool rb_host_identity_maps(const struct rb_caller *c, struct rb_host *h);
/* Maps the own id alone. */
void rb_host_single_maps(const struct rb_caller *c, struct rb_host *h);

/*
 * Finds newuidmap and newgidmap (paths in *h) and looks at what they need. True when nothing known
 * keeps them from working; else the obstacle, and in *stable whether it hangs only on what the
 * cache key holds.
 */
bool rb_host_find_helpers(struct rb_host *h, struct rb_obstacle *ret, bool *stable);
/* Whether a program like these can gain its privilege in this process. All of it is in the cache
 * key. */
bool rb_host_may_gain_privilege(const struct rb_caller *c, struct rb_obstacle *ret);

/* --- deciding --- */

struct rb_findings {
	struct rb_obstacle userns;                  /* bars every rung */
	struct rb_obstacle ids, privilege, helpers; /* bar `range` */
	struct rb_id_map uids, gids;                /* what was found for `range`; n 0: nothing */
	bool set_ids;                               /* by CAP_SETUID */
	bool stable; /* nothing of it can change without changing the cache key */
};
void rb_findings_clear(struct rb_findings *f);

/* Enters with the maps of `h`, mounts something, makes the namespaces of a step and tries what the
 * supervisor needs, which is noted in *h. 0, or -1 with the reason. */
int rb_host_try(struct rb_host *h, struct rb_error **err);
/* Decides the rung by doing. */
void rb_host_decide(const char *mode, struct rb_host *h, struct rb_findings *ret);

/* --- the store --- */

/* Appends the checks of the file system that `path` is or will be on, and notes its kind and room.
 */
void rb_host_check_store(const char *path, struct rb_host *h);
/* "74 GiB", "512 KiB", "3 bytes" */
char *rb_host_size_text(uint64_t bytes);

/* --- mounts --- */

struct rb_mount {
	char *point;   /* where it is mounted */
	char *type;    /* "ext4" */
	char *options; /* "rw,nosuid" */
};
void rb_mount_clear(struct rb_mount *m);
/* The mount with this id in the text of /proc/self/mountinfo; false when it is not there. */
bool rb_mount_parse(const char *mountinfo, unsigned id, struct rb_mount *ret);
/* Whether a mount at "/" is among them: from inside a chroot it is not seen. */
bool rb_mount_shows_root(const char *mountinfo);
/* The mount that an open file lies on. */
bool rb_mount_of_fd(int fd, struct rb_mount *ret);

#endif
