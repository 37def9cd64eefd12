/* SPDX-License-Identifier: MIT */
/*
 * devlib.c - functions that device code declares and expects the driver to have, as far as PTX can say
 * what they do. They are weak: a module that has its own keeps it.
 */
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/backend/soft/image/image.h"

enum { OUT_OF_MEMORY = 2 };

static const struct {
	const char *name, *text;
} functions[] = {
	/* The handle of a conditional node is the address of its value (vgpu_share.h, BRANCH). */
	{ "cudaGraphSetConditional",
	  ".weak .func cudaGraphSetConditional(.param .b64 a, .param .b32 b)\n"
	  "{\n"
	  "	.reg .b64 %d;\n"
	  "	.reg .b32 %r;\n"
	  "	ld.param.b64 %d, [a];\n"
	  "	ld.param.b32 %r, [b];\n"
	  "	st.global.b32 [%d], %r;\n"
	  "	ret;\n"
	  "}\n" },
};

static bool names(const struct image_text *t, const char *name)
{
	return memmem(t->text, t->bytes, name, strlen(name));
}

uint32_t image_complete(struct image_text *t)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		size_t more = strlen(functions[i].text) + 1;
		char *text;

		if (!names(t, functions[i].name))
			continue;
		text = realloc(t->text, t->bytes + more + 64);
		if (!text) {
			free(t->text);
			t->text = NULL;
			return OUT_OF_MEMORY;
		}
		t->text = text;
		text[t->bytes++] = '\n';
		memcpy(text + t->bytes, functions[i].text, more);
		t->bytes += more - 1;
		memset(text + t->bytes, 0, 64);
	}
	return 0;
}
