// SPDX-License-Identifier: Apache-2.0
/* Git references, URLs of submodules, names of URLs and dates: text from Dockerfiles, repositories
 * and servers. */
#include <stdlib.h>
#include <string.h>

#include "context/context-internal.h"
#include "dockerfile/gitref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What git could take for an option is never handed to it. */
static void check(const struct rb_git_ref *r)
{
	if (r->url[0] == '-' || (r->ref && r->ref[0] == '-') || r->subdir[0] == '/' ||
	    rb_streq(r->subdir, "..") || rb_starts_with(r->subdir, "../"))
		abort();
}

static void try_submodule(const struct rb_git_ref *parent, const char *text)
{
	struct rb_error *err = NULL;
	struct rb_git_ref r;

	if (rb_git_ref_submodule(parent, text, &r, &err) == 0) {
		check(&r);
		rb_git_ref_clear(&r);
	}
	rb_error_drop(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_strp) char *text = rb_strndup((const char *)data, size);
	RB_CLEANUP(rb_strp) char *shown = rb_url_redact(text);
	RB_CLEANUP(rb_git_ref_clear) struct rb_git_ref parent = {0};
	char name[RB_URL_NAME_BYTES];
	struct rb_error *err = NULL;
	struct rb_git_ref r;

	for (int context = 0; context < 2; context++) {
		if (rb_git_ref_parse(text, context, &r, &err) == 0) {
			check(&r);
			try_submodule(&r, "../../x");
			rb_git_ref_clear(&r);
		}
		rb_error_drop(&err);
	}
	if (rb_git_ref_parse("https://u:p@h/a/b.git", false, &parent, &err) < 0)
		abort();
	try_submodule(&parent, text);
	if (rb_url_name(text, name, &err) == 0 && (!*name || strchr(name, '/')))
		abort();
	rb_error_drop(&err);
	(void)rb_url_date(text);
	return 0;
}
