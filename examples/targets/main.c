#include <stdio.h>
#include <stdlib.h>

#include "add.h"

int main(int argc, char **argv)
{
	int sum = 0;

	for (int i = 1; i < argc; i++)
		sum = add(sum, (int)strtol(argv[i], NULL, 10));
	printf("%d\n", sum);
	return 0;
}
