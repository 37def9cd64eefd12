/* SPDX-License-Identifier: MIT */
/*
 * doctor_unit.c - what a systemd unit does to the programs it starts: user, environment, devices.
 *
 * From systemctl, or from a unit file where that is named by its path (systemd need not run then).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/ctl/doctor.h"

#define SYSTEMCTL	  "/usr/bin/systemctl"
#define SYSTEMCTL_SECONDS 10
#define UNIT_BYTES	  (256u << 10)
#define EDIT		  "systemctl edit the unit and take that line out"

struct unit {
	const char *name;
	char user[64];
	bool private_devices, closed, allowed;
};

static void keep(char *to, size_t size, bool *given, const char *value)
{
	snprintf(to, size, "%s", value);
	*given = true;
}

static void variable(struct doctor *d, const struct unit *u, const char *word)
{
	static const struct {
		const char *name, *text;
	} known[] = {
		{ "LD_PRELOAD=", "is not needed: the virtual GPU is found by the loader itself" },
		{ "OLLAMA_LIBRARY_PATH=",
		  "is not needed here, and hides Ollama's own backends when "
		  "it is wrong" },
		{ "OLLAMA_LLM_LIBRARY=", "pins Ollama to one backend; without it, it looks for the "
					 "GPU" },
		{ "VGPU_NODE_DIR=", "makes libcuda.so.1 look for the nodes elsewhere" },
	};
	size_t i;

	if (!strncmp(word, "LD_LIBRARY_PATH=", 16))
		keep(d->library_path, sizeof(d->library_path), &d->path_given, word + 16);
	if (!strncmp(word, "CUDA_VISIBLE_DEVICES=", 21))
		keep(d->visible, sizeof(d->visible), &d->visible_given, word + 21);
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strncmp(word, known[i].name, strlen(known[i].name)))
			doctor_say(d, DOCTOR_NOTE, "unit", NULL, "%s sets %s, which %s", u->name,
				   word, known[i].text);
	}
}

/* Environment="A=b c" D=e: words, quoted as a whole or not. */
static void environment(struct doctor *d, const struct unit *u, char *list)
{
	char *word, *end;

	while (*list) {
		list += strspn(list, " \t");
		word = list;
		if (*list == '"' || *list == '\'') {
			word = list + 1;
			end = strchr(word, *list);
		} else {
			end = strpbrk(list, " \t");
		}
		list = end ? end + 1 : word + strlen(word);
		if (end)
			*end = '\0';
		if (*word)
			variable(d, u, word);
	}
}

static bool yes(const char *value)
{
	return !strcmp(value, "yes") || !strcmp(value, "true") || !strcmp(value, "1") ||
	       !strcmp(value, "on");
}

static void setting(struct doctor *d, struct unit *u, const char *key, char *value)
{
	if (!strcmp(key, "User"))
		snprintf(u->user, sizeof(u->user), "%s", value);
	else if (!strcmp(key, "Environment"))
		environment(d, u, value);
	else if (!strcmp(key, "PrivateDevices"))
		u->private_devices = yes(value);
	else if (!strcmp(key, "DevicePolicy"))
		u->closed = strcmp(value, "auto") != 0;
	else if (!strcmp(key, "DeviceAllow"))
		u->allowed |= strstr(value, "vgpu") || strstr(value, "char-");
}

static void read_settings(struct doctor *d, struct unit *u, char *text)
{
	char *line, *save = NULL, *value;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " \t");
		value = strchr(line, '=');
		if (!value || *line == '#' || *line == ';')
			continue;
		*value++ = '\0';
		setting(d, u, line, value);
	}
}

static int read_text(const char *unit, char *text)
{
	char *const argv[] = { SYSTEMCTL,
			       "show",
			       "--no-pager",
			       "-p",
			       "User,Environment,PrivateDevices,DevicePolicy,DeviceAllow,LoadState",
			       (char *)(uintptr_t)unit,
			       NULL };
	char *const env[] = { NULL };
	FILE *f;
	size_t n;
	int r;

	if (!strchr(unit, '/')) {
		r = ctl_output(NULL, argv, env, SYSTEMCTL_SECONDS, text, UNIT_BYTES);
		if (r < 0)
			return r;
		return r || strstr(text, "LoadState=not-found") ? -ENOENT : 0;
	}
	f = fopen(unit, "re");
	if (!f)
		return -errno;
	n = fread(text, 1, UNIT_BYTES - 1, f);
	text[n] = '\0';
	r = ferror(f) ? -EIO : 0;
	fclose(f);
	return r;
}

static void judge(struct doctor *d, const struct unit *u)
{
	unsigned before = d->failed;

	/* The fuse door's node is a file: DevicePolicy= does not concern it, a private /dev does. */
	if (u->private_devices)
		doctor_say(d, DOCTOR_FAIL, "unit", "PrivateDevices=no in the unit (systemctl edit)",
			   "%s has a /dev of its own (PrivateDevices=) without the node", u->name);
	if (u->closed && !u->allowed)
		doctor_say(d, DOCTOR_FAIL, "unit",
			   "add DeviceAllow=/dev/nvidia-vgpu0 rw (systemctl edit)",
			   "%s is kept from devices (DevicePolicy=)", u->name);
	if (d->visible_given && (!*d->visible || !strcmp(d->visible, "-1")))
		doctor_say(d, DOCTOR_FAIL, "unit", EDIT,
			   "%s sets CUDA_VISIBLE_DEVICES=%s, which hides all devices", u->name,
			   d->visible);
	if (d->failed == before)
		doctor_say(d, DOCTOR_OK, "unit", NULL, "%s keeps nobody from the device", u->name);
}

int doctor_unit(struct doctor *d, const char *unit)
{
	struct unit u = { .name = unit };
	char *text = malloc(UNIT_BYTES);
	int r = text ? read_text(unit, text) : -ENOMEM;

	if (r < 0) {
		doctor_say(d, DOCTOR_FAIL, "unit",
			   "name a unit that exists, or the path of its file", "%s: %s", unit,
			   r == -ENOENT ? "no such unit" : strerror(-r));
		free(text);
		return r;
	}
	read_settings(d, &u, text);
	free(text);
	if (!*d->user && *u.user)
		snprintf(d->user, sizeof(d->user), "%s", u.user);
	judge(d, &u);
	return 0;
}
