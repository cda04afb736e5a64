/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * folder: the folders of the store and of the administration socket.
 */
#ifndef STW_FOLDER_H
#define STW_FOLDER_H

#include <stddef.h>
#include <sys/types.h>

/**
 * Make the folder that holds `path`, with those above it. As root new ones belong to owner and
 * group. A folder of a stranger is refused: what stands there could be his (only root, the owner
 * and who runs this are none).
 * @return 0, -errno with a sentence
 */
int stw_folder_make(const char *path, uid_t owner, gid_t group, char *ret_error, size_t error_size);

/**
 * As root: a file that we have made, or found, becomes that of owner and group. The folder may be
 * theirs already, and a file of root may stand there by a second name: it stays root's.
 * @param kind  S_IFREG, S_IFSOCK or S_IFDIR
 * @return 0, also when it is theirs; -ELOOP a link, or another kind; -EMLINK it has more than one
 *         name; -errno
 */
int stw_file_give(const char *path, mode_t kind, uid_t owner, gid_t group);

#endif
