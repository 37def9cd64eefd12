/* SPDX-License-Identifier: MIT */
/*
 * child.h - run a program with exactly this environment, user, root and limits; get its output.
 *
 *	const char *argv[] = { "/usr/bin/id", "-u", NULL };
 *	struct support_child_spec spec = { .argv = argv, .drop = true, .uid = 65534, .gid = 65534 };
 *	struct support_child_result res;
 *
 *	r = support_child_run(&spec, &res);	// 0: it ran; res says how it ended
 *	...
 *	support_child_result_free(&res);
 *
 * A child is killed when the test program dies. Output is kept up to SUPPORT_CHILD_OUTPUT bytes a
 * stream; the rest is read and dropped.
 */
#ifndef SUPPORT_CHILD_H
#define SUPPORT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SUPPORT_CHILD_OUTPUT (4u << 20)
#define SUPPORT_CHILD_LIMITS 8

struct support_child; /* one that was started and not yet waited for */

struct support_child_limit {
	int resource; /* RLIMIT_* */
	rlim_t value;
};

struct support_child_spec {
	const char *const *argv; /* NULL-terminated; argv[0] is a path, never searched in PATH */
	const char *const *env;	 /* NULL-terminated "NAME=value"; NULL: empty, as env -i gives */
	const char *chroot_dir;	 /* NULL: none; argv[0] is a path inside */
	const char *cwd;	 /* NULL: / */
	const char *input;	 /* text for stdin; NULL: /dev/null */
	bool drop;		 /* give up all groups and become uid and gid */
	uid_t uid;
	gid_t gid;
	unsigned timeout_ms; /* then SIGKILL to its process group; 0: 60 s */
	unsigned limits;     /* valid entries below */
	struct support_child_limit limit[SUPPORT_CHILD_LIMITS];
};

struct support_child_result {
	int code;   /* exit code, -1 when a signal ended it */
	int signal; /* the signal, 0 for none */
	bool timed_out;
	char *out; /* stdout, NUL-terminated */
	char *err; /* stderr, NUL-terminated */
	size_t out_bytes, err_bytes;
	double seconds;	     /* from start to end */
	struct rusage usage; /* of it and the descendants it waited for */
};

/** support_child_start() - 0 or -errno (also when exec fails: then nothing runs). */
int support_child_start(const struct support_child_spec *spec, struct support_child **ret_child);
pid_t support_child_pid(const struct support_child *c);

/** support_child_kill() - send @sig to the process alone. */
int support_child_kill(struct support_child *c, int sig);

/** support_child_saw() - wait until @text stood on its stdout: 0, -ETIMEDOUT, -EPIPE (it ended). */
int support_child_saw(struct support_child *c, const char *text, unsigned timeout_ms);

/** support_child_wait() - until it ends or its time is over; gives the child back. */
int support_child_wait(struct support_child *c, struct support_child_result *ret_result);

/** support_child_run() - start and wait. */
int support_child_run(const struct support_child_spec *spec,
		      struct support_child_result *ret_result);
void support_child_result_free(struct support_child_result *res);

/** support_child_text() - "exit 3", "signal 9 (timed out)" + output, for failure messages; free(). */
char *support_child_text(const struct support_child_result *res);

#ifdef __cplusplus
}
#endif
#endif
