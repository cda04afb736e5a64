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

#endif
