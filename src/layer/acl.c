// SPDX-License-Identifier: Apache-2.0
/* The arithmetic of access control lists. */
#include "layer/acl.h"

#include <endian.h>
#include <string.h>

/* The attribute's format: a version, then entries of eight bytes, all little-endian. */
enum { VERSION = 2, HEAD_BYTES = 4, ENTRY_BYTES = 8, NO_ID = -1 };

enum tag {
	USER_OBJ = 0x01,
	USER = 0x02,
	GROUP_OBJ = 0x04,
	GROUP = 0x08,
	MASK = 0x10,
	OTHER = 0x20,
};

struct acl_entry {
	unsigned tag, perm;
	uint32_t id;
};

static size_t count(size_t len)
{
	return (len - HEAD_BYTES) / ENTRY_BYTES;
}

static struct acl_entry get(const void *value, size_t i)
{
	const char *p = (const char *)value + HEAD_BYTES + i * ENTRY_BYTES;
	uint16_t tag, perm;
	uint32_t id;

	memcpy(&tag, p, sizeof(tag));
	memcpy(&perm, p + 2, sizeof(perm));
	memcpy(&id, p + 4, sizeof(id));
	return (struct acl_entry){.tag = le16toh(tag), .perm = le16toh(perm), .id = le32toh(id)};
}

static void set_perm(void *value, size_t i, unsigned perm)
{
	const uint16_t le = htole16((uint16_t)perm);

	memcpy((char *)value + HEAD_BYTES + i * ENTRY_BYTES + 2, &le, sizeof(le));
}

/* Entries come in the order of their tags; one for the owner, the group and the others each, and
 * a mask where anybody is named. */
bool rb_acl_is_valid(const void *value, size_t len)
{
	const uint32_t version = htole32(VERSION);
	unsigned seen = 0;

	if (len < HEAD_BYTES || (len - HEAD_BYTES) % ENTRY_BYTES ||
	    memcmp(value, &version, sizeof(version)) != 0)
		return false;
	for (size_t i = 0; i < count(len); i++) {
		struct acl_entry e = get(value, i);
		bool named = e.tag == USER || e.tag == GROUP;

		if (!e.tag || e.tag > OTHER || e.tag & (e.tag - 1) || e.perm > 07)
			return false;
		if (named ? seen >= e.tag << 1 || e.id == (uint32_t)NO_ID : seen >= e.tag)
			return false;
		seen |= e.tag;
	}
	return (seen & USER_OBJ) && (seen & GROUP_OBJ) && (seen & OTHER) &&
	       (seen & MASK || !(seen & (USER | GROUP)));
}

static bool has_mask(const void *value, size_t len)
{
	return get(value, count(len) - 2).tag == MASK;
}

/* How far the entry's permissions are to the left in a mode; -1 when they are not in it. */
static int shift_of(unsigned tag, bool masked)
{
	switch (tag) {
	case USER_OBJ:
		return 6;
	case GROUP_OBJ:
		return masked ? -1 : 3;
	case MASK:
		return 3;
	case OTHER:
		return 0;
	default:
		return -1;
	}
}

mode_t rb_acl_mode(const void *value, size_t len)
{
	bool masked = has_mask(value, len);
	mode_t mode = 0;

	for (size_t i = 0; i < count(len); i++) {
		struct acl_entry e = get(value, i);
		int shift = shift_of(e.tag, masked);

		if (shift >= 0)
			mode |= (mode_t)e.perm << shift;
	}
	return mode;
}

void rb_acl_chmod(void *value, size_t len, mode_t mode)
{
	bool masked = has_mask(value, len);

	for (size_t i = 0; i < count(len); i++) {
		int shift = shift_of(get(value, i).tag, masked);

		if (shift >= 0)
			set_perm(value, i, mode >> shift & 07);
	}
}

mode_t rb_acl_create(void *value, size_t len, mode_t mode)
{
	mode &= rb_acl_mode(value, len);
	rb_acl_chmod(value, len, mode);
	return mode;
}

/* 1 when the entry speaks of the caller, 2 when no other one counts then. */
static int concerns(const struct acl_entry *e, const struct rb_acl_who *who)
{
	switch (e->tag) {
	case USER_OBJ:
		return who->uid == who->owner ? 2 : 0;
	case USER:
		return who->uid == e->id ? 2 : 0;
	case GROUP_OBJ:
		return who->in_group(who->ctx, who->group);
	case GROUP:
		return who->in_group(who->ctx, e->id);
	default:
		return 0;
	}
}

bool rb_acl_grants(const void *value, size_t len, const struct rb_acl_who *who, unsigned want)
{
	size_t n = count(len);
	unsigned mask = has_mask(value, len) ? get(value, n - 2).perm : 07;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		struct acl_entry e = get(value, i);
		int kind = concerns(&e, who);
		unsigned perm = e.tag == USER_OBJ ? e.perm : e.perm & mask;

		/* Of several groups one that grants it all is enough. */
		if (kind == 2 || (kind == 1 && (e.perm & want) == want))
			return (perm & want) == want;
		any |= kind == 1;
	}
	return !any && (get(value, n - 1).perm & want) == want;
}
