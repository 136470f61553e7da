// SPDX-License-Identifier: Apache-2.0
/*
 * Variable expansion. The first line of the input is the value of $v (and whether the escape is a
 * backtick: it begins with one), the rest is the word. Then the four ways to expand must agree
 * where they have to.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Splitting only takes blanks away: without them both results are the same text. */
static void check_split(const char *word, char escape, const struct rb_env *env, const char *whole)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv words = RB_STRV_INIT;
	RB_CLEANUP(rb_error_freep) struct rb_error *err = NULL;
	size_t total = 0;

	if (rb_expand_split(word, escape, env, NULL, &words, &err) < 0) {
		if (whole)
			abort();
		return;
	}
	if (!whole)
		abort();
	for (size_t i = 0; i < words.n; i++) {
		total += strlen(words.v[i]);
		if (!*words.v[i])
			abort();
	}
	if (total > strlen(whole))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_strp) char *text = rb_strndup((const char *)data, size);
	RB_CLEANUP(rb_env_clear) struct rb_env env = {0};
	RB_CLEANUP(rb_strv_clear) struct rb_strv undefined = RB_STRV_INIT;
	RB_CLEANUP(rb_error_freep) struct rb_error *err = NULL;
	RB_CLEANUP(rb_error_freep) struct rb_error *heredoc_err = NULL;
	struct rb_expand_report report = {RB_STRV_INIT};
	char *word = strchr(text, '\n');
	char escape = *text == '`' ? '`' : '\\';

	if (word)
		*word++ = '\0';
	else
		word = text;
	rb_env_set(&env, "v", text);
	rb_env_set(&env, "empty", "");
	RB_CLEANUP(rb_strp) char *whole = rb_expand(word, escape, &env, &report, &err);
	undefined = report.undefined;
	if (!whole != !!err)
		abort();
	check_split(word, escape, &env, whole);
	RB_CLEANUP(rb_strp) char *body = rb_expand_heredoc(word, &env, NULL, &heredoc_err);
	if (!body != !!heredoc_err)
		abort();
	/* What is only shown never fails, and has nothing to expand but $v and $empty. */
	RB_CLEANUP(rb_strp) char *shown = rb_expand_known(word, escape, &env);
	if (!strchr(word, '$') && !rb_streq(shown, word))
		abort();
	return 0;
}
