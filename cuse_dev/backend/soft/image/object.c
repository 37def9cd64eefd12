/* SPDX-License-Identifier: MIT */
/*
 * object.c - what nvcc leaves in host objects: sections of fat binary containers, named .nv_fatbin,
 * or __nv_relfatbin where they wait to be linked (-rdc). And the archives that ar makes of them.
 *
 * Files are foreign and may lie at any address: everything is copied out before it is used.
 */
#include "cuse_dev/backend/soft/image/object.h"

#include <elf.h>
#include <string.h>

#ifndef EM_CUDA
#define EM_CUDA 190
#endif

#define ARCHIVE_MAGIC "!<arch>\n"
#define ARCHIVE_HEAD  60
#define SIZE_AT	      48 /* of a member's head: ten decimal digits */
#define END_AT	      58 /* its last two bytes */

enum object_kind object_kind(const void *data, size_t bytes)
{
	Elf64_Ehdr e;

	if (bytes >= 8 && !memcmp(data, ARCHIVE_MAGIC, 8))
		return OBJECT_ARCHIVE;
	if (bytes < sizeof(e) || memcmp(data, ELFMAG, SELFMAG))
		return OBJECT_NONE;
	memcpy(&e, data, sizeof(e));
	return e.e_machine == EM_CUDA ? OBJECT_CUBIN : OBJECT_HOST;
}

static bool section_at(const unsigned char *p, size_t bytes, const Elf64_Ehdr *e, unsigned index,
		       Elf64_Shdr *ret)
{
	uint64_t at;

	if (index >= e->e_shnum || e->e_shentsize != sizeof(*ret) || e->e_shoff > bytes)
		return false;
	at = e->e_shoff + (uint64_t)index * sizeof(*ret);
	if (at > bytes || bytes - at < sizeof(*ret))
		return false;
	memcpy(ret, p + at, sizeof(*ret));
	return true;
}

static bool named(const unsigned char *p, size_t bytes, const Elf64_Shdr *names, uint32_t name,
		  const char *wanted)
{
	size_t n = strlen(wanted) + 1;

	return names->sh_offset <= bytes && names->sh_size <= bytes - names->sh_offset &&
	       name <= names->sh_size && names->sh_size - name >= n &&
	       !memcmp(p + names->sh_offset + name, wanted, n);
}

bool object_section(const void *data, size_t bytes, unsigned index, struct object_range *ret_range)
{
	const unsigned char *p = data;
	Elf64_Shdr names, s;
	Elf64_Ehdr e;

	if (bytes < sizeof(e))
		return false;
	memcpy(&e, p, sizeof(e));
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || !section_at(p, bytes, &e, e.e_shstrndx, &names))
		return false;
	for (unsigned i = 0; section_at(p, bytes, &e, i, &s); i++) {
		if (s.sh_type == SHT_NOBITS || s.sh_offset > bytes ||
		    s.sh_size > bytes - s.sh_offset)
			continue;
		if (!named(p, bytes, &names, s.sh_name, ".nv_fatbin") &&
		    !named(p, bytes, &names, s.sh_name, "__nv_relfatbin"))
			continue;
		if (index--)
			continue;
		ret_range->data = p + s.sh_offset;
		ret_range->bytes = (size_t)s.sh_size;
		return true;
	}
	return false;
}

bool archive_next(const void *data, size_t bytes, size_t *at, struct object_range *ret_member)
{
	const char *p = data;
	size_t size = 0, start = *at ? *at : 8;

	if (start > bytes || bytes - start < ARCHIVE_HEAD)
		return false;
	p += start;
	if (p[END_AT] != '`' || p[END_AT + 1] != '\n')
		return false;
	for (int i = SIZE_AT; i < END_AT && p[i] >= '0' && p[i] <= '9'; i++)
		size = size * 10 + (size_t)(p[i] - '0');
	start += ARCHIVE_HEAD;
	if (size > bytes - start)
		return false;
	ret_member->data = (const unsigned char *)data + start;
	ret_member->bytes = size;
	*at = start + size + (size & 1);
	return true;
}
