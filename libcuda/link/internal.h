/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of link/ say to each other; nobody else includes it.
 */
#ifndef LINK_INTERNAL_H
#define LINK_INTERNAL_H

#include <errno.h>

#include "libcuda/link/link.h"

/** Descriptors of ours lie above the numbers that programs close in loops or expect to be free. */
#define LINK_FD_FLOOR 100

/** link_fd_up() - move @fd to a number from LINK_FD_FLOOR on, if one is free there. */
int link_fd_up(int fd);

/** link_window_reserve() - take the window's addresses; sets window_base (0: none) and _size. */
void link_window_reserve(struct link *l);
/** link_window_adopt() - the daemon named another window than ours: move there if we can. */
void link_window_adopt(struct link *l, uint64_t base, uint64_t size);
void link_window_release(struct link *l);

/** link_share_pages() - make and announce all shared pages; what is refused stays absent. */
void link_share_pages(struct link *l);
void link_unshare_pages(struct link *l);

/** link_call_raw() - one ioctl, signals blocked; does not start anything. */
int link_call_raw(struct link_dev *dev, unsigned int nr, void *arg, size_t size);

/** link_mark_dead() - worker or daemon is gone. */
void link_mark_dead(struct link *l);

#endif
