/* SPDX-License-Identifier: MIT */
/*
 * handle.h - the memory of everything a program holds a handle of (context, stream, module ...).
 *
 * Handles are pointers in the driver API. All of ours come from one range of addresses that is
 * never given back, in slots of CU_HANDLE_BYTES, so that any value a program passes can be checked
 * without a lock and without touching memory that is not ours: in range, aligned, and tagged with
 * the kind. A freed slot loses its tag and goes to the end of the queue of free ones, so a stale
 * handle is found out for long.
 */
#ifndef CORE_HANDLE_H
#define CORE_HANDLE_H

#include <stddef.h>
#include <stdint.h>

#define CU_HANDLE_BYTES 512

/* What a slot holds. Append; the value is the tag itself, so that a dump can be read. */
enum cu_kind {
	CU_KIND_FREE = 0,
	CU_KIND_CTX = 0x20787463,	  /* "ctx " */
	CU_KIND_MODULE = 0x20646f6d,	  /* "mod " */
	CU_KIND_LIBRARY = 0x2062696c,	  /* "lib " */
	CU_KIND_KERNEL = 0x206e726b,	  /* "krn " */
	CU_KIND_FUNC = 0x20636e66,	  /* "fnc " */
	CU_KIND_STREAM = 0x20727473,	  /* "str " */
	CU_KIND_EVENT = 0x20747665,	  /* "evt " */
	CU_KIND_PHYS = 0x20796870,	  /* "phy " */
	CU_KIND_LINK = 0x206b6e6c,	  /* "lnk " */
	CU_KIND_POOL = 0x206c6f70,	  /* "pol " */
	CU_KIND_GREEN = 0x206e7267,	  /* "grn " */
	CU_KIND_RESOURCE = 0x20736572,	  /* "res " */
	CU_KIND_GRAPH = 0x20707267,	  /* "grp " */
	CU_KIND_GRAPH_NODE = 0x20646f6e,  /* "nod " */
	CU_KIND_GRAPH_EXEC = 0x20657867,  /* "gxe " */
	CU_KIND_USER_OBJECT = 0x206f6275, /* "ubo " */
	CU_KIND_ARRAY = 0x20727261,	  /* "arr " */
	CU_KIND_MIPMAP = 0x2070696d,	  /* "mip " */
	CU_KIND_TEXREF = 0x20727874,	  /* "txr " */
	CU_KIND_SURFREF = 0x20726673,	  /* "sfr " */
	CU_KIND_EXTERNAL = 0x20747865,	  /* "ext " */
};

/** First member of every handle type. */
struct cu_head {
	uint32_t kind; /* enum cu_kind, last thing written on creation, first on freeing */
	uint32_t pad;
};

/** cu_handle_create() - @bytes of zeroed memory, tagged; NULL when there is none. */
void *cu_handle_create(enum cu_kind kind, size_t bytes);
/** cu_handle_destroy() - NULL is fine. */
void cu_handle_destroy(void *handle);
/** cu_handle_get() - @handle if it is a live one of @kind, else NULL. */
void *cu_handle_get(const void *handle, enum cu_kind kind);
/** cu_handle_kind() - kind of a live handle, CU_KIND_FREE for anything else. */
enum cu_kind cu_handle_kind(const void *handle);

#endif
