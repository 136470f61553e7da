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

enum {
	ID_FILE_BYTES_MAX = 16 << 20,
	FIELDS_MAX = 8,
	SUBID_FIRST = 100000,
	SUBID_COUNT = 65536,
};

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

/* Reads a small system file; an empty text when that is impossible: it then says nothing. */
static void read_text(const char *path, struct rb_buf *ret)
{
	struct rb_error *err = NULL;

	if (rb_read_file_at(AT_FDCWD, path, ID_FILE_BYTES_MAX, ret, &err) < 0)
		rb_error_drop(&err);
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

void rb_caller_get(struct rb_caller *c, bool ask_name)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	*c = (struct rb_caller){
		.uid = geteuid(), .gid = getegid(), .may_set_ids = has_set_id_caps()};
	if (!ask_name)
		return;
	read_text("/etc/passwd", &text);
	c->name = passwd_name(text.ptr, c->uid);
	c->name_local = c->name != NULL;
	if (c->name)
		return;
	/* Directory users (LDAP, systemd-homed): only NSS knows them, and NSS lives in getent. */
	RB_CLEANUP(rb_strp) char *uid = rb_asprintf("%u", c->uid);
	const char *const argv[] = {"getent", "passwd", uid, NULL};
	struct rb_error *err = NULL;

	if (rb_run_capture(argv, ID_FILE_BYTES_MAX, &text, &err) == 0)
		c->name = passwd_name(text.ptr, c->uid);
	rb_error_drop(&err); /* without getent there is no name, and lines by number still count */
}

void rb_caller_clear(struct rb_caller *c)
{
	free(c->name);
	*c = (struct rb_caller){0};
}

static bool overlaps(const struct rb_id_map *m, uint32_t first, uint32_t count)
{
	for (size_t i = 0; i < m->n; i++) {
		uint64_t a = m->v[i].outside, b = a + m->v[i].count;

		if (first < b && (uint64_t)first + count > a)
			return true;
	}
	return false;
}

static void add_range(struct rb_id_map *m, uint32_t first, uint32_t count)
{
	uint32_t inside = rb_id_map_limit(m);

	if (count > UINT32_MAX - inside)
		count = UINT32_MAX - inside;
	if (!count || m->n == RB_ID_EXTENTS_MAX || (uint64_t)first + count > UINT32_MAX ||
	    overlaps(m, first, count))
		return;
	m->v[m->n++] = (struct rb_id_extent){.inside = inside, .outside = first, .count = count};
}

void rb_subids_parse(const char *text, const char *name, uint32_t id, struct rb_id_map *ret,
		     uint32_t *next_free)
{
	struct rb_slice line, f[FIELDS_MAX];
	uint32_t first, count, owner;
	uint64_t end = SUBID_FIRST;

	while (next_line(&text, &line)) {
		if (split(line, ':', f) != 3 || !parse_id(f[1], &first) || !parse_id(f[2], &count))
			continue;
		if ((uint64_t)first + count > end)
			end = (uint64_t)first + count;
		if ((name && rb_slice_eq(f[0], name)) || (parse_id(f[0], &owner) && owner == id))
			add_range(ret, first, count);
	}
	if (next_free)
		*next_free = end < UINT32_MAX - SUBID_COUNT ? (uint32_t)end : SUBID_FIRST;
}

void rb_subids_parse_getsubids(const char *text, struct rb_id_map *ret)
{
	struct rb_slice line, f[FIELDS_MAX];
	uint32_t first, count;

	while (next_line(&text, &line))
		if (split(line, ' ', f) == 4 && parse_id(f[2], &first) && parse_id(f[3], &count))
			add_range(ret, first, count);
}

/* Where nsswitch.conf sends sub-ids to a directory service, getsubids asks it. */
static void ask_getsubids(const struct rb_caller *c, struct rb_host *h)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;

	read_text("/etc/nsswitch.conf", &text);
	if (!c->name || (!rb_starts_with(text.ptr, "subid:") && !strstr(text.ptr, "\nsubid:")))
		return;
	const char *const uids[] = {"getsubids", c->name, NULL};
	const char *const gids[] = {"getsubids", "-g", c->name, NULL};

	if (rb_run_capture(uids, ID_FILE_BYTES_MAX, &text, &err) == 0)
		rb_subids_parse_getsubids(text.ptr, &h->uids);
	rb_error_drop(&err); /* no answer is no range */
	if (rb_run_capture(gids, ID_FILE_BYTES_MAX, &text, &err) == 0)
		rb_subids_parse_getsubids(text.ptr, &h->gids);
	rb_error_drop(&err);
}

static void identity_map(const char *path, struct rb_id_map *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_id_map now = {.n = 0};
	unsigned inside, outside, count;
	int used;

	read_text(path, &text);
	for (const char *p = text.ptr;
	     now.n < RB_ID_EXTENTS_MAX &&
	     sscanf(p, "%u %u %u%n", &inside, &outside, &count, &used) == 3;
	     p += used)
		now.v[now.n++] = (struct rb_id_extent){inside, outside, count};
	*ret = (struct rb_id_map){.v = {{0, 0, rb_id_map_limit(&now)}}, .n = 1};
}

bool rb_host_identity_maps(const struct rb_caller *c, struct rb_host *h)
{
	if (c->uid != 0 || !c->may_set_ids)
		return false;
	identity_map("/proc/self/uid_map", &h->uids);
	identity_map("/proc/self/gid_map", &h->gids);
	return rb_id_map_limit(&h->uids) > 1 && rb_id_map_limit(&h->gids) > 1;
}

void rb_host_single_maps(const struct rb_caller *c, struct rb_host *h)
{
	h->uids = (struct rb_id_map){.v = {{0, c->uid, 1}}, .n = 1};
	h->gids = (struct rb_id_map){.v = {{0, c->gid, 1}}, .n = 1};
}

static char *unlock_line(const struct rb_caller *c, uint32_t free_uid, uint32_t free_gid)
{
	uint32_t first = free_uid > free_gid ? free_uid : free_gid;

	if (c->name_local)
		return rb_asprintf("sudo usermod --add-subuids %u-%u --add-subgids %u-%u %s", first,
				   first + SUBID_COUNT - 1, first, first + SUBID_COUNT - 1,
				   c->name);
	/* usermod knows the users of /etc/passwd only. */
	return rb_asprintf("echo %u:%u:%d | sudo tee -a /etc/subuid /etc/subgid", c->uid, first,
			   SUBID_COUNT);
}

bool rb_host_find_range(const struct rb_caller *c, struct rb_host *h, char **why, char **unlock)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	uint32_t free_uid, free_gid;

	rb_host_single_maps(c, h);
	read_text("/etc/subuid", &text);
	rb_subids_parse(text.ptr, c->name, c->uid, &h->uids, &free_uid);
	read_text("/etc/subgid", &text);
	/* Lines of /etc/subgid, too, are by user, not by group. */
	rb_subids_parse(text.ptr, c->name, c->uid, &h->gids, &free_gid);
	if (h->uids.n == 1 && h->gids.n == 1)
		ask_getsubids(c, h);
	if (h->uids.n > 1 && h->gids.n > 1)
		return true;
	*why = rb_asprintf("%s (uid %u) has no subordinate ids in %s",
			   c->name ? c->name : "the user", c->uid,
			   h->uids.n > 1   ? "/etc/subgid"
			   : h->gids.n > 1 ? "/etc/subuid"
					   : "/etc/subuid and /etc/subgid");
	*unlock = unlock_line(c, free_uid, free_gid);
	return false;
}
