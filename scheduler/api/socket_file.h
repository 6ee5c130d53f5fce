/* A listening unix socket at a path of any length, mode 0600, in the place of one that nobody
 * answers at. */
#ifndef SLUICE_API_SOCKET_FILE_H
#define SLUICE_API_SOCKET_FILE_H

#include "protocol/base/err.h"

#include <stdint.h>

struct socket_file {
    int fd; /* the caller's to close */
    uint64_t device, inode;
};

/** The fd does not block. Errors: ERR_BUSY where somebody answers there, ERR_IO. */
enum err_code socket_file_listen(const char *path, struct socket_file *ret,
                                 struct err *err) MUST_CHECK;
/** Removes the file if it is still that one. */
void socket_file_remove(const char *path, uint64_t device, uint64_t inode);
/** Connects; the caller closes. Errors: ERR_UNREACHABLE. */
enum err_code socket_file_connect(const char *path, int *ret_fd, struct err *err) MUST_CHECK;

#endif
