/* SPDX-License-Identifier: MIT */
/*
 * vgpu-ptxdump - what the front end makes of PTX: for people, and for trying whole libraries.
 *
 *	vgpu-ptxdump FILE               IR of every kernel (FILE: PTX text or a fat binary)
 *	vgpu-ptxdump FILE KERNEL        of one
 *	vgpu-ptxdump --check FILE...    compile everything, print totals and what failed
 *
 * --check walks a raw dump of an .nv_fatbin section too: one container after the other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuse_dev/backend/soft/image/fatbin.h"
#include "cuse_dev/backend/soft/image/image.h"
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/ptx/ptx.h"

struct totals {
	uint64_t modules, bad_modules, bytes, kernels, ok, refused, bad, insts, verify_bad,
		decode_bad;
	double index_s, lower_s, decode_s;
	bool decode;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static char *read_file(const char *path, size_t *ret_bytes)
{
	FILE *f = fopen(path, "rb");
	char *p = NULL;
	long n;

	if (!f)
		return NULL;
	if (!fseek(f, 0, SEEK_END) && (n = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET)) {
		p = calloc(1, (size_t)n + 64);
		if (p && fread(p, 1, (size_t)n, f) != (size_t)n) {
			free(p);
			p = NULL;
		}
		*ret_bytes = (size_t)n;
	}
	fclose(f);
	return p;
}

static int print_kernel(struct ptx_module *m, struct ptx_func *f)
{
	struct ptx_place place = { 0x700000000000ull, 0x780000000000ull };
	struct ptx_unit_info info = { 0 };
	struct ir_unit *u = NULL;
	struct ptx_error err;
	char text[256];
	char *ir;

	if (ptx_unit_create(m, f, &place, &u, &info, &err))
		fprintf(stderr, "%s: %u:%u: %s (%u)\n", f->name, err.line, err.column, err.text,
			err.code);
	if (!u)
		return 1;
	if (ir_verify(u, text, sizeof(text)) < 0)
		fprintf(stderr, "%s: verify: %s\n", f->name, text);
	ir = ir_print(u);
	if (ir)
		fputs(ir, stdout);
	free(ir);
	ptx_unit_destroy(u);
	return err.code != 0;
}

static void check_kernel(struct ptx_module *m, struct ptx_func *f, struct totals *t)
{
	struct ptx_place place = { 0x700000000000ull, 0x780000000000ull };
	struct ptx_unit_info info = { 0 };
	struct simt_code *code = NULL;
	struct ir_unit *u = NULL;
	struct ptx_error err;
	double start = now();
	char text[256];

	t->kernels++;
	ptx_unit_create(m, f, &place, &u, &info, &err);
	t->lower_s += now() - start;
	if (!err.code)
		t->ok++;
	else if (err.code == PTX_ERR_UNSUPPORTED)
		t->refused++;
	else
		t->bad++;
	if (err.code)
		printf("%s\t%.100s\t%u:%u: %s\n",
		       err.code == PTX_ERR_UNSUPPORTED ? "refused" : "BAD", f->name, err.line,
		       err.column, err.text);
	for (uint32_t i = 0; u && i < u->nfuncs; i++)
		for (uint32_t k = 0; k < u->funcs[i]->nblocks; k++)
			t->insts += u->funcs[i]->blocks[k].count;
	if (u && ir_verify(u, text, sizeof(text)) < 0) {
		t->verify_bad++;
		printf("VERIFY\t%.100s\t%s\n", f->name, text);
	} else if (u && !err.code && t->decode) {
		start = now();
		if (interp_prepare(u, &code, text, sizeof(text)) < 0) {
			t->decode_bad++;
			printf("DECODE\t%.100s\t%s\n", f->name, text);
		} else {
			simt_code_destroy(code);
		}
		t->decode_s += now() - start;
	}
	ptx_unit_destroy(u);
}

static void check_text(char *text, size_t bytes, struct totals *t)
{
	struct ptx_module *m;
	struct ptx_error err;
	double start = now();

	t->modules++;
	t->bytes += bytes;
	if (ptx_module_load(text, bytes, &m, &err)) {
		t->bad_modules++;
		printf("MODULE\t%u:%u: %s\n", err.line, err.column, err.text);
		return;
	}
	t->index_s += now() - start;
	for (size_t i = 0; i < m->nfuncs; i++)
		if (m->funcs[i]->is_entry && m->funcs[i]->defined)
			check_kernel(m, m->funcs[i], t);
	ptx_module_unload(m);
}

static int check_file(const char *path, struct totals *t)
{
	struct fatbin_entry e;
	struct fatbin_walk w;
	size_t bytes = 0;
	char *p = read_file(path, &bytes), *text;
	uint32_t magic = 0;

	if (!p) {
		perror(path);
		return 1;
	}
	memcpy(&magic, p, bytes < 4 ? bytes : 4);
	if (magic != FATBIN_CONTAINER_MAGIC) {
		check_text(p, strlen(p), t);
		return 0;
	}
	fatbin_walk_start(&w, p, bytes);
	while (fatbin_walk_next(&w, &e)) {
		size_t n;

		if (e.kind != FATBIN_PTX)
			continue;
		if (fatbin_unpack(&e, &text, &n) < 0) {
			printf("UNPACK\t%s\n", path);
			t->bad_modules++;
			continue;
		}
		check_text(text, strnlen(text, n), t);
	}
	if (w.broken || w.p != w.end)
		printf("BROKEN\t%s at %zu of %zu\n", path, (size_t)(w.p - (unsigned char *)p),
		       bytes);
	free(p);
	return 0;
}

static int check(int argc, char **argv, bool decode)
{
	struct totals t = { .decode = decode };
	int bad = 0;

	for (int i = 0; i < argc; i++)
		bad |= check_file(argv[i], &t);
	printf("modules %lu (bad %lu), %.1f MB, indexed at %.0f MB/s\n", (unsigned long)t.modules,
	       (unsigned long)t.bad_modules, (double)t.bytes / 1e6,
	       t.index_s > 0 ? (double)t.bytes / 1e6 / t.index_s : 0);
	printf("kernels %lu: ok %lu, refused %lu, bad %lu, verify %lu, decode %lu\n",
	       (unsigned long)t.kernels, (unsigned long)t.ok, (unsigned long)t.refused,
	       (unsigned long)t.bad, (unsigned long)t.verify_bad, (unsigned long)t.decode_bad);
	printf("instructions %lu; lowering %.2f s, decoding %.2f s\n", (unsigned long)t.insts,
	       t.lower_s, t.decode_s);
	return bad || t.bad || t.bad_modules || t.verify_bad || t.decode_bad;
}

static int dump(const char *path, const char *kernel)
{
	struct backend_log log = { .bytes = 0 };
	struct image_text text;
	struct ptx_module *m;
	struct ptx_error err;
	size_t bytes;
	char *p = read_file(path, &bytes);
	int r = 0;

	if (!p) {
		perror(path);
		return 1;
	}
	if (image_pick(p, bytes, 90, true, &text, &log)) {
		fprintf(stderr, "%s: %s", path, log.text);
		free(p);
		return 1;
	}
	free(p);
	if (ptx_module_load(text.text, text.bytes, &m, &err)) {
		fprintf(stderr, "%s:%u:%u: %s\n", path, err.line, err.column, err.text);
		return 1;
	}
	for (size_t i = 0; i < m->nfuncs; i++)
		if (m->funcs[i]->is_entry && m->funcs[i]->defined &&
		    (!kernel || !strcmp(kernel, m->funcs[i]->name)))
			r |= print_kernel(m, m->funcs[i]);
	ptx_module_unload(m);
	return r;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "--check"))
		return check(argc - 2, argv + 2, false);
	if (argc >= 3 && !strcmp(argv[1], "--decode"))
		return check(argc - 2, argv + 2, true);
	if (argc == 2 || argc == 3)
		return dump(argv[1], argc == 3 ? argv[2] : NULL);
	fprintf(stderr, "usage: %s FILE [KERNEL] | --check FILE... | --decode FILE...\n", argv[0]);
	return 2;
}
