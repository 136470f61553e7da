/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of net/ only. */
#ifndef RB_NET_NET_INTERNAL_H
#define RB_NET_NET_INTERNAL_H

#include "net/net.h"

/* A transfer that libcurl (CURL *easy, CURLcode code) gave up. `*ret_transient`: worth another
 * attempt. */
int rb_net_explain_transport(void *easy, int code, const struct rb_net_url *at, const char *detail,
			     const struct rb_net *h, bool *ret_transient, struct rb_error **err);

#endif
