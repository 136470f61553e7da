/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts, their Dockerfile, sources and checksums: dockerfile.md 3.9, 5.1, 5.3, 5.6. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "context/context-internal.h"
#include "layer/copy.h"
#include "trees.h"

static struct rb_context *context(const char *name, const char *spec)
{
	RB_CLEANUP(rb_closep) int fd = tree(name, spec);
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s/%s", top, name);
	struct rb_error *err = NULL;
	struct rb_context *c = NULL;

	(void)rb_context_open(path, &c, &err);
	CHECK_OK(&err);
	return c;
}

/* --- opening --- */

static void test_context__open_errors(void)
{
	RB_CLEANUP(rb_closep) int fd = tree("open", "file dir/");
	RB_CLEANUP(rb_strp) char *missing = rb_asprintf("%s/open/nope", top);
	RB_CLEANUP(rb_strp) char *file = rb_asprintf("%s/open/file", top);
	const struct {
		const char *path;
		int code;
		const char *error;
	} rows[] = {
		{"no/such/dir", RB_ERR_CONTEXT,
		 "unable to prepare context: path \"no/such/dir\" not found"},
		{missing, RB_ERR_CONTEXT, "nope\" not found"},
		{file, RB_ERR_CONTEXT, "file\" is not a directory"},
	};
	struct rb_context *c = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;

		CHECK_INT(rb_context_open(rows[i].path, &c, &err), -1);
		CHECK_INT(err ? err->code : 0, rows[i].code);
		CHECK_ERR(&err, rows[i].error);
	}
	if (geteuid() != 0) {
		struct rb_error *err = NULL;
		RB_CLEANUP(rb_strp) char *dir = rb_asprintf("%s/open/dir", top);

		CHECK_INT(fchmodat(fd, "dir", 0, 0), 0);
		CHECK_INT(rb_context_open(dir, &c, &err), -1);
		CHECK_ERR(&err, "Permission denied");
		CHECK_INT(fchmodat(fd, "dir", 0755, 0), 0);
	}
}

/* --- Dockerfile and ignore file --- */

static const struct {
	const char *spec; /* of the context; ../out holds what is outside */
	const char *file; /* -f below <top>, NULL: default */
	const char *name, *text, *ignore_file;
	const char *error;
} lookups[] = {
	{"Dockerfile=A", NULL, "Dockerfile", "A", NULL, NULL},
	{"dockerfile=B", NULL, "dockerfile", "B", NULL, NULL},
	{"Dockerfile=A dockerfile=B", NULL, "Dockerfile", "A", NULL, NULL},
	{"Containerfile=C", NULL, "Containerfile", "C", NULL, NULL},
	{"Containerfile=C dockerfile=B", NULL, "dockerfile", "B", NULL, NULL},
	{"Containerfile>../out/secret", NULL, NULL, NULL, NULL, "leads out of the build context"},
	{"x", NULL, NULL, NULL, NULL,
	 "failed to read dockerfile: open Dockerfile: no such file or directory"},
	{"Dockerfile=A", "ctx/x", NULL, NULL, NULL, "/ctx/x: no such file or directory"},
	{"Dockerfile=A", "ctx/no/x", NULL, NULL, NULL, "/ctx/no/x: no such file or directory"},
	{"Dockerfile=A D2=C", "ctx/D2", "D2", "C", NULL, NULL},
	{"sub/ sub/D=C", "ctx/sub/D", "D", "C", NULL, NULL},
	{"x", "out/Dockerfile", "Dockerfile", "OUT", NULL, NULL},
	{"x", "out/link", "link", "SECRET", NULL, NULL}, /* named, outside: followed */
	/* ignore files */
	{"Dockerfile=A .dockerignore=x", NULL, "Dockerfile", "A", ".dockerignore", NULL},
	{"Dockerfile=A .dockerignore=x Dockerfile.dockerignore=y", NULL, "Dockerfile", "A",
	 "Dockerfile.dockerignore", NULL},
	{"sub/ sub/D=C sub/D.dockerignore=x .dockerignore=y", "ctx/sub/D", "D", "C",
	 "D.dockerignore", NULL},
	{"sub/ sub/D=C sub/.dockerignore=x", "ctx/sub/D", "D", "C", NULL, NULL},
	{".dockerignore=x", "out/Dockerfile", "Dockerfile", "OUT", ".dockerignore", NULL},
	{"Dockerfile=A .containerignore=x", NULL, "Dockerfile", "A", ".containerignore", NULL},
	{"Dockerfile=A .containerignore=x .dockerignore=y", NULL, "Dockerfile", "A",
	 ".dockerignore", NULL},
	{"Containerfile=A Containerfile.containerignore=x .dockerignore=y", NULL, "Containerfile",
	 "A", "Containerfile.containerignore", NULL},
	{"D=A D.containerignore=x D.dockerignore=y", "ctx/D", "D", "A", "D.dockerignore", NULL},
	{"x", "out/D2", "D2", "OUT2", "D2.dockerignore", NULL},
	{"Dockerfile=A .dockerignore=[", NULL, NULL, NULL, NULL,
	 ".dockerignore:1: syntax error in pattern"},
	{"Dockerfile=A .dockerignore>rules rules=x", NULL, "Dockerfile", "A", ".dockerignore",
	 NULL},
	/* links stay inside of the context (S13) */
	{"Dockerfile>real real=A", NULL, "Dockerfile", "A", NULL, NULL},
	{"Dockerfile>/d/real d/ d/real=A", NULL, "Dockerfile", "A", NULL, NULL},
	{"Dockerfile>../out/secret", NULL, NULL, NULL, NULL,
	 "Dockerfile is a symbolic link that leads out of the build context or to nothing"},
	{"D>../out/secret", "ctx/D", NULL, NULL, NULL, "leads out of the build context"},
	{"Dockerfile>Dockerfile", NULL, NULL, NULL, NULL, "leads out of the build context"},
	{"Dockerfile=A .dockerignore>../out/secret", NULL, NULL, NULL, NULL,
	 "failed to read ignore file: .dockerignore is a symbolic link"},
	{"Dockerfile=A .dockerignore>nothing", NULL, NULL, NULL, NULL,
	 ".dockerignore is a symbolic link that leads out of"},
	/* what would block, or is no text */
	{"Dockerfile|", NULL, NULL, NULL, NULL,
	 "failed to read dockerfile: Dockerfile is not a regular file"},
	{"Dockerfile~", NULL, NULL, NULL, NULL, "Dockerfile is not a regular file"},
	{"Dockerfile/", NULL, NULL, NULL, NULL, "Dockerfile is not a regular file"},
	{"Dockerfile=A .dockerignore|", NULL, NULL, NULL, NULL,
	 "failed to read ignore file: .dockerignore is not a regular file"},
	{"Dockerfile=A .dockerignore/", NULL, NULL, NULL, NULL, ".dockerignore is not a regular"},
	{"x", "out/fifo", NULL, NULL, NULL, "is not a regular file"},
};

static void test_context__dockerfile(void)
{
	RB_CLEANUP(rb_closep)
	int out = tree("out", "Dockerfile=OUT D2=OUT2 D2.dockerignore=x secret=SECRET link>secret "
			      "fifo|");

	for (size_t i = 0; i < RB_ARRAY_LEN(lookups); i++) {
		RB_CLEANUP(rb_context_freep)
		struct rb_context *c = context("ctx", lookups[i].spec);
		RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
		RB_CLEANUP(rb_strp)
		char *file = lookups[i].file ? rb_asprintf("%s/%s", top, lookups[i].file) : NULL;
		RB_CLEANUP(rb_strp) char *name = NULL;
		struct rb_error *err = NULL;
		unsigned before = tap_failures;

		int r = rb_context_dockerfile(c, file, &text, &name, &err);
		if (lookups[i].error) {
			CHECK_INT(r, -1);
			CHECK_INT(err ? err->code : 0, RB_ERR_CONTEXT);
			CHECK(!err || !strstr(err->msg, "SECRET"));
			CHECK_ERR(&err, lookups[i].error);
		} else {
			CHECK_OK(&err);
			CHECK_STR(name, lookups[i].name);
			CHECK_STR(text.ptr, lookups[i].text);
			CHECK_STR(c->ignore_file, lookups[i].ignore_file);
			CHECK_INT(c->ignore != NULL, lookups[i].ignore_file != NULL);
		}
		if (tap_failures != before)
			printf("# context \"%s\"\n", lookups[i].spec);
	}
}

static void test_context__dockerfile_too_large(void)
{
	RB_CLEANUP(rb_context_freep) struct rb_context *c = context("ctx", "Dockerfile=A");
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *name = NULL;
	struct rb_error *err = NULL;

	RB_CLEANUP(rb_strp) char *big = rb_asprintf("%s/ctx/Dockerfile", top);
	CHECK_INT(truncate(big, (16 << 20) + 1), 0);
	CHECK_INT(rb_context_dockerfile(c, NULL, &text, &name, &err), -1);
	CHECK_ERR(&err, "larger than the limit of 16777216 bytes");
}

/* In a tree: relative to its root, links inside of it only, no ignore file. */
static void test_context__tree_dockerfile(void)
{
	static const struct {
		const char *file, *name, *text, *error;
	} rows[] = {
		{NULL, "Dockerfile", "A", NULL},
		{"sub/D", "D", "C", NULL},
		{"./sub/../sub//D", "D", "C", NULL},
		{"../../sub/D", "D", "C", NULL},
		{"sub/up", "up", "A", NULL},
		{"out", NULL, NULL, "out is a symbolic link that leads out of"},
		{"nope", NULL, NULL, "open nope: no such file or directory"},
		{"sub", NULL, NULL, "sub is not a regular file"},
		{"", NULL, NULL, "is not a regular file"},
		{"fifo", NULL, NULL, "fifo is not a regular file"},
	};
	RB_CLEANUP(rb_closep) int out = tree("out", "secret=SECRET");
	RB_CLEANUP(rb_closep)
	int fd = tree("ctx", "Dockerfile=A .dockerignore=[ sub/ sub/D=C sub/up>../Dockerfile "
			     "out>../out/secret fifo|");

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
		RB_CLEANUP(rb_strp) char *name = NULL;
		struct rb_error *err = NULL;
		int r = rb_context_tree_dockerfile(fd, rows[i].file, &text, &name, &err);

		CHECK_INT(r, rows[i].error ? -1 : 0);
		if (rows[i].error) {
			CHECK_ERR(&err, rows[i].error);
		} else {
			CHECK_STR(name, rows[i].name);
			CHECK_STR(text.ptr, rows[i].text);
		}
	}
}

/* --- matching --- */

static const struct {
	const char *ignore; /* "" none; "," between lines */
	const char *source;
	const char *want; /* "path[=name][/]" of each match; "!text": an error */
} matches[] = {
	{"", "f", "f"},
	{"", "/f", "f"},
	{"", "./d/../f", "f"},
	{"", "../../f", "f"},
	{"", "d", "d/"},
	{"", "d/", "d/"},
	{"", "d/e/g", "d/e/g=g"},
	{"", ".", "./"},
	{"", "/", "./"},
	{"", "", "./"},
	{"", "nope", "!\"/nope\": not found"},
	{"", "d/nope", "!\"/d/nope\": not found"},
	{"", "f/x", "!\"/f/x\": not found"},
	/* links: followed inside of the root, the name stays */
	{"", "lf", "f=lf"},
	{"", "ld", "d=ld/"},
	{"", "ld/e", "d/e=e/"},
	{"", "abs", "d/e=abs/"},
	{"", "up", "f=up"},
	{"", "chain", "d=chain/"},
	{"", "d/back/f", "f"},
	{"", "dangling", "!\"/dangling\": not found: it is a symbolic link to \"nope\""},
	{"", "loop", "!Too many levels of symbolic links"},
	{"", "throughfile", "!not found"},
	/* wildcards: sorted, none is fine */
	{"", "*.txt", "a.txt b.txt"},
	{"", "?.txt", "a.txt b.txt"},
	{"", "[b-z].txt", "b.txt"},
	{"", "*.none", ""},
	{"", "nope/*", ""},
	{"", "f/*", ""},
	{"", "d/*", ".=back/ d/e=e/ d/h=h"},
	{"", "d/*/g", "d/e/g=g"},
	{"", "*/e", "d/e=e/"}, /* ld is not walked into */
	{"", "ld/*/g", "d/e/g=g"},
	{"", "l[df]", "d=ld/ f=lf"},
	{"", "**/g", ""},
	{"", "d/**", ".=back/ d/e=e/ d/h=h"},
	{"", "dang*", "!\"/dangling\": not found: it is a symbolic link"},
	{"", "[", "!syntax error in pattern: \"[\""},
	{"", "a\\.txt", "!not found"},
	{"", "\\[x]", "!not found"},
	{"", "[[]x]", "[x]"},
	/* ignore rules */
	{"f", "f", "!\"/f\": not found: excluded by the pattern \"f\" in .dockerignore"},
	{"d", "d/e/g", "!\"/d/e/g\": not found: excluded by the pattern \"d\" in"},
	{"d", "nope", "!\"/nope\": not found"},
	{"d", "*", "!\"/d/e\": not found: excluded by the pattern \"d\""},
	{"*,!b.txt", "*.txt", "b.txt"},
	{"*.txt", "*.txt", ""},
	{"d,!d/e/g", "d", "d/"},
	{"d,!d/e/nope", "d", "!\"/d\": not found: excluded by the pattern \"d\""},
	{"d,!d/e/g", "d/*", "d/e=e/"},
	{"d,!d/e/g", "d/h", "!excluded"},
	{"f", "lf", "!\"/f\": not found: excluded by the pattern \"f\""},
	{"ld", "ld/h", "!not found"},
	{"lf", "lf", "!excluded by the pattern \"lf\""},
	{"*", ".", "./"},
};

static void check_matches(const struct rb_matches *m, const char *want)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf got = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf all = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *words = rb_strdup(want);

	for (size_t i = 0; i < m->n; i++)
		rb_buf_addf(&got, "%s%s=%s%s", i ? " " : "", m->v[i].path, m->v[i].name,
			    m->v[i].is_dir ? "/" : "");
	for (char *save = NULL, *w = strtok_r(words, " ", &save); w;
	     w = strtok_r(NULL, " ", &save)) {
		size_t n = strlen(w);
		bool dir = w[n - 1] == '/' && !strchr(w, '=');

		if (dir)
			w[n - 1] = '\0';
		rb_buf_addf(&all, "%s%s", all.len ? " " : "", w);
		if (!strchr(w, '='))
			rb_buf_addf(&all, "=%s%s", w, dir ? "/" : "");
	}
	CHECK_STR(got.ptr, all.ptr);
}

static void test_context__match(void)
{
	RB_CLEANUP(rb_closep)
	int fd = tree("match", "f a.txt b.txt [x] d/ d/e/ d/e/g d/h d/back>.. lf>f ld>d abs>/d/e "
			       "up>../../../f chain>ld dangling>nope loop>loop "
			       "throughfile>f/.");

	for (size_t i = 0; i < RB_ARRAY_LEN(matches); i++) {
		struct rb_source_root root = {.root_fd = fd};
		struct rb_ignore *ig = NULL;
		struct rb_matches m = {0};
		struct rb_error *err = NULL;
		RB_CLEANUP(rb_strp) char *rules = rb_strdup(matches[i].ignore);
		unsigned before = tap_failures;
		const char *bang = strchr(matches[i].want, '!');

		for (char *p = rules; *p; p++)
			*p = *p == ',' ? '\n' : *p;
		if (*rules)
			CHECK_INT(rb_ignore_parse(rules, strlen(rules), "x", &ig, &err), 0);
		root.ignore = ig;
		int r = rb_source_match(&root, matches[i].source, &m, &err);
		if (bang) {
			CHECK_INT(r, -1);
			CHECK_ERR(&err, bang + 1);
		} else {
			CHECK_OK(&err);
			check_matches(&m, matches[i].want);
		}
		if (tap_failures != before)
			printf("# source \"%s\", ignore \"%s\"\n", matches[i].source,
			       matches[i].ignore);
		rb_matches_clear(&m);
		rb_ignore_free(ig);
	}
}

static struct rb_ignore *rules_of(const char *lines)
{
	RB_CLEANUP(rb_strp) char *text = rb_strdup(lines);
	struct rb_error *err = NULL;
	struct rb_ignore *ig = NULL;

	for (char *p = text; *p; p++)
		*p = *p == ',' ? '\n' : *p;
	CHECK_INT(rb_ignore_parse(text, strlen(text), "x", &ig, &err), 0);
	CHECK_OK(&err);
	return ig;
}

/* All rules together: those of the ignore file are about paths in the root, the others about paths
 * below what is copied. */
static void test_context__skip(void)
{
	enum { T = RB_COPY_TAKE, S = RB_COPY_SKIP, D = RB_COPY_DESCEND };
	static const struct {
		const char *ignore, *exclude, *include, *copied, *path;
		int dir, file;
	} rows[] = {
		{"a,!a/b,*.o", "", NULL, ".", ".", T, T},
		{"a,!a/b,*.o", "", NULL, ".", "a", D, S},
		{"a,!a/b,*.o", "", NULL, ".", "a/b", T, T},
		{"a,!a/b,*.o", "", NULL, ".", "a/c", S, S},
		{"a,!a/b,*.o", "", NULL, ".", "x.o", S, S},
		{"", "", NULL, ".", "x.o", T, T},
		/* --exclude */
		{"", "*.o", NULL, ".", "x.o", S, S},
		{"", "*.o", NULL, "a", "a/x.o", S, S},
		{"", "*.o", NULL, "a", "a/b/x.o", T, T},
		{"", "a/*.o", NULL, "a", "a/x.o", T, T},
		{"", "**/*.o", NULL, "a/b", "a/b/c/x.o", S, S},
		{"", "a", NULL, "a", "a", T, T},
		{"", "b,!b/c", NULL, "a", "a/b", D, S},
		{"", "b,!b/c", NULL, "a", "a/b/c", T, T},
		{"", "b,!b/c", NULL, "a", "a/b/d", S, S},
		{"a,!a/b", "b", NULL, ".", "a", D, S},
		{"a,!a/b", "a/b", NULL, ".", "a/b", S, S},
		{"a/b", "x,!a/b", NULL, ".", "a/b", S, S},
		{"a,!a/b", "a,!a/c", NULL, ".", "a", D, S},
		{"a,!a/b", "a,!a/c", NULL, ".", "a/b", S, S},
		/* --parents */
		{"", "", "a/b", ".", ".", T, T},
		{"", "", "a/b", ".", "a", D, S},
		{"", "", "a/b", ".", "a/b", T, T},
		{"", "", "a/b", ".", "a/b/c", T, T},
		{"", "", "a/b", ".", "a/c", S, S},
		{"", "", "a/b", ".", "b", S, S},
		{"", "", "b", "a", "a/b", T, T},
		{"", "", "a", "a", "a/b", S, S},
		{"", "", "**/*.c", ".", "x", D, S},
		{"", "", "**/*.c", ".", "x/y.c", T, T},
		{"", "", "x/*", ".", "y", S, S},
		{"", "", "a*b", ".", "a*b", T, T},
		{"", "", "!a", ".", "!a", T, T},
		{"", "", "!a", ".", "a", S, S},
		{"", "", "# a", ".", "# a", T, T},
		{"", "a/b", "a", ".", "a/b", S, S},
		{"", "!a/b", "a/c", ".", "a/b", S, S},
		{"", "a,!a/b/c", "a/b", ".", "a/b", D, S},
		{"a/b/x", "", "a/b", ".", "a/b/x", S, S},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_ignore_freep) struct rb_ignore *ignore = rules_of(rows[i].ignore);
		RB_CLEANUP(rb_ignore_freep) struct rb_ignore *exclude = rules_of(rows[i].exclude);
		RB_CLEANUP(rb_ignore_freep) struct rb_ignore *include = NULL;
		struct rb_error *err = NULL;

		if (rows[i].include)
			CHECK_INT(rb_ignore_new_all_but(rows[i].include, &include, &err), 0);
		CHECK_OK(&err);
		const struct rb_source_root root = {.ignore = ignore, .exclude = exclude};
		const struct rb_match match = {
			.path = rb_strdup(rows[i].copied), .is_dir = true, .include = include};
		struct rb_selection sel = {&root, &match};
		if (rb_source_skip(&sel, rows[i].path, true) != rows[i].dir ||
		    rb_source_skip(&sel, rows[i].path, false) != rows[i].file) {
			printf("# row %zu: %d %d\n", i, rb_source_skip(&sel, rows[i].path, true),
			       rb_source_skip(&sel, rows[i].path, false));
			tap_failures++;
		}
		free(match.path);
	}
}

/* An unreadable directory that no source needs is no error; one that is needed is. */
static void test_context__unreadable(void)
{
	RB_CLEANUP(rb_closep) int fd = tree("unreadable", "f d/ d/x e/ e/y e/z");
	struct rb_source_root root = {.root_fd = fd};
	struct rb_matches m = {0};
	struct rb_error *err = NULL;
	struct rb_digest digest;

	if (geteuid() == 0)
		return;
	CHECK_INT(fchmodat(fd, "d", 0, 0), 0);
	CHECK_INT(fchmodat(fd, "e/y", 0, 0), 0);
	CHECK_INT(rb_source_match(&root, "*", &m, &err), 0);
	CHECK_INT(rb_source_match(&root, "e/*", &m, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(rb_source_match(&root, "*/x", &m, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_CONTEXT);
	CHECK_ERR(&err, "cannot read \"d\" in the build context: Permission denied; make it");
	rb_matches_clear(&m);
	CHECK_INT(rb_source_match(&root, "e", &m, &err), 0);
	CHECK_INT(rb_source_checksum(&root, &m.v[0], NULL, &digest, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_CONTEXT);
	CHECK_ERR(&err, "cannot read \"e/y\" in the build context: Permission denied");
	rb_matches_clear(&m);
	CHECK_INT(fchmodat(fd, "d", 0755, 0), 0);
}

/* --- checksums --- */

static struct rb_digest checksum_of(const struct rb_source_root *root, const char *source,
				    struct rb_statcache *sc)
{
	struct rb_matches m = {0};
	struct rb_error *err = NULL;
	struct rb_digest digest = {{0}};

	(void)rb_source_match(root, source, &m, &err);
	CHECK_OK(&err);
	CHECK_INT(m.n, 1);
	if (m.n)
		(void)rb_source_checksum(root, &m.v[0], sc, &digest, &err);
	CHECK_OK(&err);
	rb_matches_clear(&m);
	return digest;
}

static bool same(struct rb_digest a, struct rb_digest b)
{
	return rb_digest_eq(&a, &b);
}

/* Pairs of trees whose `t` is the same or not. */
static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
	{"t=x", "t=x", true},
	{"t=x", "t=y", false},
	{"t=x", "other t=x", true},
	{"t/ t/a=1 t/b=2", "t/ t/b=2 t/a=1", true},
	{"t/ t/a=1", "t/ t/a=1 t/b=2", false},
	{"t/ t/a=1", "t/ t/b=1", false},
	{"t/ t/a=1 t/b=2", "t/ t/a=2 t/b=1", false},
	{"t/ t/d/", "t/ t/e/", false},
	{"t/ t/d/", "t/ t/d", false},
	{"t/ t/d/ t/d/x", "t/ t/d/ t/x=t/d/x", false},
	{"t/ t/l>a", "t/ t/l>a", true},
	{"t/ t/l>a", "t/ t/l>b", false},
	{"t/ t/l>a", "t/ t/l=a", false},
	{"t>x x=1", "t>y y=1", true}, /* the selected path itself is followed */
	{"t>x x=1", "t=1", true},
	{"t/ t/p|", "t/ t/p=", false},
	{"t/ t/p|", "t/ t/p|", true},
	{"t/ t/s~", "t/ t/s=", true}, /* copied as an empty file */
	{"t/", "t=", false},
};

static void test_context__checksum_pairs(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(pairs); i++) {
		RB_CLEANUP(rb_closep) int a = tree("a", pairs[i].a), b = tree("b", pairs[i].b);
		struct rb_source_root x = {.root_fd = a}, y = {.root_fd = b};
		bool got = same(checksum_of(&x, "t", NULL), checksum_of(&y, "t", NULL));

		if (got != pairs[i].same)
			printf("# \"%s\" and \"%s\"\n", pairs[i].a, pairs[i].b);
		CHECK_INT(got, pairs[i].same);
		rb_closep(&b);
	}
}

/* Which metadata counts. */
static void test_context__checksum_metadata(void)
{
	RB_CLEANUP(rb_closep) int fd = tree("meta", "t/ t/f t/l>f");
	struct rb_source_root root = {.root_fd = fd};
	const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
	struct rb_digest before = checksum_of(&root, "t", NULL);

	CHECK_INT(utimensat(fd, "t/f", times, 0), 0);
	CHECK_INT(linkat(fd, "t/f", fd, "hard", 0), 0);
	CHECK(same(checksum_of(&root, "t", NULL), before));
	CHECK_INT(rb_sys_setxattr(fd, "t/f", "user.overlay.x", "1", 1), 0);
	CHECK_INT(rb_sys_setxattr(fd, "t/f", "user.rbuild.x", "1", 1), 0);
	CHECK(same(checksum_of(&root, "t", NULL), before));
	CHECK_INT(rb_sys_setxattr(fd, "t/f", "user.x", "1", 1), 0);
	struct rb_digest with_xattr = checksum_of(&root, "t", NULL);
	CHECK(!same(with_xattr, before));
	CHECK_INT(rb_sys_removexattr(fd, "t/f", "user.x"), 0);
	CHECK(same(checksum_of(&root, "t", NULL), before));
	CHECK_INT(fchmodat(fd, "t/f", 0755, 0), 0);
	CHECK(!same(checksum_of(&root, "t", NULL), before));
	CHECK_INT(fchmodat(fd, "t/f", 0644, 0), 0);
	CHECK_INT(fchmodat(fd, "t", 0700, 0), 0);
	CHECK(!same(checksum_of(&root, "t", NULL), before));
}

/* The view of a snapshot: owners count, and the same tree owned by root is the same content. */
static void test_context__checksum_of_view(void)
{
	static const char *const paths[] = {"t", "t/f", "t/l"};
	RB_CLEANUP(rb_closep) int fd = tree("view", "t/ t/f t/l>f");
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(0, 0);
	struct rb_source_root local = {.root_fd = fd}, view = {.root_fd = fd, .ledger = l};
	struct rb_digest want = checksum_of(&local, "t", NULL);

	for (size_t i = 0; i < RB_ARRAY_LEN(paths); i++)
		CHECK_INT(rb_ledger_chown(l, fd, paths[i], paths[i], 0, 0), 0);
	CHECK(same(checksum_of(&view, "t", NULL), want));
	for (size_t i = 0; i < RB_ARRAY_LEN(paths); i++) {
		CHECK_INT(rb_ledger_chown(l, fd, paths[i], paths[i], 0, 5), 0);
		CHECK(!same(checksum_of(&view, "t", NULL), want));
		CHECK(same(checksum_of(&local, "t", NULL), want));
		CHECK_INT(rb_ledger_chown(l, fd, paths[i], paths[i], 0, 0), 0);
	}
	CHECK_INT(unlinkat(fd, "t/f", 0), 0);
	CHECK_INT(rb_ledger_mknod(l, fd, "t/f", "t/f", S_IFCHR | 0644, 0x103), 0);
	struct rb_digest null_dev = checksum_of(&view, "t", NULL);
	CHECK_INT(unlinkat(fd, "t/f", 0), 0);
	CHECK_INT(rb_ledger_mknod(l, fd, "t/f", "t/f", S_IFCHR | 0644, 0x105), 0);
	CHECK(!same(checksum_of(&view, "t", NULL), null_dev));
}

/* What is excluded does not count, neither by name nor by content. */
static void test_context__checksum_ignores(void)
{
	static const struct {
		const char *rules, *a, *b;
		bool same;
	} rows[] = {
		{"t/x", "t/ t/f", "t/ t/f t/x", true},
		{"t/x", "t/ t/f t/x=1", "t/ t/f t/x=2", true},
		{"**/x", "t/ t/d/ t/d/x=1", "t/ t/d/ t/d/x=2", true},
		{"t/d", "t/ t/f", "t/ t/f t/d/ t/d/x", true},
		{"t/d\n!t/d/k", "t/ t/f", "t/ t/f t/d/ t/d/x", true}, /* nothing in it stays */
		{"t/d\n!t/d/k", "t/ t/f", "t/ t/f t/d/ t/d/k", false},
		{"t/d\n!t/d/k", "t/ t/d/ t/d/k t/d/x", "t/ t/d/ t/d/k", true},
		{"*\n!t/f", "t/ t/f t/x", "t/ t/f", true},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_closep) int a = tree("a", rows[i].a);
		RB_CLEANUP(rb_closep) int b = tree("b", rows[i].b);
		struct rb_error *err = NULL;
		struct rb_ignore *ig = NULL;

		CHECK_INT(rb_ignore_parse(rows[i].rules, strlen(rows[i].rules), "x", &ig, &err), 0);
		struct rb_source_root x = {.root_fd = a, .ignore = ig},
				      y = {.root_fd = b, .ignore = ig};
		bool got = same(checksum_of(&x, "t", NULL), checksum_of(&y, "t", NULL));
		if (got != rows[i].same)
			printf("# rules \"%s\": \"%s\" and \"%s\"\n", rows[i].rules, rows[i].a,
			       rows[i].b);
		CHECK_INT(got, rows[i].same);
		rb_ignore_free(ig);
	}
}

/* --- the stat cache --- */

static void settle(void)
{
	/* longer than a change may stay without a trace in the change time */
	(void)nanosleep(&(struct timespec){.tv_nsec = 120000000}, NULL);
}

struct cached {
	struct rb_store *store;
	struct rb_context *c;
	struct rb_statcache *sc;
	struct rb_source_root root;
};

static void reopen(struct cached *k)
{
	struct rb_error *err = NULL;

	if (k->sc)
		CHECK_INT(rb_statcache_save(k->sc, &err), 0);
	rb_statcache_free(k->sc);
	k->sc = NULL;
	CHECK_INT(rb_statcache_open(k->store, k->c, &k->sc, &err), 0);
	CHECK_OK(&err);
}

static void cached_init(struct cached *k, const char *spec)
{
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s/store", top);
	struct rb_error *err = NULL;

	*k = (struct cached){.c = context("cached", spec)};
	CHECK_INT(rb_store_open(path, &k->store, &err), 0);
	CHECK_OK(&err);
	k->root.root_fd = k->c->root_fd;
	reopen(k);
}

static void cached_clear(struct cached *k)
{
	rb_statcache_free(k->sc);
	rb_context_free(k->c);
	rb_store_free(k->store);
}

/* The inode of the only stat cache file, 0 when there is none. */
static ino_t cache_file(const struct cached *k)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf out = RB_BUF_INIT;
	RB_CLEANUP(rb_strp)
	char *cmd = rb_asprintf("ls -i %s/cache/statcache-* 2>/dev/null", rb_store_path(k->store));
	FILE *f = popen(cmd, "r");
	unsigned long ino = 0;

	if (!f || fscanf(f, "%lu", &ino) != 1)
		ino = 0;
	if (f)
		(void)pclose(f);
	return (ino_t)ino;
}

static void test_context__statcache(void)
{
	struct cached k;
	struct stat st;

	cached_init(&k, "t/ t/f=1111 t/g=2222 t/l>f");
	settle();
	struct rb_digest plain = checksum_of(&k.root, "t", NULL);
	CHECK(same(checksum_of(&k.root, "t", k.sc), plain));
	CHECK_INT(cache_file(&k), 0);
	reopen(&k);
	ino_t ino = cache_file(&k);
	CHECK(ino != 0);
	CHECK(same(checksum_of(&k.root, "t", k.sc), plain));
	reopen(&k); /* nothing changed: the same file */
	CHECK_INT(cache_file(&k), ino);

	/* same size and mtime, other content */
	CHECK_INT(fstatat(k.c->root_fd, "t/f", &st, 0), 0);
	write_file(k.c->root_fd, "t/f", "3333");
	const struct timespec times[2] = {st.st_atim, st.st_mtim};
	CHECK_INT(utimensat(k.c->root_fd, "t/f", times, 0), 0);
	struct rb_digest changed = checksum_of(&k.root, "t", k.sc);
	CHECK(!same(changed, plain));
	CHECK(same(changed, checksum_of(&k.root, "t", NULL)));

	/* another inode in its place, with all that a user can set the same */
	settle();
	CHECK(same(checksum_of(&k.root, "t", k.sc), changed));
	reopen(&k);
	CHECK(cache_file(&k) != ino);
	write_file(k.c->root_fd, "new", "4444");
	CHECK_INT(utimensat(k.c->root_fd, "new", times, 0), 0);
	CHECK_INT(renameat(k.c->root_fd, "new", k.c->root_fd, "t/f"), 0);
	CHECK(!same(checksum_of(&k.root, "t", k.sc), changed));
	CHECK(same(checksum_of(&k.root, "t", k.sc), checksum_of(&k.root, "t", NULL)));

	/* metadata is part of what is cached */
	settle();
	(void)checksum_of(&k.root, "t", k.sc);
	reopen(&k);
	CHECK_INT(fchmodat(k.c->root_fd, "t/g", 0600, 0), 0);
	CHECK(same(checksum_of(&k.root, "t", k.sc), checksum_of(&k.root, "t", NULL)));
	cached_clear(&k);
}

/* What was put is known at once, and after it was saved. */
static void test_context__statcache_fresh(void)
{
	enum { N = 5000 };
	struct rb_error *err = NULL;
	struct stat st = {.st_mode = S_IFREG | 0644, .st_size = 5};
	const int64_t now = rb_statcache_now_ns();
	struct rb_digest got, d = {0};
	struct cached k;
	char path[32];

	cached_init(&k, "t=1111");
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < N; i++) {
			(void)snprintf(path, sizeof(path), "file%u", i);
			st.st_ino = i + (round == 2);
			CHECK(rb_statcache_get(k.sc, path, &st, &got) == (round == 1));
			memcpy(d.bytes, &st.st_ino, sizeof(st.st_ino));
			rb_statcache_put(k.sc, path, &st, &st, now, &d);
			CHECK(rb_statcache_get(k.sc, path, &st, &got) && same(got, d));
		}
		if (round == 0)
			CHECK_INT(rb_statcache_save(k.sc, &err), 0);
	}
	reopen(&k);
	CHECK(rb_statcache_get(k.sc, "file4999", &st, &got) && same(got, d));
	st.st_ino--;
	CHECK(!rb_statcache_get(k.sc, "file4999", &st, &got));
	CHECK_OK(&err);
	cached_clear(&k);
}

/* A file hashed right after it was written is not believed: the next write may leave no trace. */
static void test_context__statcache_racy(void)
{
	struct cached k;

	cached_init(&k, "t=1111");
	struct rb_digest first = checksum_of(&k.root, "t", k.sc);
	reopen(&k);
	write_file(k.c->root_fd, "t", "2222");
	CHECK(!same(checksum_of(&k.root, "t", k.sc), first));
	cached_clear(&k);
}

static void test_context__statcache_damaged(void)
{
	struct cached k;

	cached_init(&k, "t=1111");
	settle();
	struct rb_digest want = checksum_of(&k.root, "t", k.sc);
	reopen(&k);
	RB_CLEANUP(rb_strp)
	char *cmd = rb_asprintf("for f in %s/cache/statcache-*; do printf XXXXXXXX | dd of=\"$f\" "
				"bs=1 seek=70 conv=notrunc 2>/dev/null; done",
				rb_store_path(k.store));
	CHECK_INT(system(cmd), 0);
	struct rb_error *err = NULL;
	rb_statcache_free(k.sc);
	k.sc = NULL;
	CHECK_INT(rb_statcache_open(k.store, k.c, &k.sc, &err), 0);
	CHECK_OK(&err);
	CHECK(same(checksum_of(&k.root, "t", k.sc), want));
	reopen(&k);
	CHECK(same(checksum_of(&k.root, "t", k.sc), want));
	cached_clear(&k);
}

int main(void)
{
	if (!mkdtemp(top))
		return 1;
	(void)umask(022);
	int r = tap_run((const struct tap_test[]){
		TAP(test_context__open_errors), TAP(test_context__dockerfile),
		TAP(test_context__tree_dockerfile), TAP(test_context__dockerfile_too_large),
		TAP(test_context__match), TAP(test_context__skip), TAP(test_context__unreadable),
		TAP(test_context__checksum_pairs), TAP(test_context__checksum_metadata),
		TAP(test_context__checksum_of_view), TAP(test_context__checksum_ignores),
		TAP(test_context__statcache), TAP(test_context__statcache_fresh),
		TAP(test_context__statcache_racy), TAP(test_context__statcache_damaged), TAP_END});
	return rb_remove_tree_at(AT_FDCWD, top) < 0 ? 1 : r;
}
