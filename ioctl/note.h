/* SPDX-License-Identifier: MIT */
/*
 * note.h - the ELF note by which our libraries are told from others of the same name.
 *
 * Its description is the protocol version, "0.1". Once per library, in one of its files: VGPU_NOTE
 */
#ifndef VGPU_NOTE_H
#define VGPU_NOTE_H

#include "ioctl/vgpu_ioctl.h"

#define NOTE_NAME "vgpu-cuse"
#define NOTE_TYPE 1

#define NOTE_TEXT_(x) #x
#define NOTE_TEXT(x)  NOTE_TEXT_(x)

/* clang-format off */
#define VGPU_NOTE                                                                                  \
	__asm__(".pushsection .note.vgpu-cuse,\"a\",@note\n"                                       \
		".balign 4\n"                                                                      \
		".long 1f - 0f, 3f - 2f, " NOTE_TEXT(NOTE_TYPE) "\n"                               \
		"0: .asciz \"" NOTE_NAME "\"\n"                                                    \
		"1: .balign 4\n"                                                                   \
		"2: .asciz \"" NOTE_TEXT(VGPU_VERSION_MAJOR) "." NOTE_TEXT(VGPU_VERSION_MINOR) "\"\n" \
		"3: .balign 4\n"                                                                   \
		".popsection\n");
/* clang-format on */

#endif
