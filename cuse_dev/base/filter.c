/* SPDX-License-Identifier: MIT */
/*
 * filter.c - system call filters. See filter.h.
 *
 * A refused call fails with EPERM, since libraries try things that they can do without; what only
 * an attacker tries ends the process. clone3 hides its flags behind a pointer, so libc is told that
 * it does not exist and uses clone, where only threads are let through.
 */
#include "cuse_dev/base/filter.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const int allowed[] = {
	/* memory */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(memfd_create),
	/* descriptors it holds */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	/* threads and time */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getcpu),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(restart_syscall),
	/* signals of its own */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	/* libc */
	SCMP_SYS(getrandom),
	SCMP_SYS(sysinfo),
};

static const int deadly[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(mount),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(bpf),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(perf_event_open),
};

#define THREAD_FLAGS (CLONE_VM | CLONE_THREAD | CLONE_SIGHAND)

static void add_all(struct filter *f, uint32_t action, const int *calls, size_t count)
{
	size_t i;

	for (i = 0; !f->error && i < count; i++)
		f->error = seccomp_rule_add(f->ctx, action, calls[i], 0);
}

void filter_allow(struct filter *f, const int *calls, size_t count)
{
	add_all(f, SCMP_ACT_ALLOW, calls, count);
}

void filter_allow_if(struct filter *f, int call, unsigned int arg, uint64_t mask, uint64_t value)
{
	const struct scmp_arg_cmp cmp = {
		.arg = arg,
		.op = SCMP_CMP_MASKED_EQ,
		.datum_a = mask,
		.datum_b = value,
	};

	if (!f->error)
		f->error = seccomp_rule_add_array(f->ctx, SCMP_ACT_ALLOW, call, 1, &cmp);
}

void filter_init(struct filter *f)
{
	static const int hidden[] = { SCMP_SYS(clone3) };

	f->ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	f->error = f->ctx ? 0 : -ENOMEM;
	filter_allow(f, allowed, COUNT(allowed));
	add_all(f, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
	add_all(f, SCMP_ACT_ERRNO(ENOSYS), hidden, COUNT(hidden));
	filter_allow_if(f, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
	filter_allow_if(f, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	filter_allow_if(f, SCMP_SYS(clone), 0, THREAD_FLAGS, THREAD_FLAGS);
	/* abort() */
	filter_allow_if(f, SCMP_SYS(tgkill), 0, ~0ull, (uint64_t)getpid());
}

int filter_load(struct filter *f)
{
	/* A call of another table (x32, 32 bits): the default would end the one thread only. */
	if (!f->error)
		f->error = seccomp_attr_set(f->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* All threads there are by now, and those to come; sets no_new_privs too. */
	if (!f->error)
		f->error = seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!f->error)
		f->error = seccomp_load(f->ctx);
	seccomp_release(f->ctx);
	f->ctx = NULL;
	return f->error;
}
