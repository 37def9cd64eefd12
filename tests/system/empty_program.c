/* SPDX-License-Identifier: MIT */
/* empty_program.c - does nothing; linked in ways that the loader's search depends on. */
int main(void)
{
	return 0;
}
