#include <stdio.h>

int main(void)
{
	puts("this is two");
	return 0;
}
