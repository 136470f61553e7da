// SPDX-License-Identifier: Apache-2.0
/* A WWW-Authenticate header, parsed, and its realm made into a token URL. */
#include <stdint.h>
#include <stdlib.h>

#include "registry/registry-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_registry_clear_challenge) struct rb_challenge c = {0};
	RB_CLEANUP(rb_strp) char *header = rb_strndup((const char *)data, size);
	RB_CLEANUP(rb_strp) char *url = NULL;
	RB_CLEANUP(rb_net_clear_url) struct rb_net_url parts = {0};

	if (rb_registry_parse_challenge(header, &c) < 0 || !c.realm)
		return 0;
	if (!c.bearer)
		abort();
	url = rb_registry_token_url(c.realm, c.service, c.scope ? c.scope : "repository:x:pull");
	if (url)
		(void)rb_net_split_url(url, &parts);
	return 0;
}
