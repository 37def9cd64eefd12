// SPDX-License-Identifier: MIT
// The worker's system call filter, seen from behind it: what a kernel that broke out could call.
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern "C" {
#include "cuse_dev/worker/worker.h"
}

namespace {
enum { kOpen = 0, kKilled = -1 }; // anything else: the errno

const char text[] = "/etc/passwd";

struct Try {
	const char *name;
	long nr;
	long arg[6];
	int expect;
};

long at(const void *p)
{
	return (long)(intptr_t)p;
}

const Try tries[] = {
	// files, sockets, other processes
	{ "open", SYS_open, { at(text), O_RDONLY }, EPERM },
	{ "openat", SYS_openat, { AT_FDCWD, at(text), O_RDONLY }, EPERM },
	{ "openat2", SYS_openat2, { AT_FDCWD, at(text), 0, 0 }, EPERM },
	{ "stat", SYS_newfstatat, { AT_FDCWD, at(text), 0, 0 }, EPERM },
	{ "unlink", SYS_unlink, { at(text) }, EPERM },
	{ "chdir", SYS_chdir, { at("/") }, EPERM },
	{ "memfd_create", SYS_memfd_create, { at(text), 0 }, 0 },
	{ "socket", SYS_socket, { AF_INET, SOCK_STREAM, 0 }, EPERM },
	{ "socket_unix", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, EPERM },
	{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, 0 }, EPERM },
	{ "connect", SYS_connect, { 0, 0, 0 }, EPERM },
	{ "bind", SYS_bind, { 0, 0, 0 }, EPERM },
	{ "ioctl", SYS_ioctl, { 2, 0, 0 }, EPERM },
	{ "kill", SYS_kill, { 1, 0 }, EPERM },
	{ "tgkill_other", SYS_tgkill, { 1, 1, 0 }, EPERM },
	{ "pidfd_open", SYS_pidfd_open, { 1, 0 }, EPERM },
	{ "setuid", SYS_setuid, { 0 }, EPERM },
	{ "setrlimit", SYS_prlimit64, { 0, 0, 0, 0 }, EPERM },
	{ "shmget", SYS_shmget, { 0, 4096, 0600 }, EPERM },
	{ "chroot", SYS_chroot, { at("/") }, EPERM },
	{ "clone_process", SYS_clone, { SIGCHLD, 0, 0, 0, 0 }, EPERM },
	{ "clone_namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0 }, EPERM },
	{ "clone3", SYS_clone3, { 0, 0 }, ENOSYS },
	// calls that are let through for one purpose only
	{ "mmap_exec",
	  SYS_mmap,
	  { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 },
	  EPERM },
	{ "mprotect_exec", SYS_mprotect, { 0, 0, PROT_READ | PROT_WRITE | PROT_EXEC }, EPERM },
	{ "mprotect_compiled", SYS_mprotect, { 0, 0, PROT_READ | PROT_EXEC }, 0 },
	{ "fcntl_setfl", SYS_fcntl, { 2, F_SETFL, 0 }, EPERM },
	{ "fcntl_dup", SYS_fcntl, { 2, F_DUPFD, 0 }, EPERM },
	{ "prctl_dumpable", SYS_prctl, { PR_SET_DUMPABLE, 1 }, EPERM },
	{ "prctl_death", SYS_prctl, { PR_SET_PDEATHSIG, 0 }, EPERM },
	// what only an attacker tries
	{ "execve", SYS_execve, { at(text), 0, 0 }, kKilled },
	{ "execveat", SYS_execveat, { AT_FDCWD, at(text), 0, 0, 0 }, kKilled },
	{ "fork", SYS_fork, {}, kKilled },
	{ "vfork", SYS_vfork, {}, kKilled },
	{ "ptrace", SYS_ptrace, { PTRACE_TRACEME }, kKilled },
	{ "process_vm_readv", SYS_process_vm_readv, {}, kKilled },
	{ "process_vm_writev", SYS_process_vm_writev, {}, kKilled },
	{ "pidfd_getfd", SYS_pidfd_getfd, {}, kKilled },
	{ "mount", SYS_mount, {}, kKilled },
	{ "setns", SYS_setns, {}, kKilled },
	{ "unshare", SYS_unshare, {}, kKilled },
	{ "bpf", SYS_bpf, {}, kKilled },
	{ "io_uring_setup", SYS_io_uring_setup, {}, kKilled },
	{ "userfaultfd", SYS_userfaultfd, {}, kKilled },
	{ "perf_event_open", SYS_perf_event_open, {}, kKilled },
#ifdef __x86_64__
	{ "open_of_the_x32_table", 0x40000000 | SYS_open, { at(text), O_RDONLY }, kKilled },
#endif
	// what it lives on
	{ "mmap",
	  SYS_mmap,
	  { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 },
	  kOpen },
	{ "write", SYS_write, { 2, at(text), 0 }, kOpen },
	{ "getpid", SYS_getpid, {}, kOpen },
	{ "sched_yield", SYS_sched_yield, {}, kOpen },
};

// The errno of the call behind the filter, kOpen, or kKilled.
int outcome(const Try &t)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		/* Who is killed takes the other threads along. */
		std::thread([] { pause(); }).detach();
		alarm(20);
		if (worker_seccomp() < 0)
			_exit(255);
		const long *a = t.arg;
		long r = syscall(t.nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		syscall(SYS_exit_group, r < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? (int)kKilled : 1000 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

class Seccomp : public ::testing::TestWithParam<Try> {};
} // namespace

TEST_P(Seccomp, IsSo)
{
	EXPECT_EQ(outcome(GetParam()), GetParam().expect);
}

INSTANTIATE_TEST_SUITE_P(Calls, Seccomp, ::testing::ValuesIn(tries),
			 [](const ::testing::TestParamInfo<Try> &one) {
				 return std::string(one.param.name);
			 });

TEST(SeccompThreads, ThreadsCanBeMadeAndAreInside)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		int error = 0;

		if (worker_seccomp() < 0)
			_exit(255);
		std::thread t([&] {
			error = syscall(SYS_openat, AT_FDCWD, text, O_RDONLY) < 0 ? errno : 0;
		});
		t.join();
		syscall(SYS_exit_group, error);
	}
	waitpid(pid, &status, 0);
	ASSERT_TRUE(WIFEXITED(status)) << WTERMSIG(status);
	EXPECT_EQ(WEXITSTATUS(status), EPERM);
}
