// SPDX-License-Identifier: Apache-2.0
/*
 * A step that exchanges a directory and a symbolic link all the time:
 *
 *	swap DIRECTORY LINK ROUNDS [STOP]
 *
 * It ends after ROUNDS exchanges, or sooner when the file STOP is there, with the directory in its
 * place, and prints how many there were.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 0, i = 0;

	for (; i < rounds; i++) {
		if (syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) <
		    0) {
			perror("swap");
			return 1;
		}
		if (i % 64 == 1 && argc > 4 && access(argv[4], F_OK) == 0)
			break;
	}
	if (i % 2 && i == rounds)
		(void)syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE);
	printf("swapped %lu\n", i);
	return 0;
}
