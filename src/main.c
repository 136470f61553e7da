// SPDX-License-Identifier: Apache-2.0
/* From argv to a verb; the only place that turns an error into an exit status. */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct rb_verb *const verbs[] = {
	&rb_verb_build,  &rb_verb_check,  &rb_verb_plan,    &rb_verb_pull,  &rb_verb_load,
	&rb_verb_import, &rb_verb_images, &rb_verb_run,     &rb_verb_shell, &rb_verb_bootstrap,
	&rb_verb_doctor, &rb_verb_reset,  &rb_verb_version,
};

/* Verbs that are promised and not here yet: refused by name, never taken for a context. */
static const char *const later[] = {
	"push",    "login",  "logout", "tag", "rmi",     "save",
	"inspect", "verify", "prune",  "du",  "history",
};

static void print_help(void)
{
	(void)printf(
		"Usage: rbuild [build] [OPTIONS] CONTEXT\n"
		"       rbuild VERB [OPTIONS] [ARG...]\n\n"
		"Builds OCI images from Dockerfiles without root and without a daemon.\n\nVerbs:\n");
	for (size_t i = 0; i < RB_ARRAY_LEN(verbs); i++)
		(void)printf("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
	(void)printf("\nrbuild VERB --help says more; so does rbuild(1).\n");
}

static const struct rb_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(verbs); i++)
		if (rb_streq(verbs[i]->name, name))
			return verbs[i];
	return NULL;
}

/* A word that is almost a verb and nothing else is a verb misspelt, not a context. */
static int misspelt_verb(const char *word, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_ARRAY_LEN(verbs)];

	for (size_t i = 0; i < RB_ARRAY_LEN(verbs); i++)
		names[i] = verbs[i]->name;
	const char *text = rb_suggest(&hint, word, names, RB_ARRAY_LEN(names));
	/* An option of build may come first. */
	if (!*text || *word == '-' || access(word, F_OK) == 0)
		return 0;
	return rb_fail(err, RB_ERR_USAGE, "neither a verb nor a directory: %s%s", word, text);
}

/* Index of the first word that is not an option of the common table, or argc. */
static int first_word(int argc, char *const *argv)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-') {
		bool takes_value = rb_streq(argv[i], "--root") || rb_streq(argv[i], "--mode");

		if (!takes_value && !rb_starts_with(argv[i], "--root=") &&
		    !rb_starts_with(argv[i], "--mode=") && !rb_streq(argv[i], "--debug") &&
		    !rb_starts_with(argv[i], "--debug=") && !rb_streq(argv[i], "-D"))
			return i;
		i += takes_value ? 2 : 1;
	}
	return i < argc ? i : argc;
}

static bool is_help(const char *word)
{
	return rb_streq(word, "help") || rb_streq(word, "--help") || rb_streq(word, "-h");
}

/* rbuild help [VERB] */
static int help_of(struct rb_cli *cli, int n, char *const *words, struct rb_error **err)
{
	char option[] = "--help", *const argv[] = {option, NULL};
	const struct rb_verb *verb = n ? find_verb(words[0]) : NULL;

	if (n && !verb)
		return misspelt_verb(words[0], err) < 0
			       ? -1
			       : rb_fail(err, RB_ERR_USAGE, "there is no verb %s", words[0]);
	if (verb)
		return verb->run(cli, 1, argv, err);
	print_help();
	return RB_EXIT_OK;
}

static int dispatch(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	int at = first_word(argc, argv);
	const struct rb_verb *verb = at < argc ? find_verb(argv[at]) : NULL;

	if (argc == 1 || (argc == 2 && is_help(argv[1]))) {
		print_help();
		return argc == 1 ? RB_EXIT_USAGE : RB_EXIT_OK;
	}
	if (at < argc && rb_streq(argv[at], "help"))
		return help_of(cli, argc - at - 1, argv + at + 1, err);
	if (at < argc && rb_streq(argv[at], "--version"))
		verb = &rb_verb_version;
	for (size_t i = 0; !verb && at < argc && i < RB_ARRAY_LEN(later); i++)
		if (rb_streq(argv[at], later[i]))
			return rb_fail(
				err, RB_ERR_USAGE,
				"the verb %s is not supported yet by this version of rbuild (for a directory of "
				"that name write ./%s)",
				later[i], later[i]);
	if (!verb && at < argc && misspelt_verb(argv[at], err) < 0)
		return -1;
	/* Common options before the verb belong to it like those after it. */
	RB_CLEANUP(rb_strv_clear) struct rb_strv words = RB_STRV_INIT;
	for (int i = 1; i < argc; i++)
		if (!verb || i != at)
			rb_strv_add(&words, argv[i]);
	if (!verb)
		verb = &rb_verb_build;
	return verb->run(cli, (int)words.n, rb_strv_argv(&words), err);
}

/*
 * A standard descriptor that the caller closed would be given to the next file we open: a directory
 * of the store could become the standard input of a step. So each of them is something from the
 * start.
 */
static void hold_standard_descriptors(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(RB_EXIT_FAILED);
}

int main(int argc, char **argv)
{
	struct rb_cli cli = {0};
	struct rb_error *err = NULL;

	hold_standard_descriptors();

	/* A closed output is an error of write(), which the writers handle. */
	(void)signal(SIGPIPE, SIG_IGN);
	/* So is a file that grows beyond the limit. */
	(void)signal(SIGXFSZ, SIG_IGN);
	int status = dispatch(&cli, argc, argv, &err);
	if (status < 0)
		status = rb_cli_report(&cli, NULL, &err);
	if (fflush(stdout) != 0 && status == RB_EXIT_OK) {
		(void)fprintf(stderr, "rbuild: cannot write to the standard output\n");
		status = RB_EXIT_FAILED;
	}
	return status;
}
