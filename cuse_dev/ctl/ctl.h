/* SPDX-License-Identifier: MIT */
/*
 * ctl.h - vgpuctl: what its commands share.
 *
 * A command is a row of the table in main.c; its options are a table too, from which come parsing,
 * help and shell completion.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes. */
#define CTL_OK	      0
#define CTL_FAILED    1 /* it was refused, or a check failed */
#define CTL_USAGE     2
#define CTL_NO_DAEMON 3 /* the control socket does not answer */

#define CTL_MAX_OPTIONS 16

struct ctl {
	const char *socket;
	bool json;
	bool quiet; /* a daemon that is away is no news */
};

struct ctl_option {
	const char *name;
	const char *argument; /* NULL: a flag */
	const char *help;
};

struct ctl_args {
	const char *value[CTL_MAX_OPTIONS]; /* by place in the table: NULL not given, "" a flag */
	int count;			    /* of what is no option */
	char **word;
};

struct ctl_command {
	const char *name;
	const char *arguments; /* "DEVICE", "[BINARY]" */
	int min, max;	       /* how many of them */
	const char *summary;
	const char *text; /* more for --help, NULL none */
	const struct ctl_option *options;
	int (*run)(const struct ctl *ctl, const struct ctl_args *a);
	int (*raw)(int argc, char **argv); /* in place of run: reads its arguments itself */
	bool hidden;			   /* for our own use */
};

/* ---- call.c: the control socket --------------------------------------------------------------- */

/** ctl_open() - a connection, after its greeting was checked; says what is wrong. CTL_OK or code. */
int ctl_open(const struct ctl *ctl, FILE **ret_file);
/** ctl_ask() - takes @request; *ret_answer when CTL_OK, else stderr says why. */
int ctl_ask(FILE *f, json_t *request, json_t **ret_answer);
/** ctl_call() - both, for one request. */
int ctl_call(const struct ctl *ctl, json_t *request, json_t **ret_answer);
/** ctl_read() - the next line of a stream. */
int ctl_read(FILE *f, json_t **ret_object);
/** ctl_clients() - all pages of "clients" as one array. */
int ctl_clients(const struct ctl *ctl, json_t **ret_array);

/* ---- text.c: values for people ---------------------------------------------------------------- */

/** ctl_size() - "80.0 GiB"; ctl_duration() - "1 h 2 min". Into @buf, which is returned. */
char *ctl_size(uint64_t bytes, char buf[24]);
char *ctl_duration(uint64_t seconds, char buf[32]);
/** ctl_time() - nanoseconds since 1970 as "2026-01-31 12:00:00.123" of here. */
char *ctl_time(int64_t ns, char buf[40]);
/** ctl_number() - the whole @text, or false. */
bool ctl_number(const char *text, uint64_t max, uint64_t *ret_n);
/** ctl_print_json() - indented, to stdout. CTL_OK, or CTL_FAILED when nobody takes it. */
int ctl_print_json(const json_t *object);
/** ctl_get() - an integer member, also of a nested object: ctl_get(d, "memory", "used"). */
int64_t ctl_get(const json_t *object, const char *key, const char *inner);
const char *ctl_text(const json_t *object, const char *key);

void ctl_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- commands --------------------------------------------------------------------------------- */

/*  X(name)  -- struct ctl_command ctl_command_<name>, in the order of the help */
#define CTL_COMMANDS(X)                                                                            \
	X(status)                                                                                  \
	X(clients)                                                                                 \
	X(events)                                                                                  \
	X(faults)                                                                                  \
	X(profiles)                                                                                \
	X(add)                                                                                     \
	X(remove)                                                                                  \
	X(evict)                                                                                   \
	X(quota)                                                                                   \
	X(cache)                                                                                   \
	X(doctor)                                                                                  \
	X(smi)                                                                                     \
	X(metrics)                                                                                 \
	X(cdi)                                                                                     \
	X(hook)                                                                                    \
	X(trial)

#define X(name) extern const struct ctl_command ctl_command_##name;
CTL_COMMANDS(X)
#undef X

#endif
