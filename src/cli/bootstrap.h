/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root file system from a distribution's own packages, made by mmdebstrap in a user namespace of
 * its own (it maps the caller's subordinate ids itself, so this runs outside of ours).
 */
#ifndef RB_CLI_BOOTSTRAP_H
#define RB_CLI_BOOTSTRAP_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Writes the root file system as a tar file with the owners it has inside.
 *
 * `spec`     "debian:SUITE" or "ubuntu:SUITE"; the archives are those of this machine's apt sources
 *            for that suite, and the image's apt has the same
 * `include`  packages beside the essential ones and apt; an element may hold several, with commas
 * `out_tar`  file to write; what a failed run leaves there is the caller's to remove
 *
 * mmdebstrap's messages go to stderr as they come; SIGINT, SIGTERM and SIGHUP end it and let it
 * clean up. Single-threaded callers only.
 *
 * Errors: USAGE (spec or package name), NOTFOUND (mmdebstrap missing; no sources for the suite; no
 * such package), UNSUPPORTED (no subordinate ids), NETWORK, CANCELLED, SYS. Those that another
 * way to a base image would avoid say how to import a root file system.
 */
int rb_bootstrap(const char *spec, const struct rb_strv *include, const char *out_tar,
		 struct rb_error **err);

#endif
