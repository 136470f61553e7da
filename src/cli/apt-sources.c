// SPDX-License-Identifier: Apache-2.0
#include "cli/apt-sources.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"

#define FILE_BYTES  (1024u * 1024)
#define BLANKS      " \t\r\n"
#define SOURCES_MAX 4096u

/* Fields that change how apt reads or trusts an archive, in stanzas and as options of a line. */
static const struct {
	const char *field, *option;
} kept[] = {
	{"Signed-By", "signed-by"},   {"Architectures", "arch"},
	{"Trusted", "trusted"},       {"Check-Valid-Until", "check-valid-until"},
	{"Check-Date", "check-date"}, {"Allow-Insecure", "allow-insecure"},
};

static void source_clear(struct rb_apt_source *s)
{
	free(s->uri);
	free(s->suite);
	free(s->keyring);
	rb_strv_clear(&s->components);
	rb_strv_clear(&s->fields);
}

void rb_apt_sources_clear(struct rb_apt_sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		source_clear(&s->v[i]);
	free(s->v);
	*s = (struct rb_apt_sources){0};
}

static void split(const char *text, const char *separators, struct rb_strv *ret)
{
	for (const char *s = text + strspn(text, separators); *s; s += strspn(s, separators)) {
		size_t n = strcspn(s, separators);

		rb_strv_take(ret, rb_strndup(s, n));
		s += n;
	}
}

/* mirror+file:/path names a file of mirrors; a step in the image does not have that file. */
static char *resolve_mirror(const char *uri)
{
	static const char scheme[] = "mirror+file:";
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv words = RB_STRV_INIT;
	struct rb_error *err = NULL;
	const char *path = uri + strlen(scheme);

	if (!rb_starts_with(uri, scheme))
		return rb_strdup(uri);
	path += rb_starts_with(path, "//") ? 2 : 0;
	if (rb_read_file_at(AT_FDCWD, path, FILE_BYTES, &text, &err) == 0)
		split(text.ptr, BLANKS, &words);
	/* An unreadable list is like one without mirrors: the source is of no use. */
	rb_error_drop(&err);
	return rb_strdup(words.n ? words.v[0] : uri);
}

struct entry {
	struct rb_strv types, uris, suites, components, fields;
	char *signed_by; /* path or key; borrowed from fields */
	bool disabled;
};

static void entry_clear(struct entry *e)
{
	struct rb_strv *all[] = {&e->types, &e->uris, &e->suites, &e->components, &e->fields};

	for (size_t i = 0; i < RB_ARRAY_LEN(all); i++)
		rb_strv_clear(all[i]);
	*e = (struct entry){0};
}

static void keep_field(struct entry *e, size_t field, const char *value)
{
	value += strspn(value, " \t");
	rb_strv_addf(&e->fields, "%s: %s", kept[field].field, value);
	if (field == 0)
		e->signed_by = e->fields.v[e->fields.n - 1] + strlen("Signed-By: ");
}

/* Every archive and suite of the entry becomes a source. */
static void entry_end(struct entry *e, struct rb_apt_sources *ret)
{
	bool path = e->signed_by && e->signed_by[0] == '/';
	const char *base = path ? strrchr(e->signed_by, '/') + 1 : "";

	for (size_t u = 0; u < e->uris.n && !e->disabled && rb_strv_find(&e->types, "deb") >= 0;
	     u++)
		for (size_t s = 0; s < e->suites.n && ret->n < SOURCES_MAX; s++) {
			rb_grow(ret->v, ret->n, &ret->cap);
			struct rb_apt_source *src = &ret->v[ret->n++];

			*src = (struct rb_apt_source){
				.uri = resolve_mirror(e->uris.v[u]),
				.suite = rb_strdup(e->suites.v[s]),
				.keyring = path ? rb_strdup(e->signed_by) : NULL,
				.own_key = e->signed_by &&
					   !rb_starts_with(base, "debian-archive-") &&
					   !rb_starts_with(base, "ubuntu-archive-"),
			};
			rb_strv_copy(&src->components, &e->components);
			rb_strv_copy(&src->fields, &e->fields);
		}
	entry_clear(e);
}

/* deb [option=value ...] URI SUITE COMPONENT... */
static void parse_line(char *line, struct rb_apt_sources *ret)
{
	struct entry e = {0};
	struct rb_strv words = RB_STRV_INIT, options = RB_STRV_INIT;
	char *open, *close;

	line[strcspn(line, "#")] = '\0';
	/* Only in the second place: an address may have brackets too. */
	open = line + strspn(line, BLANKS);
	open += strcspn(open, BLANKS);
	open += strspn(open, BLANKS);
	close = *open == '[' ? strchr(open, ']') : NULL;
	if (close) {
		*open = *close = '\0';
		split(open + 1, BLANKS, &options);
		split(line, BLANKS, &words);
		split(close + 1, BLANKS, &words);
	} else {
		split(line, BLANKS, &words);
	}
	for (size_t i = 0; i < words.n; i++)
		rb_strv_add(i == 0   ? &e.types
			    : i == 1 ? &e.uris
			    : i == 2 ? &e.suites
				     : &e.components,
			    words.v[i]);
	for (size_t i = 0; i < options.n; i++) {
		char *value = strchr(options.v[i], '=');

		if (!value)
			continue;
		*value++ = '\0';
		for (size_t k = 0; k < RB_ARRAY_LEN(kept); k++)
			if (rb_ascii_strcaseeq(options.v[i], kept[k].option)) {
				/* Lists have commas here and blanks in a stanza. */
				for (char *c = value; (c = strpbrk(c, ",\"")); c++)
					*c = ' ';
				keep_field(&e, k, value);
			}
	}
	rb_strv_clear(&words);
	rb_strv_clear(&options);
	entry_end(&e, ret);
}

static void set_field(struct entry *e, const char *name, const char *value)
{
	const struct {
		const char *name;
		struct rb_strv *list;
	} lists[] = {
		{"Types", &e->types},
		{"URIs", &e->uris},
		{"Suites", &e->suites},
		{"Components", &e->components},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(lists); i++)
		if (rb_ascii_strcaseeq(name, lists[i].name))
			split(value, BLANKS, lists[i].list);
	for (size_t k = 0; k < RB_ARRAY_LEN(kept); k++)
		if (rb_ascii_strcaseeq(name, kept[k].field))
			keep_field(e, k, value);
	if (rb_ascii_strcaseeq(name, "Enabled"))
		e->disabled = rb_ascii_strcaseeq(value, "no") ||
			      rb_ascii_strcaseeq(value, "false") || rb_streq(value, "0");
}

/* "Name: value" with the lines that continue it, which begin with a blank. */
static void field_end(struct entry *e, struct rb_buf *field)
{
	char *colon = strchr(field->ptr, ':');

	while (field->len && strchr(BLANKS, field->ptr[field->len - 1]))
		rb_buf_truncate(field, field->len - 1);
	if (colon) {
		*colon = '\0';
		set_field(e, field->ptr, colon + 1 + strspn(colon + 1, " \t"));
	}
	rb_buf_clear(field);
}

static void parse_stanza_line(struct entry *e, struct rb_buf *field, const char *line,
			      struct rb_apt_sources *ret)
{
	if (*line == '#')
		return;
	if (line[0] == ' ' || line[0] == '\t') {
		rb_buf_addf(field, "\n%s", line);
		return;
	}
	field_end(e, field);
	if (*line)
		rb_buf_addstr(field, line);
	else
		entry_end(e, ret);
}

void rb_apt_sources_parse(const char *text, bool stanzas, struct rb_apt_sources *ret)
{
	struct entry e = {0};
	struct rb_buf field = RB_BUF_INIT;

	while (*text) {
		size_t n = strcspn(text, "\n");
		RB_CLEANUP(rb_strp) char *line = rb_strndup(text, n);

		if (n && line[n - 1] == '\r')
			line[n - 1] = '\0';
		if (stanzas)
			parse_stanza_line(&e, &field, line, ret);
		else
			parse_line(line, ret);
		text += n + (text[n] == '\n');
	}
	field_end(&e, &field);
	entry_end(&e, ret);
}

static int read_file(int dirfd, const char *dir, const char *name, struct rb_apt_sources *ret,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	if (rb_read_file_at(dirfd, name, FILE_BYTES, &text, err) < 0) {
		if ((*err)->code != RB_ERR_NOTFOUND)
			return rb_wrap(err, "%s/%s", dir, name);
		rb_error_drop(err); /* either format alone is usual */
		return 0;
	}
	rb_apt_sources_parse(text.ptr, rb_ends_with(name, ".sources"), ret);
	return 0;
}

static int is_source_file(const struct dirent *d)
{
	return d->d_name[0] != '.' &&
	       (rb_ends_with(d->d_name, ".list") || rb_ends_with(d->d_name, ".sources"));
}

/* Not alphasort(), which follows the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int rb_apt_sources_read(const char *dir, struct rb_apt_sources *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : rb_fail_errno(err, "cannot open %s", dir);
	if (read_file(fd, dir, "sources.list", ret, err) < 0)
		return -1;
	int n = scandirat(fd, "sources.list.d", &names, is_source_file, by_bytes);
	for (int i = 0; i < n; i++) {
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("sources.list.d/%s", names[i]->d_name);

		if (r == 0)
			r = read_file(fd, dir, name, ret, err);
		free(names[i]);
	}
	free(names);
	return r;
}

static bool serves(const struct rb_apt_source *s, const char *suite)
{
	static const char *const pockets[] = {"", "-updates", "-security"};
	size_t n = strlen(suite);

	if (strncmp(s->suite, suite, n) != 0 || rb_strv_find(&s->components, "main") < 0 ||
	    !(rb_starts_with(s->uri, "http://") || rb_starts_with(s->uri, "https://") ||
	      rb_starts_with(s->uri, "ftp://")))
		return false;
	for (size_t i = 0; i < RB_ARRAY_LEN(pockets); i++)
		if (rb_streq(s->suite + n, pockets[i]))
			return true;
	return false;
}

bool rb_apt_sources_select(struct rb_apt_sources *s, const char *suite)
{
	bool distribution = false, found = false;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		distribution |= serves(&s->v[i], suite) && rb_streq(s->v[i].suite, suite) &&
				!s->v[i].own_key;
	for (size_t i = 0; i < s->n; i++) {
		struct rb_apt_source *src = &s->v[i];

		if (serves(src, suite) && !(distribution && src->own_key)) {
			found |= rb_streq(src->suite, suite);
			s->v[n++] = *src;
		} else {
			rb_log_debug("bootstrap: not used for %s: %s %s", suite, src->uri,
				     src->suite);
			source_clear(src);
		}
	}
	s->n = n;
	return found;
}

void rb_apt_sources_print(const struct rb_apt_sources *s, struct rb_buf *out)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct rb_apt_source *src = &s->v[i];

		rb_buf_addf(out, "%sTypes: deb\nURIs: %s\nSuites: %s\nComponents:", i ? "\n" : "",
			    src->uri, src->suite);
		for (size_t c = 0; c < src->components.n; c++)
			rb_buf_addf(out, " %s", src->components.v[c]);
		rb_buf_addch(out, '\n');
		for (size_t f = 0; f < src->fields.n; f++)
			rb_buf_addf(out, "%s\n", src->fields.v[f]);
	}
}
