/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of host/ share. */
#ifndef RB_HOST_INTERNAL_H
#define RB_HOST_INTERNAL_H

#include "host/host.h"

/* Who asks: resolved once per probe, without NSS in this process. */
struct rb_caller {
	uid_t uid;
	gid_t gid;
	char *name;       /* login name, NULL when nobody knows one */
	bool name_local;  /* the name stands in /etc/passwd, so usermod can change the user */
	bool may_set_ids; /* CAP_SETUID and CAP_SETGID: maps are written without helpers */
};
/* The name is looked up only when ask_name is set: that may start a child (getent). */
void rb_caller_get(struct rb_caller *c, bool ask_name);
void rb_caller_clear(struct rb_caller *c);

/*
 * Appends to *ret, which holds the caller's own id already, the ranges that the text of /etc/subuid
 * or /etc/subgid gives to the caller by name or by number. Ranges that overlap what is there are
 * left out: the kernel refuses a map that names an id twice. `next_free` (may be NULL) receives the
 * first id at or above 100000 that no line uses.
 */
void rb_subids_parse(const char *text, const char *name, uint32_t id, struct rb_id_map *ret,
		     uint32_t *next_free);
/* The same from the output of getsubids ("0: name first count"). */
void rb_subids_parse_getsubids(const char *text, struct rb_id_map *ret);

/*
 * Fills uids and gids with what the caller may map, the own id first. False with *why (a sentence)
 * and *unlock (a command line or NULL) when that is a single id; both owned by the caller.
 */
bool rb_host_find_range(const struct rb_caller *c, struct rb_host *h, char **why, char **unlock);
/*
 * For root without subordinate ids of its own: maps what it has itself, number by number:
 * everything in the initial namespace, the container's share inside of one. False when the caller
 * is not such a root, or has a single id.
 */
bool rb_host_identity_maps(const struct rb_caller *c, struct rb_host *h);
/* Maps the own id alone. */
void rb_host_single_maps(const struct rb_caller *c, struct rb_host *h);

/* Why user namespaces do not work, and the line that changes it (or NULL); `sys_errno` is what the
 * attempt gave. Both owned by the caller. */
char *rb_host_explain_userns(int sys_errno, char **unlock);

/* Enters with the maps of `h` and mounts something. 0, or -1 with the reason. */
int rb_host_try(const struct rb_host *h, struct rb_error **err);
/* Decides the rung by doing. With *unlock for what keeps it from the next one (or NULL). */
void rb_host_decide(const char *mode, struct rb_host *h, bool *ret_stable, char **unlock);

#endif
