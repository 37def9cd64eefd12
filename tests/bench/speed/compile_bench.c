/* SPDX-License-Identifier: MIT */
/*
 * compile_bench.c - how long the compiler takes for each kernel of a PTX text, without daemon or worker.
 *
 *   bench_compile FILE [X Y Z [KERNEL]]
 *
 * X Y Z: the block shape that code is made for (0 0 0: any). VGPU_PRINT=ir,llvm,opt,asm shows the stages.
 * Prints instructions of the IR, milliseconds of this process and bytes of each kernel, and instructions per second of all.
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
	double insts, seconds, most;
	uint32_t kernels, left;
};

static void compile(struct ptx_module *m, struct ptx_func *f, const struct llvm_options *opt,
		    struct totals *t)
{
	struct ptx_place place = { 0x700000000000ull, 0x780000000000ull };
	struct ptx_unit_info info = { 0 };
	struct ir_unit *u = NULL;
	struct ptx_error perr;
	uint32_t insts = 0;
	void *object = NULL;
	size_t bytes = 0;
	char err[512];
	double s;
	int r;

	if (ptx_unit_create(m, f, &place, &u, &info, &perr) || !u)
		return;
	for (uint32_t i = 0; i < u->nfuncs; i++)
		for (uint32_t k = 0; k < u->funcs[i]->nblocks; k++)
			insts += u->funcs[i]->blocks[k].count;
	s = now();
	r = llvm_compile(u, opt, &object, &bytes, err, sizeof(err));
	s = now() - s;
	t->kernels++;
	if (r < 0) {
		t->left++;
		printf("%-60.60s left to the interpreter: %s\n", f->name, err);
	} else {
		t->insts += insts;
		t->seconds += s;
		t->most = s > t->most ? s : t->most;
		printf("%-60.60s %6u %8.2f ms %7zu bytes\n", f->name, insts, s * 1e3, bytes);
	}
	free(object);
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
	printf("%u kernels, %u left to the interpreter; %.0f instructions per second, the longest "
	       "%.0f ms\n",
	       t.kernels, t.left, t.seconds > 0 ? t.insts / t.seconds : 0, t.most * 1e3);
	ptx_module_unload(m); /* and the text */
	return 0;
}
