#include <stdio.h>

#include "add.h"

int main(void)
{
	if (add(2, 3) != 5)
		return 1;
	puts("1 test passed");
	return 0;
}
