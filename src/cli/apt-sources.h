/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The package sources of this machine's apt: /etc/apt/sources.list and what lies in
 * sources.list.d/, in both formats (sources.list(5)): one line a source, or stanzas (*.sources).
 */
#ifndef RB_CLI_APT_SOURCES_H
#define RB_CLI_APT_SOURCES_H

#include "base/buf.h"
#include "base/error.h"

/* One archive and one suite of it. */
struct rb_apt_source {
	char *uri;
	char *suite;
	struct rb_strv components;
	/* "Signed-By: /usr/share/keyrings/x.gpg": fields to be kept, as a stanza has them. */
	struct rb_strv fields;
	char *keyring; /* path in Signed-By; NULL: none, or the key itself is there */
	bool own_key;  /* Signed-By names a key that is not a distribution's archive keyring */
};

struct rb_apt_sources {
	struct rb_apt_source *v;
	size_t n, cap;
};

void rb_apt_sources_clear(struct rb_apt_sources *s);

/* Appends the binary sources of one file. What is switched off or malformed is left out. */
void rb_apt_sources_parse(const char *text, bool stanzas, struct rb_apt_sources *ret);

/* All files below `dir` ("/etc/apt"), in apt's order. No such directory or file is no error. */
int rb_apt_sources_read(const char *dir, struct rb_apt_sources *ret, struct rb_error **err);

/*
 * Keeps the sources that make up a distribution's release: `suite`, `suite`-updates and
 * `suite`-security with the component main, reached over the network. Archives of third parties
 * for the same suite have keys of their own; they stay only when nothing else serves the suite.
 * Returns whether `suite` itself is among them.
 */
bool rb_apt_sources_select(struct rb_apt_sources *s, const char *suite);

/* The sources as stanzas. */
void rb_apt_sources_print(const struct rb_apt_sources *s, struct rb_buf *out);

#endif
