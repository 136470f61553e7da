// SPDX-License-Identifier: Apache-2.0
/* Choosing the rung by doing, and remembering the answer until the next boot. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "host/host-internal.h"

#define CACHE_NAME "host-probe"

enum { SMALL_FILE_MAX = 64 << 10, MODE_SECCOMP_FILTER = 2 };

/* AppArmor can let unshare pass and refuse what follows, so something is mounted. */
static int try_mount(void *ctx)
{
	(void)ctx;
	return mount("rbuild", "/", "tmpfs", MS_NOSUID | MS_NODEV, "size=4k") < 0 ? errno : 0;
}

int rb_host_try(const struct rb_host *h, struct rb_error **err)
{
	int r = rb_host_enter(h, try_mount, NULL, err);

	return r > 0 ? rb_fail_sys(err, -r, "cannot mount inside the user namespace") : r;
}

static bool file_says(const char *path, const char *value)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;

	/* A kernel without this switch has no such file, and then it is not the reason. */
	if (rb_read_file_at(AT_FDCWD, path, SMALL_FILE_MAX, &text, &err) < 0)
		rb_error_drop(&err);
	return rb_slice_eq((struct rb_slice){text.ptr, strcspn(text.ptr, "\n")}, value);
}

static char *apparmor_line(void)
{
	RB_CLEANUP(rb_strp) char *self = rb_calloc(1, SMALL_FILE_MAX);

	if (readlink("/proc/self/exe", self, SMALL_FILE_MAX - 1) < 0)
		return NULL;
	return rb_asprintf("printf 'abi <abi/4.0>,\\nprofile rbuild %s flags=(unconfined) "
			   "{\\n  userns,\\n}\\n' | sudo tee /etc/apparmor.d/rbuild && sudo "
			   "apparmor_parser -r /etc/apparmor.d/rbuild",
			   self);
}

char *rb_host_explain_userns(int sys_errno, char **unlock)
{
	static const struct {
		const char *path, *value, *why, *unlock;
	} switches[] = {
		{"/proc/sys/user/max_user_namespaces", "0",
		 "user namespaces are switched off (user.max_user_namespaces = 0)",
		 "sudo sysctl -w user.max_user_namespaces=15000"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0",
		 "user namespaces are for root only (kernel.unprivileged_userns_clone = 0)",
		 "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		 "AppArmor allows user namespaces to listed programs only "
		 "(kernel.apparmor_restrict_unprivileged_userns = 1)",
		 NULL},
	};

	*unlock = NULL;
	for (size_t i = 0; i < RB_ARRAY_LEN(switches); i++) {
		if (!file_says(switches[i].path, switches[i].value))
			continue;
		*unlock = switches[i].unlock ? rb_strdup(switches[i].unlock) : apparmor_line();
		return rb_strdup(switches[i].why);
	}
	if (prctl(PR_GET_SECCOMP) == MODE_SECCOMP_FILTER) {
		*unlock =
			rb_strdup("start the container with --security-opt seccomp=unconfined, or "
				  "with a profile that allows clone, unshare and mount");
		return rb_strdup("a seccomp filter around this process forbids user namespaces or "
				 "mounts");
	}
	return rb_asprintf("the kernel refuses a user namespace with mounts (%s)",
			   strerrordesc_np(sys_errno ? sys_errno : EPERM));
}

static int root_errno(const struct rb_error *e)
{
	while (e->cause)
		e = e->cause;
	return e->sys_errno;
}

static bool find_helpers(struct rb_host *h, char **unlock)
{
	h->newuidmap = rb_find_program("newuidmap");
	h->newgidmap = rb_find_program("newgidmap");
	if (h->newuidmap && h->newgidmap)
		return true;
	*unlock = rb_strdup("sudo apt-get install uidmap");
	return false;
}

static bool range_works(struct rb_host *h)
{
	struct rb_error *err = NULL;

	if (rb_host_try(h, &err) == 0)
		return true;
	free(h->why_not_range);
	h->why_not_range = rb_error_text(err);
	rb_error_drop(&err); /* its text is the reason now */
	return false;
}

/* *stable: the answer hangs on nothing that could change unseen. */
static bool decide_range(const struct rb_caller *c, struct rb_host *h, bool *stable, char **unlock)
{
	bool found = rb_host_find_range(c, h, &h->why_not_range, unlock);

	h->rung = RB_RUNG_RANGE;
	*stable = !found;
	if (found && !c->may_set_ids && !find_helpers(h, unlock)) {
		h->why_not_range =
			rb_strdup("newuidmap and newgidmap are not installed (package uidmap)");
		return false;
	}
	if (found && range_works(h)) {
		*stable = true;
		return true;
	}
	/* Root with ids of its own in /etc/subuid that its container does not have. */
	if (!rb_host_identity_maps(c, h) || !range_works(h))
		return false;
	*stable = true;
	free(h->why_not_range);
	h->why_not_range = NULL;
	return true;
}

void rb_host_decide(const char *mode, struct rb_host *h, bool *ret_stable, char **unlock)
{
	RB_CLEANUP(rb_caller_clear) struct rb_caller c;
	struct rb_error *err = NULL;
	bool try_range = !mode || rb_streq(mode, "range");

	*ret_stable = true;
	rb_caller_get(&c, try_range);
	if (try_range && decide_range(&c, h, ret_stable, unlock))
		return;
	free(h->newuidmap);
	free(h->newgidmap);
	h->newuidmap = h->newgidmap = NULL;
	h->rung = RB_RUNG_SINGLE;
	rb_host_single_maps(&c, h);
	if (rb_host_try(h, &err) == 0)
		return;
	/* What bars one id bars a range: the lower obstacle is the one to name. */
	free(*unlock);
	*ret_stable = false;
	h->rung = RB_RUNG_NONE;
	h->why_not_single = rb_host_explain_userns(root_errno(err), unlock);
	rb_error_drop(&err); /* explained */
}

static void hash_file(struct rb_hash *hash, const char *path)
{
	struct stat st = {0};

	(void)stat(path, &st); /* a missing file is a state as well: zeros */
	rb_hash_addu64(hash, st.st_ino);
	rb_hash_addu64(hash, (uint64_t)st.st_size);
	rb_hash_addu64(hash, st.st_mode);
	rb_hash_addu64(hash, (uint64_t)st.st_ctim.tv_sec);
	rb_hash_addu64(hash, (uint64_t)st.st_ctim.tv_nsec);
}

static void hash_text(struct rb_hash *hash, const char *path)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;

	if (rb_read_file_at(AT_FDCWD, path, SMALL_FILE_MAX, &text, &err) < 0)
		rb_error_drop(
			&err); /* /proc/self/attr/current is EINVAL without a security module */
	rb_hash_addstr(hash, text.ptr);
}

/* All that the answer hangs on and that can differ within one boot. */
static void cache_key(char buf[static RB_DIGEST_TEXT_BYTES])
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *hash = rb_hash_new();
	static const char *const helpers[] = {"newuidmap", "newgidmap"};
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{0}};
	struct stat ns = {0};

	rb_hash_addstr(hash, "rbuild host 1");
	hash_text(hash, "/proc/sys/kernel/random/boot_id");
	hash_text(hash, "/proc/self/attr/current");
	hash_text(hash, "/proc/sys/user/max_user_namespaces");
	(void)stat("/proc/self/ns/user", &ns);
	rb_hash_addu64(hash, ns.st_ino); /* its times are those of an inode in memory */
	hash_file(hash, "/etc/subuid");
	hash_file(hash, "/etc/subgid");
	hash_file(hash, "/etc/passwd");
	for (size_t i = 0; i < RB_ARRAY_LEN(helpers); i++) {
		RB_CLEANUP(rb_strp) char *path = rb_find_program(helpers[i]);

		rb_hash_addstr(hash, path);
		hash_file(hash, path ? path : "");
	}
	(void)capget(&head, caps);
	rb_hash_add(hash, caps, sizeof(caps));
	rb_hash_addu64(hash, geteuid());
	rb_hash_addu64(hash, getegid());
	rb_hash_addu64(hash, (uint64_t)prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	rb_hash_addu64(hash, (uint64_t)prctl(PR_GET_SECCOMP));
	struct rb_digest d = rb_hash_final(hash);
	(void)rb_digest_text(&d, buf);
}

static char *map_text(const struct rb_id_map *m)
{
	struct rb_buf b = RB_BUF_INIT;

	for (size_t i = 0; i < m->n; i++)
		rb_buf_addf(&b, "%u %u %u\n", m->v[i].inside, m->v[i].outside, m->v[i].count);
	return rb_buf_steal(&b);
}

static bool parse_map(const char *text, struct rb_id_map *ret)
{
	struct rb_id_extent e;
	int used;

	ret->n = 0;
	for (; text && *text; text += used) {
		if (ret->n == RB_ID_EXTENTS_MAX ||
		    sscanf(text, "%u %u %u\n%n", &e.inside, &e.outside, &e.count, &used) != 3)
			return false;
		ret->v[ret->n++] = e;
	}
	return ret->n > 0;
}

static void save(int cache_fd, const char *key, const struct rb_host *h)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *j = rb_json_new_object();
	RB_CLEANUP(rb_strp) char *uids = map_text(&h->uids);
	RB_CLEANUP(rb_strp) char *gids = map_text(&h->gids);
	struct rb_error *err = NULL;

	rb_json_set_str(j, "key", key);
	rb_json_set_str(j, "rung", rb_rung_name(h->rung));
	rb_json_set_str(j, "uids", uids);
	rb_json_set_str(j, "gids", gids);
	if (h->newuidmap)
		rb_json_set_str(j, "newuidmap", h->newuidmap);
	if (h->newgidmap)
		rb_json_set_str(j, "newgidmap", h->newgidmap);
	if (h->why_not_range)
		rb_json_set_str(j, "why", h->why_not_range);
	RB_CLEANUP(rb_strp) char *text = rb_json_dump(j, 0);
	if (rb_publish_at(cache_fd, CACHE_NAME, text, strlen(text), 0600, &err) < 0)
		rb_error_drop(&err); /* then the next start probes again */
}

static bool load(int cache_fd, const char *key, struct rb_host *h)
{
	static const char what[] = CACHE_NAME;
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_json_freep) struct rb_json *j = NULL;
	const char *got = NULL, *rung = NULL, *uids = NULL, *gids = NULL;
	const char *newuidmap = NULL, *newgidmap = NULL, *why = NULL;
	struct rb_error *err = NULL;

	if (rb_read_file_at(cache_fd, CACHE_NAME, SMALL_FILE_MAX, &text, &err) < 0 ||
	    !(j = rb_json_parse(text.ptr, text.len, what, &err)) ||
	    rb_json_get_str(j, "key", what, &got, &err) < 0 ||
	    rb_json_get_str(j, "rung", what, &rung, &err) < 0 ||
	    rb_json_get_str(j, "uids", what, &uids, &err) < 0 ||
	    rb_json_get_str(j, "gids", what, &gids, &err) < 0 ||
	    rb_json_get_str(j, "newuidmap", what, &newuidmap, &err) < 0 ||
	    rb_json_get_str(j, "newgidmap", what, &newgidmap, &err) < 0 ||
	    rb_json_get_str(j, "why", what, &why, &err) < 0) {
		rb_error_drop(&err); /* nothing remembered */
		return false;
	}
	if (!got || !rung || !rb_streq(got, key) || !parse_map(uids, &h->uids) ||
	    !parse_map(gids, &h->gids))
		return false;
	h->rung = rb_streq(rung, "range") ? RB_RUNG_RANGE : RB_RUNG_SINGLE;
	h->newuidmap = newuidmap ? rb_strdup(newuidmap) : NULL;
	h->newgidmap = newgidmap ? rb_strdup(newgidmap) : NULL;
	h->why_not_range = why ? rb_strdup(why) : NULL;
	return true;
}

static int check_mode(const char *mode, const struct rb_host *h, const char *unlock,
		      struct rb_error **err)
{
	if (!mode || rb_streq(mode, rb_rung_name(h->rung)))
		return 0;
	return rb_fail(err, RB_ERR_UNSUPPORTED, "--mode=%s is not possible here: %s%s%s", mode,
		       h->why_not_single ? h->why_not_single : h->why_not_range,
		       unlock ? "; this would allow it: " : "", unlock ? unlock : "");
}

int rb_host_probe(const char *mode, int cache_fd, struct rb_host *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_host_clear) struct rb_host h = {0};
	RB_CLEANUP(rb_strp) char *unlock = NULL;
	char key[RB_DIGEST_TEXT_BYTES] = "";
	bool stable;

	if (mode && !rb_streq(mode, "range") && !rb_streq(mode, "single"))
		return rb_fail(err, RB_ERR_USAGE, "unknown mode \"%s\": range or single", mode);
	/* A forced mode is a question of its own; the cache holds the free choice. */
	if (!mode && cache_fd >= 0)
		cache_key(key);
	if (*key && load(cache_fd, key, &h)) {
		rb_log_debug("host: mode %s, as found earlier", rb_rung_name(h.rung));
		*ret = h;
		h = (struct rb_host){0};
		return 0;
	}
	rb_host_decide(mode, &h, &stable, &unlock);
	if (check_mode(mode, &h, unlock, err) < 0)
		return -1;
	if (*key && stable)
		save(cache_fd, key, &h);
	rb_log_debug("host: mode %s%s%s", rb_rung_name(h.rung), h.why_not_range ? ": " : "",
		     h.why_not_range ? h.why_not_range : "");
	*ret = h;
	h = (struct rb_host){0};
	return 0;
}
