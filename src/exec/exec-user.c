// SPDX-License-Identifier: Apache-2.0
/* Users and groups of an image, read from its own files (dockerfile.md 10.3, 3.9; threats S21,
 * S22). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "exec/exec-internal.h"

enum { ACCOUNT_FILE_MAX = 10 << 20, FIELDS = 7, GROUPS_MAX = 65536 };

#define ID_MAX (UINT32_MAX - 1) /* the last number is "no id" in system calls */

/* "U:G" taken apart; group NULL when there is none. */
struct user_spec {
	char *user, *group;
};

static void user_spec_clear(struct user_spec *s)
{
	free(s->user);
	free(s->group);
}

static void user_spec_split(const char *text, struct user_spec *ret)
{
	const char *colon = strchr(text, ':');

	ret->user = colon ? rb_strndup(text, (size_t)(colon - text)) : rb_strdup(text);
	ret->group = colon && colon[1] ? rb_strdup(colon + 1) : NULL;
	if (!*ret->user) {
		free(ret->user);
		ret->user = rb_strdup("0");
	}
}

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

static int parse_number(const char *s, uint32_t *ret, struct rb_error **err)
{
	uint64_t v;

	if (rb_parse_u64(rb_slice_str(s), ID_MAX, &v) < 0)
		return rb_fail(err, RB_ERR_NOTFOUND, "the id %s is larger than %u", s,
			       (unsigned)ID_MAX);
	*ret = (uint32_t)v;
	return 0;
}

/* Reads an account file of the image. One that does not exist is an empty one. */
static int read_accounts(int root_fd, const char *path, struct rb_buf *ret, struct rb_error **err)
{
	/* O_NONBLOCK: a FIFO in its place must not hold us. */
	RB_CLEANUP(rb_closep)
	int fd = rb_open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	rb_buf_clear(ret);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return rb_fail_sys(err, fd, "cannot open /%s of the image", path);
	if (fstat(fd, &st) < 0)
		return rb_fail_errno(err, "cannot stat /%s of the image", path);
	if (!S_ISREG(st.st_mode))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "/%s of the image is not a regular file: users cannot be looked up",
			       path);
	if (st.st_size > ACCOUNT_FILE_MAX)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "/%s of the image is larger than the limit of %d MiB", path,
			       ACCOUNT_FILE_MAX >> 20);
	if (rb_read_fd(fd, ACCOUNT_FILE_MAX, ret, err) < 0)
		return rb_wrap(err, "/%s of the image", path);
	return 0;
}

/* Cuts the next line off *rest and splits it at colons; missing fields are empty. */
static bool next_entry(struct rb_slice *rest, struct rb_slice f[static FIELDS])
{
	if (!rest->len)
		return false;
	const char *end = memchr(rest->ptr, '\n', rest->len);
	struct rb_slice line = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};

	rest->ptr += line.len + (end != NULL);
	rest->len -= line.len + (end != NULL);
	for (size_t i = 0; i < FIELDS; i++) {
		const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;

		f[i] = (struct rb_slice){line.ptr, colon ? (size_t)(colon - line.ptr) : line.len};
		line.ptr += f[i].len + (colon != NULL);
		line.len -= f[i].len + (colon != NULL);
	}
	return true;
}

static bool field_id(struct rb_slice s, uint32_t *ret)
{
	uint64_t v;

	if (rb_parse_u64(s, ID_MAX, &v) < 0)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* An entry of /etc/passwd; the slices point into the text of the file. */
struct passwd {
	struct rb_slice name, home;
	uint32_t uid, gid;
};

/* The first entry of that name, or, name being NULL, of that uid. */
static bool find_passwd(const struct rb_buf *text, const char *name, uint32_t uid,
			struct passwd *ret)
{
	struct rb_slice rest = {text->ptr, text->len}, f[FIELDS];

	while (next_entry(&rest, f)) {
		struct passwd p = {.name = f[0], .home = f[5]};

		if (!field_id(f[2], &p.uid) || !field_id(f[3], &p.gid))
			continue;
		if (name ? rb_slice_eq(p.name, name) : p.uid == uid) {
			*ret = p;
			return true;
		}
	}
	return false;
}

static bool find_group(const struct rb_buf *text, const char *name, uint32_t *ret)
{
	struct rb_slice rest = {text->ptr, text->len}, f[FIELDS];

	while (next_entry(&rest, f))
		if (rb_slice_eq(f[0], name) && field_id(f[2], ret))
			return true;
	return false;
}

static bool is_member(struct rb_slice members, struct rb_slice name)
{
	while (members.len) {
		const char *comma = memchr(members.ptr, ',', members.len);
		size_t len = comma ? (size_t)(comma - members.ptr) : members.len;

		if (len == name.len && memcmp(members.ptr, name.ptr, len) == 0)
			return true;
		members.ptr += len + (comma != NULL);
		members.len -= len + (comma != NULL);
	}
	return false;
}

static void add_gid(struct rb_user *u, size_t *cap, uint32_t gid)
{
	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return;
	if (u->n_groups == GROUPS_MAX) /* NGROUPS_MAX: the kernel takes no more */
		return;
	rb_grow(u->groups, u->n_groups, cap);
	u->groups[u->n_groups++] = gid;
}

static void add_groups_of(const struct rb_buf *text, struct rb_slice name, struct rb_user *u,
			  size_t *cap)
{
	struct rb_slice rest = {text->ptr, text->len}, f[FIELDS];
	uint32_t gid;

	while (name.len && next_entry(&rest, f))
		if (field_id(f[2], &gid) && is_member(f[3], name))
			add_gid(u, cap, gid);
}

static int lookup_group(int root_fd, const char *name, uint32_t *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	if (is_number(name))
		return parse_number(name, ret, err);
	if (rb_streq(name, "root")) {
		*ret = 0;
		return 0;
	}
	if (read_accounts(root_fd, "etc/group", &text, err) < 0)
		return -1;
	if (!find_group(&text, name, ret))
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "unable to find group %s: no matching entries in group file "
			       "(an earlier RUN can make it, or write a number)",
			       name);
	return 0;
}

/* The entry of a user by name or number. `root` needs none (BuildKit: always 0). */
static int lookup_passwd(const struct rb_buf *text, const char *user, struct passwd *ret,
			 struct rb_error **err)
{
	uint32_t uid = 0;
	bool by_number = is_number(user);

	if (by_number && parse_number(user, &uid, err) < 0)
		return -1;
	if (find_passwd(text, by_number ? NULL : user, uid, ret))
		return 0;
	if (!by_number && !rb_streq(user, "root"))
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "unable to find user %s: no matching entries in passwd file "
			       "(an earlier RUN can make it, or write a number)",
			       user);
	*ret = (struct passwd){.uid = uid, .name = rb_slice_str(uid == 0 ? "root" : "")};
	return 0;
}

int rb_user_lookup(int root_fd, const char *spec, struct rb_user *ret, struct rb_error **err)
{
	RB_CLEANUP(user_spec_clear) struct user_spec s = {0};
	RB_CLEANUP(rb_buf_clear) struct rb_buf passwd = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf group = RB_BUF_INIT;
	RB_CLEANUP(rb_user_clear) struct rb_user u = {0};
	struct passwd p;
	size_t cap = 0;

	user_spec_split(spec ? spec : "", &s);
	if (read_accounts(root_fd, "etc/passwd", &passwd, err) < 0 ||
	    lookup_passwd(&passwd, s.user, &p, err) < 0)
		return -1;
	u.uid = p.uid;
	u.gid = p.gid;
	u.home = p.home.len && p.home.ptr[0] == '/' ? rb_strndup(p.home.ptr, p.home.len)
						    : rb_strdup("/");
	if (s.group && lookup_group(root_fd, s.group, &u.gid, err) < 0)
		return -1;
	/* USER unset is uid 0 and gid 0, whatever the entry says. */
	if (!spec || !*spec)
		u.gid = 0;
	add_gid(&u, &cap, u.gid);
	/* "u:g" has no supplementary groups. */
	if (!s.group) {
		if (read_accounts(root_fd, "etc/group", &group, err) < 0)
			return -1;
		add_groups_of(&group, p.name, &u, &cap);
	}
	/* As setgroups(2) keeps them, for those who get them from a supervisor. */
	qsort(u.groups, u.n_groups, sizeof(*u.groups), rb_cmp_u32);
	*ret = u;
	u = (struct rb_user){0};
	return 0;
}

void rb_user_clear(struct rb_user *u)
{
	free(u->groups);
	free(u->home);
	*u = (struct rb_user){0};
}

int rb_user_lookup_owner(int root_fd, const char *spec, uint32_t *ret_uid, uint32_t *ret_gid,
			 struct rb_error **err)
{
	RB_CLEANUP(user_spec_clear) struct user_spec s = {0};
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct passwd p = {.uid = 0};
	uint32_t gid;

	user_spec_split(spec, &s);
	if (is_number(s.user)) {
		if (parse_number(s.user, &p.uid, err) < 0)
			return -1;
		p.gid = p.uid;
	} else if (!rb_streq(s.user, "root")) {
		if (read_accounts(root_fd, "etc/passwd", &text, err) < 0 ||
		    lookup_passwd(&text, s.user, &p, err) < 0)
			return -1;
	}
	gid = p.gid;
	if (s.group && lookup_group(root_fd, s.group, &gid, err) < 0)
		return -1;
	*ret_uid = p.uid;
	*ret_gid = gid;
	return 0;
}
