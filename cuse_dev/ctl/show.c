/* SPDX-License-Identifier: MIT */
/* show.c - status, clients, profiles, events: questions to the daemon, and their answers as tables. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "cuse_dev/ctl/ctl.h"

/* ---- status --------------------------------------------------------------------------------- */

static void print_device(const json_t *d)
{
	char used[24], total[24], both[64];

	snprintf(both, sizeof(both), "%s of %s",
		 ctl_size((uint64_t)ctl_get(d, "memory", "used"), used),
		 ctl_size((uint64_t)ctl_get(d, "memory", "total"), total));
	printf("%-6lld  %-10s  %-40s  %-24s  %3lld %%  %7lld  %s\n",
	       (long long)ctl_get(d, "index", NULL), ctl_text(d, "profile"), ctl_text(d, "uuid"),
	       both, (long long)(ctl_get(d, "telemetry", "util_kernel") / 100),
	       (long long)ctl_get(d, "clients", NULL), ctl_text(d, "node"));
}

static void print_quota(const json_t *d)
{
	int64_t memory = ctl_get(d, "quota_per_user", "memory");
	int64_t clients = ctl_get(d, "quota_per_user", "clients");
	char size[24];

	if (memory)
		printf("device %lld: each user can have %s\n", (long long)ctl_get(d, "index", NULL),
		       ctl_size((uint64_t)memory, size));
	if (clients)
		printf("device %lld: each user can have %lld processes on it\n",
		       (long long)ctl_get(d, "index", NULL), (long long)clients);
}

static void print_status(const json_t *s)
{
	const json_t *devices = json_object_get(s, "devices"), *d;
	char up[32], left[24], total[24];
	size_t i;

	printf("vgpu-cuse %s, process %lld, up %s, door %s, overcommit %s\n",
	       ctl_text(s, "version"), (long long)ctl_get(s, "pid", NULL),
	       ctl_duration((uint64_t)ctl_get(s, "uptime_seconds", NULL), up), ctl_text(s, "door"),
	       ctl_text(s, "overcommit"));
	printf("%lld clients with %lld open files, %lld workers; host memory: %s of %s available\n",
	       (long long)ctl_get(s, "clients", NULL), (long long)ctl_get(s, "open_files", NULL),
	       (long long)ctl_get(s, "workers", NULL),
	       ctl_size((uint64_t)ctl_get(s, "host_memory", "available"), left),
	       ctl_size((uint64_t)ctl_get(s, "host_memory", "total"), total));
	printf("\n%-6s  %-10s  %-40s  %-24s  %5s  %7s  %s\n", "DEVICE", "PROFILE", "UUID",
	       "MEMORY USED", "UTIL", "CLIENTS", "NODE");
	json_array_foreach(devices, i, d) print_device(d);
	if (!json_array_size(devices))
		printf("no device; \"vgpuctl add H100-80GB\" adds one\n");
	json_array_foreach(devices, i, d) print_quota(d);
	if (ctl_get(s, "faults", NULL))
		printf("%lld faults so far; see \"vgpuctl faults\"\n",
		       (long long)ctl_get(s, "faults", NULL));
}

static int status(const struct ctl *ctl, const struct ctl_args *a)
{
	json_t *answer;
	int r = ctl_call(ctl, json_pack("{s:s}", "op", "status"), &answer);

	if (r)
		return r;
	json_object_del(answer, "ok");
	if (ctl->json)
		r = ctl_print_json(answer);
	else
		print_status(answer);
	json_decref(answer);
	return r;
}

const struct ctl_command ctl_command_status = {
	.name = "status",
	.arguments = "",
	.summary = "Show the daemon, its devices and what is used of them",
	.run = status,
};

/* ---- clients -------------------------------------------------------------------------------- */

/* The name of a process, "" when /proc does not say. */
static void name_of(int64_t pid, char *ret_name, size_t size)
{
	char path[64];
	FILE *f;

	*ret_name = '\0';
	snprintf(path, sizeof(path), "/proc/%lld/comm", (long long)pid);
	f = pid > 0 ? fopen(path, "re") : NULL;
	if (!f)
		return;
	if (fgets(ret_name, (int)size, f))
		ret_name[strcspn(ret_name, "\n")] = '\0';
	fclose(f);
}

/* Processor time that a worker has used, in nanoseconds; -1 unknown. */
static int64_t time_of(int64_t pid)
{
	unsigned long long user, system;
	char path[64], line[1024], *p;
	int64_t ns = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
	f = pid > 0 ? fopen(path, "re") : NULL;
	if (!f)
		return -1;
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (p && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
			&system) == 2)
		ns = (int64_t)((user + system) *
			       (1000000000ull / (unsigned long long)sysconf(_SC_CLK_TCK)));
	fclose(f);
	return ns;
}

/* What is known here and not to the daemon. */
static void complete_client(json_t *c)
{
	int64_t ns = time_of(ctl_get(c, "worker", NULL));
	char name[64];
	json_t *text;

	name_of(ctl_get(c, "pid", NULL), name, sizeof(name));
	text = json_string(name); /* NULL: it is no UTF-8 */
	json_object_set_new(c, "name", text ? text : json_string("?"));
	if (ns >= 0)
		json_object_set_new(c, "worker_cpu_ns", json_integer(ns));
}

static const char *user_name(int64_t uid, char buf[32])
{
	const struct passwd *p = getpwuid((uid_t)uid);

	snprintf(buf, 32, "%lld", (long long)uid);
	return p ? p->pw_name : buf;
}

static void print_client(const json_t *c)
{
	const json_t *devices = json_object_get(c, "devices"), *d;
	int64_t ns = ctl_get(c, "worker_cpu_ns", NULL), pid = ctl_get(c, "pid", NULL);
	char user[32], size[24], time[32] = "-", who[32];
	size_t i;

	if (ns)
		snprintf(time, sizeof(time), "%.2f s", (double)ns / 1e9);
	/* A process of a foreign pid namespace has no number here. */
	snprintf(who, sizeof(who), pid ? "%lld" : "(%lld)",
		 (long long)(pid ? pid : ctl_get(c, "client", NULL)));
	printf("%-8s  %-12s  %-16s  %-8lld  %10s ", who, user_name(ctl_get(c, "uid", NULL), user),
	       ctl_text(c, "name"), (long long)ctl_get(c, "worker", NULL), time);
	json_array_foreach(devices, i, d)
		printf("%s %lld: %s, %.2f s", i ? ";" : "", (long long)ctl_get(d, "index", NULL),
		       ctl_size((uint64_t)ctl_get(d, "memory", NULL), size),
		       (double)ctl_get(d, "busy_ns", NULL) / 1e9);
	printf("%s\n", json_is_true(json_object_get(c, "evicted")) ? " (evicted)" : "");
}

static int clients(const struct ctl *ctl, const struct ctl_args *a)
{
	json_t *all, *c;
	size_t i;
	int r = ctl_clients(ctl, &all);

	if (r)
		return r;
	json_array_foreach(all, i, c) complete_client(c);
	if (ctl->json) {
		r = ctl_print_json(all);
	} else {
		printf("%-8s  %-12s  %-16s  %-8s  %10s  %s\n", "PID", "USER", "NAME", "WORKER",
		       "CPU TIME", "DEVICE: MEMORY, KERNELS");
		json_array_foreach(all, i, c) print_client(c);
	}
	json_decref(all);
	return r;
}

const struct ctl_command ctl_command_clients = {
	.name = "clients",
	.arguments = "",
	.summary = "List the processes that have a device open, their memory and time",
	.text = "WORKER is the process that computes for it, 0 before its first context; CPU TIME "
		"is\n"
		"what that has used. KERNELS is the time in which kernels ran on the device. A\n"
		"number in brackets is the client's own, where its process cannot be seen from "
		"the\n"
		"daemon (another pid namespace).\n",
	.run = clients,
};

/* ---- profiles ------------------------------------------------------------------------------- */

static int profiles(const struct ctl *ctl, const struct ctl_args *a)
{
	const json_t *list, *p;
	json_t *answer;
	char size[24];
	size_t i;
	int r = ctl_call(ctl, json_pack("{s:s}", "op", "profiles"), &answer);

	if (r)
		return r;
	list = json_object_get(answer, "profiles");
	if (ctl->json) {
		r = ctl_print_json(list);
	} else {
		printf("%-12s  %-26s  %-4s  %s\n", "PROFILE", "NAME", "CC", "MEMORY");
		json_array_foreach(list, i, p)
			printf("%-12s  %-26s  %-4s  %s%s\n", ctl_text(p, "profile"),
			       ctl_text(p, "name"), ctl_text(p, "compute_capability"),
			       ctl_size((uint64_t)ctl_get(p, "memory", NULL), size),
			       json_is_true(json_object_get(p, "default")) ? "  (default)" : "");
	}
	json_decref(answer);
	return r;
}

const struct ctl_command ctl_command_profiles = {
	.name = "profiles",
	.arguments = "",
	.summary = "List the cards that a device can claim to be",
	.run = profiles,
};

/* ---- events --------------------------------------------------------------------------------- */

static void print_event(const json_t *e)
{
	char when[40];

	printf("%s  %-15s", ctl_time(ctl_get(e, "time_ns", NULL), when), ctl_text(e, "event"));
	if (json_object_get(e, "device"))
		printf("  device %lld", (long long)ctl_get(e, "device", NULL));
	if (json_object_get(e, "pid"))
		printf("  process %lld, uid %lld", (long long)ctl_get(e, "pid", NULL),
		       (long long)ctl_get(e, "uid", NULL));
	if (json_object_get(e, "worker"))
		printf("  worker %lld", (long long)ctl_get(e, "worker", NULL));
	printf("%s%s\n", *ctl_text(e, "text") ? "  " : "", ctl_text(e, "text"));
}

/* One line each, so that programs can read along. */
static int show_event(const struct ctl *ctl, const json_t *e)
{
	if (!ctl->json)
		print_event(e);
	else if (json_dumpf(e, stdout, JSON_COMPACT) < 0 || puts("") == EOF)
		return CTL_FAILED;
	return fflush(stdout) == EOF ? CTL_FAILED : CTL_OK;
}

static int follow(const struct ctl *ctl, FILE *f, int64_t since)
{
	const struct timeval forever = { 0 };
	json_t *answer, *line;
	int r = ctl_ask(f, json_pack("{s:s, s:I}", "op", "follow", "since", (json_int_t)since),
			&answer);

	if (r)
		return r;
	json_decref(answer);
	setsockopt(fileno(f), SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	while (!r) {
		r = ctl_read(f, &line);
		if (r)
			break;
		if (json_object_get(line, "lost"))
			ctl_error("%lld events are lost: they came faster than they were read",
				  (long long)ctl_get(line, "lost", NULL));
		else
			r = show_event(ctl, json_object_get(line, "event"));
		json_decref(line);
	}
	return r;
}

enum { EVENTS_FOLLOW };

static int events(const struct ctl *ctl, const struct ctl_args *a)
{
	const json_t *list, *e;
	int64_t last = 0;
	json_t *answer;
	size_t i;
	FILE *f;
	int r = ctl_open(ctl, &f);

	if (r)
		return r;
	r = ctl_ask(f, json_pack("{s:s}", "op", "events"), &answer);
	if (r)
		goto close_file;
	list = json_object_get(answer, "events");
	json_array_foreach(list, i, e)
	{
		last = ctl_get(e, "number", NULL);
		r = show_event(ctl, e);
		if (r)
			break;
	}
	json_decref(answer);
	if (!r && a->value[EVENTS_FOLLOW])
		r = follow(ctl, f, last);
close_file:
	fclose(f);
	return r;
}

const struct ctl_command ctl_command_events = {
	.name = "events",
	.arguments = "",
	.summary = "Show what happened lately: clients, workers, faults, devices",
	.text = "The daemon keeps the last 256. With --json, one object a line.\n",
	.options =
		(const struct ctl_option[]){
			[EVENTS_FOLLOW] = { "follow", NULL,
					    "go on as they happen, until interrupted" },
			{ 0 } },
	.run = events,
};
