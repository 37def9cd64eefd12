/* SPDX-License-Identifier: MIT */
/*
 * load.c - an object to executable memory: llvm_load().
 *
 * The object comes from another process or from a cache and is believed nothing: every offset and
 * size is checked, relocations may only point into the object itself, symbols are not looked up. (What
 * the code does once it runs is another matter; that is why workers are jailed.) Only what the
 * small position-independent code model makes is known: .text, constants, jump tables.
 *
 *	mapping: [text sections][other sections]	written first, then read and execute only
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cuse_dev/backend/soft/llvm/run.h"
#include "cuse_dev/base/arena.h"

#define MAX_SECTIONS 4096u
#define MAX_IMAGE    (256u << 20)

struct object {
	const uint8_t *data;
	size_t bytes;
	const Elf64_Ehdr *head;
	const Elf64_Shdr *sections;
	uint32_t nsections;
	const char *names; /* section names */
	size_t name_bytes;
	uint64_t *at; /* per section: offset in the image, or NOWHERE */
	uint8_t *image;
	size_t image_bytes;
	const Elf64_Sym *symbols;
	size_t nsymbols;
	char *err;
	size_t err_bytes;
};

#define NOWHERE UINT64_MAX

__attribute__((format(printf, 2, 3))) static int bad(struct object *o, const char *fmt, ...)
{
	va_list ap;

	if (o->err_bytes) {
		va_start(ap, fmt);
		vsnprintf(o->err, o->err_bytes, fmt, ap);
		va_end(ap);
	}
	return -EINVAL;
}

/* @n elements of @size bytes at @offset of the object; NULL when they are not inside. */
static const void *inside(const struct object *o, uint64_t offset, uint64_t n, uint64_t size)
{
	if (offset > o->bytes || n > (o->bytes - offset) / size || offset % 8)
		return NULL;
	return o->data + offset;
}

static const char *section_name(const struct object *o, const Elf64_Shdr *s)
{
	return s->sh_name < o->name_bytes ? o->names + s->sh_name : "";
}

static int open_object(struct object *o)
{
	const Elf64_Ehdr *h = inside(o, 0, 1, sizeof(*h));
	const Elf64_Shdr *names;

	if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_REL ||
	    h->e_machine != EM_X86_64 || h->e_shentsize != sizeof(Elf64_Shdr))
		return bad(o, "no relocatable object for x86-64");
	if (!h->e_shnum || h->e_shnum > MAX_SECTIONS || h->e_shstrndx >= h->e_shnum)
		return bad(o, "%u sections", h->e_shnum);
	o->head = h;
	o->nsections = h->e_shnum;
	o->sections = inside(o, h->e_shoff, h->e_shnum, sizeof(Elf64_Shdr));
	if (!o->sections)
		return bad(o, "sections outside of the object");
	names = &o->sections[h->e_shstrndx];
	if (names->sh_type != SHT_STRTAB || names->sh_offset > o->bytes || !names->sh_size ||
	    names->sh_size > o->bytes - names->sh_offset ||
	    o->data[names->sh_offset + names->sh_size - 1])
		return bad(o, "no section names");
	o->names = (const char *)o->data + names->sh_offset;
	o->name_bytes = names->sh_size;
	return 0;
}

/* Unwinding is for debuggers that read the object itself. */
static bool wanted(const struct object *o, const Elf64_Shdr *s)
{
	if (!(s->sh_flags & SHF_ALLOC) || !s->sh_size)
		return false;
	if (s->sh_type != SHT_PROGBITS)
		return false;
	return strncmp(section_name(o, s), ".eh_frame", 9) &&
	       strncmp(section_name(o, s), ".vgpu", 5);
}

static int lay_out(struct object *o)
{
	uint64_t end = 0;

	o->at = calloc(o->nsections, sizeof(*o->at));
	if (!o->at)
		return -ENOMEM;
	for (uint32_t i = 0; i < o->nsections; i++) {
		const Elf64_Shdr *s = &o->sections[i];
		uint64_t align = s->sh_addralign ? s->sh_addralign : 1;

		o->at[i] = NOWHERE;
		if (!wanted(o, s))
			continue;
		if (s->sh_flags & SHF_WRITE)
			return bad(o, "section %.40s is writable", section_name(o, s));
		if (s->sh_offset > o->bytes || s->sh_size > o->bytes - s->sh_offset)
			return bad(o, "section %u outside of the object", i);
		if (align > 4096 || (align & (align - 1)))
			return bad(o, "section %u wants an alignment of %llu", i,
				   (unsigned long long)align);
		end = (end + align - 1) & ~(align - 1);
		o->at[i] = end;
		end += s->sh_size;
		if (end > MAX_IMAGE)
			return bad(o, "more than %u bytes", MAX_IMAGE);
	}
	if (!end)
		return bad(o, "no code");
	o->image_bytes = (end + 4095) & ~4095ull;
	o->image = mmap(NULL, o->image_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	if (o->image == MAP_FAILED) {
		o->image = NULL;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < o->nsections; i++)
		if (o->at[i] != NOWHERE)
			memcpy(o->image + o->at[i], o->data + o->sections[i].sh_offset,
			       o->sections[i].sh_size);
	return 0;
}

static int find_symbols(struct object *o)
{
	for (uint32_t i = 0; i < o->nsections; i++) {
		const Elf64_Shdr *s = &o->sections[i];

		if (s->sh_type != SHT_SYMTAB)
			continue;
		o->nsymbols = s->sh_size / sizeof(Elf64_Sym);
		o->symbols = inside(o, s->sh_offset, o->nsymbols, sizeof(Elf64_Sym));
		return o->symbols ? 0 : bad(o, "symbols outside of the object");
	}
	return bad(o, "no symbols");
}

/* Where a symbol lies in the image. */
static int symbol_place(struct object *o, uint64_t n, uint64_t *ret)
{
	const Elf64_Sym *s;

	if (n >= o->nsymbols)
		return bad(o, "no symbol %llu", (unsigned long long)n);
	s = &o->symbols[n];
	if (s->st_shndx >= o->nsections || o->at[s->st_shndx] == NOWHERE ||
	    s->st_value > o->sections[s->st_shndx].sh_size)
		return bad(o, "symbol %llu is not in the object", (unsigned long long)n);
	*ret = o->at[s->st_shndx] + s->st_value;
	return 0;
}

/* ---- relocations ---------------------------------------------------------------------------- */

static int relocate_one(struct object *o, uint32_t target, const Elf64_Rela *r)
{
	uint64_t type = ELF64_R_TYPE(r->r_info), size = type == R_X86_64_64 ? 8 : 4, to, at;
	int64_t v;
	int e;

	if (type != R_X86_64_PC32 && type != R_X86_64_PLT32 && type != R_X86_64_64)
		return bad(o, "relocation of type %llu", (unsigned long long)type);
	if (r->r_offset > o->sections[target].sh_size ||
	    size > o->sections[target].sh_size - r->r_offset)
		return bad(o, "relocation outside of its section");
	e = symbol_place(o, ELF64_R_SYM(r->r_info), &to);
	if (e < 0)
		return e;
	at = o->at[target] + r->r_offset;
	if (type == R_X86_64_64) {
		v = (int64_t)((uint64_t)(uintptr_t)o->image + to + (uint64_t)r->r_addend);
		memcpy(o->image + at, &v, 8);
		return 0;
	}
	v = (int64_t)(to + (uint64_t)r->r_addend - at);
	if (v < INT32_MIN || v > INT32_MAX)
		return bad(o, "relocation out of reach");
	memcpy(o->image + at, &v, 4);
	return 0;
}

static int relocate(struct object *o)
{
	for (uint32_t i = 0; i < o->nsections; i++) {
		const Elf64_Shdr *s = &o->sections[i];
		const Elf64_Rela *r;
		uint64_t n;

		if (s->sh_type != SHT_RELA && s->sh_type != SHT_REL)
			continue;
		if (s->sh_info >= o->nsections || o->at[s->sh_info] == NOWHERE)
			continue; /* of a section that is left out */
		n = s->sh_size / sizeof(*r);
		r = inside(o, s->sh_offset, n, sizeof(*r));
		if (!r || s->sh_type == SHT_REL)
			return bad(o, "relocations that cannot be read");
		for (uint64_t k = 0; k < n; k++) {
			int e = relocate_one(o, s->sh_info, &r[k]);

			if (e < 0)
				return e;
		}
	}
	return 0;
}

/* ---- what the code needs -------------------------------------------------------------------- */

/* A section by name; *ret_bytes: its size. */
static const uint8_t *section(struct object *o, const char *name, size_t *ret_bytes)
{
	for (uint32_t i = 0; i < o->nsections; i++) {
		const Elf64_Shdr *s = &o->sections[i];

		if (strcmp(section_name(o, s), name) || s->sh_type != SHT_PROGBITS)
			continue;
		if (s->sh_offset > o->bytes || s->sh_size > o->bytes - s->sh_offset)
			return NULL;
		*ret_bytes = s->sh_size;
		return o->data + s->sh_offset;
	}
	return NULL;
}

static int find_entry(struct object *o, struct llvm_code *code)
{
	for (uint64_t i = 0; i < o->nsymbols; i++) {
		const Elf64_Sym *s = &o->symbols[i];
		uint64_t at;
		int r;

		if (ELF64_ST_TYPE(s->st_info) != STT_FUNC)
			continue;
		r = symbol_place(o, i, &at);
		if (r < 0)
			return r;
		if (!(o->sections[s->st_shndx].sh_flags & SHF_EXECINSTR))
			return bad(o, "the entry is no code");
		code->entry = (llvm_entry)(uintptr_t)(o->image + at);
		return 0;
	}
	return bad(o, "no entry");
}

static int read_info(struct object *o, struct llvm_code *code)
{
	size_t bytes = 0;
	const uint8_t *p = section(o, LLVM_SECTION_INFO, &bytes);

	if (!p || bytes < sizeof(code->info))
		return bad(o, "no %s", LLVM_SECTION_INFO);
	memcpy(&code->info, p, sizeof(code->info));
	if (code->info.magic != llvm_abi_magic())
		return bad(o, "made by another version");
	if (code->info.nblocks > LLVM_MAX_BLOCKS || code->info.nbridged > LLVM_MAX_BRIDGED)
		return bad(o, "too many blocks or bridged operations");
	if (code->info.frame_bytes > LLVM_MAX_FRAME || code->info.frame_bytes % 64)
		return bad(o, "frames of %u bytes", code->info.frame_bytes);
	return 0;
}

static int read_unit(struct object *o, struct llvm_code *code)
{
	struct base_arena *a;
	struct ir_unit *u;
	size_t bytes = 0;
	const uint8_t *p;
	int r;

	if (!code->info.nbridged)
		return 0;
	p = section(o, LLVM_SECTION_UNIT, &bytes);
	if (!p || !bytes || p[bytes - 1])
		return bad(o, "no %s", LLVM_SECTION_UNIT);
	a = arena_create(0);
	if (!a)
		return -ENOMEM;
	r = ir_read((const char *)p, a, &u, o->err, o->err_bytes);
	if (r == 0 && u->nfuncs != code->info.nbridged)
		r = bad(o, "%u bridged operations, %u wanted", u->nfuncs, code->info.nbridged);
	if (r == 0) {
		ir_bind(u, code->base_va);
		r = interp_prepare_bridge(u, &code->bridge, o->err, o->err_bytes);
	}
	arena_destroy(a);
	return r;
}

static int make_code(struct object *o, struct llvm_code *code)
{
	int r = open_object(o);

	if (r == 0)
		r = read_info(o, code);
	if (r == 0)
		r = lay_out(o);
	if (r == 0)
		r = find_symbols(o);
	if (r == 0)
		r = relocate(o);
	if (r == 0)
		r = find_entry(o, code);
	if (r == 0)
		r = read_unit(o, code);
	if (r == 0 && mprotect(o->image, o->image_bytes, PROT_READ | PROT_EXEC) < 0) {
		r = -errno;
		bad(o, "no executable memory: %s", strerror(-r));
	}
	return r;
}

static size_t slot_bytes(const struct interp_code *bridge)
{
	size_t most = 64;

	for (uint32_t i = 0; bridge && i < bridge->nfuncs; i++)
		if (bridge->funcs[i].reg_bytes > most)
			most = bridge->funcs[i].reg_bytes;
	return most;
}

int llvm_load(const void *object, size_t bytes, const struct simt_code *like,
	      const uint64_t base_va[IR_BASE_COUNT], struct simt_code **ret_code, char *err,
	      size_t err_bytes)
{
#ifdef __x86_64__
	struct object o = { .bytes = bytes, .err = err, .err_bytes = err_bytes };
	struct llvm_code *code = calloc(1, sizeof(*code));
	int r = -ENOMEM;

	if (err_bytes)
		err[0] = 0;
	/* A copy: aligned, and nobody changes it meanwhile. */
	o.data = malloc(bytes + 8);
	if (!code || !o.data)
		goto out;
	if (bytes)
		memcpy((void *)(uintptr_t)o.data, object, bytes);
	memcpy(code->base_va, base_va, sizeof(code->base_va));
	r = make_code(&o, code);
	if (r < 0)
		goto out;
	code->base = *like;
	code->base.tier = &llvm_tier;
	code->slot_bytes = slot_bytes((const struct interp_code *)code->bridge);
	code->base.whole = !(code->info.flags & LLVM_CODE_STOPS);
	code->base.turns = code->base.whole && code->info.flags & LLVM_CODE_TURNS;
	code->image = o.image;
	code->image_bytes = o.image_bytes;
	*ret_code = &code->base;
	code = NULL;
	o.image = NULL;
out:
	if (o.image)
		munmap(o.image, o.image_bytes);
	free(o.at);
	free((void *)(uintptr_t)o.data);
	if (code)
		simt_code_destroy(code->bridge);
	free(code);
	return r;
#else
	return -ENOTSUP;
#endif
}

void llvm_code_destroy(struct simt_code *base)
{
	struct llvm_code *code = (struct llvm_code *)base;

	munmap(code->image, code->image_bytes);
	simt_code_destroy(code->bridge);
	free(code);
}

void llvm_code_place(const struct simt_code *code, const void **ret_at, size_t *ret_bytes)
{
	const struct llvm_code *c = (const struct llvm_code *)code;

	*ret_at = c->image;
	*ret_bytes = c->image_bytes;
}

enum llvm_level llvm_code_level(const struct simt_code *code)
{
	const struct llvm_code *c = (const struct llvm_code *)code;

	return c->info.flags & LLVM_CODE_QUICK ? LLVM_QUICK : LLVM_GOOD;
}

bool llvm_code_fits(const struct simt_code *code, const uint32_t block[3])
{
	const struct llvm_code *c = (const struct llvm_code *)code;

	if (!c->info.block[0])
		return true;
	return !memcmp(c->info.block, block, sizeof(c->info.block));
}
