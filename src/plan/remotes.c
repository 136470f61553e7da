// SPDX-License-Identifier: Apache-2.0
/* ADD of URLs and git repositories (dockerfile.md 3.10 items 1 and 2, 5.5). */
#include "dockerfile/gitref.h"
#include "dockerfile/values.h"
#include "plan/plan-internal.h"

/* What --keep-git-dir and the reference itself say of one thing must agree. */
static int check_git(const struct rb_inst *inst, struct rb_plan_remote *r, struct rb_error **err)
{
	RB_CLEANUP(rb_git_ref_clear) struct rb_git_ref ref = {0};
	int flag = inst->copy.keep_git_dir;

	if (rb_git_ref_parse(r->url, false, &ref, err) < 0 ||
	    (r->checksum && rb_git_ref_set_checksum(&ref, r->checksum, err) < 0))
		return -1;
	if (flag >= 0 && ref.keep_git_dir >= 0 && flag != ref.keep_git_dir)
		return rb_fail(err, RB_ERR_DOCKERFILE, "inconsistent keep-git-dir configuration");
	r->keep_git_dir = flag > 0 || ref.keep_git_dir > 0;
	return 0;
}

static int check_url(const struct rb_plan_remote *r, struct rb_error **err)
{
	struct rb_digest digest;

	if (r->checksum && rb_digest_parse(r->checksum, &digest) < 0)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid checksum \"%s\" for a URL: it is sha256: and 64 "
			       "hexadecimal digits",
			       r->checksum);
	return 0;
}

/* Asking twice in one build could give two answers: what is asked for. */
static char *question(const struct rb_plan_remote *r)
{
	return rb_asprintf("%d\n%s\n%s", r->keep_git_dir, r->checksum ? r->checksum : "", r->url);
}

int rb_elab_remote(struct rb_elab *e, const char *source, struct rb_plan_remote **ret,
		   struct rb_error **err)
{
	struct rb_plan *plan = e->plan;
	RB_CLEANUP(rb_strp) char *shown = rb_url_redact(source);
	struct rb_plan_remote r = {
		.git = rb_git_ref_is(source, false),
		.url = rb_arena_strdup(plan->arena, source),
		.shown = rb_arena_strdup(plan->arena, shown),
		.line_first = e->inst->line_first,
		.line_last = e->inst->line_last,
	};

	if (e->inst->copy.checksum) {
		RB_CLEANUP(rb_strp) char *sum = rb_elab_expand(e, e->inst->copy.checksum, err);

		if (!sum)
			return -1;
		r.checksum = *sum ? rb_arena_strdup(plan->arena, sum) : NULL;
	}
	if ((r.git ? check_git(e->inst, &r, err) : check_url(&r, err)) < 0)
		return -1;
	RB_CLEANUP(rb_strp) char *asked = question(&r);
	ssize_t known = rb_env_find(&plan->remote_index, asked);
	if (known >= 0) {
		*ret = plan->remotes[known];
		return 0;
	}
	rb_env_set(&plan->remote_index, asked, "");
	r.index = plan->n_remotes;
	*ret = rb_arena_alloc(plan->arena, sizeof(**ret));
	**ret = r;
	rb_grow(plan->remotes, plan->n_remotes, &plan->cap_remotes);
	plan->remotes[plan->n_remotes++] = *ret;
	return 0;
}
