#include <stdio.h>

int main(void)
{
	puts("this is one");
	return 0;
}
