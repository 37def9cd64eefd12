/* SPDX-License-Identifier: MIT */
/*
 * stack.c - stacks of warps and the switch between them.
 *
 * A warp that waits at a barrier keeps its values where the compiler has put them: in registers that
 * a call preserves and on its own stack. A switch saves six registers; vector registers are the
 * caller's business.
 */
#include <string.h>
#include <sys/mman.h>

#include "cuse_dev/backend/soft/llvm/run.h"

#define GUARD 4096u

#ifdef __x86_64__
/* clang-format off */
__asm__(".text\n"
	".globl llvm_switch\n"
	".hidden llvm_switch\n"
	".type llvm_switch, @function\n"
	"llvm_switch:\n"
	"	endbr64\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size llvm_switch, . - llvm_switch\n");
/* clang-format on */
#else
void llvm_switch(void **save, void *to)
{
	__builtin_trap();
}
#endif

uint8_t *llvm_stack_create(void)
{
	uint8_t *p = mmap(NULL, GUARD + LLVM_STACK_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mprotect(p, GUARD, PROT_NONE) < 0) {
		munmap(p, GUARD + LLVM_STACK_BYTES);
		return NULL;
	}
	return p + GUARD;
}

void llvm_stack_destroy(uint8_t *stack)
{
	if (stack)
		munmap(stack - GUARD, GUARD + LLVM_STACK_BYTES);
}

void *llvm_stack_begin(uint8_t *stack, void (*start)(void))
{
	/* As after a call: the return address that start() must not use lies at 16 n + 8. */
	void **sp = (void **)(stack + LLVM_STACK_BYTES - 64);

	*--sp = NULL;
	*--sp = (void *)(uintptr_t)start;
	sp -= 6;
	memset(sp, 0, 6 * sizeof(*sp));
	return sp;
}
