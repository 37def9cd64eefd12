/* SPDX-License-Identifier: MIT */
/*
 * compile_bench.c - how long the compiler takes for each kernel of a PTX text, without daemon or worker.
 *
 *   bench_compile FILE [X Y Z [KERNEL]]
 *
 * X Y Z: the block shape that code is made for (0 0 0: any). VGPU_PRINT=ir,llvm,opt,asm shows the stages.
 * Prints instructions of the IR of each kernel, and milliseconds of this process and bytes for the quick and for the
 * good code; then instructions per second of all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuse_dev/backend/soft/llvm/llvm.h"
#include "cuse_dev/backend/soft/ptx/ptx.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static char *read_text(const char *path, size_t *ret_bytes)
{
	FILE *f = fopen(path, "rb");
	char *p = NULL;
	long n;

	if (!f)
		return NULL;
	if (!fseek(f, 0, SEEK_END) && (n = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET)) {
		p = calloc(1, (size_t)n + 64);
		if (p)
			*ret_bytes = fread(p, 1, (size_t)n, f);
	}
	fclose(f);
	return p;
}

struct totals {
	double seconds[2], most[2]; /* by level */
	double insts;
	uint32_t kernels, left;
};

static uint32_t count(const struct ir_unit *u)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < u->nfuncs; i++)
		for (uint32_t k = 0; k < u->funcs[i]->nblocks; k++)
			n += u->funcs[i]->blocks[k].count;
	return n;
}

/* Of both levels: milliseconds and bytes. */
static void compile(struct ptx_module *m, struct ptx_func *f, struct llvm_options *opt,
		    struct totals *t)
{
	struct ptx_place place = { 0x700000000000ull, 0x780000000000ull };
	struct ptx_unit_info info = { 0 };
	struct ir_unit *u = NULL;
	struct ptx_error perr;
	size_t bytes[2] = { 0 };
	double s[2];
	char err[512];
	int r = 0;

	if (ptx_unit_create(m, f, &place, &u, &info, &perr) || !u)
		return;
	for (opt->level = LLVM_QUICK; opt->level <= LLVM_GOOD && r == 0; opt->level++) {
		void *object = NULL;

		s[opt->level] = now();
		r = llvm_compile(u, opt, &object, &bytes[opt->level], err, sizeof(err));
		s[opt->level] = now() - s[opt->level];
		free(object);
	}
	t->kernels++;
	if (r < 0) {
		t->left++;
		printf("%-60.60s left to the interpreter: %s\n", f->name, err);
	} else {
		t->insts += count(u);
		for (int i = 0; i < 2; i++) {
			t->seconds[i] += s[i];
			t->most[i] = s[i] > t->most[i] ? s[i] : t->most[i];
		}
		printf("%-60.60s %6u %8.2f ms %7zu bytes %8.2f ms %7zu bytes\n", f->name, count(u),
		       s[0] * 1e3, bytes[0], s[1] * 1e3, bytes[1]);
	}
	ptx_unit_destroy(u);
}

int main(int argc, char **argv)
{
	struct llvm_options opt = { .print = llvm_print_flags(getenv("VGPU_PRINT")) };
	struct totals t = { .insts = 0 };
	struct ptx_module *m;
	struct ptx_error err;
	size_t bytes = 0;
	char *text;

	if (argc != 2 && argc != 5 && argc != 6) {
		fprintf(stderr, "usage: bench_compile FILE [X Y Z [KERNEL]]\n");
		return 2;
	}
	text = read_text(argv[1], &bytes);
	if (!text) {
		perror(argv[1]);
		return 2;
	}
	if (ptx_module_load(text, strlen(text), &m, &err)) {
		fprintf(stderr, "%s:%u:%u: %s\n", argv[1], err.line, err.column, err.text);
		return 2;
	}
	for (int i = 0; i < 3 && argc > 4; i++)
		opt.block[i] = (uint32_t)strtoul(argv[2 + i], NULL, 10);
	for (size_t i = 0; i < m->nfuncs; i++)
		if (m->funcs[i]->is_entry && m->funcs[i]->defined &&
		    (argc < 6 || strstr(m->funcs[i]->name, argv[5])))
			compile(m, m->funcs[i], &opt, &t);
	printf("%u kernels, %u left to the interpreter\n", t.kernels, t.left);
	for (int i = 0; i < 2; i++)
		printf("%s: %.0f instructions per second, the longest %.0f ms\n",
		       i ? "good" : "quick", t.seconds[i] > 0 ? t.insts / t.seconds[i] : 0,
		       t.most[i] * 1e3);
	ptx_module_unload(m); /* and the text */
	return 0;
}
