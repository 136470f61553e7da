// SPDX-License-Identifier: Apache-2.0
/* Choosing the rung by doing, and remembering the answer until the next boot. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
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

enum { SMALL_FILE_MAX = 64 << 10 };

void rb_findings_clear(struct rb_findings *f)
{
	rb_obstacle_clear(&f->userns);
	rb_obstacle_clear(&f->ids);
	rb_obstacle_clear(&f->privilege);
	rb_obstacle_clear(&f->helpers);
}

static void drop_helpers(struct rb_host *h)
{
	free(h->newuidmap);
	free(h->newgidmap);
	h->newuidmap = h->newgidmap = NULL;
}

/* With the maps and helpers of *h. *ret_why is the reason of a failure. */
static bool range_works(struct rb_host *h, char **ret_why)
{
	struct rb_error *err = NULL;

	h->rung = RB_RUNG_RANGE;
	if (rb_host_try(h, &err) == 0)
		return true;
	free(*ret_why);
	*ret_why = rb_error_text(err);
	rb_error_drop(&err); /* its text is the reason now */
	return false;
}

/* *ret_why: what an attempt failed with. */
static bool decide_range(const struct rb_caller *c, struct rb_host *h, struct rb_findings *f,
			 char **ret_why)
{
	bool found = rb_host_find_range(c, h, &f->ids), usable = true;

	if (found) {
		f->uids = h->uids;
		f->gids = h->gids;
	}
	/* A container's root without CAP_SETUID wants that, not helpers. */
	f->set_ids = c->may_set_ids || (c->uid == 0 && !found);
	/* Looked at without ids, too: all that is missing goes into one answer. */
	if (!f->set_ids) {
		bool may_gain = rb_host_may_gain_privilege(c, &f->privilege);

		usable = rb_host_find_helpers(h, &f->helpers, &f->stable) && may_gain;
	}
	/* Known obstacles are guesses, the attempt decides; but without helpers there is none. */
	if (found && (f->set_ids || (h->newuidmap && h->newgidmap))) {
		if (range_works(h, ret_why)) {
			rb_obstacle_clear(&f->privilege);
			rb_obstacle_clear(&f->helpers);
			f->stable = true;
			return true;
		}
		f->stable = f->stable && !usable;
	}
	/* Root, perhaps with ids in /etc/subuid that its container does not have. */
	if (!rb_host_identity_maps(c, h))
		return false;
	rb_obstacle_clear(&f->ids);
	f->uids = h->uids;
	f->gids = h->gids;
	return range_works(h, ret_why);
}

/* All that bars a rung, and one line for all of it. */
static void sum_up(const struct rb_obstacle *const *v, size_t n, char **ret_why, char **ret_unlock)
{
	struct rb_buf why = RB_BUF_INIT, unlock = RB_BUF_INIT;
	bool by_hand = false;

	for (size_t i = 0; i < n; i++) {
		if (!v[i]->why)
			continue;
		rb_buf_addf(&why, "%s%s", why.len ? "; " : "", v[i]->why);
		if (!v[i]->unlock)
			continue;
		rb_buf_addf(&unlock, "%s%s",
			    !unlock.len ? "" : (by_hand || v[i]->by_hand ? "; then " : " && "),
			    v[i]->unlock);
		by_hand = v[i]->by_hand;
	}
	*ret_why = rb_buf_steal(&why);
	*ret_unlock = unlock.len ? rb_buf_steal(&unlock) : NULL;
}

static void decide_single(const struct rb_caller *c, struct rb_host *h, struct rb_findings *f)
{
	struct rb_error *err = NULL;

	drop_helpers(h);
	h->rung = RB_RUNG_SINGLE;
	rb_host_single_maps(c, h);
	if (rb_host_try(h, &err) == 0)
		return;
	f->stable = false;
	h->rung = RB_RUNG_NONE;
	rb_host_explain_userns(err, &f->userns);
	rb_error_drop(&err); /* explained */
	h->why_not_single = rb_strdup(f->userns.why);
	h->unlock_single = f->userns.unlock ? rb_strdup(f->userns.unlock) : NULL;
}

void rb_host_decide(const char *mode, struct rb_host *h, struct rb_findings *f)
{
	RB_CLEANUP(rb_caller_clear) struct rb_caller c;
	const struct rb_obstacle *const bars[] = {&f->userns, &f->ids, &f->privilege, &f->helpers};
	bool try_range = !mode || rb_streq(mode, "range");
	RB_CLEANUP(rb_strp) char *why = NULL;

	*f = (struct rb_findings){.stable = true};
	rb_caller_get(&c, try_range);
	if (try_range && decide_range(&c, h, f, &why))
		return;
	/* Without a name no line by name was looked for, and the service that knows it may be down.
	 */
	f->stable = f->stable && c.name;
	decide_single(&c, h, f);
	/* What bars one id bars a range: the lower obstacle is the one to name. */
	if (h->rung != RB_RUNG_NONE && why && !f->privilege.why && !f->helpers.why)
		f->helpers.why = rb_steal_ptr(&why);
	if (try_range)
		sum_up(bars, RB_ARRAY_LEN(bars), &h->why_not_range, &h->unlock_range);
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
	static const char *const texts[] = {
		"/proc/sys/kernel/random/boot_id",
		"/proc/self/attr/current",
		"/proc/sys/user/max_user_namespaces",
		"/proc/sys/kernel/unprivileged_userns_clone",
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
	};
	static const char *const files[] = {
		"/proc/self/exe", /* AppArmor's profiles go by program */
		"/etc/subuid",    "/etc/subgid", "/etc/passwd", "/etc/nsswitch.conf",
	};
	static const int caps_needed[] = {CAP_SETUID, CAP_SETGID, CAP_SETFCAP};
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{0}};
	struct stat ns = {0};

	rb_hash_addstr(hash, "rbuild host 2");
	for (size_t i = 0; i < RB_ARRAY_LEN(texts); i++)
		hash_text(hash, texts[i]);
	(void)stat("/proc/self/ns/user", &ns);
	rb_hash_addu64(hash, ns.st_ino); /* its times are those of an inode in memory */
	for (size_t i = 0; i < RB_ARRAY_LEN(files); i++)
		hash_file(hash, files[i]);
	for (size_t i = 0; i < RB_ARRAY_LEN(helpers); i++) {
		RB_CLEANUP(rb_strp) char *path = rb_find_program(helpers[i]);

		rb_hash_addstr(hash, path);
		hash_file(hash, path ? path : "");
	}
	(void)capget(&head, caps);
	rb_hash_add(hash, caps, sizeof(caps));
	for (size_t i = 0; i < RB_ARRAY_LEN(caps_needed); i++)
		rb_hash_addu64(hash, (uint64_t)prctl(PR_CAPBSET_READ, caps_needed[i]));
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
	rb_json_set_i64(j, "notify", h->notify_errno);
	rb_json_set_i64(j, "inspect", h->inspect_errno);
	rb_json_set_bool(j, "killable", h->notify_killable);
	rb_json_set_bool(j, "sync", h->notify_sync);
	RB_CLEANUP(rb_strp) char *text = rb_json_dump(j, 0);
	if (rb_publish_at(cache_fd, CACHE_NAME, text, strlen(text), 0600, &err) < 0)
		rb_error_drop(&err); /* then the next start probes again */
}

static bool load_map(const struct rb_json *j, const char *key, struct rb_id_map *ret)
{
	const char *text = rb_json_string(rb_json_member(j, key), NULL);

	ret->n = 0;
	if (text)
		rb_id_map_parse(text, ret);
	return ret->n > 0;
}

static char *load_str(const struct rb_json *j, const char *key)
{
	const char *text = rb_json_string(rb_json_member(j, key), NULL);

	return text ? rb_strdup(text) : NULL;
}

static bool load_numbers(const struct rb_json *j, struct rb_host *h)
{
	struct rb_error *err = NULL;
	int64_t notify = ENOSYS, inspect = ENOSYS;

	if (rb_json_get_i64(j, "notify", CACHE_NAME, &notify, &err) < 0 ||
	    rb_json_get_i64(j, "inspect", CACHE_NAME, &inspect, &err) < 0 ||
	    rb_json_get_bool(j, "killable", CACHE_NAME, &h->notify_killable, &err) < 0 ||
	    rb_json_get_bool(j, "sync", CACHE_NAME, &h->notify_sync, &err) < 0) {
		rb_error_drop(&err); /* nothing remembered */
		return false;
	}
	h->notify_errno = (int)notify;
	h->inspect_errno = (int)inspect;
	h->can_notify = notify == 0 && inspect == 0;
	return true;
}

static bool load(int cache_fd, const char *key, struct rb_host *h)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_json_freep) struct rb_json *j = NULL;
	struct rb_error *err = NULL;

	if (rb_read_file_at(cache_fd, CACHE_NAME, SMALL_FILE_MAX, &text, &err) < 0 ||
	    !(j = rb_json_parse(text.ptr, text.len, CACHE_NAME, &err))) {
		rb_error_drop(&err); /* nothing remembered */
		return false;
	}
	RB_CLEANUP(rb_strp) char *got = load_str(j, "key");
	RB_CLEANUP(rb_strp) char *rung = load_str(j, "rung");
	if (!got || !rung || !rb_streq(got, key) || !load_map(j, "uids", &h->uids) ||
	    !load_map(j, "gids", &h->gids) || !load_numbers(j, h))
		return false;
	h->rung = rb_streq(rung, "range") ? RB_RUNG_RANGE : RB_RUNG_SINGLE;
	h->newuidmap = load_str(j, "newuidmap");
	h->newgidmap = load_str(j, "newgidmap");
	h->why_not_range = load_str(j, "why");
	return true;
}

void rb_host_forget(int cache_fd)
{
	(void)unlinkat(cache_fd, CACHE_NAME, 0);
}

static int check_mode(const char *mode, const struct rb_host *h, struct rb_error **err)
{
	bool range = mode && rb_streq(mode, "range");
	const char *why = range ? h->why_not_range : h->why_not_single;
	const char *unlock = range ? h->unlock_range : h->unlock_single;

	if (!mode || !why)
		return 0;
	return rb_fail(err, RB_ERR_UNSUPPORTED, "--mode=%s is not possible here: %s%s%s", mode, why,
		       unlock ? "; this would allow it: " : "", unlock ? unlock : "");
}

int rb_host_probe(const char *mode, int cache_fd, struct rb_host *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_host_clear) struct rb_host h = {0};
	RB_CLEANUP(rb_findings_clear) struct rb_findings f = {0};
	char key[RB_DIGEST_TEXT_BYTES] = "";

	/* A forced mode is a question of its own; the cache holds the free choice. */
	if (!mode && cache_fd >= 0)
		cache_key(key);
	if (*key && load(cache_fd, key, &h)) {
		rb_log_debug("host: mode %s, as found earlier", rb_rung_name(h.rung));
		*ret = h;
		h = (struct rb_host){0};
		return 0;
	}
	rb_host_clear(&h);
	rb_host_decide(mode, &h, &f);
	if (check_mode(mode, &h, err) < 0)
		return -1;
	if (*key && f.stable)
		save(cache_fd, key, &h);
	rb_log_debug("host: mode %s%s%s", rb_rung_name(h.rung), h.why_not_range ? ": " : "",
		     h.why_not_range ? h.why_not_range : "");
	*ret = h;
	h = (struct rb_host){0};
	return 0;
}
