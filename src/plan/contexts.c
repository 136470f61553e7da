// SPDX-License-Identifier: Apache-2.0
/* Named contexts: which one a name means (dockerfile.md 4.5). */
#include <string.h>

#include "image/reference.h"
#include "plan/plan-internal.h"

char *rb_plan_context_key(const char *name)
{
	static const char latest[] = ":latest";
	struct rb_ref ref = {0};
	struct rb_error *err = NULL;

	if (rb_ref_parse(name, &ref, &err) < 0) {
		/* Then it is not called so, which is no error of whoever asks. */
		rb_error_drop(&err);
		return NULL;
	}
	char *key = rb_ref_familiar(&ref);
	if (!ref.digest && rb_ends_with(key, latest))
		key[strlen(key) - strlen(latest)] = '\0';
	rb_ref_clear(&ref);
	return key;
}

const struct rb_plan_context *rb_plan_find_context(const struct rb_plan *plan, const char *name,
						   const struct rb_platform *platform)
{
	const struct rb_plan_options *o = &plan->options;
	const struct rb_plan_context *any = NULL, *exact = NULL;
	char text[RB_PLATFORM_TEXT_BYTES];

	if (!o->n_contexts || rb_streq(name, "scratch") || rb_streq(name, "context"))
		return NULL;
	RB_CLEANUP(rb_strp) char *key = rb_plan_context_key(name);
	if (!key)
		return NULL;
	rb_platform_text(platform, text);
	for (size_t i = 0; i < o->n_contexts; i++) {
		const struct rb_plan_context *c = &o->contexts[i];

		if (!rb_streq(c->name, key))
			continue;
		if (!*c->platform)
			any = c;
		else if (rb_streq(c->platform, text))
			exact = c;
	}
	return exact ? exact : any;
}
