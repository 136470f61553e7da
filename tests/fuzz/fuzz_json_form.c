// SPDX-License-Identifier: Apache-2.0
/*
 * The JSON form of instructions (dockerfile.md 1.7): a list that was read is written and read
 * again, and what is no list leaves nothing behind.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dockerfile/dockerfile-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static char *write_list(const struct rb_strv *list)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *array = rb_json_new_array();

	for (size_t i = 0; i < list->n; i++)
		rb_json_add_str(array, list->v[i]);
	return rb_json_dump(array, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_strp) char *text = rb_strndup((const char *)data, size);
	RB_CLEANUP(rb_strv_clear) struct rb_strv list = RB_STRV_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv again = RB_STRV_INIT;
	RB_CLEANUP(rb_error_freep) struct rb_error *err = NULL;
	int r = rb_words_parse_json(text, &list, &err);

	require((r < 0) == !!err);
	require(r != 0 || list.n == 0);
	if (r <= 0)
		return 0;
	require(*text == '[');
	RB_CLEANUP(rb_strp) char *written = write_list(&list);
	require(rb_words_parse_json(written, &again, &err) == 1 && again.n == list.n);
	for (size_t i = 0; i < list.n; i++)
		require(rb_streq(list.v[i], again.v[i]));
	return 0;
}
