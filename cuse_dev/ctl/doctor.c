/* SPDX-License-Identifier: MIT */
/* doctor.c - "vgpuctl doctor": each link from a program to its result, and the mend of a broken one. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuse_dev/ctl/doctor.h"

static const char *const state_text[] = {
	[DOCTOR_OK] = "ok", [DOCTOR_FAIL] = "FAIL", [DOCTOR_NOTE] = "note"
};

void doctor_say(struct doctor *d, enum doctor_state state, const char *check, const char *mend,
		const char *fmt, ...)
{
	char text[2 * PATH_MAX];
	json_t *o, *s;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->failed += state == DOCTOR_FAIL;
	if (!d->ctl->json) {
		printf("%-5s %-9s %s\n", state_text[state], check, text);
		if (mend)
			printf("      %-9s -> %s\n", "", mend);
		fflush(stdout);
		return;
	}
	s = json_string(text); /* NULL: a path that is no UTF-8 */
	o = json_pack("{s:s, s:s, s:o, s:s*}", "check", check, "state", state_text[state], "text",
		      s ? s : json_string("?"), "mend", mend);
	if (o)
		json_array_append_new(d->list, o);
}

/* Who it is, with all his groups; "" ourselves. */
static int find_user(struct doctor *d)
{
	const struct passwd *p = *d->user ? getpwnam(d->user) : getpwuid(geteuid());
	uint64_t uid;

	if (!p && ctl_number(d->user, UINT32_MAX - 1, &uid))
		p = getpwuid((uid_t)uid);
	if (!p && !*d->user) {
		d->uid = geteuid();
		d->gid = getegid();
		snprintf(d->user, sizeof(d->user), "%u", (unsigned)d->uid);
		return CTL_OK;
	}
	if (!p) {
		ctl_error("there is no user \"%s\"", d->user);
		return CTL_USAGE;
	}
	d->uid = p->pw_uid;
	d->gid = p->pw_gid;
	d->groups = DOCTOR_MAX_GROUPS;
	if (getgrouplist(p->pw_name, d->gid, d->group, &d->groups) < 0)
		d->groups = DOCTOR_MAX_GROUPS; /* the first of more */
	snprintf(d->user, sizeof(d->user), "%s", p->pw_name);
	if (d->uid != geteuid() && geteuid()) {
		ctl_error("only root can look as user %s", d->user);
		return CTL_USAGE;
	}
	return CTL_OK;
}

enum { DOCTOR_USER, DOCTOR_UNIT, DOCTOR_PATH, DOCTOR_NODES };

/* Later links are looked at even when an earlier one is broken, where that makes sense. */
static void examine(struct doctor *d)
{
	bool device = doctor_node(d) && doctor_greet(d), library;

	doctor_daemon(d);
	library = doctor_library(d);
	if (d->binary)
		doctor_binary(d);
	if (device && library)
		doctor_kernel(d);
	else
		doctor_say(d, DOCTOR_NOTE, "kernel", NULL, "not tried, for what is broken above");
	if (device)
		doctor_nvml(d);
}

static int doctor(const struct ctl *ctl, const struct ctl_args *a)
{
	struct doctor *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return CTL_FAILED;
	d->ctl = ctl;
	d->list = json_array();
	d->node_dir = a->value[DOCTOR_NODES] ? a->value[DOCTOR_NODES] : "/dev";
	d->binary = a->count ? a->word[0] : NULL;
	if (a->value[DOCTOR_USER])
		snprintf(d->user, sizeof(d->user), "%s", a->value[DOCTOR_USER]);
	if (a->value[DOCTOR_UNIT])
		doctor_unit(d, a->value[DOCTOR_UNIT]);
	if (a->value[DOCTOR_PATH]) {
		snprintf(d->library_path, sizeof(d->library_path), "%s", a->value[DOCTOR_PATH]);
		d->path_given = true;
	}
	r = find_user(d);
	if (r)
		goto free_doctor;
	examine(d);
	if (ctl->json)
		r = ctl_print_json(d->list);
	else if (d->failed)
		printf("\n%u of the links between a program and the device are broken\n",
		       d->failed);
	else
		printf("\nall is well\n");
	r = r || d->failed ? CTL_FAILED : CTL_OK;
free_doctor:
	json_decref(d->list);
	free(d);
	return r;
}

const struct ctl_command ctl_command_doctor = {
	.name = "doctor",
	.arguments = "[BINARY]",
	.max = 1,
	.summary = "Find out why a program does not see the device",
	.text = "Looks at every link between a program and the device, and at last runs a kernel, "
		"in a\n"
		"process with an empty environment. With BINARY (a program, or the library that "
		"does the\n"
		"work), also which libcuda.so.1 that gets. Exit code 1 when a link is broken.\n"
		"For Ollama: vgpuctl doctor --unit=ollama.service\n",
	.options =
		(const struct ctl_option[]){
			[DOCTOR_USER] = { "user", "NAME", "look as this user (root only)" },
			[DOCTOR_UNIT] = { "unit", "UNIT",
					  "with the user and environment of this unit, or unit "
					  "file" },
			[DOCTOR_PATH] = { "library-path", "PATH", "with this LD_LIBRARY_PATH" },
			[DOCTOR_NODES] = { "node-dir", "DIR", "where the nodes are (/dev)" },
			{ 0 } },
	.run = doctor,
};
