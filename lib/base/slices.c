/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <string.h>

size_t stw_slices_bytes(struct stw_slices slices)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < slices.n; i++)
		bytes += slices.v[i].len;
	return bytes;
}

void stw_slices_flatten(struct stw_slices slices, char *buffer)
{
	for (unsigned i = 0; i < slices.n; i++) {
		if (slices.v[i].len == 0)
			continue;
		memcpy(buffer, slices.v[i].ptr, slices.v[i].len);
		buffer += slices.v[i].len;
	}
}
