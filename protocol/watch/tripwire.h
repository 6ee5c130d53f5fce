/*
 * inotify on what a project was read from: it wakes whoever looks, and says nothing more.
 *
 * On the folders of the files, on those that hold the links by which the project folder is named
 * (git-sync swaps such a link), on those of secrets' files (a kubelet swaps `..data` there). It may
 * miss things (network file systems, limits of the kernel), so a look every now and then is needed
 * all the same. One thread.
 */
#ifndef SLUICE_WATCH_TRIPWIRE_H
#define SLUICE_WATCH_TRIPWIRE_H

#include "protocol/config/inputs.h"

enum { TRIPWIRE_FOLDERS_MAX = 1024 };

/** A descriptor that becomes readable when something stirs; -1 where there is no inotify. Owned:
 * close. */
int tripwire_open(const char *named, const struct inputs *in);
/** Reads what is there to be read. */
void tripwire_drain(int fd);

#endif
