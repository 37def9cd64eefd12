/* SPDX-License-Identifier: MIT */
/*
 * ipc.c - memory and events of other processes of the same user.
 *
 * Memory of ours lies in memfds of the process that allocated it. What one process gives to another, by
 * whatever way it likes, says which process, which descriptor there, and where in the file; the other opens
 * /proc/<pid>/fd/<n>, which the kernel allows to the same user alone, sees by the inode that it is still the
 * same file, and has it imported by its own worker. The daemon learns nothing and decides nothing.
 *
 * What cannot work: another pid namespace, a process that is not dumpable, a process without shared pages.
 *
 * An event lies in 512 bytes of a file of events that both sides and their workers map:
 *
 *	word 0       number of the last record; whoever records adds one
 *	word 1..63   record n has come to its place in a stream when word 1 + n % 63 is n or more
 *
 * so that records of several streams and processes never step on each other, and recording and waiting are
 * the commands of cuStreamWriteValue and cuStreamWaitValue.
 */
#include "libcuda/impl/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/queue.h"
#include "libcuda/impl/vmm.h"

#define UNIT	    (2ull << 20)
#define MAGIC	    0x63706956u /* "Vipc" */
#define EVENT_BYTES 512u
#define EVENT_WORDS (EVENT_BYTES / 8)
#define AREA_EVENTS (UNIT / EVENT_BYTES)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- places --------------------------------------------------------------------------------- */

_Static_assert(sizeof(struct ipc_place) == CU_IPC_HANDLE_SIZE, "as large as the manual's handle");

static uint64_t sum(const struct ipc_place *p)
{
	const unsigned char *byte = (const void *)p;
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < offsetof(struct ipc_place, sum); i++)
		h = (h ^ byte[i]) * 0x100000001b3ull;
	return h;
}

void cu_ipc_seal(struct ipc_place *p, uint32_t what)
{
	p->magic = MAGIC + what;
	p->pid = (uint32_t)getpid();
	p->sum = sum(p);
}

bool cu_ipc_sealed(const struct ipc_place *p, uint32_t what)
{
	return p->magic == MAGIC + what && p->sum == sum(p);
}

/* Opens what @p names, which may be anything by now: a look first, through a descriptor that starts nothing. */
static int open_place(const struct ipc_place *p)
{
	char path[64];
	struct stat st;
	int look, fd;

	snprintf(path, sizeof(path), "/proc/%u/fd/%u", p->pid, p->fd);
	look = open(path, O_PATH | O_CLOEXEC);
	if (look < 0)
		return -errno;
	if (fstat(look, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != p->ino || p->off % 8 ||
	    (uint64_t)st.st_size < p->off || (uint64_t)st.st_size - p->off < p->size) {
		close(look);
		return -ESTALE;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", look);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(look);
	return fd;
}

int cu_ipc_name(int fd, struct ipc_place *p)
{
	struct stat st;

	if (fd < 0)
		return -ENOTSUP;
	if (fstat(fd, &st) < 0)
		return -errno;
	p->fd = (uint32_t)fd;
	p->ino = st.st_ino;
	return 0;
}

/* ---- files of other processes, imported once each ------------------------------------------- */

struct ipc_file {
	struct ipc_file *next; /* guarded by lock, as all of it */
	struct link_dev *dev;
	uint64_t ino;
	uint32_t phys;
	int fd;
	unsigned refs;
};

static struct ipc_file *files; /* guarded by lock */

static void file_put(struct ipc_file *f)
{
	struct vgpu_phys_release drop = { .phys = f->phys };
	struct ipc_file **at = &files;

	if (--f->refs)
		return;
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	link_call(f->dev, VGPU_OP_PHYS_RELEASE, &drop, sizeof(drop));
	close(f->fd);
	free(f);
}

static int file_get(const struct ipc_place *p, struct link_dev *dev, struct ipc_file **ret_file)
{
	struct vgpu_phys_import import = { 0 };
	struct ipc_file *f;
	int r;

	for (f = files; f; f = f->next) {
		if (f->dev == dev && f->ino == p->ino) {
			f->refs++;
			*ret_file = f;
			return 0;
		}
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->fd = open_place(p);
	if (f->fd < 0) {
		r = f->fd;
		free(f);
		return r;
	}
	import.fd = f->fd;
	r = link_call(dev, VGPU_OP_PHYS_IMPORT, &import, sizeof(import));
	if (r < 0) {
		close(f->fd);
		free(f);
		return r;
	}
	f->dev = dev;
	f->ino = p->ino;
	f->phys = import.phys;
	f->refs = 1;
	f->next = files;
	files = f;
	*ret_file = f;
	return 0;
}

/* ---- windows: parts of a file, at addresses of ours ----------------------------------------- */

struct window {
	struct link_dev *dev;
	uint64_t va, size; /* whole units */
	uint8_t *view;
};

static void window_close(struct window *w)
{
	struct vgpu_va_free give = { .va = w->va, .size = w->size };

	munmap(w->view, w->size);
	cu_vmm_unbind(w->dev, w->va, w->size);
	link_call(w->dev, VGPU_OP_VA_FREE, &give, sizeof(give));
}

/* [off, +size) of @phys, whose file is @fd. */
static int window_open(struct link_dev *dev, uint32_t phys, int fd, uint64_t off, uint64_t size,
		       struct window *ret_window)
{
	struct window w = { .dev = dev, .size = size };
	struct vgpu_va_reserve va = { .size = size };
	struct vgpu_va_map map = { .size = size, .offset = off, .phys = phys };
	struct vgpu_va_free give = { .size = size };
	int r;

	w.view = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		      (off_t)off);
	if (w.view == MAP_FAILED)
		return -errno;
	madvise(w.view, size, MADV_DONTDUMP);
	madvise(w.view, size, MADV_DONTFORK);
	r = link_call(dev, VGPU_OP_VA_RESERVE, &va, sizeof(va));
	if (r < 0)
		goto unmap;
	w.va = map.va = give.va = va.va;
	r = link_call(dev, VGPU_OP_VA_MAP, &map, sizeof(map));
	if (r < 0)
		goto free_va;
	r = cu_vmm_access_set(dev, w.va, size, VGPU_PROT_READ_WRITE);
	if (r < 0) {
		cu_vmm_unbind(dev, w.va, size);
		goto free_va;
	}
	*ret_window = w;
	return 0;

free_va:
	link_call(dev, VGPU_OP_VA_FREE, &give, sizeof(give));
unmap:
	munmap(w.view, size);
	return r;
}

/* ---- memory --------------------------------------------------------------------------------- */

/** struct ipc_memory - memory of another process, open here. */
struct ipc_memory {
	struct ipc_memory *next; /* guarded by lock, as all of it */
	struct ipc_file *file;
	struct window window;
	struct cu_ctx *ctx;
	uint64_t off; /* in the file */
	uint64_t ptr;
	unsigned refs;
	bool pooled;
};

static struct ipc_memory *opened; /* guarded by lock */

static CUresult refusal(int r)
{
	switch (r) {
	case -ENOENT:
	case -ESTALE:
	case -EACCES:
	case -EPERM:
	case -ENXIO:
		return CUDA_ERROR_INVALID_HANDLE;
	case -ENOTSUP:
		return CUDA_ERROR_NOT_SUPPORTED;
	case -EINVAL:
		return CUDA_ERROR_MAP_FAILED;
	default:
		return cu_from_errno(r);
	}
}

static int memory_open(const struct ipc_place *p, struct cu_ctx *ctx, bool pooled,
		       struct ipc_memory **ret_memory)
{
	uint64_t from = p->off & ~(UNIT - 1), to = (p->off + p->size + UNIT - 1) & ~(UNIT - 1);
	struct link_dev *dev = ctx->dev->link;
	struct link_range range = { .size = p->size, .kind = LINK_IPC, .dev = dev, .ctx = ctx };
	struct ipc_memory *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	r = file_get(p, dev, &m->file);
	if (r < 0)
		goto free_memory;
	r = window_open(dev, m->file->phys, m->file->fd, from, to - from, &m->window);
	if (r < 0)
		goto put_file;
	range.va = m->window.va + (p->off - from);
	range.host = m->window.view + (p->off - from);
	range.object = m;
	range.worker_visible = true;
	r = link_map_add(&dev->link->ranges, &range);
	if (r < 0)
		goto close_window;
	m->ctx = ctx;
	m->off = p->off;
	m->ptr = range.va;
	m->refs = 1;
	m->pooled = pooled;
	m->next = opened;
	opened = m;
	*ret_memory = m;
	return 0;

close_window:
	window_close(&m->window);
put_file:
	file_put(m->file);
free_memory:
	free(m);
	return r;
}

/* It is in nobody's map any more; nothing that is queued uses it. */
static void memory_close(struct ipc_memory *m)
{
	struct ipc_memory **at = &opened;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	window_close(&m->window);
	file_put(m->file);
	free(m);
}

CUresult cu_ipc_open(const struct ipc_place *p, struct cu_ctx *ctx, bool pooled,
		     CUdeviceptr *ret_ptr)
{
	struct ipc_memory *m;
	int r = 0;

	if (p->pid == (uint32_t)getpid())
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!p->size || p->size > UINT64_MAX - p->off - UNIT || p->device != ctx->dev->link->index)
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&lock);
	for (m = opened; m; m = m->next)
		if (m->ctx == ctx && m->file->ino == p->ino && m->off == p->off)
			break;
	if (m)
		m->refs++;
	else
		r = memory_open(p, ctx, pooled, &m);
	if (!r)
		*ret_ptr = m->ptr;
	pthread_mutex_unlock(&lock);
	return refusal(r);
}

CUresult cu_ipc_close(CUdeviceptr ptr, bool pooled)
{
	struct link_table *ranges = &cu_link()->ranges;
	CUresult r = CUDA_SUCCESS;
	struct link_range range;
	struct ipc_memory *m;

	pthread_mutex_lock(&lock);
	if (link_map_find(ranges, ptr, &range) < 0 || range.kind != LINK_IPC || range.va != ptr ||
	    ((struct ipc_memory *)range.object)->pooled != pooled) {
		pthread_mutex_unlock(&lock);
		return CUDA_ERROR_INVALID_VALUE;
	}
	m = range.object;
	if (--m->refs == 0) {
		/* What is queued may still use it. */
		r = cu_stream_sync_ctx(m->ctx);
		link_map_remove(ranges, ptr, NULL);
		memory_close(m);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

bool cu_ipc_pooled(const void *object)
{
	return ((const struct ipc_memory *)object)->pooled;
}

void cu_ipc_forget(void *object)
{
	pthread_mutex_lock(&lock);
	memory_close(object);
	pthread_mutex_unlock(&lock);
}

CUresult impl_cuIpcGetMemHandle(CUipcMemHandle *pHandle, CUdeviceptr dptr)
{
	struct ipc_place p = { 0 };
	struct link_range r;
	struct cu_ctx *ctx;
	CUresult err;

	if (!pHandle)
		return CUDA_ERROR_INVALID_VALUE;
	err = cu_ctx_usable(&ctx);
	if (err != CUDA_SUCCESS)
		return err;
	if (link_map_find(&cu_link()->ranges, dptr, &r) < 0 || r.kind != LINK_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	if (cu_ipc_name(r.dev->arena_fd, &p) < 0)
		return CUDA_ERROR_NOT_SUPPORTED;
	p.device = r.dev->index;
	p.off = r.arena_off;
	p.size = r.size;
	p.id = r.id;
	cu_ipc_seal(&p, IPC_MEMORY);
	memcpy(pHandle, &p, sizeof(p));
	return CUDA_SUCCESS;
}

CUresult impl_cuIpcOpenMemHandle_v2(CUdeviceptr *pdptr, CUipcMemHandle handle, unsigned int Flags)
{
	struct ipc_place p;
	struct cu_ctx *ctx;
	CUresult r;

	if (!pdptr || Flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)
		return CUDA_ERROR_INVALID_VALUE;
	r = capture_unsafe();
	if (r == CUDA_SUCCESS)
		r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	memcpy(&p, &handle, sizeof(p));
	return cu_ipc_sealed(&p, IPC_MEMORY) ? cu_ipc_open(&p, ctx, false, pdptr)
					     : CUDA_ERROR_INVALID_HANDLE;
}

CUresult impl_cuIpcOpenMemHandle(CUdeviceptr *pdptr, CUipcMemHandle handle, unsigned int Flags)
{
	return impl_cuIpcOpenMemHandle_v2(pdptr, handle, Flags);
}

CUresult impl_cuIpcCloseMemHandle(CUdeviceptr dptr)
{
	CUresult r = capture_unsafe();

	return r == CUDA_SUCCESS ? cu_ipc_close(dptr, false) : r;
}

/* ---- files of events ------------------------------------------------------------------------ */

/* 4,096 events of this process, or of another one that some are open of. They stay as long as the process. */
struct area {
	struct area *next;
	struct link_dev *dev;
	struct window window;
	struct ipc_file *file; /* of another process; NULL: ours */
	int fd;		       /* ours */
	uint64_t ino;
	uint64_t taken[AREA_EVENTS / 64]; /* ours; guarded by lock */
};

static struct area *areas; /* guarded by lock; what is in the list is constant but for taken */

struct ipc_event {
	struct area *area;
	unsigned number;
	volatile uint64_t *word; /* any process of the user may write here */
	uint64_t va;
};

/* Host memory that has a file of its own: 2 MiB, charged to nobody's device. */
static int area_create(struct link_dev *dev, struct area **ret_area)
{
	struct vgpu_phys_create phys = { .size = UNIT, .flags = VGPU_PHYS_FD | VGPU_PHYS_HOST };
	struct vgpu_phys_release drop = { 0 };
	struct ipc_place name = { 0 };
	struct area *a;
	int r;

	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	r = link_pages_memfd("vgpu-events", UNIT, &a->fd);
	if (r < 0)
		goto free_area;
	r = cu_ipc_name(a->fd, &name);
	if (r < 0)
		goto close_fd;
	phys.fd = a->fd;
	r = link_call(dev, VGPU_OP_PHYS_CREATE, &phys, sizeof(phys));
	if (r < 0)
		goto close_fd;
	r = window_open(dev, phys.phys, a->fd, 0, UNIT, &a->window);
	drop.phys = phys.phys;
	link_call(dev, VGPU_OP_PHYS_RELEASE, &drop, sizeof(drop));
	if (r < 0)
		goto close_fd;
	a->dev = dev;
	a->ino = name.ino;
	*ret_area = a;
	return 0;

close_fd:
	close(a->fd);
free_area:
	free(a);
	return r;
}

static int area_import(const struct ipc_place *p, struct link_dev *dev, struct area **ret_area)
{
	struct area *a;
	int r;

	for (a = areas; a; a = a->next) {
		if (a->file && a->dev == dev && a->ino == p->ino) {
			*ret_area = a;
			return 0;
		}
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	r = file_get(p, dev, &a->file);
	if (r < 0)
		goto free_area;
	r = window_open(dev, a->file->phys, a->file->fd, 0, UNIT, &a->window);
	if (r < 0)
		goto put_file;
	a->dev = dev;
	a->ino = p->ino;
	a->fd = -1;
	a->next = areas;
	areas = a;
	*ret_area = a;
	return 0;

put_file:
	file_put(a->file);
free_area:
	free(a);
	return r;
}

static int take(struct area *a)
{
	for (unsigned i = 0; i < AREA_EVENTS / 64; i++) {
		if (~a->taken[i]) {
			unsigned bit = (unsigned)__builtin_ctzll(~a->taken[i]);

			a->taken[i] |= 1ull << bit;
			return (int)(i * 64 + bit);
		}
	}
	return -1;
}

/* A number in one of our areas for @dev. */
static int take_any(struct link_dev *dev, struct area **ret_area, unsigned *ret_number)
{
	struct area *a;
	int n, r;

	for (a = areas; a; a = a->next) {
		if (a->file || a->dev != dev)
			continue;
		n = take(a);
		if (n >= 0)
			goto found;
	}
	r = area_create(dev, &a);
	if (r < 0)
		return r;
	a->next = areas;
	areas = a;
	n = take(a);
found:
	*ret_area = a;
	*ret_number = (unsigned)n;
	return 0;
}

/* ---- events --------------------------------------------------------------------------------- */

static struct ipc_event *event_at(struct area *a, unsigned number)
{
	struct ipc_event *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->area = a;
	e->number = number;
	e->word = (volatile uint64_t *)(a->window.view + (uint64_t)number * EVENT_BYTES);
	e->va = a->window.va + (uint64_t)number * EVENT_BYTES;
	return e;
}

static void give(struct area *a, unsigned number)
{
	a->taken[number / 64] &= ~(1ull << (number % 64));
}

int ipc_event_create(struct link_dev *dev, struct ipc_event **ret_event)
{
	struct ipc_event *e = NULL;
	struct area *a;
	unsigned n;
	int r;

	pthread_mutex_lock(&lock);
	r = take_any(dev, &a, &n);
	if (!r) {
		e = event_at(a, n);
		if (!e) {
			give(a, n);
			r = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&lock);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < EVENT_WORDS; i++)
		e->word[i] = 0;
	*ret_event = e;
	return 0;
}

void ipc_event_destroy(struct ipc_event *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&lock);
	/* Ours can be used anew. Who has it open elsewhere sees another event, as the manual says. */
	if (!e->area->file)
		give(e->area, e->number);
	pthread_mutex_unlock(&lock);
	free(e);
}

static unsigned word_of(uint64_t n)
{
	return 1 + (unsigned)(n % (EVENT_WORDS - 1));
}

uint64_t ipc_event_last(const struct ipc_event *e)
{
	return __atomic_load_n(&e->word[0], __ATOMIC_ACQUIRE);
}

bool ipc_event_done(const struct ipc_event *e, uint64_t n)
{
	return !n || (int64_t)(__atomic_load_n(&e->word[word_of(n)], __ATOMIC_ACQUIRE) - n) >= 0;
}

uint64_t ipc_event_record(struct ipc_event *e, struct vgpu_cmd_value_write *ret_cmd)
{
	uint64_t n = __atomic_add_fetch(&e->word[0], 1, __ATOMIC_ACQ_REL);

	*ret_cmd = (struct vgpu_cmd_value_write){
		.head = { .op = VGPU_CMD_VALUE_WRITE, .bytes = sizeof(*ret_cmd) },
		.va = e->va + 8ull * word_of(n),
		.value = n,
		.bytes = 8,
	};
	return n;
}

void ipc_event_abandon(struct ipc_event *e, uint64_t n)
{
	__atomic_store_n(&e->word[word_of(n)], n, __ATOMIC_RELEASE);
}

void ipc_event_wait(const struct ipc_event *e, uint64_t n, struct vgpu_cmd_value_wait *ret_cmd)
{
	*ret_cmd = (struct vgpu_cmd_value_wait){
		.head = { .op = VGPU_CMD_VALUE_WAIT, .bytes = sizeof(*ret_cmd) },
		.va = e->va + 8ull * word_of(n),
		.value = n,
		.bytes = 8,
	};
}

CUresult ipc_event_export(const struct ipc_event *e, CUipcEventHandle *ret_handle)
{
	struct ipc_place p = { .size = EVENT_BYTES, .device = e->area->dev->index };

	if (e->area->file) /* only who made it gives it away */
		return CUDA_ERROR_INVALID_HANDLE;
	if (cu_ipc_name(e->area->fd, &p) < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	p.off = (uint64_t)e->number * EVENT_BYTES;
	cu_ipc_seal(&p, IPC_EVENT);
	memcpy(ret_handle, &p, sizeof(p));
	return CUDA_SUCCESS;
}

CUresult ipc_event_import(const CUipcEventHandle *handle, struct link_dev *dev,
			  struct ipc_event **ret_event)
{
	struct ipc_place p;
	struct area *a;
	int r;

	memcpy(&p, handle, sizeof(p));
	if (!cu_ipc_sealed(&p, IPC_EVENT) || p.off % EVENT_BYTES || p.off >= UNIT ||
	    p.device != dev->index)
		return CUDA_ERROR_INVALID_HANDLE;
	if (p.pid == (uint32_t)getpid())
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&lock);
	r = area_import(&p, dev, &a);
	pthread_mutex_unlock(&lock);
	if (r < 0)
		return refusal(r);
	*ret_event = event_at(a, (unsigned)(p.off / EVENT_BYTES));
	return *ret_event ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
