/* SPDX-License-Identifier: MIT */
/* elf.c - what the loader will read of a file, with libelf. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <unistd.h>

#include "cuse_dev/ctl/doctor.h"
#include "ioctl/note.h"

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static void read_dynamic(Elf *e, Elf_Scn *scn, const GElf_Shdr *sh, struct ctl_elf *r)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t count = sh->sh_entsize ? sh->sh_size / sh->sh_entsize : 0, i;
	const char *text;
	GElf_Dyn dyn;

	for (i = 0; data && i < count && gelf_getdyn(data, (int)i, &dyn); i++) {
		text = elf_strptr(e, sh->sh_link, dyn.d_un.d_val);
		if (dyn.d_tag == DT_RPATH)
			copy(r->rpath, sizeof(r->rpath), text);
		else if (dyn.d_tag == DT_RUNPATH)
			copy(r->runpath, sizeof(r->runpath), text);
		else if (dyn.d_tag == DT_NEEDED && text && !strcmp(text, DOCTOR_LIBRARY))
			r->needs_libcuda = true;
	}
}

static void read_note(Elf_Scn *scn, struct ctl_elf *r)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t at = 0, name, desc;
	GElf_Nhdr n;

	while (data && (at = gelf_getnote(data, at, &n, &name, &desc)) > 0) {
		const char *bytes = data->d_buf;

		if (n.n_namesz != sizeof(NOTE_NAME) || strcmp(bytes + name, NOTE_NAME) ||
		    n.n_type != NOTE_TYPE)
			continue;
		r->ours = true;
		snprintf(r->version, sizeof(r->version), "%.*s", (int)n.n_descsz, bytes + desc);
	}
}

static void read_segments(Elf *e, struct ctl_elf *r)
{
	size_t count = 0, i, size = 0;
	const char *file = elf_rawfile(e, &size);
	GElf_Phdr ph;

	if (elf_getphdrnum(e, &count) < 0)
		return;
	for (i = 0; i < count && gelf_getphdr(e, (int)i, &ph); i++) {
		if (ph.p_type == PT_INTERP && file && ph.p_offset < size &&
		    ph.p_filesz <= size - ph.p_offset)
			snprintf(r->interpreter, sizeof(r->interpreter), "%.*s", (int)ph.p_filesz,
				 file + ph.p_offset);
	}
}

static int read_all(Elf *e, struct ctl_elf *r)
{
	Elf_Scn *scn = NULL;
	GElf_Ehdr eh;
	GElf_Shdr sh;

	if (elf_kind(e) != ELF_K_ELF || !gelf_getehdr(e, &eh))
		return -ENOEXEC;
	r->class_bits = gelf_getclass(e) == ELFCLASS64 ? 64 : 32;
	r->machine = eh.e_machine;
	read_segments(e, r);
	r->program = eh.e_type == ET_EXEC || *r->interpreter;
	while ((scn = elf_nextscn(e, scn))) {
		if (!gelf_getshdr(scn, &sh))
			continue;
		if (sh.sh_type == SHT_DYNAMIC)
			read_dynamic(e, scn, &sh, r);
		else if (sh.sh_type == SHT_NOTE)
			read_note(scn, r);
	}
	return 0;
}

int ctl_elf_read(const char *path, struct ctl_elf *ret_elf)
{
	int fd, r;
	Elf *e;

	memset(ret_elf, 0, sizeof(*ret_elf));
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOTSUP;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	e = elf_begin(fd, ELF_C_READ, NULL);
	r = e ? read_all(e, ret_elf) : -ENOEXEC;
	elf_end(e);
	close(fd);
	return r;
}
