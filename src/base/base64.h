/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with padding, on one line (RFC 4648 section 4). */
#ifndef RB_BASE_BASE64_H
#define RB_BASE_BASE64_H

#include "base/buf.h"

void rb_base64_encode(const void *data, size_t len, struct rb_buf *ret /* appended */);
/* Appends the bytes; 0, or -EINVAL for anything but a whole number of groups. */
int rb_base64_decode(const char *text, size_t len, struct rb_buf *ret);

#endif
