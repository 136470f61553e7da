// SPDX-License-Identifier: Apache-2.0
/* What a commit consists of: sizes before anything is written, and its submodules. */
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "context/git-internal.h"

enum { RECORD_BYTES_MAX = 64 << 10 };

void rb_git_links_clear(struct rb_git_links *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].path);
		free(l->v[i].id);
		rb_git_ref_clear(&l->v[i].ref);
	}
	free(l->v);
	*l = (struct rb_git_links){0};
}

struct listing {
	struct rb_git_links *links;
	struct rb_buf record; /* the one that is coming in */
	uint64_t entries, bytes;
	bool has_modules; /* .gitmodules, a file */
};

static void add_link(struct listing *l, const char *path, const char *id)
{
	struct rb_git_links *links = l->links;

	rb_grow(links->v, links->n, &links->cap);
	links->v[links->n++] = (struct rb_git_link){.path = rb_strdup(path), .id = rb_strdup(id)};
}

/* MODE SP TYPE SP ID SP SIZE TAB PATH; SIZE is "-" or padded with blanks in front. */
static int take_record(struct listing *l, struct rb_error **err)
{
	char *save = NULL, *text = l->record.ptr, *path = strchr(text, '\t');
	const char *mode, *type, *id, *size;
	uint64_t n = 0;

	if (path)
		*path++ = '\0';
	mode = strtok_r(text, " ", &save);
	type = strtok_r(NULL, " ", &save);
	id = strtok_r(NULL, " ", &save);
	size = strtok_r(NULL, " ", &save);
	if (!path || !size || !rb_git_is_id(id) ||
	    (!rb_streq(size, "-") && rb_parse_u64(rb_slice_str(size), RB_GIT_BYTES_MAX, &n) < 0))
		return rb_fail(err, RB_ERR_CORRUPT, "git lists a tree in a way that is not known");
	l->bytes += n;
	if (++l->entries > RB_GIT_ENTRIES_MAX || l->bytes > RB_GIT_BYTES_MAX)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "the commit has more than %d entries or %llu bytes of files",
			       RB_GIT_ENTRIES_MAX, (unsigned long long)RB_GIT_BYTES_MAX);
	if (rb_streq(type, "commit"))
		add_link(l, path, id);
	if (rb_streq(path, ".gitmodules") && rb_starts_with(mode, "100"))
		l->has_modules = true;
	return 0;
}

static int take_listing(void *ctx, const char *data, size_t len, struct rb_error **err)
{
	struct listing *l = ctx;

	while (len) {
		const char *end = memchr(data, '\0', len);
		size_t n = end ? (size_t)(end - data) : len;

		if (l->record.len + n > RECORD_BYTES_MAX)
			return rb_fail(err, RB_ERR_CORRUPT,
				       "the commit has a path of more than %d bytes",
				       RECORD_BYTES_MAX);
		rb_buf_add(&l->record, data, n);
		if (!end)
			return 0;
		if (take_record(l, err) < 0)
			return -1;
		rb_buf_truncate(&l->record, 0);
		data += n + 1;
		len -= n + 1;
	}
	return 0;
}

/* --- .gitmodules */

/* One [submodule "NAME"]. */
struct module {
	char *name, *path, *url;
	bool none; /* update = none */
};

struct modules {
	struct module *v;
	size_t n, cap;
};

static void modules_clear(struct modules *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].name);
		free(m->v[i].path);
		free(m->v[i].url);
	}
	free(m->v);
}

static struct module *get_module(struct modules *m, const char *name, size_t len)
{
	for (size_t i = 0; i < m->n; i++)
		if (strlen(m->v[i].name) == len && memcmp(m->v[i].name, name, len) == 0)
			return &m->v[i];
	rb_grow(m->v, m->n, &m->cap);
	m->v[m->n] = (struct module){.name = rb_strndup(name, len)};
	return &m->v[m->n++];
}

/* "submodule.NAME.KEY" LF VALUE */
static void take_setting(struct modules *m, char *text)
{
	static const char section[] = "submodule.";
	char *value = strchr(text, '\n');

	if (!value || !rb_starts_with(text, section))
		return;
	*value++ = '\0';
	char *name = text + strlen(section), *key = strrchr(name, '.');
	if (!key || m->n > RB_GIT_SUBMODULES_MAX)
		return;
	struct module *module = get_module(m, name, (size_t)(key - name));
	char **where = rb_streq(key, ".path")  ? &module->path
		       : rb_streq(key, ".url") ? &module->url
					       : NULL;
	if (rb_streq(key, ".update"))
		module->none = rb_streq(value, "none");
	if (!where)
		return;
	free(*where);
	*where = rb_strdup(value);
}

static int read_modules(const struct rb_git *g, const char *commit, struct modules *ret,
			struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *blob = rb_asprintf("--blob=%s:.gitmodules", commit);
	const char *const argv[] = {"config", blob, "--no-includes", "--null", "--list", NULL};
	const struct rb_git_command c = {.argv = argv, .cwd_fd = -1, .out = &text};

	if (rb_git_run(g, &c, err) < 0)
		return rb_wrap(err, "cannot read .gitmodules");
	for (size_t at = 0; at < text.len;) {
		size_t n = strlen(text.ptr + at);

		take_setting(ret, text.ptr + at);
		at += n + 1;
	}
	return 0;
}

static const struct module *module_at(const struct modules *m, const char *path)
{
	for (size_t i = 0; i < m->n; i++) {
		RB_CLEANUP(rb_strp)
		char *clean = m->v[i].path ? rb_path_clean(m->v[i].path) : NULL;

		if (clean && rb_streq(clean, path))
			return &m->v[i];
	}
	return NULL;
}

static int locate_link(const struct rb_git *g, const struct modules *m, struct rb_git_link *link,
		       bool *ret_wanted, struct rb_error **err)
{
	const struct module *module = module_at(m, link->path);

	*ret_wanted = !module || !module->none;
	if (!*ret_wanted)
		return 0;
	if (!module || !module->url)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "the commit has a submodule at %.200s, but .gitmodules does not say "
			       "where it is (leave submodules out with ?submodules=false)",
			       link->path);
	if (rb_git_ref_submodule(g->ref, module->url, &link->ref, err) < 0)
		return rb_wrap(err, "submodule %.200s", link->path);
	link->ref.ref = rb_strdup(link->id);
	return 0;
}

static int locate_links(const struct rb_git *g, const char *commit, const struct listing *l,
			struct rb_error **err)
{
	RB_CLEANUP(modules_clear) struct modules m = {0};
	struct rb_git_links *links = l->links;
	size_t kept = 0;

	if (l->has_modules && read_modules(g, commit, &m, err) < 0)
		return -1;
	for (size_t i = 0; i < links->n; i++) {
		bool wanted;

		if (locate_link(g, &m, &links->v[i], &wanted, err) < 0)
			return -1;
		/* What is left out goes to the end, where clearing still finds it. */
		struct rb_git_link link = links->v[i];
		if (wanted) {
			links->v[i] = links->v[kept];
			links->v[kept++] = link;
		}
	}
	for (size_t i = kept; i < links->n; i++) {
		free(links->v[i].path);
		free(links->v[i].id);
	}
	links->n = kept;
	return 0;
}

int rb_git_read_tree(const struct rb_git *g, const char *commit, struct rb_git_links *ret,
		     struct rb_error **err)
{
	struct listing l = {.links = ret, .record = RB_BUF_INIT};
	/* With trees: those without files could be as many as one likes. */
	const char *const argv[] = {"ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit, NULL};
	const struct rb_git_command c = {
		.argv = argv, .cwd_fd = -1, .take = take_listing, .ctx = &l};
	int r = rb_git_run(g, &c, err);

	rb_buf_clear(&l.record);
	if (r == 0 && g->ref->submodules)
		r = locate_links(g, commit, &l, err);
	if (r < 0 || !g->ref->submodules)
		rb_git_links_clear(ret);
	return r;
}
