// SPDX-License-Identifier: MIT
// Requests to the control socket, a line each, by somebody who may change everything.
//
// What must hold: each line is answered by one object that is printable and says ok, or what is wrong and
// why; no device is left over that the door does not know.
extern "C" {
#include "cuse_dev/base/log.h"
#include "cuse_dev/control/conn.h"
#include "cuse_dev/session/spawn.h"
}

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace {

int fake_open(struct front *, uint32_t, const char *, struct door **ret_door)
{
	*ret_door = nullptr;
	return 0;
}

void fake_close(struct door *)
{
}

const struct door_ops fake_door = { "fake", fake_open, fake_close };

int no_worker(const struct spawn *, int, int, uint32_t, pid_t *, int *)
{
	return -ENOENT;
}

void must(bool holds)
{
	if (!holds)
		abort();
}

/* A front with one device and a process that has it open. */
struct World {
	struct config config;
	struct spawn spawn = {};
	struct front *front = nullptr;
	struct door_set doors = {};
	struct control control = {};
	struct conn conn = {};
	struct session *file = nullptr;

	World()
	{
		struct session_caller me = { static_cast<uint32_t>(gettid()), getuid(), getgid() };

		config_init(&config);
		must(!config_add_device(&config, "T4,memory=1G") && !config_complete(&config));
		spawn.start = no_worker;
		must(!front_create(&config, &spawn, &front));
		doors.front = front;
		doors.ops = &fake_door;
		doors.node_dir = "/dev";
		doors.count = 1;
		control.config = &config;
		control.front = front;
		control.doors = &doors;
		conn.ctl = &control;
		conn.may_change = true;
		must(!session_open(front, 0, &me, 6, &file));
	}
	~World()
	{
		if (front_device_count(front)) /* else it went with its device */
			session_release(file);
		front_destroy(front);
	}
	void ask(const char *line, size_t bytes)
	{
		json_t *answer = request_handle(&conn, line, bytes);
		const json_t *ok = json_object_get(answer, "ok");
		char *text = json_dumps(answer, JSON_COMPACT);

		must(answer && text && json_is_boolean(ok));
		must(json_is_true(ok) || (json_is_string(json_object_get(answer, "error")) &&
					  json_is_string(json_object_get(answer, "message"))));
		must(doors.count == front_device_count(front));
		free(text);
		json_decref(answer);
	}
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *at = reinterpret_cast<const char *>(data), *end = at + bytes;

	log_init("fuzz", static_cast<enum log_level>(0));
	World w;
	for (int n = 0; at < end && n < 32; n++) {
		size_t most = static_cast<size_t>(end - at);
		const void *newline = memchr(at, '\n', most);
		size_t line = newline ? static_cast<size_t>(static_cast<const char *>(newline) - at)
				      : most;

		w.ask(at, std::min<size_t>(line, LIMIT_CONTROL_REQUEST - 1));
		at += line + (newline != nullptr);
	}
	return 0;
}
