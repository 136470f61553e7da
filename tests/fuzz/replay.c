/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A main for fuzz targets that are built without an engine: runs LLVMFuzzerTestOneInput on every
 * file named, or on every file of a directory named, and reports TAP. A crash is the failure, so
 * each name is printed before its run.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An input larger than this is not a corpus file. */
#define INPUT_MAX_BYTES (16L << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_run, n_bad;

static void bad(const char *path)
{
	n_bad++;
	printf("not ok %u - %s: %s\n", ++n_run, path, strerror(errno));
}

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rbe");
	uint8_t *data = NULL;
	size_t got = 0;
	struct stat st;

	if (!f || fstat(fileno(f), &st) < 0) {
		bad(path);
	} else if (st.st_size > INPUT_MAX_BYTES) {
		errno = EFBIG;
		bad(path);
	} else {
		/* Exactly the size, on the heap: reading past the end is seen by the sanitizer. */
		data = malloc((size_t)st.st_size);
		if (st.st_size > 0 && !data)
			abort();
		if (st.st_size > 0)
			got = fread(data, 1, (size_t)st.st_size, f);
		printf("# %s\n", path);
		(void)fflush(stdout);
		(void)LLVMFuzzerTestOneInput(data, got);
		printf("ok %u - %s\n", ++n_run, path);
		free(data);
	}
	if (f)
		(void)fclose(f);
}

static void replay(const char *path)
{
	struct dirent **names = NULL;
	struct stat st;
	int n;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	n = scandir(path, &names, NULL, alphasort);
	if (n < 0)
		bad(path);
	for (int i = 0; i < n; i++) {
		char *below = NULL;

		if (names[i]->d_name[0] != '.') {
			if (asprintf(&below, "%s/%s", path, names[i]->d_name) < 0)
				abort();
			replay(below);
			free(below);
		}
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("1..%u\n", n_run);
	return n_bad ? 1 : 0;
}
