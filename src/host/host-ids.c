// SPDX-License-Identifier: Apache-2.0
/* Who the caller is and which ids he may map: /etc/subuid, /etc/subgid, or the map we live in. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "host/host-internal.h"

enum { FIELDS_MAX = 8, SUBID_FIRST = 100000, SUBID_COUNT = 65536 };

/* Splits at `sep`; returns the number of fields, at most FIELDS_MAX. */
static size_t split(struct rb_slice s, char sep, struct rb_slice *f)
{
	size_t n = 0;

	while (n < FIELDS_MAX) {
		const char *end = memchr(s.ptr, sep, s.len);
		size_t len = end ? (size_t)(end - s.ptr) : s.len;

		f[n++] = (struct rb_slice){s.ptr, len};
		if (!end)
			break;
		s.ptr += len + 1;
		s.len -= len + 1;
	}
	return n;
}

/* Cuts the next line off *text; false at the end. */
static bool next_line(const char **text, struct rb_slice *line)
{
	if (!**text)
		return false;
	*line = (struct rb_slice){*text, strcspn(*text, "\n")};
	*text += line->len + ((*text)[line->len] == '\n');
	return true;
}

static bool parse_id(struct rb_slice s, uint32_t *ret)
{
	uint64_t v;

	if (rb_parse_u64(s, UINT32_MAX - 1, &v) < 0)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* The login name of uid in text of the form of /etc/passwd. Caller frees; NULL: none. */
static char *passwd_name(const char *text, uid_t uid)
{
	struct rb_slice line, f[FIELDS_MAX];
	uint32_t id;

	while (next_line(&text, &line))
		if (split(line, ':', f) >= 3 && f[0].len && parse_id(f[2], &id) && id == uid)
			return rb_strndup(f[0].ptr, f[0].len);
	return NULL;
}

void rb_host_read(const char *path, struct rb_buf *ret)
{
	struct rb_error *err = NULL;

	if (rb_read_file_at(AT_FDCWD, path, RB_HOST_FILE_MAX, ret, &err) < 0) {
		rb_error_drop(&err);
		rb_buf_clear(ret);
	}
}

static bool has_set_id_caps(void)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t u = CAP_CLEAR, g = CAP_CLEAR;

	if (!caps)
		return false;
	(void)cap_get_flag(caps, CAP_SETUID, CAP_EFFECTIVE, &u);
	(void)cap_get_flag(caps, CAP_SETGID, CAP_EFFECTIVE, &g);
	(void)cap_free(caps);
	return u == CAP_SET && g == CAP_SET;
}

/* Directory users (LDAP, systemd-homed): only NSS knows them, and NSS lives in getent. */
static char *ask_name_of(uid_t uid)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *number = rb_asprintf("%u", uid);
	const char *const argv[] = {"getent", "passwd", number, NULL};
	struct rb_error *err = NULL;
	int r = rb_run_question(argv, RB_HOST_FILE_MAX, &text, &err);

	rb_error_drop(&err); /* without getent there is no name */
	return r == 0 ? passwd_name(text.ptr, uid) : NULL;
}

void rb_id_map_parse(const char *text, struct rb_id_map *ret)
{
	struct rb_id_extent e;
	int used;

	ret->n = 0;
	for (; ret->n < RB_ID_EXTENTS_MAX &&
	       sscanf(text, "%u %u %u%n", &e.inside, &e.outside, &e.count, &used) == 3;
	     text += used)
		ret->v[ret->n++] = e;
}

void rb_caller_get(struct rb_caller *c, bool ask_name)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	*c = (struct rb_caller){
		.uid = geteuid(), .gid = getegid(), .may_set_ids = has_set_id_caps()};
	if (!ask_name)
		return;
	rb_host_read("/proc/self/uid_map", &text);
	rb_id_map_parse(text.ptr, &c->uids);
	rb_host_read("/proc/self/gid_map", &text);
	rb_id_map_parse(text.ptr, &c->gids);
	rb_host_read("/proc/self/setgroups", &text);
	c->may_set_groups = !rb_starts_with(text.ptr, "deny");
	rb_host_read("/etc/passwd", &text);
	c->name = passwd_name(text.ptr, c->uid);
	c->name_local = c->name != NULL;
	if (!c->name)
		c->name = ask_name_of(c->uid);
}

void rb_caller_clear(struct rb_caller *c)
{
	free(c->name);
	*c = (struct rb_caller){0};
}

/*
 * Whether `m` holds id `at` (on its outer or inner side). *until receives where that ends: the end
 * of the extent, or the next extent's start.
 */
static bool span(const struct rb_id_map *m, bool outside, uint64_t at, uint64_t *until)
{
	*until = UINT32_MAX;
	for (size_t i = 0; i < m->n; i++) {
		uint64_t first = outside ? m->v[i].outside : m->v[i].inside;

		if (at >= first && at - first < m->v[i].count) {
			*until = first + m->v[i].count;
			return true;
		}
		if (first > at && first < *until)
			*until = first;
	}
	return false;
}

static void add_range(uint32_t first, uint32_t count, const struct rb_id_map *here,
		      struct rb_id_map *m)
{
	uint64_t end = (uint64_t)first + count, taken_until, here_until;

	if (end > UINT32_MAX)
		end = UINT32_MAX;
	for (uint64_t at = first, stop; at < end; at = stop) {
		bool taken = span(m, true, at, &taken_until);
		bool usable = span(here, false, at, &here_until) && !taken;
		uint32_t inside = rb_id_map_limit(m);

		stop = taken_until < here_until ? taken_until : here_until;
		stop = stop < end ? stop : end;
		if (!usable || m->n == RB_ID_EXTENTS_MAX || stop - at > UINT32_MAX - inside)
			continue;
		m->v[m->n++] = (struct rb_id_extent){
			.inside = inside, .outside = (uint32_t)at, .count = (uint32_t)(stop - at)};
	}
}

bool rb_subids_parse(const char *text, const char *name, uint32_t id, const struct rb_id_map *here,
		     struct rb_id_map *ret)
{
	struct rb_slice line, f[FIELDS_MAX];
	uint32_t first, count, owner;
	bool any = false;

	while (next_line(&text, &line)) {
		if (split(line, ':', f) != 3 || !parse_id(f[1], &first) || !parse_id(f[2], &count))
			continue;
		if ((name && rb_slice_eq(f[0], name)) || (parse_id(f[0], &owner) && owner == id)) {
			add_range(first, count, here, ret);
			any = true;
		}
	}
	return any;
}

bool rb_subids_parse_getsubids(const char *text, const struct rb_id_map *here,
			       struct rb_id_map *ret)
{
	struct rb_slice line, f[FIELDS_MAX];
	uint32_t first, count;
	bool any = false;

	while (next_line(&text, &line))
		if (split(line, ' ', f) == 4 && parse_id(f[2], &first) && parse_id(f[3], &count)) {
			add_range(first, count, here, ret);
			any = true;
		}
	return any;
}

/* Ids that somebody has: [first, end). */
struct used {
	uint32_t first;
	uint64_t end;
};

struct used_list {
	struct used *v;
	size_t n, cap;
};

/* Lines of at least three fields with an id in the second (and a count) or in the third. */
static void collect_used(const char *text, bool ranges, struct used_list *l)
{
	struct rb_slice line, f[FIELDS_MAX];
	uint32_t first, count = 1;

	while (next_line(&text, &line)) {
		if (split(line, ':', f) < 3 || !parse_id(f[ranges ? 1 : 2], &first) ||
		    (ranges && !parse_id(f[2], &count)))
			continue;
		rb_grow(l->v, l->n, &l->cap);
		l->v[l->n++] = (struct used){first, (uint64_t)first + count};
	}
}

static int by_first(const void *a, const void *b)
{
	const struct used *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

uint32_t rb_subids_free(const char *subuid, const char *subgid, const char *passwd, uint32_t id)
{
	struct used_list l = {0};
	uint64_t start = SUBID_FIRST;

	collect_used(subuid, true, &l);
	collect_used(subgid, true, &l);
	collect_used(passwd, false, &l);
	rb_grow(l.v, l.n, &l.cap);
	l.v[l.n++] = (struct used){id, (uint64_t)id + 1};
	qsort(l.v, l.n, sizeof(*l.v), by_first);
	for (size_t i = 0; i < l.n && l.v[i].first < start + SUBID_COUNT; i++)
		if (l.v[i].end > start)
			start = l.v[i].end;
	free(l.v);
	return start + SUBID_COUNT < UINT32_MAX ? (uint32_t)start : 0;
}

char *rb_subids_source(const char *nsswitch)
{
	struct rb_slice line;

	while (next_line(&nsswitch, &line)) {
		RB_CLEANUP(rb_strp) char *text = rb_strndup(line.ptr, line.len);
		char *save, *key = strtok_r(text, " \t", &save);
		char *source = key ? strtok_r(NULL, " \t", &save) : NULL;

		/* libsubid takes one source, the first. */
		if (key && rb_ascii_strcaseeq(key, "subid:"))
			return source && !rb_streq(source, "files") ? rb_strdup(source) : NULL;
	}
	return NULL;
}

static bool ask_getsubids(const char *const *argv, const struct rb_id_map *here,
			  struct rb_id_map *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;
	bool any = rb_run_question(argv, RB_HOST_FILE_MAX, &text, &err) == 0 &&
		   rb_subids_parse_getsubids(text.ptr, here, ret);

	rb_error_drop(&err); /* no answer is no range */
	return any;
}

bool rb_host_identity_maps(const struct rb_caller *c, struct rb_host *h)
{
	const struct rb_id_map *here[] = {&c->uids, &c->gids};
	struct rb_id_map *ret[] = {&h->uids, &h->gids};

	if (c->uid != 0 || !c->may_set_ids || !c->may_set_groups)
		return false;
	for (size_t i = 0; i < RB_ARRAY_LEN(here); i++) {
		/* An extent of a map must lie in one extent of the map around it. */
		uint64_t until, limit = rb_id_map_limit(here[i]);

		ret[i]->n = 0;
		for (uint64_t at = 0; at < limit; at = until) {
			(void)span(here[i], false, at, &until);
			ret[i]->v[ret[i]->n++] = (struct rb_id_extent){(uint32_t)at, (uint32_t)at,
								       (uint32_t)(until - at)};
		}
	}
	return rb_id_map_limit(&h->uids) > 1 && rb_id_map_limit(&h->gids) > 1;
}

void rb_host_single_maps(const struct rb_caller *c, struct rb_host *h)
{
	h->uids = (struct rb_id_map){.v = {{0, c->uid, 1}}, .n = 1};
	h->gids = (struct rb_id_map){.v = {{0, c->gid, 1}}, .n = 1};
}

/* What the caller's names in the files of subordinate ids, or in a directory service, give. */
struct sources {
	char *service;   /* from nsswitch.conf; NULL: files */
	bool uids, gids; /* somebody gave some, usable here or not */
	struct rb_buf subuid, subgid;
};

static void sources_clear(struct sources *s)
{
	free(s->service);
	rb_buf_clear(&s->subuid);
	rb_buf_clear(&s->subgid);
}

static void ask_sources(const struct rb_caller *c, struct rb_host *h, struct sources *s)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf nsswitch = RB_BUF_INIT;

	rb_host_read("/etc/nsswitch.conf", &nsswitch);
	s->service = rb_subids_source(nsswitch.ptr);
	if (s->service) {
		/* newuidmap then asks that service alone, and so does getsubids. */
		const char *const uids[] = {"getsubids", c->name ? c->name : "", NULL};
		const char *const gids[] = {"getsubids", "-g", uids[1], NULL};

		s->uids = ask_getsubids(uids, &c->uids, &h->uids);
		s->gids = ask_getsubids(gids, &c->gids, &h->gids);
		return;
	}
	rb_host_read("/etc/subuid", &s->subuid);
	rb_host_read("/etc/subgid", &s->subgid);
	s->uids = rb_subids_parse(s->subuid.ptr, c->name, c->uid, &c->uids, &h->uids);
	/* Lines of /etc/subgid, too, are by user, not by group. */
	s->gids = rb_subids_parse(s->subgid.ptr, c->name, c->uid, &c->gids, &h->gids);
}

static char *usermod_line(const struct rb_caller *c, bool need_uids, bool need_gids, uint32_t first)
{
	uint32_t last = first + SUBID_COUNT - 1;
	RB_CLEANUP(rb_strp) char *usermod = rb_find_program("usermod");
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	/* usermod knows the users of /etc/passwd only; busybox has none. */
	if (!c->name_local || !usermod)
		return rb_asprintf("echo %u:%u:%d | %stee -a%s%s", c->uid, first, SUBID_COUNT,
				   rb_host_sudo(), need_uids ? " /etc/subuid" : "",
				   need_gids ? " /etc/subgid" : "");
	rb_buf_addf(&b, "%susermod", rb_host_sudo());
	if (need_uids)
		rb_buf_addf(&b, " --add-subuids %u-%u", first, last);
	if (need_gids)
		rb_buf_addf(&b, " --add-subgids %u-%u", first, last);
	rb_buf_addf(&b, " %s", c->name);
	return rb_buf_steal(&b);
}

/* In a container there are as many ids as it has: all of them but root's and the caller's own. */
static void add_container_lines(const struct rb_caller *c, uint32_t own, uint32_t limit,
				const char *file, struct rb_buf *b)
{
	rb_buf_addf(b, "%sprintf '", b->len ? " && " : "");
	if (own > 1)
		rb_buf_addf(b, "%u:1:%u\\n", c->uid, (own < limit ? own : limit) - 1);
	if (own + 1 < limit)
		rb_buf_addf(b, "%u:%u:%u\\n", c->uid, own + 1, limit - own - 1);
	rb_buf_addf(b, "' | %stee -a %s", rb_host_sudo(), file);
}

static char *ids_line(const struct rb_caller *c, const struct sources *s)
{
	uint32_t uid_limit = rb_id_map_limit(&c->uids), gid_limit = rb_id_map_limit(&c->gids);
	RB_CLEANUP(rb_buf_clear) struct rb_buf passwd = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	rb_host_read("/etc/passwd", &passwd);
	uint32_t first = rb_subids_free(s->subuid.ptr, s->subgid.ptr, passwd.ptr, c->uid);
	if (first && first + SUBID_COUNT <= uid_limit && first + SUBID_COUNT <= gid_limit)
		return usermod_line(c, !s->uids, !s->gids, first);
	/* No container, or nothing is known of its ids. */
	if (uid_limit == UINT32_MAX || uid_limit < 2 || gid_limit < 2)
		return NULL;
	if (!s->uids)
		add_container_lines(c, c->uid, uid_limit, "/etc/subuid", &b);
	if (!s->gids)
		add_container_lines(c, c->gid, gid_limit, "/etc/subgid", &b);
	return rb_buf_steal(&b);
}

static void explain_service(const struct rb_caller *c, const struct sources *s, const char *who,
			    struct rb_obstacle *ret)
{
	RB_CLEANUP(rb_strp) char *getsubids = rb_find_program("getsubids");

	if (!getsubids) {
		ret->why = rb_asprintf("subordinate ids come from %s (subid: in "
				       "/etc/nsswitch.conf), and getsubids, which asks it, is not "
				       "installed",
				       s->service);
		ret->unlock = rb_host_install_line("getsubids", &ret->by_hand);
		return;
	}
	ret->by_hand = true;
	ret->why = rb_asprintf("%s has no subordinate %sids in %s (subid: in /etc/nsswitch.conf)",
			       who, s->uids ? "group " : "", s->service);
	ret->unlock = rb_asprintf("let the administrator of %s give %s a range (FreeIPA: ipa "
				  "subid-generate --owner=%s)",
				  s->service, c->name ? c->name : who, c->name ? c->name : "NAME");
}

/* The user namespace around us allows no more than one id, whatever the files say. */
static bool explain_namespace(const struct rb_caller *c, struct rb_obstacle *ret)
{
	uint64_t uids = 0, gids = 0;

	for (size_t i = 0; i < c->uids.n; i++)
		uids += c->uids.v[i].count;
	for (size_t i = 0; i < c->gids.n; i++)
		gids += c->gids.v[i].count;
	if (uids == 1 || gids == 1)
		ret->why = rb_asprintf("rbuild runs inside a user namespace with one %s id (as "
				       "unshare -r makes it), to which nothing can add more",
				       uids == 1 ? "user" : "group");
	else if (!c->may_set_groups)
		ret->why = rb_strdup("rbuild runs inside a user namespace that denies setgroups");
	else
		return false;
	ret->unlock = rb_strdup("run rbuild outside of that user namespace");
	ret->by_hand = true;
	return true;
}

bool rb_host_find_range(const struct rb_caller *c, struct rb_host *h, struct rb_obstacle *ret)
{
	RB_CLEANUP(sources_clear)
	struct sources s = {.subuid = RB_BUF_INIT, .subgid = RB_BUF_INIT};
	RB_CLEANUP(rb_strp)
	char *who = c->name ? rb_asprintf("%s (uid %u)", c->name, c->uid)
			    : rb_asprintf("the user with uid %u", c->uid);

	rb_host_single_maps(c, h);
	if (explain_namespace(c, ret))
		return false;
	ask_sources(c, h, &s);
	if (h->uids.n > 1 && h->gids.n > 1)
		return true;
	if (s.uids && s.gids) {
		ret->why = rb_asprintf("none of the subordinate ids of %s exist in the user "
				       "namespace (container) that rbuild runs in",
				       who);
		ret->unlock = rb_strdup("give the container more ids: its uid and gid maps must "
					"hold those of /etc/subuid and /etc/subgid");
		ret->by_hand = true;
	} else if (c->uid == 0 && !c->may_set_ids) {
		ret->why = rb_strdup("root lacks CAP_SETUID or CAP_SETGID here, with which it "
				     "could map the ids of this container");
		ret->unlock = rb_host_container_line("--cap-add SETUID --cap-add SETGID",
						     "capabilities: {add: [SETUID, SETGID]}");
		ret->by_hand = true;
	} else if (s.service) {
		explain_service(c, &s, who, ret);
	} else {
		ret->why = rb_asprintf("%s has no subordinate ids in %s", who,
				       s.uids   ? "/etc/subgid"
				       : s.gids ? "/etc/subuid"
						: "/etc/subuid and /etc/subgid");
		ret->unlock = ids_line(c, &s);
	}
	return false;
}
