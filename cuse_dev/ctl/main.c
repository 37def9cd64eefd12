/* SPDX-License-Identifier: MIT */
/* main.c - vgpuctl: from arguments to a command; help, and what shells complete. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/control/protocol.h"
#include "cuse_dev/ctl/ctl.h"
#include "ioctl/vgpu_ioctl.h"

enum { OPT_SOCKET = 1000, OPT_JSON, OPT_HELP, OPT_VERSION };

/* Known in front of a command and behind it. */
static const struct option common[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
};

#define COMMON_COUNT (int)(sizeof(common) / sizeof(common[0]))

static const struct ctl_command *const commands[] = {
#define X(name) &ctl_command_##name,
	CTL_COMMANDS(X)
#undef X
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_option(const char *name, const char *argument, const char *text)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", name, argument ? "=" : "",
		 argument ? argument : "");
	printf("  %-26s %s\n", left, text);
}

static void print_common(void)
{
	print_option("socket", "PATH", "the daemon's control socket (" CONTROL_PATH ")");
	print_option("json", NULL, "print JSON");
	print_option("help", NULL, "print this");
}

static void help(void)
{
	size_t i;

	printf("Usage: vgpuctl [--json] [--socket=PATH] COMMAND [ARGUMENT]...\n\n"
	       "Looks at the virtual GPUs of this machine and administers them.\n\nCommands\n");
	for (i = 0; i < COMMAND_COUNT; i++) {
		char left[64];

		if (commands[i]->hidden)
			continue;
		snprintf(left, sizeof(left), "%s %s", commands[i]->name, commands[i]->arguments);
		printf("  %-26s %s\n", left, commands[i]->summary);
	}
	printf("\nOptions\n");
	print_common();
	print_option("version", NULL, "print the version");
	printf("\n\"vgpuctl COMMAND --help\" has more. See vgpuctl(8).\n");
}

static void help_command(const struct ctl_command *c)
{
	const struct ctl_option *o;

	printf("Usage: vgpuctl %s%s%s%s\n\n%s.\n", c->name, c->options ? " [OPTION]..." : "",
	       *c->arguments ? " " : "", c->arguments, c->summary);
	if (c->text)
		printf("\n%s", c->text);
	printf("\n");
	for (o = c->options; o && o->name; o++)
		print_option(o->name, o->argument, o->help);
	print_common();
}

static const struct ctl_command *find(const char *name)
{
	size_t i;

	for (i = 0; i < COMMAND_COUNT; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

/*
 * "complete": the commands; "complete COMMAND": its options, one a line. For the shells' completion
 * files, which so never fall behind.
 */
static int complete(int argc, char **argv)
{
	const struct ctl_command *c = argc > 2 ? find(argv[2]) : NULL;
	char *ask[] = { argv[0], "--complete", NULL };
	const struct ctl_option *o;
	size_t i;

	if (c && c->raw)
		return c->raw(2, ask);
	for (i = 0; argc == 2 && i < COMMAND_COUNT; i++) {
		if (!commands[i]->hidden)
			printf("%s\n", commands[i]->name);
	}
	for (o = c ? c->options : NULL; o && o->name; o++)
		printf("--%s%s\n", o->name, o->argument ? "=" : "");
	printf("--help\n--json\n--socket=\n");
	return CTL_OK;
}

static int try_help(const struct ctl_command *c)
{
	fprintf(stderr, "Try \"vgpuctl %s%s--help\".\n", c ? c->name : "", c ? " " : "");
	return CTL_USAGE;
}

/* 0: go on; else the exit code plus 1. */
static int common_option(int option, struct ctl *ctl, const struct ctl_command *c)
{
	switch (option) {
	case OPT_SOCKET:
		ctl->socket = optarg;
		return 0;
	case OPT_JSON:
		ctl->json = true;
		return 0;
	case OPT_VERSION:
		printf("vgpuctl %d.%d\n", VGPU_VERSION_MAJOR, VGPU_VERSION_MINOR);
		return 1 + CTL_OK;
	case OPT_HELP:
		if (c)
			help_command(c);
		else
			help();
		return 1 + CTL_OK;
	default: /* getopt has named it */
		return 1 + try_help(c);
	}
}

/* The options of @c (NULL: those in front of a command) out of @argv. As above. */
static int parse(struct ctl *ctl, const struct ctl_command *c, int argc, char **argv,
		 struct ctl_args *a)
{
	struct option all[CTL_MAX_OPTIONS + COMMON_COUNT + 1] = { 0 };
	const struct ctl_option *o;
	int option, index = 0, r, n = 0;

	for (o = c ? c->options : NULL; o && o->name && n < CTL_MAX_OPTIONS; o++, n++)
		all[n] = (struct option){ o->name, o->argument ? required_argument : no_argument,
					  NULL, n };
	memcpy(all + n, common, sizeof(common));
	optind = 0;
	while ((option = getopt_long(argc, argv, c ? "" : "+", all, &index)) >= 0) {
		if (option < n) {
			a->value[option] = optarg ? optarg : "";
			continue;
		}
		r = common_option(option, ctl, c);
		if (r)
			return r;
	}
	a->count = argc - optind;
	a->word = argv + optind;
	return 0;
}

static int flushed(int r)
{
	if (fflush(stdout) != EOF)
		return r;
	ctl_error("cannot write: %s", strerror(errno));
	return CTL_FAILED;
}

static int run(struct ctl *ctl, const struct ctl_command *c, int argc, char **argv)
{
	struct ctl_args a = { 0 };
	char name[64];
	int r;

	if (c->raw)
		return flushed(c->raw(argc, argv));
	snprintf(name, sizeof(name), "vgpuctl %s", c->name);
	argv[0] = name; /* for getopt's messages */
	r = parse(ctl, c, argc, argv, &a);
	if (r)
		return r - 1;
	if (a.count < c->min || a.count > c->max) {
		if (a.count > c->max)
			ctl_error("%s: \"%s\" is too much", c->name, a.word[c->max]);
		else
			ctl_error("%s: wants %s", c->name, c->arguments);
		return try_help(c);
	}
	return flushed(c->run(ctl, &a));
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .socket = CONTROL_PATH };
	struct ctl_args a = { 0 };
	const struct ctl_command *c;
	int r;

	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(program_invocation_short_name, "nvidia-smi"))
		return flushed(ctl_command_smi.raw(argc, argv));
	r = parse(&ctl, NULL, argc, argv, &a);
	if (r)
		return r - 1;
	if (!a.count) {
		help();
		return CTL_USAGE;
	}
	if (!strcmp(a.word[0], "help") || !strcmp(a.word[0], "complete")) {
		if (*a.word[0] == 'c')
			return complete(a.count + 1, a.word - 1);
		c = a.count > 1 ? find(a.word[1]) : NULL;
		if (c)
			help_command(c);
		else
			help();
		return CTL_OK;
	}
	c = find(a.word[0]);
	if (!c) {
		ctl_error("\"%s\" is no command", a.word[0]);
		return try_help(NULL);
	}
	return run(&ctl, c, a.count, a.word);
}
