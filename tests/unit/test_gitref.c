// SPDX-License-Identifier: Apache-2.0
/* Git references (dockerfile.md 5.5): each form, each query key, what must be refused (threats S10,
 * S38). */
#include "base/buf.h"
#include "dockerfile/gitref.h"
#include "tap.h"

/* "URL host=H [ssh] [user=U] ref=R dir=D [sum=C] [keep=N] [nosub] [mtime] [bycommit]" */
static void show(const struct rb_git_ref *r, struct rb_buf *b)
{
	rb_buf_addf(b, "%s host=%s%s", r->url, r->host, r->ssh ? " ssh" : "");
	if (r->userinfo)
		rb_buf_addf(b, " user=%s", r->userinfo);
	rb_buf_addf(b, " ref=%s dir=%s", r->ref ? r->ref : "-", r->subdir);
	if (r->checksum)
		rb_buf_addf(b, " sum=%s", r->checksum);
	if (r->keep_git_dir >= 0)
		rb_buf_addf(b, " keep=%d", r->keep_git_dir);
	rb_buf_addf(b, "%s%s%s", r->submodules ? "" : " nosub", r->commit_time ? " mtime" : "",
		    r->by_commit ? " bycommit" : "");
}

struct row {
	const char *text;
	const char *want; /* shown, or "!" and a part of the error */
};

static void check_rows(const struct row *rows, size_t n, bool as_context)
{
	for (size_t i = 0; i < n; i++) {
		struct rb_git_ref r = {0};
		struct rb_error *err = NULL;
		struct rb_buf b = RB_BUF_INIT;

		if (rb_git_ref_parse(rows[i].text, as_context, &r, &err) == 0) {
			show(&r, &b);
			CHECK_STR(b.ptr, rows[i].want);
		} else {
			char *text = rb_error_text(err);

			rb_buf_addf(&b, "!%s", text);
			if (rows[i].want[0] != '!' || !strstr(text, rows[i].want + 1))
				CHECK_STR(b.ptr, rows[i].want);
			CHECK_INT(err->code, RB_ERR_DOCKERFILE);
			free(text);
			rb_error_drop(&err);
		}
		rb_git_ref_clear(&r);
		rb_buf_clear(&b);
	}
}

#define CHECK_ROWS(rows, as_context) check_rows(rows, RB_ARRAY_LEN(rows), as_context)

static void test_gitref__forms(void)
{
	static const struct row rows[] = {
		{"https://h/x.git", "https://h/x.git host=h ref=- dir=."},
		{"http://h:8080/a/x.git", "http://h:8080/a/x.git host=h:8080 ref=- dir=."},
		{"git://h/x", "git://h/x host=h ref=- dir=."},
		{"ssh://git@h:22/x", "ssh://git@h:22/x host=h:22 ssh ref=- dir=."},
		{"git@h:a/b", "git@h:a/b host=h ssh ref=- dir=."},
		{"me-2_x@h.example:b.git#main",
		 "me-2_x@h.example:b.git host=h.example ssh ref=main dir=."},
		{"git@h:a?ref=v1", "git@h:a host=h ssh ref=v1 dir=."},
		{"https://me:p%40ss@h/x.git", "https://h/x.git host=h user=me:p@ss ref=- dir=."},
		{"https://token@h/x.git#v1", "https://h/x.git host=h user=token ref=v1 dir=."},
		{"https://h/x.git#v1", "https://h/x.git host=h ref=v1 dir=."},
		{"https://h/x.git#v1:docs/a", "https://h/x.git host=h ref=v1 dir=docs/a"},
		{"https://h/x.git#:docs", "https://h/x.git host=h ref=- dir=docs"},
		{"https://h/x.git#", "https://h/x.git host=h ref=- dir=."},
		{"https://h/x.git#v1:", "https://h/x.git host=h ref=v1 dir=."},
		{"https://h/x.git#:/docs/../a//b/", "https://h/x.git host=h ref=- dir=a/b"},
		{"https://h/x.git#feature/y%20z", "!cannot be the name of a branch"},
		{"https://h/x.git#refs/pull/1/head",
		 "https://h/x.git host=h ref=refs/pull/1/head dir=."},
		{"https://h/x.git#:a%20b", "https://h/x.git host=h ref=- dir=a b"},
	};

	CHECK_ROWS(rows, false);
}

static void test_gitref__queries(void)
{
	static const struct row rows[] = {
		{"https://h/x.git?ref=v1", "https://h/x.git host=h ref=v1 dir=."},
		{"https://h/x.git?tag=v1", "https://h/x.git host=h ref=refs/tags/v1 dir=."},
		{"https://h/x.git?tag=refs/tags/v1",
		 "https://h/x.git host=h ref=refs/tags/v1 dir=."},
		{"https://h/x.git?branch=b", "https://h/x.git host=h ref=refs/heads/b dir=."},
		{"https://h/x.git?subdir=a/b&ref=c", "https://h/x.git host=h ref=c dir=a/b"},
		{"https://h/x.git?checksum=ABCDEF12",
		 "https://h/x.git host=h ref=- dir=. sum=abcdef12"},
		{"https://h/x.git?commit=abcdef12",
		 "https://h/x.git host=h ref=- dir=. sum=abcdef12"},
		{"https://h/x.git?keep-git-dir", "https://h/x.git host=h ref=- dir=. keep=1"},
		{"https://h/x.git?keep-git-dir=0", "https://h/x.git host=h ref=- dir=. keep=0"},
		{"https://h/x.git?submodules=false", "https://h/x.git host=h ref=- dir=. nosub"},
		{"https://h/x.git?submodules=", "https://h/x.git host=h ref=- dir=."},
		{"https://h/x.git?mtime=commit", "https://h/x.git host=h ref=- dir=. mtime"},
		{"https://h/x.git?mtime=checkout", "https://h/x.git host=h ref=- dir=."},
		{"https://h/x.git?fetch-by-commit&commit=0123456789abcdef0123456789abcdef01234567",
		 "https://h/x.git host=h ref=- dir=. sum=0123456789abcdef0123456789abcdef01234567 bycommit"},
		{"https://h/x.git?ref=v1#v1", "https://h/x.git host=h ref=v1 dir=."},
		{"https://h/x.git?ref=v1#:d", "https://h/x.git host=h ref=v1 dir=d"},
		{"https://h/x.git?&ref=v1&", "https://h/x.git host=h ref=v1 dir=."},
		{"https://h/x.git?ref=v1#v2", "!conflicting git references \"v1\" and \"v2\""},
		{"https://h/x.git?tag=v1&branch=v1", "!conflicting git references"},
		{"https://h/x.git?subdir=a#v:b", "!conflicting git subdirectories"},
		{"https://h/x.git?commit=abcd&checksum=abce", "!conflicting git checksums"},
		{"https://h/x.git?depth=1", "!unexpected query \"depth\""},
		{"https://h/x.git?ref=a&ref=a", "!query \"ref\" has multiple values"},
		{"https://h/x.git?ref=", "!query \"ref\" has no value"},
		{"https://h/x.git?tag", "!query \"tag\" has no value"},
		{"https://h/x.git?submodules=maybe", "!invalid value \"maybe\""},
		{"https://h/x.git?mtime=now", "!invalid value \"now\""},
		{"https://h/x.git?checksum=xyz12", "!invalid checksum"},
		{"https://h/x.git?checksum=abc", "!invalid checksum"},
		{"https://h/x.git?fetch-by-commit", "!needs the whole id of a commit"},
		{"https://h/x.git?ref=%zz", "!malformed query"},
	};

	CHECK_ROWS(rows, false);
}

static void test_gitref__hostile(void)
{
	static const struct row rows[] = {
		{"https://h/x.git#--upload-pack=id", "!cannot be the name of a branch"},
		{"https://h/x.git?ref=-x", "!cannot be the name of a branch"},
		{"https://h/x.git?branch=-x", "https://h/x.git host=h ref=refs/heads/-x dir=."},
		{"https://h/x.git#a..b", "!cannot be the name of a branch"},
		{"https://h/x.git#a%00b", "!malformed fragment"},
		{"https://h/x.git#main:../..", "!outside of the repository"},
		{"https://h/x.git#:a/../../b", "!outside of the repository"},
		{"https://h/x.git?subdir=/../x", "!outside of the repository"},
		{"https://h/x.git#:%2e%2e/x", "!outside of the repository"},
		{"ssh://-oProxyCommand=id/x", "!not a usable git URL"},
		{"ssh://-oProxyCommand=id@h/x", "!not a usable git URL"},
		{"-oProxyCommand=id@h:x", "!not a usable git URL"},
		{"git@h:-x", "!not a usable git URL"},
		{"git@h:", "!not a usable git URL"},
		{"git://h;id/x", "!not a usable git URL"},
		{"git:///x", "!not a usable git URL"},
		{"git://h", "!not a usable git URL"},
		{"https://h/a b.git", "!blank or control character"},
		{"https://h/a\nb.git", "!blank or control character"},
		{"ext::sh -c id", "!blank or control character"},
		{"ext::id", "!not a git reference"},
		{"file:///etc", "!not a git reference"},
	};
	static char text[RB_GIT_TEXT_MAX + 20] = "https://h/";
	const struct row huge[] = {{text, "!more than 8192 bytes"}};

	CHECK_ROWS(rows, false);
	memset(text + 10, 'a', sizeof(text) - 11);
	CHECK_ROWS(huge, false);
}

static void test_gitref__contexts(void)
{
	static const struct row rows[] = {
		{"github.com/a/b", "https://github.com/a/b host=github.com ref=- dir=."},
		{"github.com/a/b#v1:d", "https://github.com/a/b host=github.com ref=v1 dir=d"},
	};
	static const struct {
		const char *text;
		bool add, context;
	} is[] = {
		{"github.com/a/b", false, true},
		{"github.com/", false, false},
		{"./github.com/a/b", false, false},
		{"../x.git", false, false},
		{"https://h/x.git", true, true},
		{"https://h/x", false, false},
		{"git@h:x", true, true},
		{"ssh://h/x", true, true},
		{"git://h/x", true, true},
		{"file:///x.git", false, false},
	};

	CHECK_ROWS(rows, true);
	for (size_t i = 0; i < RB_ARRAY_LEN(is); i++) {
		CHECK_INT(rb_git_ref_is(is[i].text, false), is[i].add);
		CHECK_INT(rb_git_ref_is(is[i].text, true), is[i].context);
	}
}

static void test_gitref__submodules(void)
{
	static const struct {
		const char *parent, *url, *want;
	} rows[] = {
		{"https://h/a/x.git", "https://g/y", "https://g/y"},
		{"https://h/a/x.git", "../y.git", "https://h/a/y.git"},
		{"https://h/a/x.git", "../../y", "https://h/y"},
		{"https://h/a/x.git", "./y", "https://h/a/x.git/y"},
		{"https://h/a/x.git", "../../../y", NULL},
		{"git@h:a/x.git", "../y.git", "git@h:a/y.git"},
		{"git@h:a/x.git", "../../y.git", "git@h:y.git"},
		{"git@h:a/x.git", "../../../y.git", NULL},
		{"https://h/x.git", "git@g:y", "git@g:y"},
		{"https://h/x.git", "/etc/y", NULL},
		{"https://h/x.git", "file:///y", NULL},
		{"https://h/x.git", "ext::sh", NULL},
		{"https://h/x.git", "-u./id", NULL},
		{"https://h/x.git", "--upload-pack=id", NULL},
		{"https://h/x.git", "ssh://-oProxyCommand=id/x", NULL},
		{"https://h/x.git", "y.bundle", NULL},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_git_ref parent = {0}, r = {0};
		struct rb_error *err = NULL;

		CHECK_INT(rb_git_ref_parse(rows[i].parent, false, &parent, &err), 0);
		int got = rb_git_ref_submodule(&parent, rows[i].url, &r, &err);
		CHECK_STR(got < 0 ? NULL : r.url, rows[i].want);
		if (got < 0)
			CHECK_INT(err->code, RB_ERR_CORRUPT);
		rb_error_drop(&err);
		rb_git_ref_clear(&r);
		rb_git_ref_clear(&parent);
	}
}

static void test_gitref__credentials(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"https://h/x.git#a", "https://h/x.git#a"},
		{"https://me:secret@h/x.git#a", "https://xxxxx:xxxxx@h/x.git#a"},
		{"https://secret@h/x", "https://xxxxx@h/x"},
		{"https://a@b@h/x", "https://xxxxx@h/x"},
		{"https://h/x@y", "https://h/x@y"},
		{"git@h:x", "git@h:x"},
		{"a/b@c", "a/b@c"},
	};
	struct rb_git_ref parent = {0}, r = {0};
	struct rb_error *err = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		char *got = rb_url_redact(rows[i].text);

		CHECK_STR(got, rows[i].want);
		free(got);
	}
	/* Handed on to submodules of the same host alone. */
	CHECK_INT(rb_git_ref_parse("https://t@h/x.git", false, &parent, &err), 0);
	CHECK_INT(rb_git_ref_submodule(&parent, "../y.git", &r, &err), 0);
	CHECK_STR(r.userinfo, "t");
	rb_git_ref_clear(&r);
	CHECK_INT(rb_git_ref_submodule(&parent, "https://g/y.git", &r, &err), 0);
	CHECK(!r.userinfo);
	rb_git_ref_clear(&r);
	rb_git_ref_clear(&parent);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_gitref__forms),
		TAP(test_gitref__queries),
		TAP(test_gitref__hostile),
		TAP(test_gitref__contexts),
		TAP(test_gitref__submodules),
		TAP(test_gitref__credentials),
		TAP_END,
	});
}
