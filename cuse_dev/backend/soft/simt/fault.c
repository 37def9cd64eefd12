/* SPDX-License-Identifier: MIT */
/*
 * fault.c - what a kernel breaks becomes the fault of its launch.
 *
 * Accesses inside the window to pages that are not mapped raise SIGSEGV (SIGBUS beyond the end of a
 * file). The handler jumps back to where the warp was started if this thread runs one; any other
 * fault goes to whoever handled it before us, so real crashes stay visible.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <ucontext.h>

#include "cuse_dev/backend/soft/simt/warp.h"

static __thread struct simt_trap *current_trap;
static struct sigaction old_segv, old_bus;
static pthread_once_t installed = PTHREAD_ONCE_INIT;
static int install_result;

#ifdef __x86_64__
/* Go on in t->resume() as if the access had called it. */
static void redirect(ucontext_t *u, struct simt_trap *t)
{
	greg_t *r = u->uc_mcontext.gregs;

	r[REG_RDI] = (greg_t)(uintptr_t)t;
	r[REG_RIP] = (greg_t)(uintptr_t)t->resume;
	r[REG_RSP] = ((r[REG_RSP] - 256) & ~(greg_t)63) - 8;
	r[REG_EFL] &= ~0x400; /* direction */
}
#else
static void redirect(ucontext_t *u, struct simt_trap *t)
{
	siglongjmp(t->jmp, 1);
}
#endif

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	struct sigaction *old = sig == SIGBUS ? &old_bus : &old_segv;
	struct simt_trap *t = current_trap;

	if (t && info->si_code > 0) {
		current_trap = NULL;
		t->address = (uint64_t)(uintptr_t)info->si_addr;
		if (t->resume) {
			redirect(ctx, t);
			return;
		}
		/* siglongjmp keeps the handler's mask, in which this signal is blocked. */
		pthread_sigmask(SIG_SETMASK, &((ucontext_t *)ctx)->uc_sigmask, NULL);
		siglongjmp(t->jmp, 1);
	}
	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, ctx);
	} else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
	} else {
		/* The instruction runs again and now kills the process. */
		signal(sig, SIG_DFL);
	}
}

static void install(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSEGV, &sa, &old_segv) < 0 || sigaction(SIGBUS, &sa, &old_bus) < 0)
		install_result = -errno;
}

int simt_trap_install(void)
{
	pthread_once(&installed, install);
	return install_result;
}

struct simt_trap *simt_trap_set(struct simt_trap *t)
{
	struct simt_trap *old = current_trap;

	current_trap = t;
	/* The handler on this very thread must see it before the next access. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return old;
}

void simt_lane_tid(const struct simt_warp *w, uint32_t lane, uint32_t tid[3])
{
	const uint32_t *n = w->grid->launch->block;
	uint32_t linear = w->index * SIMT_LANES + lane;

	tid[0] = linear % n[0];
	tid[1] = linear / n[0] % n[1];
	tid[2] = linear / n[0] / n[1];
}

void simt_fault(struct simt_warp *w, uint32_t error, int lane, uint64_t address, uint32_t line,
		const char *fmt, ...)
{
	struct simt_grid *g = w->grid;
	struct backend_fault *f = &g->fault;
	char text[160];
	va_list ap;

	if (__atomic_exchange_n(&g->fault_taken, 1, __ATOMIC_ACQ_REL))
		goto stop;
	for (int i = 0; i < 3; i++)
		f->ctaid[i] = w->block->ctaid[i];
	if (lane >= 0)
		simt_lane_tid(w, (uint32_t)lane, f->tid);
	f->address = address;
	f->line = line;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(f->what, sizeof(f->what), "%.80s: %s", g->name ? g->name : "kernel", text);
	f->error = error;
stop:
	__atomic_store_n(&g->stop, 1, __ATOMIC_RELEASE);
}
