// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/json.h"
#include "registry/registry-internal.h"

/* `: "CODE: message"` out of the error document of the distribution-spec, or nothing. */
static void add_words(struct rb_buf *out, const struct rb_buf *body)
{
	struct rb_error *ignored = NULL;
	RB_CLEANUP(rb_json_freep)
	struct rb_json *doc = rb_json_parse(body->ptr, body->len, "error", &ignored);
	const struct rb_json *first;
	const char *code, *message;
	size_t code_len = 0, message_len = 0;

	rb_error_drop(&ignored); /* proxies and plain web servers answer in HTML: no words then */
	first = doc ? rb_json_at(rb_json_member(doc, "errors"), 0) : NULL;
	code = first ? rb_json_string(rb_json_member(first, "code"), &code_len) : NULL;
	message = first ? rb_json_string(rb_json_member(first, "message"), &message_len) : NULL;
	if (!code && !message)
		return;
	rb_buf_addstr(out, ": \"");
	if (code)
		rb_net_quote(out, code, code_len);
	if (code && message)
		rb_buf_addstr(out, ": ");
	if (message)
		rb_net_quote(out, message, message_len);
	rb_buf_addch(out, '"');
}

int rb_registry_explain_status(long status, const char *name, const struct rb_buf *body,
			       bool *ret_transient, struct rb_error **err)
{
	static const struct {
		long status;
		enum rb_err code;
		bool transient;
		const char *meaning;
	} known[] = {
		{401, RB_ERR_AUTH, false, "refuses access"},
		{403, RB_ERR_AUTH, false, "refuses access"},
		{404, RB_ERR_NOTFOUND, false, "does not have it"},
		{407, RB_ERR_NETWORK, false, "cannot be reached: the proxy wants a password"},
		{408, RB_ERR_NETWORK, true, "lost patience"},
		{429, RB_ERR_NETWORK, true, "has had too many requests from here: try later"},
	};
	RB_CLEANUP(rb_buf_clear) struct rb_buf words = RB_BUF_INIT;
	const char *meaning = "gives an answer that makes no sense";
	enum rb_err code = RB_ERR_NETWORK;

	add_words(&words, body);
	*ret_transient = status >= 500;
	if (status >= 500)
		meaning = "is in trouble";
	for (size_t i = 0; i < RB_ARRAY_LEN(known); i++) {
		if (known[i].status != status)
			continue;
		code = known[i].code;
		meaning = known[i].meaning;
		*ret_transient = known[i].transient;
	}
	return rb_fail(err, code, "%s %s (HTTP status %ld)%s", name, meaning, status, words.ptr);
}
